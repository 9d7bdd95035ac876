//! Simulated workloads on one processor: shares, latency, starvation.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

/// A thread that computes for `burst_ns`, then sleeps for `sleep_ns`; a hog never sleeps.
struct Job {
    state: SchedState,
    burst_ns: u64,
    sleep_ns: u64,
    left_ns: u64,
    wakes_at: Option<u64>,
    runnable_since: u64,
    longest_wait_ns: u64,
}

impl Job {
    fn new(policy: Policy, burst_ns: u64, sleep_ns: u64) -> Self {
        Self {
            state: SchedState::new(policy),
            burst_ns,
            sleep_ns,
            left_ns: burst_ns,
            wakes_at: Some(0),
            runnable_since: 0,
            longest_wait_ns: 0,
        }
    }

    fn hog(policy: Policy) -> Self {
        Self::new(policy, u64::MAX, 0)
    }
}

struct Cpu {
    queue: RunQueue<usize>,
    jobs: Vec<Job>,
    running: Option<usize>,
    now: u64,
}

impl Cpu {
    fn new(jobs: Vec<Job>) -> Self {
        Self { queue: queue(jobs.len()), jobs, running: None, now: 0 }
    }

    fn run_until(&mut self, end: u64) {
        while self.now < end {
            self.wake_due();
            if self.queue.should_preempt() == Preempt::Now {
                self.switch();
            }
            let step = self.next_event(end) - self.now;
            self.now += step;
            self.charge(step);
        }
    }

    fn next_event(&self, end: u64) -> u64 {
        let wakeup = self.jobs.iter().filter_map(|job| job.wakes_at).min();
        let decision = self.queue.time_to_next_decision().map(|time| self.now + time);
        let sleep = self.running.map(|job| self.now.saturating_add(self.jobs[job].left_ns));
        [wakeup, decision, sleep].into_iter().flatten().min().map_or(end, |time| time.clamp(self.now, end))
    }

    fn wake_due(&mut self) {
        for (thread, job) in self.jobs.iter_mut().enumerate() {
            if job.wakes_at.is_some_and(|time| time <= self.now) {
                job.wakes_at = None;
                job.runnable_since = self.now;
                let _ = self.queue.enqueue(thread, &mut job.state, Reason::Wakeup, self.now).unwrap();
            }
        }
    }

    fn switch(&mut self) {
        if let Some(thread) = self.running.take() {
            let job = &mut self.jobs[thread];
            job.runnable_since = self.now;
            let _ = self.queue.enqueue(thread, &mut job.state, Reason::Preempted, self.now).unwrap();
        }
        self.pick();
    }

    fn pick(&mut self) {
        self.running = self.queue.pick(self.now).map(|picked| picked.thread);
        if let Some(thread) = self.running {
            let job = &mut self.jobs[thread];
            job.longest_wait_ns = job.longest_wait_ns.max(self.now - job.runnable_since);
        }
    }

    fn charge(&mut self, ran_ns: u64) {
        let Some(thread) = self.running else { return };
        let job = &mut self.jobs[thread];
        self.queue.charge(&mut job.state, ran_ns);
        job.left_ns -= ran_ns;
        if job.left_ns == 0 {
            job.left_ns = job.burst_ns;
            job.wakes_at = Some(self.now + job.sleep_ns);
            self.queue.block(&mut job.state);
            self.pick();
        }
    }

    fn share(&self, job: usize) -> f64 {
        self.jobs[job].state.ran_ns() as f64 / self.now as f64
    }
}

#[test]
fn hogs_share_by_weight() {
    let nices = [0, 0, 5, -5, 10];
    let mut cpu = Cpu::new(nices.iter().map(|&nice| Job::hog(fair(nice))).collect());
    cpu.run_until(60_000 * MS);
    let total: u32 = nices.iter().map(|&nice| Nice::clamped(nice).weight()).sum();
    for (job, &nice) in nices.iter().enumerate() {
        let expected = f64::from(Nice::clamped(nice).weight()) / f64::from(total);
        let error = (cpu.share(job) - expected).abs() / expected;
        assert!(error < 0.02, "nice {nice}: {} instead of {expected}", cpu.share(job));
    }
}

#[test]
fn a_short_sleeper_is_served_soon_among_hogs() {
    let mut jobs: Vec<Job> = (0..8).map(|_| Job::hog(fair(0))).collect();
    jobs.push(Job::new(fair(0), MS / 10, 10 * MS));
    let mut cpu = Cpu::new(jobs);
    cpu.run_until(100 * MS);
    cpu.jobs[8].longest_wait_ns = 0; // Nine new threads at once had to queue up.
    cpu.run_until(20_000 * MS);
    let sleeper = &cpu.jobs[8];
    assert!(sleeper.longest_wait_ns <= 2 * FAIR_SLICE_NS, "waited {} ns", sleeper.longest_wait_ns);
    assert!(sleeper.state.ran_ns() > 1_800 * (MS / 10));
}

#[test]
fn a_greedy_sleeper_gets_no_more_than_its_share() {
    // Computes for most of a slice, then sleeps for a blink, in the hope of a sleeper's bonus.
    let mut jobs: Vec<Job> = (0..3).map(|_| Job::hog(fair(0))).collect();
    jobs.push(Job::new(fair(0), FAIR_SLICE_NS - 1_000, 10_000));
    let mut cpu = Cpu::new(jobs);
    cpu.run_until(20_000 * MS);
    assert!(cpu.share(3) < 0.28, "got {}", cpu.share(3));
    assert!((0..3).all(|hog| cpu.share(hog) > 0.23));
}

#[test]
fn a_heavy_stream_of_arrivals_does_not_starve_a_nice_thread() {
    // Every arrival is a new thread of nice -5 that computes for 1 ms and exits; there is always one.
    let mut queue = queue(2);
    let mut nice = SchedState::new(fair(19));
    let mut nice_ran = 0;
    let _ = queue.enqueue(true, &mut nice, Reason::Wakeup, 0).unwrap();
    for _ in 0..20_000 {
        let mut arrival = SchedState::new(fair(-5));
        let _ = queue.enqueue(false, &mut arrival, Reason::Wakeup, 0).unwrap();
        while queue.pick(0).is_some_and(|picked| picked.thread) {
            let time = queue.time_to_next_decision().unwrap_or(MS);
            queue.charge(&mut nice, time.max(1));
            nice_ran += time;
            let _ = queue.enqueue(true, &mut nice, Reason::Preempted, 0).unwrap();
        }
        queue.charge(&mut arrival, MS);
        queue.block(&mut arrival);
    }
    let fair_part = 20_000 * MS * 15 / (3121 + 15);
    assert!(nice_ran > fair_part / 2, "ran {nice_ran} ns of {fair_part}");
}

#[test]
fn idle_threads_run_only_when_nothing_else_does() {
    let jobs = [Job::new(fair(0), MS, 3 * MS), Job::hog(Policy::Idle), Job::hog(Policy::Idle)];
    let mut cpu = Cpu::new(jobs.into_iter().collect());
    cpu.run_until(4_000 * MS);
    assert!(cpu.jobs[0].longest_wait_ns == 0);
    assert!((cpu.share(0) - 0.25).abs() < 0.01);
    assert!((cpu.share(1) - cpu.share(2)).abs() < 0.02, "they take turns");
}

fn job() -> impl Strategy<Value = (i32, u64, u64)> {
    (-20..20i32, 10_000..20 * MS, prop_oneof![Just(0), 10_000..20 * MS])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn nobody_starves(specs in prop::collection::vec(job(), 1..8)) {
        let jobs = specs.iter().map(|&(nice, burst, sleep)| {
            if sleep == 0 { Job::hog(fair(nice)) } else { Job::new(fair(nice), burst, sleep) }
        });
        let mut cpu = Cpu::new(jobs.collect());
        cpu.run_until(10_000 * MS);
        let total: u64 = specs.iter().map(|spec| u64::from(Nice::clamped(spec.0).weight())).sum();
        let lightest = specs.iter().map(|spec| Nice::clamped(spec.0).weight()).min().unwrap();
        // A waiting deadline is at most three of the lightest's slices ahead of the virtual clock,
        // which moves at 1024 / total; everyone may overrun once.
        let bound = 4 * FAIR_SLICE_NS * total / u64::from(lightest) + specs.len() as u64 * FAIR_SLICE_NS;
        for (job, spec) in cpu.jobs.iter().zip(&specs) {
            prop_assert!(job.longest_wait_ns <= bound, "{spec:?} waited {} > {bound}", job.longest_wait_ns);
        }
    }

    #[test]
    fn real_time_always_goes_first(priority in 1..=99u8, burst in 1..50 * MS) {
        let jobs = [Job::new(fifo(priority), burst, MS), Job::hog(fair(-20)), Job::hog(Policy::Idle)];
        let mut cpu = Cpu::new(jobs.into_iter().collect());
        cpu.run_until(500 * MS);
        prop_assert_eq!(cpu.jobs[0].longest_wait_ns, 0);
        prop_assert_eq!(cpu.jobs[2].state.ran_ns(), 0);
    }
}
