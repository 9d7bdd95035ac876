//! The IO-APICs: which device interrupt goes to which vector of which CPU.
//!
//! Everything is masked until a driver asks. The legacy controllers are masked for good.
//! Spec: Intel 82093AA data sheet.

use super::{acpi, port};
use crate::mmio::Mmio;

const SELECT: u64 = 0;
const WINDOW: u64 = 0x10;
const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;

fn read(base: u64, register: u32) -> u32 {
    Mmio::<u32>::at(base, SELECT).write(register);
    Mmio::<u32>::at(base, WINDOW).read()
}

fn write(base: u64, register: u32, value: u32) {
    Mmio::<u32>::at(base, SELECT).write(register);
    Mmio::<u32>::at(base, WINDOW).write(value);
}

/// Silences the legacy controllers for good: moved off the exceptions' vectors, everything masked. Before the local
/// APIC masks its LINT0, or an interrupt that they already signal stays pending with nobody to ask for its vector.
pub(crate) fn mask_legacy() {
    const MASTER: u16 = 0x20;
    const SLAVE: u16 = 0xa0;
    for (controller, vector, cascade) in [(MASTER, 0x20, 4), (SLAVE, 0x28, 2)] {
        port::write8(controller, 0x11);
        port::write8(controller + 1, vector);
        port::write8(controller + 1, cascade);
        port::write8(controller + 1, 1);
        port::write8(controller + 1, 0xff);
    }
}

/// Masks every input of every controller.
pub(crate) fn init() {
    acpi::with_platform(|platform| {
        for controller in platform.io_apics() {
            let inputs = read(controller.base, VERSION) >> 16 & 0xff;
            for input in 0..=inputs {
                write(controller.base, REDIRECTION + input * 2, MASKED);
            }
        }
    });
}
