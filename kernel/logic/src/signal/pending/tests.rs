//! Tests of pending signals.

use std::vec::Vec;

use abi::signal::{SI_QUEUE, SI_TKILL};
use proptest::prelude::*;

use super::*;
use crate::signal::Sender;

fn from(pid: u32, signal: Signal, code: i32) -> SignalInfo {
    SignalInfo::user(signal, code, Sender { pid, uid: 0 })
}

fn take_all(pending: &mut Pending) -> Vec<SignalInfo> {
    core::iter::from_fn(|| pending.take(SignalSet::EMPTY)).collect()
}

#[test]
fn standard_signals_merge_and_real_time_ones_queue() {
    let mut pending = Pending::new();
    for pid in 1..=3 {
        let merged = if pid == 1 { Posted::Queued } else { Posted::Merged };
        assert_eq!(pending.post(from(pid, Signal::USR1, SI_USER), Queueing::Room), Ok(merged));
        assert_eq!(pending.post(from(pid, Signal::RTMIN, SI_QUEUE), Queueing::Room), Ok(Posted::Queued));
    }
    assert_eq!(pending.queued(), 4);
    let expected = [
        from(1, Signal::USR1, SI_USER),
        from(1, Signal::RTMIN, SI_QUEUE),
        from(2, Signal::RTMIN, SI_QUEUE),
        from(3, Signal::RTMIN, SI_QUEUE),
    ];
    assert_eq!(take_all(&mut pending), expected);
    assert!(pending.is_empty());
}

#[test]
fn faults_come_first_and_then_the_lowest_number() {
    let mut pending = Pending::new();
    for signal in [Signal::RTMAX, Signal::TERM, Signal::SEGV, Signal::HUP, Signal::SYS, Signal::KILL] {
        pending.post(SignalInfo::kernel(signal), Queueing::Room).unwrap();
    }
    let order: Vec<u32> = take_all(&mut pending).iter().map(|info| info.signal().number()).collect();
    assert_eq!(order, [11, 31, 1, 9, 15, 64]);
}

#[test]
fn a_mask_holds_signals_back() {
    let mut pending = Pending::new();
    pending.post(SignalInfo::kernel(Signal::HUP), Queueing::Room).unwrap();
    pending.post(SignalInfo::kernel(Signal::TERM), Queueing::Room).unwrap();
    let mask = SignalSet::of(&[Signal::HUP]);
    assert_eq!(pending.take(mask).map(|info| info.signal()), Some(Signal::TERM));
    assert_eq!(pending.take(mask), None);
    assert!(pending.contains(Signal::HUP));
}

#[test]
fn at_the_limit_it_matters_who_sends() {
    let mut pending = Pending::new();
    let mut post = |signal, code| pending.post(from(1, signal, code), Queueing::Exhausted);
    assert_eq!(post(Signal::RTMIN, SI_QUEUE), Err(Errno::EAGAIN));
    assert_eq!(post(Signal::RTMIN, SI_TKILL), Err(Errno::EAGAIN));
    assert_eq!(post(Signal::RTMIN, SI_USER), Ok(Posted::Marked));
    assert_eq!(post(Signal::USR1, SI_QUEUE), Ok(Posted::Marked));
    assert_eq!(post(Signal::USR2, SI_USER), Ok(Posted::Queued));
    let expected = [
        SignalInfo::forgotten(Signal::USR1),
        from(1, Signal::USR2, SI_USER),
        SignalInfo::forgotten(Signal::RTMIN),
    ];
    assert_eq!(take_all(&mut pending), expected);
}

#[test]
fn a_real_time_signal_without_details_is_taken_after_those_with() {
    let mut pending = Pending::new();
    pending.post(from(1, Signal::RTMIN, SI_QUEUE), Queueing::Room).unwrap();
    pending.post(from(2, Signal::RTMIN, SI_USER), Queueing::Exhausted).unwrap();
    // The bit cannot count, so the second is lost: as on Linux.
    assert_eq!(take_all(&mut pending), [from(1, Signal::RTMIN, SI_QUEUE)]);
}

#[test]
fn stops_and_continuations_undo_each_other() {
    let mut pending = Pending::new();
    for signal in [Signal::TSTP, Signal::TTIN] {
        pending.post(SignalInfo::kernel(signal), Queueing::Room).unwrap();
    }
    pending.flush(Pending::conflicting(Signal::CONT));
    assert_eq!((pending.set(), pending.queued()), (SignalSet::EMPTY, 0));
    pending.post(SignalInfo::kernel(Signal::CONT), Queueing::Room).unwrap();
    pending.flush(Pending::conflicting(Signal::TTOU));
    assert!(pending.is_empty());
    assert_eq!(Pending::conflicting(Signal::TERM), SignalSet::EMPTY);
}

#[test]
fn adopted_room_keeps_order_and_needs_no_memory() {
    let mut pending = Pending::new();
    pending.post(from(1, Signal::RTMIN, SI_QUEUE), Queueing::Room).unwrap();
    let mut room = Room::try_new(40).unwrap();
    pending.adopt(&mut room);
    assert!(pending.room() >= 39);
    pending.post(from(2, Signal::RTMIN, SI_QUEUE), Queueing::Room).unwrap();
    let expected = [from(1, Signal::RTMIN, SI_QUEUE), from(2, Signal::RTMIN, SI_QUEUE)];
    assert_eq!(take_all(&mut pending), expected);
    assert_eq!(pending.room(), 0, "a large queue is given back when it is empty");
}

/// The same in the simplest form: every signal sent, oldest first.
#[derive(Default)]
struct Model(Vec<SignalInfo>);

impl Model {
    fn post(&mut self, info: SignalInfo) {
        let is_known = self.0.iter().any(|old| old.signal() == info.signal());
        if info.signal().is_real_time() || !is_known {
            self.0.push(info);
        }
    }

    fn take(&mut self, mask: SignalSet) -> Option<SignalInfo> {
        let rank = |info: &SignalInfo| (!SignalSet::SYNCHRONOUS.contains(info.signal()), info.signal());
        let wanted =
            self.0.iter().filter(|info| !mask.contains(info.signal())).min_by_key(|info| rank(info))?;
        let at = self.0.iter().position(|info| info == wanted)?;
        Some(self.0.remove(at))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Post(u32),
    Take(u64),
    Flush(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop_oneof![1..=64u32, 30..=34u32].prop_map(Step::Post),
        3 => prop_oneof![Just(0), any::<u64>()].prop_map(Step::Take),
        1 => any::<u64>().prop_map(Step::Flush),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_list_of_all_that_was_sent(steps in prop::collection::vec(step(), 0..200)) {
        let mut pending = Pending::new();
        let mut model = Model::default();
        for (pid, step) in (1..).zip(steps) {
            match step {
                Step::Post(number) => {
                    let signal = Signal::new(number).filter(|&signal| signal != Signal::KILL);
                    let info = from(pid, signal.unwrap_or(Signal::HUP), SI_QUEUE);
                    pending.post(info, Queueing::Room).unwrap();
                    model.post(info);
                }
                Step::Take(mask) => {
                    let mask = SignalSet::from_bits(mask);
                    prop_assert_eq!(pending.take(mask), model.take(mask));
                }
                Step::Flush(set) => {
                    let set = SignalSet::from_bits(set);
                    pending.flush(set);
                    model.0.retain(|info| !set.contains(info.signal()));
                }
            }
            prop_assert_eq!(pending.queued(), model.0.len());
            let set: SignalSet = model.0.iter().map(SignalInfo::signal).collect();
            prop_assert_eq!(pending.set(), set);
        }
    }
}
