//! The queue in front of a driver: sorts, merges, bounds, retries, gives up.
//!
//! Requests wait in a [`logic::elevator`]; as many commands as the device takes are with the driver. A command that fails is
//! taken apart, and each of its requests tried with nothing else under way: so only the one with the bad sector fails, even
//! where the device merges on its own account, as QEMU does. What takes longer than [`TIMEOUT_NS`] lets
//! the device be reset (`watch`): it fails, the others are tried again. A durable write becomes write and flush where
//! the device knows no better. Lock: rank `BlockQueue`; drivers and tickets are called without it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Result};
use hal::spin::Lock;
use hal::{cpu, rank, time};
use logic::elevator::{Elevator, Inserted, Limits};

use super::device::{BlockDevice, Command, DeviceInfo, Failure, Outcome};
use super::request::{Durability, Operation, Request};
use super::statistics::Statistics;
use super::watch;
use crate::log::{self, Level};
use crate::sched::{Wait, WaitQueue};

/// How long a device may take for a command, as Linux's disks.
pub(super) const TIMEOUT_NS: u64 = 30_000_000_000;
/// How long a late command is waited for awake.
const LAST_CHANCE_NS: u64 = 200_000_000;
/// Requests that may wait before submitters do, as Linux's `nr_requests`.
const BACKLOG: usize = 256;
/// How often what got lost is sent.
const ATTEMPTS: u8 = 5;

/// One device's.
pub(crate) struct Queue {
    name: Lock<hal::boot::Text<32>, rank::BlockQueue>,
    pub(super) device: Arc<dyn BlockDevice>,
    pub(super) info: DeviceInfo,
    limits: Limits,
    state: Lock<State, rank::BlockQueue>,
    room: WaitQueue,
    pub(super) statistics: Arc<Statistics>,
    /// Nothing more is submitted.
    is_dead: AtomicBool,
}

struct State {
    waiting: Elevator<Box<Request>>,
    /// Commands with the driver, by slot: when each must be back.
    with_driver: Vec<Option<InFlight>>,
    count: usize,
    /// Somebody is calling the driver.
    is_submitting: bool,
    /// Requests, a chain of them, that are to be tried with nothing else under way.
    suspects: Option<Box<Request>>,
    /// One of them is with the driver.
    is_exclusive: bool,
}

#[derive(Clone, Copy)]
struct InFlight {
    deadline_ns: u64,
    is_late: bool,
}

impl Queue {
    pub(super) fn new(device: Arc<dyn BlockDevice>) -> Result<Arc<Self>> {
        let info = device.info();
        let depth = info.depth.max(1);
        // All requests that are anywhere may come back at once.
        let waiting = Elevator::try_with_capacity(2 * BACKLOG + depth).map_err(|_| Errno::ENOMEM)?;
        let mut with_driver = Vec::new();
        with_driver.try_reserve_exact(depth).map_err(|_| Errno::ENOMEM)?;
        with_driver.resize(depth, None);
        let limits = Limits { sectors: info.max_sectors.max(8), segments: info.max_segments.max(1) };
        Ok(Arc::new(Queue {
            name: Lock::new(hal::boot::Text::EMPTY),
            device,
            info,
            limits,
            state: Lock::new(State {
                waiting,
                with_driver,
                count: 0,
                is_submitting: false,
                suspects: None,
                is_exclusive: false,
            }),
            room: WaitQueue::new(),
            statistics: Arc::default(),
            is_dead: AtomicBool::new(false),
        }))
    }

    pub(super) fn set_name(&self, name: &str) {
        *self.name.lock() = hal::boot::Text::from_bytes(name.as_bytes());
    }

    fn name(&self) -> hal::boot::Text<32> {
        *self.name.lock()
    }

    /// Nothing is submitted any more; what waits fails.
    pub(super) fn kill(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        loop {
            let request = {
                let mut state = self.state.lock();
                state.suspects.take().or_else(|| state.waiting.take_any())
            };
            let Some(request) = request else { break };
            self.end_chain(request, Err(Errno::EIO));
        }
        self.room.wake_all();
    }

    /// Takes requests in; they may be merged with one another before the driver sees the first.
    pub(super) fn submit(self: &Arc<Self>, requests: impl Iterator<Item = Box<Request>>) {
        for request in requests {
            self.submit_one(request);
        }
        self.dispatch();
    }

    fn submit_one(self: &Arc<Self>, mut request: Box<Request>) {
        if self.is_dead.load(Ordering::Relaxed) {
            return request.finish(Err(Errno::EIO));
        }
        if let Some(result) = self.answer_at_once(&mut request) {
            return request.finish(result);
        }
        let most = match request.operation {
            Operation::Discard(_) => self.info.discard_sectors,
            Operation::WriteZeroes(_) => self.info.zero_sectors,
            _ => self.limits.sectors,
        };
        loop {
            match request.split(most, self.limits.segments) {
                Ok(rest) => {
                    self.insert(request);
                    match rest {
                        Some(rest) => request = rest,
                        None => return,
                    }
                }
                Err(error) => return request.finish(Err(error)),
            }
        }
    }

    /// What needs no device.
    fn answer_at_once(&self, request: &mut Request) -> Option<Result<()>> {
        match request.operation {
            Operation::Flush if !self.info.has_volatile_cache => Some(Ok(())),
            Operation::Discard(_) if self.info.discard_sectors == 0 => Some(Err(Errno::EOPNOTSUPP)),
            Operation::WriteZeroes(_) if self.info.zero_sectors == 0 => Some(Err(Errno::EOPNOTSUPP)),
            Operation::Write(Durability::Durable) if !self.info.has_volatile_cache => {
                request.operation = Operation::Write(Durability::Cached);
                None
            }
            Operation::Write(Durability::Durable) if !self.info.has_durable_writes => {
                request.operation = Operation::Write(Durability::Cached);
                request.wants_flush = true;
                None
            }
            _ => None,
        }
    }

    /// Waits for room if there is none.
    fn insert(self: &Arc<Self>, mut request: Box<Request>) {
        let now = time::now_ns();
        request.submitted_ns = now;
        self.statistics.began(now);
        if let Some(partition) = &request.partition {
            partition.began(now);
        }
        let operation = request.operation;
        let partition = request.partition.clone();
        if self.state.lock().waiting.len() >= BACKLOG {
            self.dispatch();
            let has_room = || (self.state.lock().waiting.len() < BACKLOG).then_some(()).ok_or(Errno::EAGAIN);
            // Without memory to wait it goes in all the same: there is room for as many again.
            let _ = self.room.block_until(Wait::UNINTERRUPTIBLE, has_room);
        }
        let mut state = self.state.lock();
        let inserted = state.waiting.insert(request, now, &self.limits);
        drop(state);
        if self.is_dead.load(Ordering::Relaxed) {
            // It died between the look and the insertion.
            return self.kill();
        }
        match inserted {
            Ok(Inserted::Alone) => {}
            Ok(Inserted::Merged) => {
                self.statistics.merged(operation);
                if let Some(partition) = partition {
                    partition.merged(operation);
                }
            }
            Err(request) => self.end_chain(request, Err(Errno::ENOMEM)),
        }
    }

    /// Gives the driver what it can take. From threads and interrupts.
    pub(super) fn dispatch(self: &Arc<Self>) {
        loop {
            let went_on = cpu::without_interrupts(|| {
                let Some(command) = self.next_command() else { return false };
                self.device.submit(command);
                // A driver that finishes at once comes by here again, and is sent away by the mark: no recursion.
                self.state.lock().is_submitting = false;
                true
            });
            if !went_on {
                return;
            }
        }
    }

    fn next_command(self: &Arc<Self>) -> Option<Command> {
        if self.is_dead.load(Ordering::Relaxed) {
            return None;
        }
        let now = time::now_ns();
        let mut state = self.state.lock();
        if state.is_submitting || state.is_exclusive || state.suspects.is_some() && state.count > 0 {
            return None;
        }
        let slot = match state.count {
            count if count < state.with_driver.len() => state.with_driver.iter().position(Option::is_none)?,
            _ => return None,
        };
        let mut request = match state.suspects.take() {
            Some(mut suspect) => {
                state.suspects = suspect.next.take();
                state.is_exclusive = true;
                suspect
            }
            None => state.waiting.pop(now)?,
        };
        let in_flight = InFlight { deadline_ns: now.saturating_add(TIMEOUT_NS), is_late: false };
        *state.with_driver.get_mut(slot)? = Some(in_flight);
        state.count += 1;
        state.is_submitting = true;
        drop(state);
        request.slot = slot;
        request.queue = Some(self.clone());
        watch::something_is_under_way();
        Some(Command(Some(request)))
    }

    /// Whether anything is with the driver; marks what is there for too long, and says whether there was any.
    pub(super) fn look(&self, now_ns: u64) -> (bool, bool) {
        let mut state = self.state.lock();
        let mut is_late = false;
        for in_flight in state.with_driver.iter_mut().flatten() {
            in_flight.is_late |= now_ns >= in_flight.deadline_ns;
            is_late |= in_flight.is_late;
        }
        (state.count > 0, is_late)
    }

    /// The device lost a command: start anew.
    pub(super) fn recover(self: &Arc<Self>) {
        let name = self.name();
        let name = name.as_str();
        if self.device.poll() {
            crate::warning!("{name}: an interrupt got lost; going on");
        }
        // Awake, for a while: an emulator whose clock jumps when everybody sleeps has had no time to answer.
        let enough = time::now_ns().saturating_add(LAST_CHANCE_NS);
        while self.look(time::now_ns()).1 {
            if time::now_ns() >= enough {
                return self.restart(name);
            }
            crate::sched::yield_now();
        }
        self.dispatch();
    }

    /// Resets the device; what was late fails, the rest is sent again.
    pub(super) fn restart(self: &Arc<Self>, name: &str) {
        crate::error!("{name}: no answer for {} seconds; resetting the device", TIMEOUT_NS / 1_000_000_000);
        if self.device.reset().is_err() {
            crate::error!("{name}: the device does not come back; every access fails from here on");
            self.kill();
        }
        self.dispatch();
    }

    fn end_chain(&self, request: Box<Request>, result: Result<()>) {
        let now = time::now_ns();
        let mut rest = Some(request);
        while let Some(mut request) = rest {
            rest = request.next.take();
            self.end(request, result, now);
        }
    }

    fn end(&self, request: Box<Request>, result: Result<()>, now: u64) {
        let sectors = request.own_sectors();
        let (operation, since) = (request.operation, request.submitted_ns);
        self.statistics.ended(operation, sectors, since, now);
        if let Some(partition) = &request.partition {
            partition.ended(operation, sectors, since, now);
        }
        request.finish(result);
    }

    /// Puts a request back; it has its room.
    fn again(&self, request: Box<Request>) {
        let now = time::now_ns();
        let inserted = self.state.lock().waiting.insert(request, now, &self.limits);
        if let Err(request) = inserted {
            self.end_chain(request, Err(Errno::EIO));
        }
    }

    fn came_back(self: &Arc<Self>, request: Box<Request>, outcome: Outcome) {
        let mut state = self.state.lock();
        let slot = state.with_driver.get_mut(request.slot).and_then(Option::take);
        state.count -= usize::from(slot.is_some());
        state.is_exclusive = false;
        let has_room = state.waiting.len() < BACKLOG;
        drop(state);
        match outcome {
            Ok(()) => self.succeeded(request),
            Err(failure) => {
                let is_late = slot.is_some_and(|slot| slot.is_late);
                self.failed(request, failure, is_late);
            }
        }
        if has_room && !self.room.is_empty() {
            self.room.wake_one();
        }
        self.dispatch();
    }

    fn succeeded(&self, request: Box<Request>) {
        let now = time::now_ns();
        let mut rest = Some(request);
        while let Some(mut request) = rest {
            rest = request.next.take();
            if request.wants_flush {
                request.wants_flush = false;
                request.segments.clear();
                request.operation = Operation::Flush;
                request.is_alone = false;
                self.again(request);
            } else {
                self.end(request, Ok(()), now);
            }
        }
    }

    fn failed(&self, mut request: Box<Request>, failure: Failure, is_late: bool) {
        let is_dead = self.is_dead.load(Ordering::Relaxed);
        request.attempts += 1;
        let again = failure == Failure::Transport && request.attempts < ATTEMPTS && !is_late && !is_dead;
        if again && !request.is_alone {
            return self.again(request);
        }
        let is_suspect = failure == Failure::Medium && !request.is_alone;
        if again || (is_suspect || request.next.is_some()) && !is_dead {
            return self.suspect(request);
        }
        self.complain(&request, failure, is_late);
        self.end_chain(request, Err(failure.into()));
    }

    /// Each by itself: only who asked for the bad sector is to hear of it.
    fn suspect(&self, request: Box<Request>) {
        let mut rest = Some(request);
        while let Some(mut request) = rest {
            rest = request.next.take();
            if !request.is_alone {
                request.is_alone = true;
                request.attempts = 0;
            }
            let mut state = self.state.lock();
            request.next = state.suspects.take();
            state.suspects = Some(request);
        }
    }

    fn complain(&self, request: &Request, failure: Failure, is_late: bool) {
        static FAILURES: log::Limited = log::Limited::new();
        let what = match request.operation {
            Operation::Read => "reading",
            Operation::Write(_) => "writing",
            Operation::Flush => "flushing",
            Operation::Discard(_) => "discarding",
            Operation::WriteZeroes(_) => "zeroing",
        };
        let (name, sector, sectors) = (self.name(), request.sector, request.own_sectors());
        let name = name.as_str();
        if is_late {
            let text = format_args!("{name}: {what} {sectors} sectors from {sector} on failed: no answer");
            return FAILURES.write(Level::Error, text);
        }
        let text = format_args!("{name}: {what} {sectors} sectors from {sector} on failed: {failure}");
        FAILURES.write(Level::Error, text);
    }
}

/// A driver is done with a command.
pub(super) fn finished(mut request: Box<Request>, outcome: Outcome) {
    match request.queue.take() {
        Some(queue) => queue.came_back(request, outcome),
        // Never given to a driver.
        None => drop(request),
    }
}
