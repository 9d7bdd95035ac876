//! A channel: one command at a time for two drives.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use abi::{Errno, Result};
use hal::dma::{BusAddress, Dma, Reach};
use hal::rank;
use hal::spin::{Lock, Once};
use logic::ata::{self, Disk, Width, command};
use logic::pci::Address;
use nucleus::block::{BlockDevice, Command, DeviceInfo, Failure, Operation, Outcome, SECTOR};
use nucleus::irq::IrqHandler;

use super::registers::{Direction, Registers, Task, Unit};

/// Pieces of memory of a command: 512 KiB of pages.
const PIECES: usize = 128;
const PIECE: usize = 8;
const LAST_PIECE: u32 = 1 << 31;
const IDENTIFY_MS: u32 = 2000;
/// Readings of the status until a drive wants the first sector of a write.
const DATA_PATIENCE: usize = 100_000;

/// A channel.
pub(super) struct Channel {
    /// The controller's.
    place: Address,
    number: u16,
    interrupt: u8,
    registers: Registers,
    /// Pieces of memory for DMA; none without.
    table: Option<Dma>,
    state: Lock<State, rank::Device>,
    /// A drive that exists, for each unit.
    disks: [Once<Disk>; 2],
}

struct State {
    active: Option<Active>,
    /// The other drive's command: each has one at most, and one may wait behind a reset.
    waiting: VecDeque<(Unit, Command)>,
    is_lost: bool,
}

struct Active {
    command: Command,
    manner: Manner,
}

/// How data moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// By itself.
    Dma,
    /// Sector by sector; this many are done.
    Processor(u64),
    /// There is none.
    None,
}

impl Channel {
    /// # Errors
    /// ENOMEM.
    pub(super) fn new(place: Address, number: u16, registers: Registers, interrupt: u8) -> Result<Arc<Self>> {
        let table = match registers.has_master() {
            true => Some(Dma::new(PIECES * PIECE, Reach::FourGib)?),
            false => None,
        };
        let mut waiting = VecDeque::new();
        waiting.try_reserve_exact(4).map_err(|_| Errno::ENOMEM)?;
        let state = Lock::new(State { active: None, waiting, is_lost: false });
        let disks = [const { Once::new() }; 2];
        Ok(Arc::new(Channel { place, number, interrupt, registers, table, state, disks }))
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn interrupt_number(&self) -> u8 {
        self.interrupt
    }

    pub(super) fn allow_interrupts(&self) {
        // What is left from finding the drives.
        self.registers.take_status();
        self.registers.allow_interrupts();
    }

    fn slot(&self, unit: Unit) -> &Once<Disk> {
        match unit {
            Unit::First => &self.disks[0],
            Unit::Second => &self.disks[1],
        }
    }

    /// What is there; none if nothing is. Before any disk of the channel is registered; waits.
    ///
    /// # Errors
    /// ENOTBLK for a packet device; EIO, ETIMEDOUT.
    pub(super) fn identify(&self, unit: Unit) -> Result<Option<Disk>> {
        let registers = &self.registers;
        registers.select(unit, 0);
        if matches!(registers.status(), 0 | 0x7f | 0xff) {
            return Ok(None);
        }
        registers.wait(IDENTIFY_MS)?;
        let task = Task { command: command::IDENTIFY, block: 0, blocks: 0, width: Width::Narrow };
        registers.begin(unit, &task);
        if registers.status() == 0 {
            return Ok(None);
        }
        let status = registers.wait(IDENTIFY_MS)?;
        if status & ata::STATUS_ERROR != 0 {
            registers.take_status();
            return if registers.is_packet_device() { Err(Errno::ENOTBLK) } else { Ok(None) };
        }
        if status & ata::STATUS_DATA == 0 {
            return Err(Errno::EIO);
        }
        let mut bytes = [0; 512];
        registers.read_data(&mut bytes);
        registers.take_status();
        let mut words = [0; 256];
        for (word, pair) in words.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *word = u16::from_le_bytes(*pair);
        }
        let disk = Disk::parse(&words);
        if let Some(disk) = &disk {
            self.slot(unit).call_once(|| disk.clone());
        }
        Ok(disk)
    }

    /// Writes the pieces of a command into the table; says whether the controller reaches all of them.
    fn write_table(&self, command: &Command) -> bool {
        let Some(table) = &self.table else { return false };
        let count = command.segments().count();
        for (number, segment) in command.segments().enumerate() {
            let Some(address) = BusAddress::of(segment.frame(), segment.offset()).low() else { return false };
            if number >= PIECES {
                return false;
            }
            let last = if number + 1 == count { LAST_PIECE } else { 0 };
            table.write(number * PIECE, address);
            table.write(number * PIECE + 4, segment.len() | last);
        }
        true
    }

    /// Begins what waits, if nothing is under way.
    fn begin_waiting(&self, state: &mut State) {
        if state.active.is_some() || state.is_lost {
            return;
        }
        let Some((unit, command)) = state.waiting.pop_front() else { return };
        let Some(disk) = self.slot(unit).get() else { return };
        let is_transfer = matches!(command.operation(), Operation::Read | Operation::Write(_));
        let manner = match is_transfer {
            true if disk.has_dma && self.write_table(&command) => Manner::Dma,
            true => Manner::Processor(0),
            false => Manner::None,
        };
        let writes = matches!(command.operation(), Operation::Write(_));
        if manner == Manner::Dma
            && let Some(table) = self.table.as_ref().and_then(|table| table.address(0).low())
        {
            let direction = if writes { Direction::ToDisk } else { Direction::ToMemory };
            self.registers.prepare_master(table, direction);
            hal::dma::order_writes();
        }
        self.registers.begin(unit, &task(&command, disk, manner));
        if manner == Manner::Dma {
            self.registers.start_master();
        }
        let first = (manner == Manner::Processor(0) && writes).then(|| {
            // The first sector of a write is wanted without an interrupt.
            (0..DATA_PATIENCE)
                .any(|_| self.registers.status() & (ata::STATUS_BUSY | ata::STATUS_DATA) == ata::STATUS_DATA)
                && move_sector(&self.registers, &command, 0)
        });
        let manner = if first == Some(true) { Manner::Processor(1) } else { manner };
        state.active = Some(Active { command, manner });
    }

    /// Goes on with the active command; gives it back when it is done.
    fn go_on(&self) -> Option<(Command, Outcome)> {
        let mut state = self.state.lock();
        let active = state.active.as_mut()?;
        // A drive need not look busy while data moves by itself: then the controller knows.
        let is_done = match active.manner {
            Manner::Dma => self.registers.has_master_interrupted(),
            Manner::Processor(_) | Manner::None => true,
        };
        if !is_done || self.registers.status() & ata::STATUS_BUSY != 0 {
            return None;
        }
        let status = self.registers.take_status();
        let has_failed = status & (ata::STATUS_ERROR | ata::STATUS_FAULT) != 0;
        if let Manner::Processor(done) = &mut active.manner
            && !has_failed
            && status & ata::STATUS_DATA != 0
        {
            let is_write = matches!(active.command.operation(), Operation::Write(_));
            move_sector(&self.registers, &active.command, *done);
            *done += 1;
            // A write ends with one more interrupt, a read with its last sector.
            if is_write || *done < active.command.sectors() {
                return None;
            }
        }
        let moved_well = active.manner != Manner::Dma || self.registers.stop_master();
        let outcome = match has_failed {
            true if self.registers.error() & ata::ERROR_LINE != 0 => Err(Failure::Transport),
            true => Err(Failure::Medium),
            false if moved_well => Ok(()),
            false => Err(Failure::Transport),
        };
        let active = state.active.take()?;
        self.begin_waiting(&mut state);
        Some((active.command, outcome))
    }

    fn reset(&self) -> Result<()> {
        // From here on interrupts find nothing active, and nothing begins.
        let active = {
            let mut state = self.state.lock();
            state.is_lost = true;
            state.active.take()
        };
        self.registers.stop_master();
        let outcome = self.registers.reset();
        self.registers.allow_interrupts();
        if let Some(active) = active {
            active.command.finish(Err(Failure::Transport));
        }
        if outcome.is_err() {
            loop {
                let waiting = self.state.lock().waiting.pop_front();
                let Some((_, command)) = waiting else { return Err(Errno::EIO) };
                command.finish(Err(Failure::Gone));
            }
        }
        let mut state = self.state.lock();
        state.is_lost = false;
        self.begin_waiting(&mut state);
        Ok(())
    }
}

/// Moves one sector of a command by the processor; says whether there is such a sector.
fn move_sector(registers: &Registers, command: &Command, number: u64) -> bool {
    let mut left = number * SECTOR;
    for segment in command.segments() {
        let len = u64::from(segment.len());
        if left >= len {
            left -= len;
            continue;
        }
        let mut bytes = [0; 512];
        let Ok(offset) = usize::try_from(u64::from(segment.offset()) + left) else { return false };
        if command.operation() == Operation::Read {
            registers.read_data(&mut bytes);
            segment.frame().write(offset, &bytes);
        } else {
            segment.frame().read(offset, &mut bytes);
            registers.write_data(&bytes);
        }
        return true;
    }
    false
}

fn task(asked: &Command, disk: &Disk, manner: Manner) -> Task {
    let is_wide = disk.width == Width::Wide;
    let is_dma = manner == Manner::Dma;
    let by = |dma_wide, dma, wide, narrow| match (is_dma, is_wide) {
        (true, true) => dma_wide,
        (true, false) => dma,
        (false, true) => wide,
        (false, false) => narrow,
    };
    let command = match asked.operation() {
        Operation::Read => {
            by(command::READ_DMA_EXT, command::READ_DMA, command::READ_SECTORS_EXT, command::READ_SECTORS)
        }
        Operation::Write(_) => {
            by(command::WRITE_DMA_EXT, command::WRITE_DMA, command::WRITE_SECTORS_EXT, command::WRITE_SECTORS)
        }
        // The queue sends no others: `info` does not offer them.
        _ if is_wide => command::FLUSH_EXT,
        _ => command::FLUSH,
    };
    let is_transfer = manner != Manner::None;
    Task {
        command,
        block: if is_transfer { asked.sector() } else { 0 },
        blocks: if is_transfer { asked.sectors() } else { 0 },
        width: disk.width,
    }
}

/// A drive of a channel.
pub(super) struct Drive {
    channel: Arc<Channel>,
    unit: Unit,
    disk: Disk,
}

impl Drive {
    pub(super) fn new(channel: Arc<Channel>, unit: Unit, disk: Disk) -> Self {
        Drive { channel, unit, disk }
    }
}

impl BlockDevice for Drive {
    fn place(&self) -> Option<Address> {
        Some(self.channel.place)
    }

    fn info(&self) -> DeviceInfo {
        let disk = &self.disk;
        DeviceInfo {
            // Blocks of parallel drives are sectors.
            sectors: disk.blocks,
            logical_block: 512,
            physical_block: disk.physical_block,
            is_read_only: false,
            has_volatile_cache: disk.has_volatile_cache,
            // Only by DMA, which a command may have to do without.
            has_durable_writes: false,
            discard_sectors: 0,
            zero_sectors: 0,
            max_sectors: disk.width.max_blocks().min(PIECES as u64 * 8),
            max_segments: PIECES,
            depth: 1,
            is_rotational: disk.is_rotational,
        }
    }

    fn submit(&self, command: Command) {
        let refused = {
            let mut state = self.channel.state.lock();
            if state.waiting.len() < state.waiting.capacity() {
                state.waiting.push_back((self.unit, command));
                self.channel.begin_waiting(&mut state);
                None
            } else {
                Some(command)
            }
        };
        if let Some(command) = refused {
            command.finish(Err(Failure::Transport));
        }
    }

    fn reset(&self) -> Result<()> {
        self.channel.reset()
    }

    fn poll(&self) -> bool {
        match self.channel.go_on() {
            Some((command, outcome)) => {
                command.finish(outcome);
                true
            }
            None => false,
        }
    }
}

impl IrqHandler for Channel {
    fn interrupt(&self) {
        if let Some((command, outcome)) = self.go_on() {
            command.finish(outcome);
        }
    }
}
