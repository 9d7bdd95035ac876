//! Scheduling: classes, priorities, affinity.

use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::sync::Arc;
use logic::cpuset::CpuSet;
use logic::cred::Capability;
use logic::runq::{Nice, Policy, Priority, ROUND_ROBIN_SLICE_NS};
use nucleus::sched;

use super::args::{Address, Hex, UserPtr};
use crate::process::limits::Resource;
use crate::process::{Cx, Pid, Task, tree};

/// sched_yield(2).
pub(super) fn sched_yield(_cx: &mut Cx) -> Result<()> {
    sched::yield_now();
    Ok(())
}

fn task(cx: &Cx, pid: i32) -> Result<Arc<Task>> {
    match pid {
        0 => Ok(cx.task.clone()),
        pid if pid < 0 => Err(Errno::EINVAL),
        pid => tree::task(Pid(pid.unsigned_abs())),
    }
}

fn policy_of(task: &Task) -> Policy {
    task.thread().map_or(Policy::default(), |thread| thread.policy())
}

const SCHED_OTHER: u32 = 0;
const SCHED_FIFO: u32 = 1;
const SCHED_RR: u32 = 2;
const SCHED_BATCH: u32 = 3;
const SCHED_IDLE: u32 = 5;
const SCHED_RESET_ON_FORK: u32 = 0x4000_0000;

fn number_of(policy: Policy) -> u32 {
    match policy {
        Policy::Fair(_) => SCHED_OTHER,
        Policy::Fifo(_) => SCHED_FIFO,
        Policy::RoundRobin(_) => SCHED_RR,
        Policy::Batch(_) => SCHED_BATCH,
        Policy::Idle => SCHED_IDLE,
    }
}

fn nice_of(policy: Policy) -> Nice {
    match policy {
        Policy::Fair(nice) | Policy::Batch(nice) => nice,
        _ => Nice::default(),
    }
}

fn priority_of(policy: Policy) -> u32 {
    match policy {
        Policy::Fifo(priority) | Policy::RoundRobin(priority) => u32::from(priority.number()),
        _ => 0,
    }
}

/// A policy by its number, if the priority goes with it.
fn policy_from(number: u32, priority: u32, nice: Nice) -> Result<Policy> {
    let real_time = || u8::try_from(priority).ok().and_then(Priority::new).ok_or(Errno::EINVAL);
    let without = |policy| if priority == 0 { Ok(policy) } else { Err(Errno::EINVAL) };
    match number {
        SCHED_OTHER => without(Policy::Fair(nice)),
        SCHED_FIFO => Ok(Policy::Fifo(real_time()?)),
        SCHED_RR => Ok(Policy::RoundRobin(real_time()?)),
        SCHED_BATCH => without(Policy::Batch(nice)),
        SCHED_IDLE => without(Policy::Idle),
        _ => Err(Errno::EINVAL),
    }
}

fn may_change(cx: &Cx, target: &Task) -> bool {
    let other = target.cred().user;
    let me = cx.cred.user.effective;
    me == other.effective || me == other.real || cx.cred.has(Capability::SysNice)
}

fn set(cx: &Cx, target: &Arc<Task>, policy: Policy) -> Result<()> {
    if !may_change(cx, target) {
        return Err(Errno::EPERM);
    }
    let before = policy_of(target);
    let limits = &target.process.limits;
    let is_allowed = match policy {
        Policy::Fifo(priority) | Policy::RoundRobin(priority) => {
            u64::from(priority.number()) <= limits.soft(Resource::RealTimePriority).max(u64::from(priority_of(before)))
        }
        Policy::Fair(nice) | Policy::Batch(nice) => may_be_nice(limits.soft(Resource::Nice), nice, nice_of(before)),
        Policy::Idle => true,
    };
    if !is_allowed && !cx.cred.has(Capability::SysNice) {
        return Err(Errno::EPERM);
    }
    if let Some(thread) = target.thread() {
        sched::set_policy(thread, policy);
    }
    Ok(())
}

/// RLIMIT_NICE counts from 1 (19) to 40 (-20).
fn may_be_nice(limit: u64, nice: Nice, before: Nice) -> bool {
    nice.level() >= before.level() || i64::from(20 - nice.level()) <= i64::try_from(limit).unwrap_or(i64::MAX)
}

/// sched_setscheduler(2).
pub(super) fn sched_setscheduler(cx: &mut Cx, pid: i32, policy: i32, parameter: UserPtr<u32>) -> Result<()> {
    if pid < 0 || policy < 0 || parameter.is_null() {
        return Err(Errno::EINVAL);
    }
    let priority = parameter.read()?;
    let target = task(cx, pid)?;
    let nice = nice_of(policy_of(&target));
    let policy = policy_from(policy.cast_unsigned() & !SCHED_RESET_ON_FORK, priority, nice)?;
    set(cx, &target, policy)
}

/// sched_getscheduler(2).
pub(super) fn sched_getscheduler(cx: &mut Cx, pid: i32) -> Result<u32> {
    Ok(number_of(policy_of(&*task(cx, pid)?)))
}

/// sched_setparam(2).
pub(super) fn sched_setparam(cx: &mut Cx, pid: i32, parameter: UserPtr<u32>) -> Result<()> {
    if parameter.is_null() {
        return Err(Errno::EINVAL);
    }
    let priority = parameter.read()?;
    let target = task(cx, pid)?;
    let now = policy_of(&target);
    set(cx, &target, policy_from(number_of(now), priority, nice_of(now))?)
}

/// sched_getparam(2).
pub(super) fn sched_getparam(cx: &mut Cx, pid: i32, parameter: UserPtr<u32>) -> Result<()> {
    if parameter.is_null() {
        return Err(Errno::EINVAL);
    }
    let target = task(cx, pid)?;
    parameter.write(&priority_of(policy_of(&target)))
}

/// sched_setattr(2).
pub(super) fn sched_setattr(cx: &mut Cx, pid: i32, attributes: UserPtr<[u32; 12]>, flags: Hex) -> Result<()> {
    const SIZE: u32 = 48;
    if attributes.is_null() || pid < 0 || flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let size = UserPtr::<u32>::at(attributes.address()).read()?;
    if size != 0 && size < SIZE {
        UserPtr::<u32>::at(attributes.address()).write(&SIZE)?;
        return Err(Errno::E2BIG);
    }
    let [_, policy, _, _, nice, priority, ..] = attributes.read()?;
    let target = task(cx, pid)?;
    let policy = policy_from(policy, priority, Nice::clamped(nice.cast_signed()))?;
    set(cx, &target, policy)
}

/// sched_getattr(2).
pub(super) fn sched_getattr(
    cx: &mut Cx,
    pid: i32,
    attributes: UserPtr<[u32; 12]>,
    size: u32,
    flags: Hex,
) -> Result<()> {
    const SIZE: u32 = 48;
    if attributes.is_null() || pid < 0 || flags.0 != 0 || !(SIZE..=4096).contains(&size) {
        return Err(Errno::EINVAL);
    }
    let policy = policy_of(&*task(cx, pid)?);
    let nice = i32::from(nice_of(policy).level()).cast_unsigned();
    attributes.write(&[SIZE, number_of(policy), 0, 0, nice, priority_of(policy), 0, 0, 0, 0, 0, 0])
}

/// sched_get_priority_max(2).
pub(super) fn sched_get_priority_max(_cx: &mut Cx, policy: u32) -> Result<u32> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(99),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_min(2).
pub(super) fn sched_get_priority_min(_cx: &mut Cx, policy: u32) -> Result<u32> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok(1),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_rr_get_interval(2).
pub(super) fn sched_rr_get_interval(cx: &mut Cx, pid: i32, to: UserPtr<Timespec>) -> Result<()> {
    let ns = match policy_of(&*task(cx, pid)?) {
        Policy::RoundRobin(_) => ROUND_ROBIN_SLICE_NS,
        Policy::Fifo(_) => 0,
        _ => logic::runq::FAIR_SLICE_NS,
    };
    to.write(&Timespec::from_ns(ns))
}

/// sched_setaffinity(2).
pub(super) fn sched_setaffinity(cx: &mut Cx, pid: i32, len: u32, mask: Address) -> Result<()> {
    let mut bytes = [0; 8];
    let len = (len as usize).min(8);
    hal::usermem::read_bytes(&mut bytes[..len], mask.0)?;
    let target = task(cx, pid)?;
    if !may_change(cx, &target) {
        return Err(Errno::EPERM);
    }
    let wanted = CpuSet::from_words([u64::from_le_bytes(bytes), 0, 0, 0]);
    let thread = target.thread().ok_or(Errno::ESRCH)?;
    sched::set_affinity(thread, wanted)
}

/// sched_getaffinity(2): how many bytes it wrote.
pub(super) fn sched_getaffinity(cx: &mut Cx, pid: i32, len: u32, mask: Address) -> Result<usize> {
    if len < 8 || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let target = task(cx, pid)?;
    let allowed = target.thread().ok_or(Errno::ESRCH)?.affinity();
    let online = CpuSet::from_words([hal::smp::online_mask(), 0, 0, 0]);
    let word = allowed.and(&online).words()[0];
    hal::usermem::write_bytes(mask.0, &word.to_le_bytes())?;
    Ok(8)
}

const PRIO_PROCESS: u32 = 0;
const PRIO_PGRP: u32 = 1;
const PRIO_USER: u32 = 2;

/// The tasks that getpriority(2) means.
fn tasks(cx: &Cx, which: u32, who: i32) -> Result<alloc::vec::Vec<Arc<Task>>> {
    let found: alloc::vec::Vec<Arc<Task>> = match which {
        PRIO_PROCESS => {
            let task = if who == 0 { Ok(cx.task.clone()) } else { tree::task(Pid(who.cast_unsigned())) };
            task.into_iter().collect()
        }
        PRIO_PGRP => {
            let group = if who == 0 {
                tree::with(|tree| tree.node(cx.process().pid).map(|node| node.group))?
            } else {
                Pid(who.cast_unsigned())
            };
            let members = tree::processes(|node| node.group == group);
            members.iter().flat_map(|process| process.tasks()).collect()
        }
        PRIO_USER => {
            let user = if who == 0 { cx.cred.user.real } else { who.cast_unsigned() };
            tree::with(|tree| tree.tasks().filter(|task| task.cred().user.real == user).cloned().collect())
        }
        _ => return Err(Errno::EINVAL),
    };
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// getpriority(2): 20 less the nice level, so that no result looks like an error.
pub(super) fn getpriority(cx: &mut Cx, which: u32, who: i32) -> Result<u32> {
    let tasks = tasks(cx, which, who)?;
    let lowest = tasks.iter().map(|task| nice_of(policy_of(task)).level()).min().unwrap_or(0);
    Ok(u32::from((20 - lowest).unsigned_abs()))
}

/// setpriority(2).
pub(super) fn setpriority(cx: &mut Cx, which: u32, who: i32, level: i32) -> Result<()> {
    let nice = Nice::clamped(level);
    let mut outcome = Ok(());
    for task in tasks(cx, which, who)? {
        let now = policy_of(&task);
        let policy = match now {
            Policy::Fair(_) => Policy::Fair(nice),
            Policy::Batch(_) => Policy::Batch(nice),
            other => other,
        };
        let changed = set(cx, &task, policy);
        // More than the limit allows is another error than somebody else's process.
        let changed = match changed {
            Err(Errno::EPERM) if may_change(cx, &task) => Err(Errno::EACCES),
            other => other,
        };
        outcome = outcome.and(changed);
    }
    outcome
}
