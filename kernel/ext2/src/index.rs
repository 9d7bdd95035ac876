//! Indexes of directories in memory: from a name's hash to its block, and which blocks have room.
//!
//! Made when a directory of more than a few blocks is first searched, kept up while it changes, dropped when memory is asked
//! back, when there are too many names in all, or when an operation on the directory failed. What an index says is always
//! checked against the block.

use abi::{Errno, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashTable};

use crate::bytes::{low16, low32, to32};
use crate::types::Ino;

/// How many blocks with room are tried for a new name.
const TRIES: usize = 8;
/// Room that is not worth remembering.
const LEAST_ROOM: u16 = 12;

/// The index of one directory.
#[derive(Default)]
pub(crate) struct Index {
    names: HashTable<(u32, u32)>,
    rooms: Vec<Room>,
    /// Blocks that may have room.
    open: VecDeque<u32>,
    /// When it was last used, in a count of uses.
    used: u64,
}

#[derive(Clone, Copy, Default)]
struct Room {
    bytes: u16,
    is_open: bool,
}

/// The indexes of all directories.
pub(crate) struct Indexes {
    all: HashMap<Ino, Index>,
    limit: usize,
    uses: u64,
    seed: u32,
    /// Those that the operation under way changed.
    touched: Vec<Ino>,
}

impl Indexes {
    pub(crate) fn new(limit: usize, seed: u32) -> Self {
        Indexes { all: HashMap::new(), limit, uses: 0, seed, touched: Vec::new() }
    }

    /// The hash of a name; seeded, so that nobody can prepare names that collide.
    pub(crate) fn hash(&self, name: &[u8]) -> u32 {
        let mut hash = u64::from(self.seed) ^ 0xcbf2_9ce4_8422_2325;
        for &byte in name {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            hash ^= hash >> 29;
        }
        low32(hash ^ hash >> 32)
    }

    pub(crate) fn get(&mut self, directory: Ino) -> Option<&mut Index> {
        self.uses += 1;
        let index = self.all.get_mut(&directory)?;
        index.used = self.uses;
        Some(index)
    }

    /// The index of a directory that an operation changes.
    pub(crate) fn change(&mut self, directory: Ino) -> Option<&mut Index> {
        if self.touched.try_reserve(1).is_err() {
            self.all.remove(&directory);
            return None;
        }
        let index = self.all.get_mut(&directory)?;
        if !self.touched.contains(&directory) {
            self.touched.push(directory);
        }
        Some(index)
    }

    /// Keeps a new index, and drops the oldest while there are too many names.
    pub(crate) fn keep(&mut self, directory: Ino, mut index: Index) -> Result<()> {
        if index.names.len() > self.limit {
            return Err(Errno::ENOMEM);
        }
        self.all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        while self.all.values().map(|index| index.names.len()).sum::<usize>() + index.names.len() > self.limit
        {
            let Some(oldest) = self.all.iter().min_by_key(|(_, index)| index.used).map(|(&ino, _)| ino)
            else {
                break;
            };
            self.all.remove(&oldest);
        }
        self.uses += 1;
        index.used = self.uses;
        self.all.insert(directory, index);
        Ok(())
    }

    pub(crate) fn forget(&mut self, directory: Ino) {
        self.all.remove(&directory);
    }

    /// Drops those that the failed operation changed.
    pub(crate) fn forget_touched(&mut self) {
        for directory in &self.touched {
            self.all.remove(directory);
        }
    }

    pub(crate) fn end_operation(&mut self) {
        self.touched.clear();
    }

    /// Drops all; returns about how many bytes.
    pub(crate) fn clear(&mut self) -> usize {
        let bytes = self.memory();
        self.all = HashMap::new();
        bytes
    }

    /// Bytes that indexes take.
    pub(crate) fn memory(&self) -> usize {
        self.all.values().map(|index| index.names.capacity() * 9 + index.rooms.capacity() * 4).sum()
    }
}

impl Index {
    /// Adds a name; without memory the index is of no use any more.
    pub(crate) fn add(&mut self, hash: u32, block: u32) -> Result<()> {
        self.names.try_reserve(1, |&(hash, _)| spread(hash)).map_err(|_| Errno::ENOMEM)?;
        self.names.insert_unique(spread(hash), (hash, block), |&(hash, _)| spread(hash));
        Ok(())
    }

    pub(crate) fn remove(&mut self, hash: u32, block: u32) {
        if let Ok(entry) = self.names.find_entry(spread(hash), |&name| name == (hash, block)) {
            entry.remove();
        }
    }

    /// The `nth` block that may have the name.
    pub(crate) fn candidate(&self, hash: u32, nth: usize) -> Option<u32> {
        self.names.iter_hash(spread(hash)).filter(|name| name.0 == hash).map(|name| name.1).nth(nth)
    }

    /// Notes how much room a block has.
    pub(crate) fn set_room(&mut self, block: u32, bytes: usize) -> Result<()> {
        let place = usize::try_from(block).map_err(|_| Errno::EFBIG)?;
        if place >= self.rooms.len() {
            self.rooms.try_reserve(place + 1 - self.rooms.len()).map_err(|_| Errno::ENOMEM)?;
            self.rooms.resize(place + 1, Room::default());
        }
        self.open.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let Some(room) = self.rooms.get_mut(place) else { return Ok(()) };
        room.bytes = low16(to32(bytes));
        if room.bytes >= LEAST_ROOM && !room.is_open {
            room.is_open = true;
            self.open.push_front(block);
        }
        Ok(())
    }

    /// A block with so much room.
    pub(crate) fn find_room(&mut self, bytes: usize) -> Option<u32> {
        for _ in 0..TRIES.min(self.open.len()) {
            let block = *self.open.front()?;
            let room = self.rooms.get_mut(usize::try_from(block).ok()?)?;
            if usize::from(room.bytes) >= bytes {
                return Some(block);
            }
            self.open.pop_front();
            if room.bytes >= LEAST_ROOM {
                self.open.push_back(block);
            } else {
                room.is_open = false;
            }
        }
        None
    }
}

fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
