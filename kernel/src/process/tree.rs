//! The tree of processes: who is whose child, in which group and session, and what parents have yet to be told.
//!
//! One sleeping lock (rank `ProcessTree`), outside all others, held for a few lookups. Numbers are given out here too.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hashbrown::HashMap;
use logic::signal::{Signal, WaitStatus};
use nucleus::sched::Mutex;

use super::pid::Pid;
use super::task::{Process, Task};

/// Numbers are below this (`/proc/sys/kernel/pid_max`).
pub(crate) const PID_MAX: u32 = 1 << 22;
/// After the highest number, low ones are left alone.
const RESERVED: u32 = 300;

/// A process in the tree.
pub(crate) struct Node {
    /// The process.
    pub(crate) process: Arc<Process>,
    /// Its children.
    pub(crate) children: Vec<Pid>,
    /// Its process group.
    pub(crate) group: Pid,
    /// Its session.
    pub(crate) session: Pid,
    /// It is over; nobody has waited for it yet.
    pub(crate) zombie: Option<WaitStatus>,
    /// A stop its parent has not heard of.
    pub(crate) stop: Option<Signal>,
    /// Its parent has not heard that it goes on.
    pub(crate) has_continued: bool,
    /// It adopts orphans below it (prctl(2)).
    pub(crate) is_subreaper: bool,
    /// It has given its children away and continues nobody any more.
    is_ending: bool,
}

/// All processes and tasks.
pub(crate) struct Tree {
    nodes: HashMap<Pid, Node>,
    tasks: HashMap<Pid, Arc<Task>>,
    last: u32,
    has_wrapped: bool,
}

static TREE: Mutex<Option<Tree>, rank::ProcessTree> = Mutex::new(None);
static TASKS: AtomicU32 = AtomicU32::new(0);
static FORKS: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

/// Works on the tree.
pub(crate) fn with<R>(work: impl FnOnce(&mut Tree) -> R) -> R {
    let mut tree = TREE.lock();
    work(tree.get_or_insert_with(|| Tree {
        nodes: HashMap::new(),
        tasks: HashMap::new(),
        last: 0,
        has_wrapped: false,
    }))
}

/// How many tasks there are.
pub(crate) fn task_count() -> u32 {
    TASKS.load(Ordering::Relaxed)
}

/// How many processes and tasks were ever made.
pub(crate) fn fork_count() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// The number given out last.
pub(crate) fn last_number() -> u32 {
    with(|tree| tree.last)
}

/// The process `pid`, if it is not yet forgotten.
pub(crate) fn process(pid: Pid) -> Result<Arc<Process>> {
    with(|tree| Ok(tree.node(pid)?.process.clone()))
}

/// The task `tid`.
pub(crate) fn task(tid: Pid) -> Result<Arc<Task>> {
    with(|tree| tree.tasks.get(&tid).cloned().ok_or(Errno::ESRCH))
}

/// Forgets a process that has ended. Its last task kept it alive for those who ask who it was; nobody will any more.
pub(crate) fn forget(pid: Pid) {
    let removed = with(|tree| tree.remove_process(pid));
    if let Some((node, _)) = &removed {
        let tasks = core::mem::take(&mut node.process.shared.lock().tasks);
        drop(tasks);
    }
    drop(removed);
}

/// All processes that `wanted` agrees to.
pub(crate) fn processes(mut wanted: impl FnMut(&Node) -> bool) -> Vec<Arc<Process>> {
    with(|tree| {
        let nodes = tree.nodes.values().filter(|node| wanted(node));
        nodes.map(|node| node.process.clone()).collect()
    })
}

impl Tree {
    /// The node of a process.
    pub(crate) fn node(&self, pid: Pid) -> Result<&Node> {
        self.nodes.get(&pid).ok_or(Errno::ESRCH)
    }

    /// The same, to change it.
    pub(crate) fn node_mut(&mut self, pid: Pid) -> Result<&mut Node> {
        self.nodes.get_mut(&pid).ok_or(Errno::ESRCH)
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// All tasks.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values()
    }

    fn is_taken(&self, number: Pid) -> bool {
        self.tasks.contains_key(&number)
            || self.nodes.contains_key(&number)
            // Also not the number of a group or session whose first process is gone.
            || (self.has_wrapped && self.nodes.values().any(|node| node.group == number || node.session == number))
    }

    /// A number nobody has. It is taken once something is added under it.
    pub(crate) fn free_number(&mut self) -> Result<Pid> {
        for _ in 0..PID_MAX {
            self.last += 1;
            if self.last >= PID_MAX {
                self.last = RESERVED;
                self.has_wrapped = true;
            }
            if !self.is_taken(Pid(self.last)) {
                return Ok(Pid(self.last));
            }
        }
        Err(Errno::EAGAIN)
    }

    /// A number somebody asked for (clone3(2): `set_tid`).
    pub(crate) fn chosen_number(&mut self, number: i32, may_choose: bool) -> Result<Pid> {
        let number = u32::try_from(number).ok().filter(|&number| number != 0 && number < PID_MAX);
        let pid = Pid(number.ok_or(Errno::EINVAL)?);
        if !may_choose {
            return Err(Errno::EPERM);
        }
        if self.is_taken(pid) { Err(Errno::EEXIST) } else { Ok(pid) }
    }

    /// Makes room for one more process and task, so that adding them cannot fail.
    pub(crate) fn reserve(&mut self, parent: Pid) -> Result<()> {
        self.nodes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(())
    }

    /// Adds a process as a child of `parent`, in its group and session.
    pub(crate) fn add_process(&mut self, process: Arc<Process>, parent: Pid) {
        let pid = process.pid;
        let (group, session) =
            self.nodes.get(&parent).map_or((pid, pid), |parent| (parent.group, parent.session));
        process.parent.store(parent.0, Ordering::Relaxed);
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children.push(pid);
        }
        let node = Node {
            process,
            children: Vec::new(),
            group,
            session,
            zombie: None,
            stop: None,
            has_continued: false,
            is_subreaper: false,
            is_ending: false,
        };
        self.nodes.insert(pid, node);
    }

    /// Adds a task.
    pub(crate) fn add_task(&mut self, task: Arc<Task>) {
        TASKS.fetch_add(1, Ordering::Relaxed);
        FORKS.fetch_add(1, Ordering::Relaxed);
        self.tasks.insert(task.tid(), task);
    }

    /// Takes a task out.
    pub(crate) fn remove_task(&mut self, tid: Pid) -> Option<Arc<Task>> {
        let task = self.tasks.remove(&tid);
        if task.is_some() {
            TASKS.fetch_sub(1, Ordering::Relaxed);
        }
        task
    }

    /// Takes a process out, and its first task with it: somebody has waited for it.
    fn remove_process(&mut self, pid: Pid) -> Option<(Node, Option<Arc<Task>>)> {
        let node = self.nodes.remove(&pid)?;
        let parent = node.process.parent();
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children.retain(|&child| child != pid);
        }
        let leader = self.remove_task(pid);
        Some((node, leader))
    }

    /// Who adopts the children of `pid`: its nearest ancestor that asked to, or the first program.
    fn reaper(&self, pid: Pid) -> Pid {
        let mut at = self.nodes.get(&pid).map_or(Pid::INIT, |node| node.process.parent());
        while let Some(node) = self.nodes.get(&at) {
            if node.is_subreaper && node.zombie.is_none() {
                return at;
            }
            if at == Pid::INIT {
                break;
            }
            at = node.process.parent();
        }
        Pid::INIT
    }

    /// Gives the children of `pid`, which ends, to whoever adopts them; `orphan` sees each.
    pub(crate) fn orphan_children(&mut self, pid: Pid, mut orphan: impl FnMut(&Node)) {
        let reaper = self.reaper(pid);
        let children = self.nodes.get_mut(&pid).map(|node| {
            node.is_ending = true;
            core::mem::take(&mut node.children)
        });
        for child in children.unwrap_or_default() {
            let Some(node) = self.nodes.get(&child) else { continue };
            node.process.parent.store(reaper.0, Ordering::Relaxed);
            node.process.exit_signal.store(Signal::CHLD.number(), Ordering::Relaxed);
            orphan(node);
            if let Some(reaper) = self.nodes.get_mut(&reaper) {
                reaper.children.push(child);
            }
        }
    }

    /// Whether a group has no member with a parent in another group of the same session: nobody could continue it.
    pub(crate) fn is_orphaned(&self, group: Pid, without: Option<Pid>) -> bool {
        let is_anchor = |node: &Node| {
            let parent = self.nodes.get(&node.process.parent());
            parent.is_some_and(|parent| {
                parent.group != group && parent.session == node.session && parent.process.pid != Pid::INIT
            })
        };
        !self.nodes.values().any(|node| {
            node.group == group && !node.is_ending && Some(node.process.pid) != without && is_anchor(node)
        })
    }

    /// The processes of a group.
    pub(crate) fn group(&self, group: Pid) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(move |node| node.group == group)
    }
}
