//! A test process cannot be turned off.

use crate::power::EmulatorExit;

/// Returns: the machine cannot be turned off.
pub(crate) fn off() {}

/// Ends the test.
///
/// # Panics
/// Always.
pub(crate) fn reset() -> ! {
    panic!("the simulated machine was reset")
}

/// There is no emulator.
pub(crate) fn exit_emulator(_how: EmulatorExit) {}
