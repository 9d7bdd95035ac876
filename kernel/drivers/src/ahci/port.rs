//! A port and its disk: commands, natively queued where both know how, and what to do when one fails.
//!
//! Queued and plain commands never run together: a plain one (a flush) waits for the queued ones to end, and those behind
//! it wait for it. When a queued command fails the disk gives up all of them and does not say which it was, so the next
//! ones are plain until the culprit has failed by itself. Lock: rank `Device`, around the state.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::dma::{BusAddress, Dma, Reach};
use hal::mmio::Window;
use hal::rank;
use hal::spin::{Lock, Once};

use logic::ata::{self, Disk, Width, command};
use logic::pci::Address;
use nucleus::block::{BlockDevice, Command, DeviceInfo, Durability, Failure, Operation, Outcome};
use nucleus::sched::{Mutex, WaitQueue};

use super::registers::{Controller, INTERRUPT_ERRORS, Manner, PortRegisters, wait};
use super::tables::{PIECES, Tables, Task, max_sectors};

/// Commands that are plain after a queued one failed: as many as may have been under way.
const CAREFUL: u32 = 64;
const IDENTIFY_LEN: u32 = 512;
const IDENTIFY_MS: u32 = 5000;

/// A port.
pub(super) struct Port {
    /// The controller's.
    place: Address,
    number: u8,
    registers: PortRegisters,
    slots: usize,
    controller_has_queue: bool,
    disk: Once<Disk>,
    state: Lock<State, rank::Device>,
    /// Held by the thread that stops and starts the port.
    repairing: Mutex<(), rank::Device>,
    /// The controller's thread waits here.
    trouble: Arc<WaitQueue>,
}

struct State {
    tables: Tables,
    /// By slot.
    under_way: Vec<Option<Command>>,
    /// Not begun yet: there is room for all that the queue above may send.
    waiting: VecDeque<Command>,
    /// Slots with queued commands, and with a plain one.
    queued: u32,
    plain: u32,
    /// How many more commands are plain.
    careful: u32,
    /// Something failed: nothing begins until the thread has repaired the port.
    is_in_trouble: bool,
    is_lost: bool,
}

impl Port {
    /// Stops the port as the firmware left it, and gives it memory of ours.
    ///
    /// # Errors
    /// ENOMEM; ETIMEDOUT if it does not stop.
    pub(super) fn new(
        place: Address,
        window: &Window,
        number: u8,
        controller: &Controller,
        trouble: Arc<WaitQueue>,
    ) -> Result<Arc<Self>> {
        let registers = PortRegisters::new(window, number)?;
        let slots = controller.slots();
        let reach = if controller.reaches_everything() { Reach::Everything } else { Reach::FourGib };
        registers.stop()?;
        let tables = Tables::new(slots, reach)?;
        registers.set_memory(tables.list(), tables.received());
        let mut under_way = Vec::new();
        let mut waiting = VecDeque::new();
        under_way.try_reserve_exact(slots).map_err(|_| Errno::ENOMEM)?;
        waiting.try_reserve_exact(slots).map_err(|_| Errno::ENOMEM)?;
        under_way.resize_with(slots, || None);
        let state = State {
            tables,
            under_way,
            waiting,
            queued: 0,
            plain: 0,
            careful: 0,
            is_in_trouble: false,
            is_lost: false,
        };
        let controller_has_queue = controller.has_queue();
        let (disk, state) = (Once::new(), Lock::new(state));
        let repairing = Mutex::new(());
        Ok(Arc::new(Port {
            place,
            number,
            registers,
            slots,
            controller_has_queue,
            disk,
            state,
            repairing,
            trouble,
        }))
    }

    pub(super) fn number(&self) -> u8 {
        self.number
    }

    pub(super) fn set_disk(&self, disk: &Disk) {
        self.disk.call_once(|| disk.clone());
    }

    /// What is there; none if it is no disk. Before the disk is registered; waits.
    ///
    /// # Errors
    /// EIO, ETIMEDOUT, ENOMEM.
    pub(super) fn identify(&self) -> Result<Option<Disk>> {
        self.registers.start()?;
        if !self.registers.is_disk() {
            self.registers.stop()?;
            return Ok(None);
        }
        // No interrupts yet: nobody would know what they are for.
        self.registers.forbid_interrupts();
        let data = Dma::new(IDENTIFY_LEN as usize, Reach::FourGib)?;
        let task = Task {
            command: command::IDENTIFY,
            block: 0,
            blocks: 0,
            writes: false,
            is_queued: false,
            is_durable: false,
        };
        let piece = core::iter::once((data.address(0), IDENTIFY_LEN));
        self.state.lock().tables.write(0, &task, Width::Wide, piece)?;
        self.registers.issue(0, Manner::Plain);
        let waited = wait(IDENTIFY_MS, || {
            self.registers.under_way() & 1 == 0 || self.registers.task()[0] & ata::STATUS_ERROR != 0
        });
        let has_failed = waited.is_err() || self.registers.task()[0] & ata::STATUS_ERROR != 0;
        // Whatever became of it, the port must not write into `data` any more when that is freed.
        if has_failed {
            if self.registers.stop().is_err() {
                core::mem::forget(data);
            }
            return waited.and(Err(Errno::EIO));
        }
        let mut words = [0; 256];
        for (word, at) in words.iter_mut().zip((0..).step_by(2)) {
            *word = data.read(at);
        }
        // With interrupts, from a clean start.
        self.registers.stop()?;
        self.registers.start()?;
        Ok(Disk::parse(&words))
    }

    fn has_queue(&self, disk: &Disk) -> bool {
        self.controller_has_queue && disk.depth > 1
    }

    /// Takes one command back that the disk is done with.
    fn take_done(&self) -> Option<Command> {
        let mut state = self.state.lock();
        if state.is_in_trouble {
            return None;
        }
        let done = (state.queued | state.plain) & !self.registers.under_way();
        let slot = (0..self.slots).find(|slot| done >> slot & 1 != 0)?;
        state.queued &= !(1 << slot);
        state.plain &= !(1 << slot);
        let command = state.under_way.get_mut(slot).and_then(Option::take);
        self.begin_waiting(&mut state);
        command
    }

    fn finish_done(&self) -> bool {
        let mut was_any = false;
        while let Some(command) = self.take_done() {
            was_any = true;
            command.finish(Ok(()));
        }
        was_any
    }

    pub(super) fn interrupt(&self) {
        let reasons = self.registers.take_interrupts();
        if reasons & INTERRUPT_ERRORS != 0 {
            {
                let mut state = self.state.lock();
                state.is_in_trouble = true;
                self.registers.forbid_interrupts();
            }
            self.trouble.wake_all();
            return;
        }
        self.finish_done();
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        self.state.lock().is_in_trouble
    }

    /// After an error: what the port was doing failed or is to be done again. A thread's work.
    pub(super) fn repair(&self) {
        let _guard = self.repairing.lock();
        if !self.is_in_trouble() {
            return;
        }
        let [status, error] = self.registers.task();
        let stopped = self.registers.stop();
        // What ended well before the error is done all the same; stopping cleared the rest.
        let (queued, plain) = {
            let state = self.state.lock();
            (state.queued, state.plain)
        };
        let is_up = stopped.is_ok() && self.registers.start().is_ok();
        let outcome: Outcome = match status & (ata::STATUS_ERROR | ata::STATUS_FAULT) {
            0 => Err(Failure::Transport),
            _ if error & ata::ERROR_LINE != 0 => Err(Failure::Transport),
            _ => Err(Failure::Medium),
        };
        {
            let mut state = self.state.lock();
            if queued != 0 {
                state.careful = CAREFUL;
            }
            if !is_up {
                nucleus::error!("AHCI port {}: does not start again; its disk is lost", self.number);
                state.is_lost = true;
            }
        }
        if stopped.is_err() {
            // It may still write to what it was given; nothing is given back.
            return self.fail_waiting();
        }
        self.give_back(plain, outcome);
        self.give_back(queued, Err(Failure::Transport));
        let mut state = self.state.lock();
        state.is_in_trouble = false;
        self.begin_waiting(&mut state);
        drop(state);
        if !is_up {
            self.fail_waiting();
        }
    }

    fn give_back(&self, slots: u32, outcome: Outcome) {
        for slot in (0..self.slots).filter(|slot| slots >> slot & 1 != 0) {
            let command = {
                let mut state = self.state.lock();
                state.queued &= !(1 << slot);
                state.plain &= !(1 << slot);
                state.under_way.get_mut(slot).and_then(Option::take)
            };
            if let Some(command) = command {
                command.finish(outcome);
            }
        }
    }

    fn fail_waiting(&self) {
        loop {
            let command = self.state.lock().waiting.pop_front();
            match command {
                Some(command) => command.finish(Err(Failure::Gone)),
                None => return,
            }
        }
    }

    /// Begins what can begin.
    fn begin_waiting(&self, state: &mut State) {
        let Some(disk) = self.disk.get() else { return };
        while !state.is_in_trouble && !state.is_lost {
            let Some(first) = state.waiting.front() else { return };
            let is_transfer = matches!(first.operation(), Operation::Read | Operation::Write(_));
            let is_queued = is_transfer && self.has_queue(disk) && state.careful == 0;
            let manner = if is_queued { Manner::Queued } else { Manner::Plain };
            let may_begin = state.plain == 0 && (is_queued || state.queued == 0);
            let Some(slot) = state.under_way.iter().position(Option::is_none).filter(|_| may_begin) else {
                return;
            };
            let Some(command) = state.waiting.pop_front() else { return };
            let task = task(&command, disk, manner);
            let pieces = command
                .segments()
                .map(|segment| (BusAddress::of(segment.frame(), segment.offset()), segment.len()));
            if state.tables.write(slot, &task, disk.width, pieces).is_err() {
                // The limits that `info` names rule it out. Dropping it would finish it under the lock.
                nucleus::error!("AHCI port {}: a command is larger than promised", self.number);
                state.waiting.push_front(command);
                return;
            }
            if let Some(place) = state.under_way.get_mut(slot) {
                *place = Some(command);
            }
            state.careful = state.careful.saturating_sub(1);
            match manner {
                Manner::Queued => state.queued |= 1 << slot,
                Manner::Plain => state.plain |= 1 << slot,
            }
            hal::dma::order_writes();
            self.registers.issue(slot, manner);
        }
    }
}

/// A command in the disk's language.
fn task(asked: &Command, disk: &Disk, manner: Manner) -> Task {
    let is_queued = manner == Manner::Queued;
    let per_block = u64::from(disk.logical_block / 512);
    let is_wide = disk.width == Width::Wide;
    let is_durable = asked.operation() == Operation::Write(Durability::Durable);
    let command = match asked.operation() {
        Operation::Read if is_queued => command::READ_QUEUED,
        Operation::Read if is_wide => command::READ_DMA_EXT,
        Operation::Read => command::READ_DMA,
        Operation::Write(_) if is_queued => command::WRITE_QUEUED,
        Operation::Write(Durability::Durable) => command::WRITE_DMA_FUA_EXT,
        Operation::Write(_) if is_wide => command::WRITE_DMA_EXT,
        Operation::Write(_) => command::WRITE_DMA,
        // The queue sends no others: `info` does not offer them.
        _ if is_wide => command::FLUSH_EXT,
        _ => command::FLUSH,
    };
    let is_transfer = matches!(asked.operation(), Operation::Read | Operation::Write(_));
    Task {
        command,
        block: if is_transfer { asked.sector() / per_block } else { 0 },
        blocks: if is_transfer { asked.sectors() / per_block } else { 0 },
        writes: matches!(asked.operation(), Operation::Write(_)),
        is_queued,
        is_durable,
    }
}

impl BlockDevice for Port {
    fn place(&self) -> Option<Address> {
        Some(self.place)
    }

    fn info(&self) -> DeviceInfo {
        let disk = self.disk.get();
        let (sectors, logical_block, physical_block) = disk.map_or((0, 512, 512), |disk| {
            (
                disk.blocks.saturating_mul(u64::from(disk.logical_block / 512)),
                disk.logical_block,
                disk.physical_block,
            )
        });
        DeviceInfo {
            sectors,
            logical_block,
            physical_block,
            is_read_only: false,
            has_volatile_cache: disk.is_some_and(|disk| disk.has_volatile_cache),
            // With and without queueing: a careful time may come at any time.
            has_durable_writes: disk.is_some_and(|disk| disk.has_durable_writes),
            discard_sectors: 0,
            zero_sectors: 0,
            max_sectors: disk.map_or(8, max_sectors),
            max_segments: PIECES,
            depth: disk.map_or(1, |disk| {
                if self.has_queue(disk) { self.slots.min(usize::from(disk.depth)) } else { 1 }
            }),
            is_rotational: disk.is_none_or(|disk| disk.is_rotational),
        }
    }

    fn submit(&self, command: Command) {
        let refused = {
            let mut state = self.state.lock();
            if state.is_lost || state.waiting.len() == state.waiting.capacity() {
                Some(command)
            } else {
                state.waiting.push_back(command);
                self.begin_waiting(&mut state);
                None
            }
        };
        if let Some(command) = refused {
            command.finish(Err(Failure::Gone));
        }
    }

    fn reset(&self) -> Result<()> {
        let _guard = self.repairing.lock();
        self.state.lock().is_in_trouble = true;
        if self.registers.stop().is_err() {
            self.state.lock().is_lost = true;
            self.fail_waiting();
            return Err(Errno::EIO);
        }
        let started = self.registers.reset_link().and_then(|()| self.registers.start());
        let slots = {
            let state = self.state.lock();
            state.queued | state.plain
        };
        self.give_back(slots, Err(Failure::Transport));
        let mut state = self.state.lock();
        state.is_lost = started.is_err();
        state.is_in_trouble = false;
        self.begin_waiting(&mut state);
        drop(state);
        if started.is_err() {
            self.fail_waiting();
        }
        started.map_err(|_| Errno::EIO)
    }

    fn poll(&self) -> bool {
        self.finish_done()
    }
}
