//! The ports of a channel.

use abi::{Errno, Result};
use hal::port::{self, Port, Ports};
use logic::ata::{self, Width, count_of};
use nucleus::sched;

/// Which of the two drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// Master.
    First,
    /// Slave.
    Second,
}

impl Unit {
    const fn bits(self) -> u8 {
        match self {
            Unit::First => 0xa0,
            Unit::Second => 0xb0,
        }
    }
}

/// Where data goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    ToDisk,
    ToMemory,
}

/// What to write into the registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) command: u8,
    pub(super) block: u64,
    pub(super) blocks: u64,
    pub(super) width: Width,
}

const BY_SECTOR: u8 = 1 << 6;
const CONTROL_QUIET: u8 = 1 << 1;
const CONTROL_RESET: u8 = 1 << 2;
const MASTER_START: u8 = 1;
const MASTER_TO_MEMORY: u8 = 1 << 3;
const MASTER_FAILED: u8 = 1 << 1;
const MASTER_INTERRUPTED: u8 = 1 << 2;

/// Bus-master ports of a channel.
#[derive(Clone, Copy, Debug)]
struct Master {
    command: Port<u8>,
    status: Port<u8>,
    table: Port<u32>,
}

/// All of a channel's.
#[derive(Debug)]
pub(super) struct Registers {
    data: Port<u16>,
    error: Port<u8>,
    count: Port<u8>,
    block: [Port<u8>; 3],
    device: Port<u8>,
    /// Read: the status, and the interrupt is taken back. Written: a command.
    command: Port<u8>,
    /// Read: the status, and nothing else happens. Written: interrupts and reset.
    control: Port<u8>,
    master: Option<Master>,
}

impl Registers {
    /// # Errors
    /// What `port::claim` says.
    pub(super) fn claim(first: u16, control: u16, master: Option<&Ports>, channel: u16) -> Result<Self> {
        let ports = port::claim(first, 8)?;
        let at = |offset| ports.register::<u8>(offset);
        let master = match master {
            Some(master) => {
                let base = channel * 8;
                Some(Master {
                    command: master.register(base)?,
                    status: master.register(base + 2)?,
                    table: master.register(base + 4)?,
                })
            }
            None => None,
        };
        Ok(Registers {
            data: ports.register(0)?,
            error: at(1)?,
            count: at(2)?,
            block: [at(3)?, at(4)?, at(5)?],
            device: at(6)?,
            command: at(7)?,
            control: port::claim(control, 1)?.register(0)?,
            master,
        })
    }

    /// Whether anything is there: an empty cable reads as ones.
    pub(super) fn is_connected(&self) -> bool {
        // Interrupts stay off until somebody serves them.
        self.control.write(CONTROL_QUIET);
        !matches!(self.status(), 0xff | 0x7f)
    }

    pub(super) fn has_master(&self) -> bool {
        self.master.is_some()
    }

    /// The status, without a side effect.
    pub(super) fn status(&self) -> u8 {
        self.control.read()
    }

    /// The status, after which the drive may interrupt again.
    pub(super) fn take_status(&self) -> u8 {
        self.command.read()
    }

    pub(super) fn error(&self) -> u8 {
        self.error.read()
    }

    /// What a packet device leaves there.
    pub(super) fn is_packet_device(&self) -> bool {
        matches!((self.block[1].read(), self.block[2].read()), (0x14, 0xeb) | (0x69, 0x96))
    }

    /// Turns to a drive. It takes 400 ns until its status is there: four readings.
    pub(super) fn select(&self, unit: Unit, block_bits: u8) {
        self.device.write(unit.bits() | BY_SECTOR | block_bits & 15);
        for _ in 0..4 {
            self.status();
        }
    }

    pub(super) fn allow_interrupts(&self) {
        self.control.write(0);
    }

    /// Writes a command for the drive that is selected, and lets it begin.
    pub(super) fn begin(&self, unit: Unit, task: &Task) {
        let [low, high] = count_of(task.blocks);
        let [a, b, c, d, e, f, ..] = task.block.to_le_bytes();
        self.select(unit, if task.width == Width::Narrow { d } else { 0 });
        let write = |bytes: [u8; 4]| {
            for (port, byte) in
                [self.count, self.block[0], self.block[1], self.block[2]].into_iter().zip(bytes)
            {
                port.write(byte);
            }
        };
        if task.width == Width::Wide {
            write([high, d, e, f]);
        }
        write([low, a, b, c]);
        self.command.write(task.command);
    }

    /// Waits until the drive is not busy. A thread's work.
    ///
    /// # Errors
    /// ETIMEDOUT.
    pub(super) fn wait(&self, limit_ms: u32) -> Result<u8> {
        let look = || Some(self.status()).filter(|status| status & ata::STATUS_BUSY == 0);
        if let Some(status) = (0..100).find_map(|_| look()) {
            return Ok(status);
        }
        for _ in 0..limit_ms {
            sched::sleep_ns(1_000_000)?;
            if let Some(status) = look() {
                return Ok(status);
            }
        }
        Err(Errno::ETIMEDOUT)
    }

    /// Resets both drives. A thread's work.
    ///
    /// # Errors
    /// ETIMEDOUT.
    pub(super) fn reset(&self) -> Result<()> {
        self.control.write(CONTROL_QUIET | CONTROL_RESET);
        sched::sleep_ns(1_000_000)?;
        self.control.write(CONTROL_QUIET);
        sched::sleep_ns(2_000_000)?;
        self.wait(30_000).map(|_| ())
    }

    /// One sector's words, by the processor.
    pub(super) fn read_data(&self, words: &mut [u8; 512]) {
        for word in words.as_chunks_mut::<2>().0 {
            *word = self.data.read().to_le_bytes();
        }
    }

    /// As `read_data`.
    pub(super) fn write_data(&self, words: &[u8; 512]) {
        for word in words.as_chunks::<2>().0 {
            self.data.write(u16::from_le_bytes(*word));
        }
    }

    /// Prepares DMA by a table of pieces of memory.
    pub(super) fn prepare_master(&self, table: u32, direction: Direction) {
        if let Some(master) = self.master {
            master.command.write(0);
            master.table.write(table);
            master.status.write(master.status.read() | MASTER_FAILED | MASTER_INTERRUPTED);
            master.command.write(match direction {
                Direction::ToDisk => 0,
                Direction::ToMemory => MASTER_TO_MEMORY,
            });
        }
    }

    pub(super) fn start_master(&self) {
        if let Some(master) = self.master {
            master.command.write(master.command.read() | MASTER_START);
        }
    }

    /// Whether the drive has interrupted since DMA was prepared.
    pub(super) fn has_master_interrupted(&self) -> bool {
        self.master.is_none_or(|master| master.status.read() & MASTER_INTERRUPTED != 0)
    }

    /// Ends DMA; says whether it went well. Afterwards the controller reaches no memory.
    pub(super) fn stop_master(&self) -> bool {
        let Some(master) = self.master else { return true };
        master.command.write(0);
        let status = master.status.read();
        master.status.write(status | MASTER_FAILED | MASTER_INTERRUPTED);
        status & MASTER_FAILED == 0
    }
}
