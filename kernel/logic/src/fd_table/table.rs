//! The table.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use abi::{Errno, Result};

use super::bits::Bits;

/// What execve(2) does with a descriptor: FD_CLOEXEC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnExec {
    /// The new program has it.
    Keep,
    /// It is closed.
    Close,
}

/// A number that is taken but means nothing yet. It must be published or cancelled, else it stays taken until
/// the table is gone.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "the number stays taken"]
pub struct Reservation {
    number: u32,
}

impl Reservation {
    /// The number.
    pub const fn number(&self) -> u32 {
        self.number
    }
}

/// Open files by number.
#[derive(Debug)]
pub struct FdTable<T> {
    /// `None` for a number that is free or only reserved. Long enough for every number that is taken.
    values: Vec<Option<T>>,
    taken: Bits,
    closed_on_exec: Bits,
    /// Every number below is taken.
    lowest_free: u32,
    open: usize,
}

impl<T> Default for FdTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> FdTable<T> {
    /// An empty table; allocates nothing.
    pub const fn new() -> Self {
        Self { values: Vec::new(), taken: Bits::new(), closed_on_exec: Bits::new(), lowest_free: 0, open: 0 }
    }

    /// What `fd` means.
    ///
    /// # Errors
    /// EBADF.
    #[inline]
    pub fn get(&self, fd: u32) -> Result<&T> {
        match self.values.get(fd as usize) {
            Some(Some(value)) => Ok(value),
            _ => Err(Errno::EBADF),
        }
    }

    /// Gives `value` the lowest free number that is at least `from` and below `limit` (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// EMFILE, ENOMEM; the value is dropped.
    pub fn insert(&mut self, value: T, from: u32, on_exec: OnExec, limit: u32) -> Result<u32> {
        let reservation = self.reserve(from, on_exec, limit)?;
        Ok(self.publish(reservation, value))
    }

    /// The first half of [`Self::insert`]: the number is taken, but nobody can use it.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    pub fn reserve(&mut self, from: u32, on_exec: OnExec, limit: u32) -> Result<Reservation> {
        let number = self.taken.next_absent(from.max(self.lowest_free));
        if number >= limit {
            return Err(Errno::EMFILE);
        }
        self.take(number)?;
        self.mark(number, on_exec);
        Ok(Reservation { number })
    }

    /// The second half of [`Self::insert`], which cannot fail. Returns the number.
    pub fn publish(&mut self, reservation: Reservation, value: T) -> u32 {
        if let Some(slot) = self.values.get_mut(reservation.number as usize) {
            self.open += usize::from(slot.is_none());
            *slot = Some(value);
        }
        reservation.number
    }

    /// Frees a number that was reserved for nothing.
    pub fn cancel(&mut self, reservation: Reservation) {
        self.free(reservation.number);
    }

    /// Lets `fd` mean `value` and returns what it meant before: dup2(2).
    ///
    /// # Errors
    /// EBADF if it is not below `limit`, EBUSY if it is reserved, ENOMEM; the value is dropped.
    pub fn replace(&mut self, fd: u32, value: T, on_exec: OnExec, limit: u32) -> Result<Option<T>> {
        if fd >= limit {
            return Err(Errno::EBADF);
        }
        if self.is_reserved(fd) {
            return Err(Errno::EBUSY);
        }
        self.take(fd)?;
        self.mark(fd, on_exec);
        let old = self.values.get_mut(fd as usize).and_then(|slot| slot.replace(value));
        self.open += usize::from(old.is_none());
        Ok(old)
    }

    /// Frees `fd` and returns what it meant.
    ///
    /// # Errors
    /// EBADF, also for a number that is only reserved.
    pub fn remove(&mut self, fd: u32) -> Result<T> {
        let value = self.values.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::EBADF)?;
        self.open -= 1;
        self.free(fd);
        Ok(value)
    }

    /// What exec does with `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn on_exec(&self, fd: u32) -> Result<OnExec> {
        self.get(fd)?;
        Ok(if self.closed_on_exec.contains(fd) { OnExec::Close } else { OnExec::Keep })
    }

    /// Says what exec is to do with `fd`.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_on_exec(&mut self, fd: u32, on_exec: OnExec) -> Result<()> {
        self.get(fd)?;
        self.mark(fd, on_exec);
        Ok(())
    }

    /// Says what exec is to do with all open descriptors of a range: close_range(2) with
    /// CLOSE_RANGE_CLOEXEC.
    pub fn set_range_on_exec(&mut self, range: RangeInclusive<u32>, on_exec: OnExec) {
        let mut next = *range.start();
        while let Some(fd) = self.next_open(next).filter(|fd| range.contains(fd)) {
            self.mark(fd, on_exec);
            next = fd + 1;
        }
    }

    /// Removes, as the iterator is polled, what exec closes. It may be abandoned after any item and asked for
    /// again, so as to drop each item without the table's lock.
    pub fn close_on_exec(&mut self) -> impl Iterator<Item = T> {
        let mut next = 0;
        core::iter::from_fn(move || {
            loop {
                let fd = self.closed_on_exec.next_member(next)?;
                next = fd + 1;
                // A reservation of another thread may be marked too.
                if let Ok(value) = self.remove(fd) {
                    return Some(value);
                }
            }
        })
    }

    /// Removes, as the iterator is polled, the open descriptors of a range: close_range(2), and the end of a
    /// process. It may be abandoned as [`Self::close_on_exec`].
    pub fn remove_range(&mut self, range: RangeInclusive<u32>) -> impl Iterator<Item = T> {
        let mut next = *range.start();
        core::iter::from_fn(move || {
            let fd = self.next_open(next).filter(|fd| range.contains(fd))?;
            next = fd + 1;
            self.remove(fd).ok()
        })
    }

    /// The open descriptors in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.values).filter_map(|(fd, value)| Some((fd, value.as_ref()?)))
    }

    /// The first open descriptor from `from` on: for listings that unlock between their items.
    pub fn next_open(&self, from: u32) -> Option<u32> {
        let mut next = from;
        loop {
            let fd = self.taken.next_member(next)?;
            if self.get(fd).is_ok() {
                return Some(fd);
            }
            next = fd.checked_add(1)?;
        }
    }

    /// How many descriptors are open.
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Whether no descriptor is open.
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// How many numbers there is room for: `FDSize` of /proc/PID/status.
    pub fn capacity(&self) -> usize {
        self.values.capacity()
    }

    /// The table of a forked process: the same without reservations.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_clone(&self) -> Result<Self>
    where
        T: Clone,
    {
        let mut copy = Self::new();
        let used = self.values.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        copy.values.try_reserve_exact(used).map_err(|_| Errno::ENOMEM)?;
        for (fd, value) in self.iter() {
            copy.take(fd)?;
            copy.mark(fd, self.on_exec(fd)?);
            if let Some(slot) = copy.values.get_mut(fd as usize) {
                *slot = Some(value.clone());
            }
        }
        copy.open = self.open;
        Ok(copy)
    }

    fn is_reserved(&self, fd: u32) -> bool {
        self.taken.contains(fd) && self.get(fd).is_err()
    }

    /// Takes a number, and makes room for it. It may be taken already.
    fn take(&mut self, fd: u32) -> Result<()> {
        self.taken.try_include(fd).map_err(|_| Errno::ENOMEM)?;
        self.closed_on_exec.try_include(fd).map_err(|_| Errno::ENOMEM)?;
        let missing = (fd as usize + 1).saturating_sub(self.values.len());
        self.values.try_reserve(missing).map_err(|_| Errno::ENOMEM)?;
        self.values.extend((0..missing).map(|_| None));
        self.taken.insert(fd);
        if fd == self.lowest_free {
            self.lowest_free += 1;
        }
        Ok(())
    }

    fn free(&mut self, fd: u32) {
        self.taken.remove(fd);
        self.closed_on_exec.remove(fd);
        self.lowest_free = self.lowest_free.min(fd);
    }

    fn mark(&mut self, fd: u32, on_exec: OnExec) {
        match on_exec {
            OnExec::Keep => self.closed_on_exec.remove(fd),
            OnExec::Close => self.closed_on_exec.insert(fd),
        }
    }
}

#[cfg(test)]
mod tests;
