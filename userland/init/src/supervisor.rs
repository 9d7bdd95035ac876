//! Which service runs when, and the order of a shutdown. Pure: time comes as an argument in milliseconds, and what is to be
//! done is the result.
//!
//! A service that ends is started again as its file says. If it ran for less than [`SHORT_MS`] there is a pause before that,
//! twice as long each time, from [`FIRST_PAUSE_MS`] to [`LONGEST_PAUSE_MS`]. A shutdown starts nothing any more: SIGTERM to
//! all, [`TERM_MS`] to end, SIGKILL, [`KILL_MS`], and the machine's end; each step is over as soon as nobody is left.

use alloc::vec::Vec;
use core::fmt;

use abi::signal::{SIGCONT, SIGKILL, SIGTERM};
use nrlib::io::Text;
use nrlib::process::{Ending, Pid};
use nrlib::system::Finish;

use crate::service::{Restart, Service};

/// A run that is shorter counts as trouble.
pub const SHORT_MS: u64 = 5000;
/// The first pause after trouble.
pub const FIRST_PAUSE_MS: u64 = 250;
/// No pause is longer.
pub const LONGEST_PAUSE_MS: u64 = 30_000;
/// What processes have to end after SIGTERM.
pub const TERM_MS: u64 = 5000;
/// And after SIGKILL.
pub const KILL_MS: u64 = 2000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this service, and tell.
    Start(usize),
    /// Send a signal to a service.
    Signal(Pid, u32),
    /// Send a signal to all processes.
    SignalAll(u32),
    /// End the system.
    Finish(Finish),
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a service that is down.
    Start(Vec<u8>),
    /// End a service, and do not start it again.
    Stop(Vec<u8>),
    /// End a service and start it again.
    Restart(Vec<u8>),
    /// Tell what runs.
    Status,
    /// End the system.
    Finish(Finish),
}

impl Command {
    /// Reads a line of the control FIFO.
    pub fn parse(line: &[u8]) -> Option<Command> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (verb, name, more) = (words.next()?, words.next(), words.next());
        if more.is_some() {
            return None;
        }
        match (verb, name) {
            (b"start", Some(name)) => Some(Command::Start(name.to_vec())),
            (b"stop", Some(name)) => Some(Command::Stop(name.to_vec())),
            (b"restart", Some(name)) => Some(Command::Restart(name.to_vec())),
            (b"status", None) => Some(Command::Status),
            (b"poweroff", None) => Some(Command::Finish(Finish::PowerOff)),
            (b"reboot", None) => Some(Command::Finish(Finish::Restart)),
            (b"halt", None) => Some(Command::Finish(Finish::Halt)),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Start(name) => write!(f, "start {}", Text(name)),
            Command::Stop(name) => write!(f, "stop {}", Text(name)),
            Command::Restart(name) => write!(f, "restart {}", Text(name)),
            Command::Status => f.write_str("status"),
            Command::Finish(_) => f.write_str("finish"),
        }
    }
}

/// What a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It starts at this time, if those before it are there.
    Waiting(u64),
    /// Start was asked for; the answer is not here yet.
    Starting,
    /// It runs since.
    Running(Pid, u64),
    /// It is to be told to end.
    Unwanted(Pid),
    /// It was told to end; at this time it is killed.
    Stopping(Pid, u64),
    /// It did what it had to, or was stopped.
    Done,
    /// What it needs does not exist.
    Unavailable,
}

struct Slot {
    service: Service,
    state: State,
    short_runs: u32,
    /// Whether it starts again when a stop is complete.
    comes_back: bool,
}

enum Phase {
    Serving,
    /// SIGTERM is to be sent.
    Ending(Finish),
    /// SIGTERM was sent; at this time SIGKILL follows.
    Asked(Finish, u64),
    /// SIGKILL was sent; at this time nobody waits any more.
    Killed(Finish, u64),
    Over,
}

/// The pause after so many short runs in a row.
pub fn pause_ms(short_runs: u32) -> u64 {
    match short_runs.checked_sub(1) {
        None => 0,
        Some(doublings) => FIRST_PAUSE_MS
            .checked_shl(doublings)
            .filter(|pause| pause >> doublings == FIRST_PAUSE_MS)
            .unwrap_or(LONGEST_PAUSE_MS)
            .min(LONGEST_PAUSE_MS),
    }
}

/// A service that ended in a way worth a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    name: Vec<u8>,
    ending: Ending,
    pause_ms: Option<u64>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Text(&self.name);
        match self.ending {
            Ending::Exited(code) => write!(f, "{name} ended with code {code}")?,
            Ending::Killed(signal) => write!(f, "{name} was killed by signal {signal}")?,
        }
        match self.pause_ms {
            Some(0) => f.write_str("; it is started again"),
            Some(pause) => write!(f, "; it is started again in {}.{:02} s", pause / 1000, pause % 1000 / 10),
            None => Ok(()),
        }
    }
}

/// All services, and whether the system is ending.
pub struct Supervisor {
    slots: Vec<Slot>,
    phase: Phase,
    is_alone: bool,
}

impl Supervisor {
    /// These, to be started now.
    pub fn new(services: Vec<Service>, now: u64) -> Self {
        let mut supervisor = Self { slots: Vec::new(), phase: Phase::Serving, is_alone: false };
        for service in services {
            supervisor.add(service, now);
        }
        supervisor
    }

    /// One more.
    pub fn add(&mut self, service: Service, now: u64) {
        self.slots.push(Slot { service, state: State::Waiting(now), short_runs: 0, comes_back: false });
    }

    /// One of them.
    pub fn service(&self, index: usize) -> Option<&Service> {
        self.slots.get(index).map(|slot| &slot.service)
    }

    /// Whether nothing runs and nothing will.
    pub fn is_idle(&self) -> bool {
        let is_down = |slot: &Slot| matches!(slot.state, State::Done | State::Unavailable);
        matches!(self.phase, Phase::Serving) && self.slots.iter().all(is_down)
    }

    /// What is to be done now.
    pub fn due(&mut self, now: u64) -> Vec<Action> {
        match self.phase {
            Phase::Serving => self.due_services(now),
            Phase::Ending(finish) => {
                self.is_alone = false;
                self.phase = Phase::Asked(finish, now + TERM_MS);
                // Who is stopped hears SIGTERM only when he goes on.
                Vec::from([Action::SignalAll(SIGTERM), Action::SignalAll(SIGCONT)])
            }
            Phase::Asked(finish, _) if self.is_alone => self.over(finish),
            Phase::Asked(finish, until) if now >= until => {
                self.phase = Phase::Killed(finish, now + KILL_MS);
                Vec::from([Action::SignalAll(SIGKILL)])
            }
            Phase::Killed(finish, until) if self.is_alone || now >= until => self.over(finish),
            Phase::Asked(..) | Phase::Killed(..) | Phase::Over => Vec::new(),
        }
    }

    fn over(&mut self, finish: Finish) -> Vec<Action> {
        self.phase = Phase::Over;
        Vec::from([Action::Finish(finish)])
    }

    fn due_services(&mut self, now: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        let ready: Vec<bool> = self.slots.iter().map(|slot| self.may_start(slot)).collect();
        for (index, (slot, is_ready)) in self.slots.iter_mut().zip(ready).enumerate() {
            match slot.state {
                State::Waiting(at) if now >= at && is_ready => {
                    slot.state = State::Starting;
                    actions.push(Action::Start(index));
                }
                State::Unwanted(pid) => {
                    slot.state = State::Stopping(pid, now + TERM_MS);
                    actions.push(Action::Signal(pid, SIGTERM));
                    actions.push(Action::Signal(pid, SIGCONT));
                }
                State::Stopping(pid, at) if now >= at => {
                    slot.state = State::Stopping(pid, u64::MAX);
                    actions.push(Action::Signal(pid, SIGKILL));
                }
                _ => {}
            }
        }
        actions
    }

    /// Whether all that come first are there. A name without a service is no obstacle, nor is one that cannot be had.
    fn may_start(&self, slot: &Slot) -> bool {
        slot.service.after.iter().all(|name| {
            let Some(first) = self.slots.iter().find(|other| other.service.name == *name) else {
                return true;
            };
            match first.state {
                State::Running(..) => !first.service.is_once,
                State::Done | State::Unavailable => true,
                State::Waiting(_) | State::Starting | State::Unwanted(_) | State::Stopping(..) => false,
            }
        })
    }

    /// When something is due if nothing happens before.
    pub fn next_deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Serving => {
                let deadlines = self.slots.iter().filter_map(|slot| match slot.state {
                    State::Waiting(at) if self.may_start(slot) => Some(at),
                    State::Unwanted(_) => Some(0),
                    State::Stopping(_, at) if at != u64::MAX => Some(at),
                    _ => None,
                });
                deadlines.min()
            }
            Phase::Ending(_) => Some(0),
            Phase::Asked(_, until) | Phase::Killed(_, until) => Some(if self.is_alone { 0 } else { until }),
            Phase::Over => None,
        }
    }

    /// The service runs.
    pub fn started(&mut self, index: usize, pid: Pid, now: u64) {
        self.is_alone = false;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.state = State::Running(pid, now);
        }
    }

    /// What it needs does not exist.
    pub fn unavailable(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.state = State::Unavailable;
        }
    }

    /// It could not be started at all: that is a short run.
    pub fn ended_at_once(&mut self, index: usize, now: u64) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.short_runs = slot.short_runs.saturating_add(1);
            slot.state = State::Waiting(now.saturating_add(pause_ms(slot.short_runs)));
        }
    }

    /// A child has ended; what is worth saying about it. One that is no service was an orphan.
    pub fn ended(&mut self, pid: Pid, ending: Ending, now: u64) -> Option<Trouble> {
        let is_serving = matches!(self.phase, Phase::Serving);
        let slot = self.slots.iter_mut().find(|slot| match slot.state {
            State::Running(found, _) | State::Unwanted(found) | State::Stopping(found, _) => found == pid,
            _ => false,
        })?;
        let (since, was_stopped) = match slot.state {
            State::Running(_, since) => (since, false),
            _ => (now, true),
        };
        if was_stopped || !is_serving {
            slot.state = if slot.comes_back { State::Waiting(now) } else { State::Done };
            slot.comes_back = false;
            return None;
        }
        let starts_again = match slot.service.restart {
            Restart::Always => true,
            Restart::OnFailure => ending != Ending::Exited(0),
            Restart::Never => false,
        };
        let is_short = now.saturating_sub(since) < SHORT_MS;
        slot.short_runs = if is_short { slot.short_runs.saturating_add(1) } else { 0 };
        let pause = starts_again.then(|| pause_ms(slot.short_runs));
        slot.state = pause.map_or(State::Done, |pause| State::Waiting(now.saturating_add(pause)));
        // Somebody logged out: nothing to say.
        if ending == Ending::Exited(0) {
            return None;
        }
        Some(Trouble { name: slot.service.name.clone(), ending, pause_ms: pause })
    }

    /// There are no other processes.
    pub fn alone(&mut self) {
        self.is_alone = true;
    }

    /// The system is to end. A second wish does not change the first.
    pub fn shut_down(&mut self, finish: Finish) {
        if matches!(self.phase, Phase::Serving) {
            self.phase = Phase::Ending(finish);
        }
    }

    /// The files of `/etc/init` are other ones: what is new is started, what is gone is stopped, what runs goes on and is
    /// started by its new file the next time.
    pub fn reload(&mut self, services: Vec<Service>, now: u64) {
        for slot in &mut self.slots {
            let is_gone = services.iter().all(|service| service.name != slot.service.name);
            match slot.state {
                State::Running(pid, _) if is_gone => slot.state = State::Unwanted(pid),
                State::Waiting(_) if is_gone => slot.state = State::Done,
                _ => {}
            }
        }
        for service in services {
            match self.slots.iter_mut().find(|slot| slot.service.name == service.name) {
                Some(slot) => {
                    slot.service = service;
                    if slot.state == State::Unavailable {
                        slot.state = State::Waiting(now);
                    }
                }
                None => self.add(service, now),
            }
        }
    }

    /// Does what somebody asks for; false if there is no such service.
    pub fn command(&mut self, command: &Command, now: u64) -> bool {
        let (name, runs, comes_back) = match command {
            Command::Finish(finish) => {
                self.shut_down(*finish);
                return true;
            }
            Command::Status => return true,
            Command::Start(name) => (name, true, false),
            Command::Stop(name) => (name, false, false),
            Command::Restart(name) => (name, true, true),
        };
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.service.name == *name) else { return false };
        match slot.state {
            State::Running(pid, _) if !runs || comes_back => {
                slot.comes_back = comes_back;
                slot.state = State::Unwanted(pid);
            }
            State::Unwanted(_) | State::Stopping(..) => slot.comes_back = runs,
            State::Waiting(_) | State::Done | State::Unavailable => {
                slot.short_runs = 0;
                slot.state = if runs { State::Waiting(now) } else { State::Done };
            }
            State::Running(..) | State::Starting => {}
        }
        true
    }

    /// A line for each service: name, state, process.
    pub fn report(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for slot in &self.slots {
            let state = match slot.state {
                State::Waiting(_) => "waiting".into(),
                State::Starting => "starting".into(),
                State::Running(pid, _) => alloc::format!("running {pid}"),
                State::Unwanted(pid) | State::Stopping(pid, _) => alloc::format!("stopping {pid}"),
                State::Done => "down".into(),
                State::Unavailable => alloc::string::String::from("unavailable"),
            };
            text.extend_from_slice(&slot.service.name);
            text.extend_from_slice(alloc::format!(" {state}\n").as_bytes());
        }
        text
    }
}

#[cfg(test)]
mod tests;
