//! What is told about a signal: Linux's `kernel_siginfo`.

use abi::signal::{
    NSIGBUS, NSIGCHLD, NSIGFPE, NSIGILL, NSIGPOLL, NSIGSEGV, NSIGSYS, NSIGTRAP, SI_ASYNCNL, SI_DETHREAD,
    SI_KERNEL, SI_TIMER, SI_TKILL, SI_USER, SIGINFO_SIZE, SIGINFO_USED, SYS_SECCOMP,
};
use abi::{Errno, Result};

use super::{Signal, WaitStatus};

/// Where the union of fields starts in `siginfo_t`.
const FIELDS: usize = 16;

/// Who sent a signal, or the child it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sender {
    /// Its process.
    pub pid: u32,
    /// Its real user.
    pub uid: u32,
}

/// CPU time a child used, in ticks of AT_CLKTCK.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuTimes {
    /// In user mode.
    pub user_ticks: u64,
    /// In the kernel.
    pub system_ticks: u64,
}

/// A signal and what is known about it: 48 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalInfo {
    signal: Signal,
    errno: i32,
    code: i32,
    /// The union, as little-endian words.
    fields: [u64; 4],
}

const _: () = assert!(size_of::<SignalInfo>() == SIGINFO_USED);

/// Two 32-bit fields that follow each other.
const fn pair(first: u32, second: u32) -> u64 {
    (second as u64) << 32 | first as u64
}

impl SignalInfo {
    const fn new(signal: Signal, code: i32, fields: [u64; 4]) -> Self {
        Self { signal, errno: 0, code, fields }
    }

    /// Sent by the kernel, which has nothing to add.
    pub const fn kernel(signal: Signal) -> Self {
        Self::new(signal, SI_KERNEL, [0; 4])
    }

    /// Sent by a program with kill(2) (`SI_USER`) or tkill(2) (`SI_TKILL`).
    pub const fn user(signal: Signal, code: i32, sender: Sender) -> Self {
        Self::new(signal, code, [pair(sender.pid, sender.uid), 0, 0, 0])
    }

    /// Sent with a value, as sigqueue(3) does and message queues do.
    pub const fn with_value(signal: Signal, code: i32, sender: Sender, value: u64) -> Self {
        Self::new(signal, code, [pair(sender.pid, sender.uid), value, 0, 0])
    }

    /// What is told when there was no room to keep what was known.
    pub const fn forgotten(signal: Signal) -> Self {
        Self::user(signal, SI_USER, Sender { pid: 0, uid: 0 })
    }

    /// About a child's change of state.
    pub const fn child(signal: Signal, child: Sender, status: WaitStatus, times: CpuTimes) -> Self {
        let fields =
            [pair(child.pid, child.uid), pair(status.status(), 0), times.user_ticks, times.system_ticks];
        Self::new(signal, status.code(), fields)
    }

    /// The running instruction could not be completed.
    pub const fn fault(signal: Signal, code: i32, address: u64) -> Self {
        Self::new(signal, code, [address, 0, 0, 0])
    }

    /// A POSIX timer expired; `value` is the program's sigval.
    pub const fn timer(signal: Signal, timer_id: u32, overrun: u32, value: u64) -> Self {
        Self::new(signal, SI_TIMER, [pair(timer_id, overrun), value, 0, 0])
    }

    /// I/O is possible on a descriptor that asked for a signal of its own (F_SETSIG).
    pub const fn io(signal: Signal, code: i32, band: u64, fd: u32) -> Self {
        Self::new(signal, code, [band, pair(fd, 0), 0, 0])
    }

    /// seccomp(2) refused a system call: where it was called, its number, AUDIT_ARCH_*, and the filter's data.
    pub const fn refused_call(address: u64, call: u32, audit_arch: u32, data: i32) -> Self {
        let fields = [address, pair(call, audit_arch), 0, 0];
        Self { signal: Signal::SYS, errno: data, code: SYS_SECCOMP, fields }
    }

    /// The siginfo_t a program gave to rt_sigqueueinfo(2) to go with `signal`; its si_signo is ignored.
    ///
    /// # Errors
    /// E2BIG if si_code is none Linux knows and there are bytes past the known fields.
    pub fn queued(signal: Signal, raw: &[u8; SIGINFO_SIZE]) -> Result<Self> {
        let errno = i32::from_le_bytes(bytes_at(raw, 4));
        let code = i32::from_le_bytes(bytes_at(raw, 8));
        let mut fields = [0; 4];
        for (word, bytes) in fields.iter_mut().zip(raw[FIELDS..].as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let has_more = raw[SIGINFO_USED..].iter().any(|&byte| byte != 0);
        if has_more && !has_known_layout(signal, code) {
            return Err(Errno::E2BIG);
        }
        Ok(Self { signal, errno, code, fields })
    }

    /// Whether a program that queues this pretends that the kernel, kill(2) or tkill(2) sent it. Linux lets it
    /// do so to itself only (EPERM).
    pub const fn is_pretence(&self) -> bool {
        self.code >= 0 || self.code == SI_TKILL
    }

    /// The siginfo_t a handler gets.
    pub fn encode(&self) -> [u8; SIGINFO_SIZE] {
        let mut bytes = [0; SIGINFO_SIZE];
        bytes[..4].copy_from_slice(&self.signal.number().to_le_bytes());
        bytes[4..8].copy_from_slice(&self.errno.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        for (place, word) in bytes[FIELDS..].as_chunks_mut().0.iter_mut().zip(self.fields) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// The `struct signalfd_siginfo` that a read of a signalfd(2) gives.
    pub fn encode_for_reading(&self) -> [u8; SIGINFO_SIZE] {
        let [first, second, third, fourth] = self.fields;
        let mut bytes = [0; SIGINFO_SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &self.signal.number().to_le_bytes());
        put(4, &self.errno.to_le_bytes());
        put(8, &self.code.to_le_bytes());
        match self.fields_known() {
            Fields::Sender => put(12, &first.to_le_bytes()),
            Fields::Value => {
                put(12, &first.to_le_bytes());
                put(44, &second.to_le_bytes()[..4]);
                put(48, &second.to_le_bytes());
            }
            Fields::Timer => {
                put(24, &first.to_le_bytes()[..4]);
                put(32, &first.to_le_bytes()[4..]);
                put(44, &second.to_le_bytes()[..4]);
                put(48, &second.to_le_bytes());
            }
            Fields::Child => {
                put(12, &first.to_le_bytes());
                put(40, &second.to_le_bytes()[..4]);
                put(56, &third.to_le_bytes());
                put(64, &fourth.to_le_bytes());
            }
            Fields::Fault => put(72, &first.to_le_bytes()),
            Fields::Io => {
                put(28, &first.to_le_bytes()[..4]);
                put(20, &second.to_le_bytes()[..4]);
            }
            Fields::Call => {
                put(72, &first.to_le_bytes());
                put(84, &second.to_le_bytes()[..4]);
                put(88, &first.to_le_bytes());
                put(96, &second.to_le_bytes()[4..]);
            }
        }
        bytes
    }

    /// Which fields there are (Linux's `siginfo_layout`).
    const fn fields_known(&self) -> Fields {
        match self.code {
            SI_TIMER => Fields::Timer,
            // SI_SIGIO.
            -5 => Fields::Io,
            SI_USER | SI_TKILL => Fields::Sender,
            ..0 => Fields::Value,
            SI_KERNEL => Fields::Sender,
            _ => match self.signal {
                Signal::ILL | Signal::FPE | Signal::SEGV | Signal::BUS | Signal::TRAP => Fields::Fault,
                Signal::CHLD => Fields::Child,
                Signal::SYS => Fields::Call,
                _ if self.code <= NSIGPOLL => Fields::Io,
                _ => Fields::Sender,
            },
        }
    }

    /// The signal.
    #[inline]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// Where it came from: si_code.
    #[inline]
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// si_errno, which hardly anything sets.
    pub const fn errno(&self) -> i32 {
        self.errno
    }

    /// The union's four words, for signalfd(2) and traces.
    pub const fn fields(&self) -> [u64; 4] {
        self.fields
    }
}

/// Which member of the union of fields has a meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fields {
    Sender,
    Value,
    Timer,
    Child,
    Fault,
    Io,
    Call,
}

/// The four bytes of a field.
fn bytes_at(raw: &[u8; SIGINFO_SIZE], offset: usize) -> [u8; 4] {
    core::array::from_fn(|byte| raw[offset + byte])
}

/// Whether Linux knows what fields go with this code (`known_siginfo_layout`).
const fn has_known_layout(signal: Signal, code: i32) -> bool {
    match code {
        SI_KERNEL | SI_ASYNCNL => true,
        SI_DETHREAD..=SI_USER => true,
        1.. => code <= highest_code(signal),
        _ => false,
    }
}

const fn highest_code(signal: Signal) -> i32 {
    match signal {
        Signal::ILL => NSIGILL,
        Signal::FPE => NSIGFPE,
        Signal::SEGV => NSIGSEGV,
        Signal::BUS => NSIGBUS,
        Signal::TRAP => NSIGTRAP,
        Signal::CHLD => NSIGCHLD,
        Signal::SYS => NSIGSYS,
        _ => NSIGPOLL,
    }
}

#[cfg(test)]
mod tests {
    use abi::signal::{SEGV_MAPERR, SI_QUEUE};
    use proptest::prelude::*;

    use super::*;

    /// Of `struct _sigchld` in asm-generic/siginfo.h.
    const SI_STATUS: usize = 24;
    const SI_UTIME: usize = 32;
    const SI_STIME: usize = 40;

    #[test]
    fn fields_are_where_c_programs_look() {
        let child = Sender { pid: 77, uid: 1000 };
        let times = CpuTimes { user_ticks: 5, system_ticks: 6 };
        let bytes = SignalInfo::child(Signal::CHLD, child, WaitStatus::Exited(3), times).encode();
        let word = |at: usize| u32::from_le_bytes(bytes_at(&bytes, at));
        assert_eq!([word(0), word(4), word(8), word(16), word(20)], [17, 0, 1, 77, 1000]);
        assert_eq!([word(SI_STATUS), word(SI_UTIME), word(SI_STIME)], [3, 5, 6]);
        let bytes = SignalInfo::fault(Signal::SEGV, SEGV_MAPERR, 0x1234_5678_9abc).encode();
        assert_eq!(bytes[16..24], 0x1234_5678_9abc_u64.to_le_bytes());
        let bytes = SignalInfo::timer(Signal::ALRM, 4, 9, 0xdead).encode();
        assert_eq!([bytes[8], bytes[16], bytes[20], bytes[24], bytes[25]], [0xfe, 4, 9, 0xad, 0xde]);
    }

    #[test]
    fn only_codes_nobody_knows_may_not_have_more_fields() {
        let mut raw = [0; SIGINFO_SIZE];
        raw[127] = 1;
        for (code, expected) in [(SI_QUEUE, true), (-8, false), (6, true), (7, false), (SI_ASYNCNL, true)] {
            raw[8..12].copy_from_slice(&i32::to_le_bytes(code));
            assert_eq!(SignalInfo::queued(Signal::USR1, &raw).is_ok(), expected, "{code}");
        }
    }

    #[test]
    fn programs_may_not_pretend_to_be_the_kernel() {
        let of = |code| SignalInfo::user(Signal::TERM, code, Sender::default()).is_pretence();
        assert!(of(SI_USER) && of(SI_TKILL) && of(SI_KERNEL));
        assert!(!of(SI_QUEUE) && !of(SI_TIMER));
    }

    #[test]
    fn a_signalfd_gives_the_fields_of_its_own_structure() {
        let word = |bytes: &[u8; SIGINFO_SIZE], at: usize| u32::from_le_bytes(bytes_at(bytes, at));
        let sender = Sender { pid: 77, uid: 1000 };
        let bytes = SignalInfo::user(Signal::USR1, SI_USER, sender).encode_for_reading();
        // ssi_signo, ssi_code, ssi_pid, ssi_uid.
        assert_eq!([0, 8, 12, 16].map(|at| word(&bytes, at)), [10, 0, 77, 1000]);
        let times = CpuTimes { user_ticks: 5, system_ticks: 6 };
        let bytes =
            SignalInfo::child(Signal::CHLD, sender, WaitStatus::Exited(3), times).encode_for_reading();
        // ssi_pid, ssi_status, ssi_utime, ssi_stime.
        assert_eq!([12, 40, 56, 64].map(|at| word(&bytes, at)), [77, 3, 5, 6]);
        let bytes = SignalInfo::timer(Signal::ALRM, 4, 9, 0xdead).encode_for_reading();
        // ssi_tid, ssi_overrun, ssi_int, ssi_ptr.
        assert_eq!([24, 32, 44, 48].map(|at| word(&bytes, at)), [4, 9, 0xdead, 0xdead]);
        let bytes = SignalInfo::fault(Signal::SEGV, SEGV_MAPERR, 0x1234_5678_9abc).encode_for_reading();
        assert_eq!(bytes[72..80], 0x1234_5678_9abc_u64.to_le_bytes());
        let bytes = SignalInfo::io(Signal::RTMIN, 1, 0x41, 9).encode_for_reading();
        // ssi_fd, ssi_band.
        assert_eq!([20, 28].map(|at| word(&bytes, at)), [9, 0x41]);
    }

    proptest! {
        #[test]
        fn what_a_program_queues_arrives(mut raw in prop::collection::vec(any::<u8>(), 48)) {
            raw[12..16].fill(0);
            raw.resize(SIGINFO_SIZE, 0);
            let info = SignalInfo::queued(Signal::RTMIN, &raw.clone().try_into().unwrap()).unwrap();
            raw[..4].copy_from_slice(&[32, 0, 0, 0]);
            prop_assert_eq!(&info.encode()[..], &raw[..]);
        }
    }
}
