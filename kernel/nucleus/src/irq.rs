//! Device interrupts: which handler belongs to a vector.
//!
//! A handler runs with interrupts off on the CPU the interrupt was routed to: it acknowledges, moves data, wakes a
//! thread, and stops. The table is written at probe time and read without a lock.

use abi::{Errno, Result};
use hal::spin::Once;

/// What a driver does first when its device interrupts.
pub trait IrqHandler: Sync {
    /// Acknowledges the device and wakes who waits for it.
    fn interrupt(&self);
}

const VECTORS: usize = 256;
static HANDLERS: [Once<&'static dyn IrqHandler>; VECTORS] = [const { Once::new() }; VECTORS];

/// Lets interrupt `number` of the ISA bus run `handler` on CPU `cpu`.
///
/// # Errors
/// ENODEV if the machine has no such input, ENOSPC if all vectors are taken.
pub fn connect_isa(number: u8, cpu: usize, handler: &'static dyn IrqHandler) -> Result<()> {
    let vector = hal::irq::route_isa(number, cpu)?;
    let slot = HANDLERS.get(usize::from(vector)).ok_or(Errno::ENOSPC)?;
    // An interrupt that comes before this line is reported as a stray one; edge-triggered devices send another.
    slot.call_once(|| handler);
    Ok(())
}

/// Runs the handler of `vector`; says whether there is one.
pub fn dispatch(vector: u8) -> bool {
    match HANDLERS[usize::from(vector)].get() {
        Some(handler) => {
            handler.interrupt();
            true
        }
        None => false,
    }
}
