//! Starting the other CPUs, and interrupts between them.
//!
//! One CPU is started at a time: its record and stack are made, the trampoline's words are filled in, INIT and STARTUP
//! are sent, and the starter waits for the CPU to say it is up. Spec: SDM volume 3, section 8.4.4 (MP initialisation);
//! the long pauses it asks for are for CPUs before the P6, as Linux found.

use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::{Errno, Result};
use logic::addr::{PhysAddr, VirtAddr};
use logic::buddy::Order;
use logic::zones::ZoneKind;

use super::local::{self, Local};
use super::traps::{VECTOR_RESCHEDULE, VECTOR_SHOOTDOWN};
use super::{acpi, apic, cpu, paging};
use crate::frames::{self, Block};
use crate::memory;
use crate::paging::{PageSize, Protection, Tables};
use crate::tables::DirectTables;
use crate::time;
use crate::trap::Registers;
use crate::vmap::KernelStack;

global_asm!(include_str!("trampoline.s"), options(att_syntax));

unsafe extern "C" {
    static ap_start: u8;
    static ap_gdt_base: u8;
    static ap_far_pointer: u8;
    static ap_root: u8;
    static ap_stack: u8;
    static ap_argument: u8;
    static ap_entry: u8;
    static ap_end: u8;
}

/// A page below 1 MiB for the trampoline, taken from the memory map before the frame allocator starts.
static TRAMPOLINE: AtomicU64 = AtomicU64::new(0);
static STOPPING: AtomicBool = AtomicBool::new(false);
const INIT_PAUSE_NS: u64 = 10_000;
const STARTUP_PATIENCE_NS: u64 = 200_000;
const ANSWER_PATIENCE_NS: u64 = 1_000_000_000;

/// Remembers where the trampoline may go.
pub(crate) fn set_trampoline(page: PhysAddr) {
    TRAMPOLINE.store(page.get(), Ordering::Relaxed);
}

/// How many CPUs the firmware listed.
pub(crate) fn present() -> usize {
    acpi::with_platform(|platform| 1 + platform.other_cpu_count)
}

/// Starts CPU `number`.
pub(crate) fn start(number: usize, entry: fn() -> !) -> Result<()> {
    let page = PhysAddr::new(TRAMPOLINE.load(Ordering::Relaxed));
    if page.get() == 0 {
        return Err(Errno::ENOMEM);
    }
    let apic_id = acpi::with_platform(|platform| {
        let index = number.checked_sub(1)?;
        platform.other_cpus.get(..platform.other_cpu_count)?.get(index).copied()
    })
    .ok_or(Errno::EINVAL)?;
    let start = Start { local: new_local(number, apic_id)?, entry };
    let stack = KernelStack::new()?;
    let mut root = trampoline_root(page)?;
    fill_trampoline(page, root.root(), stack.top(), &start);
    // The CPU keeps its stack as that of its idle thread, for ever.
    core::mem::forget(stack);
    let result = wake(number, apic_id, page);
    if result.is_err() {
        // Back to waiting: it must not come later, for `start` and the trampoline's tables are about to go.
        apic::send_init(apic_id);
    }
    root.clear_user_half(|_| {});
    if let Some(frame) = root.root().frame() {
        drop(Block::from_raw(frame, Order::ZERO));
    }
    result
}

/// What a new CPU is told; lives on the starter's stack until the CPU is up.
struct Start {
    local: *mut Local,
    entry: fn() -> !,
}

fn new_local(number: usize, apic_id: u32) -> Result<*mut Local> {
    let layout = core::alloc::Layout::new::<Local>();
    // SAFETY: a record is not of size zero.
    let memory: *mut Local = unsafe { alloc::alloc::alloc(layout) }.cast();
    if memory.is_null() {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: fresh memory of the right size and alignment.
    unsafe { memory.write(Local::new(number, apic_id)) };
    // SAFETY: just written, and still ours alone.
    unsafe { (*memory).allocate_stacks() }?;
    Ok(memory)
}

/// The kernel's mappings plus the trampoline's page where it lies in physical memory.
fn trampoline_root(page: PhysAddr) -> Result<Tables<DirectTables>> {
    // In 32 bits' reach: real mode loads it.
    let block = frames::allocate_block(Order::ZERO, ZoneKind::Dma32).ok_or(Errno::ENOMEM)?;
    let root = block.into_raw().start();
    // SAFETY: the frame is ours alone; the direct map covers it.
    unsafe { memory::direct(root).write_bytes(0, 4096) };
    let mut tables = Tables::new(root, DirectTables);
    tables.share_kernel_half(memory::kernel_root());
    tables.map(VirtAddr::new(page.get()), page, PageSize::Small, Protection::KERNEL_TEXT)?;
    Ok(tables)
}

fn fill_trampoline(page: PhysAddr, root: PhysAddr, stack: VirtAddr, start: &Start) {
    let code = &raw const ap_start;
    let len = (&raw const ap_end).addr() - code.addr();
    let copy = memory::direct(page);
    // SAFETY: the code is shorter than the page, which is reserved for it.
    unsafe { copy.copy_from_nonoverlapping(code, len) };
    let at = |symbol: *const u8| copy.wrapping_add(symbol.addr() - code.addr());
    let base = u32::try_from(page.get()).unwrap_or_else(|_| unreachable!("the trampoline lies below 1 MiB"));
    let add_base = |symbol: *const u8| {
        let word: *mut u32 = at(symbol).cast();
        // SAFETY: a 32-bit word inside the copy.
        let offset = unsafe { word.read_unaligned() };
        // SAFETY: as above.
        unsafe { word.write_unaligned(offset + base) };
    };
    add_base(&raw const ap_gdt_base);
    add_base(&raw const ap_far_pointer);
    let words = [
        (&raw const ap_root, root.get()),
        (&raw const ap_stack, stack.get()),
        (&raw const ap_argument, core::ptr::from_ref(start).expose_provenance() as u64),
        (&raw const ap_entry, ap_main as *const () as u64),
    ];
    for (symbol, value) in words {
        // SAFETY: 64-bit words inside the copy.
        unsafe { at(symbol).cast::<u64>().write_unaligned(value) };
    }
}

fn wake(number: usize, apic_id: u32, page: PhysAddr) -> Result<()> {
    let startup_page = u8::try_from(page.page_number()).map_err(|_| Errno::EINVAL)?;
    apic::send_init(apic_id);
    time::spin_ns(INIT_PAUSE_NS);
    for patience in [STARTUP_PATIENCE_NS, ANSWER_PATIENCE_NS] {
        apic::send_startup(apic_id, startup_page);
        let end = time::now_ns() + patience;
        while time::now_ns() < end {
            if crate::smp::online_mask() & 1 << number != 0 {
                return Ok(());
            }
            cpu::relax();
        }
    }
    Err(Errno::EIO)
}

/// First Rust code of a started CPU.
extern "C" fn ap_main(start: &Start) -> ! {
    // SAFETY: the kernel's own root maps this code and stack just as the trampoline's does.
    unsafe { paging::load_root(memory::kernel_root()) };
    cpu::enable_protections();
    paging::flush_all();
    let entry = start.entry;
    local::install(start.local);
    super::init_this_cpu();
    apic::init();
    // From here on the starter may return, and `start` is gone.
    crate::smp::set_online();
    entry()
}

fn send(number: usize, vector: u8) {
    if let Some(apic_id) = local::apic_id_of(number) {
        apic::send(apic_id, vector);
    }
}

/// Asks CPU `number` to choose its thread again.
pub(crate) fn send_reschedule(number: usize) {
    send(number, VECTOR_RESCHEDULE);
}

/// Asks CPU `number` to flush translations.
pub(crate) fn send_shootdown(number: usize) {
    send(number, VECTOR_SHOOTDOWN);
}

/// Stops all other CPUs by NMI, so that even one that spins with interrupts off stops.
pub(crate) fn stop_others() {
    STOPPING.store(true, Ordering::SeqCst);
    if crate::smp::online() > 1 {
        apic::send_nmi_to_others();
    }
}

/// Makes CPU `number` report where it is.
pub(crate) fn send_nmi(number: usize) {
    if let Some(apic_id) = local::apic_id_of(number) {
        apic::send_nmi(apic_id);
    }
}

/// An NMI: stop if a panic wants it, else report.
pub(super) fn on_nmi(registers: &Registers) {
    if STOPPING.load(Ordering::SeqCst) {
        cpu::halt_forever();
    }
    crate::trap::on_report_request(registers);
}
