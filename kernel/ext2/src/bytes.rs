//! Little-endian numbers, bits and copies of byte slices.
//!
//! Bytes outside a slice read as zero and are not written, so that no number from a disk can make the reader panic; callers
//! check lengths where they mean something.

use abi::{Errno, Result};
use alloc::vec::Vec;

/// The 16-bit number at `at`.
pub(crate) fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(get(bytes, at))
}

/// The 32-bit number at `at`.
pub(crate) fn get32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(get(bytes, at))
}

/// `N` bytes at `at`.
pub(crate) fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(from) = at.checked_add(N).and_then(|end| bytes.get(at..end)) {
        out.copy_from_slice(from);
    }
    out
}

/// Stores a 16-bit number.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_le_bytes());
}

/// Stores a 32-bit number.
pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

/// Stores bytes.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(to) = at.checked_add(value.len()).and_then(|end| bytes.get_mut(at..end)) {
        to.copy_from_slice(value);
    }
}

/// The low 32 bits.
pub(crate) const fn low32(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The high 32 bits.
pub(crate) const fn high32(value: u64) -> u32 {
    low32(value >> 32)
}

/// The low 16 bits.
pub(crate) const fn low16(value: u32) -> u16 {
    let [a, b, ..] = value.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// The low 8 bits.
pub(crate) const fn low8(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

/// A length or an index as 32 bits; none of ours is larger.
pub(crate) fn to32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// So many zeroes.
pub(crate) fn zeroes(length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// A copy of bytes.
pub(crate) fn copy(from: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(from.len()).map_err(|_| Errno::ENOMEM)?;
    bytes.extend_from_slice(from);
    Ok(bytes)
}

fn byte_and_mask(bit: u32) -> (usize, u8) {
    (usize::try_from(bit / 8).unwrap_or(usize::MAX), 1 << (bit % 8))
}

/// Whether a bit is set.
pub(crate) fn test_bit(bits: &[u8], bit: u32) -> bool {
    let (byte, mask) = byte_and_mask(bit);
    bits.get(byte).is_some_and(|value| value & mask != 0)
}

/// Sets a bit; says whether it is there.
pub(crate) fn set_bit(bits: &mut [u8], bit: u32) -> bool {
    let (byte, mask) = byte_and_mask(bit);
    let Some(value) = bits.get_mut(byte) else { return false };
    *value |= mask;
    true
}

/// Clears a bit.
pub(crate) fn clear_bit(bits: &mut [u8], bit: u32) {
    let (byte, mask) = byte_and_mask(bit);
    if let Some(value) = bits.get_mut(byte) {
        *value &= !mask;
    }
}

/// Clears in `bits` what is set in `which`.
pub(crate) fn clear_bits(bits: &mut [u8], which: &[u8]) {
    bits.iter_mut().zip(which).for_each(|(bit, which)| *bit &= !which);
}
