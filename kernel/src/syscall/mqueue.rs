//! POSIX message queues: mq_open(3) and the calls behind it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::file::{O_ACCMODE, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_WRONLY};
use abi::limits::NAME_MAX;
use abi::time::Timespec;
use abi::{Errno, Result};
use fs::mqueue::{self, Maker, MessageQueue, Notified};
use hal::time::now_ns;
use logic::cred::{Access, Capability};
use logic::fd_table::OnExec;
use logic::mqueue::{Message, PRIORITIES, Size};
use logic::signal::{Signal, SignalInfo};
use nucleus::sched::Wait;
use nucleus::vfs::{FileSystem, Inode, OpenFile};

use super::args::{Address, Hex, UserPtr, UserString, low_half};
use crate::process::limits::Resource;
use crate::process::{Cx, Process, signals};

/// `struct mq_attr`: flags, messages, bytes of one, messages now; four more.
type Attr = [i64; 8];

fn name(name: UserString) -> Result<Vec<u8>> {
    let name = name.read()?;
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    if name.contains(&b'/') || name == b"." || name == b".." {
        return Err(Errno::EACCES);
    }
    if name.len() > NAME_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(name) }
}

/// mq_open(2).
pub(super) fn mq_open(
    cx: &mut Cx,
    path: UserString,
    flags: Hex,
    mode: u32,
    attr: UserPtr<Attr>,
) -> Result<u32> {
    let flags = flags.0;
    let wanted = match (flags & O_CREAT != 0, attr.is_null()) {
        (true, false) => Some(attr.read()?),
        _ => None,
    };
    let name = name(path)?;
    let reserved = cx.files.reserve(OnExec::Close, cx.process().limits.files())?;
    let system = mqueue::shared();
    let queue = match system.find(&name) {
        Ok(_) if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => return Err(Errno::EEXIST),
        Ok(queue) => {
            check_access(cx, &queue, flags)?;
            queue
        }
        Err(_) if flags & O_CREAT == 0 => return Err(Errno::ENOENT),
        Err(_) => {
            let size = wanted.map(size).transpose()?;
            let maker = Maker {
                user: cx.cred.user.file,
                group: cx.cred.group.file,
                payer: cx.cred.user.real,
                limit: cx.process().limits.soft(Resource::MessageQueues),
                is_privileged: cx.cred.has(Capability::SysResource),
            };
            system.make(&name, mode & 0o777 & !cx.fs.mask(), size, &maker)?
        }
    };
    let inode: Arc<dyn Inode> = queue.clone();
    let kept = flags & (O_ACCMODE | O_NONBLOCK);
    let file = OpenFile::in_memory(inode, queue, &[b"/", &name[..]].concat(), kept);
    Ok(reserved.publish(file))
}

fn size([_, messages, bytes, ..]: Attr) -> Result<Size> {
    let positive = |value: i64| usize::try_from(value).map_err(|_| Errno::EINVAL);
    Ok(Size { messages: positive(messages)?, bytes: positive(bytes)? })
}

fn check_access(cx: &Cx, queue: &Arc<MessageQueue>, flags: u32) -> Result<()> {
    let wanted = match flags & O_ACCMODE {
        O_RDONLY => Access::READ,
        O_WRONLY => Access::WRITE,
        O_ACCMODE => return Err(Errno::EINVAL),
        _ => Access::READ.and(Access::WRITE),
    };
    if cx.cred.may(wanted, queue.attributes().owner()) { Ok(()) } else { Err(Errno::EACCES) }
}

/// mq_unlink(2).
pub(super) fn mq_unlink(cx: &mut Cx, path: UserString) -> Result<()> {
    let name = name(path)?;
    let system = mqueue::shared();
    let queue = system.find(&name)?;
    // The directory is sticky.
    if !cx.cred.may_remove(system.root().attributes().owner(), queue.attributes().owner()) {
        return Err(Errno::EPERM);
    }
    system.unlink(&name)
}

/// The deadline of a call, by the time of day.
fn wait(file: &OpenFile, timeout: Option<Timespec>) -> Result<Wait> {
    let timeout = timeout.map(|timeout| timeout.to_ns().ok_or(Errno::EINVAL)).transpose()?;
    if file.flags() & O_NONBLOCK != 0 {
        return Ok(Wait::NEVER);
    }
    Ok(match timeout {
        None => Wait::INTERRUPTIBLE,
        Some(ns) => {
            let left = ns.saturating_sub(nucleus::clock::realtime_ns());
            Wait::INTERRUPTIBLE.until(now_ns().saturating_add(left))
        }
    })
}

/// mq_timedsend(2).
pub(super) fn mq_timedsend(
    cx: &mut Cx,
    fd: i32,
    from: Address,
    len: usize,
    priority: u32,
    timeout: UserPtr<Timespec>,
) -> Result<()> {
    let timeout = timeout.read_optional()?;
    if priority >= PRIORITIES || timeout.is_some_and(|timeout| timeout.to_ns().is_none()) {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get_open(fd)?;
    let queue = mqueue::of(&**file.file()).ok_or(Errno::EBADF)?;
    if file.flags() & O_ACCMODE == O_RDONLY {
        return Err(Errno::EBADF);
    }
    if len > queue.told().0.bytes {
        return Err(Errno::EMSGSIZE);
    }
    let mut text = Vec::new();
    text.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    text.resize(len, 0);
    hal::usermem::read_bytes(&mut text, from.0)?;
    queue.send(Message { priority, text }, wait(&file, timeout)?)
}

/// mq_timedreceive(2).
pub(super) fn mq_timedreceive(
    cx: &mut Cx,
    fd: i32,
    to: Address,
    room: usize,
    priority: UserPtr<u32>,
    timeout: UserPtr<Timespec>,
) -> Result<usize> {
    let timeout = timeout.read_optional()?;
    if timeout.is_some_and(|timeout| timeout.to_ns().is_none()) {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get_open(fd)?;
    let queue = mqueue::of(&**file.file()).ok_or(Errno::EBADF)?;
    if file.flags() & O_ACCMODE == O_WRONLY {
        return Err(Errno::EBADF);
    }
    let message = queue.receive(room, wait(&file, timeout)?)?;
    priority.write_optional(&message.priority)?;
    hal::usermem::write_bytes(to.0, &message.text)?;
    Ok(message.text.len())
}

/// mq_getsetattr(2): only whether it waits can be set.
pub(super) fn mq_getsetattr(cx: &mut Cx, fd: i32, new: UserPtr<Attr>, old: UserPtr<Attr>) -> Result<()> {
    let new = new.read_optional()?;
    let wanted = new.map(|[flags, ..]| u32::try_from(flags).map_err(|_| Errno::EINVAL)).transpose()?;
    if wanted.is_some_and(|wanted| wanted & !O_NONBLOCK != 0) {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get_open(fd)?;
    let queue = mqueue::of(&**file.file()).ok_or(Errno::EBADF)?;
    let (size, count) = queue.told();
    let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let flags = file.flags() & O_NONBLOCK;
    let shown = [i64::from(flags), number(size.messages), number(size.bytes), number(count), 0, 0, 0, 0];
    if let Some(wanted) = wanted {
        file.set_flags(file.flags() & !O_NONBLOCK | wanted);
    }
    old.write_optional(&shown)
}

/// Who asked to be told.
struct Asker {
    process: Weak<Process>,
    table: u64,
    pid: u32,
    /// Which signal; none if nothing is to happen.
    signal: Option<Signal>,
    value: u64,
}

impl Notified for Asker {
    fn message_came(&self) {
        /// `SI_MESGQ`.
        const CODE: i32 = -3;
        if let (Some(signal), Some(process)) = (self.signal, self.process.upgrade()) {
            let sender =
                crate::process::current().map_or((0, 0), |task| (task.process.pid.0, task.cred().user.real));
            let sender = logic::signal::Sender { pid: sender.0, uid: sender.1 };
            let _ = signals::send(&process, SignalInfo::with_value(signal, CODE, sender, self.value));
        }
    }

    fn table(&self) -> u64 {
        self.table
    }

    fn shown(&self) -> (u32, u32, u32) {
        let notify = if self.signal.is_some() { 0 } else { 1 };
        (notify, self.signal.map_or(0, Signal::number), self.pid)
    }
}

/// mq_notify(2). Threads (SIGEV_THREAD) are glibc's affair, by way of a netlink socket.
pub(super) fn mq_notify(cx: &mut Cx, fd: i32, event: UserPtr<[u64; 8]>) -> Result<()> {
    const SIGEV_SIGNAL: u32 = 0;
    const SIGEV_NONE: u32 = 1;
    let asked = match event.read_optional()? {
        None => None,
        Some([value, which, ..]) => {
            let signal = match low_half(which >> 32) {
                SIGEV_NONE => None,
                SIGEV_SIGNAL => Some(Signal::new(low_half(which)).ok_or(Errno::EINVAL)?),
                _ => return Err(Errno::EINVAL),
            };
            Some((value, signal))
        }
    };
    let file = cx.files.get_open(fd)?;
    let queue = mqueue::of(&**file.file()).ok_or(Errno::EBADF)?;
    let table = cx.files.number();
    let Some((value, signal)) = asked else {
        queue.forget(table);
        return Ok(());
    };
    cx.files.note_closing_matters();
    let asker =
        Asker { process: Arc::downgrade(cx.process()), table, pid: cx.process().pid.0, signal, value };
    queue.notify(Arc::new(asker))
}
