//! Signals: actions, masks, sending, waiting.

use core::sync::atomic::Ordering;

use abi::signal::{
    MINSIGSTKSZ, SI_TKILL, SI_USER, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SS_AUTODISARM, SS_DISABLE,
    SS_ONSTACK,
};
use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::sync::Arc;
use hal::user::AlternateStack;
use logic::signal::{Action, Sender, Signal, SignalInfo, SignalSet};
use nucleus::sched::{Wait, block_until_any};

use super::args::{Address, Hex, UserPtr};
use crate::process::{Cx, Pid, Process, pidfd, signals, tree};

/// Bytes of a signal set.
const SET_SIZE: usize = 8;

fn check_size(size: usize) -> Result<()> {
    if size == SET_SIZE { Ok(()) } else { Err(Errno::EINVAL) }
}

/// A signal's number, or 0 for none.
fn number(number: i32) -> Result<Option<Signal>> {
    match number {
        0 => Ok(None),
        number => u32::try_from(number).ok().and_then(Signal::new).map(Some).ok_or(Errno::EINVAL),
    }
}

/// rt_sigaction(2).
pub(super) fn rt_sigaction(
    cx: &mut Cx,
    signal: i32,
    new: UserPtr<[u8; 32]>,
    old: UserPtr<[u8; 32]>,
    size: usize,
) -> Result<()> {
    check_size(size)?;
    let signal = number(signal)?.ok_or(Errno::EINVAL)?;
    let new = new.read_optional()?.map(|bytes| Action::decode(&bytes));
    let actions = cx.task.state.lock().actions.clone();
    let before = match new {
        None => *actions.lock().get(signal),
        Some(action) => actions.lock().set(signal, action)?,
    };
    if new.is_some_and(|action| action.ignores(signal)) {
        let ignored = SignalSet::of(&[signal]);
        let mut shared = cx.process().shared.lock();
        shared.pending.flush(ignored);
        for task in &shared.tasks {
            task.state.lock().pending.flush(ignored);
        }
    }
    old.write_optional(&before.encode())
}

/// rt_sigprocmask(2).
pub(super) fn rt_sigprocmask(
    cx: &mut Cx,
    how: u32,
    new: UserPtr<u64>,
    old: UserPtr<u64>,
    size: usize,
) -> Result<()> {
    check_size(size)?;
    let before = cx.task.blocked();
    if let Some(set) = new.read_optional()?.map(SignalSet::from_bits) {
        let after = match how {
            SIG_BLOCK => before.union(set),
            SIG_UNBLOCK => before.difference(set),
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        cx.set_blocked(after);
    }
    old.write_optional(&before.bits())
}

/// rt_sigpending(2).
pub(super) fn rt_sigpending(cx: &mut Cx, to: Address, size: usize) -> Result<()> {
    if size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = signals::pending(&cx.task).intersection(cx.task.blocked());
    hal::usermem::write_bytes(to.0, &set.bits().to_le_bytes()[..size])
}

/// rt_sigsuspend(2).
pub(super) fn rt_sigsuspend(cx: &mut Cx, mask: UserPtr<u64>, size: usize) -> Result<()> {
    check_size(size)?;
    let mask = SignalSet::from_bits(mask.read()?);
    cx.saved_mask = Some(cx.task.blocked());
    cx.set_blocked(mask);
    pause(cx)
}

/// pause(2).
pub(super) fn pause(_cx: &mut Cx) -> Result<()> {
    let never = || Err(Errno::EAGAIN);
    match block_until_any::<()>(Wait::INTERRUPTIBLE, |_| {}, never) {
        Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
        other => other,
    }
}

/// rt_sigtimedwait(2).
pub(super) fn rt_sigtimedwait(
    cx: &mut Cx,
    set: UserPtr<u64>,
    info: UserPtr<[u8; 128]>,
    timeout: UserPtr<Timespec>,
    size: usize,
) -> Result<u32> {
    check_size(size)?;
    let wanted = SignalSet::from_bits(set.read()?).without_unblockable();
    let wait = match timeout.read_optional()? {
        None => Wait::INTERRUPTIBLE,
        Some(timeout) => match timeout.to_ns().ok_or(Errno::EINVAL)? {
            0 => Wait::NEVER,
            ns => Wait::INTERRUPTIBLE.until(hal::time::now_ns().saturating_add(ns)),
        },
    };
    // What is waited for interrupts the wait even if it is blocked.
    let before = cx.task.blocked();
    cx.task.waited_for.store(before.bits(), Ordering::Relaxed);
    cx.task.blocked.store(before.difference(wanted).bits(), Ordering::Relaxed);
    let mask = SignalSet::ALL.difference(wanted);
    let task = cx.task.clone();
    let taken = block_until_any(wait, |_| {}, || signals::take(&task, mask).ok_or(Errno::EAGAIN));
    // One may have come together with an interruption or the end of the time.
    let taken = taken.or_else(|error| signals::take(&task, mask).ok_or(error));
    cx.set_blocked(before);
    cx.task.waited_for.store(0, Ordering::Relaxed);
    let taken = taken.map_err(|error| match error {
        Errno::ETIMEDOUT => Errno::EAGAIN,
        Errno::ERESTARTSYS => Errno::EINTR,
        other => other,
    })?;
    info.write_optional(&taken.encode())?;
    Ok(taken.signal().number())
}

/// rt_sigreturn(2).
pub(super) fn rt_sigreturn(cx: &mut Cx) -> Result<()> {
    cx.keeps_registers = true;
    match cx.context.pop_signal_frame() {
        Ok(restored) => {
            // Linux keeps the old one if the frame's makes no sense.
            let _ = set_alternate(cx, restored.alternate);
            cx.restart = None;
            cx.set_blocked(SignalSet::from_bits(restored.mask));
        }
        Err(_) => signals::force(&cx.task, SignalInfo::kernel(Signal::SEGV)),
    }
    Ok(())
}

/// sigaltstack(2).
pub(super) fn sigaltstack(cx: &mut Cx, new: UserPtr<[u64; 3]>, old: UserPtr<[u64; 3]>) -> Result<()> {
    let shown = signals::shown_alternate(cx);
    if let Some([start, flags, size]) = new.read_optional()? {
        if signals::is_on(&cx.alternate, cx.context.stack()) {
            return Err(Errno::EPERM);
        }
        set_alternate(cx, AlternateStack { start, flags: super::args::low_half(flags), size })?;
    }
    old.write_optional(&[shown.start, u64::from(shown.flags), shown.size])
}

fn set_alternate(cx: &mut Cx, new: AlternateStack) -> Result<()> {
    let mode = new.flags & !SS_AUTODISARM;
    if !matches!(mode, 0 | SS_ONSTACK | SS_DISABLE) {
        return Err(Errno::EINVAL);
    }
    if mode == SS_DISABLE {
        cx.alternate = AlternateStack { flags: new.flags, ..AlternateStack::default() };
        return Ok(());
    }
    if new.size < u64::from(MINSIGSTKSZ) {
        return Err(Errno::ENOMEM);
    }
    cx.alternate = AlternateStack { flags: new.flags & SS_AUTODISARM, ..new };
    Ok(())
}

fn sender(cx: &Cx) -> Sender {
    Sender { pid: cx.process().pid.0, uid: cx.cred.user.real }
}

/// kill(2).
pub(super) fn kill(cx: &mut Cx, pid: i32, signal: i32) -> Result<()> {
    let signal = number(signal)?;
    let me = cx.process().pid;
    match pid {
        i32::MIN => Err(Errno::ESRCH),
        -1 => {
            let others = tree::processes(|node| node.process.pid != Pid::INIT && node.process.pid != me);
            kill_each(cx, others, signal)
        }
        0 => {
            let group = tree::with(|tree| tree.node(me).map(|node| node.group))?;
            kill_each(cx, tree::processes(|node| node.group == group), signal)
        }
        pid if pid < 0 => {
            let group = Pid(pid.unsigned_abs());
            kill_each(cx, tree::processes(|node| node.group == group), signal)
        }
        pid => {
            let process = tree::process(Pid(pid.unsigned_abs()))?;
            kill_one(cx, &process, signal)
        }
    }
}

fn kill_one(cx: &Cx, process: &Arc<Process>, signal: Option<Signal>) -> Result<()> {
    if !signals::may_send(&cx.cred, cx.process().pid, process, signal) {
        return Err(Errno::EPERM);
    }
    match signal {
        Some(signal) => signals::send(process, SignalInfo::user(signal, SI_USER, sender(cx))),
        None => Ok(()),
    }
}

/// Succeeds if one of them could be sent the signal.
fn kill_each(cx: &Cx, processes: alloc::vec::Vec<Arc<Process>>, signal: Option<Signal>) -> Result<()> {
    let mut outcome = Err(Errno::ESRCH);
    for process in &processes {
        match kill_one(cx, process, signal) {
            Ok(()) => outcome = Ok(()),
            Err(error) if outcome.is_err() => outcome = Err(error),
            Err(_) => {}
        }
    }
    outcome
}

/// tgkill(2).
pub(super) fn tgkill(cx: &mut Cx, group: i32, tid: i32, signal: i32) -> Result<()> {
    let group = Pid::from_arg(group).ok_or(Errno::EINVAL)?;
    kill_task(cx, Some(group), tid, signal)
}

/// tkill(2).
pub(super) fn tkill(cx: &mut Cx, tid: i32, signal: i32) -> Result<()> {
    kill_task(cx, None, tid, signal)
}

fn kill_task(cx: &Cx, group: Option<Pid>, tid: i32, signal: i32) -> Result<()> {
    let tid = Pid::from_arg(tid).ok_or(Errno::EINVAL)?;
    let signal = number(signal)?;
    let task = tree::task(tid)?;
    if group.is_some_and(|group| group != task.process.pid) {
        return Err(Errno::ESRCH);
    }
    if !signals::may_send(&cx.cred, cx.process().pid, &task.process, signal) {
        return Err(Errno::EPERM);
    }
    match signal {
        Some(signal) => signals::send_to_task(&task, SignalInfo::user(signal, SI_TKILL, sender(cx))),
        None => Ok(()),
    }
}

/// What sigqueue(3) sends; only the kernel may say that it comes from the kernel or from kill(2).
fn queued(
    cx: &Cx,
    target: Pid,
    signal: i32,
    info: UserPtr<[u8; 128]>,
) -> Result<(Option<Signal>, [u8; 128])> {
    let info = info.read()?;
    let code = i32::from_le_bytes([info[8], info[9], info[10], info[11]]);
    let is_pretence = code >= 0 || code == SI_TKILL;
    if is_pretence && target != cx.process().pid {
        return Err(Errno::EPERM);
    }
    Ok((number(signal)?, info))
}

/// rt_sigqueueinfo(2).
pub(super) fn rt_sigqueueinfo(cx: &mut Cx, pid: i32, signal: i32, info: UserPtr<[u8; 128]>) -> Result<()> {
    let target = Pid::from_arg(pid);
    let (signal, info) = queued(cx, target.unwrap_or(Pid::NONE), signal, info)?;
    let process = tree::process(target.ok_or(Errno::ESRCH)?)?;
    if !signals::may_send(&cx.cred, cx.process().pid, &process, signal) {
        return Err(Errno::EPERM);
    }
    match signal {
        Some(signal) => signals::send(&process, SignalInfo::queued(signal, &info)?),
        None => Ok(()),
    }
}

/// rt_tgsigqueueinfo(2).
pub(super) fn rt_tgsigqueueinfo(
    cx: &mut Cx,
    group: i32,
    tid: i32,
    signal: i32,
    info: UserPtr<[u8; 128]>,
) -> Result<()> {
    let (group, tid) = match (Pid::from_arg(group), Pid::from_arg(tid)) {
        (Some(group), Some(tid)) => (group, tid),
        _ => return Err(Errno::EINVAL),
    };
    let (signal, info) = queued(cx, group, signal, info)?;
    let task = tree::task(tid)?;
    if task.process.pid != group {
        return Err(Errno::ESRCH);
    }
    if !signals::may_send(&cx.cred, cx.process().pid, &task.process, signal) {
        return Err(Errno::EPERM);
    }
    match signal {
        Some(signal) => signals::send_to_task(&task, SignalInfo::queued(signal, &info)?),
        None => Ok(()),
    }
}

/// pidfd_send_signal(2).
pub(super) fn pidfd_send_signal(
    cx: &mut Cx,
    fd: i32,
    signal: i32,
    info: UserPtr<[u8; 128]>,
    flags: Hex,
) -> Result<()> {
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get(fd)?;
    let process = pidfd::process_of(&file).ok_or(Errno::EBADF)?;
    let is_over = tree::with(|tree| tree.node(process.pid).is_err());
    let given = if info.is_null() { None } else { Some(queued(cx, process.pid, signal, info)?) };
    if let Some((_, info)) = &given
        && i32::from_le_bytes([info[0], info[1], info[2], info[3]]) != signal
    {
        return Err(Errno::EINVAL);
    }
    let signal = number(signal)?;
    if is_over {
        return Err(Errno::ESRCH);
    }
    if !signals::may_send(&cx.cred, cx.process().pid, &process, signal) {
        return Err(Errno::EPERM);
    }
    let Some(signal) = signal else { return Ok(()) };
    let info = match given {
        Some((_, info)) => SignalInfo::queued(signal, &info)?,
        None => SignalInfo::user(signal, SI_USER, sender(cx)),
    };
    signals::send(&process, info)
}
