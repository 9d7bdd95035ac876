//! hal's upcalls: what the CPU reports, and who is told. The list is closed (docs/architecture.md).

use hal::trap::{Handlers, Registers};
use hal::user::AccessKind;
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

    fn user_fault(&self, address: u64, is_write: bool) -> bool {
        let access = if is_write { AccessKind::Write } else { AccessKind::Read };
        sched::current().owner().is_some_and(|owner| owner.resolve_fault(address, access))
    }

    fn report_place(&self, registers: &Registers) {
        panic::report_place(registers);
    }

    fn fatal(&self, registers: &Registers, address: Option<u64>) -> ! {
        panic::exception(registers, address)
    }
}
