//! The first serial port, a 16550 with FIFOs: receives by interrupt, sends through the console.
//!
//! [`start`] finds it. A thread of the tty takes what was typed with [`Uart::read`] and sleeps on
//! [`Uart::readable`]. When nobody reads, bytes stay in the chip, and an emulator keeps them from being lost. Sending
//! shares hal's console, so that a line of the log and a line of a program do not mix.
//! Lock: rank `Device`, around the receiver, for the top half too; nothing is called under it.
//! Spec: National Semiconductor PC16550D data sheet.

mod chip;
mod receiver;

use abi::{Errno, Result};
use hal::spin::{Lock, Once};
use hal::{console, port, rank};
use nucleus::irq::{self, IrqHandler};
use nucleus::sched::WaitQueue;

use chip::Ports;
use receiver::Receiver;

const FIRST_PORT: u16 = 0x3f8;
const ISA_INTERRUPT: u8 = 4;
/// How much is sent while other CPUs wait: a slow line takes 20 ms for it.
const MAX_PIECE: usize = 256;

static COM1: Once<Uart> = Once::new();

/// A serial port.
pub struct Uart {
    ports: Ports,
    receiver: Lock<Receiver, rank::Device>,
    readable: WaitQueue,
}

/// Finds the first serial port and lets it interrupt CPU `cpu`. To be called once; hal has set the line's speed.
///
/// # Errors
/// ENODEV if there is none; EBUSY the second time; what `irq::connect_isa` says.
pub fn start(cpu: usize) -> Result<&'static Uart> {
    let ports = Ports::new(port::claim(FIRST_PORT, chip::PORTS)?)?;
    if !chip::is_present(&ports) {
        return Err(Errno::ENODEV);
    }
    let new = || Uart { ports, receiver: Lock::new(Receiver::new()), readable: WaitQueue::new() };
    let uart = COM1.call_once(new);
    irq::connect_isa(ISA_INTERRUPT, cpu, uart)?;
    chip::enable(&uart.ports);
    // What was typed until now may have made its interrupt before there was a handler.
    uart.interrupt();
    Ok(uart)
}

impl Uart {
    /// Takes received bytes; returns how many, which may be none.
    pub fn read(&self, out: &mut [u8]) -> usize {
        self.receiver.lock().take(&self.ports, out)
    }

    /// How often bytes were lost because nobody took them.
    pub fn overruns(&self) -> u64 {
        self.receiver.lock().overruns()
    }

    /// Who waits for bytes.
    pub const fn readable(&self) -> &WaitQueue {
        &self.readable
    }

    /// Sends bytes as they are. Returns when the chip has taken them all.
    pub fn write(&self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            line.chunks(MAX_PIECE).for_each(console::write_raw);
        }
    }
}

impl IrqHandler for Uart {
    fn interrupt(&self) {
        // The guard is gone when the waiters are woken.
        let received = self.receiver.lock().collect(&self.ports);
        if received != 0 {
            self.readable.wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_port_says_so() {
        assert_eq!(start(0).err(), Some(Errno::ENODEV));
    }
}
