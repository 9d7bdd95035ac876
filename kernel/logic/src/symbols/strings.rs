//! Reading primitives: bounded numbers and front-coded strings.

use super::STRINGS_PER_BLOCK;

/// Reads a byte string front to back; every step may find the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts `offset` bytes in.
    pub(super) fn at(bytes: &'a [u8], offset: u32) -> Option<Self> {
        let offset = usize::try_from(offset).ok()?;
        bytes.get(offset..).map(|rest| Self { rest })
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    /// An unsigned LEB128 number of at most 32 bits.
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).ok();
            }
        }
        None
    }

    /// A signed number, stored with its sign in the lowest bit.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let coded = self.unsigned()?;
        let magnitude = i64::from(coded >> 1);
        Some(if coded & 1 == 0 { magnitude } else { -magnitude - 1 })
    }
}

/// The u32 at index `index` of an array of them.
pub(super) fn word(array: &[u8], index: usize) -> Option<u32> {
    let (words, _) = array.as_chunks::<4>();
    words.get(index).map(|word| u32::from_le_bytes(*word))
}

/// Decodes string `number` of a front-coded table into `buffer`; what does not fit is cut.
pub(super) fn decode<'b>(index: &[u8], table: &[u8], number: u32, buffer: &'b mut [u8]) -> Option<&'b str> {
    let number = usize::try_from(number).ok()?;
    let mut cursor = Cursor::at(table, word(index, number / STRINGS_PER_BLOCK)?)?;
    let mut len = 0;
    for _ in 0..=number % STRINGS_PER_BLOCK {
        let shared = usize::try_from(cursor.unsigned()?).ok()?.min(len);
        let own = cursor.unsigned()?;
        let own = cursor.bytes(usize::try_from(own).ok()?)?;
        let room = buffer.get_mut(shared..)?;
        let fitting = own.len().min(room.len());
        room.get_mut(..fitting)?.copy_from_slice(own.get(..fitting)?);
        len = shared + fitting;
    }
    valid_prefix(buffer.get(..len)?)
}

fn valid_prefix(bytes: &[u8]) -> Option<&str> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => core::str::from_utf8(bytes.get(..error.valid_up_to())?).ok(),
    }
}
