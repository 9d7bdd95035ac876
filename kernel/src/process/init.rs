//! The first process: made by the kernel, and given its program as any other is.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};

use abi::{Errno, Result};
use hal::boot::Text;
use hal::context::Kind;
use hal::frames;
use hal::spin::Lock;
use hal::user::{AlternateStack, UserContext};
use logic::addr::VirtAddr;
use logic::cred::Cred;
use logic::exec::{Budget, StringList};
use logic::runq::Policy;
use logic::signal::{Actions, Pending, Signal, SignalSet};
use nucleus::mm::{Layout, Memory};
use nucleus::sched::{self, Thread, WaitQueue};
use nucleus::vfs::{Last, OpenFile, Place};

use super::cpu_time::CpuTimers;
use super::files::{Files, FsContext};
use super::limits::{Limits, Resource};
use super::pid::Pid;
use super::task::{Cx, Entry, Process, Shared, Task, TaskState, Times};
use super::timers::Timers;
use super::users::Slot;
use super::{exec, tree};

/// Starts the program at `path` as process 1 with `console` as its first three files.
///
/// # Errors
/// ENOENT and its kin for the path, ENOEXEC for the file, ENOMEM.
pub(crate) fn start(
    root: &Place,
    path: &[u8],
    arguments: &[&[u8]],
    environment: &[&[u8]],
    console: Option<Arc<OpenFile>>,
    entry: Entry,
) -> Result<Arc<Process>> {
    let number = tree::with(|tree| {
        tree.reserve(Pid::NONE)?;
        tree.free_number()
    })?;
    let mut cx = first_cx(number, root, entry)?;
    if let Some(console) = console {
        for _ in 0..3 {
            cx.files.insert(console.clone(), 0, logic::fd_table::OnExec::Keep, 3)?;
        }
    }
    let request = request(&cx, path, arguments, environment)?;
    let walker = cx.fs.walker(&cx.cred);
    let stack_limit = cx.process().limits.soft(Resource::Stack);
    let program = exec::prepare(&walker, request, 0, stack_limit, true).map_err(|refusal| match refusal {
        exec::Refusal::Error(error) => error,
        exec::Refusal::TooLate => Errno::ENOEXEC,
    })?;
    drop(walker);
    let (task, process) = (cx.task.clone(), cx.task.process.clone());
    let thread = Thread::new("init", Kind::User, Policy::default(), move || {
        // Nothing can interrupt it yet: the change cannot fail half-way.
        if exec::change_over(&mut cx, program).is_ok() {
            cx.keeps_registers = false;
            entry(cx, None);
        }
    })?;
    task.set_thread(thread.clone());
    process.shared.lock().tasks.push(task.clone());
    tree::with(|tree| {
        tree.add_process(process.clone(), Pid::NONE);
        if let Ok(node) = tree.node_mut(number) {
            (node.group, node.session) = (number, number);
        }
        tree.add_task(task);
    });
    sched::start(&thread);
    Ok(process)
}

fn first_cx(number: Pid, root: &Place, entry: Entry) -> Result<Cx> {
    let memory = Memory::new(Layout::default())?;
    let files = Arc::new(Files::new());
    let fs = Arc::new(FsContext::new(root.clone()));
    let cred = Arc::new(Cred::root());
    let mut tasks = Vec::new();
    tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let processes = frames::stats().total as u64 / 16;
    let process = Arc::new(Process {
        pid: number,
        parent: AtomicU32::new(0),
        shared: Lock::new(Shared {
            pending: Pending::new(),
            tasks,
            ending: None,
            stopped: None,
            continues: 0,
            leader_status: None,
        }),
        limits: Limits::new(processes),
        children_changed: WaitQueue::new(),
        resumed: WaitQueue::new(),
        signals_came: WaitQueue::new(),
        ended: WaitQueue::new(),
        started_ns: hal::time::now_ns(),
        times: Times::default(),
        children_times: Times::default(),
        executable: Lock::new(None),
        timers: Timers::new(),
        cpu_timers: CpuTimers::new(),
        was_stopped: AtomicBool::new(false),
        is_traced: AtomicBool::new(false),
        has_execed: AtomicBool::new(false),
        dumpable: AtomicU32::new(1),
        oom_adjustment: AtomicI32::new(0),
        personality: AtomicU32::new(0),
        barriers: AtomicU32::new(0),
        exit_signal: AtomicU32::new(Signal::CHLD.number()),
    });
    let state = TaskState {
        pending: Pending::new(),
        name: Text::from_bytes(b"init"),
        memory: Some(memory.clone()),
        files: Some(files.clone()),
        fs: Some(fs.clone()),
        actions: Arc::new(Lock::new(Actions::new())),
        cred: cred.clone(),
        slot: Slot::take(0, u64::MAX)?,
        parent_death: None,
    };
    let task = Task::new(number, process, state, SignalSet::EMPTY);
    Ok(Cx {
        task,
        context: UserContext::new(VirtAddr::ZERO, VirtAddr::ZERO),
        memory,
        files,
        fs,
        cred,
        alternate: AlternateStack::default(),
        saved_mask: None,
        clear_tid: 0,
        robust_list: 0,
        restart: None,
        vfork: None,
        keeps_registers: false,
        timer_slack_ns: 50_000,
        no_new_privileges: false,
        entry,
    })
}

fn request(cx: &Cx, path: &[u8], arguments: &[&[u8]], environment: &[&[u8]]) -> Result<exec::Request> {
    let place = cx.fs.walker(&cx.cred).resolve(path, Last::Follow)?;
    let mut budget = Budget::for_stack(cx.process().limits.soft(Resource::Stack));
    let (mut argv, mut envp) = (StringList::new(), StringList::new());
    argv.push(path, &mut budget)?;
    for argument in arguments {
        argv.push(argument, &mut budget)?;
    }
    for variable in environment {
        envp.push(variable, &mut budget)?;
    }
    Ok(exec::Request {
        place,
        name: path.to_vec(),
        arguments: argv,
        environment: envp,
        budget,
        is_name_lost: false,
    })
}
