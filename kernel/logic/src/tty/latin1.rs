//! Classes of bytes, taken for ISO 8859-1 as everywhere in Linux.

const SHIFT: u8 = b'a' - b'A';

pub(super) const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control()
}

/// 0xd7 is the multiplication sign, 0xf7 the division sign.
const fn is_upper(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..=0xde)
}

const fn is_lower(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | 0xdf..=0xf6 | 0xf8..=0xff)
}

/// Whether the byte is a part of a word.
pub(super) const fn is_word(byte: u8) -> bool {
    is_upper(byte) || is_lower(byte) || byte.is_ascii_digit() || byte == b'_'
}

pub(super) const fn to_lower(byte: u8) -> u8 {
    if is_upper(byte) { byte + SHIFT } else { byte }
}

/// Makes 0xdf and 0xff, which have no capital letters, something else: as Linux.
pub(super) const fn to_upper(byte: u8) -> u8 {
    if is_lower(byte) { byte - SHIFT } else { byte }
}

/// Whether the byte continues a character in UTF-8.
pub(super) const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
