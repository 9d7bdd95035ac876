//! Waiting for children: wait4(2), waitid(2).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::process::{WALL, WCLONE, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED};
use abi::{Errno, Result};
use logic::signal::{Signal, WaitStatus};
use nucleus::sched::Wait;

use super::pid::Pid;
use super::task::{Cx, Process, TimesNow};
use super::tree::{self, Node, Tree};

/// Which children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// Any.
    Any,
    /// This one.
    Child(Pid),
    /// One of this group.
    Group(Pid),
}

/// A child that changed its state.
pub(crate) struct Waited {
    /// Its number.
    pub(crate) pid: Pid,
    /// Its real user.
    pub(crate) uid: u32,
    /// How.
    pub(crate) status: WaitStatus,
    /// What it used, with the children it waited for.
    pub(crate) times: TimesNow,
}

/// Waits for a child; `None` if there is none ready and `WNOHANG`.
///
/// # Errors
/// ECHILD if there is none to wait for; ERESTARTSYS.
pub(crate) fn wait(cx: &Cx, whom: WaitFor, options: u32) -> Result<Option<Waited>> {
    let me = cx.process();
    let wait = if options & WNOHANG != 0 { Wait::NEVER } else { Wait::INTERRUPTIBLE };
    match me.children_changed.block_until(wait, || look(me, whom, options)) {
        Ok(waited) => Ok(Some(waited)),
        Err(Errno::EAGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

fn look(me: &Arc<Process>, whom: WaitFor, options: u32) -> Result<Waited> {
    let (process, status, is_over) = tree::with(|tree| {
        let Some((pid, status)) = find(tree, me.pid, whom, options)? else { return Err(Errno::EAGAIN) };
        let node = tree.node_mut(pid)?;
        let process = node.process.clone();
        if options & WNOWAIT != 0 {
            return Ok((process, status, false));
        }
        match status {
            WaitStatus::Stopped(_) => node.stop = None,
            WaitStatus::Continued => node.has_continued = false,
            // Taken: no other thread that waits gets it too.
            _ => node.zombie = None,
        }
        let is_over = matches!(status, WaitStatus::Exited(_) | WaitStatus::Signaled { .. });
        Ok((process, status, is_over))
    })?;
    let times = process.times.now().plus(process.children_times.now());
    let uid = process.any_task().map_or(0, |task| task.cred().user.real);
    if is_over {
        me.children_times.add(&times);
        tree::forget(process.pid);
    }
    Ok(Waited { pid: process.pid, uid, status, times })
}

/// A child that has something to tell; `None` if none has, yet.
fn find(tree: &Tree, me: Pid, whom: WaitFor, options: u32) -> Result<Option<(Pid, WaitStatus)>> {
    let children = &tree.node(me)?.children;
    let is_meant = |node: &&Node| {
        let is_named = match whom {
            WaitFor::Any => true,
            WaitFor::Child(pid) => node.process.pid == pid,
            WaitFor::Group(group) => node.group == group,
        };
        is_named && is_of_kind(node, options)
    };
    let mut meant = children.iter().filter_map(|&child| tree.node(child).ok()).filter(is_meant).peekable();
    if meant.peek().is_none() {
        return Err(Errno::ECHILD);
    }
    Ok(meant.find_map(|node| news(node, options).map(|status| (node.process.pid, status))))
}

fn is_of_kind(node: &Node, options: u32) -> bool {
    let sends_chld = node.process.exit_signal.load(Ordering::Relaxed) == Signal::CHLD.number();
    options & WALL != 0 || sends_chld != (options & WCLONE != 0)
}

fn news(node: &Node, options: u32) -> Option<WaitStatus> {
    let ended = node.zombie.filter(|_| options & WEXITED != 0);
    let stopped = || node.stop.filter(|_| options & WSTOPPED != 0).map(WaitStatus::Stopped);
    let continued = || (node.has_continued && options & WCONTINUED != 0).then_some(WaitStatus::Continued);
    ended.or_else(stopped).or_else(continued)
}
