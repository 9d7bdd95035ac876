//! Memory for others: clean pages that nobody used lately.
//!
//! A hand goes round all caches and all their pages. A page that was used since it last came by is spared once; one that
//! is dirty, mapped or on its way stays. Lock: rank `Table`, around the list of caches; the caches' own locks are only
//! tried, since whoever needs memory may hold one.

use alloc::vec::Vec;

use hal::frames;
use hal::rank;
use hal::spin::Lock;

use super::pages::{Known, State};

/// All caches, and where the hand is: which cache, and which page of it.
struct Round {
    caches: Vec<Known>,
    cache: usize,
    page: u64,
}

static ROUND: Lock<Round, rank::Table> = Lock::new(Round { caches: Vec::new(), cache: 0, page: 0 });

/// Pages given up at once.
const BATCH: usize = 64;
/// Pages looked at in one cache before the next has its turn.
const LOOKS: usize = 1024;

/// Adds a cache; says whether there was memory for it.
pub(super) fn register(cache: Known) -> bool {
    let mut round = ROUND.lock();
    if round.caches.len() == round.caches.capacity() {
        // Caches that are gone make room first.
        round.caches.retain(|known| known.strong_count() > 0);
    }
    if round.caches.try_reserve(1).is_err() {
        return false;
    }
    round.caches.push(cache);
    true
}

/// Frees a batch of pages; says whether it freed any.
pub fn some() -> bool {
    free(BATCH) > 0
}

/// Frees up to `wanted` pages; says how many.
pub fn free(wanted: usize) -> usize {
    let mut freed = 0;
    // Twice round: the first time, all may have been used.
    let mut turns = 2 * ROUND.lock().caches.len() + 2;
    while freed < wanted && turns > 0 {
        let (known, page) = {
            let mut round = ROUND.lock();
            let at = round.cache;
            match round.caches.get(at).cloned() {
                Some(known) => (known, round.page),
                None => {
                    (round.cache, round.page) = (0, 0);
                    turns -= 1;
                    continue;
                }
            }
        };
        let reached = known.upgrade().and_then(|cache| cache.give_up(page, wanted - freed, &mut freed));
        let mut round = ROUND.lock();
        match reached {
            Some(page) => round.page = page,
            None => {
                round.cache += 1;
                round.page = 0;
                turns -= 1;
            }
        }
    }
    freed
}

/// Free frames that the cache leaves to others, so that they need not ask for them one by one.
fn room() -> usize {
    frames::stats().total / 16
}

/// Gives up a batch if there is less left than others should find.
pub(super) fn keep_room() {
    if frames::stats().free < room() {
        some();
    }
}

impl super::PageCache {
    /// Gives up to `wanted` pages from `from` on up; says where to go on, if there is more.
    fn give_up(&self, from: u64, wanted: usize, freed: &mut usize) -> Option<u64> {
        let mut pages = self.pages.try_lock()?;
        let mut at = from;
        let mut given = 0;
        for _ in 0..LOOKS {
            let (index, _) = pages.slots.next(at)?;
            at = index + 1;
            let Some(slot) = pages.slots.get_mut(index) else { continue };
            let is_idle = match &slot.state {
                State::Clean => true,
                State::Dirty => false,
                State::Loading(load) => load.poll().is_some(),
            };
            // Whoever maps it, or copies it, owns the frame too.
            if !is_idle || !slot.frame.is_unique() {
                continue;
            }
            if core::mem::take(&mut slot.is_used) {
                continue;
            }
            pages.remove(index);
            *freed += 1;
            given += 1;
            if given == wanted {
                break;
            }
        }
        Some(at)
    }

    /// Forgets all clean pages that nobody uses (`drop_caches`).
    pub fn drop_clean(&self) {
        let mut freed = 0;
        let mut at = Some(0);
        while let Some(from) = at {
            // Twice, for those that were used.
            self.give_up(from, usize::MAX, &mut freed);
            at = self.give_up(from, usize::MAX, &mut freed);
        }
    }
}

/// Forgets all clean pages of all caches that nobody uses.
pub fn drop_all_clean() {
    let count = ROUND.lock().caches.len();
    for number in 0..count {
        let known = ROUND.lock().caches.get(number).cloned();
        if let Some(cache) = known.and_then(|known| known.upgrade()) {
            cache.drop_clean();
        }
    }
}
