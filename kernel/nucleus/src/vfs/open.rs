//! Open files: what a descriptor stands for.
//!
//! The position is under a sleeping lock (rank `Position`) that is held while it is used, so two readers of one open file
//! do not read the same bytes. Streams take no such lock.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::file::{
    O_ACCMODE, O_APPEND, O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_NOATIME, O_NONBLOCK, O_PATH,
    O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
};
use abi::{Errno, Result};
use hal::rank;
use hal::spin::Once;
use hal::tally::Tally;
use logic::cred::Access;

use super::attached::Attached;
use super::busy::InUse;
use super::bytes::{ByteSink, ByteSource, Limited};
use super::device;
use super::entry::Entry;
use super::file::{Events, File, Listing, Seeking, Transfer};
use super::inode::{Attributes, Change, FileKind, FileSystem, Inode, Naming, Opening, Statistics};
use super::mapped::Mapped;
use super::mount::{self, Place};
use super::notify;
use super::storage::{Storage, Synced, Wanted};
use super::walk::{Found, Walker};
use crate::mm::PageSource;
use crate::sched::{Mutex, Wait};

/// An open file: shared by all descriptors that were duplicated from one another.
pub struct OpenFile {
    pub(super) file: Arc<dyn File>,
    /// Errors of write-back that it has told of.
    pub(super) errors_told: AtomicU32,
    /// Its name; none for pipes and the like.
    place: Option<Place>,
    /// What fstat(2) tells of files without a name.
    nameless: Option<Attributes>,
    flags: AtomicU32,
    position: Mutex<u64, rank::Position>,
    /// Where the listing that is under way ends.
    list_end: AtomicU64,
    mapped: Once<Arc<Mapped>>,
    attached: Attached,
    _writing: Option<InUse>,
    _writer: Option<mount::Writer>,
    _counted: Counted,
}

/// Open files there are.
static OPEN_FILES: Tally = Tally::new();

/// How many open files there are, for `/proc/sys/fs/file-nr`.
pub fn count() -> u64 {
    OPEN_FILES.sum().max(0).unsigned_abs()
}

/// One open file, counted until this is dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        OPEN_FILES.add(1);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN_FILES.add(-1);
    }
}

/// What a write at the end does to the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positioning {
    /// It is behind what was written.
    Moves,
    /// It is where it was.
    Stays,
}

/// Flags that fcntl(2) can change.
const CHANGEABLE: u32 = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

/// A file opened only as a name.
struct NameOnly;

impl File for NameOnly {
    fn as_any(&self) -> &dyn core::any::Any {
        self
    }
}

impl Walker<'_> {
    /// open(2), for a file that exists or was just made (`is_new`).
    ///
    /// # Errors
    /// Those of the manual page.
    pub fn open(&self, place: Place, flags: u32, is_new: bool) -> Result<Arc<OpenFile>> {
        let attributes = place.inode().attributes();
        check_kind(&attributes, flags)?;
        if flags & O_PATH != 0 {
            return Ok(Arc::new(OpenFile::new(Arc::new(NameOnly), Some(place), None, flags, None)));
        }
        if !is_new {
            place.check(self.cred, wanted(flags))?;
        }
        let is_device = matches!(attributes.kind, FileKind::CharDevice | FileKind::BlockDevice);
        if is_device && place.mount.flags() & mount::NO_DEVICES != 0 {
            return Err(Errno::EACCES);
        }
        if flags & O_NOATIME != 0 && !self.cred.owns(attributes.user) {
            return Err(Errno::EPERM);
        }
        let writes = flags & O_ACCMODE != O_RDONLY;
        let writing = match attributes.kind {
            FileKind::Regular if writes || flags & O_TRUNC != 0 => Some(InUse::writing(&attributes)?),
            _ => None,
        };
        let file = if is_device {
            device::open_at(&place, flags)?
        } else {
            let wait = if flags & O_NONBLOCK != 0 { Wait::NEVER } else { Wait::INTERRUPTIBLE };
            place.inode().clone().open(&Opening { flags, wait })?
        };
        if flags & O_TRUNC != 0 && attributes.kind == FileKind::Regular && !is_new {
            place.change(&Change { size: Some(0), ..Change::default() })?;
        }
        let file = Arc::new(OpenFile::new(file, Some(place), None, flags, writing));
        notify::opened(file.place(), file.flags());
        Ok(file)
    }

    /// What open(2) makes of a path whose file may be missing.
    ///
    /// # Errors
    /// EEXIST, EISDIR, ENOENT.
    pub fn check_creation(found: &Found, flags: u32) -> Result<()> {
        match &found.place {
            _ if flags & O_CREAT != 0 && found.wants_directory => Err(Errno::EISDIR),
            Some(_) if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => Err(Errno::EEXIST),
            Some(place) if flags & O_CREAT != 0 && place.entry.is_directory() => Err(Errno::EISDIR),
            None if flags & O_CREAT == 0 => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }
}

fn check_kind(attributes: &Attributes, flags: u32) -> Result<()> {
    match attributes.kind {
        kind if flags & O_DIRECTORY != 0 && kind != FileKind::Directory => Err(Errno::ENOTDIR),
        _ if flags & O_PATH != 0 => Ok(()),
        // Only reached with O_NOFOLLOW.
        FileKind::Symlink => Err(Errno::ELOOP),
        FileKind::Socket => Err(Errno::ENXIO),
        FileKind::Directory if flags & (O_ACCMODE | O_TRUNC) != O_RDONLY => Err(Errno::EISDIR),
        _ => Ok(()),
    }
}

fn wanted(flags: u32) -> Access {
    let access = match flags & O_ACCMODE {
        O_RDONLY => Access::READ,
        O_WRONLY => Access::WRITE,
        _ => Access::READ.and(Access::WRITE),
    };
    if flags & O_TRUNC != 0 { access.and(Access::WRITE) } else { access }
}

impl OpenFile {
    fn new(
        file: Arc<dyn File>,
        place: Option<Place>,
        nameless: Option<Attributes>,
        flags: u32,
        writing: Option<InUse>,
    ) -> Self {
        let writer =
            place.as_ref().filter(|_| writing.is_some()).map(|place| mount::Writer::new(&place.mount));
        if let Some(place) = &place {
            place.mount.note_use();
        }
        OpenFile {
            errors_told: AtomicU32::new(file.storage().map_or(0, Storage::write_errors)),
            file,
            place,
            nameless,
            flags: AtomicU32::new(flags & !(O_CREAT | O_EXCL | O_TRUNC | abi::file::O_NOCTTY)),
            position: Mutex::new(0),
            list_end: AtomicU64::new(u64::MAX),
            mapped: Once::new(),
            attached: Attached::new(),
            _writer: writer,
            _writing: writing,
            _counted: Counted::new(),
        }
    }

    /// A file the kernel reads for itself: nobody is asked.
    ///
    /// # Errors
    /// ENXIO if there is nothing to open.
    pub fn for_kernel(place: &Place) -> Result<Arc<Self>> {
        let file = place.inode().clone().open(&Opening { flags: O_RDONLY, wait: Wait::UNINTERRUPTIBLE })?;
        let file = Arc::new(Self::new(file, Some(place.clone()), None, O_RDONLY, None));
        notify::opened(file.place(), file.flags());
        Ok(file)
    }

    /// A file that no directory has, under a name that only shows in `/proc`.
    pub fn in_memory(inode: Arc<dyn Inode>, file: Arc<dyn File>, name: &[u8], flags: u32) -> Arc<Self> {
        let file_system = Arc::new(Lonely(inode.clone()));
        let place = Place::outside(file_system, Entry::new(inode, None, Arc::from(name), Naming::Volatile));
        Arc::new(Self::new(file, Some(place), None, flags, None))
    }

    /// An open file without a name.
    pub fn nameless(file: Arc<dyn File>, attributes: Attributes, flags: u32) -> Arc<Self> {
        Arc::new(Self::new(file, None, Some(attributes), flags, None))
    }

    /// What reads and writes it.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// What hangs on it: locks.
    pub fn attached(&self) -> &Attached {
        &self.attached
    }

    /// Its name.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// What fstat(2) tells.
    pub fn attributes(&self) -> Option<Attributes> {
        self.place.as_ref().map(|place| place.inode().attributes()).or(self.nameless)
    }

    /// `O_` flags.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Sets those flags that can change (fcntl(2): `F_SETFL`).
    pub fn set_flags(&self, flags: u32) {
        let kept = self.flags() & !CHANGEABLE;
        self.flags.store(kept | flags & CHANGEABLE, Ordering::Relaxed);
    }

    /// Whether it is only a name.
    pub fn is_name_only(&self) -> bool {
        self.flags() & O_PATH != 0
    }

    pub(super) fn check_readable(&self) -> Result<()> {
        let is_readable = !self.is_name_only() && matches!(self.flags() & O_ACCMODE, O_RDONLY | O_RDWR);
        if is_readable { Ok(()) } else { Err(Errno::EBADF) }
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        let is_writable = !self.is_name_only() && matches!(self.flags() & O_ACCMODE, O_WRONLY | O_RDWR);
        if is_writable { Ok(()) } else { Err(Errno::EBADF) }
    }

    fn transfer(&self, position: u64) -> Transfer {
        let wait = if self.flags() & O_NONBLOCK != 0 { Wait::NEVER } else { Wait::INTERRUPTIBLE };
        Transfer { position, wait }
    }

    fn is_directory(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.entry.is_directory())
    }

    /// read(2).
    ///
    /// # Errors
    /// EBADF, EISDIR, what the file says.
    pub fn read(&self, to: &mut dyn ByteSink) -> Result<usize> {
        self.check_readable()?;
        let count = self.read_next(to)?;
        if count > 0 {
            notify::read(self.place(), self.flags());
        }
        Ok(count)
    }

    fn read_next(&self, to: &mut dyn ByteSink) -> Result<usize> {
        match self.file.seeking() {
            Seeking::Positions | Seeking::Nowhere => {}
            Seeking::Renewed => self.renew_at_start()?,
            Seeking::Stream => return self.file.read(&self.transfer(0), to),
        }
        let mut position = self.position.lock();
        let count = self.read_positioned(*position, to)?;
        *position += count as u64;
        Ok(count)
    }

    /// pread(2).
    ///
    /// # Errors
    /// As `read`, and ESPIPE.
    pub fn read_at(&self, position: u64, to: &mut dyn ByteSink) -> Result<usize> {
        self.check_readable()?;
        if self.file.seeking() == Seeking::Stream {
            return Err(Errno::ESPIPE);
        }
        if position == 0 && self.file.seeking() == Seeking::Renewed {
            self.file.renew()?;
        }
        let count = self.read_positioned(position, to)?;
        if count > 0 {
            notify::read(self.place(), self.flags());
        }
        Ok(count)
    }

    /// Lets a file that shows what is at this moment look, before any lock is held.
    fn renew_at_start(&self) -> Result<()> {
        let is_at_start = *self.position.lock() == 0;
        if is_at_start { self.file.renew() } else { Ok(()) }
    }

    fn read_positioned(&self, position: u64, to: &mut dyn ByteSink) -> Result<usize> {
        if self.is_directory() {
            return Err(Errno::EISDIR);
        }
        self.file.read(&self.transfer(position), to)
    }

    /// write(2), no further than `limit` (RLIMIT_FSIZE).
    ///
    /// # Errors
    /// EBADF, EFBIG, what the file says.
    pub fn write(&self, from: &mut dyn ByteSource, limit: u64) -> Result<usize> {
        self.check_writable()?;
        let count = self.write_next(from, limit)?;
        if count > 0 {
            self.after_write()?;
        }
        Ok(count)
    }

    fn write_next(&self, from: &mut dyn ByteSource, limit: u64) -> Result<usize> {
        if self.file.seeking() != Seeking::Positions {
            return self.file.write(&self.transfer(0), from);
        }
        let mut position = self.position.lock();
        if self.flags() & O_APPEND != 0 {
            let (end, count) = self.append(from, limit)?;
            *position = end;
            return Ok(count);
        }
        let count = self.write_positioned(*position, from, limit)?;
        *position += count as u64;
        Ok(count)
    }

    /// pwrite(2).
    ///
    /// # Errors
    /// As `write`, and ESPIPE.
    pub fn write_at(&self, position: u64, from: &mut dyn ByteSource, limit: u64) -> Result<usize> {
        self.check_writable()?;
        if self.file.seeking() == Seeking::Stream {
            return Err(Errno::ESPIPE);
        }
        // Linux appends even here (pwrite(2), BUGS).
        let count = if self.flags() & O_APPEND != 0 {
            self.append(from, limit)?.1
        } else {
            self.write_positioned(position, from, limit)?
        };
        if count > 0 {
            self.after_write()?;
        }
        Ok(count)
    }

    /// Writes at the end, whatever the flags say (pwritev2(2): `RWF_APPEND`).
    ///
    /// # Errors
    /// As `write`.
    pub fn write_at_end(
        &self,
        from: &mut dyn ByteSource,
        limit: u64,
        positioning: Positioning,
    ) -> Result<usize> {
        self.check_writable()?;
        if self.file.seeking() != Seeking::Positions {
            return self.write(from, limit);
        }
        let mut position = self.position.lock();
        let (end, count) = self.append(from, limit)?;
        if positioning == Positioning::Moves {
            *position = end;
        }
        drop(position);
        if count > 0 {
            self.after_write()?;
        }
        Ok(count)
    }

    /// What else a write means: watchers hear of it, and O_SYNC and O_DSYNC want it on the disk.
    fn after_write(&self) -> Result<()> {
        notify::written(self.place(), self.flags());
        match self.flags() & O_SYNC {
            0 => Ok(()),
            O_DSYNC => self.sync(Synced::Data, 0..u64::MAX),
            _ => self.sync(Synced::Everything, 0..u64::MAX),
        }
    }

    /// Writes at the end; says where that is then, and how many bytes it wrote.
    fn append(&self, from: &mut dyn ByteSource, limit: u64) -> Result<(u64, usize)> {
        let size = self.size();
        if self.file.storage().is_none() {
            return self.write_positioned(size, from, limit).map(|count| (size + count as u64, count));
        }
        let wait = self.transfer(0).wait;
        if size.saturating_add(from.left() as u64) <= limit {
            return self.file.append(wait, from);
        }
        let room = usize::try_from(limit.saturating_sub(size)).unwrap_or(usize::MAX);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        self.file.append(wait, &mut Limited::new(from, room))
    }

    fn write_positioned(&self, position: u64, from: &mut dyn ByteSource, limit: u64) -> Result<usize> {
        let is_regular = self.attributes().is_some_and(|attributes| attributes.kind == FileKind::Regular);
        if !is_regular || position.saturating_add(from.left() as u64) <= limit {
            return self.file.write(&self.transfer(position), from);
        }
        let room = limit.saturating_sub(position);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.file.write(&self.transfer(position), &mut Limited::new(from, room))
    }

    /// lseek(2).
    ///
    /// # Errors
    /// EBADF, ESPIPE, EINVAL, ENXIO past the end for data and holes.
    pub fn seek(&self, offset: i64, from: i32) -> Result<u64> {
        if self.is_name_only() {
            return Err(Errno::EBADF);
        }
        if self.file.seeking() == Seeking::Stream {
            return Err(Errno::ESPIPE);
        }
        if self.file.seeking() == Seeking::Nowhere {
            return Ok(0);
        }
        let size = || self.size();
        let mut position = self.position.lock();
        let base = match from {
            SEEK_SET => 0,
            SEEK_CUR => *position,
            SEEK_END => size(),
            SEEK_DATA | SEEK_HOLE => {
                let offset =
                    u64::try_from(offset).ok().filter(|&offset| offset < size()).ok_or(Errno::ENXIO)?;
                let wanted = if from == SEEK_DATA { Wanted::Data } else { Wanted::Hole };
                *position = match self.file.storage() {
                    Some(storage) => storage.seek(offset, wanted)?,
                    // Without holes all is data, and the hole is at the end.
                    None if wanted == Wanted::Data => offset,
                    None => size(),
                };
                return Ok(*position);
            }
            _ => return Err(Errno::EINVAL),
        };
        let target = base.checked_add_signed(offset).filter(|&target| target <= i64::MAX as u64);
        *position = target.ok_or(Errno::EINVAL)?;
        Ok(*position)
    }

    /// Its size: a disk's is the device's.
    pub fn size(&self) -> u64 {
        self.file.size().or_else(|| Some(self.attributes()?.size)).unwrap_or(0)
    }

    /// Where the next read or write happens; 0 for streams.
    pub fn position(&self) -> u64 {
        *self.position.lock()
    }

    /// Bytes from the position to the end of a regular file (FIONREAD).
    pub fn bytes_left(&self) -> Option<u64> {
        let attributes = self.place()?.inode().attributes();
        if attributes.kind != FileKind::Regular {
            return None;
        }
        Some(attributes.size.saturating_sub(*self.position.lock()))
    }

    /// Reads names from the position on.
    ///
    /// # Errors
    /// EBADF, ENOTDIR, what the file system says.
    pub fn list(&self, to: &mut dyn Listing) -> Result<()> {
        self.check_readable()?;
        if !self.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if self.place.as_ref().is_some_and(|place| place.entry.is_removed()) {
            return Err(Errno::ENOENT);
        }
        if self.file.seeking() == Seeking::Renewed {
            self.renew_at_start()?;
        }
        let mut position = self.position.lock();
        if *position == 0 {
            self.list_end.store(self.file.list_end(), Ordering::Relaxed);
        }
        let end = self.list_end.load(Ordering::Relaxed);
        *position = self.file.list(*position, &mut Until { to, end })?;
        drop(position);
        notify::read(self.place(), self.flags());
        Ok(())
    }

    /// What is possible now.
    pub fn ready(&self) -> Events {
        self.file.ready()
    }

    /// The place it was opened at, for the calls that start there.
    ///
    /// # Errors
    /// ENOTDIR.
    pub fn directory(&self) -> Result<Place> {
        self.place.clone().filter(|place| place.entry.is_directory()).ok_or(Errno::ENOTDIR)
    }

    /// ftruncate(2).
    ///
    /// # Errors
    /// EBADF, EINVAL, what the file system says.
    pub fn truncate(&self, size: u64) -> Result<()> {
        self.check_writable().map_err(|_| Errno::EINVAL)?;
        let place = self.place.as_ref().ok_or(Errno::EINVAL)?;
        if place.inode().attributes().kind != FileKind::Regular {
            return Err(Errno::EINVAL);
        }
        place.change(&Change { size: Some(size), ..Change::default() })
    }

    /// What mmap(2) maps: the same object each time, so that neighbouring areas are one.
    pub fn mapped(&self) -> Option<Arc<dyn PageSource>> {
        if let Some(mapped) = self.mapped.get() {
            return Some(mapped.clone());
        }
        let mapped = Arc::new(Mapped::new(self.file.clone().pages()?, self.place.clone()).ok()?);
        Some(self.mapped.call_once(|| mapped).clone())
    }

    /// Whether it may be mapped for reading, and for writing if shared.
    pub fn may_map(&self) -> (bool, bool) {
        (self.check_readable().is_ok(), self.check_writable().is_ok())
    }

    /// Whether files on its mount may be run.
    pub fn may_execute(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.mount.flags() & mount::NO_EXEC == 0)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        notify::closed(self.place(), self.flags());
    }
}

/// A listing that ends at a position.
struct Until<'a> {
    to: &'a mut dyn Listing,
    end: u64,
}

impl Listing for Until<'_> {
    fn add(&mut self, name: &[u8], number: u64, kind: FileKind, next: u64) -> bool {
        next <= self.end && self.to.add(name, number, kind, next)
    }
}

/// The file system of a file that has none.
struct Lonely(Arc<dyn Inode>);

impl FileSystem for Lonely {
    fn root(&self) -> Arc<dyn Inode> {
        self.0.clone()
    }

    fn kind(&self) -> &'static str {
        "tmpfs"
    }

    fn statistics(&self) -> Statistics {
        Statistics { magic: 0x0102_1994, block_size: 4096, ..Statistics::default() }
    }
}
