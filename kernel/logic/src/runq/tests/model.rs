//! The queue against a naive one: plain lists, searched from end to end.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::policy::Level;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Wake(usize),
    Run(u64),
    Preempt,
    Yield,
    Block,
    Remove(usize),
    Steal(usize),
    Repolicy(usize, Policy),
}

const THREADS: usize = 12;

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        4 => (-20..20i32).prop_map(fair),
        1 => (-20..20i32).prop_map(|nice| Policy::Batch(Nice::clamped(nice))),
        2 => (1..5u8).prop_map(fifo),
        2 => (1..5u8).prop_map(round_robin),
        1 => Just(Policy::Idle),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..THREADS).prop_map(Step::Wake),
        4 => (0..150_000_000u64).prop_map(Step::Run),
        2 => Just(Step::Preempt),
        1 => Just(Step::Yield),
        2 => Just(Step::Block),
        1 => (0..THREADS).prop_map(Step::Remove),
        1 => (0..THREADS).prop_map(Step::Steal),
        1 => (0..THREADS, policy()).prop_map(|(thread, policy)| Step::Repolicy(thread, policy)),
    ]
}

/// Where each thread is, and in which order the waiting ones would be served within their level.
#[derive(Default)]
struct Model {
    /// By thread: the rank among equals; smaller goes first.
    waiting: BTreeMap<usize, i64>,
    running: Option<usize>,
    clock: i64,
}

impl Model {
    fn queue(&mut self, thread: usize, at_front: bool) {
        self.clock += 1;
        self.waiting.insert(thread, if at_front { -self.clock } else { self.clock });
    }

    fn next(&self, states: &[SchedState]) -> Option<usize> {
        self.waiting
            .iter()
            .min_by_key(|&(&thread, &rank)| {
                let state = &states[thread];
                let deadline = if state.level == Level::FAIR { state.deadline } else { 0 };
                (core::cmp::Reverse(state.level), deadline, rank)
            })
            .map(|(&thread, _)| thread)
    }

    fn load(&self, states: &[SchedState]) -> u64 {
        self.waiting.keys().copied().chain(self.running).map(|thread| u64::from(states[thread].weight)).sum()
    }
}

struct Both {
    queue: RunQueue<usize>,
    model: Model,
    states: Vec<SchedState>,
    turn_is_used: bool,
}

impl Both {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Wake(thread) => self.wake(thread, Reason::Wakeup),
            Step::Run(ran_ns) => self.run(ran_ns),
            Step::Preempt => self.put_back(Reason::Preempted),
            Step::Yield => self.put_back(Reason::Yielded),
            Step::Block => {
                if let Some(thread) = self.model.running.take() {
                    self.queue.block(&mut self.states[thread]);
                }
                self.pick();
            }
            Step::Remove(thread) => {
                let expected = self.model.waiting.remove(&thread).map(|_| thread);
                assert_eq!(self.queue.remove(&mut self.states[thread]).map(|gone| gone.thread), expected);
            }
            Step::Steal(thread) => {
                let expected = self.model.waiting.remove(&thread).map(|_| thread);
                let stolen = self.queue.steal(u64::MAX, |&candidate| candidate == thread);
                assert_eq!(stolen.map(|gone| gone.thread), expected);
            }
            Step::Repolicy(thread, policy) => self.change_policy(thread, policy),
        }
    }

    fn wake(&mut self, thread: usize, reason: Reason) {
        if self.model.running == Some(thread) || self.model.waiting.contains_key(&thread) {
            return;
        }
        let preempt = self.queue.enqueue(thread, &mut self.states[thread], reason, 0).unwrap();
        self.model.queue(thread, false);
        let woken = self.states[thread].level;
        match self.model.running.map(|running| self.states[running].level) {
            Some(running) if woken > running => assert_eq!(preempt, Preempt::Now),
            Some(_) => {}
            None => assert_eq!(preempt, Preempt::Now),
        }
    }

    fn run(&mut self, ran_ns: u64) {
        let Some(thread) = self.model.running else { return self.pick() };
        let state = &mut self.states[thread];
        let ends_turn = state.slice_left_ns <= ran_ns && state.level != Level::FAIR;
        self.queue.charge(state, ran_ns);
        let level = state.level;
        let is_contended = self.model.waiting.keys().any(|&other| self.states[other].level == level);
        self.turn_is_used |= ends_turn && is_contended;
    }

    fn put_back(&mut self, reason: Reason) {
        if let Some(thread) = self.model.running.take() {
            let keeps_turn = reason == Reason::Preempted && !self.turn_is_used;
            let at_front = keeps_turn && self.states[thread].level != Level::FAIR;
            let _ = self.queue.enqueue(thread, &mut self.states[thread], reason, 0).unwrap();
            self.model.queue(thread, at_front);
        }
        self.pick();
    }

    fn pick(&mut self) {
        if self.model.running.is_some() {
            return;
        }
        let expected = self.model.next(&self.states);
        assert_eq!(self.queue.pick(0).map(|picked| picked.thread), expected);
        expected.map(|thread| self.model.waiting.remove(&thread));
        self.model.running = expected;
        self.turn_is_used = false;
    }

    fn change_policy(&mut self, thread: usize, policy: Policy) {
        let state = &mut self.states[thread];
        if self.model.running == Some(thread) {
            let _ = self.queue.set_running_policy(state, policy);
            self.turn_is_used = false;
        } else if let Some(gone) = self.queue.remove(state) {
            self.model.waiting.remove(&thread);
            state.set_policy(policy);
            self.wake(thread, Reason::Migrated(gone.lag));
        } else {
            state.set_policy(policy);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn behaves_like_the_naive_queue(steps in prop::collection::vec(step(), 0..150)) {
        let states = (-6..).take(THREADS).map(|nice| SchedState::new(fair(nice))).collect();
        let mut both = Both { queue: queue(3), model: Model::default(), states, turn_is_used: false };
        both.queue.try_reserve(THREADS).unwrap();
        let mut clock = 0;
        for step in steps {
            both.apply(step);
            prop_assert_eq!(both.queue.len(), both.model.waiting.len());
            prop_assert_eq!(both.queue.load(), both.model.load(&both.states));
            prop_assert!(both.queue.virtual_now >= clock, "the virtual clock went back");
            clock = both.queue.virtual_now;
            let waits = !both.model.waiting.is_empty();
            prop_assert!(both.queue.should_preempt() == Preempt::Keep || waits);
            if both.queue.should_preempt() == Preempt::Now {
                prop_assert_eq!(both.queue.time_to_next_decision(), Some(0));
            }
        }
    }

    #[test]
    fn growing_keeps_everyone(policies in prop::collection::vec(policy(), 1..20)) {
        let mut small = queue(policies.len());
        let mut states: Vec<_> = policies.into_iter().map(SchedState::new).collect();
        for (thread, state) in states.iter_mut().enumerate() {
            let _ = small.enqueue(thread, state, Reason::Wakeup, 0).unwrap();
        }
        let mut room = Room::try_new(64).unwrap();
        small.adopt(&mut room);
        prop_assert_eq!(small.capacity(), 64);
        small.adopt(&mut room);
        prop_assert_eq!(small.capacity(), 64);
        for (thread, state) in states.iter_mut().enumerate() {
            prop_assert_eq!(small.remove(state).map(|gone| gone.thread), Some(thread));
        }
    }
}
