//! The end of a task, and of a process with its last one.
//!
//! What it held goes first, while the task still stands; then it leaves its process; the last one turns the process into a
//! zombie, gives its children away and tells the parent.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use hal::spin::Once;
use logic::signal::{Signal, SignalInfo, WaitStatus};

use super::pid::Pid;
use super::task::{Cx, Process};
use super::{futex, signals, tree};

/// Who is told that the leader of a session has ended: its terminal, which lies above. Set once, at boot.
static ON_SESSION_END: Once<fn(Pid)> = Once::new();

/// Who is told that a process ends, and undoes what it wished: System V semaphores, which lie above. Set once, at boot.
static ON_PROCESS_END: Once<fn(Pid)> = Once::new();

/// Sets who is told that a process ends.
pub(crate) fn set_on_process_end(tell: fn(Pid)) {
    ON_PROCESS_END.call_once(|| tell);
}

/// Sets who is told that the leader of a session has ended.
pub(crate) fn set_on_session_end(tell: fn(Pid)) {
    ON_SESSION_END.call_once(|| tell);
}

/// Ends the running task, which called exit(2) with `code` or was told to end.
pub(crate) fn end_task(cx: Cx, code: Option<u8>) {
    futex::leave_all(&cx);
    clear_tid(&cx);
    let status = WaitStatus::Exited(code.unwrap_or(0));
    let task = cx.task.clone();
    let process = task.process.clone();
    process.times.note_peak(cx.memory.peak_pages());
    {
        let held = {
            let mut state = task.state.lock();
            (state.memory.take(), state.files.take(), state.fs.take())
        };
        drop(held);
    }
    let Cx { memory, files, fs, cred, vfork, .. } = cx;
    hal::context::enter_space(None);
    drop(memory);
    // After the memory: the parent may change it from now on.
    if let Some(vfork) = vfork {
        vfork.release();
    }
    drop((files, fs, cred));
    leave(&process, &task, status);
}

/// CLONE_CHILD_CLEARTID: whoever joins the thread waits for this word.
fn clear_tid(cx: &Cx) {
    let address = cx.clear_tid;
    // The last user of the memory has nobody to tell.
    if address != 0 && Arc::strong_count(&cx.memory) > 2 && hal::usermem::write(address, &0_u32).is_ok() {
        let _ = futex::wake(&cx.memory, address, futex::Scope::Any, 1, u32::MAX);
    }
}

/// Takes a task out of its process.
fn leave(process: &Arc<Process>, task: &Arc<super::task::Task>, status: WaitStatus) {
    let is_leader = task.tid() == process.pid;
    let (last, gone) = {
        let mut shared = process.shared.lock();
        if is_leader && shared.leader_status.is_none() {
            shared.leader_status = Some(status);
        }
        // The last one stays in the list: it is asked who it was until somebody has waited for the process.
        let is_last = shared.tasks.len() == 1;
        let gone = if is_last {
            None
        } else {
            let place = shared.tasks.iter().position(|other| Arc::ptr_eq(other, task));
            place.map(|place| shared.tasks.swap_remove(place))
        };
        if gone.is_some() {
            process.times.add(&task.times());
        }
        // A process whose every task called exit(2) ends as its first one did.
        if is_last && shared.ending.is_none() {
            shared.ending = shared.leader_status.or(Some(status));
        }
        (is_last.then_some(shared.ending).flatten(), gone)
    };
    drop(gone);
    // exec waits for the others.
    process.resumed.wake_all();
    // The number of the first task is the process's own: it goes with it.
    if !is_leader {
        drop(tree::with(|tree| tree.remove_task(task.tid())));
    }
    if let Some(status) = last {
        end_process(process, status);
    }
}

fn end_process(process: &Arc<Process>, status: WaitStatus) {
    process.timers.stop_all();
    if let Some(tell) = ON_PROCESS_END.get() {
        tell(process.pid);
    }
    let executable = process.executable.lock().take();
    drop(executable);
    let mut bereaved = Vec::new();
    let (group, session) = tree::with(|tree| {
        tree.orphan_children(process.pid, |child| bereaved.push((child.process.clone(), child.zombie)));
        tree.node(process.pid).map_or((Pid::NONE, Pid::NONE), |node| (node.group, node.session))
    });
    for (child, zombie) in bereaved {
        tell_of_parents_end(&child);
        // One that is over already is waited for by whoever adopted it.
        if let Some(status) = zombie {
            report_end(&child, status);
        }
        hang_up_if_orphaned(&child);
    }
    if session == process.pid
        && let Some(tell) = ON_SESSION_END.get()
    {
        tell(session);
    }
    hang_up_own_group(process, group);
    report_end(process, status);
}

/// Shows the end of a process to its parent, as a zombie; to a parent that wants none, as a child that is gone. In one
/// step with the signal: whoever waits for the child finds it sent.
fn report_end(process: &Arc<Process>, status: WaitStatus) {
    let (parent, is_unwanted) = tree::with(|tree| {
        let parent = tree.node(process.parent()).ok().map(|parent| parent.process.clone());
        let is_unwanted = parent.as_ref().is_some_and(|parent| {
            process.exit_signal.load(Ordering::Relaxed) == Signal::CHLD.number()
                && signals::leaves_no_zombies(parent)
        });
        if let Ok(node) = tree.node_mut(process.pid) {
            node.zombie = (!is_unwanted).then_some(status);
        }
        if let Some(parent) = &parent {
            signals::send_to_parent(parent, process, status);
        }
        (parent, is_unwanted)
    });
    if is_unwanted {
        tree::forget(process.pid);
    }
    process.ended.wake_all();
    if let Some(parent) = parent {
        parent.children_changed.wake_all();
    }
}

/// PR_SET_PDEATHSIG.
fn tell_of_parents_end(child: &Arc<Process>) {
    for task in child.tasks() {
        let wanted = task.state.lock().parent_death;
        if let Some(signal) = wanted {
            let _ = signals::send_to_task(&task, SignalInfo::kernel(signal));
        }
    }
}

/// A stopped process in a group that nobody can continue any more is hung up (setpgid(2)).
fn hang_up_if_orphaned(child: &Arc<Process>) {
    let group = tree::with(|tree| tree.node(child.pid).map(|node| node.group));
    if let Ok(group) = group {
        hang_up(group, None);
    }
}

fn hang_up_own_group(process: &Arc<Process>, group: Pid) {
    if group != Pid::NONE {
        hang_up(group, Some(process.pid));
    }
}

fn hang_up(group: Pid, without: Option<Pid>) {
    let members = tree::with(|tree| {
        if !tree.is_orphaned(group, without) {
            return Vec::new();
        }
        tree.group(group).map(|node| node.process.clone()).collect()
    });
    if !members.iter().any(|member| member.shared.lock().stopped.is_some()) {
        return;
    }
    for member in members.iter().filter(|member| Some(member.pid) != without) {
        for signal in [Signal::HUP, Signal::CONT] {
            let _ = signals::send(member, SignalInfo::kernel(signal));
        }
    }
}
