//! Sending signals, and what becomes of them when a task looks.
//!
//! A signal waits with the process or with one task (`logic::signal::Pending`); the task that takes it is interrupted and
//! looks before it returns to user code ([`deliver`], called by the loop in `usermode`). Lock order: the process (`Task`),
//! the actions (`SignalActions`), one task (`TaskState`). Callable from timer interrupts.

use alloc::sync::Arc;

use abi::signal::{
    SA_NOCLDSTOP, SA_NOCLDWAIT, SA_ONSTACK, SA_RESTART, SI_TIMER, SIG_IGN, SS_AUTODISARM, SS_DISABLE,
};
use abi::{Errno, Result};
use core::sync::atomic::Ordering;
use hal::user::{AlternateStack, Delivery};
use logic::cred::Cred;
use logic::signal::{
    Action, CoreDump, CpuTimes, Disposition, Pending, Posted, Queueing, Sender, Signal, SignalInfo,
    SignalSet, WaitStatus, disposition,
};
use nucleus::sched::Wait;

use super::limits::Resource;
use super::pid::Pid;
use super::task::{Cx, Process, Shared, Task};
use super::timers;
use super::tree::{self, Node};

/// Whom a signal is for.
#[derive(Clone, Copy)]
enum Target<'a> {
    Process,
    Task(&'a Arc<Task>),
}

/// Sends a signal to a process; any of its tasks may take it.
pub(crate) fn send(process: &Arc<Process>, info: SignalInfo) -> Result<()> {
    post(process, Target::Process, info).map(|_| ())
}

/// Sends a signal to one task.
pub(crate) fn send_to_task(task: &Arc<Task>, info: SignalInfo) -> Result<()> {
    post(&task.process, Target::Task(task), info).map(|_| ())
}

/// Makes a signal that cannot be put off happen to the running task: a fault. If it is blocked or ignored, its default
/// happens.
pub(crate) fn force(task: &Arc<Task>, info: SignalInfo) {
    let signal = info.signal();
    let actions = task.state.lock().actions.clone();
    {
        let mut actions = actions.lock();
        if actions.get(signal).handler == SIG_IGN || task.blocked().contains(signal) {
            actions.reset(signal);
        }
    }
    task.blocked.store(task.blocked().without(signal).bits(), Ordering::Relaxed);
    // Nothing limits faults: the details may be lost, the signal is not.
    let _ = task.state.lock().pending.post(info, Queueing::Room);
    task.interrupt();
}

/// Sends a timer's signal to a process; whether it is in the queue, so that [`take`] will tell the timer.
pub(crate) fn queue(process: &Arc<Process>, info: SignalInfo) -> bool {
    post(process, Target::Process, info) == Ok(Posted::Queued)
}

/// The same to one task.
pub(crate) fn queue_to_task(task: &Arc<Task>, info: SignalInfo) -> bool {
    post(&task.process, Target::Task(task), info) == Ok(Posted::Queued)
}

fn post(process: &Arc<Process>, target: Target<'_>, info: SignalInfo) -> Result<Posted> {
    let signal = info.signal();
    let mut shared = process.shared.lock();
    if shared.ending.is_some() {
        return Ok(Posted::Merged);
    }
    let Some(first) = shared.tasks.first().cloned() else { return Ok(Posted::Merged) };
    settle_conflicts(process, &mut shared, signal);
    let main = match target {
        Target::Process => &first,
        Target::Task(task) => task,
    };
    if is_dropped(process, main, signal) {
        return Ok(Posted::Merged);
    }
    if signal == Signal::KILL {
        end_locked(process, &mut shared, WaitStatus::Signaled { signal, core: CoreDump::None });
        return Ok(Posted::Marked);
    }
    let queued = shared.pending.queued() as u64;
    let queueing = if queued < process.limits.soft(Resource::PendingSignals) {
        Queueing::Room
    } else {
        Queueing::Exhausted
    };
    let posted = match target {
        Target::Process => {
            let posted = shared.pending.post(info, queueing)?;
            if let Some(taker) = shared.tasks.iter().find(|task| !task.blocked().contains(signal)) {
                taker.interrupt();
            }
            posted
        }
        Target::Task(task) => {
            let posted = task.state.lock().pending.post(info, queueing)?;
            if !task.blocked().contains(signal) {
                task.interrupt();
            }
            posted
        }
    };
    process.signals_came.wake_all();
    Ok(posted)
}

/// A stop forgets a pending SIGCONT and the other way round; SIGCONT lets a stopped process go on even if it is blocked
/// or ignored.
fn settle_conflicts(process: &Arc<Process>, shared: &mut Shared, signal: Signal) {
    let conflicting = Pending::conflicting(signal);
    if conflicting.is_empty() {
        return;
    }
    shared.pending.flush(conflicting);
    for task in &shared.tasks {
        task.state.lock().pending.flush(conflicting);
    }
    if signal == Signal::CONT {
        shared.continues += 1;
    }
    if signal == Signal::CONT && shared.stopped.take().is_some() {
        process.resumed.wake_all();
        // The parent is told by a task that goes on: this may be an interrupt.
        shared.tasks.iter().for_each(|task| task.interrupt());
    }
}

/// Whether nobody would notice the signal: it is ignored and not blocked, or kills the first program by default.
fn is_dropped(process: &Process, task: &Task, signal: Signal) -> bool {
    let actions = task.state.lock().actions.clone();
    let action = *actions.lock().get(signal);
    let disposition = disposition(signal, &action);
    let is_protected = process.pid == Pid::INIT
        && matches!(disposition, Disposition::Terminate | Disposition::CoreDump | Disposition::Stop);
    // A blocked signal is kept even if ignored: sigwait(3) may want it, the first program's too.
    let kept = task.blocked().union(SignalSet::from_bits(task.waited_for.load(Ordering::Relaxed)));
    (is_protected || disposition == Disposition::Ignore) && !kept.contains(signal)
}

/// Ends a process: all its tasks end when they look.
pub(crate) fn end(process: &Arc<Process>, status: WaitStatus) {
    end_locked(process, &mut process.shared.lock(), status);
}

fn end_locked(process: &Process, shared: &mut Shared, status: WaitStatus) {
    if shared.ending.is_none() {
        shared.ending = Some(status);
    }
    shared.stopped = None;
    shared.tasks.iter().for_each(|task| task.interrupt());
    process.resumed.wake_all();
}

/// Interrupts a task if a signal that it does not block is pending.
pub(crate) fn recheck(task: &Arc<Task>) {
    if !pending(task).difference(task.blocked()).is_empty() {
        task.interrupt();
    }
}

/// What is pending for a task, blocked or not.
pub(crate) fn pending(task: &Task) -> SignalSet {
    let shared = task.process.shared.lock().pending.set();
    shared.union(task.state.lock().pending.set())
}

/// Takes the next signal that `mask` lets through: the task's own first.
pub(crate) fn take(task: &Task, mask: SignalSet) -> Option<SignalInfo> {
    take_to_deliver(task, mask).map(|(info, _)| info)
}

/// The same, and how often the process had been told to go on.
fn take_to_deliver(task: &Task, mask: SignalSet) -> Option<(SignalInfo, u64)> {
    let (info, continues) = {
        let mut shared = task.process.shared.lock();
        let own = task.state.lock().pending.take(mask);
        (own.or_else(|| shared.pending.take(mask))?, shared.continues)
    };
    let is_timer = info.code() == SI_TIMER;
    Some((if is_timer { timers::taken(&task.process, info) } else { info }, continues))
}

/// Notes in the tree that a child changed its state, and sends its parent the signal, in one step: a parent that has
/// waited for the child has the signal.
pub(crate) fn report(child: &Arc<Process>, status: WaitStatus, note: impl FnOnce(&mut Node)) {
    let parent = tree::with(|tree| {
        note(tree.node_mut(child.pid).ok()?);
        let parent = tree.node(child.parent()).ok()?.process.clone();
        send_to_parent(&parent, child, status);
        Some(parent)
    });
    if let Some(parent) = parent {
        parent.children_changed.wake_all();
    }
}

/// Sends a parent the signal that tells of a child.
pub(crate) fn send_to_parent(parent: &Arc<Process>, child: &Process, status: WaitStatus) {
    let is_end = matches!(status, WaitStatus::Exited(_) | WaitStatus::Signaled { .. });
    let signal = if is_end { child.exit_signal.load(Ordering::Relaxed) } else { Signal::CHLD.number() };
    if let Some(signal) = Signal::new(signal)
        && (is_end || !has_chld_flag(parent, SA_NOCLDSTOP))
    {
        let _ = send(parent, child_info(child, signal, status));
    }
}

/// What SIGCHLD says about a child.
pub(crate) fn child_info(process: &Process, signal: Signal, status: WaitStatus) -> SignalInfo {
    const TICK_NS: u64 = 10_000_000;
    let times = process.total_times();
    let uid = process.any_task().map_or(0, |task| task.cred().user.real);
    let ticks = CpuTimes { user_ticks: times.user_ns / TICK_NS, system_ticks: times.system_ns / TICK_NS };
    SignalInfo::child(signal, Sender { pid: process.pid.0, uid }, status, ticks)
}

/// Whether a process set this flag for SIGCHLD.
fn has_chld_flag(process: &Process, flag: u64) -> bool {
    let Some(task) = process.any_task() else { return false };
    let actions = task.state.lock().actions.clone();
    let action = *actions.lock().get(Signal::CHLD);
    action.has(flag)
}

/// Whether a process wants no zombies: it ignores SIGCHLD, or says so.
pub(crate) fn leaves_no_zombies(parent: &Process) -> bool {
    let Some(task) = parent.any_task() else { return true };
    let actions = task.state.lock().actions.clone();
    let action = *actions.lock().get(Signal::CHLD);
    action.handler == SIG_IGN || action.has(SA_NOCLDWAIT)
}

/// The system call that a signal came in, if it was one.
#[derive(Clone, Copy)]
pub(crate) struct Interrupted {
    /// Its number.
    pub(crate) number: u64,
    /// How it ended.
    pub(crate) error: Errno,
}

/// The end of a task: `None` leaves the rest of the process alone.
pub(crate) struct End;

/// Looks at everything a task may have been interrupted for: the end, a stop, signals. Runs before user code goes on.
///
/// # Errors
/// The task is to end.
pub(crate) fn deliver(cx: &mut Cx, mut call: Option<Interrupted>) -> core::result::Result<(), End> {
    loop {
        if let Some(thread) = cx.task.thread() {
            thread.clear_interrupt();
        }
        check_end(cx)?;
        wait_while_stopped(cx)?;
        let Some((info, continues)) = take_to_deliver(&cx.task, cx.task.blocked()) else { break };
        match decide(cx, info.signal()) {
            Disposition::Ignore | Disposition::Continue => {}
            Disposition::Stop => stop(cx, info.signal(), continues),
            Disposition::Terminate => return Err(end_by(cx, info.signal(), CoreDump::None)),
            Disposition::CoreDump => return Err(end_by(cx, info.signal(), CoreDump::None)),
            Disposition::Handle(action) => {
                finish_call(cx, call.take(), Some(&action));
                if start_handler(cx, &info, &action).is_err() {
                    // No stack to put the frame on.
                    force(&cx.task.clone(), SignalInfo::kernel(Signal::SEGV));
                    if info.signal() == Signal::SEGV {
                        return Err(end_by(cx, Signal::SEGV, CoreDump::None));
                    }
                }
            }
        }
    }
    finish_call(cx, call, None);
    if let Some(mask) = cx.saved_mask.take() {
        cx.set_blocked(mask);
    }
    Ok(())
}

fn check_end(cx: &Cx) -> core::result::Result<(), End> {
    let is_ending = cx.process().shared.lock().ending.is_some();
    if is_ending || cx.task.must_end.load(Ordering::Acquire) { Err(End) } else { Ok(()) }
}

fn decide(cx: &Cx, signal: Signal) -> Disposition {
    let actions = cx.task.state.lock().actions.clone();
    let decided = actions.lock().deliver(signal);
    let is_fatal = matches!(decided, Disposition::Terminate | Disposition::CoreDump);
    // The first program lives, but for its own faults.
    if cx.process().pid == Pid::INIT && is_fatal && !SignalSet::SYNCHRONOUS.contains(signal) {
        return Disposition::Ignore;
    }
    decided
}

fn end_by(cx: &Cx, signal: Signal, core: CoreDump) -> End {
    end(cx.process(), WaitStatus::Signaled { signal, core });
    End
}

/// The call's result, now that it is known whether a handler runs.
fn finish_call(cx: &mut Cx, call: Option<Interrupted>, handler: Option<&Action>) {
    let Some(Interrupted { number, error }) = call else { return };
    let restarts = match (error, handler) {
        (Errno::ERESTARTNOINTR, _) => true,
        (Errno::ERESTARTSYS, Some(action)) => action.has(SA_RESTART),
        (Errno::ERESTARTSYS | Errno::ERESTARTNOHAND, None) => true,
        (Errno::ERESTART_RESTARTBLOCK, None) => {
            cx.context.restart_call(abi::sysno::RESTART_SYSCALL as u64);
            return;
        }
        (Errno::ERESTARTNOHAND | Errno::ERESTART_RESTARTBLOCK, Some(_)) => false,
        _ => return,
    };
    if restarts {
        cx.context.restart_call(number);
    } else {
        cx.context.set_result(Errno::EINTR.register_value());
    }
}

fn start_handler(cx: &mut Cx, info: &SignalInfo, action: &Action) -> Result<()> {
    let is_on_alternate = is_on(&cx.alternate, cx.context.stack());
    let uses_alternate = action.has(SA_ONSTACK)
        && cx.alternate.flags & SS_DISABLE == 0
        && cx.alternate.size != 0
        && !is_on_alternate;
    let blocked = cx.task.blocked();
    let mask = cx.saved_mask.take().unwrap_or(blocked);
    let signal = info.signal();
    let fields = info.fields();
    let is_fault = SignalSet::SYNCHRONOUS.contains(signal) && info.code() > 0;
    let delivery = Delivery {
        handler: action.handler,
        restorer: action.restorer,
        signal: signal.number(),
        info: &info.encode(),
        mask: mask.bits(),
        alternate: shown_alternate(cx),
        stack_end: uses_alternate.then(|| cx.alternate.start.saturating_add(cx.alternate.size)),
        fault: if is_fault {
            [cx.context.registers().vector, cx.context.registers().error, fields[0]]
        } else {
            [0; 3]
        },
    };
    cx.context.push_signal_frame(&delivery)?;
    if cx.alternate.flags & SS_AUTODISARM != 0 {
        cx.alternate = AlternateStack { flags: SS_DISABLE, ..AlternateStack::default() };
    }
    cx.task
        .blocked
        .store(action.mask_during(signal, blocked).without_unblockable().bits(), Ordering::Relaxed);
    Ok(())
}

/// Whether a stack pointer lies on an alternate stack.
pub(crate) fn is_on(alternate: &AlternateStack, stack: u64) -> bool {
    // One that forgets itself is not in use while a handler runs on it.
    alternate.flags & SS_AUTODISARM == 0
        && stack > alternate.start
        && stack - alternate.start <= alternate.size
        && alternate.size != 0
}

/// The alternate stack as frames and sigaltstack(2) show it.
pub(crate) fn shown_alternate(cx: &Cx) -> AlternateStack {
    let flags = if cx.alternate.size == 0 {
        SS_DISABLE
    } else if is_on(&cx.alternate, cx.context.stack()) {
        abi::signal::SS_ONSTACK
    } else {
        cx.alternate.flags & SS_AUTODISARM
    };
    AlternateStack { flags, ..cx.alternate }
}

/// Stops the process, all its tasks, and tells the parent; unless it was told to go on since the signal was taken, which
/// `continues` shows.
fn stop(cx: &Cx, signal: Signal, continues: u64) {
    let process = cx.process();
    // A stop from a terminal stops nobody whom no shell could continue.
    let is_orphaned = || {
        tree::with(|tree| {
            let group = tree.node(process.pid).map(|node| node.group);
            group.is_ok_and(|group| tree.is_orphaned(group, None))
        })
    };
    if signal != Signal::STOP && is_orphaned() {
        return;
    }
    {
        let mut shared = process.shared.lock();
        if shared.ending.is_some() || shared.continues != continues {
            return;
        }
        shared.stopped = Some(signal);
        process.was_stopped.store(true, Ordering::Release);
        shared.tasks.iter().for_each(|task| task.interrupt());
    }
    report(process, WaitStatus::Stopped(signal), |node| {
        node.stop = Some(signal);
        node.has_continued = false;
    });
}

fn wait_while_stopped(cx: &Cx) -> core::result::Result<(), End> {
    let process = cx.process();
    if process.shared.lock().stopped.is_none() {
        report_continued(process);
        return Ok(());
    }
    let _ = process.resumed.block_until(Wait::UNINTERRUPTIBLE, || {
        let is_stopped = process.shared.lock().stopped.is_some();
        if is_stopped && !cx.task.must_end.load(Ordering::Acquire) { Err(Errno::EAGAIN) } else { Ok(()) }
    });
    if let Some(thread) = cx.task.thread() {
        thread.clear_interrupt();
    }
    check_end(cx)?;
    report_continued(process);
    Ok(())
}

/// Tells the parent that a stopped process goes on; the first task to come here does.
fn report_continued(process: &Arc<Process>) {
    if !process.was_stopped.load(Ordering::Relaxed) || process.shared.lock().stopped.is_some() {
        return;
    }
    if process.was_stopped.swap(false, Ordering::AcqRel) {
        report(process, WaitStatus::Continued, |node| {
            node.stop = None;
            node.has_continued = true;
        });
    }
}

/// Whether `cred` may send `signal` to a process: the rule of kill(2), and SIGCONT within a session.
pub(crate) fn may_send(cred: &Cred, sender: Pid, process: &Arc<Process>, signal: Option<Signal>) -> bool {
    let Some(target) = process.any_task() else { return true };
    if cred.may_signal(&target.cred()) {
        return true;
    }
    signal == Some(Signal::CONT)
        && tree::with(|tree| {
            let session = |pid| tree.node(pid).map(|node| node.session).ok();
            session(sender).is_some() && session(sender) == session(process.pid)
        })
}
