//! Power off, reset, and the exit of an emulator under test.

use crate::arch;

/// How a test ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmulatorExit {
    /// All tests passed.
    Success,
    /// Some failed.
    Failure,
    /// The kernel panicked.
    Panic,
    /// The kernel could not boot.
    BootFailed,
}

/// Turns the machine off; returns only if it cannot be.
pub fn off() {
    arch::power::off();
}

/// The ISA interrupt of the power button, where it is fixed hardware of ACPI.
pub fn button_interrupt() -> Option<u8> {
    arch::power::button_interrupt()
}

/// Lets the power button interrupt.
pub fn arm_button() {
    arch::power::arm_button();
}

/// Whether the power button was pressed since this was asked: what its interrupt asks.
pub fn was_button_pressed() -> bool {
    arch::power::was_button_pressed()
}

/// Resets the machine.
pub fn reset() -> ! {
    arch::power::reset()
}

/// Ends QEMU through its debug-exit device; returns where there is none.
pub fn exit_emulator(how: EmulatorExit) {
    arch::power::exit_emulator(how);
}
