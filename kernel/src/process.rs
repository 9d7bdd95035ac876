//! Programs: loading one from an ELF image, what belongs to it, and how it ended.
//!
//! The first slice: one program, one thread, memory mapped from the start.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use abi::{Errno, Result};
use hal::boot::Text;
use hal::context::Kind;
use hal::paging::Protection;
use hal::rank;
use hal::spin::{Lock, Once};
use hal::user::{USER_TOP, UserContext};
use logic::addr::{PAGE_SIZE, VirtAddr, align_down};
use logic::elf::{self, ImageKind, LoadPlan, Segment};
use logic::runq::Policy;
use nucleus::mm::Memory;
use nucleus::sched::{Thread, Wait, WaitQueue};

/// A signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(u8);

impl Signal {
    pub(crate) const ILL: Signal = Signal(4);
    pub(crate) const TRAP: Signal = Signal(5);
    pub(crate) const BUS: Signal = Signal(7);
    pub(crate) const FPE: Signal = Signal(8);
    pub(crate) const SEGV: Signal = Signal(11);

    /// What Linux sends for an exception of user code (arch/x86/kernel/traps.c's table).
    pub(crate) fn of_exception(vector: u8) -> Signal {
        match vector {
            0 | 16 | 19 => Signal::FPE,
            1 | 3 => Signal::TRAP,
            6 => Signal::ILL,
            11 | 12 | 17 => Signal::BUS,
            _ => Signal::SEGV,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Signal::ILL => "SIGILL",
            Signal::TRAP => "SIGTRAP",
            Signal::BUS => "SIGBUS",
            Signal::FPE => "SIGFPE",
            Signal::SEGV => "SIGSEGV",
            Signal(number) => return write!(f, "signal {number}"),
        };
        f.write_str(name)
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// exit_group(2) with this code.
    Exited(u8),
    /// By a signal.
    Killed(Signal),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exited with code {code}"),
            Ending::Killed(signal) => write!(f, "was killed by {signal}"),
        }
    }
}

/// A program and what its threads share.
pub(crate) struct Process {
    name: Text<64>,
    ending: Lock<Option<Ending>, rank::Task>,
    ended: WaitQueue,
}

/// Lowest address a relocatable program is loaded at: Linux's two thirds of the user half, without the randomness
/// that comes with the map of areas.
const RELOCATABLE_BASE: u64 = 0x5555_5555_4000;
const STACK_SIZE: u64 = 64 << 10;
const STACK_TOP: u64 = USER_TOP - (1 << 20);

impl Process {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Ends the program; the first reason counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.ending.lock().get_or_insert(ending);
    }

    /// How it ended, if it did.
    pub(crate) fn ending(&self) -> Option<Ending> {
        *self.ending.lock()
    }

    /// Starts the program in `image` with one argument, its name, and no environment.
    ///
    /// # Errors
    /// ENOEXEC and its kin for a damaged image, ENOMEM.
    pub(crate) fn spawn(name: &str, image: &'static [u8]) -> Result<Running> {
        let plan = plan(image)?;
        let base = if plan.kind == ImageKind::Relocatable { RELOCATABLE_BASE } else { 0 };
        let mut memory = Memory::new()?;
        for segment in plan.segments() {
            map_segment(&mut memory, image, segment, base)?;
        }
        let stack = InitialStack::build(name, &plan, base)?;
        stack.map(&mut memory)?;
        let context = UserContext::new(VirtAddr::new(base + plan.entry), VirtAddr::new(stack.pointer));
        let process = Arc::new(Process {
            name: Text::from_bytes(name.as_bytes()),
            ending: Lock::new(None),
            ended: WaitQueue::new(),
        });
        let outcome = Arc::new(Once::new());
        let (own, own_outcome) = (process.clone(), outcome.clone());
        let thread = Thread::new(name, Kind::User, Policy::default(), move || {
            memory.enter();
            // The context owns the space from here on.
            drop(memory);
            let ending = crate::usermode::run(&own, context);
            hal::context::enter_space(None);
            own_outcome.call_once(|| ending);
            own.ended.wake_all();
        })?;
        nucleus::sched::start(&thread);
        Ok(Running { process, outcome })
    }
}

/// A program that was started.
pub(crate) struct Running {
    process: Arc<Process>,
    outcome: Arc<Once<Ending>>,
}

impl Running {
    /// Waits until it has ended and its memory is free.
    ///
    /// # Errors
    /// ENOMEM if there is no room to wait.
    pub(crate) fn wait(&self) -> Result<Ending> {
        self.process.ended.block_until(Wait::UNINTERRUPTIBLE, || self.outcome.get().copied().ok_or(Errno::EAGAIN))
    }
}

fn plan(image: &[u8]) -> Result<LoadPlan> {
    let len = image.len() as u64;
    elf::plan(image, len, elf::Limits::default()).map_err(Errno::from)
}

fn map_segment(memory: &mut Memory, image: &[u8], segment: &Segment, base: u64) -> Result<()> {
    let protection = match (segment.access.is_writable(), segment.access.is_executable()) {
        (false, false) => Protection::USER_READ,
        (true, false) => Protection::USER_WRITE,
        (false, true) => Protection::USER_EXECUTE,
        (true, true) => Protection::USER_WRITE_EXECUTE,
    };
    let (start, end) = (base + segment.start, base + segment.memory_end.next_multiple_of(PAGE_SIZE));
    memory.map_filled(VirtAddr::new(start), VirtAddr::new(end), protection, |offset, page| {
        // Bytes of the file that lie in this page; the rest stays zero.
        let in_file = segment.file_end.saturating_sub(segment.start).saturating_sub(offset).min(PAGE_SIZE);
        let from = segment.file_offset.saturating_add(offset);
        let bytes = usize::try_from(from).ok().and_then(|from| image.get(from..from.saturating_add(in_file as usize)));
        if let Some(bytes) = bytes {
            page[..bytes.len()].copy_from_slice(bytes);
        }
    })
}

/// What a program finds on its stack: argument count, arguments, environment, auxiliary vector (System V ABI, 3.4.1).
struct InitialStack {
    bytes: Vec<u8>,
    pointer: u64,
}

const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_BASE: u64 = 7;
const AT_ENTRY: u64 = 9;
const AT_RANDOM: u64 = 25;
const PROGRAM_HEADER_SIZE: u64 = 56;

impl InitialStack {
    fn build(name: &str, plan: &LoadPlan, base: u64) -> Result<Self> {
        let strings_len = name.len() as u64 + 1 + 16;
        let strings = align_down(STACK_TOP - strings_len, 16);
        let random = strings + name.len() as u64 + 1;
        let headers = plan.program_headers.map_or(0, |address| base + address);
        let words = [
            1,
            strings,
            0,
            0,
            AT_PHDR,
            headers,
            AT_PHENT,
            PROGRAM_HEADER_SIZE,
            AT_PHNUM,
            u64::from(plan.program_header_count),
            AT_PAGESZ,
            PAGE_SIZE,
            AT_BASE,
            0,
            AT_ENTRY,
            base + plan.entry,
            AT_RANDOM,
            random,
            AT_NULL,
            0,
        ];
        let pointer = align_down(strings - size_of_val(&words) as u64, 16);
        let len = usize::try_from(STACK_TOP - pointer).map_err(|_| Errno::ENOMEM)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.resize((strings - pointer) as usize, 0);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&hal::cpu::entropy().to_le_bytes());
        bytes.extend_from_slice(&hal::cpu::entropy().to_le_bytes());
        bytes.resize(len, 0);
        Ok(InitialStack { bytes, pointer })
    }

    fn map(&self, memory: &mut Memory) -> Result<()> {
        let start = STACK_TOP - STACK_SIZE;
        memory.map_filled(VirtAddr::new(start), VirtAddr::new(STACK_TOP), Protection::USER_WRITE, |offset, page| {
            let page_start = start + offset;
            for (slot, address) in page.iter_mut().zip(page_start..) {
                if let Some(byte) = address.checked_sub(self.pointer).and_then(|at| self.bytes.get(at as usize)) {
                    *slot = *byte;
                }
            }
        })
    }
}
