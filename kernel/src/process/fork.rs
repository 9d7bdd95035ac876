//! New tasks: fork(2), vfork(2), clone(2), clone3(2).
//!
//! Everything that can fail happens before anybody else knows of the child.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use abi::process::{
    CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_CLEAR_SIGHAND, CLONE_FILES, CLONE_FS, CLONE_PARENT,
    CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SETTLS, CLONE_SIGHAND, CLONE_THREAD, CLONE_VFORK, CLONE_VM,
};
use abi::{Errno, Result};
use hal::context::Kind;
use hal::frames;
use hal::spin::Lock;
use hal::user::AlternateStack;
use logic::cred::Capability;
use logic::signal::{Pending, Signal};
use nucleus::mm::Memory;
use nucleus::sched::{self, Thread, Wait, WaitQueue};

use super::cpu_time::CpuTimers;
use super::files::{Files, FsContext};
use super::limits::Resource;
use super::pid::Pid;
use super::task::{Cx, Process, Released, Shared, Task, TaskState, Times};
use super::timers::Timers;
use super::users::Slot;
use super::{cpu_time, pidfd, tree};

/// What clone3(2) asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CloneRequest {
    /// `CLONE_` flags.
    pub(crate) flags: u64,
    /// Where to store a pidfd.
    pub(crate) pidfd: u64,
    /// Where the child stores its number.
    pub(crate) child_tid: u64,
    /// Where the parent stores it.
    pub(crate) parent_tid: u64,
    /// What the parent is sent at the end.
    pub(crate) exit_signal: u32,
    /// The child's stack pointer; 0 for the parent's.
    pub(crate) stack: u64,
    /// The child's base of FS.
    pub(crate) tls: u64,
    /// The child's number, if it is chosen.
    pub(crate) number: Option<i32>,
}

impl CloneRequest {
    fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// What cannot be asked for together.
    fn check(&self) -> Result<()> {
        /// Namespaces and control groups come with containers.
        const UNSUPPORTED: u64 = 0x7e02_0000 | abi::process::CLONE_INTO_CGROUP;
        let needs = |flag, other| !self.has(flag) || self.has(other);
        let is_consistent = needs(CLONE_THREAD, CLONE_SIGHAND)
            && needs(CLONE_SIGHAND, CLONE_VM)
            && !(self.has(CLONE_SIGHAND) && self.has(CLONE_CLEAR_SIGHAND))
            && !(self.has(CLONE_THREAD) && self.has(CLONE_PIDFD))
            && self.exit_signal <= 64;
        if is_consistent && self.flags & UNSUPPORTED == 0 { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

/// Tasks there may be at all: each needs a kernel stack and a few pages more.
fn task_limit() -> u32 {
    u32::try_from(frames::stats().total / 16).unwrap_or(u32::MAX)
}

/// How many there may be, for `/proc/sys/kernel/threads-max`.
pub(crate) fn threads_max() -> u32 {
    task_limit()
}

/// A place for one more task of the user's.
fn take_slot(cx: &Cx) -> Result<Slot> {
    if tree::task_count() >= task_limit() {
        return Err(Errno::EAGAIN);
    }
    let limit = cx.process().limits.soft(Resource::Processes);
    let is_privileged = cx.cred.has(Capability::SysResource) || cx.cred.has(Capability::SysAdmin);
    let is_limited = cx.cred.user.real != 0 && !is_privileged;
    Slot::take(cx.cred.user.real, if is_limited { limit } else { u64::MAX })
}

/// Makes a child; its number.
///
/// # Errors
/// EINVAL, EAGAIN at a limit, ENOMEM, EFAULT for the pidfd.
pub(crate) fn clone(cx: &mut Cx, request: &CloneRequest) -> Result<Pid> {
    request.check()?;
    let slot = take_slot(cx)?;
    if frames::is_low() {
        return Err(Errno::ENOMEM);
    }
    let shares = Shares::of(cx, request)?;
    let state = shares.state(cx, request, slot);
    let name = state.name;
    let parent = if request.has(CLONE_PARENT) || request.has(CLONE_THREAD) {
        cx.process().parent()
    } else {
        cx.process().pid
    };
    let number = tree::with(|tree| {
        tree.reserve(parent)?;
        match request.number {
            Some(number) => tree.chosen_number(number, cx.cred.has(Capability::SysAdmin)),
            None => tree.free_number(),
        }
    })?;
    let process = if request.has(CLONE_THREAD) {
        reserve_task(cx.process())?;
        cx.process().clone()
    } else {
        child_process(cx, number, request)?
    };
    let task = Task::new(number, process, state, cx.task.blocked());
    let vfork = request
        .has(CLONE_VFORK)
        .then(|| Arc::new(Released { is_released: AtomicBool::new(false), waiting: WaitQueue::new() }));
    let child = shares.child(cx, request, task.clone(), vfork.clone());
    let set_tid = request.has(CLONE_CHILD_SETTID).then_some(request.child_tid);
    let (policy, entry) = (sched::current().policy(), cx.entry);
    let policy = if cx.task.resets_on_fork.load(Ordering::Relaxed) { policy.reset() } else { policy };
    let pidfd = request.has(CLONE_PIDFD).then(|| pidfd::reserve(cx)).transpose()?;
    if let Some(pidfd) = &pidfd {
        hal::usermem::write(request.pidfd, &pidfd.number())?;
    }
    let thread = Thread::new(name.as_str(), Kind::UserCopy, policy, move || entry(child, set_tid))?;
    thread.inherit_affinity(&sched::current());
    task.set_thread(thread.clone());
    if request.has(CLONE_PARENT_SETTID) {
        // Linux does not mind if this fails.
        let _ = hal::usermem::write(request.parent_tid, &number.0);
    }
    // From here on nothing fails.
    if let Some(pidfd) = pidfd {
        pidfd.publish(pidfd::open(&task.process, 0));
    }
    publish(&task, parent, request);
    cpu_time::watch_new(&task);
    sched::start(&thread);
    if let Some(vfork) = vfork {
        wait_for_release(cx, &vfork);
    }
    Ok(number)
}

/// What the child has of its parent, or a copy of.
struct Shares {
    memory: Arc<Memory>,
    files: Arc<Files>,
    fs: Arc<FsContext>,
}

impl Shares {
    fn of(cx: &Cx, request: &CloneRequest) -> Result<Self> {
        Ok(Shares {
            memory: if request.has(CLONE_VM) { cx.memory.clone() } else { cx.memory.fork()? },
            files: if request.has(CLONE_FILES) { cx.files.clone() } else { Arc::new(cx.files.try_clone()?) },
            fs: if request.has(CLONE_FS) { cx.fs.clone() } else { Arc::new(cx.fs.copy()) },
        })
    }

    /// What others see of the child.
    fn state(&self, cx: &Cx, request: &CloneRequest, slot: Slot) -> TaskState {
        let (actions, name) = {
            let state = cx.task.state.lock();
            (state.actions.clone(), state.name)
        };
        let actions = if request.has(CLONE_SIGHAND) {
            actions
        } else {
            let mut copy = actions.lock().clone();
            if request.has(CLONE_CLEAR_SIGHAND) {
                copy.reset_for_exec();
            }
            Arc::new(Lock::new(copy))
        };
        TaskState {
            pending: Pending::new(),
            name,
            memory: Some(self.memory.clone()),
            files: Some(self.files.clone()),
            fs: Some(self.fs.clone()),
            actions,
            cred: cx.cred.clone(),
            slot,
            parent_death: None,
        }
    }

    /// What only the child itself touches.
    fn child(self, cx: &Cx, request: &CloneRequest, task: Arc<Task>, vfork: Option<Arc<Released>>) -> Cx {
        let stack = (request.stack != 0).then_some(request.stack);
        let tls = request.has(CLONE_SETTLS).then_some(request.tls);
        let shares_memory = request.has(CLONE_VM) && !request.has(CLONE_VFORK);
        Cx {
            task,
            context: cx.context.for_child(stack, tls),
            memory: self.memory,
            files: self.files,
            fs: self.fs,
            cred: cx.cred.clone(),
            alternate: if shares_memory { AlternateStack::default() } else { cx.alternate },
            saved_mask: None,
            clear_tid: if request.has(CLONE_CHILD_CLEARTID) { request.child_tid } else { 0 },
            robust_list: 0,
            restart: None,
            vfork,
            keeps_registers: false,
            timer_slack_ns: cx.timer_slack_ns,
            no_new_privileges: cx.no_new_privileges,
            entry: cx.entry,
        }
    }
}

fn reserve_task(process: &Arc<Process>) -> Result<()> {
    let wanted = process.shared.lock().tasks.len() + 1;
    loop {
        let mut larger: Vec<Arc<Task>> = Vec::new();
        larger.try_reserve(wanted.next_power_of_two()).map_err(|_| Errno::ENOMEM)?;
        let mut shared = process.shared.lock();
        if shared.tasks.capacity() > shared.tasks.len() {
            return Ok(());
        }
        if larger.capacity() > shared.tasks.len() {
            larger.append(&mut shared.tasks);
            core::mem::swap(&mut shared.tasks, &mut larger);
            return Ok(());
        }
    }
}

fn child_process(cx: &Cx, pid: Pid, request: &CloneRequest) -> Result<Arc<Process>> {
    let parent = cx.process();
    let mut tasks = Vec::new();
    tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    Ok(Arc::new(Process {
        pid,
        parent: AtomicU32::new(parent.pid.0),
        shared: Lock::new(Shared {
            pending: Pending::new(),
            tasks,
            ending: None,
            stopped: None,
            continues: 0,
            leader_status: None,
        }),
        limits: parent.limits.copy(),
        children_changed: WaitQueue::new(),
        resumed: WaitQueue::new(),
        signals_came: WaitQueue::new(),
        ended: WaitQueue::new(),
        started_ns: hal::time::now_ns(),
        times: Times::default(),
        children_times: Times::default(),
        executable: Lock::new(parent.executable.lock().clone()),
        timers: Timers::new(),
        cpu_timers: CpuTimers::new(),
        was_stopped: AtomicBool::new(false),
        is_traced: AtomicBool::new(parent.is_traced.load(Ordering::Relaxed)),
        has_execed: AtomicBool::new(false),
        dumpable: AtomicU32::new(parent.dumpable.load(Ordering::Relaxed)),
        oom_adjustment: AtomicI32::new(parent.oom_adjustment.load(Ordering::Relaxed)),
        personality: AtomicU32::new(parent.personality.load(Ordering::Relaxed)),
        barriers: AtomicU32::new(parent.barriers.load(Ordering::Relaxed)),
        exit_signal: AtomicU32::new(if request.flags & CLONE_PARENT != 0 {
            parent.exit_signal.load(Ordering::Relaxed)
        } else {
            request.exit_signal
        }),
    }))
}

fn publish(task: &Arc<Task>, parent: Pid, request: &CloneRequest) {
    let process = &task.process;
    let is_ending = {
        let mut shared = process.shared.lock();
        shared.tasks.push(task.clone());
        shared.ending.is_some() || shared.stopped.is_some()
    };
    if is_ending {
        task.interrupt();
    }
    tree::with(|tree| {
        if !request.has(CLONE_THREAD) {
            tree.add_process(process.clone(), parent);
        }
        tree.add_task(task.clone());
    });
}

/// vfork(2): the parent sleeps until the child has its own memory, or none. Only its own end interrupts it.
fn wait_for_release(cx: &Cx, vfork: &Released) {
    let _ = vfork.waiting.block_until(Wait::UNINTERRUPTIBLE, || {
        let is_over =
            vfork.is_released.load(Ordering::Acquire) || cx.process().shared.lock().ending.is_some();
        if is_over { Ok(()) } else { Err(Errno::EAGAIN) }
    });
}

/// The signal fork(2) has sent at the end.
pub(crate) const FORK_SIGNAL: u32 = Signal::CHLD.number();
