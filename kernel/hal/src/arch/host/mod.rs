//! A simulated machine inside a test process, so that hal and the crates above it run under `cargo test`.
//!
//! A CPU is a host thread that occupies a number (`seat`), physical memory is one allocation (`ram`), interrupts are
//! bits that a CPU looks at when it turns interrupts on or waits (`cpu::deliver`), user memory is what the loaded page
//! tables say (`usercopy`), and time moves only when a CPU waits or a test says so (`clock`). The entry codec and the
//! stack switch are the real ones of x86-64, which the host must therefore be. Tests drive it through [`simulation`].

pub(crate) mod clock;
pub(crate) mod console;
pub(crate) mod context;
pub(crate) mod cpu;
#[path = "../x86_64/entry.rs"]
mod entry;
pub(crate) mod paging;
pub(crate) mod port;
pub(crate) mod power;
mod ram;
mod seat;
pub mod simulation;
pub(crate) mod smp;
#[path = "../x86_64/stacks.rs"]
mod stacks;
pub(crate) mod usercopy;

use core::fmt;

use abi::{Errno, Result};
use logic::acpi::{List, PciWindow, VirtioPlace};
use logic::addr::VirtAddr;

use crate::boot::BootInfo;
use crate::cpu::MAX_CPUS;
use crate::frames;
use crate::irq::Line;
use crate::memory;
use crate::paging::Protection;
use crate::percpu::CpuData;
use crate::trap::Registers;
use crate::user::Trap;

/// First address user programs cannot have. Lower than on the machine: what the host gives this process lies above
/// it, so simulated RAM counts as kernel memory.
pub(crate) const USER_TOP: u64 = 0x4000_0000_0000;
/// Linux's user stack segment.
pub(crate) const USER_DATA: u16 = 0x2b;
/// Linux's user code segment.
pub(crate) const USER_CODE: u16 = 0x33;
/// What a program gets for touching a non-canonical address.
pub(crate) const VECTOR_GENERAL_PROTECTION: u8 = 13;

static CPUS: [CpuData; MAX_CPUS] = [const { CpuData::new() }; MAX_CPUS];

/// The running CPU's data.
pub(crate) fn cpu_data() -> &'static CpuData {
    &CPUS[seat::number()]
}

/// CPU `number`'s data; all CPUs have theirs from the start.
pub(crate) fn cpu_data_of(number: usize) -> Option<&'static CpuData> {
    CPUS.get(number)
}

/// Step 1 of boot: see [`crate::boot::init_memory`].
pub(crate) fn init_memory(info: &BootInfo) -> Result<()> {
    crate::mmio::set_ram(&info.memory);
    frames::init(&info.memory, &[])?;
    memory::set_kernel_root(frames::allocate_zeroed().ok_or(Errno::ENOMEM)?.into_raw());
    crate::tables::with_boot_tables(|tables| {
        for region in info.memory.ram() {
            let start = VirtAddr::new(memory::direct(region.start).expose_provenance() as u64);
            tables.map_range(start, region.start, region.len(), Protection::KERNEL_DATA)?;
        }
        memory::kernel_areas().try_for_each(|area| tables.populate_top(area))
    })?;
    crate::vmap::init()
}

/// Step 2 of boot: see [`crate::boot::init_machine`]. There is no machine.
pub(crate) fn init_machine() -> core::result::Result<(), &'static str> {
    Ok(())
}

/// One line about the firmware's tables.
pub(crate) fn platform_summary() -> impl fmt::Display {
    "simulated machine"
}

/// Why user mode ended.
///
/// # Panics
/// Always: nothing enters it (`context::enter_user`).
pub(crate) fn classify(_registers: &Registers) -> Trap {
    panic!("user mode does not run on the simulated machine")
}

/// The running function's frame pointer: none, for host code is built without.
pub(crate) fn frame_pointer() -> u64 {
    0
}

/// Offsets from the image's start at which text ends and memory ends; and the symbols' length.
pub(crate) struct ImageLayout {
    pub(crate) text_end: u64,
    pub(crate) end: u64,
    pub(crate) symbols_len: u64,
}

impl ImageLayout {
    /// What nobody may write after boot: nothing.
    pub(crate) fn constants(&self) -> [core::ops::Range<u64>; 2] {
        [0..0, 0..0]
    }
}

/// There is no kernel image.
pub(crate) fn image_layout() -> ImageLayout {
    ImageLayout { text_end: 0, end: 0, symbols_len: 0 }
}

/// Where the image would start.
pub(crate) fn image_start() -> u64 {
    0
}

/// There are no device interrupts.
pub(crate) fn route_isa(_number: u8, _cpu: usize, _line: Line) -> abi::Result<u8> {
    Err(abi::Errno::ENODEV)
}

/// As above.
pub(crate) fn route_input(_number: u32, _cpu: usize) -> abi::Result<u8> {
    Err(abi::Errno::ENODEV)
}

/// As above.
pub(crate) fn allocate_vector(_cpu: usize) -> abi::Result<(u8, u32)> {
    Err(abi::Errno::ENODEV)
}

/// There is no ACPI.
pub(crate) fn virtio_places() -> Option<List<VirtioPlace, 32>> {
    None
}

/// As above.
pub(crate) fn pci_windows() -> impl Iterator<Item = PciWindow> {
    core::iter::empty()
}
