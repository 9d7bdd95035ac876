//! epoll(7) and eventfd(2).

use abi::file::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
use abi::time::Timespec;
use abi::{Errno, Result};
use fs::epoll::{self, Control, Epoll, Event};
use fs::eventfd::{self, Taking};
use hal::time::now_ns;
use nucleus::sched::Wait;
use nucleus::vfs::OpenFile;

use super::args::{Address, Hex, UserPtr};
use super::file::{check_range, on_exec};
use super::poll::{finish_masked, set_mask_for_call};
use crate::process::{Cx, pidfd};

/// epoll_create1(2).
pub(super) fn epoll_create1(cx: &mut Cx, flags: Hex) -> Result<u32> {
    if flags.0 & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let file = OpenFile::nameless(Epoll::new(), pidfd::attributes(), O_RDWR);
    cx.files.insert(file, 0, on_exec(flags.0), cx.process().limits.files())
}

/// epoll_create(2).
pub(super) fn epoll_create(cx: &mut Cx, size: i32) -> Result<u32> {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(cx, Hex(0))
}

/// `struct epoll_event`: packed.
fn event(bytes: [u8; 12]) -> Event {
    let [a, b, c, d, data @ ..] = bytes;
    Event { events: u32::from_le_bytes([a, b, c, d]), data: u64::from_le_bytes(data) }
}

/// epoll_ctl(2).
pub(super) fn epoll_ctl(
    cx: &mut Cx,
    epfd: i32,
    operation: i32,
    fd: i32,
    wanted: UserPtr<[u8; 12]>,
) -> Result<()> {
    const ADD: i32 = 1;
    const DELETE: i32 = 2;
    const MODIFY: i32 = 3;
    // Linux reads the event before it looks at anything else.
    let given = if operation == DELETE { None } else { Some(event(wanted.read()?)) };
    let instance = cx.files.get_open(epfd)?;
    let file = cx.files.get_open(fd)?;
    let epoll = epoll::of(&instance).ok_or(Errno::EINVAL)?;
    if alloc::sync::Arc::ptr_eq(&instance, &file) {
        return Err(Errno::EINVAL);
    }
    let control = match (operation, given) {
        (ADD, Some(event)) => Control::Add(event),
        (MODIFY, Some(event)) => Control::Modify(event),
        (DELETE, _) => Control::Delete,
        _ => return Err(Errno::EINVAL),
    };
    epoll.control(fd, &file, control)
}

fn wait_until(cx: &Cx, epfd: i32, to: Address, most: i32, deadline_ns: Option<u64>) -> Result<u64> {
    /// `EP_MAX_EVENTS`.
    const LIMIT: usize = i32::MAX as usize / EVENT_LEN;
    const EVENT_LEN: usize = 12;
    let most = usize::try_from(most).ok().filter(|most| (1..=LIMIT).contains(most)).ok_or(Errno::EINVAL)?;
    check_range(to, most * EVENT_LEN)?;
    let file = cx.files.get_open(epfd)?;
    let epoll = epoll::of(&file).ok_or(Errno::EINVAL)?;
    let wait = match deadline_ns {
        None => Wait::INTERRUPTIBLE,
        Some(0) => Wait::NEVER,
        Some(deadline) => Wait::INTERRUPTIBLE.until(deadline),
    };
    let given = epoll.wait(wait, most, |index, event| {
        let mut bytes = [0; EVENT_LEN];
        bytes[..4].copy_from_slice(&event.events.to_le_bytes());
        bytes[4..].copy_from_slice(&event.data.to_le_bytes());
        UserPtr::<[u8; EVENT_LEN]>::at(to.0).offset(index as u64).write(&bytes)
    });
    match given {
        Ok(count) => Ok(count as u64),
        Err(Errno::EAGAIN | Errno::ETIMEDOUT) => Ok(0),
        Err(error) => Err(error),
    }
}

/// From milliseconds, negative for ever, to a deadline.
fn deadline(timeout_ms: i32) -> Option<u64> {
    let ms = u64::try_from(timeout_ms).ok()?;
    Some(if ms == 0 { 0 } else { now_ns().saturating_add(ms * 1_000_000) })
}

/// epoll_wait(2).
pub(super) fn epoll_wait(cx: &mut Cx, epfd: i32, to: Address, most: i32, timeout_ms: i32) -> Result<u64> {
    epoll_pwait(cx, epfd, to, most, timeout_ms, UserPtr::at(0), 8)
}

/// epoll_pwait(2): never made again after a handler.
pub(super) fn epoll_pwait(
    cx: &mut Cx,
    epfd: i32,
    to: Address,
    most: i32,
    timeout_ms: i32,
    mask: UserPtr<u64>,
    size: usize,
) -> Result<u64> {
    set_mask_for_call(cx, mask, size)?;
    let outcome = wait_until(cx, epfd, to, most, deadline(timeout_ms));
    finish_masked(cx, outcome)
}

/// epoll_pwait2(2).
pub(super) fn epoll_pwait2(
    cx: &mut Cx,
    epfd: i32,
    to: Address,
    most: i32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<u64>,
) -> Result<u64> {
    let deadline_ns = match timeout.read_optional()? {
        Some(timeout) => match timeout.to_ns().ok_or(Errno::EINVAL)? {
            0 => Some(0),
            ns => Some(now_ns().saturating_add(ns)),
        },
        None => None,
    };
    set_mask_for_call(cx, mask, 8)?;
    let outcome = wait_until(cx, epfd, to, most, deadline_ns);
    finish_masked(cx, outcome)
}

/// eventfd2(2).
pub(super) fn eventfd2(cx: &mut Cx, first: u32, flags: Hex) -> Result<u32> {
    const SEMAPHORE: u32 = 1;
    if flags.0 & !(SEMAPHORE | O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let taking = if flags.0 & SEMAPHORE != 0 { Taking::One } else { Taking::All };
    let flags_kept = O_RDWR | flags.0 & O_NONBLOCK;
    let file = OpenFile::nameless(eventfd::open(first, taking), pidfd::attributes(), flags_kept);
    cx.files.insert(file, 0, on_exec(flags.0), cx.process().limits.files())
}

/// eventfd(2).
pub(super) fn eventfd(cx: &mut Cx, first: u32) -> Result<u32> {
    eventfd2(cx, first, Hex(0))
}
