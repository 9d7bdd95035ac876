//! Who a thread is: user and group ids, capabilities.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use logic::cred::{Capability, Cred, Ids, capability_bit};

use super::args::{Address, UserPtr};
use crate::process::{Cx, Pid, tree};

/// getuid(2).
pub(super) fn getuid(cx: &mut Cx) -> Result<u32> {
    Ok(cx.cred.user.real)
}

/// geteuid(2).
pub(super) fn geteuid(cx: &mut Cx) -> Result<u32> {
    Ok(cx.cred.user.effective)
}

/// getgid(2).
pub(super) fn getgid(cx: &mut Cx) -> Result<u32> {
    Ok(cx.cred.group.real)
}

/// getegid(2).
pub(super) fn getegid(cx: &mut Cx) -> Result<u32> {
    Ok(cx.cred.group.effective)
}

fn write_ids(ids: Ids, to: [UserPtr<u32>; 3]) -> Result<()> {
    let [real, effective, saved] = to;
    real.write(&ids.real)?;
    effective.write(&ids.effective)?;
    saved.write(&ids.saved)
}

/// getresuid(2).
pub(super) fn getresuid(
    cx: &mut Cx,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<()> {
    write_ids(cx.cred.user, [real, effective, saved])
}

/// getresgid(2).
pub(super) fn getresgid(
    cx: &mut Cx,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> Result<()> {
    write_ids(cx.cred.group, [real, effective, saved])
}

/// Whether all of the task's threads change with it is libc's business; a task changes itself.
fn set_users(cx: &mut Cx, user: Ids) {
    let mut cred = Cred::clone(&cx.cred);
    cred.change_user(user);
    cx.set_cred(cred);
}

fn set_groups(cx: &mut Cx, group: Ids) {
    let mut cred = Cred::clone(&cx.cred);
    cred.group = group;
    cx.set_cred(cred);
}

fn set_id(ids: Ids, id: u32, is_privileged: bool) -> Result<Ids> {
    if id == u32::MAX {
        return Err(Errno::EINVAL);
    }
    if is_privileged {
        return Ok(Ids::all(id));
    }
    if id != ids.real && id != ids.saved {
        return Err(Errno::EPERM);
    }
    Ok(Ids { effective: id, file: id, ..ids })
}

/// setuid(2).
pub(super) fn setuid(cx: &mut Cx, id: u32) -> Result<()> {
    let user = set_id(cx.cred.user, id, cx.cred.has(Capability::Setuid))?;
    set_users(cx, user);
    Ok(())
}

/// setgid(2).
pub(super) fn setgid(cx: &mut Cx, id: u32) -> Result<()> {
    let group = set_id(cx.cred.group, id, cx.cred.has(Capability::Setgid))?;
    set_groups(cx, group);
    Ok(())
}

fn set_re(ids: Ids, real: u32, effective: u32, is_privileged: bool) -> Result<Ids> {
    const KEEP: u32 = u32::MAX;
    let mut new = ids;
    if real != KEEP {
        if !is_privileged && real != ids.real && real != ids.effective {
            return Err(Errno::EPERM);
        }
        new.real = real;
    }
    if effective != KEEP {
        if !is_privileged && !ids.has(effective) {
            return Err(Errno::EPERM);
        }
        new.effective = effective;
    }
    if real != KEEP || (effective != KEEP && effective != ids.real) {
        new.saved = new.effective;
    }
    new.file = new.effective;
    Ok(new)
}

/// setreuid(2).
pub(super) fn setreuid(cx: &mut Cx, real: u32, effective: u32) -> Result<()> {
    let user = set_re(cx.cred.user, real, effective, cx.cred.has(Capability::Setuid))?;
    set_users(cx, user);
    Ok(())
}

/// setregid(2).
pub(super) fn setregid(cx: &mut Cx, real: u32, effective: u32) -> Result<()> {
    let group = set_re(cx.cred.group, real, effective, cx.cred.has(Capability::Setgid))?;
    set_groups(cx, group);
    Ok(())
}

fn set_res(ids: Ids, wanted: [u32; 3], is_privileged: bool) -> Result<Ids> {
    if !is_privileged && wanted.iter().any(|&id| id != u32::MAX && !ids.has(id)) {
        return Err(Errno::EPERM);
    }
    let choose = |wanted: u32, now: u32| if wanted == u32::MAX { now } else { wanted };
    let [real, effective, saved] = wanted;
    let effective = choose(effective, ids.effective);
    Ok(Ids { real: choose(real, ids.real), effective, saved: choose(saved, ids.saved), file: effective })
}

/// setresuid(2).
pub(super) fn setresuid(cx: &mut Cx, real: u32, effective: u32, saved: u32) -> Result<()> {
    let user = set_res(cx.cred.user, [real, effective, saved], cx.cred.has(Capability::Setuid))?;
    set_users(cx, user);
    Ok(())
}

/// setresgid(2).
pub(super) fn setresgid(cx: &mut Cx, real: u32, effective: u32, saved: u32) -> Result<()> {
    let group = set_res(cx.cred.group, [real, effective, saved], cx.cred.has(Capability::Setgid))?;
    set_groups(cx, group);
    Ok(())
}

/// setfsuid(2): the old one, whether it was changed or not.
pub(super) fn setfsuid(cx: &mut Cx, id: u32) -> Result<u32> {
    let user = cx.cred.user;
    if id != u32::MAX && (user.has(id) || user.file == id || cx.cred.has(Capability::Setuid)) {
        set_users(cx, Ids { file: id, ..user });
    }
    Ok(user.file)
}

/// setfsgid(2).
pub(super) fn setfsgid(cx: &mut Cx, id: u32) -> Result<u32> {
    let group = cx.cred.group;
    if id != u32::MAX && (group.has(id) || group.file == id || cx.cred.has(Capability::Setgid)) {
        set_groups(cx, Ids { file: id, ..group });
    }
    Ok(group.file)
}

/// getgroups(2).
pub(super) fn getgroups(cx: &mut Cx, count: i32, to: UserPtr<u32>) -> Result<usize> {
    let groups = cx.cred.groups.clone();
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if count == 0 {
        return Ok(groups.len());
    }
    if count < groups.len() {
        return Err(Errno::EINVAL);
    }
    for (index, group) in groups.iter().enumerate() {
        to.offset(index as u64).write(group)?;
    }
    Ok(groups.len())
}

/// setgroups(2).
pub(super) fn setgroups(cx: &mut Cx, count: usize, from: UserPtr<u32>) -> Result<()> {
    const NGROUPS_MAX: usize = 65536;
    if !cx.cred.has(Capability::Setgid) {
        return Err(Errno::EPERM);
    }
    if count > NGROUPS_MAX {
        return Err(Errno::EINVAL);
    }
    let mut groups = Vec::new();
    groups.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count as u64 {
        groups.push(from.offset(index).read()?);
    }
    groups.sort_unstable();
    let mut cred = Cred::clone(&cx.cred);
    cred.groups = Arc::new(groups);
    cx.set_cred(cred);
    Ok(())
}

const VERSION_3: u32 = 0x2008_0522;

/// The header of capget(2): how many words each set has.
fn capability_header(header: UserPtr<[u32; 2]>) -> Result<(usize, Option<Pid>)> {
    const VERSION_1: u32 = 0x1998_0330;
    const VERSION_2: u32 = 0x2007_1026;
    let [version, pid] = header.read()?;
    let words = match version {
        VERSION_1 => 1,
        VERSION_2 | VERSION_3 => 2,
        _ => {
            header.write(&[VERSION_3, pid])?;
            return Err(Errno::EINVAL);
        }
    };
    if pid.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    Ok((words, Pid::from_arg(pid.cast_signed())))
}

/// capget(2).
pub(super) fn capget(cx: &mut Cx, header: UserPtr<[u32; 2]>, data: Address) -> Result<()> {
    let (words, target) = match capability_header(header) {
        // Asking for the version only.
        Err(Errno::EINVAL) if data.0 == 0 => return Ok(()),
        other => other?,
    };
    let cred = match target {
        Some(pid) => tree::task(pid)?.cred(),
        None => cx.cred.clone(),
    };
    if data.0 == 0 {
        return Ok(());
    }
    let sets = [cred.capabilities.effective, cred.capabilities.permitted, cred.capabilities.inheritable];
    for word in 0..words {
        let part = sets.map(|set| super::args::low_half(set >> (32 * word)));
        UserPtr::<[u32; 3]>::at(data.0).offset(word as u64).write(&part)?;
    }
    Ok(())
}

/// capset(2).
pub(super) fn capset(cx: &mut Cx, header: UserPtr<[u32; 2]>, data: Address) -> Result<()> {
    let (words, target) = capability_header(header)?;
    if target.is_some_and(|pid| pid != cx.task.tid()) {
        return Err(Errno::EPERM);
    }
    let mut sets = [0_u64; 3];
    for word in 0..words {
        let part = UserPtr::<[u32; 3]>::at(data.0).offset(word as u64).read()?;
        for (set, part) in sets.iter_mut().zip(part) {
            *set |= u64::from(part) << (32 * word);
        }
    }
    let [effective, permitted, inheritable] = sets;
    let mut cred = Cred::clone(&cx.cred);
    cred.set_capabilities(effective, permitted, inheritable)?;
    cx.set_cred(cred);
    Ok(())
}

/// The options of prctl(2) that are about capabilities.
pub(super) fn capability_option(cx: &mut Cx, option: u32, arguments: [u64; 4]) -> Result<u64> {
    let mut cred = Cred::clone(&cx.cred);
    let number = arguments[0];
    match option {
        // PR_GET_KEEPCAPS, PR_SET_KEEPCAPS.
        7 => return Ok(u64::from(cred.secure.keeps_capabilities())),
        8 => match number {
            0 | 1 => cred.set_keeps_capabilities(number == 1)?,
            _ => return Err(Errno::EINVAL),
        },
        // PR_CAPBSET_READ, PR_CAPBSET_DROP.
        23 => return Ok(u64::from(cred.capabilities.bounding & capability_bit(number)? != 0)),
        24 => cred.drop_bounding(number)?,
        // PR_GET_SECUREBITS, PR_SET_SECUREBITS.
        27 => return Ok(u64::from(cred.secure.bits())),
        28 => cred.set_secure_bits(u32::try_from(number).map_err(|_| Errno::EPERM)?)?,
        // PR_CAP_AMBIENT.
        47 => {
            if let Some(shown) = ambient_option(&mut cred, arguments)? {
                return Ok(shown);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    cx.set_cred(cred);
    Ok(0)
}

/// Changes the ambient set, or shows whether a capability is in it.
fn ambient_option(cred: &mut Cred, [what, number, more, yet_more]: [u64; 4]) -> Result<Option<u64>> {
    const IS_SET: u64 = 1;
    const RAISE: u64 = 2;
    const LOWER: u64 = 3;
    const CLEAR_ALL: u64 = 4;
    if more | yet_more != 0 || what == CLEAR_ALL && number != 0 {
        return Err(Errno::EINVAL);
    }
    match what {
        IS_SET => return Ok(Some(u64::from(cred.capabilities.ambient & capability_bit(number)? != 0))),
        RAISE => cred.raise_ambient(number)?,
        LOWER => cred.capabilities.ambient &= !capability_bit(number)?,
        CLEAR_ALL => cred.capabilities.ambient = 0,
        _ => return Err(Errno::EINVAL),
    }
    Ok(None)
}
