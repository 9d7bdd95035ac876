//! I/O ports, the old way to reach devices.

use core::arch::asm;

/// Reads a byte.
#[inline]
pub(crate) fn read8(port: u16) -> u8 {
    let value;
    // SAFETY: port reads cannot break memory safety of the kernel: no device here masters the bus on a read.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes a byte.
#[inline]
pub(crate) fn write8(port: u16, value: u8) {
    // SAFETY: callers are this crate's drivers of legacy devices, none of which starts DMA, and `crate::port`,
    // which keeps ports that do to itself.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

/// Reads a 16-bit word.
#[inline]
pub(crate) fn read16(port: u16) -> u16 {
    let value;
    // SAFETY: as `read8`.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes a 16-bit word.
#[inline]
pub(crate) fn write16(port: u16, value: u16) {
    // SAFETY: as `write8`.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags)) };
}

/// Reads a 32-bit word.
#[inline]
pub(crate) fn read32(port: u16) -> u32 {
    let value;
    // SAFETY: as `read8`.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes a 32-bit word.
#[inline]
pub(crate) fn write32(port: u16, value: u32) {
    // SAFETY: as `write8`.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags)) };
}
