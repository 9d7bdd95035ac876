//! Files as disks: `/dev/loop0` and so on, and `/dev/loop-control` (loop(4)).
//!
//! A loop disk is made when its node is first opened, and has a file behind it from LOOP_SET_FD or LOOP_CONFIGURE to
//! LOOP_CLR_FD. A thread for each disk with a file does what its queue asks, since files sleep. Locks: rank `Table`, around
//! the list of loop disks; rank `Device`, around what one of them has to do and what is behind it. Files are read and
//! written without a lock.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;

use abi::file::{O_ACCMODE, O_RDONLY, device_number, device_parts};
use abi::{Errno, Result};
use hal::context::Kind;
use hal::spin::Lock;
use hal::{rank, usermem};
use logic::runq::Policy;

use super::{DiskFile, disk_of};
use crate::block::{
    self, BlockDevice, Command, DeviceInfo, Disk, Failure, Family, Operation, Outcome, SECTOR, Segment,
};
use crate::sched::{self, Thread, Wait, WaitQueue};
use crate::vfs::cache::disks;
use crate::vfs::device::{self, Device, Registered};
use crate::vfs::storage::Synced;
use crate::vfs::{ByteSink, ByteSource, File, FileKind, OpenFile, Transfer};

const MAJOR: u32 = 7;
const CONTROL: (u32, u32) = (10, 237);
/// Nodes from the start, as on Linux.
const NODES: u32 = 8;
/// Nodes at most.
const MAX_NODES: u32 = 64;
const DEPTH: usize = 16;

const LOOP_SET_FD: u32 = 0x4c00;
const LOOP_CLR_FD: u32 = 0x4c01;
const LOOP_SET_STATUS64: u32 = 0x4c04;
const LOOP_GET_STATUS64: u32 = 0x4c05;
const LOOP_SET_CAPACITY: u32 = 0x4c07;
const LOOP_SET_DIRECT_IO: u32 = 0x4c08;
const LOOP_SET_BLOCK_SIZE: u32 = 0x4c09;
const LOOP_CONFIGURE: u32 = 0x4c0a;
const LOOP_CTL_ADD: u32 = 0x4c80;
const LOOP_CTL_GET_FREE: u32 = 0x4c82;

const FLAG_READ_ONLY: u32 = 1;
const FLAG_AUTOCLEAR: u32 = 4;
/// Flags that LOOP_SET_STATUS64 may change: this one can only be set there.
const SETTABLE: u32 = FLAG_AUTOCLEAR;

/// `struct loop_info64`, the parts that mean something.
#[derive(Clone, Copy)]
struct Status {
    offset: u64,
    size_limit: u64,
    flags: u32,
    name: [u8; 64],
}

const STATUS_LEN: usize = 232;
const OFFSET_AT: usize = 24;
const LIMIT_AT: usize = 32;
const NUMBER_AT: usize = 40;
const FLAGS_AT: usize = 52;
const NAME_AT: usize = 56;
/// `struct loop_config`: a descriptor, a block size, a status, and reserved words.
const CONFIG_STATUS_AT: u64 = 8;

impl Status {
    const EMPTY: Status = Status { offset: 0, size_limit: 0, flags: 0, name: [0; 64] };

    fn read(from: u64) -> Result<Self> {
        let mut bytes = [0; STATUS_LEN];
        usermem::read_bytes(&mut bytes, from)?;
        let mut name = [0; 64];
        name[..63].copy_from_slice(&bytes[NAME_AT..NAME_AT + 63]);
        Ok(Status {
            offset: long(&bytes, OFFSET_AT),
            size_limit: long(&bytes, LIMIT_AT),
            flags: word(&bytes, FLAGS_AT),
            name,
        })
    }
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// A file behind a disk.
#[derive(Clone)]
struct Backing {
    file: Arc<OpenFile>,
    status: Status,
}

struct State {
    backing: Option<Backing>,
    waiting: VecDeque<Command>,
    has_worker: bool,
}

/// A loop disk.
struct Loop {
    state: Lock<State, rank::Device>,
    work: WaitQueue,
}

/// A loop disk, by number and with its disk.
type Made = (u32, Arc<Loop>, Arc<Disk>);

static LOOPS: Lock<Vec<Made>, rank::Table> = Lock::new(Vec::new());

/// Makes the nodes known.
///
/// # Errors
/// ENOMEM.
pub fn register() -> Result<()> {
    let (major, minor) = CONTROL;
    let device: Arc<dyn Device> = Arc::new(Opener);
    let (kind, number) = (FileKind::CharDevice, device_number(major, minor));
    device::register(Registered { kind, number, name: "loop-control", permissions: 0o660, device })?;
    (0..NODES).try_for_each(add_node)
}

fn add_node(index: u32) -> Result<()> {
    let name = alloc::format!("loop{index}");
    let name: &'static str = alloc::boxed::Box::leak(name.into_boxed_str());
    let (kind, number) = (FileKind::BlockDevice, device_number(MAJOR, index));
    device::register(Registered { kind, number, name, permissions: 0o660, device: Arc::new(Opener) })
}

fn find(index: u32) -> Option<(Arc<Loop>, Arc<Disk>)> {
    let loops = LOOPS.lock();
    loops.iter().find(|(number, ..)| *number == index).map(|(_, made, disk)| (made.clone(), disk.clone()))
}

/// The loop disk with a number; made if there is none yet.
fn find_or_make(index: u32) -> Result<(Arc<Loop>, Arc<Disk>)> {
    if let Some(found) = find(index) {
        return Ok(found);
    }
    let mut waiting = VecDeque::new();
    waiting.try_reserve_exact(DEPTH).map_err(|_| Errno::ENOMEM)?;
    let state = Lock::new(State { backing: None, waiting, has_worker: false });
    let new = Arc::new(Loop { state, work: WaitQueue::new() });
    match block::register_at(Family::Loop, index, new.clone()) {
        Ok(disk) => {
            let mut loops = LOOPS.lock();
            loops.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            loops.push((index, new.clone(), disk.clone()));
            Ok((new, disk))
        }
        // Somebody else made it just now, or is about to.
        Err(Errno::EEXIST) => find(index).ok_or(Errno::EAGAIN),
        Err(error) => Err(error),
    }
}

struct Opener;

impl Device for Opener {
    fn open(&self, number: u64, flags: u32) -> Result<Arc<dyn File>> {
        match device_parts(number) {
            CONTROL => Ok(Arc::new(ControlFile)),
            (_, index) => Ok(Arc::new(DiskFile::new(&find_or_make(index)?.1, flags)?)),
        }
    }
}

/// `/dev/loop-control`.
struct ControlFile;

impl File for ControlFile {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// How a descriptor becomes a file.
pub type Resolve<'a> = &'a dyn Fn(i32) -> Result<Arc<OpenFile>>;

/// ioctl(2) on loop disks and their control; none if the file or request is something else.
pub fn control(file: &dyn File, request: u32, argument: u64, resolve: Resolve<'_>) -> Option<Result<u64>> {
    if file.as_any().is::<ControlFile>() {
        return Some(control_all(request, argument));
    }
    let disk = disk_of(file).filter(|disk| disk.family() == Family::Loop && request >> 8 == 0x4c)?;
    let (found, disk) = find(disk.index())?;
    Some(found.control(&disk, request, argument, resolve).map(|()| 0))
}

fn control_all(request: u32, argument: u64) -> Result<u64> {
    match request {
        LOOP_CTL_GET_FREE => {
            let is_free = |index: u32| find(index).is_none_or(|(found, _)| !found.is_bound());
            let index = (0..MAX_NODES).find(|&index| is_free(index)).ok_or(Errno::ENOSPC)?;
            if index >= NODES {
                match add_node(index) {
                    Ok(()) | Err(Errno::EEXIST) => super::announce(),
                    Err(error) => return Err(error),
                }
            }
            Ok(u64::from(index))
        }
        LOOP_CTL_ADD => {
            let index =
                u32::try_from(argument).ok().filter(|&index| index < MAX_NODES).ok_or(Errno::ENOSPC)?;
            add_node(index)?;
            super::announce();
            Ok(u64::from(index))
        }
        _ => Err(Errno::ENOSYS),
    }
}

impl Loop {
    fn is_bound(&self) -> bool {
        self.state.lock().backing.is_some()
    }

    fn backing(&self) -> Result<Backing> {
        self.state.lock().backing.clone().ok_or(Errno::ENXIO)
    }

    fn control(
        self: &Arc<Self>,
        disk: &Arc<Disk>,
        request: u32,
        argument: u64,
        resolve: Resolve<'_>,
    ) -> Result<()> {
        match request {
            LOOP_SET_FD => {
                let fd = i32::try_from(argument).map_err(|_| Errno::EBADF)?;
                self.bind(disk, resolve(fd)?, Status::EMPTY)
            }
            LOOP_CONFIGURE => {
                let fd: i32 = usermem::read(argument)?;
                let status = Status::read(argument.checked_add(CONFIG_STATUS_AT).ok_or(Errno::EFAULT)?)?;
                self.bind(disk, resolve(fd)?, status)
            }
            LOOP_CLR_FD => {
                self.backing()?;
                // With others at it, the last one to close does it.
                if disk.openers().load(Ordering::Relaxed) > 1 {
                    if let Some(backing) = &mut self.state.lock().backing {
                        backing.status.flags |= FLAG_AUTOCLEAR;
                    }
                    return Ok(());
                }
                self.unbind(disk);
                Ok(())
            }
            LOOP_SET_STATUS64 => {
                let old = self.backing()?;
                let new = Status::read(argument)?;
                let flags = old.status.flags & !SETTABLE | new.flags & SETTABLE;
                self.change(disk, Backing { status: Status { flags, ..new }, ..old })
            }
            LOOP_GET_STATUS64 => self.write_status(disk, argument),
            LOOP_SET_CAPACITY => {
                let backing = self.backing()?;
                self.change(disk, backing)
            }
            LOOP_SET_DIRECT_IO => self.backing().map(|_| ()),
            LOOP_SET_BLOCK_SIZE if argument == SECTOR => self.backing().map(|_| ()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn bind(self: &Arc<Self>, disk: &Arc<Disk>, file: Arc<OpenFile>, status: Status) -> Result<()> {
        if self.is_bound() {
            return Err(Errno::EBUSY);
        }
        check_backing(disk, &file)?;
        let may_write = file.may_map().1;
        let read_only = if may_write { status.flags & FLAG_READ_ONLY } else { FLAG_READ_ONLY };
        let flags = status.flags & SETTABLE | read_only;
        self.change(disk, Backing { file, status: Status { flags, ..status } })?;
        disk.set_read_only(flags & FLAG_READ_ONLY != 0);
        if core::mem::replace(&mut self.state.lock().has_worker, true) {
            return Ok(());
        }
        let worker = self.clone();
        let thread = Thread::new(disk.name(), Kind::Kernel, Policy::default(), move || worker.serve());
        match thread {
            Ok(thread) => {
                sched::start(&thread);
                Ok(())
            }
            Err(error) => {
                self.state.lock().has_worker = false;
                self.unbind(disk);
                Err(error)
            }
        }
    }

    /// Sets what is behind the disk, and its size from it.
    fn change(&self, disk: &Disk, backing: Backing) -> Result<()> {
        write_back(disk);
        let size = backing.file.size().saturating_sub(backing.status.offset);
        let size = match backing.status.size_limit {
            0 => size,
            limit => size.min(limit),
        };
        if backing.status.offset > i64::MAX as u64 {
            return Err(Errno::EOVERFLOW);
        }
        let old = self.state.lock().backing.replace(backing);
        drop(old);
        disk.set_sectors(size / SECTOR);
        forget(disk);
        Ok(())
    }

    fn unbind(&self, disk: &Disk) {
        // What was written goes to the file first.
        write_back(disk);
        let _ = disk.flush_sync();
        disk.set_sectors(0);
        forget(disk);
        disk.set_read_only(false);
        let old = self.state.lock().backing.take();
        self.work.wake_all();
        drop(old);
    }

    fn write_status(&self, disk: &Disk, to: u64) -> Result<()> {
        let backing = self.backing()?;
        let mut bytes = [0; STATUS_LEN];
        if let Some(attributes) = backing.file.attributes() {
            bytes[..8].copy_from_slice(&attributes.device.to_le_bytes());
            bytes[8..16].copy_from_slice(&attributes.number.to_le_bytes());
            bytes[16..24].copy_from_slice(&attributes.device_number.to_le_bytes());
        }
        bytes[OFFSET_AT..LIMIT_AT].copy_from_slice(&backing.status.offset.to_le_bytes());
        bytes[LIMIT_AT..NUMBER_AT].copy_from_slice(&backing.status.size_limit.to_le_bytes());
        bytes[NUMBER_AT..NUMBER_AT + 4].copy_from_slice(&disk.index().to_le_bytes());
        bytes[FLAGS_AT..NAME_AT].copy_from_slice(&backing.status.flags.to_le_bytes());
        bytes[NAME_AT..NAME_AT + 64].copy_from_slice(&backing.status.name);
        usermem::write_bytes(to, &bytes)
    }

    /// The thread: does what is asked until there is no file any more.
    fn serve(&self) {
        enum Next {
            Work(Command, Option<Backing>),
            End,
        }
        loop {
            let next = self.work.block_until(Wait::UNINTERRUPTIBLE, || {
                let mut state = self.state.lock();
                match state.waiting.pop_front() {
                    Some(command) => Ok(Next::Work(command, state.backing.clone())),
                    None if state.backing.is_none() => {
                        state.has_worker = false;
                        Ok(Next::End)
                    }
                    None => Err(Errno::EAGAIN),
                }
            });
            match next {
                Ok(Next::Work(command, Some(backing))) => {
                    let outcome = carry_out(&command, &backing);
                    command.finish(outcome);
                }
                Ok(Next::Work(command, None)) => command.finish(Err(Failure::Gone)),
                Ok(Next::End) => return,
                Err(_) => sched::yield_now(),
            }
        }
    }
}

/// Gives the file what the disk's cache has.
fn write_back(disk: &Disk) {
    if let Some(cache) = disks::find(disk) {
        // As on Linux, where nobody is told either.
        let _ = cache.write_back(0..u64::MAX);
    }
}

/// Something else is behind the disk now.
fn forget(disk: &Disk) {
    if let Some(cache) = disks::find(disk) {
        cache.pages().forget(0..u64::MAX);
    }
}

/// A disk was closed: the last one to do so may take the file away.
pub(super) fn closed(disk: &Arc<Disk>) {
    if disk.family() != Family::Loop || disk.openers().load(Ordering::Relaxed) > 0 {
        return;
    }
    if let Some((found, disk)) = find(disk.index())
        && found.backing().is_ok_and(|backing| backing.status.flags & FLAG_AUTOCLEAR != 0)
    {
        found.unbind(&disk);
    }
}

/// What is behind a disk must be a file or a disk, and not in the end the disk itself.
fn check_backing(disk: &Disk, file: &Arc<OpenFile>) -> Result<()> {
    let kind = file.attributes().map(|attributes| attributes.kind);
    if !matches!(kind, Some(FileKind::Regular | FileKind::BlockDevice)) {
        return Err(Errno::EINVAL);
    }
    if file.flags() & O_ACCMODE != O_RDONLY && !file.may_map().0 {
        return Err(Errno::EBADF);
    }
    let mut file = file.clone();
    while let Some(below) = disk_of(&**file.file()).filter(|below| below.family() == Family::Loop) {
        if below.number() == disk.number() {
            return Err(Errno::EBADF);
        }
        let Some((found, _)) = find(below.index()) else { return Err(Errno::EINVAL) };
        file = found.backing().map_err(|_| Errno::EINVAL)?.file;
    }
    Ok(())
}

fn carry_out(command: &Command, backing: &Backing) -> Outcome {
    let file = backing.file.file();
    if command.operation() == Operation::Flush {
        let Some(storage) = file.storage() else { return Ok(()) };
        return storage.sync(Synced::Data, 0..u64::MAX).map_err(|_| Failure::Medium);
    }
    let mut position = backing.status.offset.saturating_add(command.sector() * SECTOR);
    for segment in command.segments() {
        let transfer = Transfer { position, wait: Wait::UNINTERRUPTIBLE };
        let len = segment.len() as usize;
        let mut part = Part { segment, done: 0 };
        while part.done < len {
            let transfer = Transfer { position: position + part.done as u64, ..transfer };
            let moved = match command.operation() {
                Operation::Read => file.read(&transfer, &mut part),
                _ => file.write(&transfer, &mut part),
            };
            match moved {
                Ok(0) => break,
                Ok(_) => {}
                Err(Errno::ENOSPC) => return Err(Failure::NoSpace),
                Err(_) => return Err(Failure::Medium),
            }
        }
        if part.done < len {
            if command.operation() != Operation::Read {
                return Err(Failure::NoSpace);
            }
            // Behind the file's end.
            let offset = segment.offset() as usize;
            segment.frame().clear(offset + part.done, offset + len);
        }
        position += len as u64;
    }
    Ok(())
}

/// A piece of a command's memory, as bytes to fill or to take.
struct Part<'a> {
    segment: &'a Segment,
    done: usize,
}

impl Part<'_> {
    fn left(&self) -> usize {
        (self.segment.len() as usize).saturating_sub(self.done)
    }

    fn place(&self) -> usize {
        self.segment.offset() as usize + self.done
    }
}

impl ByteSink for Part<'_> {
    fn room(&self) -> usize {
        self.left()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        let count = bytes.len().min(self.left());
        self.segment.frame().write(self.place(), &bytes[..count]);
        self.done += count;
        Ok(count)
    }
}

impl ByteSource for Part<'_> {
    fn left(&self) -> usize {
        Part::left(self)
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize> {
        let count = into.len().min(Part::left(self));
        self.segment.frame().read(self.place(), &mut into[..count]);
        self.done += count;
        Ok(count)
    }
}

impl BlockDevice for Loop {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            sectors: 0,
            logical_block: 512,
            physical_block: 512,
            is_read_only: false,
            has_volatile_cache: true,
            has_durable_writes: false,
            discard_sectors: 0,
            zero_sectors: 0,
            max_sectors: 1024,
            max_segments: 128,
            depth: DEPTH,
            is_rotational: false,
        }
    }

    fn submit(&self, command: Command) {
        let refused = {
            let mut state = self.state.lock();
            if state.waiting.len() < state.waiting.capacity() && state.has_worker {
                state.waiting.push_back(command);
                None
            } else {
                Some(command)
            }
        };
        match refused {
            Some(command) => command.finish(Err(Failure::Gone)),
            None => {
                self.work.wake_one();
            }
        }
    }

    /// A file that takes long is not stuck: what waits for it goes on waiting.
    fn reset(&self) -> Result<()> {
        Ok(())
    }
}
