//! gzip (RFC 1952), unpacked piece by piece: what is in memory besides the archive is one window and the decoder.

use alloc::boxed::Box;
use alloc::vec::Vec;

use logic::cpio::Compression;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::packed::{PackError, PackProblem};

/// How far back deflate refers, which is also what a piece is at most.
const WINDOW: usize = 32 << 10;
const HEADER_LEN: usize = 10;
const TRAILER_LEN: usize = 8;
const DEFLATE: u8 = 8;
/// Flags of the header: what follows it.
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

const fn error(problem: PackProblem) -> PackError {
    PackError { format: Compression::Gzip, problem }
}

/// Gives what is packed at the start of `bytes`, piece by piece; says how many bytes were packed.
///
/// # Errors
/// What is wrong, and what `give` says. What came before was given.
pub(super) fn unpack<E: From<PackError>>(
    bytes: &[u8],
    mut give: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<usize, E> {
    let start = header_len(bytes)?;
    let mut packed = bytes.get(start..).ok_or(error(PackProblem::Truncated))?;
    let mut window = Vec::new();
    window.try_reserve_exact(WINDOW).map_err(|_| error(PackProblem::NoMemory))?;
    window.resize(WINDOW, 0);
    let mut decoder = decoder();
    let (mut at, mut sum, mut total) = (0, Checksum::new(), 0_u32);
    loop {
        let (status, used, made) = decompress(&mut decoder, packed, &mut window, at, 0);
        packed = packed.get(used..).ok_or(error(PackProblem::Damaged))?;
        let piece = window.get(at..at + made).ok_or(error(PackProblem::Damaged))?;
        sum.add(piece);
        total = total.wrapping_add(u32::try_from(made).map_err(|_| error(PackProblem::Damaged))?);
        give(piece)?;
        at = (at + made) % WINDOW;
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => {
                return Err(error(PackProblem::Truncated).into());
            }
            _ => return Err(error(PackProblem::Damaged).into()),
        }
    }
    let trailer = packed.get(..TRAILER_LEN).ok_or(error(PackProblem::Truncated))?;
    let number =
        |at: usize| trailer.get(at..at + 4).and_then(|part| part.try_into().ok()).map(u32::from_le_bytes);
    if number(0) != Some(sum.value()) || number(4) != Some(total) {
        return Err(error(PackProblem::Checksum).into());
    }
    Ok(bytes.len() - packed.len() + TRAILER_LEN)
}

/// A decoder, on the heap. It is made on the stack first, and is most of what fits there: nobody keeps that room.
#[inline(never)]
fn decoder() -> Box<DecompressorOxide> {
    Box::default()
}

/// Where what is compressed begins.
fn header_len(bytes: &[u8]) -> Result<usize, PackError> {
    let header = bytes.get(..HEADER_LEN).ok_or(error(PackProblem::Truncated))?;
    let &[0x1f, 0x8b, DEFLATE, flags, ..] = header else { return Err(error(PackProblem::Header)) };
    if flags & RESERVED != 0 {
        return Err(error(PackProblem::Header));
    }
    let mut at = HEADER_LEN;
    if flags & HAS_EXTRA != 0 {
        let &[low, high] = bytes.get(at..at + 2).ok_or(error(PackProblem::Truncated))? else {
            return Err(error(PackProblem::Truncated));
        };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let rest = bytes.get(at..).ok_or(error(PackProblem::Truncated))?;
            at += rest.iter().position(|&byte| byte == 0).ok_or(error(PackProblem::Truncated))? + 1;
        }
    }
    Ok(if flags & HAS_CHECKSUM != 0 { at + 2 } else { at })
}

/// CRC-32 (RFC 1952, section 8), four bits at a time.
struct Checksum(u32);

/// The remainders of the sixteen values of four bits.
const REMAINDERS: [u32; 16] = {
    let mut table = [0; 16];
    let mut value = 0;
    while value < 16 {
        let mut rest = value;
        let mut bit = 0;
        while bit < 4 {
            rest = if rest & 1 != 0 { rest >> 1 ^ 0xedb8_8320 } else { rest >> 1 };
            bit += 1;
        }
        table[value as usize] = rest;
        value += 1;
    }
    table
};

impl Checksum {
    const fn new() -> Self {
        Checksum(u32::MAX)
    }

    fn add(&mut self, bytes: &[u8]) {
        let step = |sum: u32, bits: u8| {
            let index = (sum.to_le_bytes()[0] ^ bits) & 15;
            sum >> 4 ^ REMAINDERS[usize::from(index)]
        };
        for &byte in bytes {
            self.0 = step(step(self.0, byte), byte >> 4);
        }
    }

    const fn value(&self) -> u32 {
        !self.0
    }
}
