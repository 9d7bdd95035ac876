//! Files from the file system that the loader itself was started from.

use alloc::format;
use alloc::string::{String, ToString};

use loader::error::LoadError;
use uefi::boot;
use uefi::data_types::CString16;
use uefi::proto::media::file::{Directory, File, FileAttribute, FileInfo, FileMode, RegularFile};
use uefi::{Error, Status};

use super::pages::Pages;

/// A file in memory.
pub(super) struct LoadedFile {
    /// Its content, and zeroes up to the end of the last page.
    pub(super) pages: Pages,
    /// Its size in bytes.
    pub(super) size: usize,
}

/// The loader's own disk.
pub(super) struct Disk {
    root: Directory,
}

impl Disk {
    /// Opens the file system that the firmware loaded this program from.
    pub(super) fn open() -> Result<Self, LoadError> {
        let no_disk = |error: Error| LoadError::NoDisk(format!("{:?}", error.status()));
        let mut system = boot::get_image_file_system(boot::image_handle()).map_err(no_disk)?;
        Ok(Self { root: system.open_volume().map_err(no_disk)? })
    }

    /// Reads a whole file; `None` if there is no such file.
    pub(super) fn read(&mut self, path: &str) -> Result<Option<LoadedFile>, LoadError> {
        let unreadable =
            |error: Error| LoadError::UnreadableFile(path.to_string(), format!("{:?}", error.status()));
        let Some(mut file) = self.open_file(path)? else { return Ok(None) };
        let length = file.get_boxed_info::<FileInfo>().map_err(unreadable)?.file_size();
        let mut pages = Pages::allocate("a file from disk", length)?;
        let mut rest = pages.bytes();
        let mut size = 0;
        loop {
            let count = file.read(rest).map_err(unreadable)?;
            if count == 0 {
                return Ok(Some(LoadedFile { pages, size }));
            }
            size += count;
            rest = rest.get_mut(count..).unwrap_or_default();
        }
    }

    /// Reads a small text file; bytes that are not text become question marks.
    pub(super) fn read_text(&mut self, path: &str) -> Result<Option<String>, LoadError> {
        let Some(mut file) = self.read(path)? else { return Ok(None) };
        let bytes = file.pages.bytes().get(..file.size).unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn open_file(&mut self, path: &str) -> Result<Option<RegularFile>, LoadError> {
        let unreadable = |why: String| LoadError::UnreadableFile(path.to_string(), why);
        let name = CString16::try_from(path).map_err(|_| unreadable("no such name is possible".into()))?;
        match self.root.open(&name, FileMode::Read, FileAttribute::empty()) {
            Ok(file) => {
                file.into_regular_file().map(Some).ok_or_else(|| unreadable("it is a directory".into()))
            }
            Err(error) if error.status() == Status::NOT_FOUND => Ok(None),
            Err(error) => Err(unreadable(format!("{:?}", error.status()))),
        }
    }
}
