//! What a process wants done about each signal: sigaction(2).

use abi::signal::{
    SA_EXPOSE_TAGBITS, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART,
    SA_RESTORER, SA_SIGINFO, SIG_DFL, SIG_IGN, SIGACTION_SIZE,
};
use abi::{Errno, Result};

use super::{Signal, SignalSet};

/// The flags Linux keeps; it clears all others so that programs can find out which are known.
const KNOWN_FLAGS: u64 = SA_NOCLDSTOP
    | SA_NOCLDWAIT
    | SA_SIGINFO
    | SA_EXPOSE_TAGBITS
    | SA_RESTORER
    | SA_ONSTACK
    | SA_RESTART
    | SA_NODEFER
    | SA_RESETHAND;

/// What to do about one signal: `struct kernel_sigaction`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    /// The function's address, or `SIG_DFL` or `SIG_IGN`.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// What is blocked while the handler runs.
    pub mask: SignalSet,
}

impl Action {
    /// The default action.
    pub const DEFAULT: Self = Self::plain(SIG_DFL);

    /// Ignore the signal.
    pub const IGNORE: Self = Self::plain(SIG_IGN);

    const fn plain(handler: u64) -> Self {
        Self { handler, flags: 0, restorer: 0, mask: SignalSet::EMPTY }
    }

    /// From the structure a program gave.
    pub fn decode(bytes: &[u8; SIGACTION_SIZE]) -> Self {
        let words = bytes.as_chunks().0;
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        Self { handler: word(0), flags: word(1), restorer: word(2), mask: SignalSet::from_bits(word(3)) }
    }

    /// The structure a program gets.
    pub fn encode(&self) -> [u8; SIGACTION_SIZE] {
        let mut bytes = [0; SIGACTION_SIZE];
        let words = [self.handler, self.flags, self.restorer, self.mask.bits()];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// Whether all of these `SA_*` are set.
    #[inline]
    pub const fn has(&self, flags: u64) -> bool {
        self.flags & flags == flags
    }

    /// Whether a `signal` under this action vanishes. Linux drops such a signal when it is sent (unless it is
    /// blocked) and discards a pending one when the action is set.
    pub fn ignores(&self, signal: Signal) -> bool {
        matches!(disposition(signal, self), Disposition::Ignore | Disposition::Continue)
    }

    /// What is blocked while the handler of `signal` runs, when `blocked` is before.
    pub const fn mask_during(&self, signal: Signal, blocked: SignalSet) -> SignalSet {
        let mask = blocked.union(self.mask);
        let mask = if self.has(SA_NODEFER) { mask } else { mask.with(signal) };
        mask.without_unblockable()
    }
}

/// What happens when a signal is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// Nothing.
    Ignore,
    /// The process ends.
    Terminate,
    /// The process ends as if its core were dumped.
    CoreDump,
    /// The process stops. But for STOP itself nothing happens in an orphaned process group.
    Stop,
    /// Nothing more: the process went on when SIGCONT was sent.
    Continue,
    /// Its handler runs.
    Handle(Action),
}

/// What `signal` does under `action`.
pub fn disposition(signal: Signal, action: &Action) -> Disposition {
    if SignalSet::UNBLOCKABLE.contains(signal) {
        return default_disposition(signal);
    }
    match action.handler {
        SIG_DFL => default_disposition(signal),
        SIG_IGN => Disposition::Ignore,
        _ => Disposition::Handle(*action),
    }
}

/// The table in signal(7).
const fn default_disposition(signal: Signal) -> Disposition {
    match signal {
        Signal::CONT => Disposition::Continue,
        Signal::CHLD | Signal::URG | Signal::WINCH => Disposition::Ignore,
        Signal::STOP | Signal::TSTP | Signal::TTIN | Signal::TTOU => Disposition::Stop,
        Signal::QUIT
        | Signal::ILL
        | Signal::TRAP
        | Signal::ABRT
        | Signal::BUS
        | Signal::FPE
        | Signal::SEGV
        | Signal::XCPU
        | Signal::XFSZ
        | Signal::SYS => Disposition::CoreDump,
        _ => Disposition::Terminate,
    }
}

/// The actions of a process: 2 KiB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actions {
    actions: [Action; Signal::COUNT],
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

impl Actions {
    /// All signals at their default.
    pub const fn new() -> Self {
        Self { actions: [Action::DEFAULT; Signal::COUNT] }
    }

    /// The action for `signal`.
    #[inline]
    pub const fn get(&self, signal: Signal) -> &Action {
        &self.actions[signal.index()]
    }

    /// Sets the action for `signal` and returns the old one. If the new one [ignores](Action::ignores) the
    /// signal, pending ones are to be flushed.
    ///
    /// # Errors
    /// EINVAL for KILL and STOP.
    pub fn set(&mut self, signal: Signal, action: Action) -> Result<Action> {
        if SignalSet::UNBLOCKABLE.contains(signal) {
            return Err(Errno::EINVAL);
        }
        let flags = action.flags & KNOWN_FLAGS;
        let new = Action { flags, mask: action.mask.without_unblockable(), ..action };
        Ok(core::mem::replace(&mut self.actions[signal.index()], new))
    }

    /// What `signal` does now that it is delivered. A handler installed with SA_RESETHAND is used up by it.
    pub fn deliver(&mut self, signal: Signal) -> Disposition {
        let action = &mut self.actions[signal.index()];
        let disposition = disposition(signal, action);
        if let Disposition::Handle(_) = disposition
            && action.has(SA_RESETHAND)
        {
            action.handler = SIG_DFL;
        }
        disposition
    }

    /// Puts `signal` back to its default: for a fault whose signal is blocked or ignored, which ends the
    /// process as Linux's `force_sig` does.
    pub fn reset(&mut self, signal: Signal) {
        self.actions[signal.index()] = Action::DEFAULT;
    }

    /// For execve(2): handlers are gone, ignored signals stay ignored.
    pub fn reset_for_exec(&mut self) {
        for action in &mut self.actions {
            *action = if action.handler == SIG_IGN { Action::IGNORE } else { Action::DEFAULT };
        }
    }

    /// The signals that vanish when sent, for `SigIgn` and for flushing.
    pub fn ignored(&self) -> SignalSet {
        SignalSet::ALL.iter().filter(|&signal| self.get(signal).handler == SIG_IGN).collect()
    }

    /// The signals that have handlers, for `SigCgt`.
    pub fn caught(&self) -> SignalSet {
        let is_caught = |action: &Action| !matches!(action.handler, SIG_DFL | SIG_IGN);
        SignalSet::ALL.iter().filter(|&signal| is_caught(self.get(signal))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDLER: Action = Action { handler: 0x1000, flags: 0, restorer: 0x2000, mask: SignalSet::EMPTY };

    #[test]
    fn defaults_are_those_of_the_manual() {
        let by_default = |wanted: Disposition| -> std::vec::Vec<u32> {
            let all = SignalSet::ALL.iter();
            let has = |&signal: &Signal| disposition(signal, &Action::DEFAULT) == wanted;
            all.filter(has).map(Signal::number).collect()
        };
        assert_eq!(by_default(Disposition::Ignore), [17, 23, 28]);
        assert_eq!(by_default(Disposition::Continue), [18]);
        assert_eq!(by_default(Disposition::Stop), [19, 20, 21, 22]);
        assert_eq!(by_default(Disposition::CoreDump), [3, 4, 5, 6, 7, 8, 11, 24, 25, 31]);
        assert_eq!(by_default(Disposition::Terminate).len(), 64 - 18);
    }

    #[test]
    fn kill_and_stop_cannot_be_changed() {
        let mut actions = Actions::new();
        for signal in SignalSet::UNBLOCKABLE {
            assert_eq!(actions.set(signal, HANDLER), Err(Errno::EINVAL));
            assert_ne!(disposition(signal, &Action::IGNORE), Disposition::Ignore);
        }
    }

    #[test]
    fn setting_keeps_known_flags_and_a_mask_without_kill_and_stop() {
        let mut actions = Actions::new();
        let wish = Action { flags: u64::MAX, mask: SignalSet::ALL, ..HANDLER };
        assert_eq!(actions.set(Signal::INT, wish), Ok(Action::DEFAULT));
        let kept = actions.get(Signal::INT);
        assert_eq!((kept.flags, kept.mask), (0xdc00_0807, SignalSet::ALL.without_unblockable()));
        assert_eq!(actions.caught(), SignalSet::of(&[Signal::INT]));
    }

    #[test]
    fn a_one_shot_handler_runs_once() {
        let mut actions = Actions::new();
        let once = Action { flags: SA_RESETHAND, ..HANDLER };
        actions.set(Signal::TERM, once).unwrap();
        assert_eq!(actions.deliver(Signal::TERM), Disposition::Handle(once));
        assert_eq!(actions.deliver(Signal::TERM), Disposition::Terminate);
    }

    #[test]
    fn exec_keeps_only_what_is_ignored() {
        let mut actions = Actions::new();
        actions.set(Signal::HUP, Action { flags: SA_RESTART, ..Action::IGNORE }).unwrap();
        actions.set(Signal::INT, HANDLER).unwrap();
        actions.reset_for_exec();
        assert_eq!(actions.get(Signal::HUP), &Action::IGNORE);
        assert_eq!(actions.get(Signal::INT), &Action::DEFAULT);
        assert_eq!(actions.ignored(), SignalSet::of(&[Signal::HUP]));
    }

    #[test]
    fn the_structure_survives_both_ways() {
        let action = Action { handler: 1 << 40, flags: 2, restorer: 3, mask: SignalSet::from_bits(4) };
        assert_eq!(Action::decode(&action.encode()), action);
        assert_eq!(action.encode()[24], 4);
    }

    #[test]
    fn a_handler_blocks_its_own_signal_unless_told_not_to() {
        let blocked = SignalSet::of(&[Signal::HUP]);
        assert_eq!(HANDLER.mask_during(Signal::INT, blocked), blocked.with(Signal::INT));
        let nested = Action { flags: SA_NODEFER, ..HANDLER };
        assert_eq!(nested.mask_during(Signal::INT, blocked), blocked);
    }
}
