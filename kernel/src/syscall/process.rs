//! Processes: fork, exec, exit, wait, groups and sessions, limits.

use core::sync::atomic::Ordering;

use abi::file::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW};
use abi::process::{
    CLONE_FILES, CLONE_FS, CLONE_PIDFD, CLONE_VFORK, CLONE_VM, CSIGNAL, P_ALL, P_PGID, P_PID, P_PIDFD, WALL,
    WCLONE, WCONTINUED, WEXITED, WNOHANG, WNOTHREAD, WNOWAIT, WSTOPPED, WUNTRACED,
};
use abi::time::Timeval;
use abi::{Errno, Result};
use alloc::sync::Arc;
use logic::cred::Capability;
use logic::exec::{Budget, StringList};
use logic::fd_table::OnExec;
use logic::signal::{CoreDump, Signal, WaitStatus};
use nucleus::vfs::Last;

use super::args::{Address, Hex, UserPtr, UserString};
use crate::process::fork::{self, CloneRequest};
use crate::process::limits::{Limit, Resource};
use crate::process::task::TimesNow;
use crate::process::wait::{self, WaitFor, Waited};
use crate::process::{Cx, Pid, Process, cpu_time, exec, pidfd, signals, tree};

/// getpid(2).
#[inline]
pub(super) fn getpid(cx: &mut Cx) -> Result<Pid> {
    Ok(cx.process().pid)
}

/// gettid(2).
pub(super) fn gettid(cx: &mut Cx) -> Result<Pid> {
    Ok(cx.task.tid())
}

/// getppid(2).
#[inline]
pub(super) fn getppid(cx: &mut Cx) -> Result<Pid> {
    Ok(cx.process().parent())
}

/// fork(2).
pub(super) fn fork(cx: &mut Cx) -> Result<Pid> {
    fork::clone(cx, &CloneRequest { exit_signal: fork::FORK_SIGNAL, ..CloneRequest::default() })
}

/// vfork(2).
pub(super) fn vfork(cx: &mut Cx) -> Result<Pid> {
    let flags = CLONE_VFORK | CLONE_VM;
    fork::clone(cx, &CloneRequest { flags, exit_signal: fork::FORK_SIGNAL, ..CloneRequest::default() })
}

/// clone(2).
pub(super) fn clone(
    cx: &mut Cx,
    flags: u64,
    stack: Address,
    parent_tid: Address,
    child_tid: Address,
    tls: u64,
) -> Result<Pid> {
    let [signal, ..] = (flags & CSIGNAL).to_le_bytes();
    let request = CloneRequest {
        flags: flags & 0xffff_ff00,
        // One argument for both.
        pidfd: parent_tid.0,
        child_tid: child_tid.0,
        parent_tid: parent_tid.0,
        exit_signal: u32::from(signal),
        stack: stack.0,
        tls,
        number: None,
    };
    use abi::process::{CLONE_DETACHED, CLONE_PARENT_SETTID};
    if flags & CLONE_PIDFD != 0 && flags & (CLONE_PARENT_SETTID | CLONE_DETACHED) != 0 {
        return Err(Errno::EINVAL);
    }
    fork::clone(cx, &request)
}

/// clone3(2).
pub(super) fn clone3(cx: &mut Cx, arguments: Address, size: usize) -> Result<Pid> {
    /// `struct clone_args` as it first was, and as it is.
    const FIRST: usize = 64;
    const KNOWN: usize = 88;
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    if size < FIRST {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; KNOWN];
    hal::usermem::read_bytes(&mut bytes[..size.min(KNOWN)], arguments.0)?;
    for beyond in KNOWN..size {
        // What this kernel does not know must not be asked for.
        if hal::usermem::read::<u8>(arguments.0 + beyond as u64)? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    let word = |index: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
        u64::from_le_bytes(word)
    };
    let (stack, stack_size, set_tid, set_tid_size) = (word(5), word(6), word(8), word(9));
    const KNOWN_FLAGS: u64 = 0x3_ffff_ffff & !(abi::process::CLONE_DETACHED | CSIGNAL);
    let is_stack_whole = (stack == 0) == (stack_size == 0)
        && stack.checked_add(stack_size).is_some_and(|end| end <= hal::user::USER_TOP);
    let exit_signal = u32::try_from(word(4)).map_err(|_| Errno::EINVAL)?;
    let is_list_whole = (set_tid == 0) == (set_tid_size == 0) && set_tid_size <= 1;
    if !is_stack_whole || !is_list_whole || word(0) & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let has_thread = word(0) & (abi::process::CLONE_THREAD | abi::process::CLONE_PARENT) != 0;
    if has_thread && exit_signal != 0 {
        return Err(Errno::EINVAL);
    }
    let request = CloneRequest {
        flags: word(0),
        pidfd: word(1),
        child_tid: word(2),
        parent_tid: word(3),
        exit_signal,
        stack: stack.checked_add(stack_size).ok_or(Errno::EINVAL)?,
        tls: word(7),
        number: if set_tid == 0 { None } else { Some(UserPtr::<i32>::at(set_tid).read()?) },
    };
    fork::clone(cx, &request)
}

/// unshare(2) of what has no namespace.
pub(super) fn unshare(cx: &mut Cx, flags: u64) -> Result<()> {
    // What only threads share is the caller's own if it is the only one.
    const OF_THREADS: u64 =
        abi::process::CLONE_THREAD | abi::process::CLONE_SIGHAND | CLONE_VM | abi::process::CLONE_SYSVSEM;
    if flags & !(CLONE_FILES | CLONE_FS | OF_THREADS) != 0
        || (flags & OF_THREADS != 0 && cx.process().tasks().len() > 1)
    {
        return Err(Errno::EINVAL);
    }
    if flags & CLONE_FILES != 0 {
        super::file::unshare_files(cx)?;
    }
    if flags & CLONE_FS != 0 {
        let fs = Arc::new(cx.fs.copy());
        let old = cx.task.state.lock().fs.replace(fs.clone());
        drop(old);
        cx.fs = fs;
    }
    Ok(())
}

/// execve(2).
pub(super) fn execve(cx: &mut Cx, path: UserString, arguments: Address, environment: Address) -> Result<()> {
    execveat(cx, AT_FDCWD, path, arguments, environment, Hex(0))
}

/// execveat(2).
pub(super) fn execveat(
    cx: &mut Cx,
    fd: i32,
    path: UserString,
    arguments: Address,
    environment: Address,
    flags: Hex,
) -> Result<()> {
    if flags.0 & !(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut name = path.read()?;
    if name.is_empty() && flags.0 & AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    let mut is_name_lost = false;
    let stack_limit = cx.process().limits.soft(Resource::Stack);
    let program = {
        let walker = if fd == AT_FDCWD || name.is_empty() || name.first() == Some(&b'/') {
            cx.fs.walker(&cx.cred)
        } else {
            cx.fs.walker_from(&cx.cred, cx.files.get(fd)?.directory()?)
        };
        let place = if name.is_empty() && flags.0 & AT_EMPTY_PATH != 0 && fd != AT_FDCWD {
            let place = cx.files.get(fd)?.place().cloned().ok_or(Errno::EACCES)?;
            is_name_lost = closes_on_exec(cx, fd);
            name = alloc::format!("/dev/fd/{fd}").into_bytes();
            place
        } else {
            let keeps = flags.0 & AT_SYMLINK_NOFOLLOW != 0;
            let place = walker.resolve(&name, if keeps { Last::Keep } else { Last::Follow })?;
            if keeps && place.inode().attributes().kind == nucleus::vfs::FileKind::Symlink {
                return Err(Errno::ELOOP);
            }
            if fd != AT_FDCWD && name.first() != Some(&b'/') {
                is_name_lost = closes_on_exec(cx, fd);
                let relative = alloc::string::String::from_utf8_lossy(&name).into_owned();
                name = alloc::format!("/dev/fd/{fd}/{relative}").into_bytes();
            }
            place
        };
        let mut budget = Budget::for_stack(stack_limit);
        let mut arguments = strings(arguments, &mut budget)?;
        let environment = strings(environment, &mut budget)?;
        if arguments.count() == 0 {
            // Linux since 5.18: no program is left without its name.
            arguments.push(b"", &mut budget)?;
        }
        let request = exec::Request { place, name, arguments, environment, budget, is_name_lost };
        let personality = cx.process().personality.load(Ordering::Relaxed);
        exec::prepare(&walker, request, personality, stack_limit, !cx.no_new_privileges)
    };
    match program {
        Ok(program) => exec::change_over(cx, program),
        Err(exec::Refusal::Error(error)) => Err(error),
        Err(exec::Refusal::TooLate) => {
            let status = WaitStatus::Signaled { signal: Signal::SEGV, core: CoreDump::None };
            signals::end(cx.process(), status);
            Ok(())
        }
    }
}

fn closes_on_exec(cx: &Cx, fd: i32) -> bool {
    let on_exec = u32::try_from(fd).map(|fd| cx.files.with(|files| files.on_exec(fd)));
    matches!(on_exec, Ok(Ok(OnExec::Close)))
}

/// The strings that an array of pointers leads to.
fn strings(array: Address, budget: &mut Budget) -> Result<StringList> {
    let mut list = StringList::new();
    if array.0 == 0 {
        return Ok(list);
    }
    let pointers = UserPtr::<u64>::at(array.0);
    let mut buffer = alloc::vec::Vec::new();
    for index in 0.. {
        let pointer = pointers.offset(index).read()?;
        if pointer == 0 {
            break;
        }
        buffer.clear();
        let limit = budget.left().min(abi::limits::MAX_ARG_STRLEN);
        hal::usermem::read_string(&mut buffer, pointer, limit)
            .map_err(|error| if error == Errno::ENAMETOOLONG { Errno::E2BIG } else { error })?;
        list.push(&buffer, budget)?;
    }
    Ok(list)
}

/// exit_group(2).
pub(super) fn exit_group(cx: &mut Cx, code: i32) -> Result<()> {
    let [low, ..] = code.to_le_bytes();
    signals::end(cx.process(), WaitStatus::Exited(low));
    Ok(())
}

/// wait4(2).
pub(super) fn wait4(
    cx: &mut Cx,
    pid: i32,
    status: UserPtr<u32>,
    options: Hex,
    usage: UserPtr<[u64; 18]>,
) -> Result<Pid> {
    if options.0 & !(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL) != 0 {
        return Err(Errno::EINVAL);
    }
    let whom = match pid {
        -1 => WaitFor::Any,
        0 => WaitFor::Group(tree::with(|tree| tree.node(cx.process().pid).map(|node| node.group))?),
        i32::MIN => return Err(Errno::ESRCH),
        pid if pid < 0 => WaitFor::Group(Pid(pid.unsigned_abs())),
        pid => WaitFor::Child(Pid(pid.unsigned_abs())),
    };
    match wait::wait(cx, whom, options.0 | WEXITED)? {
        Some(waited) => {
            status.write_optional(&waited.status.encode())?;
            usage.write_optional(&usage_words(&waited.times))?;
            Ok(waited.pid)
        }
        None => Ok(Pid::NONE),
    }
}

/// `struct rusage`.
fn usage_words(times: &TimesNow) -> [u64; 18] {
    let mut words = [0; 18];
    for (at, ns) in [(0, times.user_ns), (2, times.system_ns)] {
        let time = Timeval::from_ns(ns);
        words[at] = time.seconds.cast_unsigned();
        words[at + 1] = time.microseconds.cast_unsigned();
    }
    words[4] = times.peak_pages * 4;
    words[8] = times.minor_faults;
    words[16] = times.switches;
    words
}

/// waitid(2).
pub(super) fn waitid(
    cx: &mut Cx,
    kind: u32,
    id: i32,
    info: UserPtr<[u8; 128]>,
    options: Hex,
    usage: UserPtr<[u64; 18]>,
) -> Result<()> {
    let known = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WNOTHREAD | WCLONE | WALL;
    if options.0 & !known != 0 || options.0 & (WEXITED | WSTOPPED | WCONTINUED) == 0 {
        return Err(Errno::EINVAL);
    }
    let mut options = options.0;
    let whom = match kind {
        P_ALL => WaitFor::Any,
        P_PID => WaitFor::Child(Pid::from_arg(id).ok_or(Errno::EINVAL)?),
        P_PGID if id == 0 => {
            WaitFor::Group(tree::with(|tree| tree.node(cx.process().pid).map(|node| node.group))?)
        }
        P_PGID => WaitFor::Group(Pid::from_arg(id).ok_or(Errno::EINVAL)?),
        P_PIDFD if id < 0 => return Err(Errno::EINVAL),
        P_PIDFD => {
            let file = cx.files.get(id)?;
            let process = pidfd::process_of(&file).ok_or(Errno::EBADF)?;
            if file.flags() & abi::file::O_NONBLOCK != 0 && options & WNOHANG == 0 {
                options |= WNOHANG;
            }
            WaitFor::Child(process.pid)
        }
        _ => return Err(Errno::EINVAL),
    };
    let waited = wait::wait(cx, whom, options)?;
    if let Some(waited) = &waited {
        usage.write_optional(&usage_words(&waited.times))?;
    } else if kind == P_PIDFD
        && options & WNOHANG != 0
        && cx.files.get(id)?.flags() & abi::file::O_NONBLOCK != 0
    {
        return Err(Errno::EAGAIN);
    }
    if info.is_null() {
        return Ok(());
    }
    info.write(&waited.as_ref().map_or([0; 128], wait_info))
}

/// What waitid(2) tells: only these fields, the rest is not touched on Linux and zero here.
fn wait_info(waited: &Waited) -> [u8; 128] {
    let mut info = [0; 128];
    let mut put = |at: usize, value: u32| info[at..at + 4].copy_from_slice(&value.to_le_bytes());
    put(0, Signal::CHLD.number());
    put(8, waited.status.code().cast_unsigned());
    put(16, waited.pid.0);
    put(20, waited.uid);
    put(24, waited.status.status());
    info
}

/// set_tid_address(2).
pub(super) fn set_tid_address(cx: &mut Cx, word: Address) -> Result<Pid> {
    cx.clear_tid = word.0;
    Ok(cx.task.tid())
}

/// set_robust_list(2).
pub(super) fn set_robust_list(cx: &mut Cx, head: Address, len: usize) -> Result<()> {
    const HEAD_SIZE: usize = 24;
    if len != HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    cx.robust_list = head.0;
    Ok(())
}

/// get_robust_list(2) of the task itself.
pub(super) fn get_robust_list(cx: &mut Cx, tid: i32, head: UserPtr<u64>, len: UserPtr<u64>) -> Result<()> {
    if tid != 0 && Pid::from_arg(tid) != Some(cx.task.tid()) {
        tree::task(Pid::from_arg(tid).ok_or(Errno::ESRCH)?)?;
        return Err(Errno::EPERM);
    }
    len.write(&24)?;
    head.write(&cx.robust_list)
}

fn process_or_self(cx: &Cx, pid: i32) -> Result<Arc<Process>> {
    match pid {
        0 => Ok(cx.process().clone()),
        pid => tree::process(Pid::from_arg(pid).ok_or(Errno::ESRCH)?),
    }
}

/// setpgid(2).
pub(super) fn setpgid(cx: &mut Cx, pid: i32, group: i32) -> Result<()> {
    if group < 0 || group == 0 && pid < 0 {
        return Err(Errno::EINVAL);
    }
    let me = cx.process().pid;
    let target = process_or_self(cx, pid)?.pid;
    let group = Pid::from_arg(group).unwrap_or(target);
    tree::with(|tree| {
        let (my_session, node) = (tree.node(me)?.session, tree.node(target)?);
        if target != me {
            if node.process.parent() != me {
                return Err(Errno::ESRCH);
            }
            if node.session != my_session {
                return Err(Errno::EPERM);
            }
            if node.process.has_execed.load(Ordering::Acquire) {
                return Err(Errno::EACCES);
            }
        }
        if node.session == target {
            return Err(Errno::EPERM);
        }
        let is_there = group == target || tree.group(group).any(|member| member.session == my_session);
        if !is_there {
            return Err(Errno::EPERM);
        }
        tree.node_mut(target)?.group = group;
        Ok(())
    })
}

/// getpgid(2).
pub(super) fn getpgid(cx: &mut Cx, pid: i32) -> Result<Pid> {
    let target = process_or_self(cx, pid)?.pid;
    tree::with(|tree| tree.node(target).map(|node| node.group))
}

/// getpgrp(2).
pub(super) fn getpgrp(cx: &mut Cx) -> Result<Pid> {
    getpgid(cx, 0)
}

/// getsid(2).
pub(super) fn getsid(cx: &mut Cx, pid: i32) -> Result<Pid> {
    let target = process_or_self(cx, pid)?.pid;
    tree::with(|tree| tree.node(target).map(|node| node.session))
}

/// setsid(2).
pub(super) fn setsid(cx: &mut Cx) -> Result<Pid> {
    let me = cx.process().pid;
    tree::with(|tree| {
        if tree.group(me).next().is_some() {
            return Err(Errno::EPERM);
        }
        let node = tree.node_mut(me)?;
        (node.group, node.session) = (me, me);
        Ok(me)
    })
}

/// prlimit64(2).
pub(super) fn prlimit64(
    cx: &mut Cx,
    pid: i32,
    resource: u32,
    new: UserPtr<[u64; 2]>,
    old: UserPtr<[u64; 2]>,
) -> Result<()> {
    let process = process_or_self(cx, pid)?;
    if !Arc::ptr_eq(&process, cx.process()) {
        let target = process.any_task().ok_or(Errno::ESRCH)?.cred();
        let (me, other) = (&cx.cred.user, &target.user);
        let is_same = me.real == other.real && me.real == other.effective && me.real == other.saved;
        if !is_same && !cx.cred.has(Capability::SysResource) {
            return Err(Errno::EPERM);
        }
    }
    let number = resource as usize;
    let before = process.limits.get(number)?;
    if let Some([soft, hard]) = new.read_optional()? {
        if soft > hard {
            return Err(Errno::EINVAL);
        }
        if number == Resource::Files as usize && hard > 1 << 20 {
            return Err(Errno::EPERM);
        }
        if hard > before.hard && !cx.cred.has(Capability::SysResource) {
            return Err(Errno::EPERM);
        }
        process.limits.set(number, Limit { soft, hard })?;
        apply_limit(&process, number, soft);
    }
    old.write_optional(&[before.soft, before.hard])
}

/// Limits that memory or the scheduler watches.
fn apply_limit(process: &Arc<Process>, number: usize, soft: u64) {
    if number == Resource::Cpu as usize {
        cpu_time::watch(process);
        return;
    }
    let Some(memory) = process.any_task().and_then(|task| task.memory()) else { return };
    let limits = &memory.limits;
    let target = match number {
        number if number == Resource::AddressSpace as usize => &limits.total,
        number if number == Resource::Data as usize => &limits.data,
        number if number == Resource::Stack as usize => &limits.stack,
        _ => return,
    };
    target.store(soft, Ordering::Relaxed);
}

/// getrlimit(2).
pub(super) fn getrlimit(cx: &mut Cx, resource: u32, to: UserPtr<[u64; 2]>) -> Result<()> {
    let limit = cx.process().limits.get(resource as usize)?;
    to.write(&[limit.soft, limit.hard])
}

/// setrlimit(2).
pub(super) fn setrlimit(cx: &mut Cx, resource: u32, from: UserPtr<[u64; 2]>) -> Result<()> {
    if from.is_null() {
        return Err(Errno::EFAULT);
    }
    prlimit64(cx, 0, resource, from, UserPtr::at(0))
}

/// getrusage(2).
pub(super) fn getrusage(cx: &mut Cx, who: i32, to: UserPtr<[u64; 18]>) -> Result<()> {
    let times = match who {
        0 => cx.process().total_times(),
        -1 => cx.process().children_times.now(),
        1 => cx.task.times(),
        _ => return Err(Errno::EINVAL),
    };
    to.write(&usage_words(&times))
}

/// times(2): in hundredths of a second.
pub(super) fn times(cx: &mut Cx, to: UserPtr<[u64; 4]>) -> Result<u64> {
    const TICK_NS: u64 = 10_000_000;
    let own = cx.process().total_times();
    let children = cx.process().children_times.now();
    let words = [own.user_ns, own.system_ns, children.user_ns, children.system_ns].map(|ns| ns / TICK_NS);
    to.write_optional(&words)?;
    Ok(hal::time::now_ns() / TICK_NS)
}

/// pidfd_open(2).
pub(super) fn pidfd_open(cx: &mut Cx, pid: i32, flags: Hex) -> Result<u32> {
    if flags.0 & !abi::file::O_NONBLOCK != 0 || pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let pid = Pid::from_arg(pid).ok_or(Errno::EINVAL)?;
    let process =
        tree::process(pid).map_err(|_| if tree::task(pid).is_ok() { Errno::EINVAL } else { Errno::ESRCH })?;
    Ok(pidfd::reserve(cx)?.publish(pidfd::open(&process, flags.0)))
}

/// pidfd_getfd(2).
pub(super) fn pidfd_getfd(cx: &mut Cx, fd: i32, target: i32, flags: Hex) -> Result<u32> {
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get(fd)?;
    let process = pidfd::process_of(&file).ok_or(Errno::EBADF)?;
    let task = process.any_task().ok_or(Errno::ESRCH)?;
    let other = task.cred().user;
    let me = &cx.cred.user;
    let is_same = me.file == other.real && me.file == other.effective && me.file == other.saved;
    if !is_same && !cx.cred.has(Capability::SysPtrace) {
        return Err(Errno::EPERM);
    }
    let files = task.state.lock().files.clone().ok_or(Errno::ESRCH)?;
    let found = files.get(target)?;
    cx.files.insert(found, 0, OnExec::Close, cx.process().limits.files())
}

/// personality(2).
pub(super) fn personality(cx: &mut Cx, persona: Hex) -> Result<u32> {
    let personality = &cx.process().personality;
    if persona.0 == u32::MAX {
        return Ok(personality.load(Ordering::Relaxed));
    }
    Ok(personality.swap(persona.0, Ordering::Relaxed))
}
