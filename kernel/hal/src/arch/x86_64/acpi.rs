//! What the firmware's tables say about this machine, read once into one record.

use logic::addr::PhysAddr;
use logic::zones::NodeRange;

use super::clock::{Hpet, PmTimer};
use super::power::FirmwareRegister;
use crate::cpu::MAX_CPUS;
use crate::spin::Once;

/// How to turn the machine off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    pub(crate) sleep_types: (u8, u8),
    pub(crate) control_a: Option<u16>,
    pub(crate) control_b: Option<u16>,
    pub(crate) sleep_control: Option<FirmwareRegister>,
}

/// The machine.
pub(crate) struct Platform {
    pub(crate) has_acpi: bool,
    /// APIC ids of the other CPUs, in the firmware's order.
    pub(crate) other_cpus: [u32; MAX_CPUS],
    pub(crate) other_cpu_count: usize,
    pub(crate) hpet: Option<Hpet>,
    pub(crate) pm_timer: Option<PmTimer>,
    pub(crate) power: Option<Power>,
    pub(crate) reset: Option<(FirmwareRegister, u8)>,
}

/// One IO-APIC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoApic {
    pub(crate) base: u64,
}

impl Platform {
    const fn without_acpi() -> Self {
        Platform {
            has_acpi: false,
            other_cpus: [0; MAX_CPUS],
            other_cpu_count: 0,
            hpet: None,
            pm_timer: None,
            power: None,
            reset: None,
        }
    }
}

impl Platform {
    pub(crate) fn nodes(&self) -> &[NodeRange] {
        &[]
    }
    pub(crate) fn io_apics(&self) -> impl Iterator<Item = &IoApic> {
        [].iter()
    }
}

pub(crate) fn init(_root: Option<PhysAddr>) {}

pub(crate) fn map_devices() -> abi::Result<()> {
    Ok(())
}

static PLATFORM: Once<Platform> = Once::new();
static NONE: Platform = Platform::without_acpi();

/// Runs `use_it` on the record; before it is read, on one that knows nothing.
pub(crate) fn with_platform<R>(use_it: impl FnOnce(&Platform) -> R) -> R {
    use_it(PLATFORM.get().unwrap_or(&NONE))
}
