//! Scheduling: classes, priorities, affinity.

use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
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

/// What becomes of children (SCHED_RESET_ON_FORK).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Children {
    Inherit,
    Reset,
}

fn children_of(task: &Task) -> Children {
    if task.resets_on_fork.load(Ordering::Relaxed) { Children::Reset } else { Children::Inherit }
}

fn set(cx: &Cx, target: &Arc<Task>, policy: Policy, children: Children) -> Result<()> {
    if !may_change(cx, target) {
        return Err(Errno::EPERM);
    }
    // Only the privileged let children have again what they were denied.
    let gives_back = children == Children::Inherit && children_of(target) == Children::Reset;
    if gives_back && !cx.cred.has(Capability::SysNice) {
        return Err(Errno::EPERM);
    }
    let before = policy_of(target);
    let limits = &target.process.limits;
    let is_allowed = match policy {
        Policy::Fifo(priority) | Policy::RoundRobin(priority) => {
            u64::from(priority.number())
                <= limits.soft(Resource::RealTimePriority).max(u64::from(priority_of(before)))
        }
        Policy::Fair(nice) | Policy::Batch(nice) => {
            may_be_nice(limits.soft(Resource::Nice), nice, nice_of(before))
        }
        Policy::Idle => true,
    };
    if !is_allowed && !cx.cred.has(Capability::SysNice) {
        return Err(Errno::EPERM);
    }
    if let Some(thread) = target.thread() {
        sched::set_policy(thread, policy);
    }
    target.resets_on_fork.store(children == Children::Reset, Ordering::Relaxed);
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
    let number = policy.cast_unsigned();
    let children = if number & SCHED_RESET_ON_FORK != 0 { Children::Reset } else { Children::Inherit };
    set(cx, &target, policy_from(number & !SCHED_RESET_ON_FORK, priority, nice)?, children)
}

/// sched_getscheduler(2).
pub(super) fn sched_getscheduler(cx: &mut Cx, pid: i32) -> Result<u32> {
    let task = task(cx, pid)?;
    let flag = if children_of(&task) == Children::Reset { SCHED_RESET_ON_FORK } else { 0 };
    Ok(number_of(policy_of(&task)) | flag)
}

/// sched_setparam(2).
pub(super) fn sched_setparam(cx: &mut Cx, pid: i32, parameter: UserPtr<u32>) -> Result<()> {
    if parameter.is_null() {
        return Err(Errno::EINVAL);
    }
    let priority = parameter.read()?;
    let target = task(cx, pid)?;
    let now = policy_of(&target);
    let policy = policy_from(number_of(now), priority, nice_of(now))?;
    set(cx, &target, policy, children_of(&target))
}

/// sched_getparam(2).
pub(super) fn sched_getparam(cx: &mut Cx, pid: i32, parameter: UserPtr<u32>) -> Result<()> {
    if parameter.is_null() {
        return Err(Errno::EINVAL);
    }
    let target = task(cx, pid)?;
    parameter.write(&priority_of(policy_of(&target)))
}

const FLAG_RESET_ON_FORK: u32 = 0x01;
const FLAG_KEEP_POLICY: u32 = 0x08;
const FLAG_KEEP_PARAMS: u32 = 0x10;
/// Those of the deadline class, and limits to the CPU's speed, which are accepted and ignored.
const FLAGS_OTHER: u32 = 0x02 | 0x04 | 0x20 | 0x40;
/// `struct sched_attr` as it first was, and with the limits to the CPU's speed.
const ATTRIBUTES_SIZE: u32 = 48;
const ATTRIBUTES_SIZE_NOW: u32 = 56;

/// sched_setattr(2).
pub(super) fn sched_setattr(cx: &mut Cx, pid: i32, attributes: UserPtr<[u32; 12]>, flags: Hex) -> Result<()> {
    if attributes.is_null() || pid < 0 || flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    check_attributes_size(attributes.address())?;
    let [_, number, flags, flags_high, nice, priority, ..] = attributes.read()?;
    if number.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    let target = task(cx, pid)?;
    let now = policy_of(&target);
    let known = FLAG_RESET_ON_FORK | FLAG_KEEP_POLICY | FLAG_KEEP_PARAMS | FLAGS_OTHER;
    if flags & !known != 0 || flags_high != 0 {
        return Err(Errno::EINVAL);
    }
    let number = if flags & FLAG_KEEP_POLICY != 0 { number_of(now) } else { number };
    let (priority, nice) = if flags & FLAG_KEEP_PARAMS != 0 {
        (priority_of(now), nice_of(now))
    } else {
        (priority, Nice::clamped(nice.cast_signed()))
    };
    let children = if flags & FLAG_KEEP_POLICY != 0 {
        children_of(&target)
    } else if flags & FLAG_RESET_ON_FORK != 0 {
        Children::Reset
    } else {
        Children::Inherit
    };
    set(cx, &target, policy_from(number, priority, nice)?, children)
}

/// What a newer program has and this kernel does not know must be zero; what is expected is told.
fn check_attributes_size(address: u64) -> Result<()> {
    const PAGE: u32 = 4096;
    let size = match UserPtr::<u32>::at(address).read()? {
        0 => ATTRIBUTES_SIZE,
        size => size,
    };
    let mut is_known = (ATTRIBUTES_SIZE..=PAGE).contains(&size);
    for beyond in ATTRIBUTES_SIZE_NOW..if is_known { size } else { 0 } {
        is_known &= hal::usermem::read::<u8>(address + u64::from(beyond))? == 0;
    }
    if is_known {
        return Ok(());
    }
    UserPtr::<u32>::at(address).write(&ATTRIBUTES_SIZE_NOW)?;
    Err(Errno::E2BIG)
}

/// sched_getattr(2).
pub(super) fn sched_getattr(
    cx: &mut Cx,
    pid: i32,
    attributes: UserPtr<[u32; 12]>,
    size: u32,
    flags: Hex,
) -> Result<()> {
    if attributes.is_null() || pid < 0 || flags.0 != 0 || !(ATTRIBUTES_SIZE..=4096).contains(&size) {
        return Err(Errno::EINVAL);
    }
    let task = task(cx, pid)?;
    let policy = policy_of(&task);
    let nice = i32::from(nice_of(policy).level()).cast_unsigned();
    let flags = if children_of(&task) == Children::Reset { FLAG_RESET_ON_FORK } else { 0 };
    let (number, priority) = (number_of(policy), priority_of(policy));
    attributes.write(&[ATTRIBUTES_SIZE, number, flags, 0, nice, priority, 0, 0, 0, 0, 0, 0])
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
        let changed = set(cx, &task, policy, children_of(&task));
        // More than the limit allows is another error than somebody else's process.
        let changed = match changed {
            Err(Errno::EPERM) if may_change(cx, &task) => Err(Errno::EACCES),
            other => other,
        };
        outcome = outcome.and(changed);
    }
    outcome
}
