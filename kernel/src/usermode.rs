//! The way from user code and back: one loop a thread.
//!
//! Everything a program causes passes here: system calls, faults, interrupts. After each trap comes the exit work:
//! end the program if it must end, give way if another thread should run.

use hal::user::{Trap, UserContext};
use nucleus::sched;

use crate::process::{Ending, Process, Signal};
use crate::syscall;

/// Runs `context` until its program ends.
pub(crate) fn run(process: &Process, mut context: UserContext) -> Ending {
    loop {
        match context.run() {
            Trap::SystemCall => {
                let result = syscall::dispatch(process, context.call_number(), context.call_arguments());
                context.set_result(result);
            }
            Trap::PageFault(fault) => {
                nucleus::info!(
                    "{}: {:?} of {} at {:#x}: {}",
                    process.name(),
                    fault.access,
                    fault.address,
                    context.registers().rip,
                    Signal::SEGV
                );
                process.end(Ending::Killed(Signal::SEGV));
            }
            Trap::Exception { vector, error } => {
                let signal = Signal::of_exception(vector);
                let rip = context.registers().rip;
                nucleus::info!("{}: exception {vector} ({error:#x}) at {rip:#x}: {signal}", process.name());
                process.end(Ending::Killed(signal));
            }
            Trap::Interrupt => {}
        }
        if let Some(ending) = process.ending() {
            return ending;
        }
        sched::preempt();
    }
}
