//! One rule a test.

use std::vec::Vec;

use super::*;

const MS: u64 = 1_000_000;

/// Threads 0.. with these policies, all woken in order.
fn woken(policies: &[Policy]) -> (RunQueue<usize>, Vec<SchedState>) {
    let mut queue = queue(policies.len() + 2);
    let mut states: Vec<SchedState> = policies.iter().map(|&policy| SchedState::new(policy)).collect();
    for (thread, state) in states.iter_mut().enumerate() {
        let _ = queue.enqueue(thread, state, Reason::Wakeup, 0).unwrap();
    }
    (queue, states)
}

fn pick(queue: &mut RunQueue<usize>) -> Option<usize> {
    queue.pick(0).map(|picked| picked.thread)
}

fn put_back(queue: &mut RunQueue<usize>, states: &mut [SchedState], thread: usize, reason: Reason) {
    let _ = queue.enqueue(thread, &mut states[thread], reason, 0).unwrap();
}

fn order(queue: &mut RunQueue<usize>) -> Vec<usize> {
    core::iter::from_fn(|| pick(queue)).collect()
}

#[test]
fn classes_are_strict() {
    let (mut queue, _) = woken(&[Policy::Idle, fair(-20), fifo(1), round_robin(99), fifo(50), fair(-20)]);
    assert_eq!(order(&mut queue), [3, 4, 2, 1, 5, 0]);
    assert_eq!(queue.load(), 0);
}

#[test]
fn a_lone_thread_needs_no_tick() {
    for policy in [fair(0), fifo(1), round_robin(1), Policy::Idle, Policy::Batch(Nice::MAX)] {
        let (mut queue, mut states) = woken(&[policy]);
        assert_eq!(queue.should_preempt(), Preempt::Now);
        assert_eq!(pick(&mut queue), Some(0));
        assert_eq!(queue.time_to_next_decision(), None);
        queue.charge(&mut states[0], 1_000 * MS);
        assert_eq!((queue.should_preempt(), queue.time_to_next_decision()), (Preempt::Keep, None));
    }
}

#[test]
fn a_lower_class_needs_no_tick() {
    let (mut queue, _) = woken(&[fair(0), Policy::Idle]);
    pick(&mut queue);
    assert_eq!(queue.time_to_next_decision(), None);
    let (mut queue, _) = woken(&[round_robin(2), round_robin(1), fair(0)]);
    pick(&mut queue);
    assert_eq!(queue.time_to_next_decision(), None);
}

#[test]
fn fair_threads_take_turns_of_a_slice() {
    let (mut queue, mut states) = woken(&[fair(0), fair(0)]);
    assert_eq!(pick(&mut queue), Some(0));
    assert_eq!(queue.time_to_next_decision(), Some(FAIR_SLICE_NS));
    queue.charge(&mut states[0], FAIR_SLICE_NS - 1);
    assert_eq!((queue.should_preempt(), queue.time_to_next_decision()), (Preempt::Keep, Some(1)));
    queue.charge(&mut states[0], 1);
    assert_eq!((queue.should_preempt(), queue.time_to_next_decision()), (Preempt::Now, Some(0)));
    put_back(&mut queue, &mut states, 0, Reason::Preempted);
    assert_eq!(pick(&mut queue), Some(1));
}

#[test]
fn fifo_runs_on_and_round_robin_takes_turns() {
    let (mut queue, mut states) = woken(&[fifo(5), fifo(5)]);
    pick(&mut queue);
    queue.charge(&mut states[0], 10_000 * MS);
    assert_eq!((queue.should_preempt(), queue.time_to_next_decision()), (Preempt::Keep, None));

    let (mut queue, mut states) = woken(&[round_robin(5), round_robin(5)]);
    pick(&mut queue);
    queue.charge(&mut states[0], 60 * MS);
    assert_eq!(queue.time_to_next_decision(), Some(40 * MS));
    queue.charge(&mut states[0], 40 * MS);
    assert_eq!(queue.should_preempt(), Preempt::Now);
    put_back(&mut queue, &mut states, 0, Reason::Preempted);
    assert_eq!(pick(&mut queue), Some(1));
}

#[test]
fn a_preempted_real_time_thread_keeps_its_turn() {
    let (mut queue, mut states) = woken(&[fifo(5), fifo(5), fifo(9)]);
    assert_eq!(pick(&mut queue), Some(2));
    queue.block(&mut states[2]);
    assert_eq!(pick(&mut queue), Some(0));
    assert_eq!(queue.enqueue(2, &mut states[2], Reason::Wakeup, 0), Ok(Preempt::Now));
    put_back(&mut queue, &mut states, 0, Reason::Preempted);
    assert_eq!(order(&mut queue), [2, 0, 1]);
}

#[test]
fn yield_goes_behind_equals() {
    for policy in [fair(0), fifo(5), round_robin(5), Policy::Idle] {
        let (mut queue, mut states) = woken(&[policy; 3]);
        for round in 0..30 {
            let thread = pick(&mut queue).unwrap();
            assert_eq!(thread, round % 3, "{policy:?}");
            queue.charge(&mut states[thread], 1_000);
            put_back(&mut queue, &mut states, thread, Reason::Yielded);
        }
    }
}

#[test]
fn yielding_alone_costs_nothing_later() {
    let (mut queue, mut states) = woken(&[fair(0)]);
    for _ in 0..10_000 {
        let thread = pick(&mut queue).unwrap();
        queue.charge(&mut states[thread], 1_000);
        put_back(&mut queue, &mut states, thread, Reason::Yielded);
    }
    let mut hog = SchedState::new(fair(0));
    let _ = queue.enqueue(1, &mut hog, Reason::Wakeup, 0).unwrap();
    assert!(states[0].deadline <= hog.deadline);
}

#[test]
fn batch_threads_do_not_preempt_by_waking() {
    let (mut queue, mut states) = woken(&[fair(0)]);
    pick(&mut queue);
    queue.charge(&mut states[0], 50 * MS);
    let mut batch = SchedState::new(Policy::Batch(Nice::MIN));
    assert_eq!(queue.enqueue(1, &mut batch, Reason::Wakeup, 0), Ok(Preempt::Keep));
    assert_eq!(queue.time_to_next_decision(), Some(FAIR_SLICE_NS), "it waits for the slice to end");
}

#[test]
fn a_sleeper_preempts_a_hog() {
    let (mut queue, mut states) = woken(&[fair(0), fair(0)]);
    assert_eq!(pick(&mut queue), Some(0));
    queue.charge(&mut states[0], MS / 10);
    queue.block(&mut states[0]);
    assert_eq!(pick(&mut queue), Some(1));
    queue.charge(&mut states[1], 10 * MS);
    assert_eq!(queue.enqueue(0, &mut states[0], Reason::Wakeup, 0), Ok(Preempt::Now));
}

#[test]
fn a_long_sleep_is_worth_one_slice() {
    let (mut queue, mut states) = woken(&[fair(0), fair(0)]);
    pick(&mut queue);
    queue.block(&mut states[0]);
    pick(&mut queue);
    queue.charge(&mut states[1], 3_600_000 * MS);
    put_back(&mut queue, &mut states, 0, Reason::Wakeup);
    assert_eq!(states[1].vruntime - states[0].vruntime, FAIR_SLICE_NS);
}

#[test]
fn without_room_the_thread_comes_back() {
    let mut queue = queue(1);
    let mut states = [SchedState::new(fair(0)), SchedState::new(fair(0))];
    let _ = queue.enqueue("first", &mut states[0], Reason::Wakeup, 0).unwrap();
    assert_eq!(queue.enqueue("second", &mut states[1], Reason::Wakeup, 0), Err(Full("second")));
    queue.try_reserve(2).unwrap();
    let _ = queue.enqueue("second", &mut states[1], Reason::Wakeup, 0).unwrap();
    assert_eq!((queue.len(), queue.capacity()), (2, 2));
    assert_eq!(queue.pick(7), Some(Picked { thread: "first", waited_ns: 7 }));
    assert_eq!(queue.pick(7), Some(Picked { thread: "second", waited_ns: 7 }));
}

#[test]
fn a_migrated_thread_keeps_its_claim() {
    let (mut source, mut states) = woken(&[fair(0), fair(0)]);
    source.virtual_now = 1 << 40;
    pick(&mut source);
    source.charge(&mut states[0], 2 * MS);
    let departed = source.steal(u64::MAX, |_| true).unwrap();
    let mut target = RunQueue::new(CpuId::new(1));
    target.try_reserve(1).unwrap();
    target.virtual_now = 1 << 20;
    let _ = target.enqueue(departed.thread, &mut states[1], Reason::Migrated(departed.lag), 0).unwrap();
    assert_eq!(states[1].vruntime, (1 << 20) - FAIR_SLICE_NS.min(1 << 20));
    assert_eq!(states[1].last_cpu(), Some(CpuId::new(1)));
    assert!(source.remove(&mut states[1]).is_none(), "it is the other queue's now");
    assert!(target.remove(&mut states[1]).is_some());
}

#[test]
fn remove_is_harmless_for_threads_elsewhere() {
    let (mut queue, mut states) = woken(&[fair(0), fifo(3)]);
    assert_eq!(pick(&mut queue), Some(1));
    assert!(queue.remove(&mut states[1]).is_none(), "running");
    assert_eq!(queue.remove(&mut states[0]).map(|departed| departed.thread), Some(0));
    assert!(queue.remove(&mut states[0]).is_none(), "already gone");
    assert!(queue.remove(&mut SchedState::new(fair(0))).is_none(), "never queued");
    assert_eq!((queue.len(), queue.load()), (0, 2048));
}

#[test]
fn stealing_obeys_affinity_and_weight() {
    let (mut queue, _) = woken(&[fair(0), fair(-20), fair(19), Policy::Idle, fifo(1)]);
    let mut steal = |limit, allowed: usize| queue.steal(limit, |&thread| thread == allowed);
    assert!(steal(10_000, 1).is_none());
    assert_eq!(steal(1_024, 0).map(|departed| departed.thread), Some(0));
    let mut any = || queue.steal(u64::MAX, |_| true).map(|departed| departed.thread);
    assert_eq!([any(), any(), any(), any(), any()], [Some(4), Some(2), Some(1), Some(3), None]);
}

#[test]
fn changing_the_running_threads_policy_takes_effect_at_once() {
    let (mut queue, mut states) = woken(&[fair(0), fair(0)]);
    pick(&mut queue);
    assert_eq!(queue.set_running_policy(&mut states[0], fifo(1)), Preempt::Keep);
    assert_eq!((queue.load(), queue.time_to_next_decision()), (1024 + 2048, None));
    assert_eq!(queue.set_running_policy(&mut states[0], Policy::Idle), Preempt::Now);
    assert_eq!(queue.load(), 1024 + 3);
    let _ = queue.set_running_policy(&mut states[0], fair(5));
    assert_eq!(queue.load(), 1024 + 335);
}

#[test]
fn balance_wants_a_real_difference() {
    let cpu = CpuId::new;
    let takes = |loads: &[u64], own| balance(loads, cpu(own)).map(|found| (found.busiest, found.max_weight));
    assert_eq!(takes(&[1024, 1024], 0), None);
    assert_eq!(takes(&[0, 0], 0), None);
    assert_eq!(takes(&[4096, 5000], 0), None);
    assert_eq!(takes(&[0, 2048, 3072, 3072], 0), Some((cpu(2), 3071)));
    assert_eq!(takes(&[3072, 0], 0), None);
    assert_eq!(takes(&[3072, 0], 9), None, "a processor nobody lists");
}
