//! Watches on files, as inotify(7) has them: who is told what happens. What happens is seen by [`super::notify`].
//!
//! A watch is found by device and number of its file and keeps the inode alive, so that the number stays its own. Locks:
//! rank `Watches`, around all watches; inside it `WatchQueue`, around the events of one reader.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hashbrown::HashMap;
use logic::inotify::{Added, Event, Queue, mask};

use super::inode::Inode;
use crate::sched::{Mutex, WaitQueue};

/// Device and number of a file.
pub(super) type Key = (u64, u64);
pub(super) type Name = Arc<[u8]>;

/// Who reads events of some watches.
pub struct Reader {
    number: u64,
    user: u32,
    queue: Mutex<Queue, rank::WatchQueue>,
    came: WaitQueue,
}

/// A watch on a file.
struct Watch {
    reader: Arc<Reader>,
    number: i32,
    mask: u32,
    _inode: Arc<dyn Inode>,
}

/// What a user has.
#[derive(Clone, Copy, Default)]
struct Uses {
    readers: u32,
    watches: u32,
}

#[derive(Default)]
struct All {
    by_file: HashMap<Key, Vec<Watch>>,
    /// The file of a reader's watch.
    by_number: HashMap<(u64, i32), Key>,
    /// The number given out last, by reader.
    last: HashMap<u64, i32>,
    users: HashMap<u32, Uses>,
}

/// How many watches there are.
static WATCHES: AtomicUsize = AtomicUsize::new(0);
static ALL: Mutex<Option<All>, rank::Watches> = Mutex::new(None);
static NEXT_READER: AtomicU64 = AtomicU64::new(1);

/// `/proc/sys/fs/inotify`: how many events may wait, how many readers and watches a user may have.
pub static LIMITS: Limits =
    Limits { events: AtomicU32::new(16_384), readers: AtomicU32::new(128), watches: AtomicU32::new(65_536) };

/// See [`LIMITS`].
pub struct Limits {
    /// `max_queued_events`.
    pub events: AtomicU32,
    /// `max_user_instances`.
    pub readers: AtomicU32,
    /// `max_user_watches`.
    pub watches: AtomicU32,
}

impl Reader {
    /// One that watches nothing, of this user.
    ///
    /// # Errors
    /// EMFILE if the user has too many, ENOMEM.
    pub fn new(user: u32) -> Result<Arc<Self>> {
        let mut all = ALL.lock();
        let users = &mut all.get_or_insert_default().users;
        users.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let uses = users.entry(user).or_default();
        if uses.readers >= LIMITS.readers.load(Ordering::Relaxed) {
            return Err(Errno::EMFILE);
        }
        uses.readers += 1;
        Ok(Arc::new(Reader {
            number: NEXT_READER.fetch_add(1, Ordering::Relaxed),
            user,
            queue: Mutex::new(Queue::new(LIMITS.events.load(Ordering::Relaxed) as usize)),
            came: WaitQueue::new(),
        }))
    }

    /// inotify_add_watch(2) on `inode`: the watch's number.
    ///
    /// # Errors
    /// EEXIST, ENOSPC if the user has too many, ENOMEM.
    pub fn watch(self: &Arc<Self>, inode: &Arc<dyn Inode>, wanted: u32) -> Result<i32> {
        let key = key_of(&**inode);
        let kept = wanted & mask::KEPT;
        let mut guard = ALL.lock();
        let all = guard.get_or_insert_default();
        let known = all
            .by_file
            .get_mut(&key)
            .and_then(|watches| watches.iter_mut().find(|watch| Arc::ptr_eq(&watch.reader, self)));
        if let Some(known) = known {
            if wanted & mask::MUST_BE_NEW != 0 {
                return Err(Errno::EEXIST);
            }
            known.mask = if wanted & mask::ADD != 0 { known.mask | kept } else { kept };
            return Ok(known.number);
        }
        all.add(self, key, inode, kept)
    }

    /// inotify_rm_watch(2).
    ///
    /// # Errors
    /// EINVAL if there is none.
    pub fn unwatch(&self, number: i32) -> Result<()> {
        let removed = {
            let mut all = ALL.lock();
            let all = all.get_or_insert_default();
            let key = *all.by_number.get(&(self.number, number)).ok_or(Errno::EINVAL)?;
            all.remove(key, self.number, number)
        };
        drop(removed);
        self.tell(Event { watch: number, mask: mask::IGNORED, cookie: 0, name: None });
        Ok(())
    }

    /// Works on the events that nobody has read.
    pub fn with_queue<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
        work(&mut self.queue.lock())
    }

    /// Where one waits for events.
    pub fn queue(&self) -> &WaitQueue {
        &self.came
    }

    /// Gives up all its watches: nobody reads any more.
    pub fn close(&self) {
        let mut removed = Vec::new();
        let mut all = ALL.lock();
        let all = all.get_or_insert_default();
        loop {
            let next = all.by_number.iter().find(|((reader, _), _)| *reader == self.number);
            let Some((&(_, number), &key)) = next else { break };
            // Without memory to keep them for later they are dropped here: that may take the locks of a file.
            let watch = all.remove(key, self.number, number);
            if removed.try_reserve(1).is_ok() {
                removed.push(watch);
            }
        }
        all.last.remove(&self.number);
        if let Some(uses) = all.users.get_mut(&self.user) {
            uses.readers -= 1;
        }
    }

    fn tell(&self, event: Event) {
        let added = self.queue.lock().add(event);
        if added == Added::Queued {
            self.came.wake_all();
        }
    }
}

impl All {
    fn add(&mut self, reader: &Arc<Reader>, key: Key, inode: &Arc<dyn Inode>, mask: u32) -> Result<i32> {
        let All { by_file, by_number, last, users } = self;
        by_file.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        by_number.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        last.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        users.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let uses = users.entry(reader.user).or_default();
        if uses.watches >= LIMITS.watches.load(Ordering::Relaxed) {
            return Err(Errno::ENOSPC);
        }
        let number = last.get(&reader.number).copied().unwrap_or(0).checked_add(1).ok_or(Errno::ENOSPC)?;
        let watches = by_file.entry(key).or_default();
        watches.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        watches.push(Watch { reader: reader.clone(), number, mask, _inode: inode.clone() });
        uses.watches += 1;
        last.insert(reader.number, number);
        by_number.insert((reader.number, number), key);
        WATCHES.fetch_add(1, Ordering::Relaxed);
        Ok(number)
    }

    /// Takes a watch out; it is dropped by the caller, after the lock: with it the inode may go.
    fn remove(&mut self, key: Key, reader: u64, number: i32) -> Option<Watch> {
        self.by_number.remove(&(reader, number))?;
        WATCHES.fetch_sub(1, Ordering::Relaxed);
        let watches = self.by_file.get_mut(&key)?;
        let place =
            watches.iter().position(|watch| watch.reader.number == reader && watch.number == number)?;
        let watch = watches.swap_remove(place);
        if watches.is_empty() {
            self.by_file.remove(&key);
        }
        if let Some(uses) = self.users.get_mut(&watch.reader.user) {
            uses.watches -= 1;
        }
        Some(watch)
    }
}

/// By what the watches on a file are found.
pub(super) fn key_of(inode: &dyn Inode) -> Key {
    let attributes = inode.attributes();
    (attributes.device, attributes.number)
}

/// Something that happened to a file, as its watches and those of its directory see it.
pub(super) struct Happening<'a> {
    /// What.
    pub(super) mask: u32,
    /// What tells a move from others.
    pub(super) cookie: u32,
    /// To which name in the directory that is watched.
    pub(super) name: Option<&'a Name>,
    /// It happened to a name that has been removed.
    pub(super) is_unlinked: bool,
}

/// Whether anybody watches anything: hooks look no further if not.
#[inline]
pub(super) fn is_anything_watched() -> bool {
    WATCHES.load(Ordering::Relaxed) != 0
}

/// Tells the watches on the file with this key.
pub(super) fn tell(key: Key, happening: &Happening<'_>) {
    let mut spent = Vec::new();
    let mut guard = ALL.lock();
    let Some(all) = guard.as_mut() else { return };
    let Some(watches) = all.by_file.get(&key) else { return };
    for watch in watches {
        let events = happening.mask & !mask::IS_DIRECTORY;
        let is_wanted = watch.mask & events != 0 || events & (mask::UNMOUNT | mask::IGNORED) != 0;
        let is_excluded =
            happening.is_unlinked && happening.name.is_some() && watch.mask & mask::EXCLUDE_UNLINKED != 0;
        if !is_wanted || is_excluded {
            continue;
        }
        watch.reader.tell(Event {
            watch: watch.number,
            mask: happening.mask,
            cookie: happening.cookie,
            name: happening.name.cloned(),
        });
        let is_over = events & (mask::DELETE_SELF | mask::UNMOUNT) != 0;
        if (is_over || watch.mask & mask::ONE_SHOT != 0) && spent.try_reserve(1).is_ok() {
            spent.push((watch.reader.clone(), watch.number));
        }
    }
    let mut removed = Vec::new();
    for (reader, number) in spent {
        let watch = all.remove(key, reader.number, number);
        reader.tell(Event { watch: number, mask: mask::IGNORED, cookie: 0, name: None });
        if removed.try_reserve(1).is_ok() {
            removed.push(watch);
        }
    }
    drop(guard);
    drop(removed);
}

/// Nobody uses a name any more that was removed. If it was the file's last, the file is gone.
#[inline]
pub(super) fn gone(inode: &dyn Inode) {
    if is_anything_watched() && inode.attributes().links == 0 {
        let happening = Happening { mask: mask::DELETE_SELF, cookie: 0, name: None, is_unlinked: false };
        tell(key_of(inode), &happening);
    }
}

/// The file system with this device is not mounted any more.
pub fn unmounted(device: u64) {
    if !is_anything_watched() {
        return;
    }
    loop {
        let next = {
            let all = ALL.lock();
            let keys = all.iter().flat_map(|all| all.by_file.keys());
            keys.copied().find(|key| key.0 == device)
        };
        let Some(key) = next else { return };
        tell(key, &Happening { mask: mask::UNMOUNT, cookie: 0, name: None, is_unlinked: false });
    }
}
