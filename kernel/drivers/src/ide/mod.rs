//! IDE: two channels with two drives each, as the PIIX chips of old PCs have them.
//!
//! Each drive is a disk of its own to the queues above; a channel does one command after the other. Data moves by bus-master
//! DMA, and by the processor where the drive or an address cannot. CD drives are noticed and left alone. Modules,
//! lowest first:
//! - `registers`: a channel's ports.
//! - `channel`: a channel with its drives.
//!
//! Lock: rank `Device`, around the state of each channel; commands are finished without it.
//! Spec: ATA/ATAPI-6; Intel 82371SB (PIIX3); Programming Interface for Bus Master IDE Controller 1.0.

mod channel;
mod registers;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::context::Kind;
use hal::pci::Function;
use logic::pci::PciId;
use logic::runq::Policy;
use nucleus::block::{self, Family, Probe};
use nucleus::irq;
use nucleus::sched::{self, Thread};
use nucleus::{info, warning};

use channel::{Channel, Drive};
use registers::{Registers, Unit};

const CLASS: (u8, u8) = (1, 1);
/// Bits of the interface: the channel is not where it always was.
const NATIVE: [u8; 2] = [1, 4];
const INTERFACE_MASTER: u8 = 1 << 7;
/// The register with the bus-master ports.
const MASTER: u8 = 4;
/// First ports and interrupts since the first PC with a hard disk.
const PLACES: [(u16, u16, u8); 2] = [(0x1f0, 0x3f6, 14), (0x170, 0x376, 15)];

/// Whether it is one.
pub fn matches(id: &PciId) -> bool {
    (id.class.0, id.class.1) == CLASS
}

/// Starts a controller; a thread looks for its drives.
///
/// # Errors
/// ENODEV if nothing is connected or its channels are elsewhere; ENOMEM.
pub fn probe(function: Function) -> Result<()> {
    let interface = function.id().class.2;
    function.enable();
    let master = if interface & INTERFACE_MASTER != 0 { function.ports(MASTER).ok() } else { None };
    let mut channels = Vec::new();
    channels.try_reserve_exact(PLACES.len()).map_err(|_| Errno::ENOMEM)?;
    for (index, (native, (first, control, interrupt))) in (0_u16..).zip(NATIVE.into_iter().zip(PLACES)) {
        if interface & native != 0 {
            info!("IDE channel {index} at {} is in native mode; left alone", function.address());
            continue;
        }
        let registers = Registers::claim(first, control, master.as_ref(), index)?;
        if registers.is_connected() {
            channels.push(Channel::new(function.address(), index, registers, interrupt)?);
        }
    }
    if channels.is_empty() {
        info!("IDE at {}: no drives", function.address());
        return Ok(());
    }
    // For ever, as their interrupts.
    Box::leak(Box::new(function));
    let probe = Probe::begin();
    let thread = Thread::new("ide", Kind::Kernel, Policy::default(), move || {
        channels.iter().for_each(find_drives);
        drop(probe);
    })?;
    sched::start(&thread);
    Ok(())
}

fn find_drives(channel: &Arc<Channel>) {
    let number = channel.number();
    let mut found = Vec::new();
    for unit in [Unit::First, Unit::Second] {
        match channel.identify(unit) {
            Ok(Some(disk)) => found.push((unit, disk)),
            Ok(None) => {}
            Err(Errno::ENOTBLK) => {
                info!("IDE channel {number}: a CD drive or the like; left alone");
            }
            Err(error) => warning!("IDE channel {number}: a drive does not answer: {error}"),
        }
    }
    if found.is_empty() {
        return;
    }
    let handler: &'static Arc<Channel> = Box::leak(Box::new(channel.clone()));
    if let Err(error) = irq::connect_isa(channel.interrupt_number(), 0, &**handler) {
        return warning!("IDE channel {number}: no interrupt: {error}");
    }
    channel.allow_interrupts();
    for (unit, disk) in found {
        let drive = Arc::new(Drive::new(channel.clone(), unit, disk.clone()));
        if let Err(error) = block::register(Family::Scsi, drive, disk.model()) {
            warning!("IDE channel {number}: the disk is left out: {error}");
        }
    }
}
