//! Names, open files and directories. A node knows its path and asks again when it is used.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::file::{O_ACCMODE, O_RDONLY};
use abi::{Errno, Result};
use hal::rank;
use logic::proc_text::Text;
use nucleus::clock;
use nucleus::sched::Mutex;
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{
    Attributes, ByteSink, ByteSource, Change, File, FileKind, Inode, Listing, Opening, Transfer,
};

use super::machine;
use super::object::{Object, Row};
use super::tree::{self, Item, Name};
use crate::opened_text::{OpenedText, written};

/// The longest thing that can be written.
const LONGEST: usize = 4096;

/// A name.
pub(super) struct Node {
    device: u64,
    /// From the root on, without a slash in front.
    path: String,
    item: Item,
}

impl Node {
    pub(super) fn root(device: u64) -> Arc<Self> {
        Arc::new(Node { device, path: String::new(), item: Item::Folder })
    }

    /// The folder it is in.
    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    fn row(&self) -> Result<&'static Row> {
        if let Item::File(row) = &self.item { Ok(row) } else { Err(Errno::EISDIR) }
    }

    /// Calls `use_it` with the object that the file is about.
    ///
    /// # Errors
    /// ENODEV if that is gone.
    fn with_object(&self, use_it: impl FnOnce(&Object) -> Result<()>) -> Result<()> {
        let objects = machine::objects()?;
        use_it(objects.iter().find(|object| object.path == self.folder()).ok_or(Errno::ENODEV)?)
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { String::from(name) } else { format!("{folder}/{name}") }
}

const fn kind(item: &Item) -> FileKind {
    match item {
        Item::Folder => FileKind::Directory,
        Item::File(_) => FileKind::Regular,
        Item::Link(_) => FileKind::Symlink,
    }
}

/// The same for a path each time. The root's is 1, as on Linux.
fn inode_number(path: &str) -> u64 {
    if path.is_empty() {
        return 1;
    }
    // FNV-1a: any good spread will do.
    let hash = path
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    hash >> 16 | 2
}

impl Inode for Node {
    fn attributes(&self) -> Attributes {
        let now = clock::realtime();
        let (permissions, size) = match &self.item {
            Item::Folder => (0o755, 0),
            Item::File(row) => (row.permissions(), row.size),
            Item::Link(target) => (0o777, target.len() as u64),
        };
        Attributes {
            device: self.device,
            number: inode_number(&self.path),
            kind: kind(&self.item),
            permissions,
            links: if matches!(self.item, Item::Folder) { 2 } else { 1 },
            user: 0,
            group: 0,
            device_number: 0,
            size,
            blocks: 0,
            block_size: 4096,
            accessed: now,
            modified: now,
            changed: now,
        }
    }

    /// Nothing can be changed, but opening with `O_TRUNC` is how shells write to a file.
    fn change(&self, change: &Change) -> Result<()> {
        if change.is_only_size() { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if !matches!(self.item, Item::Folder) {
            return Err(Errno::ENOTDIR);
        }
        let names = tree::children(&self.path, &machine::objects()?)?;
        let found = names.into_iter().find(|found| found.name.as_bytes() == name).ok_or(Errno::ENOENT)?;
        let path = join(&self.path, &found.name);
        Ok(Arc::new(Node { device: self.device, path, item: found.item }))
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        let Item::Link(target) = &self.item else { return Err(Errno::EINVAL) };
        Ok(target.as_bytes().to_vec())
    }

    fn open(self: Arc<Self>, opening: &Opening) -> Result<Arc<dyn File>> {
        let is_written = opening.flags & O_ACCMODE != O_RDONLY;
        match &self.item {
            Item::File(row) if is_written && row.store.is_none() => Err(Errno::EACCES),
            Item::File(_) => Ok(Arc::new(TextFile { node: self, text: OpenedText::new() })),
            Item::Folder => Ok(Arc::new(Directory { node: self, names: Mutex::new(Vec::new()) })),
            Item::Link(_) => Err(Errno::ELOOP),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A file that is open: its text as it was when it was last read from the start.
struct TextFile {
    node: Arc<Node>,
    text: OpenedText,
}

impl File for TextFile {
    fn renew(&self) -> Result<()> {
        let row = self.node.row()?;
        let mut text = Text::new();
        self.node.with_object(|object| (row.show)(object, &mut text))?;
        self.text.renew(text)
    }

    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        self.text.read(transfer, to)
    }

    fn write(&self, _transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let store = self.node.row()?.store.ok_or(Errno::EIO)?;
        let wanted = from.left().min(LONGEST);
        let bytes = written(from, wanted)?;
        self.node.with_object(|object| store(object, &bytes))?;
        Ok(bytes.len())
    }

    fn seeking(&self) -> Seeking {
        Seeking::Renewed
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A folder that is open: the names that were there when it was last read from the start.
struct Directory {
    node: Arc<Node>,
    names: Mutex<Vec<Name>, rank::Stream>,
}

impl File for Directory {
    fn renew(&self) -> Result<()> {
        let names = tree::children(&self.node.path, &machine::objects()?)?;
        let old = core::mem::replace(&mut *self.names.lock(), names);
        drop(old);
        Ok(())
    }

    fn list(&self, position: u64, to: &mut dyn Listing) -> Result<u64> {
        let (path, folder) = (&self.node.path, FileKind::Directory);
        if position == 0 && !to.add(b".", inode_number(path), folder, 1) {
            return Ok(0);
        }
        if position <= 1 && !to.add(b"..", inode_number(self.node.folder()), folder, 2) {
            return Ok(1);
        }
        let names = self.names.lock();
        let mut position = position.max(2);
        let first = usize::try_from(position - 2).unwrap_or(usize::MAX);
        for name in names.get(first..).unwrap_or_default() {
            let number = inode_number(&join(path, &name.name));
            if !to.add(name.name.as_bytes(), number, kind(&name.item), position + 1) {
                break;
            }
            position += 1;
        }
        Ok(position)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Renewed
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
