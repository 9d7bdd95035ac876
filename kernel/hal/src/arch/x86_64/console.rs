//! Early output: the first serial port and the debug console of emulators.
//!
//! Polled, no interrupts. A port that is not there is found out once and skipped. Spec: NS16550A data sheet; QEMU
//! docs, "isa-debugcon".

use core::sync::atomic::{AtomicBool, Ordering};

use super::port;

const COM1: u16 = 0x3f8;
const DEBUG_CONSOLE: u16 = 0xe9;
const LINE_STATUS: u16 = COM1 + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Tries before a byte is given up: a stuck port must not stop the kernel.
const PATIENCE: u32 = 100_000;

static HAS_SERIAL: AtomicBool = AtomicBool::new(false);
static HAS_DEBUG_CONSOLE: AtomicBool = AtomicBool::new(false);

/// Finds the ports and sets the serial line to 115200 bits a second, 8N1, FIFOs on.
pub(crate) fn init() {
    HAS_DEBUG_CONSOLE.store(port::read8(DEBUG_CONSOLE) == 0xe9, Ordering::Relaxed);
    // The scratch register keeps what it is told; an absent port reads all ones.
    port::write8(COM1 + 7, 0x5a);
    if port::read8(COM1 + 7) != 0x5a {
        return;
    }
    for (register, value) in [(1, 0x00), (3, 0x80), (0, 0x01), (1, 0x00), (3, 0x03), (2, 0xc7), (4, 0x0b)] {
        port::write8(COM1 + register, value);
    }
    HAS_SERIAL.store(true, Ordering::Relaxed);
}

/// Sends bytes; a newline becomes carriage return and newline on the serial line.
pub(crate) fn put(bytes: &[u8]) {
    for &byte in bytes {
        if byte == b'\n' && HAS_SERIAL.load(Ordering::Relaxed) {
            put_serial(b'\r');
        }
        put_raw(&[byte]);
    }
}

/// Sends bytes as they are.
pub(crate) fn put_raw(bytes: &[u8]) {
    let (serial, debug) = (HAS_SERIAL.load(Ordering::Relaxed), HAS_DEBUG_CONSOLE.load(Ordering::Relaxed));
    for &byte in bytes {
        if debug {
            port::write8(DEBUG_CONSOLE, byte);
        }
        if serial {
            put_serial(byte);
        }
    }
}

fn put_serial(byte: u8) {
    for _ in 0..PATIENCE {
        if port::read8(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
            break;
        }
        super::cpu::relax();
    }
    port::write8(COM1, byte);
}
