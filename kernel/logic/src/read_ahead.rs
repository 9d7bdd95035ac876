//! Which pages of a file to read before somebody asks for them.
//!
//! Who reads in order gets a window that doubles with each step up to a limit, and the next one is begun when the first
//! page of the window is reached, so that it is there in time. Who jumps about gets what was asked for.

use core::ops::Range;

/// Pages of the first window.
const FIRST: u64 = 4;
/// Pages of the largest: 128 KiB, as Linux reads ahead by default.
pub const LARGEST: u64 = 32;

/// Where a file is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadAhead {
    /// The page behind the last access.
    next: u64,
    /// What was read ahead last.
    window: (u64, u64),
}

impl ReadAhead {
    /// Nothing read yet.
    pub const fn new() -> Self {
        ReadAhead { next: 0, window: (0, 0) }
    }

    /// `wanted` pages from `index` on are asked for and the first of them is not there: what to read now.
    pub fn missing(&mut self, index: u64, wanted: u64) -> Range<u64> {
        let wanted = wanted.clamp(1, LARGEST);
        let is_sequential = index == self.next || index == self.window.1;
        let len = if is_sequential {
            let last = self.window.1 - self.window.0;
            wanted.max(FIRST).max(last * 2).min(LARGEST)
        } else {
            wanted
        };
        let end = index.saturating_add(len);
        self.window = if is_sequential { (index, end) } else { (end, end) };
        index..end
    }

    /// The pages `from..to` were there: what to begin to read, if anything.
    pub fn present(&mut self, from: u64, to: u64) -> Option<Range<u64>> {
        let is_sequential = from == self.next || from + 1 == self.next;
        self.next = to;
        let (start, end) = self.window;
        // Only once for each window: the next access lies behind its start.
        if !is_sequential || start == end || !(from..to).contains(&start) {
            return None;
        }
        let len = ((end - start) * 2).min(LARGEST);
        self.window = (end, end.saturating_add(len));
        Some(self.window.0..self.window.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// Reads pages as a cache would; says how often one had to be waited for.
    fn run(pages: impl Iterator<Item = u64>) -> (usize, BTreeSet<u64>) {
        let (mut ahead, mut there, mut waits) = (ReadAhead::new(), BTreeSet::new(), 0);
        for page in pages {
            if !there.contains(&page) {
                waits += 1;
                there.extend(ahead.missing(page, 1));
                assert!(there.contains(&page));
            }
            there.extend(ahead.present(page, page + 1).into_iter().flatten());
        }
        (waits, there)
    }

    #[test]
    fn reading_in_order_waits_once() {
        let (waits, there) = run(0..10_000);
        assert_eq!(waits, 1);
        assert!((there.len() as u64) < 10_000 + 3 * LARGEST, "{}", there.len());
    }

    #[test]
    fn reading_in_order_from_the_middle_waits_twice() {
        assert_eq!(run(5000..6000).0, 2);
    }

    #[test]
    fn jumping_about_reads_only_what_is_asked_for() {
        let pages: Vec<u64> = (1..1000).map(|n| n * 7919 % 100_003 + 10).collect();
        let (_, there) = run(pages.iter().copied());
        assert_eq!(there.len(), pages.iter().collect::<BTreeSet<_>>().len());
    }

    #[test]
    fn the_window_grows_to_its_limit() {
        let mut ahead = ReadAhead::new();
        assert_eq!(ahead.missing(0, 1), 0..4);
        assert_eq!(ahead.present(0, 1), Some(4..12));
        assert_eq!(ahead.present(1, 4), None);
        assert_eq!(ahead.present(4, 5), Some(12..28));
        assert_eq!(ahead.present(5, 13), Some(28..60));
        assert_eq!(ahead.present(13, 29), Some(60..92));
    }

    #[test]
    fn a_large_request_is_read_at_once() {
        let mut ahead = ReadAhead::new();
        assert_eq!(ahead.missing(100, 16), 100..116);
        assert_eq!(ahead.missing(u64::MAX - 3, 16), u64::MAX - 3..u64::MAX);
    }
}
