//! What inotify(7) tells a reader: events in a queue, equal neighbours as one, the last of all that there were too many.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

/// Masks.
pub mod mask {
    /// A file was read.
    pub const ACCESS: u32 = 1;
    /// It was written.
    pub const MODIFY: u32 = 2;
    /// Something else of it changed.
    pub const ATTRIB: u32 = 4;
    /// One who could write it closed it.
    pub const CLOSE_WRITE: u32 = 8;
    /// One who could not, did.
    pub const CLOSE_NOWRITE: u32 = 0x10;
    /// It was opened.
    pub const OPEN: u32 = 0x20;
    /// It was moved from here.
    pub const MOVED_FROM: u32 = 0x40;
    /// It was moved here.
    pub const MOVED_TO: u32 = 0x80;
    /// It was made.
    pub const CREATE: u32 = 0x100;
    /// It was removed.
    pub const DELETE: u32 = 0x200;
    /// What is watched itself was.
    pub const DELETE_SELF: u32 = 0x400;
    /// What is watched itself was moved.
    pub const MOVE_SELF: u32 = 0x800;
    /// All of these.
    pub const ALL: u32 = 0xfff;
    /// Its file system was unmounted.
    pub const UNMOUNT: u32 = 0x2000;
    /// Events were lost.
    pub const OVERFLOW: u32 = 0x4000;
    /// It is watched no more.
    pub const IGNORED: u32 = 0x8000;
    /// To be watched only if it is a directory.
    pub const ONLY_DIRECTORY: u32 = 0x100_0000;
    /// A link is watched itself.
    pub const DO_NOT_FOLLOW: u32 = 0x200_0000;
    /// Nothing is told of files that have been removed.
    pub const EXCLUDE_UNLINKED: u32 = 0x400_0000;
    /// It must not be watched yet.
    pub const MUST_BE_NEW: u32 = 0x1000_0000;
    /// In addition to what it is watched for already.
    pub const ADD: u32 = 0x2000_0000;
    /// It is about a directory.
    pub const IS_DIRECTORY: u32 = 0x4000_0000;
    /// For one event only.
    pub const ONE_SHOT: u32 = 0x8000_0000;
    /// Bits that inotify_add_watch(2) knows.
    pub const KNOWN: u32 = ALL
        | UNMOUNT
        | OVERFLOW
        | IGNORED
        | ONLY_DIRECTORY
        | DO_NOT_FOLLOW
        | EXCLUDE_UNLINKED
        | MUST_BE_NEW
        | ADD
        | IS_DIRECTORY
        | ONE_SHOT;
    /// What a watch keeps.
    pub const KEPT: u32 = ALL | EXCLUDE_UNLINKED | ONE_SHOT;
}

/// The head of `struct inotify_event`.
const HEAD: usize = 16;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which watch saw it; -1 for none.
    pub watch: i32,
    /// What.
    pub mask: u32,
    /// What tells the two halves of a move from others.
    pub cookie: u32,
    /// The name in the directory that is watched.
    pub name: Option<Arc<[u8]>>,
}

impl Event {
    /// Bytes that the name takes: with a NUL at least, and whole heads.
    fn name_len(&self) -> usize {
        self.name.as_ref().map_or(0, |name| (name.len() + 1).next_multiple_of(HEAD))
    }

    /// Bytes of the whole.
    pub fn len(&self) -> usize {
        HEAD + self.name_len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Gives it in pieces, as a program gets it.
    ///
    /// # Errors
    /// What `put` says.
    pub fn encode<E>(&self, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&self.watch.to_le_bytes());
        head[4..8].copy_from_slice(&self.mask.to_le_bytes());
        head[8..12].copy_from_slice(&self.cookie.to_le_bytes());
        head[12..].copy_from_slice(&u32::try_from(self.name_len()).unwrap_or(0).to_le_bytes());
        put(&head)?;
        if let Some(name) = &self.name {
            put(name)?;
            put(&[0; HEAD][..(self.name_len() - name.len()).min(HEAD)])?;
        }
        Ok(())
    }

    /// Whether a reader learns nothing from it after `last`.
    fn repeats(&self, last: &Event) -> bool {
        last.mask & mask::IGNORED == 0
            && self.watch == last.watch
            && self.mask == last.mask
            && self.name == last.name
    }
}

/// Events that nobody has read.
#[derive(Debug)]
pub struct Queue {
    events: VecDeque<Event>,
    /// Bytes they take (FIONREAD).
    len: usize,
    /// How many there may be.
    limit: usize,
    /// That some were lost is in the queue.
    has_overflown: bool,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It can be read; a reader is to be woken.
    Queued,
    /// The last one said so already, or there is no room and the reader knows.
    Dropped,
}

impl Queue {
    /// Empty, for so many events.
    pub const fn new(limit: usize) -> Self {
        Queue { events: VecDeque::new(), len: 0, limit, has_overflown: false }
    }

    /// Adds an event, or that one was lost.
    pub fn add(&mut self, event: Event) -> Added {
        let is_full = self.events.len() >= self.limit || self.events.try_reserve(1).is_err();
        let event = if is_full {
            if self.has_overflown || self.events.try_reserve(1).is_err() {
                return Added::Dropped;
            }
            self.has_overflown = true;
            Event { watch: -1, mask: mask::OVERFLOW, cookie: 0, name: None }
        } else if self.events.back().is_some_and(|last| event.repeats(last)) {
            return Added::Dropped;
        } else {
            event
        };
        self.len += event.len();
        self.events.push_back(event);
        Added::Queued
    }

    /// The one that came first.
    pub fn first(&self) -> Option<&Event> {
        self.events.front()
    }

    /// Takes it.
    pub fn take(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.len -= event.len();
        if event.mask & mask::OVERFLOW != 0 {
            self.has_overflown = false;
        }
        Some(event)
    }

    /// Bytes of all.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn event(watch: i32, mask: u32, name: Option<&[u8]>) -> Event {
        Event { watch, mask, cookie: 0, name: name.map(Arc::from) }
    }

    fn encoded(event: &Event) -> Vec<u8> {
        let mut bytes = Vec::new();
        event
            .encode(|part| {
                bytes.extend_from_slice(part);
                Ok::<_, ()>(())
            })
            .unwrap();
        bytes
    }

    #[test]
    fn names_end_in_a_nul_and_fill_whole_heads() {
        let bytes = encoded(&event(7, mask::OPEN, None));
        assert_eq!(bytes, [7, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for (name, len) in [(&b"a"[..], 16), (b"123456789012345", 16), (b"1234567890123456", 32)] {
            let event = event(1, mask::CREATE, Some(name));
            let bytes = encoded(&event);
            assert_eq!((bytes.len(), event.len(), usize::from(bytes[12])), (16 + len, 16 + len, len));
            assert_eq!(&bytes[16..16 + name.len()], name);
            assert!(bytes[16 + name.len()..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn equal_neighbours_are_one() {
        let mut queue = Queue::new(10);
        let modified = event(1, mask::MODIFY, Some(b"x"));
        assert_eq!(queue.add(modified.clone()), Added::Queued);
        assert_eq!(queue.add(modified.clone()), Added::Dropped);
        assert_eq!(queue.add(event(1, mask::MODIFY, Some(b"y"))), Added::Queued);
        assert_eq!(queue.add(modified.clone()), Added::Queued);
        assert_eq!(queue.add(event(2, mask::IGNORED, None)), Added::Queued);
        assert_eq!(queue.add(event(2, mask::IGNORED, None)), Added::Queued);
        assert_eq!(queue.len(), 3 * 32 + 2 * 16);
    }

    #[test]
    fn a_full_queue_says_so_once() {
        let mut queue = Queue::new(2);
        for (watch, expected) in
            [(1, Added::Queued), (2, Added::Queued), (3, Added::Queued), (4, Added::Dropped)]
        {
            assert_eq!(queue.add(event(watch, mask::OPEN, None)), expected);
        }
        assert_eq!((queue.take().unwrap().watch, queue.take().unwrap().watch), (1, 2));
        assert_eq!(queue.add(event(5, mask::OPEN, None)), Added::Queued);
        let lost = queue.take().unwrap();
        assert_eq!((lost.watch, lost.mask), (-1, mask::OVERFLOW));
        assert_eq!(queue.take().unwrap().watch, 5);
        assert!(queue.is_empty() && queue.take().is_none());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_silently(steps in prop::collection::vec(prop::option::of(0..3i32), 0..200)) {
            let mut queue = Queue::new(5);
            let mut model: Vec<i32> = Vec::new();
            for step in steps {
                match step {
                    Some(watch) => {
                        queue.add(event(watch, mask::OPEN, None));
                        if model.len() >= 5 {
                            if !model.contains(&-1) {
                                model.push(-1);
                            }
                        } else if model.last() != Some(&watch) {
                            model.push(watch);
                        }
                    }
                    None => {
                        let expected = if model.is_empty() { None } else { Some(model.remove(0)) };
                        prop_assert_eq!(queue.take().map(|event| event.watch), expected);
                    }
                }
                prop_assert_eq!(queue.len(), model.len() * 16);
            }
        }
    }
}
