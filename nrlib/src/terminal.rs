//! Terminals: modes, size, and which session has one.

use abi::termios::{
    B115200, CBAUD, CLOCAL, CREAD, CS8, DEFAULT_CC, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, HUPCL,
    ICANON, ICRNL, IEXTEN, ISIG, IUTF8, IXON, NCCS, ONLCR, OPOST, SPEEDS, TCFLSH, TCGETS, TCIFLUSH, TCSETS,
    TCSETSF, TCSETSW, TERMIOS_SIZE, TIOCGPTN, TIOCGWINSZ, TIOCSCTTY, TIOCSPGRP, TIOCSPTLCK, TIOCSWINSZ,
    WINSIZE_SIZE,
};
use abi::{Errno, Result};

use crate::file::Descriptor;
use crate::sys::calls;

/// `struct termios` of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// What happens to input.
    pub input: u32,
    /// What happens to output.
    pub output: u32,
    /// The line itself.
    pub control: u32,
    /// Echo, editing, signals.
    pub local: u32,
    /// The line discipline.
    pub discipline: u8,
    /// Characters that mean something.
    pub characters: [u8; NCCS],
}

/// When new modes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now.
    Now,
    /// After what is being sent.
    Drained,
    /// After what is being sent, and input that nobody read is dropped.
    Flushed,
}

impl Modes {
    /// Those of a terminal that people type at: lines are edited and echoed, keys send signals.
    pub const fn sane(control: u32) -> Modes {
        Modes {
            input: ICRNL | IXON | IUTF8,
            output: OPOST | ONLCR,
            control: control & CBAUD | CS8 | CREAD | HUPCL | CLOCAL,
            local: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
            discipline: 0,
            characters: DEFAULT_CC,
        }
    }

    /// Without echo, except of the end of a line: for passwords.
    pub const fn silent(mut self) -> Modes {
        self.local = self.local & !ECHO | ECHONL | ICANON;
        self
    }

    /// With another speed, if there is such a one.
    pub fn with_speed(mut self, bits_a_second: u32) -> Option<Modes> {
        let index = |table: usize| SPEEDS[table].iter().position(|&speed| speed == bits_a_second);
        let code = match (index(0), index(1)) {
            (Some(low), _) => u32::try_from(low).ok()?,
            (None, Some(high)) => u32::try_from(high).ok()? | (B115200 & !0xf),
            (None, None) => return None,
        };
        self.control = self.control & !CBAUD | code;
        Some(self)
    }

    fn decode(bytes: &[u8; TERMIOS_SIZE]) -> Modes {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut characters = [0; NCCS];
        characters.copy_from_slice(&bytes[17..17 + NCCS]);
        Modes {
            input: word(0),
            output: word(4),
            control: word(8),
            local: word(12),
            discipline: bytes[16],
            characters,
        }
    }

    fn encode(&self) -> [u8; TERMIOS_SIZE] {
        let mut bytes = [0; TERMIOS_SIZE];
        for (place, word) in
            bytes.chunks_exact_mut(4).zip([self.input, self.output, self.control, self.local])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[16] = self.discipline;
        bytes[17..17 + NCCS].copy_from_slice(&self.characters);
        bytes
    }
}

/// Rows and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// Whether there is a terminal behind it.
pub fn is_terminal(terminal: Descriptor) -> bool {
    modes(terminal).is_ok()
}

/// The modes.
///
/// # Errors
/// ENOTTY for what is no terminal.
pub fn modes(terminal: Descriptor) -> Result<Modes> {
    let mut bytes = [0; TERMIOS_SIZE];
    calls::ioctl_bytes(terminal.0, TCGETS, &mut bytes)?;
    Ok(Modes::decode(&bytes))
}

/// Sets the modes.
///
/// # Errors
/// ENOTTY for what is no terminal.
pub fn set_modes(terminal: Descriptor, modes: &Modes, when: When) -> Result<()> {
    let request = match when {
        When::Now => TCSETS,
        When::Drained => TCSETSW,
        When::Flushed => TCSETSF,
    };
    calls::ioctl_bytes(terminal.0, request, &mut modes.encode()).map(drop)
}

/// Drops what was typed and not read.
///
/// # Errors
/// ENOTTY for what is no terminal.
pub fn flush_input(terminal: Descriptor) -> Result<()> {
    calls::ioctl_number(terminal.0, TCFLSH, TCIFLUSH as usize).map(drop)
}

/// The window's size.
///
/// # Errors
/// ENOTTY for what is no terminal.
pub fn size(terminal: Descriptor) -> Result<Size> {
    let mut bytes = [0; WINSIZE_SIZE];
    calls::ioctl_bytes(terminal.0, TIOCGWINSZ, &mut bytes)?;
    let [a, b, c, d, ..] = bytes;
    Ok(Size { rows: u16::from_le_bytes([a, b]), columns: u16::from_le_bytes([c, d]) })
}

/// Sets the window's size, of which its foreground group is told.
///
/// # Errors
/// ENOTTY for what is no terminal.
pub fn set_size(terminal: Descriptor, size: Size) -> Result<()> {
    let ([a, b], [c, d]) = (size.rows.to_le_bytes(), size.columns.to_le_bytes());
    calls::ioctl_bytes(terminal.0, TIOCSWINSZ, &mut [a, b, c, d, 0, 0, 0, 0]).map(drop)
}

/// Whether a terminal that another session has may be taken from it, for which one must be root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// Only a free one.
    Free,
    /// From whoever has it.
    FromOthers,
}

/// Makes it the controlling terminal of the session that this process leads.
///
/// # Errors
/// EPERM if it has one, or another session has this one.
pub fn take(terminal: Descriptor, taking: Taking) -> Result<()> {
    calls::ioctl_number(terminal.0, TIOCSCTTY, usize::from(taking == Taking::FromOthers)).map(drop)
}

/// Puts a process group into the foreground.
///
/// # Errors
/// Those of tcsetpgrp(3).
pub fn set_foreground(terminal: Descriptor, group: crate::process::Pid) -> Result<()> {
    calls::ioctl_bytes(terminal.0, TIOCSPGRP, &mut group.to_le_bytes()).map(drop)
}

/// Unlocks the other side of a pseudo-terminal's master and returns its number in `/dev/pts`.
///
/// # Errors
/// ENOTTY for what is no such master.
pub fn unlock(master: Descriptor) -> Result<u32> {
    calls::ioctl_bytes(master.0, TIOCSPTLCK, &mut 0_i32.to_le_bytes())?;
    let mut number = [0; 4];
    calls::ioctl_bytes(master.0, TIOCGPTN, &mut number)?;
    Ok(u32::from_le_bytes(number))
}

/// The name of the terminal behind a descriptor without `/dev/`, as `/proc/self/fd` tells it.
///
/// # Errors
/// ENOTTY for what is no terminal; those of readlink(2).
pub fn name(terminal: Descriptor) -> Result<alloc::vec::Vec<u8>> {
    modes(terminal)?;
    let link = alloc::format!("/proc/self/fd/{}", terminal.0);
    let target = crate::file::read_link(&crate::file::path(&[link.as_bytes()])?)?;
    target.strip_prefix(b"/dev/").map(<[u8]>::to_vec).ok_or(Errno::ENOTTY)
}

/// While it lives the terminal does not show what is typed; afterwards it is as before.
pub struct Silence {
    terminal: Descriptor,
    before: Modes,
}

impl Silence {
    /// From now on. What was typed ahead is dropped.
    ///
    /// # Errors
    /// ENOTTY for what is no terminal.
    pub fn start(terminal: Descriptor) -> Result<Silence> {
        let before = modes(terminal)?;
        set_modes(terminal, &before.silent(), When::Flushed)?;
        Ok(Silence { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = set_modes(self.terminal, &self.before, When::Drained);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{File, path};
    use abi::file::{O_NOCTTY, O_RDWR};
    use std::format;

    fn pair() -> (File, File) {
        let master = File::open(c"/dev/ptmx", O_RDWR | O_NOCTTY, 0).unwrap();
        let name = format!("/dev/pts/{}", unlock(*master).unwrap());
        let slave = File::open(&path(&[name.as_bytes()]).unwrap(), O_RDWR | O_NOCTTY, 0);
        (master, slave.unwrap())
    }

    #[test]
    fn modes_go_to_the_kernel_and_back() {
        let (_master, slave) = pair();
        let modes = super::modes(*slave).unwrap();
        let sane = Modes::sane(modes.control).with_speed(115_200).unwrap();
        set_modes(*slave, &sane, When::Now).unwrap();
        assert_eq!(super::modes(*slave).unwrap().local, sane.local);
        assert_eq!(super::modes(*slave).unwrap().control & CBAUD, B115200);
        assert_eq!(sane.with_speed(9600).unwrap().control & CBAUD, 13);
        assert_eq!(sane.with_speed(12_345), None);
        set_size(*slave, Size { rows: 24, columns: 80 }).unwrap();
        assert_eq!(size(*slave).unwrap(), Size { rows: 24, columns: 80 });
        assert_eq!(super::modes(crate::file::Descriptor(-1)), Err(Errno::EBADF));
    }

    #[test]
    fn silence_ends_with_its_value() {
        let (master, slave) = pair();
        let before = modes(*slave).unwrap();
        let silence = Silence::start(*slave).unwrap();
        master.write_all(b"secret\n").unwrap();
        let mut line = [0; 20];
        assert_eq!(slave.read(&mut line), Ok(7));
        drop(silence);
        assert_eq!(modes(*slave).unwrap(), before);
        let mut shown = [0; 20];
        // Only the end of the line.
        assert_eq!(master.read(&mut shown), Ok(2));
        assert!(name(*slave).unwrap().starts_with(b"pts/"));
    }
}
