//! The power button, where ACPI's fixed hardware has one: it interrupts, and a thread asks how often it was pressed.
//!
//! No lock. Spec: ACPI 6.5, section 4.8.2.2.1.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use hal::power;
use nucleus::irq::{self, IrqHandler};
use nucleus::sched::{Wait, WaitQueue};

/// The button.
pub struct PowerButton {
    presses: AtomicU32,
    pressed: WaitQueue,
}

static BUTTON: PowerButton = PowerButton { presses: AtomicU32::new(0), pressed: WaitQueue::new() };

/// Lets the button interrupt CPU `cpu`. To be called once.
///
/// # Errors
/// ENODEV if there is none; what `irq::connect_isa` says.
pub fn start(cpu: usize) -> Result<&'static PowerButton> {
    let interrupt = power::button_interrupt().ok_or(Errno::ENODEV)?;
    irq::connect_isa(interrupt, cpu, &BUTTON)?;
    power::arm_button();
    Ok(&BUTTON)
}

impl PowerButton {
    /// Waits until it is pressed.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn wait(&self) -> Result<()> {
        self.pressed.block_until(Wait::UNINTERRUPTIBLE, || {
            if self.presses.swap(0, Ordering::AcqRel) != 0 { Ok(()) } else { Err(Errno::EAGAIN) }
        })
    }
}

impl IrqHandler for PowerButton {
    fn interrupt(&self) {
        if power::was_button_pressed() {
            self.presses.fetch_add(1, Ordering::Release);
            self.pressed.wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_button_says_so() {
        assert_eq!(start(0).err(), Some(Errno::ENODEV));
    }
}
