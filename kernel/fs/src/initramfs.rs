//! Unpacking the initramfs into the root file system, as Linux's init/initramfs.c does.
//!
//! An archive may be several, one behind the other with zeros between them, each as it is or packed with gzip or zstd: that is how
//! distributions put processor updates in front. What is packed is unpacked piece by piece, so that no more than the file
//! that is being read is in memory besides; what is packed otherwise is named and refused.
//!
//! Through the VFS, as root: what a program could make, an archive can. Later files replace earlier ones of the same
//! name, so archives can be put one behind the other; entries of one inode become hard links; missing directories are
//! made. Times of directories are set last, because each file changes those of its directory.

mod gunzip;
mod packed;
mod unzstd;

use alloc::vec::Vec;
use core::fmt;

use abi::file::{O_WRONLY, device_number};
use abi::time::Timespec;
use abi::{Errno, Result};
use hashbrown::HashMap;
use logic::cpio::{Compression, CpioError, Entry, Problem, Progress, compression};
use logic::cred::Cred;
use nucleus::vfs::bytes::Slice;
use nucleus::vfs::change::Making;
use nucleus::vfs::inode::Removal;
use nucleus::vfs::{Change, FileKind, Last, Place, Walker};

pub use self::packed::{PackError, PackProblem};

/// Permissions of a directory that no entry names.
const MISSING_DIRECTORY: u32 = 0o755;

/// Why an archive was not unpacked to its end.
#[derive(Debug)]
pub enum UnpackError {
    /// The archive is damaged, or something else.
    Archive(CpioError),
    /// What it is packed in is damaged.
    Packed(PackError),
    /// There is no memory for a file that is being unpacked.
    NoMemory,
    /// A file cannot be made.
    File {
        /// Its path.
        name: Vec<u8>,
        /// Why.
        error: Errno,
    },
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnpackError::Archive(error) => error.fmt(f),
            UnpackError::Packed(error) => error.fmt(f),
            UnpackError::NoMemory => f.write_str("there is no memory for a file that is being unpacked"),
            UnpackError::File { name, error } => write!(f, "{}: {error}", name.escape_ascii()),
        }
    }
}

impl From<PackError> for UnpackError {
    fn from(error: PackError) -> Self {
        UnpackError::Packed(error)
    }
}

/// Makes all files of `archive` under `root`.
///
/// # Errors
/// Says which file cannot be made, or where the archive is damaged; what came before stays.
pub fn unpack(archive: &[u8], root: &Place) -> core::result::Result<(), UnpackError> {
    let cred = Cred::root();
    let walker = Walker { cred: &cred, root: root.clone(), start: root.clone() };
    let mut unpacking = Unpacking { walker, linked: HashMap::new(), directories: Vec::new() };
    let mut at = 0;
    while let Some(rest) = archive.get(at..).filter(|rest| !rest.is_empty()) {
        at += match compression(rest) {
            None if rest.first() == Some(&0) => rest.iter().take_while(|&&byte| byte == 0).count(),
            None => unpacking.plain(rest)?,
            Some(Compression::Gzip) => unpacking.packed(|give| gunzip::unpack(rest, give))?,
            Some(Compression::Zstd) => unpacking.packed(|give| unzstd::unpack(rest, give))?,
            Some(other) => return Err(refused(at, other)),
        };
        // Inode numbers mean something within one archive only.
        unpacking.linked.clear();
    }
    unpacking.finish();
    Ok(())
}

fn refused(offset: usize, compression: Compression) -> UnpackError {
    UnpackError::Archive(CpioError { offset, problem: Problem::Compressed(compression) })
}

/// Who takes what is unpacked.
type Give<'a> = &'a mut dyn FnMut(&[u8]) -> core::result::Result<(), UnpackError>;

/// What tells a file with several names: archive, device, inode number.
type Identity = (u32, (u32, u32), u32);

struct Unpacking<'a> {
    walker: Walker<'a>,
    linked: HashMap<Identity, Place>,
    directories: Vec<(Place, Timespec)>,
}

impl Unpacking<'_> {
    /// Makes the files of plain archives, up to the end or to a packed one; says how many bytes those were.
    fn plain(&mut self, bytes: &[u8]) -> core::result::Result<usize, UnpackError> {
        for entry in Progress::START.entries(bytes) {
            match entry {
                Ok(entry) => self.make_entry(&entry)?,
                Err(CpioError { offset, problem: Problem::Compressed(_) }) => return Ok(offset),
                Err(error) => return Err(UnpackError::Archive(error)),
            }
        }
        Ok(bytes.len())
    }

    /// Makes the files of a packed archive, which `unpack` gives piece by piece; says how many bytes it was packed in.
    fn packed(
        &mut self,
        unpack: impl FnOnce(Give<'_>) -> core::result::Result<usize, UnpackError>,
    ) -> core::result::Result<usize, UnpackError> {
        let mut arrived = Vec::new();
        let mut progress = Progress::START;
        let used = unpack(&mut |piece| {
            arrived.try_reserve(piece.len()).map_err(|_| UnpackError::NoMemory)?;
            arrived.extend_from_slice(piece);
            match self.take_arrived(&mut arrived, &mut progress)? {
                Some(error) if !error.is_for_lack_of_bytes() => Err(UnpackError::Archive(error)),
                Some(_) | None => Ok(()),
            }
        })?;
        match self.take_arrived(&mut arrived, &mut progress)? {
            Some(error) => Err(UnpackError::Archive(error)),
            None => Ok(used),
        }
    }

    /// Makes the files that have arrived whole.
    fn take_arrived(
        &mut self,
        arrived: &mut Vec<u8>,
        progress: &mut Progress,
    ) -> core::result::Result<Option<CpioError>, UnpackError> {
        let mut entries = progress.entries(arrived);
        let (used, problem) = loop {
            let (used, before) = entries.progress();
            *progress = before;
            match entries.next() {
                Some(Ok(entry)) => self.make_entry(&entry)?,
                Some(Err(error)) => break (used, Some(error)),
                None => {
                    *progress = entries.progress().1;
                    break (arrived.len(), None);
                }
            }
        };
        arrived.drain(..used);
        Ok(problem)
    }

    fn make_entry(&mut self, entry: &Entry<'_>) -> core::result::Result<(), UnpackError> {
        let outcome = self.entry(entry);
        outcome.map_err(|error| UnpackError::File { name: entry.name.to_vec(), error })
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        let Some(kind) = FileKind::from_mode(entry.mode) else { return Err(Errno::EINVAL) };
        self.make_parents(entry.name)?;
        if let Some(old) = self.walker.find(entry.name, Last::Keep)?.place {
            if kind == FileKind::Directory && old.entry.is_directory() {
                return self.directory(old, entry);
            }
            self.remove(entry.name, &old)?;
        }
        if self.link(entry)? {
            return Ok(());
        }
        let place = self.make(kind, entry)?;
        match kind {
            FileKind::Directory => self.directory(place, entry),
            FileKind::Regular => {
                fill(&self.walker, &place, entry.data)?;
                self.remember(entry, &place)?;
                set_attributes(&place, entry)
            }
            _ => {
                self.remember(entry, &place)?;
                set_attributes(&place, entry)
            }
        }
    }

    /// Makes directories that are on the way and missing.
    fn make_parents(&self, name: &[u8]) -> Result<()> {
        let slashes = name.iter().enumerate().filter(|&(at, &byte)| byte == b'/' && at > 0);
        for (at, _) in slashes {
            let found = self.walker.find(&name[..at], Last::Follow)?;
            if found.place.is_none() {
                let making = Making {
                    kind: FileKind::Directory,
                    permissions: MISSING_DIRECTORY,
                    device_number: 0,
                    target: b"",
                };
                self.walker.make(found, &making)?;
            }
        }
        Ok(())
    }

    fn remove(&self, name: &[u8], old: &Place) -> Result<()> {
        let removal = if old.entry.is_directory() { Removal::Directory } else { Removal::File };
        self.walker.remove(self.walker.find(name, Last::Keep)?, removal)
    }

    /// Makes a further name of a file that is there already; says whether it is.
    fn link(&self, entry: &Entry<'_>) -> Result<bool> {
        let Some(first) = identity(entry).and_then(|identity| self.linked.get(&identity)) else {
            return Ok(false);
        };
        self.walker.link(first, self.walker.find(entry.name, Last::Keep)?)?;
        // GNU cpio stores the contents with the last name.
        if !entry.data.is_empty() {
            first.change(&Change { size: Some(0), ..Change::default() })?;
            fill(&self.walker, first, entry.data)?;
        }
        set_attributes(first, entry)?;
        Ok(true)
    }

    fn remember(&mut self, entry: &Entry<'_>, place: &Place) -> Result<()> {
        if let Some(identity) = identity(entry) {
            self.linked.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.linked.insert(identity, place.clone());
        }
        Ok(())
    }

    fn make(&self, kind: FileKind, entry: &Entry<'_>) -> Result<Place> {
        let making = Making {
            kind,
            permissions: entry.mode & 0o7777,
            device_number: device_number(entry.rdev.0, entry.rdev.1),
            target: if kind == FileKind::Symlink { entry.data } else { b"" },
        };
        self.walker.make(self.walker.find(entry.name, Last::Keep)?, &making)
    }

    fn directory(&mut self, place: Place, entry: &Entry<'_>) -> Result<()> {
        set_attributes(&place, entry)?;
        self.directories.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.directories.push((place, modified(entry)));
        Ok(())
    }

    fn finish(self) {
        for (place, time) in self.directories {
            // Of a directory that a later entry removed, nobody asks the time.
            let _ = place.change(&Change { modified: Some(time), ..Change::default() });
        }
    }
}

fn identity(entry: &Entry<'_>) -> Option<Identity> {
    let is_directory = FileKind::from_mode(entry.mode) == Some(FileKind::Directory);
    (entry.nlink > 1 && !is_directory).then_some((entry.archive, entry.device, entry.ino))
}

fn modified(entry: &Entry<'_>) -> Timespec {
    Timespec { seconds: entry.mtime.into(), nanoseconds: 0 }
}

fn fill(walker: &Walker<'_>, place: &Place, data: &[u8]) -> Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    let file = walker.open(place.clone(), O_WRONLY, true)?;
    let mut rest = Slice(data);
    while !rest.0.is_empty() {
        if file.write(&mut rest, u64::MAX)? == 0 {
            return Err(Errno::ENOSPC);
        }
    }
    Ok(())
}

fn set_attributes(place: &Place, entry: &Entry<'_>) -> Result<()> {
    let change = Change {
        permissions: Some(entry.mode & 0o7777),
        user: Some(entry.uid),
        group: Some(entry.gid),
        modified: Some(modified(entry)),
        ..Change::default()
    };
    place.change(&change)
}

#[cfg(test)]
mod tests;
