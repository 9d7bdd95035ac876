//! The parallel port: `/dev/lp0`, for printers that take a byte at a time.
//!
//! Polled: a printer says that it is busy, and who writes looks again a moment later. Lock: `Device`, around the handshake
//! of one byte. Spec: IEEE 1284, compatibility mode.

use alloc::sync::Arc;
use core::any::Any;

use abi::file::device_number;
use abi::{Errno, Result};
use hal::port::{self, Port};
use hal::spin::Lock;
use hal::{rank, time};
use nucleus::info;
use nucleus::sched::WaitQueue;
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSource, File, FileKind, Transfer};

const FIRST_PORT: u16 = 0x378;
const PORTS: u16 = 3;
/// Linux's number of `lp0`.
const NUMBER: u64 = device_number(6, 0);
/// Status: the printer is ready; it has paper; it is not in error. Ready and no error are ones.
const READY: u8 = 1 << 7;
const NO_PAPER: u8 = 1 << 5;
const NO_ERROR: u8 = 1 << 3;
/// Control: the byte is valid; reset is off; the printer is selected.
const STROBE: u8 = 1;
const NO_RESET: u8 = 1 << 2;
const SELECTED: u8 = 1 << 3;
/// How long who waits for a busy printer sleeps.
const LOOK_AGAIN_NS: u64 = 1_000_000;

/// The port.
struct Parallel {
    data: Port<u8>,
    status: Port<u8>,
    control: Port<u8>,
    handshake: Lock<(), rank::Device>,
    /// Nobody wakes it: who waits looks again after a while.
    waiters: WaitQueue,
}

/// Finds the port and makes its device.
///
/// # Errors
/// ENODEV if there is none; ENOMEM.
pub fn start() -> Result<()> {
    let ports = port::claim(FIRST_PORT, PORTS)?;
    let parallel = Parallel {
        data: ports.register(0)?,
        status: ports.register(1)?,
        control: ports.register(2)?,
        handshake: Lock::new(()),
        waiters: WaitQueue::new(),
    };
    // The data register keeps what it is told.
    let keeps = |value| {
        parallel.data.write(value);
        parallel.data.read() == value
    };
    if !(keeps(0x55) && keeps(0xaa)) {
        return Err(Errno::ENODEV);
    }
    parallel.control.write(NO_RESET | SELECTED);
    info!("parallel port at {FIRST_PORT:#x}");
    let device = Arc::new(Opener(Arc::new(parallel)));
    let kind = FileKind::CharDevice;
    device::register(Registered { kind, number: NUMBER, name: "lp0", permissions: 0o660, device })
}

struct Opener(Arc<Parallel>);

impl Device for Opener {
    fn open(&self, _number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        Ok(self.0.clone())
    }
}

impl Parallel {
    /// Sends a byte.
    ///
    /// # Errors
    /// EAGAIN while the printer is busy; ENOSPC without paper; EIO if it is in error.
    fn send(&self, byte: u8) -> Result<()> {
        let _alone = self.handshake.lock();
        let status = self.status.read();
        if status & NO_PAPER != 0 {
            return Err(Errno::ENOSPC);
        }
        if status & NO_ERROR == 0 {
            return Err(Errno::EIO);
        }
        if status & READY == 0 {
            return Err(Errno::EAGAIN);
        }
        self.data.write(byte);
        // Each access to a port takes about a microsecond, which is as long as the strobe has to be.
        self.control.write(NO_RESET | SELECTED | STROBE);
        self.control.write(NO_RESET | SELECTED);
        Ok(())
    }

    /// The same, waiting for a busy printer.
    fn send_patiently(&self, transfer: &Transfer, byte: u8) -> Result<()> {
        loop {
            let wait = transfer.wait.until(time::now_ns() + LOOK_AGAIN_NS);
            match self.waiters.block_until(wait, || self.send(byte)) {
                Err(Errno::ETIMEDOUT) => {}
                outcome => return outcome,
            }
        }
    }
}

impl File for Parallel {
    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let mut done = 0;
        let mut buffer = [0; 128];
        while from.left() != 0 {
            let count = match from.take(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            for &byte in buffer.get(..count).unwrap_or_default() {
                match self.send_patiently(transfer, byte) {
                    Ok(()) => done += 1,
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(done)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
