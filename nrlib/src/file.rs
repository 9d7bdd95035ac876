//! Descriptors, files, folders and names.
//!
//! Paths are `CStr`, as the kernel takes them: most are literals or arguments, which are so already; [`path`] makes others.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::ops::Deref;

use abi::file::{AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_DIRECTORY, O_RDONLY, S_IFMT};
use abi::{Errno, Result};

use crate::sys::{calls, numbers};

/// A number that may name an open file. Copying it copies nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor(pub i32);

/// Where input comes from.
pub const STDIN: Descriptor = Descriptor(0);
/// Where output goes.
pub const STDOUT: Descriptor = Descriptor(1);
/// Where messages go.
pub const STDERR: Descriptor = Descriptor(2);

/// Makes a call again that a signal interrupted.
fn retry<T>(mut act: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match act() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

impl Descriptor {
    /// Reads once. A signal that is noted ends it with EINTR.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn read(self, to: &mut [u8]) -> Result<usize> {
        calls::read(self.0, to)
    }

    /// Reads up to the end, at most `limit` bytes.
    ///
    /// # Errors
    /// Those of read(2); EFBIG for more; ENOMEM.
    pub fn read_all(self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 2048];
        loop {
            let count = retry(|| calls::read(self.0, &mut chunk))?;
            let Some(fresh) = chunk.get(..count).filter(|fresh| !fresh.is_empty()) else { return Ok(bytes) };
            if bytes.len() + fresh.len() > limit {
                return Err(Errno::EFBIG);
            }
            bytes.try_reserve(fresh.len()).map_err(|_| Errno::ENOMEM)?;
            bytes.extend_from_slice(fresh);
        }
    }

    /// Fills `to`, or up to the end; how much.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn read_full(self, to: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match retry(|| calls::read(self.0, rest))? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    /// Writes all of `from`.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn write_all(self, mut from: &[u8]) -> Result<()> {
        while !from.is_empty() {
            let count = retry(|| calls::write(self.0, from))?;
            if count == 0 {
                return Err(Errno::EIO);
            }
            from = from.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Goes to a place, counted from the start.
    ///
    /// # Errors
    /// Those of lseek(2).
    pub fn seek(self, offset: u64) -> Result<()> {
        let offset = i64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        calls::lseek(self.0, offset, abi::file::SEEK_SET).map(drop)
    }

    /// Makes `to` another name of the same open file.
    ///
    /// # Errors
    /// Those of dup2(2).
    pub fn duplicate_to(self, to: Descriptor) -> Result<()> {
        if self == to {
            return Ok(());
        }
        calls::dup3(self.0, to.0, 0).map(drop)
    }

    /// Waits until it is on its disk.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync(self) -> Result<()> {
        calls::fsync(self.0).map(drop)
    }

    /// Changes permission bits.
    ///
    /// # Errors
    /// Those of fchmod(2).
    pub fn set_mode(self, mode: u32) -> Result<()> {
        calls::fchmod(self.0, mode).map(drop)
    }

    /// Changes the owner.
    ///
    /// # Errors
    /// Those of fchown(2).
    pub fn set_owner(self, user: u32, group: u32) -> Result<()> {
        calls::fchown(self.0, user, group).map(drop)
    }

    /// Waits for a lock on the whole file that excludes everybody else, until the file is closed.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn lock(self) -> Result<()> {
        const F_WRLCK: u16 = 1;
        retry(|| calls::lock(self.0, numbers::F_SETLKW, F_WRLCK)).map(drop)
    }

    /// Sets the flags of the open file that can change, such as `O_NONBLOCK`.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn set_flags(self, flags: u32) -> Result<()> {
        calls::fcntl_number(self.0, numbers::F_SETFL, flags as usize).map(drop)
    }

    /// What it is.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn status(self) -> Result<Status> {
        calls::newfstatat(self.0, c"", abi::file::AT_EMPTY_PATH).map(Status)
    }
}

/// An open file, which is closed when it is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct File(Descriptor);

impl Deref for File {
    type Target = Descriptor;

    fn deref(&self) -> &Descriptor {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = calls::close(self.0.0);
    }
}

impl File {
    /// Opens a file, closed by exec; `mode` counts when it is made.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &CStr, flags: u32, mode: u32) -> Result<File> {
        retry(|| calls::openat(AT_FDCWD, path, flags | O_CLOEXEC, mode)).map(File::from_number)
    }

    /// What a call that makes a descriptor returned.
    pub(crate) fn from_number(number: usize) -> File {
        File(Descriptor(i32::try_from(number).unwrap_or(-1)))
    }

    /// Gives the descriptor up without closing it.
    pub fn into_descriptor(self) -> Descriptor {
        let descriptor = self.0;
        core::mem::forget(self);
        descriptor
    }
}

/// Two ends of a pipe: to read from, to write to.
///
/// # Errors
/// Those of pipe2(2).
pub fn pipe() -> Result<(File, File)> {
    let [from, to] = calls::pipe2(O_CLOEXEC)?;
    Ok((File(Descriptor(from)), File(Descriptor(to))))
}

/// `struct stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status([u64; 18]);

impl Status {
    const fn halves(self, word: usize) -> [u32; 2] {
        let [a, b, c, d, e, f, g, h] = self.0[word].to_le_bytes();
        [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
    }

    /// The device it is on.
    pub const fn device(self) -> u64 {
        self.0[0]
    }

    /// Kind and permission bits.
    pub const fn mode(self) -> u32 {
        self.halves(3)[0]
    }

    /// Whether it is of a kind, `S_IF…`.
    pub const fn is(self, kind: u32) -> bool {
        self.mode() & S_IFMT == kind
    }

    /// The owner.
    pub const fn user(self) -> u32 {
        self.halves(3)[1]
    }

    /// The group.
    pub const fn group(self) -> u32 {
        self.halves(4)[0]
    }

    /// The device it is.
    pub const fn device_itself(self) -> u64 {
        self.0[5]
    }

    /// Bytes.
    pub const fn size(self) -> u64 {
        self.0[6]
    }

    /// Seconds since 1970 of the last change of its bytes.
    pub const fn modified(self) -> i64 {
        self.0[11].cast_signed()
    }
}

/// What a name leads to.
///
/// # Errors
/// Those of stat(2).
pub fn status(path: &CStr) -> Result<Status> {
    calls::newfstatat(AT_FDCWD, path, 0).map(Status)
}

/// What a name is: links are not followed.
///
/// # Errors
/// Those of lstat(2).
pub fn link_status(path: &CStr) -> Result<Status> {
    calls::newfstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW).map(Status)
}

/// Whether there is anything of this name.
pub fn exists(path: &CStr) -> bool {
    status(path).is_ok()
}

/// All of a file, at most `limit` bytes.
///
/// # Errors
/// Those of open(2) and read(2); EFBIG.
pub fn read(path: &CStr, limit: usize) -> Result<Vec<u8>> {
    File::open(path, O_RDONLY, 0)?.read_all(limit)
}

/// The names in a folder, sorted, without `.` and `..`.
///
/// # Errors
/// Those of open(2) and getdents64(2); ENOMEM.
pub fn names(path: &CStr) -> Result<Vec<CString>> {
    let folder = File::open(path, O_RDONLY | O_DIRECTORY, 0)?;
    let mut names = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let count = calls::getdents64(folder.0.0, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            names.sort_unstable();
            return Ok(names);
        }
        while let Some((name, after)) = split_entry(rest) {
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                names.push(name.into());
            }
            rest = after;
        }
    }
}

/// The name of the first `struct linux_dirent64`, and the bytes after it.
fn split_entry(bytes: &[u8]) -> Option<(&CStr, &[u8])> {
    const NAME: usize = 19;
    let length = usize::from(u16::from_le_bytes([*bytes.get(16)?, *bytes.get(17)?]));
    let name = CStr::from_bytes_until_nul(bytes.get(NAME..length)?).ok()?;
    Some((name, bytes.get(length..)?))
}

/// The parts, one after the other, as a path.
///
/// # Errors
/// EINVAL if there is a NUL in it; ENOMEM.
pub fn path(parts: &[&[u8]]) -> Result<CString> {
    let mut bytes = Vec::new();
    bytes.try_reserve(parts.iter().map(|part| part.len()).sum::<usize>() + 1).map_err(|_| Errno::ENOMEM)?;
    for part in parts {
        bytes.extend_from_slice(part);
    }
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

/// The target of a link.
///
/// # Errors
/// Those of readlink(2).
pub fn read_link(path: &CStr) -> Result<Vec<u8>> {
    let mut buffer = [0; abi::limits::PATH_MAX];
    let count = calls::readlink(path, &mut buffer)?;
    Ok(buffer.get(..count).unwrap_or_default().to_vec())
}

/// Removes a name of a file.
///
/// # Errors
/// Those of unlink(2).
pub fn remove(path: &CStr) -> Result<()> {
    calls::unlinkat(AT_FDCWD, path, 0).map(drop)
}

/// Removes an empty folder.
///
/// # Errors
/// Those of rmdir(2).
pub fn remove_folder(path: &CStr) -> Result<()> {
    calls::unlinkat(AT_FDCWD, path, AT_REMOVEDIR).map(drop)
}

/// Makes a folder.
///
/// # Errors
/// Those of mkdir(2).
pub fn make_folder(path: &CStr, mode: u32) -> Result<()> {
    calls::mkdir(path, mode).map(drop)
}

/// Makes a FIFO.
///
/// # Errors
/// Those of mknod(2).
pub fn make_fifo(path: &CStr, mode: u32) -> Result<()> {
    calls::mknod(path, abi::file::S_IFIFO | mode, 0).map(drop)
}

/// Gives a file another name.
///
/// # Errors
/// Those of rename(2).
pub fn rename(from: &CStr, to: &CStr) -> Result<()> {
    calls::rename(from, to).map(drop)
}

/// Changes permission bits.
///
/// # Errors
/// Those of chmod(2).
pub fn set_mode(path: &CStr, mode: u32) -> Result<()> {
    calls::chmod(path, mode).map(drop)
}

/// Whether one may, `X_OK` and the like, with one's real user.
///
/// # Errors
/// Those of access(2).
pub fn access(path: &CStr, mode: u32) -> Result<()> {
    calls::access(path, mode).map(drop)
}

/// Sets the bits new files do not get, and returns those before.
pub fn set_umask(mask: u32) -> u32 {
    calls::umask(mask).ok().and_then(|before| u32::try_from(before).ok()).unwrap_or(0)
}

/// Changes the working folder.
///
/// # Errors
/// Those of chdir(2).
pub fn change_folder(path: &CStr) -> Result<()> {
    calls::chdir(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn scratch(name: &str) -> CString {
        CString::new(format!("{}/nrlib-{}-{name}", std::env::temp_dir().display(), std::process::id()))
            .unwrap()
    }

    #[test]
    fn a_file_is_written_read_renamed_and_removed() {
        let (one, two) = (scratch("one"), scratch("two"));
        let file =
            File::open(&one, abi::file::O_CREAT | abi::file::O_RDWR | abi::file::O_EXCL, 0o640).unwrap();
        file.write_all(b"some text").unwrap();
        file.seek(5).unwrap();
        let mut end = [0; 9];
        assert_eq!(file.read_full(&mut end), Ok(4));
        assert_eq!(file.status().unwrap().size(), 9);
        assert!(status(&one).unwrap().is(abi::file::S_IFREG));
        rename(&one, &two).unwrap();
        assert!(!exists(&one));
        assert_eq!(read(&two, 100).unwrap(), b"some text");
        assert_eq!(read(&two, 8), Err(Errno::EFBIG));
        remove(&two).unwrap();
        assert_eq!(status(&two), Err(Errno::ENOENT));
    }

    #[test]
    fn names_of_a_folder_are_those_that_std_sees() {
        let mut expected: Vec<_> = std::fs::read_dir("/etc")
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_encoded_bytes())
            .collect();
        expected.sort_unstable();
        let found: Vec<_> = names(c"/etc").unwrap().into_iter().map(CString::into_bytes).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn damaged_entries_end_the_list() {
        assert_eq!(split_entry(&[0; 18]), None);
        assert_eq!(split_entry(&[255; 40]), None);
    }
}
