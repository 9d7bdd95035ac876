//! The state machine of a file system, its nodes, and its thread's errands.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::{Errno, Result};
use ext2::{Failure, Ino, Outcome, Pending, Purpose, Reserve, Reserved};
use hal::rank;
use hal::spin::{Lock, Once};
use hashbrown::HashMap;
use nucleus::block::{Disk, SECTOR};
use nucleus::clock;
use nucleus::sched::{Mutex, Wait, WaitQueue};
use nucleus::vfs::flusher;

use super::device::Device;
use super::node::Node;

/// The state machine of one file system.
pub(super) type State = ext2::Ext2<Device>;

/// A file system.
pub(super) struct Volume {
    pub(super) disk: Arc<Disk>,
    pub(super) state: Mutex<State, rank::Inode>,
    pub(super) block_size: u32,
    /// Who may use the reserved blocks besides the privileged.
    reserved: Reserved,
    nodes: Lock<HashMap<Ino, Weak<Node>>, rank::Table>,
    /// Nodes with something that the disk does not have; kept until it has.
    dirty: Lock<Vec<Arc<Node>>, rank::Table>,
    /// Files without names that nobody uses any more.
    pub(super) released: Lock<Vec<Ino>, rank::Table>,
    /// Some of them need another commit first.
    pub(super) has_more: AtomicBool,
    pub(super) errands: Errands,
}

/// What is asked of the thread that commits.
pub(super) struct Errands {
    /// Commits asked for, and the last of them that is done.
    pub(super) wanted: AtomicU64,
    pub(super) done: AtomicU64,
    /// The last one is to leave the disk clean.
    pub(super) closes: AtomicBool,
    pub(super) outcome: Lock<Result<()>, rank::Table>,
    pub(super) asked: WaitQueue,
    pub(super) answered: WaitQueue,
    pub(super) is_running: AtomicBool,
    pub(super) is_stopping: AtomicBool,
}

/// How often an operation waits for a commit that frees removed files before the disk counts as full.
const MOST_TRIES_FOR_ROOM: u32 = 4;

/// Who knows whether whoever runs is privileged, or this user or of this group. Set once, at boot.
static MAY_USE_RESERVED: Once<fn(u32, u32) -> bool> = Once::new();

/// Sets who knows whether whoever runs may use blocks that a file system keeps back for a user and a group.
pub fn set_may_use_reserved(ask: fn(u32, u32) -> bool) {
    MAY_USE_RESERVED.call_once(|| ask);
}

impl Volume {
    /// Whether blocks are kept back from whoever runs.
    pub(super) fn reserve(&self) -> Reserve {
        let may_use = |ask: &fn(u32, u32) -> bool| ask(self.reserved.user, self.reserved.group);
        if MAY_USE_RESERVED.get().is_some_and(may_use) { Reserve::Usable } else { Reserve::KeptBack }
    }

    pub(super) fn new(disk: Arc<Disk>, state: State) -> Result<Arc<Self>> {
        Ok(Arc::new(Volume {
            block_size: state.block_size(),
            reserved: state.reserved(),
            disk,
            state: Mutex::new(state),
            nodes: Lock::new(HashMap::new()),
            dirty: Lock::new(Vec::new()),
            released: Lock::new(Vec::new()),
            has_more: AtomicBool::new(false),
            errands: Errands {
                wanted: AtomicU64::new(0),
                done: AtomicU64::new(0),
                closes: AtomicBool::new(false),
                outcome: Lock::new(Ok(())),
                asked: WaitQueue::new(),
                answered: WaitQueue::new(),
                is_running: AtomicBool::new(false),
                is_stopping: AtomicBool::new(false),
            },
        }))
    }

    /// Sectors of a block.
    pub(super) fn sectors_of_block(&self) -> u64 {
        u64::from(self.block_size) / SECTOR
    }

    /// Asks for a commit and waits for it. Not with the map of an address space locked.
    ///
    /// # Errors
    /// EIO and the like; EROFS if nothing may be written.
    pub(super) fn commit(&self, purpose: Purpose) -> Result<()> {
        let errands = &self.errands;
        if !errands.is_running.load(Ordering::Acquire) {
            return Err(Errno::EROFS);
        }
        if purpose == Purpose::Close {
            errands.closes.store(true, Ordering::Release);
        }
        let mine = errands.wanted.fetch_add(1, Ordering::AcqRel) + 1;
        errands.asked.wake_one();
        let is_done = || {
            let is_over = errands.done.load(Ordering::Acquire) >= mine;
            if is_over { Ok(()) } else { Err(Errno::EAGAIN) }
        };
        while errands.answered.block_until(Wait::UNINTERRUPTIBLE, is_done).is_err() {
            nucleus::sched::yield_now();
        }
        *errands.outcome.lock()
    }

    /// Carries out an operation that changes something, after commits if there have to be any.
    ///
    /// # Errors
    /// What the operation says.
    pub(super) fn operate<T>(&self, mut operation: impl FnMut(&mut State) -> Outcome<T>) -> Result<T> {
        let mut tries = MOST_TRIES_FOR_ROOM;
        loop {
            let outcome = operation(&mut self.state.lock());
            flusher::note();
            match outcome {
                Ok(result) => return Ok(result),
                Err(Failure::Errno(Errno::ENOSPC)) if tries > 0 && self.has_removed() => {
                    tries -= 1;
                    self.commit(Purpose::Durability)?;
                }
                Err(Failure::Errno(error)) => return Err(error),
                Err(Failure::CommitFirst) => self.commit(Purpose::Durability)?,
            }
        }
    }

    /// The same where one must not wait.
    ///
    /// # Errors
    /// EAGAIN if there has to be a commit first.
    pub(super) fn try_operate<T>(&self, operation: impl FnOnce(&mut State) -> Outcome<T>) -> Result<T> {
        match operation(&mut self.state.lock()) {
            Err(Failure::Errno(Errno::ENOSPC)) if self.has_removed() => Err(Errno::EAGAIN),
            outcome => outcome.map_err(give_way),
        }
    }

    /// Whether the next commit frees files that were removed. What they had in memory alone is forgotten, not written.
    fn has_removed(&self) -> bool {
        let mut gone = Vec::new();
        {
            let mut dirty = self.dirty.lock();
            let mut at = 0;
            while let Some(node) = dirty.get(at) {
                let is_removed =
                    node.shown.links.load(Ordering::Relaxed) == 0 && Arc::strong_count(node) == 1;
                if is_removed && gone.try_reserve(1).is_ok() {
                    gone.push(dirty.swap_remove(at));
                } else {
                    at += 1;
                }
            }
        }
        // Without the lock: a node that goes is noted in `released`.
        drop(gone);
        !self.released.lock().is_empty()
    }

    /// Takes the blocks from `first` on from a file, a few at a time: an operation that touches many needs much memory to
    /// undo.
    ///
    /// # Errors
    /// EAGAIN if there has to be a commit first: what is taken is taken.
    pub(super) fn thin_out(&self, ino: Ino, first: u32) -> Result<()> {
        const STEP: u32 = 1024;
        let is_small = |blocks: u64| blocks <= u64::from(STEP) * self.sectors_of_block();
        let mut at = first;
        loop {
            let mut state = self.state.lock();
            if is_small(state.attributes(ino)?.blocks) {
                return Ok(());
            }
            let run = match state.map(ino, at, STEP) {
                Ok(run) => run,
                // Past what a file can have.
                Err(Errno::EFBIG) => return Ok(()),
                Err(error) => return Err(error),
            };
            if run.start.is_some() {
                state.punch(ino, at, run.length, clock::realtime()).map_err(give_way)?;
            }
            at = at.checked_add(run.length).ok_or(Errno::EFBIG)?;
        }
    }

    /// The node of an inode.
    ///
    /// # Errors
    /// EUCLEAN, EIO, ENOMEM.
    pub(super) fn node(self: &Arc<Self>, ino: Ino) -> Result<Arc<Node>> {
        if let Some(node) = self.known_node(ino) {
            return Ok(node);
        }
        // Under the lock of the state, so that nobody makes a second one.
        let mut state = self.state.lock();
        if let Some(node) = self.known_node(ino) {
            return Ok(node);
        }
        let node = Node::new(self, ino, &state.attributes(ino)?)?;
        let mut nodes = self.nodes.lock();
        nodes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        nodes.insert(ino, Arc::downgrade(&node));
        Ok(node)
    }

    /// The node of an inode, if somebody uses it.
    pub(super) fn known_node(&self, ino: Ino) -> Option<Arc<Node>> {
        let known = self.nodes.lock().get(&ino).cloned();
        known.and_then(|node| node.upgrade())
    }

    /// A node is gone.
    pub(super) fn forget(&self, ino: Ino, is_nameless: bool) {
        {
            let mut nodes = self.nodes.lock();
            // Not a new one with the same number.
            if nodes.get(&ino).is_some_and(|node| node.strong_count() == 0) {
                nodes.remove(&ino);
            }
        }
        if is_nameless {
            self.release(ino);
        }
    }

    /// A file has no names, and nobody uses it: the next commit frees it.
    pub(super) fn release(&self, ino: Ino) {
        let mut released = self.released.lock();
        // Without room it stays until the file system is mounted again.
        if released.try_reserve(1).is_ok() {
            released.push(ino);
        }
        drop(released);
        flusher::note();
    }

    /// Keeps a node until the disk has all of it.
    pub(super) fn keep_dirty(&self, node: Arc<Node>) -> Result<()> {
        let mut dirty = self.dirty.lock();
        dirty.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        dirty.push(node);
        drop(dirty);
        flusher::note();
        Ok(())
    }

    /// Brings everything that is older than a moment to the disk.
    ///
    /// # Errors
    /// The first of any file, or of the commit.
    pub(super) fn sync(&self, older_than_ns: Option<u64>) -> Result<()> {
        if !self.errands.is_running.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut outcome = Ok(());
        let nodes = core::mem::take(&mut *self.dirty.lock());
        for node in nodes {
            let is_young =
                older_than_ns.is_some_and(|moment| node.dirty_since_ns().is_some_and(|since| since > moment));
            if is_young {
                outcome = outcome.and(self.keep_dirty(node));
                continue;
            }
            node.is_kept.store(false, Ordering::Release);
            let written = node.write_back(0..u64::MAX);
            if node.is_dirty() {
                node.note_dirty();
            }
            outcome = outcome.and(written);
        }
        outcome.and(self.commit(Purpose::Durability))
    }

    /// What of a file is not on the disk, its data left out.
    pub(super) fn pending(&self, ino: Ino) -> Pending {
        self.state.lock().pending(ino)
    }
}

/// EAGAIN where there has to be a commit first.
fn give_way(failure: Failure) -> Errno {
    match failure {
        Failure::Errno(error) => error,
        Failure::CommitFirst => Errno::EAGAIN,
    }
}
