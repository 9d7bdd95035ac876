//! Frames, heap, stacks, page tables.

use alloc::string::String;
use alloc::vec::Vec;

use hal::boot::BootInfo;
use hal::vmap::KernelStack;
use hal::{cpu, frames, smp, tlb};
use logic::addr::to_usize;
use logic::buddy::Order;
use logic::runq::Policy;
use logic::zones::ZoneKind;

use super::crew::{Crew, leaves_nothing};
use super::{Outcome, check};

/// Small random numbers for tests; the seed is printed by whoever makes one.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// The same for indices and lengths.
    fn index_below(&mut self, limit: usize) -> usize {
        to_usize(self.below(limit as u64))
    }
}

pub(super) fn no_page_is_writable_and_executable(_boot: &'static BootInfo) -> Outcome {
    let found = hal::memory_audit();
    check!(found.pages > 100, "only {} kernel pages were found", found.pages);
    check!(found.executable > 0, "no executable page was found");
    check!(found.writable_and_executable == 0, "{} pages are both", found.writable_and_executable);
    check!(found.user == 0, "{} pages of the kernel half are open to programs", found.user);
    Ok(())
}

pub(super) fn constants_cannot_be_written_anywhere(_boot: &'static BootInfo) -> Outcome {
    let found = hal::memory_audit();
    check!(found.writable_constants == 0, "{} pages let constants be written", found.writable_constants);
    // One that holds an address, which boot had to write when it slid the image.
    static SLID: &str = "slid";
    let address = core::hint::black_box(&raw const SLID).addr() as u64;
    let protection = hal::protection_at(address).ok_or("a static is not mapped")?;
    check!(!protection.is_writable(), "the constant at {address:#x} can be written");
    Ok(())
}

pub(super) fn frames_come_back(_boot: &'static BootInfo) -> Outcome {
    leaves_nothing(|| {
        let single: Vec<_> = (0..500).map_while(|_| frames::allocate()).collect();
        check!(single.len() == 500, "only {} frames", single.len());
        for order in Order::all().take(6) {
            check!(
                frames::allocate_block(order, ZoneKind::Normal).is_some(),
                "no block of order {}",
                order.get()
            );
        }
        let low = frames::allocate_block(Order::ZERO, ZoneKind::Dma).ok_or("no frame below 16 MiB")?;
        check!(low.address().get() < 16 << 20, "a DMA frame at {}", low.address());
        Ok(())
    })
}

pub(super) fn metadata_costs_under_one_percent(_boot: &'static BootInfo) -> Outcome {
    let stats = frames::stats();
    check!(stats.metadata_bytes * 100 <= stats.total * 4096, "{stats:?}");
    Ok(())
}

pub(super) fn heap_keeps_contents_apart(_boot: &'static BootInfo) -> Outcome {
    leaves_nothing(|| churn(1, 2000))
}

/// Random objects of all sizes, each full of its own byte, checked when freed.
fn churn(seed: u64, steps: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut kept: Vec<(Vec<u8>, u8)> = Vec::new();
    for step in 0..steps {
        if random.below(3) > 0 && kept.len() < 64 {
            let limit = if random.below(50) == 0 { 200_000 } else { 3000 };
            let len = random.index_below(limit) + 1;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).map_err(|_| "out of memory")?;
            let [mark, ..] = step.to_le_bytes();
            bytes.resize(len, mark);
            kept.push((bytes, mark));
        } else if !kept.is_empty() {
            let (bytes, mark) = kept.swap_remove(random.index_below(kept.len()));
            check!(
                bytes.iter().all(|&byte| byte == mark),
                "seed {seed}: an object of {} bytes changed",
                bytes.len()
            );
        }
    }
    Ok(())
}

pub(super) fn all_cpus_allocate_and_free(_boot: &'static BootInfo) -> Outcome {
    use core::sync::atomic::{AtomicU64, Ordering};
    static FAILED: AtomicU64 = AtomicU64::new(0);
    leaves_nothing(|| {
        let mut crew = Crew::new();
        for worker in 0..smp::online() as u64 * 2 {
            crew.add(Policy::default(), None, move || {
                let mut held = Vec::with_capacity(40);
                let mut random = Random::new(worker + 77);
                for round in 0..30 {
                    if churn(worker * 1000 + round, 60).is_err() {
                        FAILED.fetch_add(1, Ordering::Relaxed);
                    }
                    // Frames freed by another CPU than allocated them: the thread may move at any time.
                    held.extend((0..random.below(20)).filter_map(|_| frames::allocate()));
                    held.truncate(random.index_below(20));
                }
            })?;
        }
        crew.run()?;
        check!(FAILED.load(Ordering::Relaxed) == 0, "an object changed or memory ran out");
        Ok(())
    })
}

pub(super) fn stacks_have_guards_and_come_back(_boot: &'static BootInfo) -> Outcome {
    leaves_nothing(|| {
        let mut stacks = Vec::new();
        for _ in 0..20 {
            stacks.push(KernelStack::new().map_err(|error| alloc::format!("{error:?}"))?);
        }
        for stack in &stacks {
            let bottom = stack.top().get() - hal::vmap::STACK_PAGES * 4096;
            check!(hal::is_mapped(bottom) && hal::is_mapped(stack.top().get() - 1), "a stack is not mapped");
            check!(!hal::is_mapped(bottom - 1), "the page below a stack is mapped");
        }
        drop(stacks);
        hal::vmap::trim();
        Ok(())
    })
}

pub(super) fn exhaustion_is_an_error(_boot: &'static BootInfo) -> Outcome {
    tlb::drain_caches();
    let before = frames::stats().free;
    // A list through the frames themselves: a vector of them would need the memory it is to use up.
    let mut taken = Vec::new();
    taken.try_reserve_exact(before).map_err(|_| "no room for the list")?;
    while let Some(frame) = frames::allocate() {
        taken.push(frame);
    }
    let mut large: Vec<u8> = Vec::new();
    let is_refused = large.try_reserve_exact(1 << 20).is_err();
    let count = taken.len();
    drop(taken);
    check!(is_refused, "a megabyte was handed out after the last frame");
    check!(count * 100 >= before * 90, "only {count} of {before} frames could be had");
    check!(frames::allocate().is_some(), "no frame after all were freed, on CPU {}", cpu::id());
    Ok(())
}
