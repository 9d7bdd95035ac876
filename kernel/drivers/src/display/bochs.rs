//! The display of Bochs and QEMU (`-vga std`, `-device bochs-display`): a mode is three numbers.
//!
//! Spec: QEMU, docs/specs/standard-vga.rst. Registers of 16 bits lie at 0x500 in the second memory; those of the VGA that
//! it also is, at 0x400.

use abi::{Errno, Result};
use hal::mmio::{Mmio, Window};
use hal::pci::Function;
use logic::pci::PciId;

use super::Display;

const MEMORY: u8 = 0;
const REGISTERS: u8 = 2;
/// VGA port 0x3c0, the attribute controller: its index register also switches the picture on.
const ATTRIBUTE: u64 = 0x400;
const PICTURE_ON: u8 = 0x20;
const MODE: u64 = 0x500;
/// Identification of the first version, and of the family.
const FAMILY: u16 = 0xb0c0;
const ENABLED: u16 = 1;
const LINEAR: u16 = 0x40;

/// Registers, by number.
#[derive(Clone, Copy)]
enum Register {
    Identification = 0,
    Width = 1,
    Height = 2,
    Depth = 3,
    Enable = 4,
    Bank = 5,
    VirtualWidth = 6,
    VirtualHeight = 7,
    OffsetX = 8,
    OffsetY = 9,
}

pub(super) fn matches(id: &PciId) -> bool {
    (id.vendor, id.device) == (0x1234, 0x1111)
}

fn register(window: &Window, register: Register) -> Result<Mmio<u16>> {
    window.register(MODE + register as u64 * 2)
}

/// Switches to a picture of `width` by `height`.
///
/// # Errors
/// ENODEV if it is another device; ENOSPC if its memory is too small; what mapping it says.
pub(super) fn start(function: Function, (width, height): (u16, u16)) -> Result<Display> {
    function.enable();
    let window = function.window(REGISTERS)?;
    if register(&window, Register::Identification)?.read() & 0xfff0 != FAMILY {
        return Err(Errno::ENODEV);
    }
    let pixels = function.pixels(MEMORY)?;
    let stride = usize::from(width);
    if pixels.len() < stride * usize::from(height) {
        return Err(Errno::ENOSPC);
    }
    // Without the VGA part this register is not there, and does nothing.
    window.register::<u8>(ATTRIBUTE)?.write(PICTURE_ON);
    for (number, value) in [
        (Register::Enable, 0),
        (Register::Bank, 0),
        (Register::Width, width),
        (Register::Height, height),
        (Register::Depth, 32),
        (Register::VirtualWidth, width),
        (Register::VirtualHeight, height),
        (Register::OffsetX, 0),
        (Register::OffsetY, 0),
        (Register::Enable, ENABLED | LINEAR),
    ] {
        register(&window, number)?.write(value);
    }
    if register(&window, Register::Width)?.read() != width {
        return Err(Errno::ENODEV);
    }
    // For good: dropped, it would answer no more.
    core::mem::forget(function);
    Ok(Display { pixels, name: "bochs-drm", width: stride, height: usize::from(height), stride })
}
