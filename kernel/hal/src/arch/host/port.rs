//! No devices answer: reads give all ones, as from an empty bus.

/// Reads a byte.
pub(crate) fn read8(_port: u16) -> u8 {
    u8::MAX
}

/// Reads a 16-bit word.
pub(crate) fn read16(_port: u16) -> u16 {
    u16::MAX
}

/// Reads a 32-bit word.
pub(crate) fn read32(_port: u16) -> u32 {
    u32::MAX
}

/// Writes a byte, to nobody.
pub(crate) fn write8(_port: u16, _value: u8) {}

/// Writes a 16-bit word, to nobody.
pub(crate) fn write16(_port: u16, _value: u16) {}

/// Writes a 32-bit word, to nobody.
pub(crate) fn write32(_port: u16, _value: u32) {}
