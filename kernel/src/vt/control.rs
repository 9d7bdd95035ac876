//! ioctl(2) on consoles: which is shown, what the keyboard gives, who draws (ioctl_console(2)).
//!
//! No lock of its own. User memory is read before anything changes.

use core::sync::atomic::Ordering;

use abi::console::{
    K_OFF, KB_101, KD_GRAPHICS, KD_TEXT, KDGETMODE, KDGKBMODE, KDGKBTYPE, KDSETMODE, KDSKBMODE, VT_ACTIVATE,
    VT_AUTO, VT_DISALLOCATE, VT_GETMODE, VT_GETSTATE, VT_OPENQRY, VT_RELDISP, VT_SETMODE, VT_WAITACTIVE,
};
use abi::{Errno, Result};
use hal::usermem::{read, write};
use logic::cred::Capability;
use nucleus::sched::Wait;

use super::console::Console;
use super::{CONSOLES, COUNT, Consoles};
use crate::process::Cx;

/// `struct vt_mode`: mode, wait, and three signals of two bytes each.
type VtMode = [u8; 8];

pub(super) fn control(console: &Console, cx: &Cx, request: u32, argument: u64) -> Result<()> {
    let consoles = CONSOLES.get().ok_or(Errno::ENOTTY)?;
    match request {
        KDGKBTYPE => write(argument, &KB_101),
        KDGETMODE => write(argument, &u32::from(console.picture_mode.load(Ordering::Acquire))),
        KDGKBMODE => write(argument, &u32::from(console.keyboard_mode.load(Ordering::Acquire))),
        VT_GETMODE => write::<VtMode>(argument, &[VT_AUTO, 0, 0, 0, 0, 0, 0, 0]),
        VT_GETSTATE => write(argument, &consoles.state()),
        VT_OPENQRY => write(argument, &consoles.first_free()),
        VT_WAITACTIVE => {
            let index = index_of(argument)?;
            consoles.switched.block_until(Wait::INTERRUPTIBLE, || {
                if consoles.shown().index == index { Ok(()) } else { Err(Errno::EAGAIN) }
            })
        }
        KDSETMODE | KDSKBMODE | VT_SETMODE | VT_ACTIVATE | VT_RELDISP | VT_DISALLOCATE => {
            if !may_change(console, cx) {
                return Err(Errno::EPERM);
            }
            change(consoles, console, request, argument)
        }
        _ => Err(Errno::ENOTTY),
    }
}

/// Who has it as his own terminal may, and who may set up terminals.
fn may_change(console: &Console, cx: &Cx) -> bool {
    let own = crate::tty::of_session_of(cx);
    let is_own = console
        .tty
        .get()
        .is_some_and(|tty| own.as_ref().is_some_and(|own| alloc::sync::Arc::ptr_eq(own, tty)));
    is_own || cx.cred.has(Capability::SysTtyConfig)
}

fn change(consoles: &'static Consoles, console: &Console, request: u32, argument: u64) -> Result<()> {
    match request {
        KDSETMODE => {
            // X's two old words for text and pictures are the same to Linux.
            let mode = match argument {
                0 | 2 | 3 => KD_TEXT,
                1 => KD_GRAPHICS,
                _ => return Err(Errno::EINVAL),
            };
            let old = console.picture_mode.swap(mode, Ordering::AcqRel);
            if old != mode && mode == KD_TEXT {
                consoles.draw_all();
            }
            Ok(())
        }
        KDSKBMODE => {
            let mode = u8::try_from(argument).ok().filter(|&mode| mode <= K_OFF).ok_or(Errno::EINVAL)?;
            console.keyboard_mode.store(mode, Ordering::Release);
            Ok(())
        }
        VT_SETMODE => {
            let [mode, ..]: VtMode = read(argument)?;
            // A program that wants to be asked is not: consoles are switched without it.
            if mode == VT_AUTO { Ok(()) } else { Err(Errno::EINVAL) }
        }
        VT_ACTIVATE => consoles.activate(index_of(argument)?),
        VT_RELDISP => Err(Errno::EINVAL),
        // A screen, once made, is kept.
        _ => match argument {
            0 => Ok(()),
            number => index_of(number).map(|_| ()),
        },
    }
}

fn index_of(number: u64) -> Result<usize> {
    let number = usize::try_from(number).map_err(|_| Errno::ENXIO)?;
    number.checked_sub(1).filter(|&index| index < COUNT).ok_or(Errno::ENXIO)
}

impl Consoles {
    /// `struct vt_stat`: the one shown, a signal nobody sends, and a bit for each that is open.
    fn state(&self) -> [u16; 3] {
        let mut open = 1;
        for console in &self.all {
            if console.opens.load(Ordering::Acquire) != 0 || console.index == self.shown().index {
                open |= 2 << console.index;
            }
        }
        [u16::try_from(self.shown().index + 1).unwrap_or(0), 0, open]
    }

    /// The number of one that nobody has open; -1 if there is none.
    fn first_free(&self) -> i32 {
        let free = self.all.iter().find(|console| console.opens.load(Ordering::Acquire) == 0);
        free.and_then(|console| i32::try_from(console.index + 1).ok()).unwrap_or(-1)
    }
}
