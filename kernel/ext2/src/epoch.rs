//! What has to be remembered from one commit to the next, so that the disk is whole at every moment in between.
//!
//! An epoch is what one commit takes. Within it, four things are noted:
//! - **held inodes**: a file that lost a name is written as it was until the name is gone from the disk;
//! - **patches**: bytes of a directory's block that are written differently first (an exchange over two blocks);
//! - **names that were added**, so that when the same file loses another name, that goes after;
//! - **edges** between blocks of directories that follow from this. They never form a circle: an operation that would close one
//!   is refused until the epoch is on disk.
//!
//! Changes are undone like those of blocks when an operation fails.

use abi::{Errno, Result};
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};

use crate::types::{BlockNo, Ino, Pending};

/// Bytes that are written first in place of those in memory.
#[derive(Clone, Debug)]
pub(crate) struct Patch {
    pub(crate) block: BlockNo,
    pub(crate) at: usize,
    pub(crate) bytes: [u8; 4],
}

/// A name that a file got: in which block, of which directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) block: BlockNo,
    pub(crate) directory: Ino,
}

enum Step {
    Held(Ino),
    Patched,
    Added(Ino),
    Edge(BlockNo),
}

#[derive(Default)]
pub(crate) struct Epoch {
    pub(crate) held: HashMap<Ino, Vec<u8>>,
    pub(crate) patches: Vec<Patch>,
    added: HashMap<Ino, Vec<Added>>,
    /// For a block those that must be on the disk before it.
    edges: HashMap<BlockNo, Vec<BlockNo>>,
    pub(crate) data: HashSet<Ino>,
    changed: HashMap<Ino, Pending>,
    steps: Vec<Step>,
}

/// What adding an edge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ordered {
    Fine,
    WouldCircle,
}

impl Epoch {
    /// Keeps the bytes of an inode for as long as its name is on the disk; the first bytes kept are the right ones.
    pub(crate) fn hold(&mut self, ino: Ino, bytes: &[u8]) -> Result<()> {
        self.reserve_step()?;
        self.held.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if !self.held.contains_key(&ino) {
            self.held.insert(ino, crate::bytes::copy(bytes)?);
            self.steps.push(Step::Held(ino));
        }
        Ok(())
    }

    pub(crate) fn is_held(&self, ino: Ino) -> bool {
        self.held.contains_key(&ino)
    }

    /// Lets four bytes of a block be others until the end of the commit.
    pub(crate) fn patch(&mut self, patch: Patch) -> Result<()> {
        self.reserve_step()?;
        self.patches.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.patches.push(patch);
        self.steps.push(Step::Patched);
        Ok(())
    }

    /// Whether an order between blocks of directories, or a patch, is there.
    pub(crate) fn has_order(&self) -> bool {
        !self.edges.is_empty() || !self.patches.is_empty()
    }

    pub(crate) fn has_patches(&self) -> bool {
        !self.patches.is_empty()
    }

    pub(crate) fn note_added(&mut self, ino: Ino, added: Added) -> Result<()> {
        self.reserve_step()?;
        self.added.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let names = self.added.entry(ino).or_default();
        names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if !names.contains(&added) {
            names.push(added);
            self.steps.push(Step::Added(ino));
        }
        Ok(())
    }

    /// Orders the removal of a name in `block` after the names that the file got, and after those of the directories that
    /// they are in.
    pub(crate) fn remove_after_added(&mut self, ino: Ino, block: BlockNo) -> Result<Ordered> {
        let mut waiting = Vec::new();
        let mut seen = HashSet::new();
        push(&mut waiting, ino)?;
        while let Some(ino) = waiting.pop() {
            seen.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            if !seen.insert(ino) {
                continue;
            }
            for index in 0.. {
                let Some(&added) = self.added.get(&ino).and_then(|names| names.get(index)) else { break };
                if self.precede(added.block, block)? == Ordered::WouldCircle {
                    return Ok(Ordered::WouldCircle);
                }
                push(&mut waiting, added.directory)?;
            }
        }
        Ok(Ordered::Fine)
    }

    /// Demands that `first` is on the disk before `then`.
    pub(crate) fn precede(&mut self, first: BlockNo, then: BlockNo) -> Result<Ordered> {
        if first == then || self.edges.get(&then).is_some_and(|before| before.contains(&first)) {
            return Ok(Ordered::Fine);
        }
        if self.is_before(then, first)? {
            return Ok(Ordered::WouldCircle);
        }
        self.reserve_step()?;
        self.edges.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        push(self.edges.entry(then).or_default(), first)?;
        self.steps.push(Step::Edge(then));
        Ok(Ordered::Fine)
    }

    fn is_before(&self, first: BlockNo, then: BlockNo) -> Result<bool> {
        let mut waiting = Vec::new();
        let mut seen = HashSet::new();
        push(&mut waiting, then)?;
        while let Some(block) = waiting.pop() {
            if block == first {
                return Ok(true);
            }
            seen.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            if seen.insert(block) {
                for &before in self.edges.get(&block).into_iter().flatten() {
                    push(&mut waiting, before)?;
                }
            }
        }
        Ok(false)
    }

    /// How many blocks must be on the disk one after the other before each block that has to wait.
    pub(crate) fn depths(&self) -> Result<HashMap<BlockNo, usize>> {
        let mut depths = HashMap::new();
        depths.try_reserve(self.edges.len()).map_err(|_| Errno::ENOMEM)?;
        // Without circles the depths stand still after at most as many rounds as there are blocks.
        for _ in 0..=self.edges.len() {
            let mut is_settled = true;
            for (&block, before) in &self.edges {
                let depth = before
                    .iter()
                    .map(|before| depths.get(before).copied().unwrap_or(0) + 1)
                    .max()
                    .unwrap_or(0);
                is_settled &= depths.insert(block, depth) == Some(depth);
            }
            if is_settled {
                break;
            }
        }
        Ok(depths)
    }

    /// Notes that a file differs from what the disk has of it. What cannot be noted makes the next fsync(2) do nothing wrong:
    /// it is refused.
    pub(crate) fn note_changed(&mut self, ino: Ino, pending: Pending) -> Result<()> {
        self.changed.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let noted = self.changed.entry(ino).or_insert(pending);
        *noted = pending.max(*noted);
        Ok(())
    }

    /// Notes that data of a file must be written before its inode.
    pub(crate) fn note_data(&mut self, ino: Ino) -> Result<()> {
        self.data.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.data.insert(ino);
        Ok(())
    }

    pub(crate) fn pending(&self, ino: Ino) -> Pending {
        self.changed.get(&ino).copied().unwrap_or(Pending::Nothing)
    }

    pub(crate) fn begin(&mut self) {
        self.steps.clear();
    }

    pub(crate) fn roll_back(&mut self) {
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Held(ino) => drop(self.held.remove(&ino)),
                Step::Patched => drop(self.patches.pop()),
                Step::Added(ino) => {
                    if let Some(names) = self.added.get_mut(&ino) {
                        names.pop();
                    }
                }
                Step::Edge(then) => {
                    if let Some(before) = self.edges.get_mut(&then) {
                        before.pop();
                        if before.is_empty() {
                            self.edges.remove(&then);
                        }
                    }
                }
            }
        }
    }

    /// Takes back an epoch whose commit failed; of an inode held twice, the older bytes are those of the disk.
    pub(crate) fn merge(&mut self, older: Epoch) {
        let reserved = self.held.try_reserve(older.held.len()).is_ok()
            && self.changed.try_reserve(older.changed.len()).is_ok()
            && self.patches.try_reserve(older.patches.len()).is_ok()
            && self.data.try_reserve(older.data.len()).is_ok();
        if !reserved {
            // Then e2fsck has more to repair after a power cut on a disk that fails already; nothing else is lost.
            return;
        }
        for (ino, bytes) in older.held {
            self.held.insert(ino, bytes);
        }
        for (ino, pending) in older.changed {
            let noted = self.changed.entry(ino).or_insert(pending);
            *noted = pending.max(*noted);
        }
        self.data.extend(older.data);
        self.patches.extend(older.patches);
        for (then, before) in older.edges {
            for first in before {
                // A circle with the newer epoch is left open, for the same reason.
                let _ = self.precede(first, then);
            }
        }
        self.steps.clear();
    }

    fn reserve_step(&mut self) -> Result<()> {
        self.steps.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<()> {
    list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    list.push(item);
    Ok(())
}
