//! POSIX message queues (mq_overview(7)) and the file system they are in: files of one directory, mounted as `mqueue`.
//!
//! A queue is its own inode and its own open file. What is in it and who is told of the first message is under one
//! sleeping lock (rank `Stream`); names are under rank `Inode`, and what users have under `Table`. Who is to be told is
//! told without any. The order of messages is [`logic::mqueue`]'s.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::file::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};
use abi::{Errno, Result};
use hal::rank;
use hal::spin::{Lock, Once};
use hashbrown::HashMap;
use logic::mqueue::{Message, Queue as Contents, Size};
use logic::proc_text::Text;
use nucleus::clock;
use nucleus::sched::{Mutex, Wait, WaitQueue};
use nucleus::vfs::inode::{Naming, Removal};
use nucleus::vfs::{
    Attributes, ByteSink, Change, Events, File, FileKind, FileSystem, Inode, Listing, NewNode, Opening,
    Statistics, Transfer,
};

use crate::identity;

/// Linux's `MQUEUE_MAGIC`.
const MAGIC: u64 = 0x1980_0202;

/// `/proc/sys/fs/mqueue`.
pub static LIMITS: Limits = Limits {
    queues: AtomicU32::new(256),
    messages: AtomicU32::new(10),
    bytes: AtomicU32::new(8192),
    default_messages: AtomicU32::new(10),
    default_bytes: AtomicU32::new(8192),
};

/// See [`LIMITS`].
pub struct Limits {
    /// `queues_max`: queues there may be.
    pub queues: AtomicU32,
    /// `msg_max`: messages of one.
    pub messages: AtomicU32,
    /// `msgsize_max`: bytes of one message.
    pub bytes: AtomicU32,
    /// `msg_default`.
    pub default_messages: AtomicU32,
    /// `msgsize_default`.
    pub default_bytes: AtomicU32,
}

/// What even the privileged may not exceed.
const HARD_LIMIT: Size = Size { messages: 65_536, bytes: 16 << 20 };

/// Who is told that a message came to an empty queue: mq_notify(3).
pub trait Notified: Send + Sync {
    /// One came, and nobody was waiting for it.
    fn message_came(&self);

    /// The table of descriptors that asked, by its number: closing a descriptor there takes it back.
    fn table(&self) -> u64;

    /// What `cat` of the queue shows: `sigev_notify`, signal, process.
    fn shown(&self) -> (u32, u32, u32);
}

/// Bytes of queues by user (RLIMIT_MSGQUEUE).
static BYTES: Lock<Option<HashMap<u32, u64>>, rank::Table> = Lock::new(None);

/// A queue.
pub struct MessageQueue {
    number: u64,
    device: u64,
    user: AtomicU32,
    group: AtomicU32,
    permissions: AtomicU32,
    links: AtomicU32,
    /// Accessed, modified, changed: nanoseconds since 1970.
    times: [AtomicU64; 3],
    state: Mutex<State, rank::Stream>,
    sent: WaitQueue,
    received: WaitQueue,
    /// Who pays for it.
    payer: u32,
}

struct State {
    contents: Contents,
    notified: Option<Arc<dyn Notified>>,
    /// Threads that wait for a message: then nobody is told.
    receivers: u32,
}

/// The directory.
struct Directory {
    device: u64,
    names: Mutex<BTreeMap<Vec<u8>, Arc<MessageQueue>>, rank::Inode>,
}

/// The file system.
pub struct Mqueue {
    root: Arc<Directory>,
}

/// The one there is.
pub fn shared() -> Arc<Mqueue> {
    static SYSTEM: Once<Arc<Mqueue>> = Once::new();
    SYSTEM
        .call_once(|| {
            let device = identity::new_device();
            Arc::new(Mqueue { root: Arc::new(Directory { device, names: Mutex::new(BTreeMap::new()) }) })
        })
        .clone()
}

/// The queue behind an open file.
pub fn of(file: &dyn File) -> Option<&MessageQueue> {
    file.as_any().downcast_ref()
}

/// Who makes a queue, and what he may.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Who pays for it.
    pub payer: u32,
    /// RLIMIT_MSGQUEUE.
    pub limit: u64,
    /// Whether he may exceed what others may (CAP_SYS_RESOURCE).
    pub is_privileged: bool,
}

impl Mqueue {
    /// The queue called `name`.
    ///
    /// # Errors
    /// ENOENT.
    pub fn find(&self, name: &[u8]) -> Result<Arc<MessageQueue>> {
        self.root.names.lock().get(name).cloned().ok_or(Errno::ENOENT)
    }

    /// Makes one.
    ///
    /// # Errors
    /// EEXIST, ENOSPC if there are too many, EINVAL for sizes, EMFILE at the user's limit, ENOMEM.
    pub fn make(
        &self,
        name: &[u8],
        permissions: u32,
        size: Option<Size>,
        maker: &Maker,
    ) -> Result<Arc<MessageQueue>> {
        let mut names = self.root.names.lock();
        if names.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let is_full = names.len() >= LIMITS.queues.load(Ordering::Relaxed) as usize;
        if is_full && !maker.is_privileged {
            return Err(Errno::ENOSPC);
        }
        let queue = MessageQueue::new(self.root.device, permissions, checked(size, maker)?, maker)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(name.len()).map_err(|_| Errno::ENOMEM)?;
        copy.extend_from_slice(name);
        names.insert(copy, queue.clone());
        Ok(queue)
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// ENOENT.
    pub fn unlink(&self, name: &[u8]) -> Result<()> {
        let removed = self.root.names.lock().remove(name);
        let queue = removed.ok_or(Errno::ENOENT)?;
        queue.links.store(0, Ordering::Relaxed);
        Ok(())
    }
}

fn checked(size: Option<Size>, maker: &Maker) -> Result<Size> {
    let limit = |limit: &AtomicU32| limit.load(Ordering::Relaxed) as usize;
    let most = if maker.is_privileged {
        HARD_LIMIT
    } else {
        Size { messages: limit(&LIMITS.messages), bytes: limit(&LIMITS.bytes) }
    };
    let Some(size) = size else {
        // The defaults, as far as they are allowed.
        let messages = limit(&LIMITS.default_messages).min(limit(&LIMITS.messages));
        return Ok(Size { messages, bytes: limit(&LIMITS.default_bytes).min(limit(&LIMITS.bytes)) });
    };
    let is_good = |value: usize, most: usize| value > 0 && value <= most;
    let is_allowed = is_good(size.messages, most.messages) && is_good(size.bytes, most.bytes);
    if is_allowed { Ok(size) } else { Err(Errno::EINVAL) }
}

impl MessageQueue {
    fn new(device: u64, permissions: u32, size: Size, maker: &Maker) -> Result<Arc<Self>> {
        static NEXT: AtomicU64 = AtomicU64::new(2);
        let contents = Contents::new(size)?;
        pay(maker.payer, size.cost(), maker.limit)?;
        let now = clock::realtime_ns();
        Ok(Arc::new(MessageQueue {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            device,
            user: AtomicU32::new(maker.user),
            group: AtomicU32::new(maker.group),
            permissions: AtomicU32::new(permissions),
            links: AtomicU32::new(1),
            times: [const { AtomicU64::new(0) }; 3].map(|_| AtomicU64::new(now)),
            state: Mutex::new(State { contents, notified: None, receivers: 0 }),
            sent: WaitQueue::new(),
            received: WaitQueue::new(),
            payer: maker.payer,
        }))
    }

    /// How much it takes, and how many messages are in it.
    pub fn told(&self) -> (Size, usize) {
        let state = self.state.lock();
        (state.contents.size(), state.contents.len())
    }

    /// mq_timedsend(2).
    ///
    /// # Errors
    /// EMSGSIZE, EAGAIN, ETIMEDOUT, ERESTARTSYS.
    pub fn send(&self, mut message: Message, wait: Wait) -> Result<()> {
        if message.text.len() > self.told().0.bytes {
            return Err(Errno::EMSGSIZE);
        }
        let told = self.received.block_until(wait, || {
            let mut state = self.state.lock();
            let was_empty = state.contents.is_empty();
            state.contents.send(&mut message)?;
            let is_told = was_empty && state.receivers == 0;
            Ok(if is_told { state.notified.take() } else { None })
        })?;
        self.touch(&[1, 2]);
        self.sent.wake_all();
        if let Some(told) = told {
            told.message_came();
        }
        Ok(())
    }

    /// mq_timedreceive(2) with room for so many bytes.
    ///
    /// # Errors
    /// EMSGSIZE, EAGAIN, ETIMEDOUT, ERESTARTSYS.
    pub fn receive(&self, room: usize, wait: Wait) -> Result<Message> {
        if room < self.told().0.bytes {
            return Err(Errno::EMSGSIZE);
        }
        let mut waits = false;
        let outcome = self.sent.block_until(wait, || {
            let mut state = self.state.lock();
            let message = state.contents.receive();
            if message.is_err() && wait.may_block() && !waits {
                waits = true;
                state.receivers += 1;
            }
            message
        });
        if waits {
            self.state.lock().receivers -= 1;
        }
        let message = outcome?;
        self.touch(&[0, 2]);
        self.received.wake_all();
        Ok(message)
    }

    /// mq_notify(2): `who` is told of the next message that comes to the empty queue.
    ///
    /// # Errors
    /// EBUSY if somebody else is.
    pub fn notify(&self, who: Arc<dyn Notified>) -> Result<()> {
        let mut state = self.state.lock();
        if state.notified.is_some() {
            return Err(Errno::EBUSY);
        }
        state.notified = Some(who);
        Ok(())
    }

    /// Takes that back, if it is of this table of descriptors.
    pub fn forget(&self, table: u64) {
        let taken = {
            let mut state = self.state.lock();
            let is_its = state.notified.as_ref().is_some_and(|who| who.table() == table);
            if is_its { state.notified.take() } else { None }
        };
        drop(taken);
    }

    fn touch(&self, which: &[usize]) {
        let now = clock::realtime_ns();
        for time in which.iter().filter_map(|&which| self.times.get(which)) {
            time.store(now, Ordering::Relaxed);
        }
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        let cost = self.state.lock().contents.size().cost();
        if let Some(bytes) = BYTES.lock().as_mut().and_then(|bytes| bytes.get_mut(&self.payer)) {
            *bytes = bytes.saturating_sub(cost);
        }
    }
}

fn pay(user: u32, cost: u64, limit: u64) -> Result<()> {
    let mut bytes = BYTES.lock();
    let bytes = bytes.get_or_insert_default();
    bytes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let paid = bytes.entry(user).or_insert(0);
    match paid.checked_add(cost).filter(|&sum| sum <= limit) {
        Some(sum) => {
            *paid = sum;
            Ok(())
        }
        None => Err(Errno::EMFILE),
    }
}

impl File for MessageQueue {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        let mut text = Text::new();
        {
            let state = self.state.lock();
            let (notify, signal, process) =
                state.notified.as_ref().map_or((0, 0, 0), |notified| notified.shown());
            text.put(format_args!(
                "QSIZE:{:<10} NOTIFY:{notify:<5} SIGNO:{signal:<5} NOTIFY_PID:{process:<6}\n",
                state.contents.bytes()
            ));
        }
        let text = text.finish().ok_or(Errno::ENOMEM)?;
        let from = usize::try_from(transfer.position).unwrap_or(usize::MAX);
        to.put(text.get(from..).unwrap_or_default())
    }

    fn ready(&self) -> Events {
        let state = self.state.lock();
        let input = if state.contents.is_empty() { 0 } else { POLLIN | POLLRDNORM };
        let output = if state.contents.is_full() { 0 } else { POLLOUT | POLLWRNORM };
        Events(input | output)
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.sent);
        visit(&self.received);
    }

    fn changes(&self, wanted: Events) -> u64 {
        let sent = if wanted.0 & POLLIN != 0 { self.sent.signals() } else { 0 };
        let received = if wanted.0 & POLLOUT != 0 { self.received.signals() } else { 0 };
        sent.wrapping_add(received)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Inode for MessageQueue {
    fn attributes(&self) -> Attributes {
        let [accessed, modified, changed] = [0, 1, 2]
            .map(|which: usize| self.times.get(which).map_or(0, |time| time.load(Ordering::Relaxed)));
        let time = abi::time::Timespec::from_ns;
        Attributes {
            device: self.device,
            number: self.number,
            kind: FileKind::Regular,
            permissions: self.permissions.load(Ordering::Relaxed),
            links: self.links.load(Ordering::Relaxed),
            user: self.user.load(Ordering::Relaxed),
            group: self.group.load(Ordering::Relaxed),
            device_number: 0,
            // What one read of its text gives at most.
            size: 80,
            blocks: 0,
            block_size: 4096,
            accessed: time(accessed),
            modified: time(modified),
            changed: time(changed),
        }
    }

    fn change(&self, change: &Change) -> Result<()> {
        for (wanted, to) in
            [(change.permissions, &self.permissions), (change.user, &self.user), (change.group, &self.group)]
        {
            if let Some(wanted) = wanted {
                to.store(wanted, Ordering::Relaxed);
            }
        }
        self.touch(&[2]);
        Ok(())
    }

    fn open(self: Arc<Self>, _opening: &Opening) -> Result<Arc<dyn File>> {
        Ok(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Inode for Directory {
    fn attributes(&self) -> Attributes {
        let now = clock::realtime();
        Attributes {
            device: self.device,
            number: 1,
            kind: FileKind::Directory,
            permissions: 0o1777,
            links: 2,
            user: 0,
            group: 0,
            device_number: 0,
            size: 20 * self.names.lock().len() as u64,
            blocks: 0,
            block_size: 4096,
            accessed: now,
            modified: now,
            changed: now,
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        let queue: Arc<dyn Inode> = self.names.lock().get(name).cloned().ok_or(Errno::ENOENT)?;
        Ok(queue)
    }

    fn create(&self, name: &[u8], new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        if new.kind != FileKind::Regular {
            return Err(Errno::EPERM);
        }
        let maker =
            Maker { user: new.user, group: new.group, payer: new.user, limit: 819_200, is_privileged: false };
        let queue: Arc<dyn Inode> = shared().make(name, new.permissions, None, &maker)?;
        Ok(queue)
    }

    fn remove(&self, name: &[u8], removal: Removal) -> Result<()> {
        if removal == Removal::Directory {
            return Err(Errno::ENOTDIR);
        }
        shared().unlink(name)
    }

    fn open(self: Arc<Self>, _opening: &Opening) -> Result<Arc<dyn File>> {
        Ok(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Directory {
    fn list(&self, position: u64, to: &mut dyn Listing) -> Result<u64> {
        let mut next = position;
        for (name, number) in [(&b"."[..], 1), (b"..", 1)].iter().skip(usize::try_from(next).unwrap_or(2)) {
            if !to.add(name, *number, FileKind::Directory, next + 1) {
                return Ok(next);
            }
            next += 1;
        }
        // Positions are the numbers of queues, which only grow: a name that goes moves no other.
        let names = self.names.lock();
        loop {
            let found =
                names.iter().filter(|(_, queue)| queue.number >= next).min_by_key(|(_, queue)| queue.number);
            let Some((name, queue)) = found else { return Ok(next) };
            if !to.add(name, queue.number, FileKind::Regular, queue.number + 1) {
                return Ok(next);
            }
            next = queue.number + 1;
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl FileSystem for Mqueue {
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn kind(&self) -> &'static str {
        "mqueue"
    }

    fn statistics(&self) -> Statistics {
        Statistics { magic: MAGIC, block_size: 4096, ..Statistics::default() }
    }

    fn naming(&self) -> Naming {
        Naming::Volatile
    }
}
