//! Loading and starting a program: from an ELF image in memory to a thread in user mode.
//!
//! Memory is mapped whole, from the start; execve(2) and demand paging come with processes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::context::Kind;
use hal::paging::Protection;
use hal::spin::Once;
use hal::user::{USER_TOP, UserContext};
use logic::addr::{PAGE_SIZE, VirtAddr, align_down};
use logic::elf::{self, ImageKind, LoadPlan, Segment};
use logic::runq::Policy;
use nucleus::mm::Memory;
use nucleus::sched::{self, Thread, Wait};

use crate::process::{Ending, Process};
use crate::usermode;

/// Lowest address a relocatable program is loaded at: Linux's two thirds of the user half, without the randomness
/// that comes with the map of areas.
const RELOCATABLE_BASE: u64 = 0x5555_5555_4000;
const STACK_SIZE: u64 = 64 << 10;
const STACK_TOP: u64 = USER_TOP - (1 << 20);

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
    let process = Arc::new(Process::new(name));
    let outcome = Arc::new(Once::new());
    let (own, own_outcome) = (process.clone(), outcome.clone());
    let thread = Thread::new(name, Kind::User, Policy::default(), move || {
        memory.enter();
        // The context owns the space from here on.
        drop(memory);
        let ending = usermode::run(&own, context);
        hal::context::enter_space(None);
        own_outcome.call_once(|| ending);
        own.ended().wake_all();
    })?;
    sched::start(&thread);
    Ok(Running { process, outcome })
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
        self.process
            .ended()
            .block_until(Wait::UNINTERRUPTIBLE, || self.outcome.get().copied().ok_or(Errno::EAGAIN))
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
        let bytes = index(from).and_then(|from| image.get(from..from.saturating_add(index(in_file)?)));
        if let Some(bytes) = bytes {
            page[..bytes.len()].copy_from_slice(bytes);
        }
    })
}

/// A number of bytes as an index.
fn index(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok()
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
        bytes.resize(index(strings - pointer).ok_or(Errno::ENOMEM)?, 0);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&hal::cpu::entropy().to_le_bytes());
        bytes.extend_from_slice(&hal::cpu::entropy().to_le_bytes());
        bytes.resize(len, 0);
        Ok(InitialStack { bytes, pointer })
    }

    fn map(&self, memory: &mut Memory) -> Result<()> {
        let start = STACK_TOP - STACK_SIZE;
        memory.map_filled(
            VirtAddr::new(start),
            VirtAddr::new(STACK_TOP),
            Protection::USER_WRITE,
            |offset, page| {
                let page_start = start + offset;
                for (slot, address) in page.iter_mut().zip(page_start..) {
                    if let Some(byte) =
                        address.checked_sub(self.pointer).and_then(|at| self.bytes.get(index(at)?))
                    {
                        *slot = *byte;
                    }
                }
            },
        )
    }
}
