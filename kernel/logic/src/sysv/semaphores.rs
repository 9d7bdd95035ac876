//! Sets of semaphores: the operations of one semop(2) happen all at once or not at all, and are undone at the end of a
//! process that wished so.

use alloc::vec::Vec;

use abi::{Errno, Result};

/// The highest value (`SEMVMX`).
pub const MOST: u16 = 32_767;
/// `IPC_NOWAIT`.
pub const NO_WAIT: u16 = 0o4000;
/// `SEM_UNDO`.
pub const UNDO: u16 = 0x1000;

/// A semaphore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Semaphore {
    /// Its value.
    pub value: u16,
    /// The process that worked on it last.
    pub pid: u32,
}

/// `struct sembuf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which.
    pub index: u16,
    /// What is added; 0 waits for zero.
    pub change: i16,
    /// `IPC_NOWAIT`, `SEM_UNDO`.
    pub flags: u16,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// That it becomes zero.
    Zero,
    /// That it becomes larger.
    More,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// All was done.
    Done,
    /// Nothing was: this operation has to wait.
    Blocked(usize, WaitsFor),
}

/// What the end of a process undoes.
#[derive(Clone, Debug)]
struct Adjustment {
    pid: u32,
    values: Vec<i16>,
}

/// A set.
#[derive(Clone, Debug)]
pub struct Set {
    semaphores: Vec<Semaphore>,
    adjustments: Vec<Adjustment>,
}

impl Set {
    /// `count` semaphores of value 0.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(count: usize) -> Result<Self> {
        let mut semaphores = Vec::new();
        semaphores.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        semaphores.resize(count, Semaphore::default());
        Ok(Set { semaphores, adjustments: Vec::new() })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.semaphores.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.semaphores.is_empty()
    }

    /// One of them.
    ///
    /// # Errors
    /// EINVAL.
    pub fn get(&self, index: usize) -> Result<&Semaphore> {
        self.semaphores.get(index).ok_or(Errno::EINVAL)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Semaphore> {
        self.semaphores.iter()
    }

    /// Whether anything is to be undone.
    pub fn has_adjustments(&self) -> bool {
        !self.adjustments.is_empty()
    }

    /// Sets one (`SETVAL`); what was to be undone of it is forgotten.
    ///
    /// # Errors
    /// EINVAL if there is none.
    pub fn set(&mut self, index: usize, value: u16, pid: u32) -> Result<()> {
        *self.semaphores.get_mut(index).ok_or(Errno::EINVAL)? = Semaphore { value, pid };
        for adjustment in &mut self.adjustments {
            if let Some(value) = adjustment.values.get_mut(index) {
                *value = 0;
            }
        }
        Ok(())
    }

    /// Does all operations of a process, or none.
    ///
    /// # Errors
    /// EFBIG if there is no such semaphore, ERANGE past the highest value, ENOMEM.
    pub fn attempt(&mut self, operations: &[Operation], pid: u32) -> Result<Attempt> {
        if operations.iter().any(|operation| usize::from(operation.index) >= self.semaphores.len()) {
            return Err(Errno::EFBIG);
        }
        if operations.iter().any(|operation| operation.flags & UNDO != 0) {
            self.make_room(pid)?;
        }
        for (done, operation) in operations.iter().enumerate() {
            let outcome = self.one(operation, pid);
            if outcome != Ok(None) {
                operations[..done].iter().rev().for_each(|operation| self.take_back(operation, pid));
                return outcome.map(|waits| waits.map_or(Attempt::Done, |why| Attempt::Blocked(done, why)));
            }
        }
        for operation in operations {
            if let Some(semaphore) = self.semaphores.get_mut(usize::from(operation.index)) {
                semaphore.pid = pid;
            }
        }
        Ok(Attempt::Done)
    }

    fn one(&mut self, operation: &Operation, pid: u32) -> Result<Option<WaitsFor>> {
        let index = usize::from(operation.index);
        let semaphore = self.semaphores.get_mut(index).ok_or(Errno::EFBIG)?;
        let value = i32::from(semaphore.value);
        if operation.change == 0 {
            return Ok((value != 0).then_some(WaitsFor::Zero));
        }
        let wanted = value + i32::from(operation.change);
        if wanted < 0 {
            return Ok(Some(WaitsFor::More));
        }
        let new = u16::try_from(wanted).ok().filter(|&new| new <= MOST).ok_or(Errno::ERANGE)?;
        if operation.flags & UNDO != 0 {
            let own = self.adjustments.iter_mut().find(|adjustment| adjustment.pid == pid);
            let undo = own.and_then(|own| own.values.get_mut(index)).ok_or(Errno::ENOMEM)?;
            *undo = undo.checked_sub(operation.change).ok_or(Errno::ERANGE)?;
        }
        semaphore.value = new;
        Ok(None)
    }

    fn take_back(&mut self, operation: &Operation, pid: u32) {
        let index = usize::from(operation.index);
        if let Some(semaphore) = self.semaphores.get_mut(index) {
            semaphore.value = semaphore.value.wrapping_add_signed(operation.change.wrapping_neg());
        }
        if operation.flags & UNDO != 0
            && let Some(own) = self.adjustments.iter_mut().find(|adjustment| adjustment.pid == pid)
            && let Some(undo) = own.values.get_mut(index)
        {
            *undo = undo.wrapping_add(operation.change);
        }
    }

    fn make_room(&mut self, pid: u32) -> Result<()> {
        if self.adjustments.iter().any(|adjustment| adjustment.pid == pid) {
            return Ok(());
        }
        let mut values = Vec::new();
        values.try_reserve_exact(self.semaphores.len()).map_err(|_| Errno::ENOMEM)?;
        values.resize(self.semaphores.len(), 0);
        self.adjustments.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.adjustments.push(Adjustment { pid, values });
        Ok(())
    }

    /// Undoes what a process that has ended wished to be undone, as far as values go. Says whether anything changed.
    pub fn undo(&mut self, pid: u32) -> bool {
        let Some(place) = self.adjustments.iter().position(|adjustment| adjustment.pid == pid) else {
            return false;
        };
        let adjustment = self.adjustments.swap_remove(place);
        let mut any = false;
        for (semaphore, change) in self.semaphores.iter_mut().zip(adjustment.values) {
            if change != 0 {
                let value = i32::from(semaphore.value) + i32::from(change);
                let value = u16::try_from(value.clamp(0, i32::from(MOST))).unwrap_or(MOST);
                *semaphore = Semaphore { value, pid };
                any = true;
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(set: &Set) -> Vec<u16> {
        set.iter().map(|semaphore| semaphore.value).collect()
    }

    fn operation(index: u16, change: i16, flags: u16) -> Operation {
        Operation { index, change, flags }
    }

    #[test]
    fn several_at_once_or_none() {
        let mut set = Set::new(2).unwrap();
        set.set(0, 1, 9).unwrap();
        let both = [operation(0, -1, 0), operation(1, -1, 0)];
        assert_eq!(set.attempt(&both, 5), Ok(Attempt::Blocked(1, WaitsFor::More)));
        assert_eq!((values(&set), set.get(0).unwrap().pid), ([1, 0].to_vec(), 9));
        // Each sees what those before it did.
        let steps = [operation(1, 0, 0), operation(1, 2, 0), operation(1, -1, 0), operation(0, -1, 0)];
        assert_eq!(set.attempt(&steps, 5), Ok(Attempt::Done));
        assert_eq!((values(&set), set.get(1).unwrap().pid), ([0, 1].to_vec(), 5));
        assert_eq!(set.attempt(&[operation(1, 0, 0)], 5), Ok(Attempt::Blocked(0, WaitsFor::Zero)));
        assert_eq!(set.attempt(&[operation(2, 1, 0)], 5), Err(Errno::EFBIG));
        assert_eq!(set.attempt(&[operation(0, 5, 0), operation(1, i16::MAX, 0)], 5), Err(Errno::ERANGE));
        assert_eq!(values(&set), [0, 1]);
    }

    #[test]
    fn the_end_of_a_process_undoes() {
        let mut set = Set::new(2).unwrap();
        assert_eq!(set.attempt(&[operation(0, 5, UNDO), operation(1, 3, 0)], 7), Ok(Attempt::Done));
        assert_eq!(set.attempt(&[operation(0, -2, 0)], 8), Ok(Attempt::Done));
        assert!(!set.undo(8) && set.undo(7) && !set.undo(7));
        assert_eq!(values(&set), [0, 3]);
        assert_eq!(set.attempt(&[operation(1, -3, UNDO)], 7), Ok(Attempt::Done));
        set.set(1, 10, 1).unwrap();
        assert!(!set.undo(7), "setting a value forgets");
        assert_eq!(values(&set), [0, 10]);
    }

    proptest! {
        /// Undoing everything of everybody leads back to where the others alone would be.
        #[test]
        fn what_fails_leaves_nothing(
            calls in prop::collection::vec(
                (1..4u32, prop::collection::vec((0..3u16, -4..5i16, any::<bool>()), 1..5)), 1..60)
        ) {
            let mut set = Set::new(3).unwrap();
            let mut model = [0_i32; 3];
            let mut undo = [[0_i32; 3]; 4];
            for (pid, steps) in calls {
                let operations: Vec<Operation> = steps
                    .iter()
                    .map(|&(index, change, undoes)| operation(index, change, if undoes { UNDO } else { 0 }))
                    .collect();
                let (mut next, mut next_undo) = (model, undo[pid as usize]);
                let mut blocked = None;
                for (place, step) in operations.iter().enumerate() {
                    let value = &mut next[usize::from(step.index)];
                    if step.change == 0 && *value != 0 || *value + i32::from(step.change) < 0 {
                        blocked = Some(place);
                        break;
                    }
                    *value += i32::from(step.change);
                    if step.flags & UNDO != 0 {
                        next_undo[usize::from(step.index)] -= i32::from(step.change);
                    }
                }
                match set.attempt(&operations, pid).unwrap() {
                    Attempt::Done => {
                        prop_assert_eq!(blocked, None);
                        (model, undo[pid as usize]) = (next, next_undo);
                    }
                    Attempt::Blocked(place, _) => prop_assert_eq!(blocked, Some(place)),
                }
                let now: Vec<i32> = values(&set).into_iter().map(i32::from).collect();
                prop_assert_eq!(&now[..], &model[..]);
            }
            for pid in 1..4 {
                set.undo(pid);
                for (value, change) in model.iter_mut().zip(undo[pid as usize]) {
                    *value = (*value + change).max(0);
                }
            }
            let now: Vec<i32> = values(&set).into_iter().map(i32::from).collect();
            prop_assert_eq!(&now[..], &model[..]);
        }
    }
}
