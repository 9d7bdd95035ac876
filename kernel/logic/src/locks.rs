//! Locks on bytes of a file: who holds which, who has to wait, and who would wait for ever.
//!
//! The rules of fcntl(2), "Advisory record locking": the locks of one owner never overlap, equal neighbours are one, and
//! setting one replaces what its owner had there. flock(2) is the same with one range, the whole file.

use alloc::vec::Vec;

use abi::{Errno, Result};

/// What others may do meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hold shared ones too.
    Shared,
    /// Nothing.
    Exclusive,
}

/// Bytes of a file, the first and the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// The last byte a file can have, and the end of every lock that is to cover what will be appended.
pub const LAST: u64 = i64::MAX as u64;

impl Range {
    /// All bytes.
    pub const WHOLE: Range = Range { first: 0, last: LAST };

    /// What `l_start` and `l_len` of a `struct flock` mean, counted from `base`.
    ///
    /// # Errors
    /// EINVAL before the first byte, EOVERFLOW behind the last.
    pub fn of(base: u64, start: i64, len: i64) -> Result<Self> {
        let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
        let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
        let first = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
        let distance = len.unsigned_abs();
        if len > 0 {
            let last = first + (distance - 1);
            return if last <= LAST { Ok(Range { first, last }) } else { Err(Errno::EOVERFLOW) };
        }
        if len < 0 {
            // POSIX: the bytes before the start.
            let first = first.checked_sub(distance).ok_or(Errno::EINVAL)?;
            return Ok(Range { first, last: first + (distance - 1) });
        }
        Ok(Range { first, last: LAST })
    }

    /// `l_len`: 0 up to the last byte there can be.
    pub const fn len(&self) -> u64 {
        if self.last == LAST { 0 } else { self.last - self.first + 1 }
    }

    /// Never: a range has a byte at least.
    pub const fn is_empty(&self) -> bool {
        false
    }

    const fn overlaps(&self, other: &Range) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether both together are one range.
    const fn touches(&self, other: &Range) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }
}

/// A lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<O> {
    /// Whose.
    pub owner: O,
    /// Where.
    pub range: Range,
    /// Which.
    pub kind: Kind,
    /// The process that set it.
    pub pid: u32,
}

impl<O: Copy + Eq> Held<O> {
    /// Whether this and another cannot be held at once.
    pub fn conflicts(&self, other: &Held<O>) -> bool {
        self.owner != other.owner
            && self.range.overlaps(&other.range)
            && (self.kind == Kind::Exclusive || other.kind == Kind::Exclusive)
    }
}

/// The locks of one file, in the order of their first bytes.
#[derive(Debug)]
pub struct Locks<O> {
    held: Vec<Held<O>>,
}

impl<O: Copy + Eq> Default for Locks<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Copy + Eq> Locks<O> {
    /// None.
    pub const fn new() -> Self {
        Locks { held: Vec::new() }
    }

    /// The first lock that keeps `wanted` from being set.
    pub fn conflict(&self, wanted: &Held<O>) -> Option<&Held<O>> {
        self.held.iter().find(|held| held.conflicts(wanted))
    }

    /// Sets a lock; its owner's others are cut where they overlap, and joined to it where they are of its kind.
    /// Conflicts are the caller's to look for.
    ///
    /// # Errors
    /// ENOLCK if there is no memory; nothing has changed then.
    pub fn set(&mut self, wanted: Held<O>) -> Result<()> {
        self.replace(wanted.owner, wanted.range, Some(wanted))
    }

    /// Gives up what an owner has of a range. Says whether it had anything.
    ///
    /// # Errors
    /// ENOLCK if there is no memory to keep both ends of a lock whose middle goes; nothing has changed then.
    pub fn clear(&mut self, owner: O, range: Range) -> Result<bool> {
        let had = self.held.iter().any(|held| held.owner == owner && held.range.overlaps(&range));
        if had {
            self.replace(owner, range, None)?;
        }
        Ok(had)
    }

    /// Gives up all of an owner's. Says whether there was any.
    pub fn forget(&mut self, owner: O) -> bool {
        let before = self.held.len();
        self.held.retain(|held| held.owner != owner);
        before != self.held.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Held<O>> {
        self.held.iter()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn replace(&mut self, owner: O, range: Range, wanted: Option<Held<O>>) -> Result<()> {
        // One for the new lock, one for the second half of an old one.
        self.held.try_reserve(2).map_err(|_| Errno::ENOLCK)?;
        let mut new = wanted;
        let mut index = 0;
        let mut tail = None;
        while let Some(held) = self.held.get(index).copied() {
            if held.owner != owner {
                index += 1;
                continue;
            }
            if let Some(new) =
                new.as_mut().filter(|new| new.kind == held.kind && new.range.touches(&held.range))
            {
                new.range.first = new.range.first.min(held.range.first);
                new.range.last = new.range.last.max(held.range.last);
                self.held.remove(index);
                continue;
            }
            if !held.range.overlaps(&range) {
                index += 1;
                continue;
            }
            if held.range.last > range.last {
                tail = Some(Held { range: Range { first: range.last + 1, last: held.range.last }, ..held });
            }
            match self.held.get_mut(index).filter(|_| held.range.first < range.first) {
                Some(head) => {
                    head.range.last = range.first - 1;
                    index += 1;
                }
                None => {
                    self.held.remove(index);
                }
            }
        }
        for lock in [tail, new].into_iter().flatten() {
            let place = self.held.partition_point(|held| held.range.first <= lock.range.first);
            self.held.insert(place, lock);
        }
        Ok(())
    }
}

/// Somebody who waits for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter<O> {
    /// Tells it from others of the same owner.
    pub number: u64,
    /// The file: device and number.
    pub file: (u64, u64),
    /// What it waits to set.
    pub wanted: Held<O>,
    /// Whose lock is in the way.
    pub holder: O,
}

/// All who wait, for any file.
#[derive(Debug)]
pub struct Waiters<O> {
    list: Vec<Waiter<O>>,
}

impl<O: Copy + Eq> Default for Waiters<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Copy + Eq> Waiters<O> {
    /// Nobody.
    pub const fn new() -> Self {
        Waiters { list: Vec::new() }
    }

    /// Notes that somebody waits, or now waits for somebody else.
    ///
    /// # Errors
    /// ENOLCK if there is no memory.
    pub fn note(&mut self, waiter: Waiter<O>) -> Result<()> {
        if let Some(known) = self.list.iter_mut().find(|known| known.number == waiter.number) {
            *known = waiter;
            return Ok(());
        }
        self.list.try_reserve(1).map_err(|_| Errno::ENOLCK)?;
        self.list.push(waiter);
        Ok(())
    }

    /// Notes that nobody waits for `holder` in a file any more: it gave something up, and they will look again.
    pub fn let_go(&mut self, file: (u64, u64), holder: O) {
        self.list.retain(|waiter| waiter.file != file || waiter.holder != holder);
    }

    /// Notes that it waits no more.
    pub fn forget(&mut self, number: u64) {
        self.list.retain(|waiter| waiter.number != number);
    }

    /// Whether `holder` waits, by way of others or not, for a lock of `owner`: if that now waited for `holder`, none of
    /// them would ever go on.
    pub fn closes_circle(&self, owner: O, holder: O) -> bool {
        // The length of the list bounds the steps. An owner for whom more than sixteen threads wait in different places
        // may hide a circle, as one of more than ten owners does on Linux; its members can still be interrupted.
        let mut next = holder;
        let mut left = self.list.len() + 1;
        let mut pending: [Option<O>; 16] = [None; 16];
        let mut depth = 0;
        loop {
            if next == owner {
                return true;
            }
            for waiter in self.list.iter().filter(|waiter| waiter.wanted.owner == next) {
                if let Some(slot) = pending.get_mut(depth) {
                    *slot = Some(waiter.holder);
                    depth += 1;
                }
            }
            left -= 1;
            if depth == 0 || left == 0 {
                return false;
            }
            depth -= 1;
            match pending.get_mut(depth).and_then(Option::take) {
                Some(found) => next = found,
                None => return false,
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Waiter<O>> {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests;
