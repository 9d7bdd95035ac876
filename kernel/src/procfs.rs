//! What `/proc` asks of processes and the system: snapshots, each under the locks it needs and no longer.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use fs::procfs::{
    Controls, IpcLimit, IpcSort, Link, ProcessSource, Procfs, Setting, SystemNow, SystemSource, Target, Who,
};
use hal::boot::{BootInfo, Text};
use hal::spin::Once;
use hal::{cpu, frames, smp, trap};
use logic::cred::Capability;
use logic::proc_text::process::{Process as Shown, State};
use logic::proc_text::system::CpuTimes;
use logic::runq::Policy;
use nucleus::mm::Memory;
use nucleus::sched;
use nucleus::vfs::{FileSystem, OpenFile, Place};

use crate::process::limits::{RESOURCES, Resource};
use crate::process::task::TimesNow;
use crate::process::{Pid, Process, Task, fork, tree};
use crate::{ipc, process, system, tty};

struct Processes;
struct System;

static COMMAND_LINE: Once<&'static str> = Once::new();

/// Notes what `/proc/cmdline` shows.
pub(crate) fn init(boot: &'static BootInfo) {
    COMMAND_LINE.call_once(|| boot.command_line.as_str());
}

/// The file system.
pub(crate) fn file_system() -> Arc<dyn FileSystem> {
    Procfs::new(&Processes, &System)
}

fn find(who: Who) -> Result<(Arc<Process>, Arc<Task>)> {
    let process = tree::process(Pid(who.process))?;
    let task = if who.thread == who.process {
        process.any_task().ok_or(Errno::ESRCH)?
    } else {
        tree::task(Pid(who.thread))?
    };
    if Arc::ptr_eq(&task.process, &process) { Ok((process, task)) } else { Err(Errno::ESRCH) }
}

fn collect(numbers: impl Iterator<Item = Pid>) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for Pid(number) in numbers {
        all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        all.push(number);
    }
    Ok(all)
}

fn state_of(process: &Process, task: &Task) -> State {
    if tree::with(|tree| tree.node(process.pid).is_ok_and(|node| node.zombie.is_some())) {
        return State::Zombie;
    }
    if process.shared.lock().stopped.is_some() {
        return State::Stopped;
    }
    match task.thread() {
        Some(thread) if thread.is_ready() => State::Running,
        _ => State::Sleeping,
    }
}

/// Nice level, real-time priority and number of a policy.
fn policy_numbers(policy: Policy) -> (i32, u32, u32) {
    match policy {
        Policy::Fair(nice) => (i32::from(nice.level()), 0, 0),
        Policy::Fifo(priority) => (0, u32::from(priority.number()), 1),
        Policy::RoundRobin(priority) => (0, u32::from(priority.number()), 2),
        Policy::Batch(nice) => (i32::from(nice.level()), 0, 3),
        Policy::Idle => (0, 0, 5),
    }
}

impl ProcessSource for Processes {
    fn processes(&self) -> Result<Vec<u32>> {
        tree::with(|tree| collect(tree.nodes().map(|node| node.process.pid)))
    }

    fn threads(&self, process: u32) -> Result<Vec<u32>> {
        collect(tree::process(Pid(process))?.tasks().iter().map(|task| task.tid()))
    }

    fn current(&self) -> Option<Who> {
        let task = process::current()?;
        Some(Who { process: task.process.pid.0, thread: task.tid().0 })
    }

    fn owner(&self, who: Who) -> Result<(u32, u32)> {
        let (process, task) = find(who)?;
        if process.dumpable.load(Ordering::Relaxed) != 1 {
            return Ok((0, 0));
        }
        let cred = task.cred();
        Ok((cred.user.effective, cred.group.effective))
    }

    fn snapshot(&self, who: Who) -> Result<Shown> {
        let (process, task) = find(who)?;
        let is_whole = who.thread == who.process;
        let own = if is_whole { process.total_times() } else { task.times() };
        let children = if is_whole { process.children_times.now() } else { TimesNow::default() };
        let (group, session, exit_code) = tree::with(|tree| {
            let node = tree.node(process.pid)?;
            Ok::<_, Errno>((node.group, node.session, node.zombie.map_or(0, |status| status.encode())))
        })?;
        let policy = task.thread().map_or(Policy::default(), |thread| thread.policy());
        let (nice, real_time_priority, policy) = policy_numbers(policy);
        let terminal = tty::of_session(session);
        let cred = task.cred();
        let actions = task.state.lock().actions.clone();
        let (ignored, caught) = {
            let actions = actions.lock();
            (actions.ignored(), actions.caught())
        };
        let (shared_pending, queued, threads) = {
            let shared = process.shared.lock();
            (shared.pending.set(), shared.pending.queued() as u64, shared.tasks.len())
        };
        let (pending, name, fs, files) = {
            let state = task.state.lock();
            (state.pending.set(), state.name, state.fs.clone(), state.files.clone())
        };
        Ok(Shown {
            name: name.as_str().as_bytes().to_vec(),
            state: state_of(&process, &task),
            process: process.pid.0,
            thread: task.tid().0,
            parent: process.parent().0,
            group: group.0,
            session: session.0,
            terminal: terminal.map_or(0, |(device, _)| device),
            terminal_group: terminal.map(|(_, group)| group.0),
            minor_faults: [own.minor_faults, children.minor_faults],
            user_ns: [own.user_ns, children.user_ns],
            system_ns: [own.system_ns, children.system_ns],
            nice,
            real_time_priority,
            policy,
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            started_ns: process.started_ns,
            resident_limit: process.limits.get(5).map_or(u64::MAX, |limit| limit.soft),
            exit_signal: process.exit_signal.load(Ordering::Relaxed),
            exit_code,
            user: cred.user,
            group_ids: cred.group,
            groups: cred.groups.to_vec(),
            capabilities: cred.capabilities,
            pending: pending.bits(),
            shared_pending: shared_pending.bits(),
            blocked: task.blocked().bits(),
            ignored: ignored.bits(),
            caught: caught.bits(),
            queued: (queued, process.limits.soft(Resource::PendingSignals)),
            umask: fs.map(|fs| fs.mask()),
            descriptors: files
                .map_or(0, |files| u32::try_from(files.with(|files| files.capacity())).unwrap_or(u32::MAX)),
            cpus: task.thread().map_or(Shown::default().cpus, |thread| thread.affinity()),
            possible_cpus: u32::try_from(smp::present()).unwrap_or(1),
            switches: [own.switches, 0],
            ..Shown::default()
        })
    }

    fn memory(&self, who: Who) -> Result<Option<Arc<Memory>>> {
        Ok(find(who)?.1.memory())
    }

    fn check_inspect(&self, who: Who) -> Result<()> {
        let (process, task) = find(who)?;
        let Some(me) = process::current() else { return Ok(()) };
        if Arc::ptr_eq(&me.process, &process) {
            return Ok(());
        }
        let (mine, other) = (me.cred(), task.cred());
        let is_same =
            |me: u32, ids: logic::cred::Ids| me == ids.real && me == ids.effective && me == ids.saved;
        let is_own = is_same(mine.user.file, other.user) && is_same(mine.group.file, other.group);
        let is_dumpable = process.dumpable.load(Ordering::Relaxed) == 1;
        if mine.has(Capability::SysPtrace) || (is_own && is_dumpable) { Ok(()) } else { Err(Errno::EACCES) }
    }

    fn limits(&self, who: Who) -> Result<[(u64, u64); 16]> {
        let (process, _) = find(who)?;
        let mut limits = [(0, 0); RESOURCES];
        for (number, slot) in limits.iter_mut().enumerate() {
            let limit = process.limits.get(number)?;
            *slot = (limit.soft, limit.hard);
        }
        Ok(limits)
    }

    fn next_descriptor(&self, who: Who, from: u32) -> Result<Option<u32>> {
        let (_, task) = find(who)?;
        let files = task.state.lock().files.clone();
        Ok(files.and_then(|files| files.with(|files| files.next_open(from))))
    }

    fn link(&self, who: Who, link: Link) -> Result<Target> {
        let (process, task) = find(who)?;
        let (fs, files) = {
            let state = task.state.lock();
            (state.fs.clone(), state.files.clone())
        };
        let place = match link {
            Link::Descriptor(number) => {
                let number = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
                let file = files.ok_or(Errno::ENOENT)?.get(number).map_err(|_| Errno::ENOENT)?;
                return Ok(descriptor_target(&file));
            }
            Link::WorkingDirectory => fs.ok_or(Errno::ENOENT)?.directory(),
            Link::Root => fs.ok_or(Errno::ENOENT)?.root(),
            Link::Executable => {
                let executable = process.executable.lock().clone();
                executable.ok_or(Errno::ENOENT)?.place
            }
        };
        Ok(Target { text: path_of(&place), place: Some(place), file: None })
    }

    fn controls(&self, who: Who) -> Result<Controls> {
        let (process, task) = find(who)?;
        let adjustment = process.oom_adjustment.load(Ordering::Relaxed);
        let pages = task.memory().map_or(0, |memory| memory.resident_pages());
        let share = pages.saturating_mul(1000) / (frames::stats().total as u64).max(1);
        let score = i64::try_from(share).unwrap_or(1000) * 2 / 3 + 666 + i64::from(adjustment) * 2 / 3;
        Ok(Controls {
            oom_score: u32::try_from(score.max(0)).unwrap_or(0),
            oom_adjustment: adjustment,
            is_traced: process.is_traced.load(Ordering::Relaxed),
            personality: process.personality.load(Ordering::Relaxed),
        })
    }

    fn set(&self, who: Who, setting: Setting<'_>) -> Result<()> {
        let (process, task) = find(who)?;
        let me = process::current().ok_or(Errno::EACCES)?;
        match setting {
            Setting::Name(name) => {
                if !Arc::ptr_eq(&me.process, &process) {
                    return Err(Errno::EINVAL);
                }
                let name = name.split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or(name);
                task.state.lock().name = Text::from_bytes(&name[..name.len().min(15)]);
            }
            Setting::OomAdjustment(value) => {
                if !(-1000..=1000).contains(&value) {
                    return Err(Errno::EINVAL);
                }
                let is_lower = value < process.oom_adjustment.load(Ordering::Relaxed);
                if is_lower && !me.cred().has(Capability::SysResource) {
                    return Err(Errno::EACCES);
                }
                process.oom_adjustment.store(value, Ordering::Relaxed);
            }
            Setting::Trace(is_on) => process.is_traced.store(is_on, Ordering::Relaxed),
        }
        Ok(())
    }
}

/// A path as the reader sees it.
fn path_of(place: &Place) -> Vec<u8> {
    let mut path = Vec::new();
    let root = process::current().and_then(|me| me.state.lock().fs.clone());
    match root {
        Some(fs) => place.path(&fs.root(), &mut path),
        None => false,
    };
    if place.entry.is_removed() {
        path.extend_from_slice(b" (deleted)");
    }
    path
}

fn descriptor_target(file: &Arc<OpenFile>) -> Target {
    let text = match (file.place(), file.attributes()) {
        (Some(place), _) => path_of(place),
        (None, Some(attributes)) if attributes.kind == nucleus::vfs::FileKind::Fifo => {
            alloc::format!("pipe:[{}]", attributes.number).into_bytes()
        }
        _ => anonymous_name(file).as_bytes().to_vec(),
    };
    Target { text, place: file.place().cloned(), file: Some(file.clone()) }
}

/// What Linux calls files that have no name and no inode of their own.
fn anonymous_name(file: &OpenFile) -> &'static str {
    if process::signalfd::of(file).is_some() {
        return "anon_inode:[signalfd]";
    }
    fs::anonymous_name(&**file.file()).unwrap_or("anon_inode:[pidfd]")
}

impl SystemSource for System {
    fn now(&self) -> SystemNow {
        let uptime = hal::time::now_ns();
        let count = (0..cpu::MAX_CPUS).filter(|&number| smp::online_mask() & 1 << number != 0);
        let cpus = count.clone().map(|number| {
            let busy = sched::cpu::busy_ns(number);
            CpuTimes { user: busy, idle: uptime.saturating_sub(busy), ..CpuTimes::default() }
        });
        SystemNow {
            loads: system::loads(),
            cpus: cpus.collect(),
            interrupts: count.map(trap::interrupt_count).sum(),
            started: tree::fork_count(),
            tasks: tree::task_count(),
            last: tree::last_number(),
            number_limit: tree::PID_MAX,
            task_limit: u64::from(fork::threads_max()),
        }
    }

    fn release(&self) -> &str {
        system::RELEASE
    }

    fn version(&self) -> &str {
        system::VERSION
    }

    fn command_line(&self) -> &str {
        COMMAND_LINE.get().copied().unwrap_or("")
    }

    fn list_ipc(&self, sort: IpcSort, to: &mut logic::proc_text::Text) -> Result<()> {
        let me = process::current().ok_or(Errno::EACCES)?;
        ipc::list(sort, &me.cred(), to)
    }

    fn ipc_limits(&self, limit: IpcLimit) -> &'static [AtomicU64] {
        ipc::limits(limit)
    }

    fn host_name(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(system::host_name().as_str().as_bytes());
    }

    fn set_host_name(&self, name: &[u8]) -> Result<()> {
        if !process::current().is_some_and(|me| me.cred().has(Capability::SysAdmin)) {
            return Err(Errno::EPERM);
        }
        if name.len() > 64 {
            return Err(Errno::EINVAL);
        }
        system::set_host_name(name);
        Ok(())
    }
}
