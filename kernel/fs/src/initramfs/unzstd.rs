//! Zstandard (RFC 8878), unpacked block by block: what is in memory besides the archive is one window and the decoder.

use alloc::vec::Vec;

use hal::frames;
use logic::cpio::Compression;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::io::Read;

use super::packed::{PackError, PackProblem};

/// The largest window that Linux takes.
const MAX_WINDOW: u64 = 128 << 20;
/// A window may need this part of the memory that is free, since the decoder doubles its room as it fills.
const SHARE: u64 = 8;
const PIECE: usize = 64 << 10;

const fn error(problem: PackProblem) -> PackError {
    PackError { format: Compression::Zstd, problem }
}

/// Gives what is packed at the start of `bytes`, piece by piece; says how many bytes were packed.
///
/// # Errors
/// What is wrong, and what `give` says. What came before was given.
pub(super) fn unpack<E: From<PackError>>(
    bytes: &[u8],
    mut give: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<usize, E> {
    let mut packed = bytes;
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW.min(frames::stats().free as u64 * 4096 / SHARE));
    decoder.init(&mut packed).map_err(|why| problem_of_header(&why))?;
    let mut piece = Vec::new();
    piece.try_reserve_exact(PIECE).map_err(|_| error(PackProblem::NoMemory))?;
    piece.resize(PIECE, 0);
    loop {
        while decoder.can_collect() != 0 {
            let made = decoder.read(&mut piece).map_err(|_| error(PackProblem::Damaged))?;
            give(piece.get(..made).unwrap_or_default())?;
        }
        if decoder.is_finished() {
            break;
        }
        let is_short = packed.len() < BLOCK_HEADER_LEN;
        let one = BlockDecodingStrategy::UptoBlocks(1);
        decoder.decode_blocks(&mut packed, one).map_err(|_| {
            error(if is_short || packed.is_empty() { PackProblem::Truncated } else { PackProblem::Damaged })
        })?;
    }
    let expected = decoder.get_checksum_from_data();
    if expected.is_some() && expected != decoder.get_calculated_checksum() {
        return Err(error(PackProblem::Checksum).into());
    }
    Ok(bytes.len() - packed.len())
}

const BLOCK_HEADER_LEN: usize = 3;

fn problem_of_header(why: &FrameDecoderError) -> PackError {
    error(match why {
        FrameDecoderError::WindowSizeTooBig { .. } => PackProblem::NoMemory,
        _ => PackProblem::Header,
    })
}
