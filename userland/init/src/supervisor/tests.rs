//! The supervisor with a clock of the test's own, and a system of simulated processes that does what it says.

use super::*;
use proptest::prelude::*;
use std::vec;

fn service(name: &str, more: &str) -> Service {
    Service::parse(name.as_bytes(), std::format!("exec /bin/{name}\n{more}").as_bytes()).unwrap()
}

#[test]
fn a_service_that_is_killed_comes_back_and_rests_longer_each_time() {
    let mut supervisor = Supervisor::new(vec![service("getty", "")], 0);
    let mut now = 0;
    let mut pauses = Vec::new();
    for pid in 10..22 {
        assert_eq!(supervisor.due(now), [Action::Start(0)]);
        supervisor.started(0, pid, now);
        assert_eq!((supervisor.due(now), supervisor.next_deadline()), (vec![], None));
        assert!(supervisor.ended(pid, Ending::Killed(9), now + 1).is_some());
        let deadline = supervisor.next_deadline().unwrap();
        pauses.push(deadline - now - 1);
        assert_eq!(supervisor.due(deadline - 1), []);
        now = deadline;
    }
    assert_eq!(pauses[..8], [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
    assert_eq!(pauses.last(), Some(&30_000));
    // A long run makes good for all.
    supervisor.due(now);
    supervisor.started(0, 50, now);
    supervisor.ended(50, Ending::Exited(0), now + SHORT_MS);
    assert_eq!(supervisor.next_deadline(), Some(now + SHORT_MS));
}

#[test]
fn those_after_others_wait_for_them() {
    let services = vec![
        service("last", "after second\nafter missing"),
        service("second", "after first"),
        service("first", "once"),
    ];
    let mut supervisor = Supervisor::new(services, 0);
    assert_eq!(supervisor.due(0), [Action::Start(2)]);
    supervisor.started(2, 5, 0);
    assert_eq!(supervisor.due(1), []);
    assert_eq!(supervisor.ended(5, Ending::Exited(0), 2), None);
    assert_eq!(supervisor.due(2), [Action::Start(1)]);
    assert_eq!(supervisor.due(2), []);
    supervisor.started(1, 6, 2);
    assert_eq!(supervisor.due(3), [Action::Start(0)]);
    supervisor.unavailable(0);
    assert!(!supervisor.is_idle());
}

#[test]
fn ends_are_judged_by_the_file() {
    let services = vec![service("a", "restart failure"), service("b", "restart never")];
    let mut supervisor = Supervisor::new(services, 0);
    supervisor.due(0);
    supervisor.started(0, 5, 0);
    supervisor.started(1, 6, 0);
    assert!(supervisor.ended(6, Ending::Exited(1), 1).is_some());
    assert!(supervisor.ended(5, Ending::Exited(1), 1).is_some());
    assert!(!supervisor.is_idle());
    assert_eq!(supervisor.due(1000), [Action::Start(0)]);
    supervisor.started(0, 7, 1000);
    assert_eq!(supervisor.ended(7, Ending::Exited(0), 1001), None);
    assert!(supervisor.is_idle());
    assert_eq!(supervisor.ended(99, Ending::Exited(1), 1001), None);
}

#[test]
fn a_shutdown_asks_then_kills_then_ends() {
    let mut supervisor = Supervisor::new(vec![service("a", "")], 0);
    supervisor.due(0);
    supervisor.started(0, 5, 0);
    supervisor.shut_down(Finish::PowerOff);
    supervisor.shut_down(Finish::Restart);
    assert_eq!(supervisor.next_deadline(), Some(0));
    assert_eq!(supervisor.due(10), [Action::SignalAll(SIGTERM), Action::SignalAll(SIGCONT)]);
    assert_eq!(supervisor.next_deadline(), Some(10 + TERM_MS));
    assert_eq!(supervisor.ended(5, Ending::Killed(15), 20), None);
    assert_eq!(supervisor.due(20), []);
    assert_eq!(supervisor.due(10 + TERM_MS), [Action::SignalAll(SIGKILL)]);
    assert_eq!(supervisor.due(10 + TERM_MS), []);
    supervisor.alone();
    assert_eq!(supervisor.due(10 + TERM_MS), [Action::Finish(Finish::PowerOff)]);
    assert_eq!((supervisor.due(99_999), supervisor.next_deadline()), (vec![], None));
}

#[test]
fn a_shutdown_waits_for_nobody_who_is_gone() {
    let mut supervisor = Supervisor::new(vec![], 0);
    assert!(supervisor.is_idle());
    supervisor.alone();
    supervisor.shut_down(Finish::Halt);
    supervisor.due(0);
    assert_eq!(supervisor.due(0), []);
    supervisor.alone();
    assert_eq!(supervisor.due(1), [Action::Finish(Finish::Halt)]);
}

#[test]
fn commands_stop_and_start_services() {
    let mut supervisor = Supervisor::new(vec![service("a", "")], 0);
    let command = |text: &str| Command::parse(text.as_bytes()).unwrap();
    supervisor.due(0);
    supervisor.started(0, 5, 0);
    assert_eq!(supervisor.report(), b"a running 5\n");
    assert!(supervisor.command(&command("stop a\n"), 1));
    assert_eq!(supervisor.due(1), [Action::Signal(5, SIGTERM), Action::Signal(5, SIGCONT)]);
    assert_eq!(supervisor.due(1 + TERM_MS), [Action::Signal(5, SIGKILL)]);
    assert_eq!(supervisor.due(9999), []);
    assert_eq!(supervisor.ended(5, Ending::Killed(9), 9999), None);
    assert_eq!(supervisor.report(), b"a down\n");
    assert!(supervisor.command(&command(" start  a"), 10_000));
    assert_eq!(supervisor.due(10_000), [Action::Start(0)]);
    supervisor.started(0, 6, 10_000);
    assert!(supervisor.command(&command("restart a"), 10_001));
    supervisor.due(10_001);
    supervisor.ended(6, Ending::Killed(15), 10_002);
    assert_eq!(supervisor.due(10_002), [Action::Start(0)]);
    assert!(!supervisor.command(&command("stop b"), 0));
    for nonsense in ["", "stop", "stop a b", "poweroff now", "dance"] {
        assert_eq!(Command::parse(nonsense.as_bytes()), None);
    }
    assert_eq!(Command::parse(b"poweroff"), Some(Command::Finish(Finish::PowerOff)));
}

#[test]
fn new_files_replace_old_ones() {
    let mut supervisor = Supervisor::new(vec![service("a", ""), service("b", "")], 0);
    supervisor.due(0);
    supervisor.started(0, 5, 0);
    supervisor.unavailable(1);
    supervisor.reload(vec![service("b", ""), service("c", "")], 10);
    let actions = supervisor.due(10);
    assert_eq!(actions[..2], [Action::Signal(5, SIGTERM), Action::Signal(5, SIGCONT)]);
    assert_eq!(actions[2..], [Action::Start(1), Action::Start(2)]);
}

/// Whatever happens: no service runs twice, and a shutdown comes to its end.
#[derive(Clone, Debug)]
enum Happening {
    Time(u64),
    End(usize, bool),
    Stop(usize),
    Start(usize),
    Restart(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0..20_000_u64).prop_map(Happening::Time),
        (0..3_usize, any::<bool>()).prop_map(|(index, is_bad)| Happening::End(index, is_bad)),
        (0..3_usize).prop_map(Happening::Stop),
        (0..3_usize).prop_map(Happening::Start),
        (0..3_usize).prop_map(Happening::Restart),
    ]
}

proptest! {
    #[test]
    fn no_service_runs_twice_and_every_shutdown_ends(happenings in proptest::collection::vec(happening(), 0..60)) {
        let names = ["a", "b", "c"];
        let mut supervisor =
            Supervisor::new(vec![service("a", "once"), service("b", "after a"), service("c", "restart failure")], 0);
        let mut running: [Option<Pid>; 3] = [None; 3];
        let (mut now, mut next_pid) = (0, 100);
        for happening in happenings {
            match happening {
                Happening::Time(passed) => now += passed,
                Happening::End(index, is_bad) => {
                    if let Some(pid) = running[index].take() {
                        supervisor.ended(pid, Ending::Exited(u8::from(is_bad)), now);
                    }
                }
                Happening::Stop(index) => { supervisor.command(&Command::Stop(names[index].into()), now); }
                Happening::Start(index) => { supervisor.command(&Command::Start(names[index].into()), now); }
                Happening::Restart(index) => { supervisor.command(&Command::Restart(names[index].into()), now); }
            }
            for action in supervisor.due(now) {
                match action {
                    Action::Start(index) => {
                        prop_assert_eq!(running[index], None);
                        next_pid += 1;
                        running[index] = Some(next_pid);
                        supervisor.started(index, next_pid, now);
                    }
                    Action::Signal(pid, _) => prop_assert!(running.contains(&Some(pid))),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
        supervisor.shut_down(Finish::PowerOff);
        let mut finished = 0;
        while let Some(deadline) = supervisor.next_deadline() {
            now = now.max(deadline);
            for action in supervisor.due(now) {
                finished += u32::from(action == Action::Finish(Finish::PowerOff));
                prop_assert!(!matches!(action, Action::Start(_)));
            }
        }
        prop_assert_eq!(finished, 1);
    }
}
