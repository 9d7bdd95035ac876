//! The IO-APICs: which device interrupt goes to which vector of which CPU.
//!
//! Everything is masked until a driver asks. The legacy controllers are masked for good. Lock: rank `Device`, around the
//! pair of registers.
//! Spec: Intel 82093AA data sheet.

use core::sync::atomic::{AtomicU8, Ordering};

use abi::{Errno, Result};
use logic::acpi::madt::{Polarity, Trigger};

use super::traps::{VECTOR_DEVICES, VECTOR_DEVICES_END};
use super::{acpi, local, port};
use crate::irq::Line;
use crate::mmio::Mmio;
use crate::rank;
use crate::spin::Lock;

const SELECT: u64 = 0;
const WINDOW: u64 = 0x10;
const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;
const MASKED: u32 = 1 << 16;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;

/// Held between the two registers through which all others are reached.
static REGISTERS: Lock<(), rank::Device> = Lock::new(());

fn read(base: u64, register: u32) -> u32 {
    let _registers = REGISTERS.lock();
    Mmio::<u32>::at(base, SELECT).write(register);
    Mmio::<u32>::at(base, WINDOW).read()
}

fn write(base: u64, register: u32, value: u32) {
    let _registers = REGISTERS.lock();
    Mmio::<u32>::at(base, SELECT).write(register);
    Mmio::<u32>::at(base, WINDOW).write(value);
}

/// Silences the legacy controllers for good: moved off the exceptions' vectors, everything masked. Before the local
/// APIC masks its LINT0, or an interrupt that they already signal stays pending with nobody to ask for its vector.
pub(crate) fn mask_legacy() {
    const MASTER: u16 = 0x20;
    const SLAVE: u16 = 0xa0;
    for (controller, vector, cascade) in [(MASTER, 0x20, 4), (SLAVE, 0x28, 2)] {
        port::write8(controller, 0x11);
        port::write8(controller + 1, vector);
        port::write8(controller + 1, cascade);
        port::write8(controller + 1, 1);
        port::write8(controller + 1, 0xff);
    }
}

/// Masks every input of every controller.
pub(crate) fn init() {
    acpi::with_platform(|platform| {
        for controller in platform.io_apics() {
            let inputs = read(controller.base, VERSION) >> 16 & 0xff;
            for input in 0..=inputs {
                write(controller.base, REDIRECTION + input * 2, MASKED);
            }
        }
    });
}

/// The next vector nobody has.
static NEXT_VECTOR: AtomicU8 = AtomicU8::new(VECTOR_DEVICES);

/// A vector nobody has, and the APIC of the CPU that is to get it, as devices name it.
///
/// # Errors
/// ENODEV if the CPU is not up; ENOSPC if all vectors are taken.
pub(crate) fn allocate_vector(cpu: usize) -> Result<(u8, u32)> {
    let target = local::apic_id_of(cpu).filter(|&id| id < 255).ok_or(Errno::ENODEV)?;
    let vector = NEXT_VECTOR
        .try_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (next < VECTOR_DEVICES_END).then(|| next + 1)
        })
        .map_err(|_| Errno::ENOSPC)?;
    Ok((vector, target))
}

/// Lets ISA interrupt `number` arrive at CPU `cpu`, on a vector of its own, which is returned.
///
/// # Errors
/// ENODEV if no IO-APIC has the input or the CPU is not up; ENOSPC if all vectors are taken.
pub(crate) fn route_isa(number: u8, cpu: usize, line: Line) -> Result<u8> {
    let route = acpi::with_platform(|platform| platform.isa_route(number)).ok_or(Errno::ENODEV)?;
    // An ISA bus, where the firmware does not say otherwise, is edge-triggered and active high.
    let mut signalling = 0;
    if route.signalling.polarity == Polarity::Low {
        signalling |= ACTIVE_LOW;
    }
    if route.signalling.trigger == Trigger::Level || line == Line::Pci {
        signalling |= LEVEL;
    }
    route_to(route.input, signalling, cpu)
}

/// Lets an input arrive at CPU `cpu`: one of the ISA bus as the firmware says, any other level-triggered and active high.
///
/// # Errors
/// As `route_isa`.
pub(crate) fn route_input(number: u32, cpu: usize) -> Result<u8> {
    match u8::try_from(number) {
        Ok(isa @ 0..16) => route_isa(isa, cpu, Line::Pci),
        _ => route_to(number, LEVEL, cpu),
    }
}

fn route_to(input: u32, signalling: u32, cpu: usize) -> Result<u8> {
    acpi::with_platform(|platform| {
        let controllers = platform.io_apics().filter(|controller| controller.first <= input);
        let controller = controllers.max_by_key(|controller| controller.first).ok_or(Errno::ENODEV)?;
        let number = input - controller.first;
        if number > read(controller.base, VERSION) >> 16 & 0xff {
            return Err(Errno::ENODEV);
        }
        let (vector, target) = allocate_vector(cpu)?;
        let register = REDIRECTION + number * 2;
        write(controller.base, register + 1, target << 24);
        write(controller.base, register, u32::from(vector) | signalling);
        Ok(vector)
    })
}
