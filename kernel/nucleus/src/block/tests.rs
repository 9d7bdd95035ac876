//! The queue against a device in memory that a test can hold back and let fail.

use std::collections::BTreeSet;
use std::sync::Mutex as HostMutex;

use abi::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use hal::frames::SharedFrame;
use hal::simulation::{self, Machine, Occupied};

use super::device::{BlockDevice, Command, DeviceInfo, Failure};
use super::queue::{Queue, TIMEOUT_NS};
use super::request::{Durability, Operation, Request, Segment};
use super::ticket::Ticket;

const SECTORS: u64 = 4096;

struct Memory {
    info: DeviceInfo,
    bytes: HostMutex<Vec<u8>>,
    held: HostMutex<Option<Vec<Command>>>,
    bad: HostMutex<BTreeSet<u64>>,
    /// Operation, sector, sectors, segments of each command.
    log: HostMutex<Vec<(Operation, u64, u64, usize)>>,
    losses: HostMutex<usize>,
}

impl Memory {
    fn new(change: impl FnOnce(&mut DeviceInfo)) -> Arc<Self> {
        let mut info = DeviceInfo {
            sectors: SECTORS,
            logical_block: 512,
            physical_block: 512,
            is_read_only: false,
            has_volatile_cache: true,
            has_durable_writes: false,
            discard_sectors: 100,
            zero_sectors: 0,
            max_sectors: 64,
            max_segments: 8,
            depth: 2,
            is_rotational: false,
        };
        change(&mut info);
        Arc::new(Memory {
            info,
            bytes: HostMutex::new(vec![0; usize::try_from(SECTORS).unwrap() * 512]),
            held: HostMutex::new(None),
            bad: HostMutex::default(),
            log: HostMutex::default(),
            losses: HostMutex::new(0),
        })
    }

    fn hold(&self) {
        *self.held.lock().unwrap() = Some(Vec::new());
    }

    fn let_go(&self) {
        let held = self.held.lock().unwrap().take().unwrap_or_default();
        held.into_iter().for_each(|command| self.carry_out(command));
    }

    fn carry_out(&self, command: Command) {
        if std::mem::take(&mut *self.losses.lock().unwrap()) > 0 {
            return command.finish(Err(Failure::Transport));
        }
        let (start, end) = (command.sector(), command.sector() + command.sectors());
        if self.bad.lock().unwrap().range(start..end).next().is_some() {
            return command.finish(Err(Failure::Medium));
        }
        let mut at = usize::try_from(start).unwrap() * 512;
        {
            let mut bytes = self.bytes.lock().unwrap();
            for segment in command.segments() {
                let (offset, len) = (segment.offset() as usize, segment.len() as usize);
                match command.operation() {
                    Operation::Read => segment.frame().write(offset, &bytes[at..at + len]),
                    _ => segment.frame().read(offset, &mut bytes[at..at + len]),
                }
                at += len;
            }
        }
        command.finish(Ok(()));
    }

    fn log(&self) -> Vec<(Operation, u64, u64, usize)> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl BlockDevice for Memory {
    fn info(&self) -> DeviceInfo {
        self.info
    }

    fn submit(&self, command: Command) {
        let entry = (command.operation(), command.sector(), command.sectors(), command.segments().count());
        self.log.lock().unwrap().push(entry);
        if let Some(held) = &mut *self.held.lock().unwrap() {
            return held.push(command);
        }
        self.carry_out(command);
    }

    fn reset(&self) -> Result<()> {
        let lost = self.held.lock().unwrap().take().unwrap_or_default();
        lost.into_iter().for_each(|command| command.finish(Err(Failure::Transport)));
        Ok(())
    }
}

fn boot() -> (Machine, Occupied) {
    let machine = simulation::machine();
    let cpu = simulation::occupy(0);
    super::request::fill_reserve().unwrap();
    (machine, cpu)
}

fn request(
    operation: Operation,
    sector: u64,
    fill: u8,
    ticket: &Arc<Ticket>,
) -> (alloc::boxed::Box<Request>, SharedFrame) {
    let frame = SharedFrame::new_zeroed().unwrap();
    frame.write(0, &[fill; 512]);
    let mut request = Request::new(operation, sector, 1, ticket).unwrap();
    request.push(Segment::new(frame.clone(), 0, 512).unwrap()).unwrap();
    (request, frame)
}

const WRITE: Operation = Operation::Write(Durability::Cached);

#[test]
fn what_is_written_is_read() {
    let _machine = boot();
    let memory = Memory::new(|_| {});
    let queue = Queue::new(memory.clone()).unwrap();
    let ticket = Ticket::new();
    queue.submit((0..4).map(|at| request(WRITE, at, u8::try_from(at).unwrap() + 1, &ticket).0));
    assert_eq!(ticket.poll(), Some(Ok(())));
    assert_eq!(memory.log(), [(WRITE, 0, 4, 4)], "four neighbours are one command");
    let (read, frame) = request(Operation::Read, 2, 0, &ticket);
    queue.submit(core::iter::once(read));
    let mut bytes = [0; 512];
    frame.read(0, &mut bytes);
    assert_eq!((ticket.poll(), bytes), (Some(Ok(())), [3; 512]));
    assert!(frame.is_unique(), "the request gave its share back");
}

#[test]
fn no_more_than_the_depth_is_with_the_driver() {
    let _machine = boot();
    let memory = Memory::new(|_| {});
    memory.hold();
    let queue = Queue::new(memory.clone()).unwrap();
    let ticket = Ticket::new();
    for at in [10, 20, 30, 40, 41] {
        queue.submit(core::iter::once(request(Operation::Read, at, 0, &ticket).0));
    }
    assert_eq!(memory.log().len(), 2);
    assert_eq!(ticket.poll(), None);
    memory.let_go();
    let later = memory.log();
    assert_eq!(later, [(Operation::Read, 30, 1, 1), (Operation::Read, 40, 2, 2)]);
    assert_eq!(ticket.poll(), Some(Ok(())));
}

#[test]
fn a_bad_sector_fails_its_own_request_only() {
    let _machine = boot();
    let memory = Memory::new(|_| {});
    memory.bad.lock().unwrap().insert(6);
    let queue = Queue::new(memory.clone()).unwrap();
    let tickets: Vec<_> = (5..8).map(|_| Ticket::new()).collect();
    queue.submit((5..8).zip(&tickets).map(|(at, ticket)| request(WRITE, at, 9, ticket).0));
    let results: Vec<_> = tickets.iter().map(|ticket| ticket.poll()).collect();
    assert_eq!(results, [Some(Ok(())), Some(Err(Errno::EIO)), Some(Ok(()))]);
    assert_eq!(memory.log().len(), 4, "together, then each alone");
    tickets[1].reset();
    assert_eq!(tickets[1].poll(), Some(Ok(())));
}

#[test]
fn what_got_lost_is_sent_again() {
    let _machine = boot();
    let memory = Memory::new(|_| {});
    *memory.losses.lock().unwrap() = 1;
    let queue = Queue::new(memory.clone()).unwrap();
    let ticket = Ticket::new();
    queue.submit(core::iter::once(request(WRITE, 1, 1, &ticket).0));
    assert_eq!((ticket.poll(), memory.log().len()), (Some(Ok(())), 2));
}

#[test]
fn what_takes_too_long_fails_and_the_rest_goes_on() {
    let _machine = boot();
    let memory = Memory::new(|_| {});
    memory.hold();
    let queue = Queue::new(memory.clone()).unwrap();
    let (old, young) = (Ticket::new(), Ticket::new());
    queue.submit(core::iter::once(request(WRITE, 1, 1, &old).0));
    simulation::advance_ns(TIMEOUT_NS / 2);
    queue.submit(core::iter::once(request(WRITE, 9, 1, &young).0));
    assert_eq!(queue.look(hal::time::now_ns()), (true, false));
    simulation::advance_ns(TIMEOUT_NS / 2 + 1);
    assert_eq!(queue.look(hal::time::now_ns()), (true, true));
    queue.restart("test");
    assert_eq!((old.poll(), young.poll()), (Some(Err(Errno::EIO)), Some(Ok(()))));
    assert_eq!(queue.look(hal::time::now_ns()), (false, false));
}

#[test]
fn a_durable_write_is_a_write_and_a_flush_where_the_device_knows_none() {
    let _machine = boot();
    let durable = Operation::Write(Durability::Durable);
    let commands = |change: fn(&mut DeviceInfo)| {
        let memory = Memory::new(change);
        let queue = Queue::new(memory.clone()).unwrap();
        let ticket = Ticket::new();
        queue.submit(core::iter::once(request(durable, 1, 1, &ticket).0));
        assert_eq!(ticket.poll(), Some(Ok(())));
        memory.log().iter().map(|entry| entry.0).collect::<Vec<_>>()
    };
    assert_eq!(commands(|_| {}), [WRITE, Operation::Flush]);
    assert_eq!(commands(|info| info.has_durable_writes = true), [durable]);
    assert_eq!(commands(|info| info.has_volatile_cache = false), [WRITE]);
}

#[test]
fn what_is_too_large_is_cut() {
    let _machine = boot();
    let memory = Memory::new(|_| {});
    let queue = Queue::new(memory.clone()).unwrap();
    let ticket = Ticket::new();
    let mut large = Request::new(Operation::Read, 0, 20, &ticket).unwrap();
    for _ in 0..20 {
        large.push(Segment::page(SharedFrame::new_zeroed().unwrap())).unwrap();
    }
    let discard = Request::new(Operation::Discard(250), 300, 0, &ticket).unwrap();
    let flush = Request::new(Operation::Flush, 0, 0, &ticket).unwrap();
    queue.submit([large, discard, flush].into_iter());
    assert_eq!(ticket.poll(), Some(Ok(())));
    let mut log: Vec<_> = memory.log().iter().map(|entry| (entry.1, entry.2)).collect();
    log.sort_unstable();
    assert_eq!(log, [(0, 0), (0, 64), (64, 64), (128, 32), (300, 100), (400, 100), (500, 50)]);
    let zeroes = Request::new(Operation::WriteZeroes(1), 0, 0, &ticket).unwrap();
    queue.submit(core::iter::once(zeroes));
    assert_eq!(ticket.poll(), Some(Err(Errno::EOPNOTSUPP)));
}

#[test]
fn a_dead_device_fails_everything_at_once() {
    let _machine = boot();
    let memory = Memory::new(|info| info.depth = 1);
    memory.hold();
    let queue = Queue::new(memory.clone()).unwrap();
    let (with_driver, waiting, later) = (Ticket::new(), Ticket::new(), Ticket::new());
    queue.submit(core::iter::once(request(WRITE, 1, 1, &with_driver).0));
    queue.submit(core::iter::once(request(WRITE, 9, 1, &waiting).0));
    queue.kill();
    queue.submit(core::iter::once(request(WRITE, 20, 1, &later).0));
    assert_eq!((waiting.poll(), later.poll()), (Some(Err(Errno::EIO)), Some(Err(Errno::EIO))));
    memory.reset().unwrap();
    assert_eq!(with_driver.poll(), Some(Err(Errno::EIO)));
}

#[test]
fn the_reserve_comes_back() {
    let _machine = boot();
    let memory = Memory::new(|_| {});
    let queue = Queue::new(memory).unwrap();
    for _ in 0..40 {
        let ticket = Ticket::new();
        let kept: Vec<_> = (0..16).map(|at| Request::from_reserve(WRITE, at * 9, &ticket).unwrap()).collect();
        assert!(kept.iter().all(|request| request.segments.capacity() >= super::RESERVED_SEGMENTS));
        let with_memory = kept.into_iter().map(|mut request| {
            request.push(Segment::page(SharedFrame::new_zeroed().unwrap())).unwrap();
            request
        });
        queue.submit(with_memory);
        assert_eq!(ticket.poll(), Some(Ok(())));
    }
}

#[test]
fn a_dropped_request_is_a_failed_one() {
    let _machine = boot();
    let ticket = Ticket::new();
    drop(request(WRITE, 1, 1, &ticket).0);
    assert_eq!(ticket.poll(), Some(Err(Errno::EIO)));
}
