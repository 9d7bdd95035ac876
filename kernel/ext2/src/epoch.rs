//! What has to be remembered from one commit to the next, so that `e2fsck -p` can repair the disk at every moment in between.
//!
//! An epoch is what one commit takes. A [`Moment`] is something that becomes visible on the disk; edges say which moment must
//! come before which, and a commit has a level for each step of the longest chain. Edges never form a circle: an operation that would
//! close one is refused until the epoch is on disk. Besides, an epoch knows
//! - **held inodes**, which are written as they were until some moment;
//! - **new inodes**, which are written as unused until a name leads to them;
//! - **shelters**: files that have no name for a moment in between, and get one in `lost+found` for so long;
//! - per file, where it **got names**, and per directory, what had to happen to those that **left** it.
//!
//! Changes are undone like those of blocks when an operation fails. Why these orders: docs/ext2.md.

use abi::{Errno, Result};
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};

use crate::types::{BlockNo, Ino, Pending};

/// Something that becomes visible on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Moment {
    /// Files that lost their last name are unused.
    Freed,
    /// This inode, which has to wait for it, is unused.
    Free(Ino),
    /// A block of a directory is as it is in memory.
    Block(BlockNo),
    /// A new inode is used.
    New(Ino),
}

impl Moment {
    /// The first level in which it can be.
    const fn first_level(self) -> usize {
        match self {
            Moment::Freed | Moment::Free(_) => 1,
            Moment::Block(_) => 2,
            Moment::New(_) => 3,
        }
    }
}

/// Until when an inode is written as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Moment(Moment),
    /// All names are as they are in memory.
    Last,
}

/// An inode as it was.
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    pub(crate) until: Until,
}

enum Step {
    Held(Ino),
    Unheld(Ino, Held),
    New(Ino),
    Sheltered,
    Added(Ino),
    Left(Ino),
    Early(BlockNo),
    Moved(Ino),
    Displaced(Ino),
    Edge(Moment),
}

#[derive(Default)]
pub(crate) struct Epoch {
    pub(crate) held: HashMap<Ino, Held>,
    pub(crate) new: HashSet<Ino>,
    pub(crate) shelters: Vec<Ino>,
    added: HashMap<Ino, Vec<Moment>>,
    left: HashMap<Ino, Vec<Moment>>,
    /// Directories that got another parent.
    moved: HashSet<Ino>,
    /// Files with a name on the disk that is another file's by now.
    displaced: HashSet<Ino>,
    /// Blocks of inodes that must be written before directories are.
    pub(crate) early: HashSet<BlockNo>,
    /// For a moment those that must be before it.
    edges: HashMap<Moment, Vec<Moment>>,
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

/// Files that can be sheltered in one epoch; their names fit one block of 1 KiB.
const SHELTERS: usize = 16;

impl Epoch {
    /// Keeps the bytes of an inode until a moment; the first bytes kept are the right ones.
    pub(crate) fn hold(&mut self, ino: Ino, bytes: &[u8], until: Until) -> Result<()> {
        self.reserve_step()?;
        self.held.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if !self.held.contains_key(&ino) {
            self.held.insert(ino, Held { bytes: crate::bytes::copy(bytes)?, until });
            self.steps.push(Step::Held(ino));
        }
        Ok(())
    }

    /// Lets an inode be written as it is.
    pub(crate) fn let_go(&mut self, ino: Ino) -> Result<()> {
        self.reserve_step()?;
        if let Some(held) = self.held.remove(&ino) {
            self.steps.push(Step::Unheld(ino, held));
        }
        Ok(())
    }

    pub(crate) fn is_held(&self, ino: Ino) -> bool {
        self.held.contains_key(&ino)
    }

    /// Whether an inode is held until just this moment.
    pub(crate) fn is_held_until(&self, ino: Ino, moment: Moment) -> bool {
        self.held.get(&ino).is_some_and(|held| held.until == Until::Moment(moment))
    }

    /// Notes that an inode was taken for a new file.
    pub(crate) fn note_new(&mut self, ino: Ino) -> Result<()> {
        self.reserve_step()?;
        self.new.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if self.new.insert(ino) {
            self.steps.push(Step::New(ino));
        }
        Ok(())
    }

    /// Gives a file a name in `lost+found` while the commit is carried out. Not too many fit.
    pub(crate) fn shelter(&mut self, ino: Ino) -> Result<Ordered> {
        if self.shelters.contains(&ino) {
            return Ok(Ordered::Fine);
        }
        if self.shelters.len() >= SHELTERS {
            return Ok(Ordered::WouldCircle);
        }
        self.reserve_step()?;
        push(&mut self.shelters, ino)?;
        self.steps.push(Step::Sheltered);
        Ok(Ordered::Fine)
    }

    /// Demands that a block of inodes is written before directories.
    pub(crate) fn write_early(&mut self, block: BlockNo) -> Result<()> {
        self.reserve_step()?;
        self.early.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if self.early.insert(block) {
            self.steps.push(Step::Early(block));
        }
        Ok(())
    }

    /// Notes that a directory got another parent.
    pub(crate) fn note_moved(&mut self, directory: Ino) -> Result<()> {
        self.reserve_step()?;
        self.moved.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if self.moved.insert(directory) {
            self.steps.push(Step::Moved(directory));
        }
        Ok(())
    }

    pub(crate) fn has_moved(&self, directory: Ino) -> bool {
        self.moved.contains(&directory)
    }

    /// Notes that a name of a file is another file's now, while it has others.
    pub(crate) fn note_displaced(&mut self, ino: Ino) -> Result<()> {
        self.reserve_step()?;
        self.displaced.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        if self.displaced.insert(ino) {
            self.steps.push(Step::Displaced(ino));
        }
        Ok(())
    }

    pub(crate) fn is_displaced(&self, ino: Ino) -> bool {
        self.displaced.contains(&ino)
    }

    /// Notes when a name that a file got is visible.
    pub(crate) fn note_added(&mut self, ino: Ino, moment: Moment) -> Result<()> {
        self.reserve_step()?;
        if note(&mut self.added, ino, moment)? {
            self.steps.push(Step::Added(ino));
        }
        Ok(())
    }

    /// Notes what must be visible before a directory that lost a name may itself be removed.
    pub(crate) fn note_left(&mut self, directory: Ino, moment: Moment) -> Result<()> {
        self.reserve_step()?;
        if note(&mut self.left, directory, moment)? {
            self.steps.push(Step::Left(directory));
        }
        Ok(())
    }

    /// When the names that a file got are visible.
    pub(crate) fn added(&self, ino: Ino, nth: usize) -> Option<Moment> {
        self.added.get(&ino)?.get(nth).copied()
    }

    /// What must be visible before a directory may be removed.
    pub(crate) fn left(&self, directory: Ino, nth: usize) -> Option<Moment> {
        self.left.get(&directory)?.get(nth).copied()
    }

    /// Demands that `first` is on the disk before `then`.
    pub(crate) fn precede(&mut self, first: Moment, then: Moment) -> Result<Ordered> {
        let is_given = first == Moment::Freed && then.first_level() > 1;
        if first == then || is_given || self.edges.get(&then).is_some_and(|before| before.contains(&first)) {
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

    fn is_before(&self, first: Moment, then: Moment) -> Result<bool> {
        if !self.edges.contains_key(&then) {
            return Ok(false);
        }
        let mut waiting = Vec::new();
        let mut seen = HashSet::new();
        push(&mut waiting, then)?;
        while let Some(moment) = waiting.pop() {
            if moment == first {
                return Ok(true);
            }
            seen.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            if seen.insert(moment) {
                for &before in self.edges.get(&moment).into_iter().flatten() {
                    push(&mut waiting, before)?;
                }
            }
        }
        Ok(false)
    }

    /// The level of each moment that has to wait for others.
    pub(crate) fn levels(&self) -> Result<Levels> {
        let mut levels: HashMap<Moment, usize> = HashMap::new();
        levels.try_reserve(self.edges.len()).map_err(|_| Errno::ENOMEM)?;
        let level = |levels: &HashMap<Moment, usize>, moment: Moment| {
            levels.get(&moment).copied().unwrap_or(moment.first_level())
        };
        // Without circles the levels stand still after at most as many rounds as there are moments.
        for _ in 0..=self.edges.len() {
            let mut is_settled = true;
            for (&then, before) in &self.edges {
                let earliest = before.iter().map(|&first| level(&levels, first) + 1).max().unwrap_or(0);
                let earliest = earliest.max(then.first_level());
                is_settled &= levels.insert(then, earliest) == Some(earliest);
            }
            if is_settled {
                break;
            }
        }
        let deepest = levels.values().copied().max().unwrap_or(0).max(Moment::New(Ino::ROOT).first_level());
        Ok(Levels { levels, last: deepest + 1 })
    }

    /// Notes that a file differs from what the disk has of it.
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
                // There is room: it was taken out in the same operation.
                Step::Unheld(ino, held) => drop(self.held.insert(ino, held)),
                Step::New(ino) => drop(self.new.remove(&ino)),
                Step::Sheltered => drop(self.shelters.pop()),
                Step::Added(ino) => forget_last(&mut self.added, &ino),
                Step::Left(ino) => forget_last(&mut self.left, &ino),
                Step::Moved(directory) => drop(self.moved.remove(&directory)),
                Step::Displaced(ino) => drop(self.displaced.remove(&ino)),
                Step::Early(block) => drop(self.early.remove(&block)),
                Step::Edge(then) => forget_last(&mut self.edges, &then),
            }
        }
    }

    /// Takes back an epoch whose commit failed; of an inode held twice, the older bytes are those of the disk.
    pub(crate) fn merge(&mut self, older: Epoch) {
        let reserved = self.held.try_reserve(older.held.len()).is_ok()
            && self.new.try_reserve(older.new.len()).is_ok()
            && self.early.try_reserve(older.early.len()).is_ok()
            && self.moved.try_reserve(older.moved.len()).is_ok()
            && self.displaced.try_reserve(older.displaced.len()).is_ok()
            && self.shelters.try_reserve(older.shelters.len()).is_ok()
            && self.changed.try_reserve(older.changed.len()).is_ok()
            && self.data.try_reserve(older.data.len()).is_ok();
        if !reserved {
            // Then e2fsck has more to repair after a power cut on a disk that fails already; nothing else is lost.
            return;
        }
        self.held.extend(older.held);
        self.new.extend(older.new);
        self.early.extend(older.early);
        self.moved.extend(older.moved);
        self.displaced.extend(older.displaced);
        self.shelters.extend(older.shelters);
        self.data.extend(older.data);
        for (ino, pending) in older.changed {
            let noted = self.changed.entry(ino).or_insert(pending);
            *noted = pending.max(*noted);
        }
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

/// When what is written.
pub(crate) struct Levels {
    levels: HashMap<Moment, usize>,
    /// The level after all moments.
    pub(crate) last: usize,
}

impl Levels {
    pub(crate) fn of(&self, moment: Moment) -> usize {
        self.levels.get(&moment).copied().unwrap_or(moment.first_level())
    }

    pub(crate) fn until(&self, until: Until) -> usize {
        match until {
            Until::Moment(moment) => self.of(moment),
            Until::Last => self.last,
        }
    }
}

/// Adds a moment to a list if it is not there; says whether.
fn note(lists: &mut HashMap<Ino, Vec<Moment>>, ino: Ino, moment: Moment) -> Result<bool> {
    lists.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let list = lists.entry(ino).or_default();
    if list.last() == Some(&moment) || list.len() < 16 && list.contains(&moment) {
        return Ok(false);
    }
    push(list, moment)?;
    Ok(true)
}

fn forget_last<K: Eq + core::hash::Hash>(lists: &mut HashMap<K, Vec<Moment>>, key: &K) {
    if let Some(list) = lists.get_mut(key) {
        list.pop();
        if list.is_empty() {
            lists.remove(key);
        }
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<()> {
    list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    list.push(item);
    Ok(())
}
