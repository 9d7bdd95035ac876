//! futex(2).

use abi::process::{
    FUTEX_BITSET_MATCH_ANY, FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_LOCK_PI2,
    FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET,
    FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
};
use abi::time::Timespec;
use abi::{Errno, Result};
use hal::time::now_ns;
use nucleus::sched::Wait;

use super::args::{Address, UserPtr};
use crate::process::Cx;
use crate::process::futex::{self, Requeue, Scope, pi};
use crate::process::task::Restart;

fn scope(operation: u32) -> Scope {
    if operation & FUTEX_PRIVATE_FLAG != 0 { Scope::Private } else { Scope::Any }
}

/// futex(2).
pub(super) fn futex(
    cx: &mut Cx,
    address: Address,
    operation: i32,
    value: u32,
    timeout: u64,
    second: Address,
    third: u32,
) -> Result<u64> {
    let operation = operation.cast_unsigned();
    let command = operation & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    if operation & FUTEX_CLOCK_REALTIME != 0 && !matches!(command, FUTEX_WAIT_BITSET | FUTEX_LOCK_PI2) {
        return Err(Errno::ENOSYS);
    }
    let scope = scope(operation);
    // Where no time is expected the argument is a number.
    let [a, b, c, d, ..] = timeout.to_le_bytes();
    let count = u32::from_le_bytes([a, b, c, d]);
    match command {
        FUTEX_WAIT | FUTEX_WAIT_BITSET => {
            let deadline = deadline(UserPtr::at(timeout), operation, command)?;
            let bits = if command == FUTEX_WAIT { FUTEX_BITSET_MATCH_ANY } else { third };
            wait(cx, address.0, value, operation, deadline, bits)
        }
        FUTEX_WAKE => {
            let limit = value.cast_signed().max(1).unsigned_abs();
            futex::wake(&cx.memory, address.0, scope, limit, FUTEX_BITSET_MATCH_ANY).map(u64::from)
        }
        FUTEX_WAKE_BITSET => {
            let limit = value.cast_signed().max(1).unsigned_abs();
            futex::wake(&cx.memory, address.0, scope, limit, third).map(u64::from)
        }
        FUTEX_REQUEUE | FUTEX_CMP_REQUEUE => {
            if value.cast_signed() < 0 || count.cast_signed() < 0 {
                return Err(Errno::EINVAL);
            }
            let expected = (command == FUTEX_CMP_REQUEUE).then_some(third);
            let request = Requeue { wake: value, move_on: count, expected };
            let (woken, moved) = futex::requeue(&cx.memory, address.0, second.0, scope, &request)?;
            Ok(u64::from(woken + moved))
        }
        FUTEX_WAKE_OP => {
            let counts =
                (value.cast_signed().max(1).unsigned_abs(), count.cast_signed().max(1).unsigned_abs());
            futex::wake_op(&cx.memory, address.0, second.0, scope, counts, third).map(u64::from)
        }
        FUTEX_LOCK_PI | FUTEX_LOCK_PI2 => {
            let clock = if command == FUTEX_LOCK_PI { FUTEX_CLOCK_REALTIME } else { operation };
            let deadline = deadline(UserPtr::at(timeout), clock, command)?;
            pi::lock(cx, address.0, scope, until(deadline)).map(|()| 0)
        }
        FUTEX_TRYLOCK_PI => pi::try_lock(cx, address.0, scope).map(|()| 0),
        FUTEX_UNLOCK_PI => pi::unlock(cx, address.0, scope).map(|()| 0),
        _ => Err(Errno::ENOSYS),
    }
}

fn until(deadline: Option<u64>) -> Wait {
    deadline.map_or(Wait::INTERRUPTIBLE, |deadline| Wait::INTERRUPTIBLE.until(deadline))
}

/// When a wait ends, on the monotonic clock.
fn deadline(timeout: UserPtr<Timespec>, operation: u32, command: u32) -> Result<Option<u64>> {
    let Some(timeout) = timeout.read_optional()? else { return Ok(None) };
    let ns = timeout.to_ns().ok_or(Errno::EINVAL)?;
    Ok(Some(if command == FUTEX_WAIT {
        now_ns().saturating_add(ns)
    } else if operation & FUTEX_CLOCK_REALTIME != 0 {
        ns.saturating_sub(nucleus::clock::booted_at_ns())
    } else {
        ns
    }))
}

fn wait(
    cx: &mut Cx,
    address: u64,
    value: u32,
    operation: u32,
    deadline: Option<u64>,
    bits: u32,
) -> Result<u64> {
    match futex::wait(&cx.memory, address, scope(operation), value, bits, until(deadline)) {
        Err(Errno::ERESTARTSYS) => match deadline {
            None => Err(Errno::ERESTARTSYS),
            Some(deadline_ns) => {
                cx.restart = Some(Restart::Futex {
                    address,
                    value,
                    operation: operation.cast_signed(),
                    deadline_ns,
                    bitset: bits,
                });
                Err(Errno::ERESTART_RESTARTBLOCK)
            }
        },
        other => other.map(|()| 0),
    }
}

/// Goes on after a signal without a handler.
pub(super) fn go_on(
    cx: &mut Cx,
    address: u64,
    value: u32,
    operation: i32,
    deadline_ns: u64,
    bits: u32,
) -> Result<u64> {
    wait(cx, address, value, operation.cast_unsigned(), Some(deadline_ns), bits)
}
