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

/// Masks every input of every controller.
pub(crate) fn init() {
    for data in [0x21, 0xa1] {
        port::write8(data, 0xff);
    }
    acpi::with_platform(|platform| {
        for controller in platform.io_apics() {
            let inputs = read(controller.base, VERSION) >> 16 & 0xff;
            for input in 0..=inputs {
                write(controller.base, REDIRECTION + input * 2, MASKED);
            }
        }
    });
}
