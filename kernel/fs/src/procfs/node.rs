//! Names: each look-up makes an inode, which knows what it is about and asks again when it is used.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::file::{O_ACCMODE, O_RDONLY, O_RDWR};
use abi::{Errno, Result};
use nucleus::clock;
use nucleus::vfs::{Attributes, Change, File, FileKind, Inode, OpenFile, Opening, Place};

use super::source::{Link, Target, Who};
use super::table::{Question, Row, What};
use super::{Procfs, open, process, system};
use crate::pipe;

/// A file.
pub(super) struct Node {
    pub(super) proc: Arc<Procfs>,
    pub(super) shape: Shape,
    pub(super) who: Who,
    /// When it was looked up: asking later could need locks of processes where none may be taken.
    owner: (u32, u32),
}

/// What it is.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A row of a table.
    Row(&'static Row),
    /// `fd/N`.
    Descriptor(u32),
    /// `fdinfo/N`.
    DescriptorText(u32),
}

impl Node {
    pub(super) fn root(proc: &Arc<Procfs>) -> Arc<Self> {
        let shape = Shape::Row(&system::ROOT);
        Arc::new(Node { proc: proc.clone(), shape, who: Who::default(), owner: (0, 0) })
    }

    fn child(&self, shape: Shape) -> Arc<Node> {
        Arc::new(Node { proc: self.proc.clone(), shape, who: self.who, owner: self.owner })
    }

    pub(super) fn question(&self) -> Question<'_> {
        Question { proc: &self.proc, who: self.who }
    }

    /// What kind of file, and its permissions.
    fn mode(&self) -> (FileKind, u32) {
        match self.shape {
            Shape::Row(row) => (kind(&row.what), row.permissions),
            Shape::Descriptor(_) => (FileKind::Symlink, 0o700),
            Shape::DescriptorText(_) => (FileKind::Regular, 0o444),
        }
    }

    /// The process or thread called `name`.
    fn who_named(&self, name: &[u8], row: &'static Row) -> Result<Arc<dyn Inode>> {
        let number = number(name).filter(|&number| number > 0).ok_or(Errno::ENOENT)?;
        let who = match self.who.process {
            0 => Who::process(number),
            process => Who { process, thread: number },
        };
        let owner = self.proc.processes.owner(who).map_err(|_| Errno::ENOENT)?;
        Ok(Arc::new(Node { proc: self.proc.clone(), shape: Shape::Row(row), who, owner }))
    }

    fn descriptor_named(&self, name: &[u8], shape: fn(u32) -> Shape) -> Result<Arc<dyn Inode>> {
        let number = number(name).ok_or(Errno::ENOENT)?;
        let next = self.proc.processes.next_descriptor(self.who, number).map_err(|_| Errno::ENOENT)?;
        if next == Some(number) { Ok(self.child(shape(number))) } else { Err(Errno::ENOENT) }
    }

    /// Where it leads, if it is a link.
    fn target(&self) -> Result<Target> {
        match self.shape {
            Shape::Row(Row { what: What::Link(lead) | What::Path(lead), .. }) => lead(&self.question()),
            Shape::Descriptor(number) => process::lead(&self.question(), Link::Descriptor(number)),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// The kind of file a row is.
pub(super) const fn kind(what: &What) -> FileKind {
    match what {
        What::Text(_) | What::Setting(..) => FileKind::Regular,
        What::Link(_) | What::Path(_) => FileKind::Symlink,
        What::Directory(_) | What::Root(_) | What::Threads | What::Descriptors | What::DescriptorTexts => {
            FileKind::Directory
        }
    }
}

/// A name that is a number as Linux writes it: no sign, no zeros in front.
fn number(name: &[u8]) -> Option<u32> {
    let is_plain = name == b"0" || name.first().is_some_and(|first| (b'1'..=b'9').contains(first));
    core::str::from_utf8(name).ok().filter(|_| is_plain)?.parse().ok()
}

/// The inode number of what is called `name`, or has this number, and is about `who`.
pub(super) fn inode_number(who: Who, name: &str, number: u32) -> u64 {
    // FNV-1a: any good spread will do, and the numbers must stay the same from one look-up to the next.
    let start = [who.process, who.thread, number].map(u32::to_le_bytes);
    let hash =
        start.as_flattened().iter().chain(name.as_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
    hash >> 16 | 1
}

impl Inode for Node {
    fn attributes(&self) -> Attributes {
        let (kind, permissions) = self.mode();
        let now = clock::realtime();
        Attributes {
            device: self.proc.device,
            number: self.number(),
            kind,
            permissions,
            links: if kind == FileKind::Directory { 2 } else { 1 },
            user: self.owner.0,
            group: self.owner.1,
            device_number: 0,
            size: 0,
            blocks: 0,
            block_size: 1024,
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
        let Shape::Row(row) = self.shape else { return Err(Errno::ENOTDIR) };
        match row.what {
            What::Directory(rows) | What::Root(rows) => {
                if let Some(row) = rows.iter().find(|row| row.name.as_bytes() == name) {
                    return Ok(self.child(Shape::Row(row)));
                }
                let is_root = matches!(row.what, What::Root(_));
                if is_root { self.who_named(name, &process::PROCESS) } else { Err(Errno::ENOENT) }
            }
            What::Threads => self.who_named(name, &process::THREAD),
            What::Descriptors => self.descriptor_named(name, Shape::Descriptor),
            What::DescriptorTexts => self.descriptor_named(name, Shape::DescriptorText),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        Ok(self.target()?.text)
    }

    fn jump(&self) -> Result<Option<Place>> {
        if let Shape::Row(Row { what: What::Path(_), .. }) = self.shape {
            return Ok(None);
        }
        let target = self.target()?;
        if target.place.is_some() {
            return Ok(target.place);
        }
        // Of files without a name only pipes can be opened again (Linux: ENXIO).
        let file = target.file.ok_or(Errno::ENOENT)?;
        let attributes = file.attributes().ok_or(Errno::ENXIO)?;
        let inode = pipe::inode_of(&**file.file(), attributes).ok_or(Errno::ENXIO)?;
        let again = OpenFile::in_memory(inode, file.file().clone(), &target.text, O_RDWR);
        Ok(again.place().cloned())
    }

    fn open(self: Arc<Self>, opening: &Opening) -> Result<Arc<dyn File>> {
        let is_written = opening.flags & O_ACCMODE != O_RDONLY;
        match self.shape {
            Shape::Row(Row { what: What::Text(_), .. }) | Shape::DescriptorText(_) if is_written => {
                Err(Errno::EACCES)
            }
            Shape::Row(Row { what: What::Text(_) | What::Setting(..), .. }) | Shape::DescriptorText(_) => {
                Ok(Arc::new(open::TextFile::new(self)))
            }
            Shape::Row(Row { what: What::Link(_) | What::Path(_), .. }) | Shape::Descriptor(_) => {
                Err(Errno::ELOOP)
            }
            Shape::Row(_) => Ok(Arc::new(open::Directory::new(self))),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node {
    fn number(&self) -> u64 {
        match self.shape {
            // The root's, as on Linux.
            Shape::Row(Row { what: What::Root(_), .. }) => 1,
            Shape::Row(row) => inode_number(self.who, row.name, 0),
            Shape::Descriptor(number) => inode_number(self.who, "fd", number),
            Shape::DescriptorText(number) => inode_number(self.who, "fdinfo", number),
        }
    }
}
