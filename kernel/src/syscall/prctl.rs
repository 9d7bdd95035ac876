//! prctl(2) and arch_prctl(2): settings of a task and its process.

use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use logic::signal::Signal;

use super::args::UserPtr;
use crate::process::{Cx, tree};

/// prctl(2).
pub(super) fn prctl(
    cx: &mut Cx,
    option: u32,
    second: u64,
    third: u64,
    fourth: u64,
    fifth: u64,
) -> Result<u64> {
    const PR_TSC_ENABLE: u32 = 1;
    let no_more = third | fourth | fifth == 0;
    match option {
        // PR_SET_PDEATHSIG, PR_GET_PDEATHSIG.
        1 => {
            let signal = match second {
                0 => None,
                number => Some(u32::try_from(number).ok().and_then(Signal::new).ok_or(Errno::EINVAL)?),
            };
            cx.task.state.lock().parent_death = signal;
            Ok(0)
        }
        2 => {
            let signal = cx.task.state.lock().parent_death;
            UserPtr::<u32>::at(second).write(&signal.map_or(0, Signal::number))?;
            Ok(0)
        }
        // PR_GET_DUMPABLE, PR_SET_DUMPABLE.
        3 => Ok(u64::from(cx.process().dumpable.load(Ordering::Relaxed))),
        4 => {
            let value = u32::try_from(second).ok().filter(|&value| value <= 1).ok_or(Errno::EINVAL)?;
            cx.process().dumpable.store(value, Ordering::Relaxed);
            Ok(0)
        }
        // PR_GET_SECCOMP: there is none.
        21 => Ok(0),
        // PR_GET_TSC, PR_SET_TSC: programs may always read the counter.
        25 => {
            UserPtr::<u32>::at(second).write(&PR_TSC_ENABLE)?;
            Ok(0)
        }
        26 if second == u64::from(PR_TSC_ENABLE) => Ok(0),
        // PR_SET_NAME, PR_GET_NAME.
        15 => set_name(cx, second).map(|()| 0),
        16 => get_name(cx, second).map(|()| 0),
        // PR_SET_TIMERSLACK, PR_GET_TIMERSLACK.
        29 => {
            cx.timer_slack_ns = if second == 0 { 50_000 } else { second };
            Ok(0)
        }
        30 => Ok(cx.timer_slack_ns),
        // PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER.
        36 => {
            let me = cx.process().pid;
            tree::with(|tree| tree.node_mut(me).map(|node| node.is_subreaper = second != 0))?;
            Ok(0)
        }
        37 => {
            let me = cx.process().pid;
            let is_subreaper = tree::with(|tree| tree.node(me).map(|node| node.is_subreaper))?;
            UserPtr::<u32>::at(second).write(&u32::from(is_subreaper))?;
            Ok(0)
        }
        // PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS.
        38 => {
            if second != 1 || !no_more {
                return Err(Errno::EINVAL);
            }
            cx.no_new_privileges = true;
            Ok(0)
        }
        39 => {
            if second != 0 || !no_more {
                return Err(Errno::EINVAL);
            }
            Ok(u64::from(cx.no_new_privileges))
        }
        // PR_GET_TID_ADDRESS.
        40 => {
            UserPtr::<u64>::at(second).write(&cx.clear_tid)?;
            Ok(0)
        }
        _ => super::ids::capability_option(cx, option, [second, third, fourth, fifth]),
    }
}

fn set_name(cx: &Cx, from: u64) -> Result<()> {
    let mut bytes = alloc::vec::Vec::new();
    match hal::usermem::read_string(&mut bytes, from, 15) {
        // What does not fit is cut off.
        Ok(()) | Err(Errno::ENAMETOOLONG) => {}
        Err(error) => return Err(error),
    }
    cx.task.state.lock().name = hal::boot::Text::from_bytes(&bytes);
    Ok(())
}

fn get_name(cx: &Cx, to: u64) -> Result<()> {
    let mut name = [0; 16];
    let text = cx.task.name();
    let bytes = text.as_str().as_bytes();
    name[..bytes.len().min(15)].copy_from_slice(&bytes[..bytes.len().min(15)]);
    UserPtr::<[u8; 16]>::at(to).write(&name)
}

/// arch_prctl(2).
pub(super) fn arch_prctl(cx: &mut Cx, code: u32, address: u64) -> Result<()> {
    match code {
        0x1001 | 0x1002 => {
            let is_set = if code == 0x1001 {
                cx.context.set_gs_base(address)
            } else {
                cx.context.set_fs_base(address)
            };
            if is_set { Ok(()) } else { Err(Errno::EPERM) }
        }
        0x1003 => UserPtr::<u64>::at(address).write(&cx.context.fs_base()),
        0x1004 => UserPtr::<u64>::at(address).write(&cx.context.gs_base()),
        _ => Err(Errno::EINVAL),
    }
}
