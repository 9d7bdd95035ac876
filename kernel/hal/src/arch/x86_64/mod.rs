//! x86-64.

pub(crate) mod acpi;
pub(crate) mod apic;
mod boot;
pub(crate) mod clock;
pub(crate) mod console;
pub(crate) mod context;
pub(crate) mod cpu;
mod entry;
pub(crate) mod ioapic;
mod local;
pub(crate) mod paging;
pub(crate) mod port;
pub(crate) mod power;
pub(crate) mod smp;
mod stacks;
mod traps;
pub(crate) mod usercopy;

use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use logic::memmap::MemoryKind;
use logic::zones::{NodeId, NodeRange};

pub(crate) use acpi::{pci_windows, virtio_places};
pub(crate) use boot::{image_layout, image_start};
pub(crate) use ioapic::{allocate_vector, route_input, route_isa};
pub(crate) use local::{USER_CODE, USER_DATA, data_of as cpu_data_of};
pub(crate) use paging::USER_TOP;

use crate::boot::BootInfo;
use crate::percpu::CpuData;
use crate::trap::Registers;
use crate::user::{AccessKind, Fault, Trap};

/// Above it lies the firmware's own data area.
const LOW_MEMORY_END: u64 = 0x9_f000;
/// What a program gets for touching a non-canonical address.
pub(crate) const VECTOR_GENERAL_PROTECTION: u8 = 13;

/// The running CPU's data.
#[inline(always)]
pub(crate) fn cpu_data() -> &'static CpuData {
    // SAFETY: GS points at the CPU's record since the first instructions after relocation; records live for ever.
    unsafe { &(*local::current()).data }
}

/// First thing at the final address: this CPU's record, segments and traps, so that a fault prints its reason. The
/// interrupt stacks follow in step 2; until then a double fault ends the machine.
pub(crate) fn init_early() {
    local::init_boot();
    local::load_tables();
    traps::build_table();
    traps::load();
}

/// Step 1 of boot: see [`crate::boot::init_memory`].
pub(crate) fn init_memory(info: &BootInfo) -> abi::Result<()> {
    let mut map = info.memory.clone();
    // The trampoline of other CPUs must lie below 1 MiB; without room there the machine keeps one CPU.
    if let Ok(page) = map.take(PAGE_SIZE, PAGE_SIZE, PhysAddr::new(LOW_MEMORY_END)) {
        smp::set_trampoline(page);
    }
    acpi::init(info.acpi_root);
    map.reclaim(MemoryKind::LoaderReclaimable);
    let mut nodes = [NodeRange { node: NodeId::ZERO, start: PhysAddr::ZERO, end: PhysAddr::ZERO }; 16];
    let count = acpi::nodes(&mut nodes);
    crate::mmio::set_ram(&map);
    crate::frames::init(&map, &nodes[..count])?;
    crate::vmap::init()
}

/// Step 2 of boot: see [`crate::boot::init_machine`].
pub(crate) fn init_machine() -> Result<(), &'static str> {
    const NO_MEMORY: &str = "there is no memory for interrupt stacks and device registers";
    // SAFETY: the boot CPU's own record; its entry code is not in use yet.
    unsafe { (*local::current()).allocate_stacks() }.map_err(|_| NO_MEMORY)?;
    cpu::announce_number();
    context::init_fpu();
    ioapic::mask_legacy();
    apic::map().map_err(|_| NO_MEMORY)?;
    apic::init();
    local::set_apic_id(apic::id());
    acpi::map_devices().map_err(|_| NO_MEMORY)?;
    ioapic::init();
    clock::init().map_err(|_| "no clock ticks, or the cycle counter stands still")
}

/// One line about the firmware's tables.
pub(crate) fn platform_summary() -> impl core::fmt::Display {
    acpi::summary()
}

fn init_this_cpu() {
    local::load_tables();
    cpu::announce_number();
    traps::load();
    context::init_fpu();
}

/// Why user mode ended; handles the interrupt if that is why. Interrupts are off.
pub(crate) fn classify(registers: &Registers) -> Trap {
    const ERROR_PRESENT: u64 = 1;
    const ERROR_WRITE: u64 = 1 << 1;
    const ERROR_FETCH: u64 = 1 << 4;
    match registers.vector {
        traps::VECTOR_SYSCALL => Trap::SystemCall,
        traps::VECTOR_PAGE_FAULT => Trap::PageFault(Fault {
            address: VirtAddr::new(traps::fault_address()),
            access: match registers.error {
                error if error & ERROR_FETCH != 0 => AccessKind::Execute,
                error if error & ERROR_WRITE != 0 => AccessKind::Write,
                _ => AccessKind::Read,
            },
            is_protection: registers.error & ERROR_PRESENT != 0,
        }),
        vector => match u8::try_from(vector) {
            Ok(vector @ 0..32) => Trap::Exception { vector, error: registers.error },
            _ => {
                traps::dispatch(vector);
                Trap::Interrupt
            }
        },
    }
}

/// The running function's frame pointer.
#[inline(always)]
pub(crate) fn frame_pointer() -> u64 {
    let frame;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    frame
}
