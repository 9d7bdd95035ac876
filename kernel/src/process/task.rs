//! Processes and tasks: what threads of a program share, what each has of its own, and what only the running one touches.
//!
//! - [`Process`]: a thread group; shared by its tasks and known to others.
//! - [`Task`]: a thread; what others may look at or change, behind its own lock (rank `TaskState`) or atomic.
//! - [`Cx`]: what only the running thread touches; it lives on that thread's stack and has no lock.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};

use hal::boot::Text;
use hal::rank;
use hal::spin::{Lock, Once};
use hal::user::{AccessKind, AlternateStack, UserContext, UserTime};
use logic::cred::Cred;
use logic::signal::{Actions, Pending, Signal, SignalSet, WaitStatus};
use nucleus::mm::{FaultError, Memory};
use nucleus::sched::{Owner, Thread, WaitQueue};
use nucleus::vfs::{Place, busy::InUse};

use super::cpu_time::{CpuTimers, Spent};
use super::files::{Files, FsContext};
use super::futex::pi::Stage;
use super::limits::Limits;
use super::pid::Pid;
use super::timers::Timers;
use super::users::Slot;

/// A thread group.
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: Pid,
    /// The number of its parent; written under the tree's lock, read without.
    pub(crate) parent: AtomicU32,
    /// What its tasks share.
    pub(crate) shared: Lock<Shared, rank::Task>,
    /// Its limits.
    pub(crate) limits: Limits,
    /// Where its tasks wait for children.
    pub(crate) children_changed: WaitQueue,
    /// Where stopped tasks wait, and exec for the other tasks to end.
    pub(crate) resumed: WaitQueue,
    /// Where readers of signalfds wait.
    pub(crate) signals_came: WaitQueue,
    /// Where holders of pidfds wait.
    pub(crate) ended: WaitQueue,
    /// When it was started.
    pub(crate) started_ns: u64,
    /// CPU time of tasks that are over.
    pub(crate) times: Times,
    /// CPU time of children that were waited for.
    pub(crate) children_times: Times,
    /// The program.
    pub(crate) executable: Lock<Option<Executable>, rank::TaskState>,
    /// Its timers.
    pub(crate) timers: Timers,
    /// Timers on its clock.
    pub(crate) cpu_timers: CpuTimers,
    /// It was stopped, and its parent has not been told that it goes on.
    pub(crate) was_stopped: AtomicBool,
    /// Its system calls are printed.
    pub(crate) is_traced: AtomicBool,
    /// It has run a program of its own since it was forked (setpgid(2)).
    pub(crate) has_execed: AtomicBool,
    /// What prctl(2) says about dumps, 1 by default.
    pub(crate) dumpable: AtomicU32,
    /// `/proc/PID/oom_score_adj`.
    pub(crate) oom_adjustment: AtomicI32,
    /// personality(2).
    pub(crate) personality: AtomicU32,
    /// Commands of membarrier(2) that it has registered for; gone with the program.
    pub(crate) barriers: AtomicU32,
    /// How a process ends that its parent started with vfork(2).
    pub(crate) exit_signal: AtomicU32,
}

/// The program of a process.
#[derive(Clone)]
pub(crate) struct Executable {
    /// Where it is.
    pub(crate) place: Place,
    /// That it must not be written.
    pub(crate) _running: InUse,
}

/// What the tasks of a process share under its lock.
pub(crate) struct Shared {
    /// Signals for the process.
    pub(crate) pending: Pending,
    /// Its tasks, those that are over left out.
    pub(crate) tasks: Vec<Arc<Task>>,
    /// It ends, in this way.
    pub(crate) ending: Option<WaitStatus>,
    /// It is stopped, by this signal.
    pub(crate) stopped: Option<Signal>,
    /// How often SIGCONT was sent: a stop that was taken before one, and not yet carried out, is void.
    pub(crate) continues: u64,
    /// How its first task ended, if that one is over.
    pub(crate) leader_status: Option<WaitStatus>,
}

/// CPU time and the like, added up.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) user_ns: AtomicU64,
    pub(crate) system_ns: AtomicU64,
    pub(crate) switches: AtomicU64,
    pub(crate) minor_faults: AtomicU64,
    pub(crate) peak_pages: AtomicU64,
}

/// The same as plain numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimesNow {
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
    pub(crate) switches: u64,
    pub(crate) minor_faults: u64,
    pub(crate) peak_pages: u64,
}

impl Times {
    /// What they show now.
    pub(crate) fn now(&self) -> TimesNow {
        TimesNow {
            user_ns: self.user_ns.load(Ordering::Relaxed),
            system_ns: self.system_ns.load(Ordering::Relaxed),
            switches: self.switches.load(Ordering::Relaxed),
            minor_faults: self.minor_faults.load(Ordering::Relaxed),
            peak_pages: self.peak_pages.load(Ordering::Relaxed),
        }
    }

    /// Notes how many pages there were at once.
    pub(crate) fn note_peak(&self, pages: u64) {
        self.peak_pages.fetch_max(pages, Ordering::Relaxed);
    }

    /// Adds others.
    pub(crate) fn add(&self, more: &TimesNow) {
        self.user_ns.fetch_add(more.user_ns, Ordering::Relaxed);
        self.system_ns.fetch_add(more.system_ns, Ordering::Relaxed);
        self.switches.fetch_add(more.switches, Ordering::Relaxed);
        self.minor_faults.fetch_add(more.minor_faults, Ordering::Relaxed);
        self.peak_pages.fetch_max(more.peak_pages, Ordering::Relaxed);
    }
}

impl TimesNow {
    /// Both together.
    pub(crate) fn plus(self, more: TimesNow) -> TimesNow {
        TimesNow {
            user_ns: self.user_ns + more.user_ns,
            system_ns: self.system_ns + more.system_ns,
            switches: self.switches + more.switches,
            minor_faults: self.minor_faults + more.minor_faults,
            peak_pages: self.peak_pages.max(more.peak_pages),
        }
    }
}

/// Signal actions, which `CLONE_SIGHAND` shares.
pub(crate) type SharedActions = Lock<Actions, rank::SignalActions>;

/// A thread.
pub(crate) struct Task {
    tid: AtomicU32,
    /// Its process.
    pub(crate) process: Arc<Process>,
    thread: Once<Arc<Thread>>,
    /// What others may ask it.
    pub(crate) state: Lock<TaskState, rank::TaskState>,
    /// Signals it does not take now; written by itself only.
    pub(crate) blocked: AtomicU64,
    /// Signals that are blocked but for the time of a wait for them: they are not ignored.
    pub(crate) waited_for: AtomicU64,
    /// It ends, and the process does not (exec in another task).
    pub(crate) must_end: AtomicBool,
    /// Page faults that needed no disk.
    pub(crate) minor_faults: AtomicU64,
    /// Its time in user mode.
    pub(crate) user_time: UserTime,
    /// What it has to do with locks that name their owner.
    pub(crate) owning: Owning,
    /// Its children start with an ordinary policy (SCHED_RESET_ON_FORK).
    pub(crate) resets_on_fork: AtomicBool,
}

/// A task and futexes that name their owner ([`super::futex::pi`]).
#[derive(Default)]
pub(crate) struct Owning {
    stage: AtomicU8,
    /// Somebody waits, or waited, for a lock of its.
    pub(crate) has_heirs: AtomicBool,
    /// The number of the task that has the lock it waits for, or 0.
    pub(crate) waits_for: AtomicU32,
}

impl Owning {
    /// Whether it may be waited for.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            0 => Stage::Alive,
            1 => Stage::Leaving,
            _ => Stage::Gone,
        }
    }

    /// Says so.
    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::SeqCst);
    }
}

/// What others may ask a task.
pub(crate) struct TaskState {
    /// Signals for it alone.
    pub(crate) pending: Pending,
    /// Its name.
    pub(crate) name: Text<16>,
    /// Its memory, until it ends.
    pub(crate) memory: Option<Arc<Memory>>,
    /// Its files, until it ends.
    pub(crate) files: Option<Arc<Files>>,
    /// Where its paths start, until it ends.
    pub(crate) fs: Option<Arc<FsContext>>,
    /// What it does on signals.
    pub(crate) actions: Arc<SharedActions>,
    /// Who it is.
    pub(crate) cred: Arc<Cred>,
    /// Its place among its user's tasks.
    pub(crate) slot: Slot,
    /// A signal it gets when its parent ends (prctl(2)).
    pub(crate) parent_death: Option<Signal>,
}

impl Task {
    /// A task without a thread.
    pub(crate) fn new(tid: Pid, process: Arc<Process>, state: TaskState, blocked: SignalSet) -> Arc<Self> {
        Arc::new(Task {
            tid: AtomicU32::new(tid.0),
            process,
            thread: Once::new(),
            state: Lock::new(state),
            blocked: AtomicU64::new(blocked.bits()),
            waited_for: AtomicU64::new(0),
            must_end: AtomicBool::new(false),
            minor_faults: AtomicU64::new(0),
            user_time: UserTime::new(),
            owning: Owning::default(),
            resets_on_fork: AtomicBool::new(false),
        })
    }

    /// Its number.
    pub(crate) fn tid(&self) -> Pid {
        Pid(self.tid.load(Ordering::Relaxed))
    }

    /// Takes the number of the first task over, which exec ended.
    pub(crate) fn become_leader(&self) {
        self.tid.store(self.process.pid.0, Ordering::Relaxed);
    }

    /// Gives it its thread; before anybody else knows the task.
    pub(crate) fn set_thread(self: &Arc<Self>, thread: Arc<Thread>) {
        let me: Weak<Self> = Arc::downgrade(self);
        thread.set_owner(me);
        self.thread.call_once(|| thread);
    }

    /// Its thread.
    pub(crate) fn thread(&self) -> Option<&Arc<Thread>> {
        self.thread.get()
    }

    /// Makes it look at its signals and at how its process ends, soon.
    pub(crate) fn interrupt(&self) {
        if let Some(thread) = self.thread.get() {
            thread.interrupt();
        }
    }

    /// Signals it does not take now.
    pub(crate) fn blocked(&self) -> SignalSet {
        SignalSet::from_bits(self.blocked.load(Ordering::Relaxed))
    }

    /// Its memory, until it ends.
    pub(crate) fn memory(&self) -> Option<Arc<Memory>> {
        self.state.lock().memory.clone()
    }

    /// Its name.
    pub(crate) fn name(&self) -> Text<16> {
        self.state.lock().name
    }

    /// Who it is.
    pub(crate) fn cred(&self) -> Arc<Cred> {
        self.state.lock().cred.clone()
    }

    /// CPU time so far.
    pub(crate) fn spent(&self) -> Spent {
        let user_ns = self.user_time.ns();
        let all_ns = self.thread().map_or(0, |thread| thread.ran_ns());
        Spent { user_ns: user_ns.min(all_ns), all_ns }
    }

    /// CPU time and faults so far.
    pub(crate) fn times(&self) -> TimesNow {
        let Spent { user_ns, all_ns } = self.spent();
        TimesNow {
            user_ns,
            system_ns: all_ns - user_ns,
            switches: self.thread().map_or(0, |thread| thread.switches()),
            minor_faults: self.minor_faults.load(Ordering::Relaxed),
            peak_pages: self.state.lock().memory.as_ref().map_or(0, |memory| memory.peak_pages()),
        }
    }
}

impl Owner for Task {
    fn as_any(self: Arc<Self>) -> Arc<dyn core::any::Any + Send + Sync> {
        self
    }

    fn ran_out(&self) {
        super::cpu_time::look(self);
    }

    fn resolve_fault(&self, address: u64, access: AccessKind) -> bool {
        let Some(memory) = self.memory() else { return false };
        loop {
            match memory.fault(address, access) {
                Ok(()) => {
                    self.minor_faults.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                Err(FaultError::NoMemory) if super::oom::make_room(self) => {}
                Err(_) => return false,
            }
        }
    }
}

impl Process {
    /// CPU time and faults of all tasks, those that are over too.
    pub(crate) fn total_times(&self) -> TimesNow {
        // A task that leaves adds its times under this lock too.
        let shared = self.shared.lock();
        shared.tasks.iter().fold(self.times.now(), |sum, task| sum.plus(task.times()))
    }

    /// CPU time of all tasks, those that are over too.
    pub(crate) fn spent(&self) -> Spent {
        let shared = self.shared.lock();
        let gone = self.times.now();
        let gone = Spent { user_ns: gone.user_ns, all_ns: gone.user_ns + gone.system_ns };
        shared.tasks.iter().fold(gone, |sum, task| {
            let spent = task.spent();
            Spent { user_ns: sum.user_ns + spent.user_ns, all_ns: sum.all_ns + spent.all_ns }
        })
    }

    /// Its tasks.
    pub(crate) fn tasks(&self) -> Vec<Arc<Task>> {
        self.shared.lock().tasks.clone()
    }

    /// One of its tasks, the first if it still runs.
    pub(crate) fn any_task(&self) -> Option<Arc<Task>> {
        self.shared.lock().tasks.first().cloned()
    }

    /// The number of its parent.
    pub(crate) fn parent(&self) -> Pid {
        Pid(self.parent.load(Ordering::Relaxed))
    }
}

/// What only the running thread touches, and short ways to what it shares.
pub(crate) struct Cx {
    /// Itself, as others see it.
    pub(crate) task: Arc<Task>,
    /// Its registers.
    pub(crate) context: UserContext,
    /// Its memory.
    pub(crate) memory: Arc<Memory>,
    /// Its files.
    pub(crate) files: Arc<Files>,
    /// Where its paths start.
    pub(crate) fs: Arc<FsContext>,
    /// Who it is.
    pub(crate) cred: Arc<Cred>,
    /// sigaltstack(2).
    pub(crate) alternate: AlternateStack,
    /// The mask to go back to when a call that changed it ends.
    pub(crate) saved_mask: Option<SignalSet>,
    /// Where a word is cleared when it ends (set_tid_address(2)).
    pub(crate) clear_tid: u64,
    /// Its list of robust futexes.
    pub(crate) robust_list: u64,
    /// What restart_syscall(2) goes on with.
    pub(crate) restart: Option<Restart>,
    /// Somebody waits for this vfork(2) child to let go of his memory.
    pub(crate) vfork: Option<Arc<Released>>,
    /// The rt_sigreturn(2) or execve(2) in progress has set all registers: the call has no result.
    pub(crate) keeps_registers: bool,
    /// `PR_SET_TIMERSLACK` and the like that nothing depends on.
    pub(crate) timer_slack_ns: u64,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub(crate) no_new_privileges: bool,
    /// What runs a task from its first instruction to its end, for children too: the loop above this module.
    pub(crate) entry: Entry,
}

/// What runs a task: given where it stores its number first (CLONE_CHILD_SETTID).
pub(crate) type Entry = fn(Cx, Option<u64>);

/// A call to go on with after a signal without a handler.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Restart {
    /// A sleep on the monotonic clock until then; where the rest is reported.
    Sleep { deadline_ns: u64, remainder: u64 },
    /// The same on a clock of CPU time.
    CpuSleep { clock: i32, deadline_ns: u64, remainder: u64 },
    /// poll(2) until then.
    Poll { fds: u64, count: u32, deadline_ns: u64 },
    /// A futex wait until then.
    Futex { address: u64, value: u32, operation: i32, deadline_ns: u64, bitset: u32 },
}

/// A vfork(2) child's promise to its parent.
pub(crate) struct Released {
    /// Whether it was kept.
    pub(crate) is_released: AtomicBool,
    /// Where the parent waits.
    pub(crate) waiting: WaitQueue,
}

impl Released {
    /// Keeps it.
    pub(crate) fn release(&self) {
        self.is_released.store(true, Ordering::Release);
        self.waiting.wake_all();
    }
}

impl Cx {
    /// The process.
    pub(crate) fn process(&self) -> &Arc<Process> {
        &self.task.process
    }

    /// Changes who the task is.
    pub(crate) fn set_cred(&mut self, cred: Cred) {
        // Without memory for the count it stays with the old user.
        let slot = (cred.user.real != self.cred.user.real)
            .then(|| Slot::take(cred.user.real, u64::MAX).ok())
            .flatten();
        let cred = Arc::new(cred);
        let old = {
            let mut state = self.task.state.lock();
            let old_slot = slot.map(|slot| core::mem::replace(&mut state.slot, slot));
            (core::mem::replace(&mut state.cred, cred.clone()), old_slot)
        };
        drop(old);
        self.cred = cred;
    }

    /// Changes which signals are blocked; those that this lets in are looked at before user code goes on.
    pub(crate) fn set_blocked(&self, blocked: SignalSet) {
        self.task.blocked.store(blocked.without_unblockable().bits(), Ordering::Relaxed);
        super::signals::recheck(&self.task);
    }
}

/// A process that may be gone by the time somebody asks.
pub(crate) type WeakProcess = Weak<Process>;
