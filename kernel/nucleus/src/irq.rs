//! Device interrupts: which handlers belong to a vector.
//!
//! A handler runs with interrupts off on the CPU the interrupt was routed to: it acknowledges, moves data, wakes a
//! thread, and stops. Messages have a vector of their own; lines may be shared, and then all their handlers run. The
//! table is written at probe time and read without a lock. Lock: rank `Table`, around the list of lines in use.

use alloc::boxed::Box;

use abi::{Errno, Result};
use hal::irq::Vector;
use hal::rank;
use hal::spin::{Lock, Once};

/// What a driver does first when its device interrupts.
pub trait IrqHandler: Sync {
    /// Acknowledges the device and wakes who waits for it.
    fn interrupt(&self);
}

/// A handler, and the one that shares its vector.
struct Connected {
    handler: &'static dyn IrqHandler,
    next: Once<&'static Connected>,
}

const VECTORS: usize = 256;
static HANDLERS: [Once<&'static Connected>; VECTORS] = [const { Once::new() }; VECTORS];

/// Vectors of the PCI bus's lines.
static LINES: Lock<[Option<u8>; 16], rank::Table> = Lock::new([None; 16]);

/// Lets interrupt `number` of the ISA bus run `handler` on CPU `cpu`.
///
/// # Errors
/// ENODEV if the machine has no such input, ENOSPC if all vectors are taken.
pub fn connect_isa(number: u8, cpu: usize, handler: &'static dyn IrqHandler) -> Result<()> {
    let vector = hal::irq::route_isa(number, cpu)?;
    // An interrupt that comes before this line is reported as a stray one; edge-triggered devices send another.
    connect(vector, handler)
}

/// Lets a line of the PCI bus run `handler`, besides the handlers it has: on CPU `cpu`, if it has none.
///
/// # Errors
/// As `connect_isa`.
pub fn connect_pci_line(number: u8, cpu: usize, handler: &'static dyn IrqHandler) -> Result<()> {
    let place = usize::from(number);
    let known = *LINES.lock().get(place).ok_or(Errno::ENODEV)?;
    if let Some(vector) = known {
        return connect(vector, handler);
    }
    let vector = hal::irq::route_pci_line(number, cpu)?;
    if let Some(slot) = LINES.lock().get_mut(place) {
        *slot = Some(vector);
    }
    connect(vector, handler)
}

/// Lets an input of the IO-APICs, by its number, run `handler` on CPU `cpu`: for devices that have one each.
///
/// # Errors
/// As `connect_isa`.
pub fn connect_line(number: u32, cpu: usize, handler: &'static dyn IrqHandler) -> Result<()> {
    connect(hal::irq::route_input(number, cpu)?, handler)
}

/// A vector of CPU `cpu` that runs `handler`, to be given to a device that interrupts by messages.
///
/// # Errors
/// ENODEV if the CPU is not up, ENOSPC if all vectors are taken.
pub fn connect_messages(cpu: usize, handler: &'static dyn IrqHandler) -> Result<Vector> {
    let vector = hal::irq::vector(cpu)?;
    connect(vector.number(), handler)?;
    Ok(vector)
}

fn connect(vector: u8, handler: &'static dyn IrqHandler) -> Result<()> {
    let mut slot = HANDLERS.get(usize::from(vector)).ok_or(Errno::ENOSPC)?;
    // For good, as its device.
    let new: &'static Connected = Box::leak(Box::new(Connected { handler, next: Once::new() }));
    loop {
        let there: &'static Connected = slot.call_once(|| new);
        if core::ptr::eq(there, new) {
            return Ok(());
        }
        slot = &there.next;
    }
}

/// Runs the handlers of `vector`; says whether there is one.
pub fn dispatch(vector: u8) -> bool {
    let first = HANDLERS[usize::from(vector)].get().copied();
    let mut next = first;
    while let Some(connected) = next {
        connected.handler.interrupt();
        next = connected.next.get().copied();
    }
    first.is_some()
}
