//! From the loader's page tables to our own, and from where the image was linked to where it will stay.
//!
//! Builds the final tables: the direct map of all RAM at a random base, the image at a random slide with W^X, shared
//! top-level entries for every kernel area. Then moves: new tables map the image both at its old and its new place,
//! RELR words are slid through the direct map (which is writable, never executable), the CPU jumps, and the old
//! mapping and the writable alias of text, constants and symbols go away. Runs once, before any lock or heap exists.

use core::arch::asm;
use core::cell::UnsafeCell;

use logic::addr::{PAGE_LEN, PAGE_SIZE, PhysAddr, VirtAddr, align_down};
use logic::cmdline::BootOptions;
use logic::memmap::{MemoryKind, MemoryMap, Region};

use super::{LINK_BASE, halt, image_layout, image_start, relative_relocations, window};
use crate::arch::x86_64::{clock, cpu, paging as arch_paging};
use crate::boot::BootInfo;
use crate::memory;
use crate::paging::{LARGE_PAGE_SIZE, MapError, Protection, Table, TableMemory, Tables};
use crate::tables;

/// The image may slide by this much at most: 1 GiB holds it and leaves the other for modules to come.
const SLIDE_LIMIT: u64 = (1 << 30) - (32 << 20);
/// Smallest slide but none: the old and the new place must not overlap while both are mapped.
const SLIDE_STEP: u64 = 16 << 20;
/// Below this nothing useful runs; the sentence says so instead of a puzzling failure later.
const LEAST_MEMORY: u64 = 12 << 20;
/// Legacy memory the firmware and the AP trampoline live in; mapped as a whole.
const LEGACY_END: u64 = 1 << 20;

/// Where the boot information waits for the kernel. Written before the jump, shared after it.
struct Handover(UnsafeCell<Option<BootInfo>>);

// SAFETY: written once by `run`, on the only running CPU, before anything could read it.
unsafe impl Sync for Handover {}

static HANDOVER: Handover = Handover(UnsafeCell::new(None));

/// Moves the kernel and enters it.
pub(super) fn run(mut info: BootInfo) -> ! {
    clock::mark_boot();
    cpu::enable_protections();
    reserve_what_is_used(&mut info);
    let all = info.memory.clone();
    limit(&mut info);
    if info.memory.total_usable() < LEAST_MEMORY {
        halt("this machine has too little memory");
    }
    let slide = if BootOptions::parse(info.command_line.as_str()).is_kaslr_off {
        memory::set_layout(0);
        0
    } else {
        memory::set_layout(cpu::entropy());
        choose_slide(cpu::entropy())
    };
    match build(&mut info, &all, slide) {
        Ok(root) => switch(info, root, slide),
        Err(_) => halt("there is no memory for the kernel's page tables"),
    }
}

fn choose_slide(entropy: u64) -> u64 {
    let steps = (SLIDE_LIMIT - SLIDE_STEP) / LARGE_PAGE_SIZE;
    match entropy % (steps + 1) {
        0 => 0,
        step => SLIDE_STEP + (step - 1) * LARGE_PAGE_SIZE,
    }
}

/// `mem=`: memory above is not used. It stays mapped, for the firmware's tables and the initramfs may lie there.
fn limit(info: &mut BootInfo) {
    if let Some(limit) = BootOptions::parse(info.command_line.as_str()).memory_limit
        && info.memory.limit(limit).is_err()
    {
        halt("mem= cannot be applied: the firmware's memory map has too many pieces");
    }
}

fn reserve_what_is_used(info: &mut BootInfo) {
    let kernel = info.kernel;
    // A full table keeps the rest of the map as it was; the ranges below must not be lost, so their failure is final.
    let mut reserved = info.memory.reserve(PhysAddr::new(0), PhysAddr::new(PAGE_SIZE));
    reserved = reserved.and(info.memory.reserve(kernel.start, kernel.end));
    if let Some(initramfs) = info.initramfs {
        reserved = reserved.and(info.memory.reserve(initramfs.start, initramfs.end));
    }
    if reserved.is_err() {
        halt("the firmware's memory map has too many pieces");
    }
}

/// Page tables from the top of memory that the early window reaches.
struct EarlyTables<'a> {
    map: &'a mut MemoryMap,
}

impl TableMemory for EarlyTables<'_> {
    fn allocate(&mut self) -> Option<PhysAddr> {
        let table = self.map.take(PAGE_SIZE, PAGE_SIZE, PhysAddr::new(4 << 30)).ok()?;
        // SAFETY: the memory map just gave this page to us alone, and the window maps it writable.
        unsafe { window::pointer(table).write_bytes(0, 4096) };
        Some(table)
    }

    fn release(&mut self, _table: PhysAddr) {}

    fn table(&self, address: PhysAddr) -> &Table {
        // SAFETY: `allocate` returned this page: aligned, owned by these tables, mapped by the window; entries are
        // atomics, so sharing them is fine.
        unsafe { &*window::pointer(address).cast() }
    }
}

fn build(info: &mut BootInfo, all: &MemoryMap, slide: u64) -> Result<PhysAddr, MapError> {
    let kernel = info.kernel;
    let mut early = EarlyTables { map: &mut info.memory };
    let root = early.allocate().ok_or(MapError::NoMemory)?;
    let mut tables = Tables::new(root, early);

    // Around the image the direct map is made of small pages, so that text and constants can become read-only there.
    let carved_start = align_down(kernel.start.get(), LARGE_PAGE_SIZE);
    let carved_end = align_down(kernel.end.get() + LARGE_PAGE_SIZE - 1, LARGE_PAGE_SIZE);
    let direct = |at: u64| VirtAddr::new(memory::direct_base() + at);
    tables.map_range(direct(0), PhysAddr::new(0), LEGACY_END, Protection::KERNEL_DATA)?;
    for (start, end) in mapped_ranges(all) {
        for (from, to) in [(start, end.min(carved_start)), (start.max(carved_end), end)] {
            if from < to {
                tables.map_range(direct(from), PhysAddr::new(from), to - from, Protection::KERNEL_DATA)?;
            }
        }
        for page in (start.max(carved_start)..end.min(carved_end)).step_by(PAGE_LEN) {
            tables.map_range(direct(page), PhysAddr::new(page), PAGE_SIZE, Protection::KERNEL_DATA)?;
        }
    }
    map_image(&mut tables, kernel.start, 0)?;
    if slide != 0 {
        map_image(&mut tables, kernel.start, slide)?;
    }
    for area in memory::kernel_areas() {
        tables.populate_top(area)?;
    }
    Ok(root)
}

/// RAM and the firmware's tables above the legacy megabyte, whole pages.
fn mapped_ranges(map: &MemoryMap) -> impl Iterator<Item = (u64, u64)> + '_ {
    map.regions().iter().filter(|region| is_mapped(map, region)).filter_map(|region| {
        let start = align_down(region.start.get(), PAGE_SIZE).max(LEGACY_END);
        let end = align_down(region.end.get(), PAGE_SIZE);
        (start < end).then_some((start, end))
    })
}

/// BIOSes keep the ACPI tables in a small reserved region right behind low RAM; device memory is elsewhere, or large.
fn is_mapped(map: &MemoryMap, region: &Region) -> bool {
    const TABLES_LIMIT: u64 = 16 << 20;
    match region.kind {
        MemoryKind::AcpiNvs => true,
        MemoryKind::Reserved => {
            let start = align_down(region.start.get(), PAGE_SIZE);
            region.len() <= TABLES_LIMIT && map.ram().any(|ram| align_down(ram.end.get(), PAGE_SIZE) == start)
        }
        kind => kind.is_ram(),
    }
}

fn map_image<M: TableMemory>(tables: &mut Tables<M>, start: PhysAddr, slide: u64) -> Result<(), MapError> {
    let layout = image_layout();
    let base = image_start() + slide;
    let parts = [
        (0, layout.text_end, Protection::KERNEL_TEXT),
        (layout.text_end, layout.rodata_end, Protection::KERNEL_RODATA),
        (layout.rodata_end, layout.end, Protection::KERNEL_DATA),
        (
            layout.end,
            align_down(layout.end + layout.symbols_len + PAGE_SIZE - 1, PAGE_SIZE),
            Protection::KERNEL_RODATA,
        ),
    ];
    for (from, to, protection) in parts {
        tables.map_range(
            VirtAddr::new(base + from),
            PhysAddr::new(start.get() + from),
            to - from,
            protection,
        )?;
    }
    Ok(())
}

fn switch(info: BootInfo, root: PhysAddr, slide: u64) -> ! {
    let kernel = info.kernel;
    // SAFETY: boot runs on one CPU and nobody has a reference yet.
    unsafe { *HANDOVER.0.get() = Some(info) };
    // SAFETY: the new tables map the image, with the stack in its .bss, where it is mapped now (`map_image` with
    // slide 0), and their memory is reserved for good.
    unsafe { arch_paging::load_root(root) };
    memory::set_kernel_root(root);
    slide_words(slide, kernel.start);
    let entry = after_jump as *const () as u64 + slide;
    // SAFETY: `entry` is `after_jump` at its new, mapped address; the stack starts afresh at the new top and nothing
    // of the old frame is needed again.
    unsafe {
        asm!(
            "lea rsp, [rip + boot_stack_top]",
            "add rsp, {slide}",
            "xor ebp, ebp",
            "mov rdi, {slide}",
            "call {entry}",
            "ud2",
            slide = in(reg) slide,
            entry = in(reg) entry,
            options(noreturn)
        )
    }
}

/// Adds `slide` to every word that holds an address of the image, through the direct map.
/// RELR: an even word is the address of such a word, an odd one a bitmap of the 63 words that follow the last.
fn slide_words(slide: u64, image: PhysAddr) {
    let linked = image_start();
    let alias = |address: u64| memory::direct(PhysAddr::new(address - linked + image.get())).cast::<u64>();
    let slide_word = |address: u64| {
        let word = alias(address);
        // SAFETY: the linker lists only aligned words inside the image; the direct map covers it, writable until
        // `after_jump`, and no other CPU runs.
        let value = unsafe { word.read_volatile() };
        // SAFETY: as above.
        unsafe { word.write_volatile(value.wrapping_add(slide)) };
    };
    let mut next = 0;
    for &entry in relative_relocations() {
        if entry & 1 == 0 {
            // The table itself holds addresses as linked, which is where the image still runs.
            slide_word(entry);
            next = entry + 8;
            continue;
        }
        for bit in 1..64 {
            if entry >> bit & 1 != 0 {
                slide_word(next + (bit - 1) * 8);
            }
        }
        next += 63 * 8;
    }
}

/// First function at the final address.
extern "C" fn after_jump(slide: u64) -> ! {
    // SAFETY: `switch` wrote it on this CPU before the jump and nobody writes it again.
    let Some(info) = (unsafe { (*HANDOVER.0.get()).as_ref() }) else {
        halt("the boot information was lost");
    };
    let layout = image_layout();
    tables::with_boot_tables(|tables| {
        if slide != 0 {
            let end = layout.end + layout.symbols_len;
            for offset in (0..end).step_by(PAGE_LEN) {
                let _ = tables.unmap(VirtAddr::new(image_start() - slide + offset));
            }
        }
        for offset in layout.constants().into_iter().flat_map(|part| part.step_by(PAGE_LEN)) {
            let alias = memory::direct_base() + info.kernel.start.get() + offset;
            let _ = tables.protect(VirtAddr::new(alias), Protection::KERNEL_RODATA);
        }
    });
    arch_paging::flush_all();
    crate::arch::x86_64::init_early();
    debug_assert!(image_start() >= LINK_BASE, "the image left its area");
    crate::boot::enter(info)
}
