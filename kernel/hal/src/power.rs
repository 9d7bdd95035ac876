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

/// Resets the machine.
pub fn reset() -> ! {
    arch::power::reset()
}

/// Ends QEMU through its debug-exit device; returns where there is none.
pub fn exit_emulator(how: EmulatorExit) {
    arch::power::exit_emulator(how);
}
