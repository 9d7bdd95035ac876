//! System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use logic::addr::to_usize;
use logic::sysv::messages::{Message, Wanted};
use nucleus::sched::Wait;

use super::args::{Address, Hex, UserPtr};
use super::sem::{IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, READ, WRITE, pair};
use crate::ipc::msg;
use crate::process::Cx;

const MSG_STAT: u32 = 11;
const MSG_INFO: u32 = 12;
const MSG_STAT_ANY: u32 = 13;

const IPC_NOWAIT: u32 = 0o4000;
const MSG_NOERROR: u32 = 0o10000;
const MSG_EXCEPT: u32 = 0o20000;
const MSG_COPY: u32 = 0o40000;

/// msgget(2).
pub(super) fn msgget(cx: &mut Cx, key: i32, flags: u32) -> Result<i32> {
    msg::get(key, flags, &cx.cred)
}

fn wait(flags: Hex) -> Wait {
    if flags.0 & IPC_NOWAIT != 0 { Wait::NEVER } else { Wait::INTERRUPTIBLE }
}

/// A call that waited is never made again after a handler.
fn ended<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| if error == Errno::ERESTARTSYS { Errno::EINTR } else { error })
}

/// msgsnd(2).
pub(super) fn msgsnd(cx: &mut Cx, number: i32, from: Address, len: usize, flags: Hex) -> Result<()> {
    let kind = UserPtr::<i64>::at(from.0).read()?;
    if len > to_usize(msg::MESSAGE_MAX.load(Ordering::Relaxed)) || number < 0 || kind < 1 {
        return Err(Errno::EINVAL);
    }
    let mut text = Vec::new();
    text.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    text.resize(len, 0);
    hal::usermem::read_bytes(&mut text, from.0.wrapping_add(8))?;
    let queue = msg::find(number, &cx.cred, WRITE)?;
    ended(queue.object.send(Message { kind, text }, cx.process().pid, wait(flags)))
}

/// msgrcv(2).
pub(super) fn msgrcv(
    cx: &mut Cx,
    number: i32,
    to: Address,
    room: usize,
    kind: i64,
    flags: Hex,
) -> Result<usize> {
    if number < 0 || isize::try_from(room).is_err() {
        return Err(Errno::EINVAL);
    }
    let cuts = flags.0 & MSG_NOERROR != 0;
    let message = if flags.0 & MSG_COPY != 0 {
        if flags.0 & MSG_EXCEPT != 0 || flags.0 & IPC_NOWAIT == 0 {
            return Err(Errno::EINVAL);
        }
        let queue = msg::find(number, &cx.cred, READ)?;
        let place = usize::try_from(kind).map_err(|_| Errno::ENOMSG)?;
        queue.object.copy(place, room, cuts)?
    } else {
        let queue = msg::find(number, &cx.cred, READ)?;
        let wanted = Wanted::of(kind, flags.0 & MSG_EXCEPT != 0);
        let got = queue.object.receive(wanted, room, cuts, cx.process().pid, wait(flags));
        ended(got).map_err(|error| if error == Errno::EAGAIN { Errno::ENOMSG } else { error })?
    };
    UserPtr::<i64>::at(to.0).write(&message.kind)?;
    let len = message.text.len().min(room);
    hal::usermem::write_bytes(to.0.wrapping_add(8), &message.text[..len])?;
    Ok(len)
}

/// msgctl(2).
pub(super) fn msgctl(cx: &mut Cx, number: i32, command: u32, argument: Address) -> Result<u64> {
    let command = command & !0x100;
    if number < 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        IPC_INFO | MSG_INFO => info(command, argument),
        IPC_STAT | MSG_STAT | MSG_STAT_ANY => stat(cx, number, command, argument),
        IPC_RMID => msg::remove(number, &cx.cred).map(|()| 0),
        IPC_SET => {
            let words = UserPtr::<[u64; 12]>::at(argument.0).read()?;
            let limit = to_usize(words[11]);
            msg::set(number, &cx.cred, [words[0], words[1], words[2]], limit).map(|()| 0)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn info(command: u32, argument: Address) -> Result<u64> {
    let (highest, queues, messages, bytes) = msg::extent();
    let [largest, of_queue, most] = [&msg::MESSAGE_MAX, &msg::QUEUE_MAX, &msg::QUEUES_MAX]
        .map(|limit| to_usize(limit.load(Ordering::Relaxed)));
    // MSGSSZ and MSGSEG mean nothing.
    const SEGMENT: usize = 16;
    const SEGMENTS: usize = 0xffff;
    let words = if command == MSG_INFO {
        [pair(queues, messages), pair(largest, of_queue), pair(most, SEGMENT), pair(bytes, SEGMENTS)]
    } else {
        let pool = most * of_queue / 1024;
        [pair(pool, of_queue), pair(largest, of_queue), pair(most, SEGMENT), pair(of_queue, SEGMENTS)]
    };
    UserPtr::<[u64; 4]>::at(argument.0).write(&words)?;
    Ok(highest as u64)
}

fn stat(cx: &Cx, number: i32, command: u32, argument: Address) -> Result<u64> {
    let (number, entry) =
        if command == IPC_STAT { (number, msg::find(number, &cx.cred, 0)?) } else { msg::at(number)? };
    if command != MSG_STAT_ANY {
        entry.perm.check(&cx.cred, READ)?;
    }
    let told = entry.object.told();
    let mut words = [0; 15];
    words[..6].copy_from_slice(&entry.perm.encode(number, 0));
    words[6..9].copy_from_slice(&told.times);
    words[9..12].copy_from_slice(&[told.bytes as u64, told.count as u64, told.limit as u64]);
    words[12] = u64::from(told.pids[1]) << 32 | u64::from(told.pids[0]);
    UserPtr::<[u64; 15]>::at(argument.0).write(&words)?;
    Ok(if command == IPC_STAT { 0 } else { u64::from(number.unsigned_abs()) })
}
