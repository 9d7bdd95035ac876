//! A terminal's settings: Linux's `struct termios` and `struct termios2`.

use abi::termios::{
    B38400, BOTHER, CBAUD, CBAUDEX, CREAD, CS8, DEFAULT_CC, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, HUPCL,
    ICANON, ICRNL, IEXTEN, ISIG, IXON, NCC, NCCS, ONLCR, OPOST, SPEEDS, TERMIO_SIZE, TERMIOS_SIZE,
    TERMIOS2_SIZE,
};

/// The settings; fields are called as in C, without `c_`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Termios {
    /// Input: `IGNBRK` …
    pub iflag: u32,
    /// Output: `OPOST` …
    pub oflag: u32,
    /// Control: `CSIZE` …
    pub cflag: u32,
    /// Local: `ISIG` …
    pub lflag: u32,
    /// Number of the line discipline: zero.
    pub line: u8,
    /// Control characters by `VINTR` …; zero is none.
    pub cc: [u8; NCCS],
    /// Bits a second in.
    pub ispeed: u32,
    /// Bits a second out.
    pub ospeed: u32,
}

impl Default for Termios {
    /// A new terminal's: Linux's `tty_std_termios`.
    fn default() -> Self {
        Self {
            iflag: ICRNL | IXON,
            oflag: OPOST | ONLCR,
            cflag: B38400 | CS8 | CREAD | HUPCL,
            lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
            line: 0,
            cc: DEFAULT_CC,
            ispeed: 38_400,
            ospeed: 38_400,
        }
    }
}

impl Termios {
    /// The same with another speed in both directions; a speed that has no name is given as a number.
    #[must_use]
    pub fn with_speed(self, speed: u32) -> Self {
        let named = SPEEDS.iter().enumerate().find_map(|(half, table)| {
            let place = table.iter().position(|&known| known == speed)?;
            Some(u32::try_from(place).unwrap_or(0) | if half > 0 { CBAUDEX } else { 0 })
        });
        let cflag = self.cflag & !CBAUD | named.unwrap_or(BOTHER);
        Self { cflag, ispeed: speed, ospeed: speed, ..self }
    }

    /// From the structure of TCSETS. The speeds follow from `cflag`; with BOTHER, which needs the longer
    /// structure, they stay as they are `now`.
    pub fn decode(bytes: &[u8; TERMIOS_SIZE], now: &Self) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let cflag = word(8);
        let speed = speed_of(cflag);
        Self {
            iflag: word(0),
            oflag: word(4),
            cflag,
            lflag: word(12),
            line: bytes[16],
            cc: core::array::from_fn(|at| bytes[17 + at]),
            ispeed: speed.unwrap_or(now.ispeed),
            ospeed: speed.unwrap_or(now.ospeed),
        }
    }

    /// The structure of TCGETS.
    pub fn encode(&self) -> [u8; TERMIOS_SIZE] {
        let mut bytes = [0; TERMIOS_SIZE];
        let (words, rest) = bytes.as_chunks_mut();
        for (place, word) in words.iter_mut().zip([self.iflag, self.oflag, self.cflag, self.lflag]) {
            *place = word.to_le_bytes();
        }
        debug_assert!(rest.is_empty());
        bytes[16] = self.line;
        bytes[17..].copy_from_slice(&self.cc);
        bytes
    }

    /// From the structure of TCSETS2. Its speeds count with BOTHER only.
    pub fn decode2(bytes: &[u8; TERMIOS2_SIZE]) -> Self {
        let (short, speeds) = bytes.split_first_chunk().unwrap_or((&[0; TERMIOS_SIZE], &[]));
        let mut speeds = speeds.as_chunks().0.iter().map(|speed| u32::from_le_bytes(*speed));
        let ispeed = speeds.next().unwrap_or_default();
        let ospeed = speeds.next().unwrap_or_default();
        Self::decode(short, &Self { ispeed, ospeed, ..Self::default() })
    }

    /// The structure of TCGETS2.
    pub fn encode2(&self) -> [u8; TERMIOS2_SIZE] {
        let mut bytes = [0; TERMIOS2_SIZE];
        bytes[..TERMIOS_SIZE].copy_from_slice(&self.encode());
        bytes[TERMIOS_SIZE..TERMIOS_SIZE + 4].copy_from_slice(&self.ispeed.to_le_bytes());
        bytes[TERMIOS_SIZE + 4..].copy_from_slice(&self.ospeed.to_le_bytes());
        bytes
    }

    /// From the structure of TCSETA: the low halves of the flags and the first control characters; the rest stays as
    /// it is `now`.
    pub fn decode_old(bytes: &[u8; TERMIO_SIZE], now: &Self) -> Self {
        let half = |at: usize, now: u32| {
            now & 0xffff_0000 | u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
        };
        let mut cc = now.cc;
        cc[..NCC].copy_from_slice(&bytes[9..9 + NCC]);
        let cflag = half(4, now.cflag);
        let speed = speed_of(cflag);
        Self {
            iflag: half(0, now.iflag),
            oflag: half(2, now.oflag),
            cflag,
            lflag: half(6, now.lflag),
            line: bytes[8],
            cc,
            ispeed: speed.unwrap_or(now.ispeed),
            ospeed: speed.unwrap_or(now.ospeed),
        }
    }

    /// The structure of TCGETA.
    pub fn encode_old(&self) -> [u8; TERMIO_SIZE] {
        let mut bytes = [0; TERMIO_SIZE];
        for (place, word) in [self.iflag, self.oflag, self.cflag, self.lflag].into_iter().enumerate() {
            bytes[2 * place..2 * place + 2].copy_from_slice(&word.to_le_bytes()[..2]);
        }
        bytes[8] = self.line;
        bytes[9..9 + NCC].copy_from_slice(&self.cc[..NCC]);
        bytes
    }

    /// Whether an input flag is set.
    #[inline]
    pub const fn has_input(&self, flag: u32) -> bool {
        self.iflag & flag != 0
    }

    /// Whether an output flag is set.
    #[inline]
    pub const fn has_output(&self, flag: u32) -> bool {
        self.oflag & flag != 0
    }

    /// Whether a local flag is set.
    #[inline]
    pub const fn has_local(&self, flag: u32) -> bool {
        self.lflag & flag != 0
    }

    /// Whether `byte` is the control character of this index, such as `VINTR`.
    #[inline]
    pub(super) fn is_key(&self, index: usize, byte: u8) -> bool {
        self.cc.get(index) == Some(&byte)
    }
}

/// The speed in a `c_cflag`; `None` for BOTHER.
fn speed_of(cflag: u32) -> Option<u32> {
    if cflag & CBAUD == BOTHER {
        return None;
    }
    let table = &SPEEDS[usize::from(cflag & CBAUDEX != 0)];
    table.get((cflag & CBAUD & !CBAUDEX) as usize).copied()
}

#[cfg(test)]
mod tests {
    use abi::termios::{B115200, VERASE, VMIN};

    use super::*;

    #[test]
    fn the_structure_is_linux_s() {
        let bytes = Termios::default().encode();
        assert_eq!(bytes[..17], [0, 5, 0, 0, 5, 0, 0, 0, 0xbf, 4, 0, 0, 0x3b, 0x8a, 0, 0, 0]);
        assert_eq!((bytes[17 + VERASE], bytes[17 + VMIN]), (0x7f, 1));
        assert_eq!(Termios::decode(&bytes, &Termios::default()), Termios::default());
    }

    #[test]
    fn a_speed_is_set_by_its_name_or_its_number() {
        let fast = Termios::default().with_speed(115_200);
        assert_eq!((fast.cflag & CBAUD, fast.ospeed), (B115200, 115_200));
        assert_eq!(fast.with_speed(38_400), Termios::default());
        assert_eq!(fast.with_speed(31_250).cflag & CBAUD, BOTHER);
    }

    #[test]
    fn speeds_follow_the_flags_unless_they_are_given() {
        let fast = Termios { cflag: B115200 | CS8, ispeed: 1, ospeed: 2, ..Termios::default() };
        assert_eq!(Termios::decode2(&fast.encode2()).ospeed, 115_200);
        let other = Termios { cflag: BOTHER | CS8, ..fast };
        assert_eq!(Termios::decode2(&other.encode2()), other);
        assert_eq!(Termios::decode(&other.encode(), &fast).ispeed, 1);
    }
}
