//! The scheduler of one CPU: who runs, who is next, and how one gives way to another.
//!
//! `leave` is the one place that switches. Everything else decides: `park` and `unpark`, `yield_now`, `preempt` (the
//! end of an interrupt), `exit`. A CPU without work steals, then sleeps until an interrupt. Balance is pulled: a CPU
//! that is overloaded at its tick asks a lighter one to take something.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::{Errno, Result};
use hal::percpu::PerCpu;
use hal::rank;
use hal::spin::{Lock, Once};
use hal::{cpu, lock_ranks, smp, time, trap};
use logic::cpuset::{CpuId, CpuSet};
use logic::events::{Event, EventRing};
use logic::runq::{self, Policy, Preempt, Reason, Room, RunQueue};

use super::thread::{Shared, Status, Thread};

/// What the last events of a CPU were, for the panic screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Thread `[0]` gave way to thread `[1]`.
    Switch,
    /// Thread `[0]` was made ready on this CPU.
    Wake,
    /// Thread `[0]` ended.
    Exit,
}

struct Queue {
    queue: RunQueue<Arc<Thread>>,
    current: Arc<Thread>,
    idle: Arc<Thread>,
    /// Left a moment ago; dropped by whoever runs next, since a thread cannot free the stack it stands on.
    previous: Option<Arc<Thread>>,
    /// Since when the running thread was not charged.
    charged_at: u64,
    events: EventRing<EventKind>,
}

/// One CPU.
struct Cpu {
    queue: Lock<Queue, rank::RunQueue>,
    /// What the queue's load was after its last change; read by others without the lock.
    load: AtomicU64,
    /// When the running thread's slice ends, or `NEVER`.
    slice_end: AtomicU64,
    /// When the running thread will have had the CPU time that its owner wants to hear of, or `NEVER`.
    budget_end: AtomicU64,
    /// What the hardware timer is set to, or `NEVER`.
    armed: AtomicU64,
    next_balance: AtomicU64,
    switches: AtomicU64,
    /// Time in threads, up to the last switch.
    busy: AtomicU64,
}

const NEVER: u64 = u64::MAX;
/// Pause between two looks at the balance.
const BALANCE_NS: u64 = 20_000_000;

static CPUS: Once<PerCpu<Once<Cpu>>> = Once::new();
/// CPUs whose idle thread runs, a bit each.
static IDLE: AtomicU64 = AtomicU64::new(0);
/// Room for this many threads in every queue.
static ROOM: AtomicUsize = AtomicUsize::new(0);

/// Makes the scheduler's tables and turns the running code into the boot CPU's idle thread.
///
/// # Errors
/// ENOMEM.
pub fn init(count: usize) -> Result<()> {
    let cpus = PerCpu::new(count, |_| Ok(Once::new()))?;
    CPUS.call_once(|| cpus);
    super::timer::init(count)?;
    add_this_cpu()
}

fn add_this_cpu() -> Result<()> {
    let number = CpuId::from_index(cpu::id()).ok_or(Errno::EINVAL)?;
    let idle = Thread::idle("idle");
    let mut queue = RunQueue::new(number);
    queue.try_reserve(ROOM.load(Ordering::Relaxed).max(64)).map_err(|_| Errno::ENOMEM)?;
    let now = time::now_ns();
    let queue = Queue {
        queue,
        current: idle.clone(),
        idle,
        previous: None,
        charged_at: now,
        events: EventRing::new(),
    };
    let Some(cpus) = CPUS.get() else { return Err(Errno::EINVAL) };
    cpus.here().call_once(|| Cpu {
        queue: Lock::new(queue),
        load: AtomicU64::new(0),
        slice_end: AtomicU64::new(NEVER),
        budget_end: AtomicU64::new(NEVER),
        armed: AtomicU64::new(NEVER),
        next_balance: AtomicU64::new(now),
        switches: AtomicU64::new(0),
        busy: AtomicU64::new(0),
    });
    Ok(())
}

/// What a started CPU does, for ever: run threads. The entry function of `hal::smp::start`.
pub fn run_other() -> ! {
    if add_this_cpu().is_err() {
        crate::error!("CPU {}: no memory for its run queue; it stays asleep", cpu::id());
        cpu::halt_forever();
    }
    idle()
}

fn get(number: usize) -> Option<&'static Cpu> {
    CPUS.get()?.get(number)?.get()
}

fn here() -> &'static Cpu {
    match get(cpu::id()) {
        Some(cpu) => cpu,
        None => panic!("CPU {} has no scheduler yet", cpu::id()),
    }
}

/// The running thread.
pub fn current() -> Arc<Thread> {
    cpu::without_interrupts(|| here().queue.lock().current.clone())
}

/// The running thread, once this CPU has a scheduler.
#[cfg(debug_assertions)]
pub(super) fn current_if_any() -> Option<Arc<Thread>> {
    cpu::without_interrupts(|| Some(get(cpu::id())?.queue.lock().current.clone()))
}

/// The running thread, if the scheduler runs; for panics, which may have struck anywhere.
pub fn try_current() -> Option<Arc<Thread>> {
    cpu::without_interrupts(|| Some(get(cpu::id())?.queue.try_lock()?.current.clone()))
}

/// Calls `visit` with this CPU's last events, oldest first; for panics.
pub fn for_each_event(mut visit: impl FnMut(&Event<EventKind>)) {
    if let Some(queue) = get(cpu::id()).and_then(|cpu| cpu.queue.try_lock()) {
        queue.events.iter().for_each(&mut visit);
    }
}

/// Time CPU `number` has spent in threads, up to its last switch.
pub fn busy_ns(number: usize) -> u64 {
    get(number).map_or(0, |cpu| cpu.busy.load(Ordering::Relaxed))
}

/// Switches CPU `number` has made.
pub fn switch_count(number: usize) -> u64 {
    get(number).map_or(0, |cpu| cpu.switches.load(Ordering::Relaxed))
}

/// Makes sure that every queue and timer table has room for one more thread, so that waking never allocates.
pub(super) fn reserve_for_one_more() -> Result<()> {
    let threads = usize::try_from(super::thread::live()).unwrap_or(usize::MAX);
    let needed = threads.saturating_add(super::timer::alarms()).saturating_add(1);
    if needed + 8 <= ROOM.load(Ordering::Acquire) {
        return Ok(());
    }
    let room = (needed + 8).next_power_of_two().max(64);
    for cpu in CPUS.get().into_iter().flat_map(PerCpu::iter).filter_map(Once::get) {
        let mut larger = Room::try_new(room).map_err(|_| Errno::ENOMEM)?;
        cpu.queue.lock().queue.adopt(&mut larger);
    }
    super::timer::reserve(room)?;
    ROOM.fetch_max(room, Ordering::AcqRel);
    Ok(())
}

/// Lets a new thread run.
pub fn start(thread: &Arc<Thread>) {
    unpark(thread);
}

/// Makes a parked thread ready, or its next park return at once.
pub fn unpark(thread: &Arc<Thread>) {
    let interrupts = cpu::irq_off();
    let mut shared = thread.shared.lock();
    match shared.status {
        Status::Blocked => {
            shared.status = Status::Queued;
            enqueue(thread, &mut shared, Reason::Wakeup);
        }
        Status::Queued | Status::Running => shared.has_token = true,
        Status::Exited => {}
    }
    drop(shared);
    cpu::irq_restore(interrupts);
}

/// Makes a thread that runs on another CPU come into the kernel: alone there it would meet no timer.
pub(super) fn kick(thread: &Thread) {
    let shared = thread.shared.lock();
    let home = shared.sched.last_cpu().filter(|_| shared.status == Status::Running);
    drop(shared);
    if let Some(home) = home
        && home.index() != cpu::id()
    {
        trap::request_reschedule(home.index());
    }
}

/// Changes how a thread competes, wherever it is.
pub fn set_policy(thread: &Arc<Thread>, policy: Policy) {
    let mut shared = thread.shared.lock();
    let home = shared.sched.last_cpu().and_then(|home| get(home.index()));
    match (shared.status, home) {
        (Status::Queued, Some(cpu)) => {
            let taken = cpu.queue.lock().queue.remove(&mut shared.sched);
            shared.sched.set_policy(policy);
            if taken.is_some() {
                enqueue(thread, &mut shared, Reason::Wakeup);
            }
            // Else it is on its way to another CPU, which will queue it as it is now.
        }
        (Status::Running, Some(cpu)) => {
            let mut queue = cpu.queue.lock();
            if Arc::ptr_eq(&queue.current, thread) {
                let verdict = queue.queue.set_running_policy(&mut shared.sched, policy);
                note_load(cpu, &queue);
                drop(queue);
                let number = shared.sched.last_cpu().map_or(0, CpuId::index);
                if verdict == Preempt::Now {
                    trap::request_reschedule(number);
                }
            } else {
                shared.sched.set_policy(policy);
            }
        }
        _ => shared.sched.set_policy(policy),
    }
}

/// Says on which CPUs a thread may run, and moves it if it is on another: at once if it waits for one, else at the end of
/// the interrupt or system call that it is in.
///
/// # Errors
/// EINVAL if none of them is up.
pub fn set_affinity(thread: &Arc<Thread>, allowed: CpuSet) -> Result<()> {
    thread.set_affinity(allowed)?;
    let mut shared = thread.shared.lock();
    let Some(home) = shared.sched.last_cpu().filter(|&home| !allowed.contains(home)) else { return Ok(()) };
    let Some(cpu) = get(home.index()) else { return Ok(()) };
    let taken = match shared.status {
        Status::Queued => cpu.queue.lock().queue.remove(&mut shared.sched),
        _ => None,
    };
    match (shared.status, taken) {
        (Status::Queued, Some(_)) => enqueue(thread, &mut shared, Reason::Wakeup),
        // It runs there, or is about to.
        (Status::Queued | Status::Running, _) => trap::request_reschedule(home.index()),
        _ => {}
    }
    Ok(())
}

/// Lets the thread's owner be told when it has had `ran_ns` of CPU time in all ([`super::Owner::ran_out`]), at once if it
/// has; `u64::MAX` for never. Told once, and not before the thread runs.
pub fn set_budget(thread: &Arc<Thread>, ran_ns: u64) {
    let shared = thread.shared.lock();
    thread.budget_ns.store(ran_ns, Ordering::Relaxed);
    // Who is switched to looks at its budget under the queue's lock: it has seen this one, or is current already.
    let home = shared.sched.last_cpu().map(CpuId::index);
    if let Some(number) = home
        && get(number).is_some_and(|cpu| Arc::ptr_eq(&cpu.queue.lock().current, thread))
    {
        trap::request_reschedule(number);
    }
}

/// CPU time `thread` has had, what it is having now included.
pub(super) fn ran_ns(thread: &Thread) -> u64 {
    let shared = thread.shared.lock();
    let charged = shared.sched.ran_ns();
    let Some(cpu) = shared.sched.last_cpu().and_then(|home| get(home.index())) else { return charged };
    let queue = cpu.queue.lock();
    if !core::ptr::eq(&raw const *queue.current, thread) {
        return charged;
    }
    charged + time::now_ns().saturating_sub(queue.charged_at)
}

static LOADS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Load averages over 1, 5 and 15 minutes, times 65536.
pub fn load_averages() -> [u64; 3] {
    LOADS.each_ref().map(|load| load.load(Ordering::Relaxed))
}

/// Adds a sample to the load averages; `elapsed_ns` have passed since the last. The watchdog calls it.
pub fn sample_load(elapsed_ns: u64) {
    let running: usize =
        CPUS.get().into_iter().flat_map(PerCpu::iter).filter_map(Once::get).map(Cpu::runnable).sum();
    // What this very sample needs is not load.
    let sample = (running.saturating_sub(1) as u64) << 16;
    for (load, minutes) in LOADS.iter().zip([1, 5, 15]) {
        let period_ns = minutes * 60_000_000_000;
        let old = load.load(Ordering::Relaxed);
        let share = elapsed_ns.min(period_ns);
        // A straight line in place of the exponential: close enough for steps far below the period.
        let new = (u128::from(old) * u128::from(period_ns - share) + u128::from(sample) * u128::from(share))
            / u128::from(period_ns);
        load.store(u64::try_from(new).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Threads that run or wait for a CPU.
pub fn runnable() -> usize {
    CPUS.get().into_iter().flat_map(PerCpu::iter).filter_map(Once::get).map(Cpu::runnable).sum()
}

impl Cpu {
    /// Notes when the thread that runs from `now` on, and has run for `ran_ns`, will have run for `budget_ns`.
    fn note_budget(&self, now: u64, budget_ns: u64, ran_ns: u64) {
        let end =
            if budget_ns == NEVER { NEVER } else { now.saturating_add(budget_ns.saturating_sub(ran_ns)) };
        self.budget_end.store(end, Ordering::Relaxed);
    }

    fn runnable(&self) -> usize {
        let queue = self.queue.lock();
        queue.queue.len() + usize::from(!queue.current.is_idle)
    }
}

/// Puts a thread that is nowhere on the queue of the CPU that suits it best.
fn enqueue(thread: &Arc<Thread>, shared: &mut Shared, reason: Reason) {
    let number = choose_cpu(thread, shared);
    let Some(target) = get(number) else { panic!("CPU {number} was chosen and is not up") };
    let mut queue = target.queue.lock();
    let now = time::now_ns();
    queue.events.record(now, EventKind::Wake, [thread.id().0, 0]);
    let verdict = queue.queue.enqueue(thread.clone(), &mut shared.sched, reason, now);
    note_load(target, &queue);
    // A run-to-completion decision needs a time limit from now on: the running thread is no longer alone.
    let is_alone = target.slice_end.load(Ordering::Relaxed) == NEVER;
    drop(queue);
    match verdict {
        Ok(Preempt::Now) => trap::request_reschedule(number),
        Ok(Preempt::Keep) if is_alone => trap::request_reschedule(number),
        Ok(Preempt::Keep) => {}
        Err(_) => panic!("a run queue is full: a thread was made without `reserve_for_one_more`"),
    }
}

/// The last CPU if it is idle, else an idle one, else the last one; always an allowed one.
fn choose_cpu(thread: &Thread, shared: &Shared) -> usize {
    let ready = CpuSet::from_words([smp::online_mask(), 0, 0, 0]);
    let allowed = thread.affinity().and(&ready);
    let last = shared.sched.last_cpu().filter(|&last| allowed.contains(last));
    let idle = allowed.and(&CpuSet::from_words([IDLE.load(Ordering::Relaxed), 0, 0, 0]));
    let chosen = match last {
        Some(last) if idle.contains(last) => Some(last),
        _ => idle.first().or(last).or(allowed.first()),
    };
    let number = chosen.map_or(0, CpuId::index);
    // A CPU is online a moment before it has its queue.
    if get(number).is_some() { number } else { 0 }
}

fn note_load(cpu: &Cpu, queue: &Queue) {
    cpu.load.store(queue.queue.load(), Ordering::Relaxed);
}

/// Why the running thread gives way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    Park,
    Yield,
    Preempted,
    Exit,
}

/// Sleeps until `unpark`; returns at once if that came first.
pub(super) fn park() {
    debug_assert!(!lock_ranks::any_held(), "a thread went to sleep holding a spin lock");
    leave(Leave::Park);
}

/// Lets others run first.
pub fn yield_now() {
    leave(Leave::Yield);
}

/// Gives way if another thread should run: the end of an interrupt, and of a system call.
pub fn preempt() {
    if trap::reschedule_requested() {
        leave(Leave::Preempted);
    }
}

/// Ends the running thread.
pub(super) fn exit() -> ! {
    leave(Leave::Exit);
    unreachable!("a thread that ended was run again")
}

fn leave(why: Leave) {
    let interrupts = cpu::irq_off();
    balance_if_due(here());
    let next = choose_next(why);
    if let Some(next) = next {
        hal::context::switch(next);
        // Back, perhaps on another CPU.
        finish_switch();
    }
    cpu::irq_restore(interrupts);
}

/// Does all of a switch but the switch: charges and files the running thread, picks the next. `None` if it stays.
fn choose_next(why: Leave) -> Option<Arc<hal::context::Context>> {
    let cpu = here();
    let me = cpu.queue.lock().current.clone();
    let mut shared = me.shared.lock();
    if why == Leave::Park && core::mem::take(&mut shared.has_token) {
        return None;
    }
    // Before the choice, which sees everything that asked for one until now.
    trap::clear_reschedule();
    let now = time::now_ns();
    let mut queue = cpu.queue.lock();
    let ran = now.saturating_sub(queue.charged_at);
    queue.charged_at = now;
    queue.queue.charge(&mut shared.sched, ran);
    if !me.is_idle {
        cpu.busy.fetch_add(ran, Ordering::Relaxed);
    }
    let must_move = file(&mut queue, &me, &mut shared, why, now) == Filed::Elsewhere;
    let idle = queue.idle.clone();
    let next = queue.queue.pick(now).map_or(idle, |picked| picked.thread);
    note_load(cpu, &queue);
    cpu.slice_end.store(
        queue.queue.time_to_next_decision().map_or(NEVER, |left| now.saturating_add(left.max(1))),
        Ordering::Relaxed,
    );
    set_idle(next.is_idle);
    let budget = next.budget_ns.load(Ordering::Relaxed);
    if Arc::ptr_eq(&next, &me) {
        shared.status = Status::Running;
        cpu.note_budget(now, budget, shared.sched.ran_ns());
        drop(queue);
        drop(shared);
        arm(cpu);
        return None;
    }
    let limited = (budget != NEVER).then(|| next.clone());
    queue.events.record(now, EventKind::Switch, [me.id().0, next.id().0]);
    next.switches.fetch_add(1, Ordering::Relaxed);
    cpu.switches.fetch_add(1, Ordering::Relaxed);
    let context = next.context.clone();
    queue.previous = Some(core::mem::replace(&mut queue.current, next));
    drop(queue);
    if must_move {
        // Another CPU may pick it before this one has left its stack, and waits for that (`hal::context::switch`).
        enqueue(&me, &mut shared, Reason::Wakeup);
    }
    drop(shared);
    // A thread's state comes before a queue: only now may it be asked.
    cpu.note_budget(now, budget, limited.map_or(0, |next| next.shared.lock().sched.ran_ns()));
    arm(cpu);
    Some(context)
}

/// Where the running thread goes that gives way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filed {
    /// On this queue, or on none.
    Here,
    /// On another CPU's queue, once this one's is let go: it may not run here any more.
    Elsewhere,
}

fn file(queue: &mut Queue, me: &Arc<Thread>, shared: &mut Shared, why: Leave, now: u64) -> Filed {
    if me.is_idle {
        return Filed::Here;
    }
    match why {
        Leave::Park => {
            shared.status = Status::Blocked;
            queue.queue.block(&mut shared.sched);
        }
        Leave::Exit => {
            shared.status = Status::Exited;
            queue.queue.block(&mut shared.sched);
            queue.events.record(now, EventKind::Exit, [me.id().0, 0]);
        }
        Leave::Yield | Leave::Preempted if is_astray(me) => {
            shared.status = Status::Queued;
            queue.queue.block(&mut shared.sched);
            return Filed::Elsewhere;
        }
        Leave::Yield | Leave::Preempted => {
            shared.status = Status::Queued;
            let reason = if why == Leave::Yield { Reason::Yielded } else { Reason::Preempted };
            if queue.queue.enqueue(me.clone(), &mut shared.sched, reason, now).is_err() {
                panic!("a run queue is full: a thread was made without `reserve_for_one_more`");
            }
        }
    }
    Filed::Here
}

/// Whether a thread runs on a CPU that it may not use, and may use another.
fn is_astray(thread: &Thread) -> bool {
    let allowed = thread.affinity();
    let ready = CpuSet::from_words([smp::online_mask(), 0, 0, 0]);
    CpuId::from_index(cpu::id()).is_some_and(|here| !allowed.contains(here))
        && allowed.and(&ready).first().is_some_and(|other| get(other.index()).is_some())
}

/// The first thing after a switch: the thread that runs now is running, the one before may be freed.
pub(super) fn finish_switch() {
    let (me, previous) = {
        let mut queue = here().queue.lock();
        (queue.current.clone(), queue.previous.take())
    };
    me.shared.lock().status = Status::Running;
    drop(previous);
}

fn set_idle(is_idle: bool) {
    let bit = 1 << cpu::id();
    // Checked first: the word is shared by all CPUs, and most switches change nothing.
    let was_idle = IDLE.load(Ordering::Relaxed) & bit != 0;
    match (was_idle, is_idle) {
        (false, true) => IDLE.fetch_or(bit, Ordering::Relaxed),
        (true, false) => IDLE.fetch_and(!bit, Ordering::Relaxed),
        _ => return,
    };
}

/// Sets the hardware timer for whatever comes first on this CPU: the end of a slice or of a budget, or a timer.
fn arm(cpu: &Cpu) {
    let decision = cpu.slice_end.load(Ordering::Relaxed).min(cpu.budget_end.load(Ordering::Relaxed));
    let deadline = decision.min(super::timer::next_deadline());
    if cpu.armed.swap(deadline, Ordering::Relaxed) != deadline {
        time::arm((deadline != NEVER).then_some(deadline));
    }
}

/// The timer interrupt. Interrupts are off.
pub fn on_timer() {
    let cpu = here();
    cpu.armed.store(NEVER, Ordering::Relaxed);
    let now = time::now_ns();
    super::timer::fire_expired(now);
    if now >= cpu.budget_end.load(Ordering::Relaxed) {
        end_budget(cpu);
    }
    if now >= cpu.slice_end.load(Ordering::Relaxed) {
        trap::request_reschedule(cpu::id());
        ask_lighter_cpu();
    }
    arm(cpu);
}

/// The running thread has had the CPU time that its owner wants to hear of.
fn end_budget(cpu: &Cpu) {
    cpu.budget_end.store(NEVER, Ordering::Relaxed);
    let me = cpu.queue.lock().current.clone();
    me.budget_ns.store(NEVER, Ordering::Relaxed);
    if let Some(owner) = me.owner() {
        owner.ran_out();
    }
}

/// A timer was set or taken back on this CPU. Interrupts are off.
pub(super) fn timers_changed() {
    arm(here());
}

fn loads(into: &mut [u64; cpu::MAX_CPUS]) -> &[u64] {
    let mut count = 0;
    for (slot, cpu) in into.iter_mut().zip(CPUS.get().into_iter().flat_map(PerCpu::iter)) {
        *slot = cpu.get().map_or(0, |cpu| cpu.load.load(Ordering::Relaxed));
        count += 1;
    }
    &into[..count]
}

/// Wakes the CPU with the least to do if this one has enough more; it then pulls.
fn ask_lighter_cpu() {
    let mut space = [0; cpu::MAX_CPUS];
    let loads = loads(&mut space);
    let lightest =
        (0..loads.len()).filter(|&number| get(number).is_some()).min_by_key(|&number| loads[number]);
    let Some(lightest) = lightest.and_then(CpuId::from_index) else { return };
    let is_me = runq::balance(loads, lightest).is_some_and(|found| found.busiest.index() == cpu::id());
    if is_me && let Some(target) = get(lightest.index()) {
        target.next_balance.store(0, Ordering::Relaxed);
        trap::request_reschedule(lightest.index());
    }
}

/// Pulls a thread from the busiest CPU if that pays. No lock is held.
fn balance_if_due(cpu: &Cpu) {
    if smp::online_mask().is_power_of_two() {
        return;
    }
    let now = time::now_ns();
    if now < cpu.next_balance.load(Ordering::Relaxed) {
        return;
    }
    cpu.next_balance.store(now + BALANCE_NS, Ordering::Relaxed);
    let Some(me) = CpuId::from_index(cpu::id()) else { return };
    let mut space = [0; cpu::MAX_CPUS];
    if let Some(found) = runq::balance(loads(&mut space), me) {
        pull(found.busiest.index(), found.max_weight);
    }
}

/// Takes a waiting thread from CPU `victim` to this one. No lock is held.
fn pull(victim: usize, max_weight: u64) -> bool {
    let Some(me) = CpuId::from_index(cpu::id()) else { return false };
    let Some(from) = get(victim) else { return false };
    let departed = {
        let mut queue = from.queue.lock();
        let departed = queue.queue.steal(max_weight, |thread| thread.affinity().contains(me));
        note_load(from, &queue);
        departed
    };
    let Some(departed) = departed else { return false };
    let mut shared = departed.thread.shared.lock();
    enqueue_here(&departed.thread, &mut shared, Reason::Migrated(departed.lag));
    true
}

fn enqueue_here(thread: &Arc<Thread>, shared: &mut Shared, reason: Reason) {
    let cpu = here();
    let mut queue = cpu.queue.lock();
    let now = time::now_ns();
    if queue.queue.enqueue(thread.clone(), &mut shared.sched, reason, now).is_err() {
        panic!("a run queue is full: a thread was made without `reserve_for_one_more`");
    }
    note_load(cpu, &queue);
    drop(queue);
    trap::request_reschedule(cpu::id());
}

/// The idle thread: steal, else sleep.
pub fn idle() -> ! {
    // The first deadline of this CPU may lie before it had a timer.
    cpu::without_interrupts(|| set_idle(true));
    cpu::irq_on();
    loop {
        let _ = cpu::irq_off();
        if !trap::reschedule_requested() && !steal_from_busiest() {
            cpu::wait_for_interrupt();
        }
        cpu::irq_on();
        preempt();
    }
}

fn steal_from_busiest() -> bool {
    let mut space = [0; cpu::MAX_CPUS];
    let loads = loads(&mut space);
    let me = cpu::id();
    // A CPU whose only thread is running has load and nothing to steal: look at all, the busiest first.
    let mut tried = 0u64;
    loop {
        let next = (0..loads.len())
            .filter(|&number| number != me && loads[number] != 0 && tried & 1 << number == 0)
            .max_by_key(|&number| loads[number]);
        let Some(victim) = next else { return false };
        tried |= 1 << victim;
        if pull(victim, u64::MAX) {
            return true;
        }
    }
}
