//! AHCI: the controller of serial ATA disks.
//!
//! One thread a controller finds the disks, port by port, and repairs ports whose command failed; interrupts finish what
//! went well. Packet devices (CD drives) are noticed and left alone. Modules, lowest first:
//! - `registers`: the controller's and a port's.
//! - `tables`: what a port and the controller share in memory.
//! - `port`: a port with its disk.
//!
//! Lock: rank `Device`, around the state of each port; commands are finished without it.
//! Spec: Serial ATA AHCI 1.3.1.

mod port;
mod registers;
mod tables;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::context::Kind;
use hal::pci::Function;
use logic::pci::PciId;
use logic::runq::Policy;
use nucleus::block::{self, Family, Probe};
use nucleus::irq::{self, IrqHandler};
use nucleus::sched::{self, Thread, Wait, WaitQueue};
use nucleus::{info, warning};

use port::Port;
use registers::Controller;

/// Mass storage, serial ATA, AHCI 1.
const CLASS: (u8, u8, u8) = (1, 6, 1);
const REGISTERS: u8 = 5;

/// Whether it is one.
pub fn matches(id: &PciId) -> bool {
    id.class == CLASS
}

/// A controller.
struct Ahci {
    // First: the function's end stops the controller before what it reaches is freed.
    function: Function,
    registers: Controller,
    ports: Vec<Arc<Port>>,
    /// What the thread waits for.
    trouble: Arc<WaitQueue>,
}

/// Starts a controller; a thread looks for its disks.
///
/// # Errors
/// What claiming its registers and connecting its interrupt say; ENOMEM.
pub fn probe(function: Function) -> Result<()> {
    let window = Arc::new(function.window(REGISTERS)?);
    function.enable();
    let registers = Controller::new(&window)?;
    registers.take_over()?;
    let trouble = Arc::new(WaitQueue::new());
    let mut ports = Vec::new();
    for number in registers.ports().filter(|&number| registers.has_link(&window, number)) {
        ports.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        match Port::new(function.address(), &window, number, &registers, trouble.clone()) {
            Ok(port) => ports.push(port),
            Err(error) => warning!("AHCI port {number} does not start: {error}"),
        }
    }
    if ports.is_empty() {
        // Nothing to do and, without a driver, nothing it could do.
        info!("AHCI at {}: no disks", function.address());
        return Ok(());
    }
    // For ever, as its interrupt.
    let ahci: &'static Ahci = Box::leak(Box::new(Ahci { function, registers, ports, trouble }));
    ahci.connect()?;
    let probe = Probe::begin();
    let thread = Thread::new("ahci", Kind::Kernel, Policy::default(), move || ahci.serve(probe))?;
    sched::start(&thread);
    Ok(())
}

impl Ahci {
    fn connect(&'static self) -> Result<()> {
        const CPU: usize = 0;
        let vector = irq::connect_messages(CPU, self)?;
        if self.function.enable_messages(&[&vector]).is_ok() {
            return Ok(());
        }
        let line = self.function.line().ok_or(Errno::ENODEV)?;
        irq::connect_pci_line(line, CPU, self)?;
        self.function.allow_line();
        Ok(())
    }

    /// The thread: disks first, then what goes wrong.
    fn serve(&self, probe: Probe) {
        self.registers.allow_interrupts();
        for port in &self.ports {
            match port.identify() {
                Ok(Some(disk)) => {
                    port.set_disk(&disk);
                    if let Err(error) = block::register(Family::Scsi, port.clone(), disk.model()) {
                        warning!("AHCI port {}: the disk is left out: {error}", port.number());
                    }
                }
                Ok(None) => info!("AHCI port {}: no disk but another device; left alone", port.number()),
                Err(error) => warning!("AHCI port {}: the disk does not answer: {error}", port.number()),
            }
        }
        drop(probe);
        loop {
            let find = || self.ports.iter().find(|port| port.is_in_trouble()).ok_or(Errno::EAGAIN);
            match self.trouble.block_until(Wait::UNINTERRUPTIBLE, find) {
                Ok(port) => port.repair(),
                Err(_) => sched::yield_now(),
            }
        }
    }
}

impl IrqHandler for Ahci {
    fn interrupt(&self) {
        let pending = self.registers.pending();
        for port in self.ports.iter().filter(|port| pending >> port.number() & 1 != 0) {
            port.interrupt();
        }
        // After the ports, or it would be set again at once.
        self.registers.acknowledge(pending);
    }
}
