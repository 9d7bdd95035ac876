//! Registers of the controller and of a port.

use abi::{Errno, Result};
use hal::dma::BusAddress;
use hal::mmio::{Mmio, Window};
use nucleus::sched;

const CAPABILITIES: u64 = 0x00;
const CONTROL: u64 = 0x04;
const INTERRUPTS: u64 = 0x08;
const IMPLEMENTED: u64 = 0x0c;
const CAPABILITIES_2: u64 = 0x24;
const HANDOFF: u64 = 0x28;

const CONTROL_INTERRUPTS: u32 = 1 << 1;
const CONTROL_AHCI: u32 = 1 << 31;
const CAPABLE_QUEUE: u32 = 1 << 30;
const CAPABLE_WIDE: u32 = 1 << 31;
const CAPABLE_HANDOFF: u32 = 1;
const HANDOFF_BIOS: u32 = 1;
const HANDOFF_SYSTEM: u32 = 1 << 1;

const FIRST_PORT: u64 = 0x100;
const PORT_LEN: u64 = 0x80;
const LINK_IS_UP: u32 = 3;

/// The controller's.
pub(super) struct Controller {
    capabilities: u32,
    control: Mmio<u32>,
    interrupts: Mmio<u32>,
    implemented: u32,
    handoff: Option<Mmio<u32>>,
}

impl Controller {
    pub(super) fn new(window: &Window) -> Result<Self> {
        let at = |offset| window.register::<u32>(offset);
        let has_handoff = at(CAPABILITIES_2)?.read() & CAPABLE_HANDOFF != 0;
        Ok(Controller {
            capabilities: at(CAPABILITIES)?.read(),
            control: at(CONTROL)?,
            interrupts: at(INTERRUPTS)?,
            implemented: at(IMPLEMENTED)?.read(),
            handoff: if has_handoff { Some(at(HANDOFF)?) } else { None },
        })
    }

    /// From the firmware, and out of the mode in which it plays an IDE controller.
    ///
    /// # Errors
    /// EBUSY if the firmware keeps it.
    pub(super) fn take_over(&self) -> Result<()> {
        if let Some(handoff) = self.handoff {
            handoff.write(handoff.read() | HANDOFF_SYSTEM);
            wait(2000, || handoff.read() & HANDOFF_BIOS == 0).map_err(|_| Errno::EBUSY)?;
        }
        self.control.write(self.control.read() | CONTROL_AHCI);
        self.control.write(self.control.read() & !CONTROL_INTERRUPTS);
        Ok(())
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = u8> + use<> {
        let implemented = self.implemented;
        (0..32).filter(move |number| implemented >> number & 1 != 0)
    }

    /// Whether anything is at a port. The firmware has brought the links up.
    pub(super) fn has_link(&self, window: &Window, number: u8) -> bool {
        let status = window.register::<u32>(FIRST_PORT + u64::from(number) * PORT_LEN + PORT_LINK);
        status.is_ok_and(|status| status.read() & 0xf == LINK_IS_UP)
    }

    /// Commands that a port holds.
    pub(super) fn slots(&self) -> usize {
        (self.capabilities >> 8 & 31) as usize + 1
    }

    pub(super) fn has_queue(&self) -> bool {
        self.capabilities & CAPABLE_QUEUE != 0
    }

    pub(super) fn reaches_everything(&self) -> bool {
        self.capabilities & CAPABLE_WIDE != 0
    }

    pub(super) fn allow_interrupts(&self) {
        self.control.write(self.control.read() | CONTROL_INTERRUPTS);
    }

    pub(super) fn pending(&self) -> u32 {
        self.interrupts.read()
    }

    pub(super) fn acknowledge(&self, ports: u32) {
        self.interrupts.write(ports);
    }
}

/// Waits up to `limit_ms` for something that the device does; only a thread may. The first looks are at once.
///
/// # Errors
/// ETIMEDOUT.
pub(super) fn wait(limit_ms: u32, is_done: impl Fn() -> bool) -> Result<()> {
    if (0..100).any(|_| is_done()) {
        return Ok(());
    }
    for _ in 0..limit_ms {
        sched::sleep_ns(1_000_000)?;
        if is_done() {
            return Ok(());
        }
    }
    Err(Errno::ETIMEDOUT)
}

const PORT_LINK: u64 = 0x28;

/// A command failed, or the port did.
pub(super) const INTERRUPT_ERRORS: u32 = 1 << 30 | 1 << 29 | 1 << 28 | 1 << 27 | 1 << 26 | 1 << 24;
/// An answer came: by registers, data, queue.
const INTERRUPT_ANSWERS: u32 = 1 | 1 << 1 | 1 << 2 | 1 << 3;
const COMMAND_START: u32 = 1;
const COMMAND_SPIN_UP: u32 = 1 << 1;
const COMMAND_POWER: u32 = 1 << 2;
const COMMAND_RECEIVE: u32 = 1 << 4;
const COMMAND_RECEIVES: u32 = 1 << 14;
const COMMAND_RUNS: u32 = 1 << 15;
/// What a disk says when it is asked nothing.
const SIGNATURE_DISK: u32 = 0x0101;
const TASK_BUSY: u32 = 0x88;

/// How a command is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// Among others, by native queueing.
    Queued,
    /// By itself.
    Plain,
}

/// A port's.
#[derive(Debug)]
pub(super) struct PortRegisters {
    list: [Mmio<u32>; 2],
    received: [Mmio<u32>; 2],
    interrupts: Mmio<u32>,
    enabled: Mmio<u32>,
    command: Mmio<u32>,
    task: Mmio<u32>,
    signature: Mmio<u32>,
    link: Mmio<u32>,
    link_control: Mmio<u32>,
    link_errors: Mmio<u32>,
    queued: Mmio<u32>,
    issued: Mmio<u32>,
}

impl PortRegisters {
    pub(super) fn new(window: &Window, number: u8) -> Result<Self> {
        let base = FIRST_PORT + u64::from(number) * PORT_LEN;
        let at = |offset| window.register::<u32>(base + offset);
        Ok(PortRegisters {
            list: [at(0x00)?, at(0x04)?],
            received: [at(0x08)?, at(0x0c)?],
            interrupts: at(0x10)?,
            enabled: at(0x14)?,
            command: at(0x18)?,
            task: at(0x20)?,
            signature: at(0x24)?,
            link: at(PORT_LINK)?,
            link_control: at(0x2c)?,
            link_errors: at(0x30)?,
            queued: at(0x34)?,
            issued: at(0x38)?,
        })
    }

    /// Stops it; afterwards it reaches no memory.
    ///
    /// # Errors
    /// ETIMEDOUT.
    pub(super) fn stop(&self) -> Result<()> {
        self.enabled.write(0);
        self.command.write(self.command.read() & !COMMAND_START);
        wait(500, || self.command.read() & COMMAND_RUNS == 0)?;
        self.command.write(self.command.read() & !COMMAND_RECEIVE);
        wait(500, || self.command.read() & COMMAND_RECEIVES == 0)
    }

    /// Says where its memory is.
    pub(super) fn set_memory(&self, list: BusAddress, received: BusAddress) {
        for (registers, address) in [(self.list, list), (self.received, received)] {
            let [a, b, c, d, e, f, g, h] = address.get().to_le_bytes();
            registers[0].write(u32::from_le_bytes([a, b, c, d]));
            registers[1].write(u32::from_le_bytes([e, f, g, h]));
        }
    }

    /// Lets it run, after `stop`. A device that is still busy with what went wrong is reset.
    ///
    /// # Errors
    /// ETIMEDOUT if it stays busy.
    pub(super) fn start(&self) -> Result<()> {
        self.command.write(self.command.read() | COMMAND_SPIN_UP | COMMAND_POWER | COMMAND_RECEIVE);
        self.link_errors.write(u32::MAX);
        self.interrupts.write(u32::MAX);
        if self.task.read() & TASK_BUSY != 0 {
            self.reset_link()?;
        }
        // Disks that are just turning on take this long.
        wait(10_000, || self.task.read() & TASK_BUSY == 0)?;
        self.command.write(self.command.read() | COMMAND_START);
        self.enabled.write(INTERRUPT_ERRORS | INTERRUPT_ANSWERS);
        Ok(())
    }

    /// Resets the device by its link.
    ///
    /// # Errors
    /// ETIMEDOUT if it does not come back.
    pub(super) fn reset_link(&self) -> Result<()> {
        self.link_control.write(self.link_control.read() & !0xf | 1);
        sched::sleep_ns(1_000_000)?;
        self.link_control.write(self.link_control.read() & !0xf);
        wait(1000, || self.link.read() & 0xf == LINK_IS_UP)?;
        self.link_errors.write(u32::MAX);
        Ok(())
    }

    pub(super) fn is_disk(&self) -> bool {
        self.signature.read() == SIGNATURE_DISK
    }

    /// Lets a command begin.
    pub(super) fn issue(&self, slot: usize, manner: Manner) {
        if manner == Manner::Queued {
            self.queued.write(1 << slot);
        }
        self.issued.write(1 << slot);
    }

    /// Commands that are not done.
    pub(super) fn under_way(&self) -> u32 {
        self.issued.read() | self.queued.read()
    }

    /// Takes the reasons of an interrupt.
    pub(super) fn take_interrupts(&self) -> u32 {
        let reasons = self.interrupts.read();
        self.interrupts.write(reasons);
        reasons
    }

    pub(super) fn forbid_interrupts(&self) {
        self.enabled.write(0);
    }

    /// Status and error of the last plain command.
    pub(super) fn task(&self) -> [u8; 2] {
        let [status, error, ..] = self.task.read().to_le_bytes();
        [status, error]
    }
}
