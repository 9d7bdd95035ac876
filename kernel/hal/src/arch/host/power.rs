//! A test process cannot be turned off.

use crate::power::EmulatorExit;

/// Returns: the machine cannot be turned off.
pub(crate) fn off() {}

/// There is no button.
pub(crate) fn button_interrupt() -> Option<u8> {
    None
}

/// There is no button.
pub(crate) fn arm_button() {}

/// There is no button.
pub(crate) fn was_button_pressed() -> bool {
    false
}

/// Ends the test.
///
/// # Panics
/// Always.
pub(crate) fn reset() -> ! {
    panic!("the simulated machine was reset")
}

/// There is no emulator.
pub(crate) fn exit_emulator(_how: EmulatorExit) {}
