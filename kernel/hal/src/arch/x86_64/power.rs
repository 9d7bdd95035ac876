//! Power off through ACPI, reset through ACPI, the keyboard controller or a triple fault; QEMU's debug exit.
//!
//! Spec: ACPI 6.5, section 4.8.3 (fixed hardware) and 4.8.3.7 (sleep control register).

use x86_64::VirtAddr;
use x86_64::structures::DescriptorTablePointer;

use super::acpi::{self, Power};
use super::port;
use crate::mmio::Mmio;
use crate::power::EmulatorExit;

const ACPI_ENABLED: u16 = 1;
const SLEEP_ENABLE: u16 = 1 << 13;
const DEBUG_EXIT: u16 = 0xf4;
const KEYBOARD_COMMAND: u16 = 0x64;
const KEYBOARD_RESET: u8 = 0xfe;

/// In the status register and, two ports on, in that which enables: the power button.
const BUTTON: u16 = 1 << 8;

/// Takes the fixed registers over from the firmware.
fn enter_acpi_mode(power: &Power) {
    if let (Some((port, enable)), Some(control)) = (power.mode_switch, power.control_a)
        && port::read16(control) & ACPI_ENABLED == 0
    {
        port::write8(port, enable);
    }
}

/// The interrupt of the power button.
pub(crate) fn button_interrupt() -> Option<u8> {
    acpi::with_platform(|platform| platform.power.as_ref().filter(|power| power.event.is_some())?.interrupt)
}

/// Lets the button interrupt, and nothing else of the fixed hardware.
pub(crate) fn arm_button() {
    acpi::with_platform(|platform| {
        let Some(power) = &platform.power else { return };
        let Some(event) = power.event else { return };
        enter_acpi_mode(power);
        port::write16(event, BUTTON);
        port::write16(event + 2, BUTTON);
    });
}

/// Whether the button was pressed since; clears what is told.
pub(crate) fn was_button_pressed() -> bool {
    acpi::with_platform(|platform| {
        let Some(event) = platform.power.as_ref().and_then(|power| power.event) else { return false };
        let status = port::read16(event);
        // Bits are cleared by ones.
        port::write16(event, status);
        status & BUTTON != 0
    })
}

/// Turns the machine off; returns only if it cannot be.
pub(crate) fn off() {
    acpi::with_platform(|platform| {
        let Some(power) = &platform.power else { return };
        let (type_a, type_b) = power.sleep_types;
        enter_acpi_mode(power);
        if let Some(register) = power.sleep_control {
            // SLP_TYP in bits 2-4, SLP_EN bit 5.
            register.write8(type_a << 2 | 1 << 5);
        }
        if let Some(control) = power.control_a {
            port::write16(control, u16::from(type_a) << 10 | SLEEP_ENABLE);
        }
        if let Some(control) = power.control_b {
            port::write16(control, u16::from(type_b) << 10 | SLEEP_ENABLE);
        }
    });
}

/// Resets the machine, one way or another.
pub(crate) fn reset() -> ! {
    acpi::with_platform(|platform| {
        if let Some((register, value)) = platform.reset {
            register.write8(value);
        }
    });
    port::write8(KEYBOARD_COMMAND, KEYBOARD_RESET);
    triple_fault()
}

/// Without a table no exception can be delivered, nor can the faults that follow from that: the CPU shuts down, upon
/// which machines reset (SDM volume 3, section 6.15, "Double Fault Exception").
fn triple_fault() -> ! {
    // SAFETY: nothing is left to run that could want an exception delivered.
    unsafe {
        x86_64::instructions::tables::lidt(&DescriptorTablePointer { limit: 0, base: VirtAddr::zero() })
    };
    x86_64::instructions::interrupts::int3();
    super::cpu::halt_forever()
}

/// Writes to QEMU's `isa-debug-exit`; a machine without it ignores the write.
pub(crate) fn exit_emulator(how: EmulatorExit) {
    let code = match how {
        EmulatorExit::Success => 0x10,
        EmulatorExit::Failure => 0x11,
        EmulatorExit::Panic => 0x12,
        EmulatorExit::BootFailed => 0x13,
    };
    port::write8(DEBUG_EXIT, code);
}

/// An 8-bit register that firmware named: a port, or memory that was mapped when its table was read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FirmwareRegister {
    Port(u16),
    Memory(Mmio<u8>),
}

impl FirmwareRegister {
    fn write8(self, value: u8) {
        match self {
            FirmwareRegister::Port(number) => port::write8(number, value),
            FirmwareRegister::Memory(register) => register.write(value),
        }
    }
}
