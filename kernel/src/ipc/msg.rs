//! Queues of messages: msgget(2), msgsnd(2), msgrcv(2), msgctl(2). The rules are in [`logic::sysv::messages`].
//!
//! Lock: rank `IpcObject`, around one queue. Messages are copied from and to user memory without it.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::rank;
use logic::addr::to_usize;
use logic::cred::{Capability, Cred};
use logic::proc_text::{Text, ipc as text};
use logic::sysv::messages::{Message, Queue, Wanted};
use nucleus::sched::{Mutex, Wait, WaitQueue};

use super::{Entry, Table, now};
use crate::process::Pid;

/// A queue with what is told of it.
pub(crate) struct Messages {
    state: Mutex<State, rank::IpcObject>,
    /// Who waits for a message.
    sent: WaitQueue,
    /// Who waits for room.
    taken: WaitQueue,
}

struct State {
    queue: Queue,
    told: Told,
    is_removed: bool,
}

/// What is told of a queue.
#[derive(Clone, Copy, Default)]
pub(crate) struct Told {
    /// Time of the last msgsnd(2), msgrcv(2) and change, in seconds.
    pub(crate) times: [u64; 3],
    /// Who sent last, who received.
    pub(crate) pids: [u32; 2],
    /// Bytes it takes.
    pub(crate) limit: usize,
    /// Bytes in it.
    pub(crate) bytes: usize,
    /// Messages in it.
    pub(crate) count: usize,
}

/// All queues.
pub(crate) static QUEUES: Table<Messages> = Table::new();

/// `/proc/sys/kernel/msgmax`: bytes of a message.
pub(crate) static MESSAGE_MAX: AtomicU64 = AtomicU64::new(8192);
/// `/proc/sys/kernel/msgmnb`: bytes of a queue.
pub(crate) static QUEUE_MAX: AtomicU64 = AtomicU64::new(16_384);
/// `/proc/sys/kernel/msgmni`: queues.
pub(crate) static QUEUES_MAX: AtomicU64 = AtomicU64::new(32_000);

/// msgget(2).
pub(crate) fn get(key: i32, flags: u32, cred: &Cred) -> Result<i32> {
    let limit = to_usize(QUEUES_MAX.load(Ordering::Relaxed));
    QUEUES.get(
        key,
        flags,
        cred,
        limit,
        |_| Ok(()),
        || {
            let limit = to_usize(QUEUE_MAX.load(Ordering::Relaxed));
            let told = Told { times: [0, 0, now()], limit, ..Told::default() };
            let state = State { queue: Queue::new(), told, is_removed: false };
            Ok(Messages { state: Mutex::new(state), sent: WaitQueue::new(), taken: WaitQueue::new() })
        },
    )
}

/// A queue, for those who look at it, send or receive.
pub(crate) fn find(number: i32, cred: &Cred, wanted: u32) -> Result<Entry<Messages>> {
    QUEUES.find(number, cred, wanted)
}

/// A queue by its place.
pub(crate) fn at(place: i32) -> Result<(i32, Entry<Messages>)> {
    QUEUES.at(place)
}

/// Appends the lines of `/proc/sysvipc/msg`.
pub(super) fn list(cred: &Cred, to: &mut Text) -> Result<()> {
    to.raw(text::MSG_HEAD);
    for (number, Entry { perm, object }) in QUEUES.all()? {
        if perm.check(cred, 0o444).is_ok() {
            let told = object.told();
            let shown = text::Object { perm, number, flags: 0 };
            text::msg(to, &shown, [told.bytes, told.count], told.pids, told.times);
        }
    }
    Ok(())
}

/// `IPC_RMID`: those who wait get EIDRM.
pub(crate) fn remove(number: i32, cred: &Cred) -> Result<()> {
    let entry = QUEUES.remove(number, cred)?;
    entry.object.state.lock().is_removed = true;
    entry.object.sent.wake_all();
    entry.object.taken.wake_all();
    Ok(())
}

/// `IPC_SET`: also how many bytes it takes, more than usual only for the privileged.
pub(crate) fn set(number: i32, cred: &Cred, words: [u64; 3], limit: usize) -> Result<()> {
    let usual = to_usize(QUEUE_MAX.load(Ordering::Relaxed));
    let entry = QUEUES.find(number, cred, 0)?;
    QUEUES.set(number, cred, words, |queue| {
        if limit > usual && !cred.has(Capability::SysResource) {
            return Err(Errno::EPERM);
        }
        let mut state = queue.state.lock();
        (state.told.limit, state.told.times[2]) = (limit, now());
        Ok(())
    })?;
    // There may be room now.
    entry.object.taken.wake_all();
    Ok(())
}

/// The highest place in use, queues, messages, bytes.
pub(crate) fn extent() -> (usize, usize, usize, usize) {
    let (highest, count) = QUEUES.extent();
    let all = QUEUES.all().unwrap_or_default();
    let sum = all.iter().map(|(_, entry)| entry.object.told());
    let (messages, bytes) =
        sum.fold((0, 0), |(messages, bytes), told| (messages + told.count, bytes + told.bytes));
    (highest, count, messages, bytes)
}

impl Messages {
    /// What is told of it.
    pub(crate) fn told(&self) -> Told {
        let state = self.state.lock();
        Told { bytes: state.queue.bytes(), count: state.queue.len(), ..state.told }
    }

    /// msgsnd(2).
    ///
    /// # Errors
    /// EAGAIN, EIDRM, ERESTARTSYS, ENOMEM.
    pub(crate) fn send(&self, message: Message, pid: Pid, wait: Wait) -> Result<()> {
        let mut left = Some(message);
        self.taken.block_until(wait, || {
            let mut state = self.state.lock();
            if state.is_removed {
                return Err(Errno::EIDRM);
            }
            let limit = state.told.limit;
            let message = left.take().ok_or(Errno::EINVAL)?;
            state.queue.add(message, limit).map_err(|(error, message)| {
                left = Some(message);
                error
            })?;
            (state.told.times[0], state.told.pids[0]) = (now(), pid.0);
            Ok(())
        })?;
        self.sent.wake_all();
        Ok(())
    }

    /// msgrcv(2).
    ///
    /// # Errors
    /// EAGAIN, E2BIG, EIDRM, ERESTARTSYS.
    pub(crate) fn receive(
        &self,
        wanted: Wanted,
        room: usize,
        cuts: bool,
        pid: Pid,
        wait: Wait,
    ) -> Result<Message> {
        let message = self.sent.block_until(wait, || {
            let mut state = self.state.lock();
            if state.is_removed {
                return Err(Errno::EIDRM);
            }
            let message = state.queue.take(wanted, room, cuts)?;
            (state.told.times[1], state.told.pids[1]) = (now(), pid.0);
            Ok(message)
        })?;
        self.taken.wake_all();
        Ok(message)
    }

    /// A copy of the message in a place (`MSG_COPY`).
    ///
    /// # Errors
    /// ENOMSG, E2BIG, ENOMEM.
    pub(crate) fn copy(&self, place: usize, room: usize, cuts: bool) -> Result<Message> {
        let state = self.state.lock();
        let message = state.queue.at(place).ok_or(Errno::ENOMSG)?;
        if message.text.len() > room && !cuts {
            return Err(Errno::E2BIG);
        }
        let mut text = alloc::vec::Vec::new();
        text.try_reserve_exact(message.text.len()).map_err(|_| Errno::ENOMEM)?;
        text.extend_from_slice(&message.text);
        Ok(Message { kind: message.kind, text })
    }
}
