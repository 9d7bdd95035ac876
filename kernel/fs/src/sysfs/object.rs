//! The objects, and what a row of their tables is.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use logic::pci::{Address, PciId};
use logic::proc_text::Text;
use nucleus::block::Disk;

/// Writes a file's text.
pub(super) type Show = fn(&Object, &mut Text) -> Result<()>;
/// Takes what a program wrote to it.
pub(super) type Store = fn(&Object, &[u8]) -> Result<()>;

/// A file of an object.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What stat(2) says: a page, whatever is in it, but for files of fixed size.
    pub(super) size: u64,
    pub(super) show: Show,
    pub(super) store: Option<Store>,
}

/// A file that everybody may read.
pub(super) const fn text(name: &'static str, show: Show) -> Row {
    Row { name, size: 4096, show, store: None }
}

/// A file that everybody may read, and the owner write.
pub(super) const fn setting(name: &'static str, show: Show, store: Store) -> Row {
    Row { name, size: 4096, show, store: Some(store) }
}

impl Row {
    pub(super) const fn permissions(&self) -> u32 {
        if self.store.is_some() { 0o644 } else { 0o444 }
    }
}

/// What sort of device it is: where links to it are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Subsystem {
    /// In `class/NAME`.
    Class(&'static str),
    /// In `bus/NAME/devices`.
    Bus(&'static str),
}

/// What an object stands for.
pub(super) enum What {
    /// Only itself.
    Folder,
    /// A disk or partition.
    Disk(Arc<Disk>),
    /// A node of `/dev` that is no disk.
    Node { name: &'static str, number: u64 },
    /// A function of the PCI bus.
    Pci(Address, PciId),
    /// A processor.
    Cpu(usize),
}

/// Something with a folder.
pub(super) struct Object {
    /// From `/sys` on, without a slash in front.
    pub(super) path: String,
    pub(super) rows: &'static [Row],
    pub(super) what: What,
    pub(super) subsystem: Option<Subsystem>,
    pub(super) driver: Option<&'static str>,
    /// The path of the object that its link `device` leads to.
    pub(super) device: Option<String>,
}

impl Object {
    /// A folder with files.
    pub(super) fn folder(path: &str, rows: &'static [Row]) -> Self {
        let path = String::from(path);
        Object { path, rows, what: What::Folder, subsystem: None, driver: None, device: None }
    }

    /// Its own name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// # Errors
    /// ENODEV if it is none: its table is another's.
    pub(super) fn disk(&self) -> Result<&Arc<Disk>> {
        if let What::Disk(disk) = &self.what { Ok(disk) } else { Err(Errno::ENODEV) }
    }

    /// # Errors
    /// As `disk`.
    pub(super) fn pci(&self) -> Result<(Address, PciId)> {
        if let What::Pci(address, id) = self.what { Ok((address, id)) } else { Err(Errno::ENODEV) }
    }
}

/// Adds an object to a list.
pub(super) fn add(to: &mut Vec<Object>, object: Object) -> Result<()> {
    to.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    to.push(object);
    Ok(())
}

/// Appends formatted text.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => { $text.put(format_args!($($argument)*)) };
}
pub(super) use put;

/// A file whose text never changes.
macro_rules! constant {
    ($name:literal, $text:literal) => {
        $crate::sysfs::object::text($name, |_, to| {
            to.raw($text.as_bytes());
            Ok(())
        })
    };
}
pub(super) use constant;
