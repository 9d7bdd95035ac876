//! The architecture contract: what a port provides. Adding one means writing one folder.
//!
//! `host` is the port to a test process. It has no `boot`; tests start it through [`crate::simulation`].
//!
//! | item | what |
//! |---|---|
//! | `init_memory`, `init_machine` | the two steps of [`crate::boot`]; `platform_summary` is a line about what they found |
//! | `boot` | fills [`crate::boot::BootInfo`], builds the first page tables, ends in [`crate::boot::enter`] |
//! | `cpu` | `id`, `irq_off`/`irq_restore`/`irq_on`, `wait_for_interrupt`, `halt_forever`, `entropy`, `number_source`, `summary` |
//! | `cpu_data`, `cpu_data_of` | a CPU's [`crate::percpu::CpuData`] |
//! | `paging` | the entry codec (`encode_page`, `encode_table`, `decode`, `LEVELS`), roots, TLB flushes |
//! | `context` | `prepare_stack`, `switch`, `enter_user`, FPU save and restore |
//! | `classify` | why user mode ended |
//! | `usercopy` | `copy_in`, `copy_out`, `zero`, `compare_exchange`, recovering from faults |
//! | `clock` | `now_ns`, `cycles`, `counter`, `arm`, calibration |
//! | `smp` | start CPUs, send interrupts between them |
//! | `console` | `put`, `put_raw` |
//! | `allocate_vector`, `route_isa` | where device interrupts arrive |
//! | `pci_windows`, `virtio_places` | where PCI configuration space lies in memory; devices that the firmware names |
//! | `port` | `read8` to `write32`: I/O ports |
//! | `power` | off, reset, exit of an emulator |
//! | `image_layout`, `image_start`, `frame_pointer` | where the kernel's text is, and the chain of calls on the stack |
//! | constants | `USER_TOP`, `USER_CODE`, `USER_DATA`, vectors |

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
mod x86_64;

#[cfg(not(target_os = "none"))]
pub use host::simulation;
#[cfg(not(target_os = "none"))]
pub(crate) use host::*;
#[cfg(all(target_os = "none", target_arch = "x86_64"))]
pub(crate) use x86_64::*;
