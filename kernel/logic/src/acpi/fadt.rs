//! Fixed registers: the FADT (ACPI 6.5, section 5.2.9).

use super::table::{AcpiError, Fields, Table};
use crate::addr::PhysAddr;

/// Length in ACPI 1.0. Each later version is longer; what a table is too short for, it does not have.
const FIRST_VERSION_BYTES: usize = 116;

const FLAG_TIMER_32_BIT: u32 = 1 << 8;
const FLAG_RESET_REGISTER: u32 = 1 << 10;
const FLAG_HARDWARE_REDUCED: u32 = 1 << 20;

/// Where a register is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// In memory.
    Memory,
    /// At an I/O port.
    Port,
}

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register {
    /// Where it is.
    pub space: Space,
    /// Its address or port.
    pub address: u64,
    /// Its width in bits; zero when the firmware does not say.
    pub width_bits: u8,
}

/// The power management timer, 3.579545 MHz.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmTimer {
    /// Where it is.
    pub register: Register,
    /// Bits it counts in: 24 or 32.
    pub counter_bits: u8,
}

/// How to reset the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// The register to write.
    pub register: Register,
    /// What to write.
    pub value: u8,
}

/// How to take the fixed registers over from the firmware.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModeSwitch {
    /// The port to write.
    pub port: u32,
    /// What to write; bit 0 of the PM1 control register becomes set when it has worked.
    pub enable: u8,
}

/// What legacy hardware a PC has (IAPC_BOOT_ARCH, table 5.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct LegacyHardware(u16);

impl LegacyHardware {
    /// Whether there is a keyboard controller.
    pub const fn has_8042(self) -> bool {
        self.0 & 1 << 1 != 0
    }

    /// Whether a VGA may be looked for.
    pub const fn has_vga(self) -> bool {
        self.0 & 1 << 2 == 0
    }

    /// Whether there is a CMOS clock.
    pub const fn has_cmos_clock(self) -> bool {
        self.0 & 1 << 5 == 0
    }
}

/// The fixed registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fadt {
    /// The DSDT.
    pub dsdt: PhysAddr,
    /// The interrupt of power buttons and the like.
    pub sci_interrupt: u16,
    /// How to switch to ACPI mode; `None` when the machine is always in it.
    pub mode_switch: Option<ModeSwitch>,
    /// Where the sleep type goes.
    pub pm1a_control: Option<Register>,
    /// Where it goes too.
    pub pm1b_control: Option<Register>,
    /// Where events of fixed hardware are told; the second half of it enables them.
    pub pm1a_event: Option<Register>,
    /// The power management timer.
    pub pm_timer: Option<PmTimer>,
    /// How to reset the machine.
    pub reset: Option<Reset>,
    /// Where the sleep type goes on hardware-reduced machines.
    pub sleep_control: Option<Register>,
    /// Where those report waking up.
    pub sleep_status: Option<Register>,
    /// Whether the machine has no PM1 registers and no PM timer.
    pub is_hardware_reduced: bool,
    /// The CMOS register of the century.
    pub century_index: Option<u8>,
    /// What legacy hardware there is; `None` before ACPI 2.0, when all PCs had all of it.
    pub legacy_hardware: Option<LegacyHardware>,
}

impl Fadt {
    /// Decodes the table. Of registers given twice the 64-bit form counts unless it is zero.
    ///
    /// # Errors
    /// `TooShort`.
    pub fn parse(table: &Table<'_>) -> Result<Self, AcpiError> {
        table.require(FIRST_VERSION_BYTES)?;
        let fields = table.fields();
        let flags = fields.word(112).unwrap_or(0);
        let is_hardware_reduced = flags & FLAG_HARDWARE_REDUCED != 0;
        // The fixed registers of a hardware-reduced machine are to be ignored, whatever stands there (5.2.9).
        let fixed = |extended, plain, bits| {
            if is_hardware_reduced { None } else { register(fields, extended, plain, bits) }
        };
        let counter_bits = if flags & FLAG_TIMER_32_BIT != 0 { 32 } else { 24 };
        Ok(Self {
            dsdt: dsdt(fields),
            sci_interrupt: fields.half(46).unwrap_or(0),
            mode_switch: mode_switch(fields),
            pm1a_control: fixed(172, 64, fields.byte(89)),
            pm1b_control: fixed(184, 68, fields.byte(89)),
            pm1a_event: fixed(148, 56, fields.byte(88)),
            pm_timer: fixed(208, 76, fields.byte(91)).map(|register| PmTimer { register, counter_bits }),
            reset: if flags & FLAG_RESET_REGISTER != 0 { reset(fields) } else { None },
            sleep_control: generic_address(fields, 244),
            sleep_status: generic_address(fields, 256),
            is_hardware_reduced,
            century_index: fields.byte(108).filter(|&index| index != 0),
            legacy_hardware: if table.revision() >= 2 { fields.half(109).map(LegacyHardware) } else { None },
        })
    }
}

fn dsdt(fields: Fields<'_>) -> PhysAddr {
    let extended = fields.long(140).filter(|&address| address != 0);
    PhysAddr::new(extended.unwrap_or(fields.word(40).unwrap_or(0).into()))
}

fn mode_switch(fields: Fields<'_>) -> Option<ModeSwitch> {
    let (port, enable) = (fields.word(48)?, fields.byte(52)?);
    (port != 0 && enable != 0).then_some(ModeSwitch { port, enable })
}

fn reset(fields: Fields<'_>) -> Option<Reset> {
    Some(Reset { register: generic_address(fields, 116)?, value: fields.byte(128)? })
}

/// A register that is given as generic address at `extended`, as port at `plain`, or not at all.
fn register(fields: Fields<'_>, extended: usize, plain: usize, length_bytes: Option<u8>) -> Option<Register> {
    let port = || {
        let address = fields.word(plain).filter(|&port| port != 0)?.into();
        Some(Register { space: Space::Port, address, width_bits: length_bytes?.saturating_mul(8) })
    };
    generic_address(fields, extended).or_else(port)
}

/// A generic address structure (5.2.3.2); `None` when it is absent, zero or in a space we cannot reach.
pub(super) fn generic_address(fields: Fields<'_>, offset: usize) -> Option<Register> {
    let space = match fields.byte(offset)? {
        0 => Space::Memory,
        1 => Space::Port,
        _ => return None,
    };
    let address = fields.long(offset + 4).filter(|&address| address != 0)?;
    Some(Register { space, address, width_bits: fields.byte(offset + 1)? })
}
