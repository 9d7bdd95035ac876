//! hal's upcalls: what the CPU reports, and who is told. The list is closed (docs/architecture.md).

use hal::trap::{Handlers, Registers};
use nucleus::sched;

use crate::panic;

/// The one implementation.
pub(crate) struct Kernel;

impl Handlers for Kernel {
    fn timer(&self) {
        sched::cpu::on_timer();
    }

    fn reschedule(&self) {
        // The request itself is a flag, and the end of every interrupt looks at it.
        panic::note_alive();
    }

    fn device(&self, vector: u8) {
        if nucleus::irq::dispatch(vector) {
            return;
        }
        static STRAY: nucleus::log::Limited = nucleus::log::Limited::new();
        STRAY.write(nucleus::log::Level::Warning, format_args!("interrupt {vector} has no driver; ignored"));
    }

    fn preempt(&self) {
        sched::preempt();
    }

    fn user_fault(&self, _address: u64, _is_write: bool) -> bool {
        // Programs have all their pages from the start: a fault is a bad pointer.
        false
    }

    fn report_place(&self, registers: &Registers) {
        panic::report_place(registers);
    }

    fn fatal(&self, registers: &Registers, address: Option<u64>) -> ! {
        panic::exception(registers, address)
    }
}
