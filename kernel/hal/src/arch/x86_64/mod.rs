//! x86-64.

pub(crate) mod acpi;
pub(crate) mod apic;
mod boot;
pub(crate) mod clock;
pub(crate) mod console;
pub(crate) mod context;
pub(crate) mod cpu;
pub(crate) mod ioapic;
mod local;
pub(crate) mod paging;
mod port;
pub(crate) mod power;
pub(crate) mod smp;
mod traps;
pub(crate) mod usercopy;

use logic::addr::VirtAddr;

pub(crate) use boot::{image_layout, image_start};
pub(crate) use local::{USER_CODE, USER_DATA, data_of as cpu_data_of};
pub(crate) use paging::USER_TOP;
pub(crate) use traps::{VECTOR_DEVICES, VECTOR_DEVICES_END};

use crate::percpu::CpuData;
use crate::trap::Registers;
use crate::user::{AccessKind, Fault, Trap};

/// What a program gets for touching a non-canonical address.
pub(crate) const VECTOR_GENERAL_PROTECTION: u8 = 13;

/// The running CPU's data.
#[inline(always)]
pub(crate) fn cpu_data() -> &'static CpuData {
    // SAFETY: GS points at the CPU's record since the first instructions after relocation; records live for ever.
    unsafe { &(*local::current()).data }
}

/// Gives the running CPU its tables: segments, interrupt stacks, traps, system calls, FPU.
///
/// # Errors
/// ENOMEM.
pub(crate) fn init_boot_cpu() -> abi::Result<()> {
    // SAFETY: the boot CPU's own record; its entry code is not in use yet.
    unsafe { (*local::current()).allocate_stacks() }?;
    traps::build_table();
    init_this_cpu();
    Ok(())
}

fn init_this_cpu() {
    local::load_tables();
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
        vector if vector < 32 => Trap::Exception { vector: vector as u8, error: registers.error },
        vector => {
            traps::dispatch(vector);
            Trap::Interrupt
        }
    }
}
