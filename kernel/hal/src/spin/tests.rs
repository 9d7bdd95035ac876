//! Locks on simulated CPUs: order, interrupts, exclusion.

use super::*;
use crate::simulation;

#[cfg(debug_assertions)]
fn message(work: impl FnOnce()) -> String {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("the order is wrong");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
#[cfg(debug_assertions)]
fn a_wrong_order_panics_with_both_names() {
    use crate::rank;
    let (outer, inner) = (Lock::<_, rank::Heap>::new(()), Lock::<_, rank::Frames>::new(()));
    {
        let _outer = outer.lock();
        let _inner = inner.lock();
    }
    let text = message(|| {
        let _inner = inner.lock();
        let _outer = outer.lock();
    });
    assert!(text.contains("Heap") && text.contains("Frames"), "{text}");
    assert!(!crate::lock_ranks::any_held(), "the panic released what was held");
}

#[test]
#[cfg(debug_assertions)]
fn two_locks_of_one_rank_need_lock_both() {
    use crate::rank;
    let (first, second) = (Lock::<_, rank::RunQueue>::new(1), Lock::<_, rank::RunQueue>::new(2));
    let text = message(|| {
        let _first = first.lock();
        let _second = second.lock();
    });
    assert!(text.contains("RunQueue"), "{text}");
    cpu::irq_on();
    let both = Lock::lock_both(&first, &second);
    assert_eq!((*both.first, *both.second), (1, 2));
}

#[test]
fn interrupts_stay_off_until_the_last_lock_is_free() {
    use crate::rank;
    let (outer, inner) = (Lock::<_, rank::Heap>::new(()), Lock::<_, rank::Frames>::new(()));
    assert!(cpu::irqs_enabled());
    let outer_guard = outer.lock();
    let inner_guard = inner.lock();
    assert!(outer.try_lock().is_none());
    drop(inner_guard);
    assert!(!cpu::irqs_enabled());
    drop(outer_guard);
    assert!(cpu::irqs_enabled());
}

#[test]
fn a_pair_keeps_interrupts_off_until_both_are_free_in_either_order() {
    use crate::rank;
    let locks = [Lock::<_, rank::RunQueue>::new(0), Lock::<_, rank::RunQueue>::new(1)];
    for (first, second) in [(&locks[0], &locks[1]), (&locks[1], &locks[0])] {
        let both = Lock::lock_both(first, second);
        let Both { first: first_guard, second: second_guard, _interrupts: interrupts } = both;
        assert!(!cpu::irqs_enabled());
        drop(second_guard);
        assert!(!cpu::irqs_enabled(), "the first is still held");
        drop(first_guard);
        assert!(!cpu::irqs_enabled());
        drop(interrupts);
        assert!(cpu::irqs_enabled());
    }
}

#[test]
#[cfg(debug_assertions)]
fn letting_interrupts_in_under_another_lock_panics() {
    use crate::rank;
    let (outer, inner) = (Lock::<_, rank::Heap>::new(()), Lock::<_, rank::Frames>::new(()));
    let outer_guard = outer.lock();
    let _inner_guard = inner.lock();
    let text = message(|| drop(outer_guard));
    assert!(text.contains("interrupts"), "{text}");
}

#[test]
fn pairs_from_both_sides_exclude_and_do_not_wait_for_each_other() {
    use crate::rank;
    let machine = simulation::machine();
    let locks = [Lock::<u64, rank::RunQueue>::new(0), Lock::<u64, rank::RunQueue>::new(0)];
    machine.run(2, |number| {
        for _ in 0..20_000 {
            let mut both = Lock::lock_both(&locks[number], &locks[1 - number]);
            *both.first += 1;
            *both.second += 1;
        }
    });
    for lock in &locks {
        assert_eq!(*lock.lock(), 40_000);
    }
}

#[test]
fn a_wait_is_counted_by_rank() {
    use crate::{lock_stat, rank};
    use std::sync::atomic::{AtomicBool, Ordering};
    let machine = simulation::machine();
    let counted = || {
        let mut found = lock_stat::Waits::default();
        lock_stat::for_each(|name, waits| {
            if name == "Console" {
                found = waits;
            }
        });
        found
    };
    let before = counted();
    let lock = Lock::<_, rank::Console>::new(0);
    let is_held = AtomicBool::new(false);
    machine.run(2, |number| {
        if number == 0 {
            let _held = lock.lock();
            is_held.store(true, Ordering::Release);
            std::thread::sleep(std::time::Duration::from_millis(20));
        } else {
            while !is_held.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            *lock.lock() += 1;
        }
    });
    assert_eq!(*lock.lock(), 1);
    let now = counted();
    assert_eq!(now.count, before.count + 1);
    assert!(now.looks > before.looks && now.ns >= before.ns, "{before:?} {now:?}");
}
