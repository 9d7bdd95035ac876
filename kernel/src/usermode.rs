//! The way from user code and back: one loop a thread.
//!
//! Everything a program causes passes here: system calls, faults, interrupts. After each trap comes the exit work:
//! whatever the thread was interrupted for (its end, a stop, signals), and giving way if another thread should run.

use core::sync::atomic::Ordering;

use abi::signal::{BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR};
use hal::user::{Fault, Trap};
use logic::signal::{Signal, SignalInfo};
use nucleus::mm::FaultError;
use nucleus::sched;

use crate::process::signals::{self, Interrupted};
use crate::process::{Cx, exit};
use crate::syscall;

/// Runs a task from its first instruction to its end. `set_tid` is where it stores its number first
/// (CLONE_CHILD_SETTID).
pub(crate) fn start(mut cx: Cx, set_tid: Option<u64>) {
    cx.memory.enter();
    if let Some(address) = set_tid {
        // Linux does not mind if this fails.
        let _ = hal::usermem::write(address, &cx.task.tid().0);
    }
    let code = run(&mut cx);
    exit::end_task(cx, code);
}

/// Runs user code until the task ends; with what code, if it said one.
fn run(cx: &mut Cx) -> Option<u8> {
    // A task that runs has its thread.
    let task = cx.task.clone();
    let thread = task.thread()?;
    loop {
        let mut interrupted = None;
        match cx.context.run(&task.user_time, thread.interruption()) {
            Trap::SystemCall => {
                let number = cx.context.call_number();
                match syscall::dispatch(cx, number) {
                    syscall::Outcome::Value(value) => cx.context.set_result(value),
                    syscall::Outcome::Error(error) => {
                        cx.context.set_result(error.register_value());
                        if error.is_restart() {
                            interrupted = Some(Interrupted { number, error });
                        }
                    }
                    syscall::Outcome::Nothing => {}
                    syscall::Outcome::End(code) => return Some(code),
                }
            }
            Trap::PageFault(fault) => page_fault(cx, &fault),
            Trap::Exception { vector, .. } => exception(cx, vector),
            Trap::Interrupt => {}
        }
        if (thread.is_interrupted() || interrupted.is_some()) && signals::deliver(cx, interrupted).is_err() {
            return None;
        }
        sched::preempt();
    }
}

fn page_fault(cx: &Cx, fault: &Fault) {
    let address = fault.address.get();
    // Without memory the access is tried again, once there is room, or the task has been chosen to make it.
    let info = match cx.memory.fault(address, fault.access) {
        Ok(()) => {
            cx.task.minor_faults.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Err(FaultError::NotMapped) => SignalInfo::fault(Signal::SEGV, SEGV_MAPERR, address),
        Err(FaultError::Forbidden) => SignalInfo::fault(Signal::SEGV, SEGV_ACCERR, address),
        Err(FaultError::PastEnd) => SignalInfo::fault(Signal::BUS, BUS_ADRERR, address),
        Err(FaultError::Busy) => return,
        Err(FaultError::NoMemory) => {
            crate::process::oom::make_room(&cx.task);
            return;
        }
    };
    signals::force(&cx.task, info);
}

/// Which arithmetic went wrong: the first unmasked exception, in Linux's order (fpu__exception_code).
fn fpu_code(vector: u8) -> i32 {
    use abi::signal::{FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND};
    let Ok(fpu) = hal::context::fpu_status() else { return FPE_FLTINV };
    let raised =
        if vector == 16 { u32::from(fpu.status & !fpu.control) } else { !(fpu.mxcsr >> 7) & fpu.mxcsr };
    match raised {
        raised if raised & 0x01 != 0 => FPE_FLTINV,
        raised if raised & 0x04 != 0 => FPE_FLTDIV,
        raised if raised & 0x08 != 0 => FPE_FLTOVF,
        raised if raised & 0x12 != 0 => FPE_FLTUND,
        raised if raised & 0x20 != 0 => FPE_FLTRES,
        _ => 0,
    }
}

/// What Linux sends for an exception of user code (arch/x86/kernel/traps.c).
fn exception(cx: &Cx, vector: u8) {
    use abi::signal::{FPE_INTDIV, ILL_ILLOPN, TRAP_TRACE};
    let rip = cx.context.registers().rip;
    let info = match vector {
        0 => SignalInfo::fault(Signal::FPE, FPE_INTDIV, rip),
        1 => SignalInfo::fault(Signal::TRAP, TRAP_TRACE, rip),
        3 => SignalInfo::kernel(Signal::TRAP),
        6 => SignalInfo::fault(Signal::ILL, ILL_ILLOPN, rip),
        11 | 12 => SignalInfo::kernel(Signal::BUS),
        16 | 19 => SignalInfo::fault(Signal::FPE, fpu_code(vector), rip),
        17 => SignalInfo::fault(Signal::BUS, abi::signal::BUS_ADRALN, 0),
        _ => SignalInfo::kernel(Signal::SEGV),
    };
    signals::force(&cx.task, info);
}
