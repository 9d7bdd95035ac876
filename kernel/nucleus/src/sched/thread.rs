//! A thread: a kernel context and what the scheduler knows about it.
//!
//! Threads are shared by reference count; the last reference frees the stack. What only the scheduler changes is
//! behind the thread's own lock (rank `ThreadState`). Debug builds keep the ranks of the mutexes it holds.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::boot::Text;
use hal::context::{Context, Kind};
use hal::rank;
use hal::spin::{Lock, Once};
use hal::user::AccessKind;
use logic::cpuset::CpuSet;
use logic::runq::{Policy, SchedState};

use super::cpu;

/// Names a thread for as long as the machine runs; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub u64);

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Not started, or parked.
    Blocked,
    /// On a run queue.
    Queued,
    /// On a CPU.
    Running,
    /// Over.
    Exited,
}

/// What the scheduler changes.
pub(super) struct Shared {
    pub(super) sched: SchedState,
    pub(super) status: Status,
    /// It was unparked while it was not parked: the next park returns at once.
    pub(super) has_token: bool,
}

/// What a thread is to those above: the closed upcall from threads to processes.
pub trait Owner: Send + Sync {
    /// The thread touched user memory in the kernel and faulted; true if it may try again.
    fn resolve_fault(&self, address: u64, access: AccessKind) -> bool;

    /// The thread has had the CPU time that [`super::set_budget`] named. Runs in the timer interrupt: it may take spin
    /// locks and wake threads, and nothing else.
    fn ran_out(&self);

    /// Itself, for those who know what owns threads.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// What a thread runs.
type Body = Box<dyn FnOnce() + Send>;

/// A thread.
pub struct Thread {
    id: ThreadId,
    name: Text<16>,
    pub(super) context: Arc<Context>,
    pub(super) shared: Lock<Shared, rank::ThreadState>,
    body: Lock<Option<Body>, rank::ThreadState>,
    /// Mutexes it holds; touched by the thread itself alone.
    #[cfg(debug_assertions)]
    pub(super) mutexes: Lock<logic::ranks::RankStack, rank::ThreadState>,
    /// CPUs it may run on, a bit each; not in `shared`, because a thief reads it under a run queue's lock.
    affinity: AtomicU64,
    /// Whose thread it is; a kernel thread is nobody's.
    owner: Once<Weak<dyn Owner>>,
    /// A signal or a kill is waiting: interruptible waits end.
    interrupted: AtomicBool,
    /// Times it was taken out of a wait queue.
    wakeups: AtomicU64,
    pub(super) is_idle: bool,
    pub(super) switches: AtomicU64,
    /// The CPU time that its owner wants to hear of, or `u64::MAX`.
    pub(super) budget_ns: AtomicU64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static LIVE: AtomicU64 = AtomicU64::new(0);

/// Threads that exist, idle ones included.
pub fn live() -> u64 {
    LIVE.load(Ordering::Relaxed)
}

impl Thread {
    /// A new thread that will run `body`; [`super::start`] lets it.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(
        name: &str,
        kind: Kind,
        policy: Policy,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Arc<Self>> {
        cpu::reserve_for_one_more()?;
        // An allocation failure of these few words still aborts: `Box::try_new` is unstable.
        let context = Arc::new(Context::new(kind, first_step, 0)?);
        Ok(Self::with(name, context, policy, Some(Box::new(body))))
    }

    /// The idle thread of a CPU: the context that runs right now.
    pub(super) fn idle(name: &str) -> Arc<Self> {
        let mut thread = Self::with(name, hal::context::adopt(), Policy::Idle, None);
        if let Some(thread) = Arc::get_mut(&mut thread) {
            thread.is_idle = true;
            thread.shared.lock().status = Status::Running;
        }
        thread
    }

    fn with(name: &str, context: Arc<Context>, policy: Policy, body: Option<Body>) -> Arc<Self> {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Arc::new(Thread {
            id: ThreadId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
            name: Text::from_bytes(name.as_bytes()),
            context,
            shared: Lock::new(Shared {
                sched: SchedState::new(policy),
                status: Status::Blocked,
                has_token: false,
            }),
            body: Lock::new(body),
            #[cfg(debug_assertions)]
            mutexes: Lock::new(logic::ranks::RankStack::new()),
            affinity: AtomicU64::new(u64::MAX),
            owner: Once::new(),
            interrupted: AtomicBool::new(false),
            wakeups: AtomicU64::new(0),
            is_idle: false,
            switches: AtomicU64::new(0),
            budget_ns: AtomicU64::new(u64::MAX),
        })
    }

    /// Calls `visit` with the name of each mutex it holds, outermost first; release builds keep no list.
    pub fn for_each_mutex(&self, visit: impl FnMut(&'static str)) {
        #[cfg(debug_assertions)]
        {
            const MOST: usize = 16;
            let mut names = [None; MOST];
            let mutexes = self.mutexes.lock();
            for (name, held) in names.iter_mut().zip(mutexes.held()) {
                *name = Some(held.name);
            }
            drop(mutexes);
            names.into_iter().flatten().for_each(visit);
        }
        #[cfg(not(debug_assertions))]
        let _ = visit;
    }

    /// Whether it runs or waits for a CPU.
    pub fn is_ready(&self) -> bool {
        matches!(self.shared.lock().status, Status::Queued | Status::Running)
    }

    /// Its number.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether it has run to its end.
    pub fn has_exited(&self) -> bool {
        self.shared.lock().status == Status::Exited
    }

    /// How often it was switched to.
    pub fn switches(&self) -> u64 {
        self.switches.load(Ordering::Relaxed)
    }

    /// Says whose thread it is; the first call counts.
    pub fn set_owner(&self, owner: Weak<dyn Owner>) {
        self.owner.call_once(|| owner);
    }

    /// Whose thread it is, if that is somebody and still there.
    pub fn owner(&self) -> Option<Arc<dyn Owner>> {
        self.owner.get()?.upgrade()
    }

    /// How it competes.
    pub fn policy(&self) -> Policy {
        self.shared.lock().sched.policy()
    }

    /// Lets it run on the same CPUs as `other`; before it is started.
    pub fn inherit_affinity(&self, other: &Thread) {
        self.affinity.store(other.affinity.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// CPU time it has had.
    pub fn ran_ns(&self) -> u64 {
        cpu::ran_ns(self)
    }

    /// The CPUs it may run on.
    pub fn affinity(&self) -> CpuSet {
        CpuSet::from_words([self.affinity.load(Ordering::Relaxed), 0, 0, 0])
    }

    /// Says on which CPUs it may run; takes effect when it next gives way. [`super::set_affinity`] sees to that.
    ///
    /// # Errors
    /// EINVAL if none of them is up.
    pub fn set_affinity(&self, allowed: CpuSet) -> Result<()> {
        let online = CpuSet::from_words([hal::smp::online_mask(), 0, 0, 0]);
        if allowed.and(&online).is_empty() {
            return Err(Errno::EINVAL);
        }
        self.affinity.store(allowed.words()[0], Ordering::Relaxed);
        Ok(())
    }

    /// Ends its interruptible waits with ERESTARTSYS until `clear_interrupt`, and brings it out of user mode.
    pub fn interrupt(self: &Arc<Self>) {
        self.interrupted.store(true, Ordering::Release);
        cpu::unpark(self);
        cpu::kick(self);
    }

    /// What user mode is not entered under.
    pub fn interruption(&self) -> &AtomicBool {
        &self.interrupted
    }

    /// Takes the interruption back.
    pub fn clear_interrupt(&self) {
        self.interrupted.store(false, Ordering::Release);
    }

    /// Times it was taken out of a wait queue.
    pub(super) fn wakeups(&self) -> u64 {
        self.wakeups.load(Ordering::Acquire)
    }

    /// It is taken out of one.
    pub(super) fn count_wakeup(&self) {
        self.wakeups.fetch_add(1, Ordering::Release);
    }

    /// Whether interruptible waits end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a new context begins.
extern "C" fn first_step(_argument: usize) -> ! {
    hal::context::finish_switch();
    cpu::finish_switch();
    hal::cpu::irq_on();
    // The body is taken in a scope of its own: when it has run, nothing on this stack keeps the thread alive.
    let body = cpu::current().body.lock().take();
    if let Some(body) = body {
        body();
    }
    cpu::exit()
}
