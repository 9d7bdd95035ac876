//! Open files and directories: what was found when they were last read from the start.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::{Errno, Result};
use hal::rank;
use logic::proc_text::Text;
use nucleus::sched::Mutex;
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, ByteSource, File, FileKind, Listing, Transfer};

use super::node::{Node, Shape, inode_number, kind};
use super::process;
use super::source::Who;
use super::table::{Row, What};
use crate::opened_text::{OpenedText, written};

/// The longest thing that can be written.
const LONGEST: usize = 4096;

/// A text that is open.
pub(super) struct TextFile {
    node: Arc<Node>,
    text: OpenedText,
}

impl TextFile {
    pub(super) fn new(node: Arc<Node>) -> Self {
        TextFile { node, text: OpenedText::new() }
    }
}

impl File for TextFile {
    fn renew(&self) -> Result<()> {
        let question = self.node.question();
        let mut text = Text::new();
        match self.node.shape {
            Shape::Row(Row { what: What::Text(show) | What::Setting(show, _), .. }) => {
                show(&question, &mut text)?
            }
            Shape::DescriptorText(number) => process::descriptor(&question, number, &mut text)?,
            _ => return Err(Errno::EINVAL),
        }
        self.text.renew(text)
    }

    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        self.text.read(transfer, to)
    }

    fn write(&self, _transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let Shape::Row(Row { what: What::Setting(_, store), .. }) = self.node.shape else {
            return Err(Errno::EINVAL);
        };
        let wanted = from.left();
        if wanted > LONGEST {
            return Err(Errno::EINVAL);
        }
        let bytes = written(from, wanted)?;
        store(&self.node.question(), &bytes)?;
        Ok(bytes.len())
    }

    fn seeking(&self) -> Seeking {
        Seeking::Renewed
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A name in a directory.
#[derive(Clone, Copy)]
enum Name {
    Row(&'static Row),
    /// A process or thread.
    Who(Who),
    /// `fd/N`.
    Descriptor(u32),
    /// `fdinfo/N`.
    DescriptorText(u32),
}

/// A directory that is open.
pub(super) struct Directory {
    node: Arc<Node>,
    names: Mutex<Vec<Name>, rank::Stream>,
}

impl Directory {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Directory { node, names: Mutex::new(Vec::new()) }
    }

    fn collect(&self) -> Result<Vec<Name>> {
        let mut names = Vec::new();
        let mut add = |name| -> Result<()> {
            names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            names.push(name);
            Ok(())
        };
        let (processes, who) = (self.node.proc.processes, self.node.who);
        let Shape::Row(row) = self.node.shape else { return Err(Errno::ENOTDIR) };
        match row.what {
            What::Directory(rows) => rows.iter().try_for_each(|row| add(Name::Row(row)))?,
            What::Root(rows) => {
                rows.iter().try_for_each(|row| add(Name::Row(row)))?;
                sorted(processes.processes()?).try_for_each(|number| add(Name::Who(Who::process(number))))?;
            }
            What::Threads => {
                let mut threads = sorted(processes.threads(who.process)?);
                threads.try_for_each(|thread| add(Name::Who(Who { thread, ..who })))?;
            }
            What::Descriptors | What::DescriptorTexts => {
                let make = match row.what {
                    What::Descriptors => Name::Descriptor,
                    _ => Name::DescriptorText,
                };
                let mut from = Some(0);
                while let Some(at) = from
                    && let Some(number) = processes.next_descriptor(who, at)?
                {
                    add(make(number))?;
                    from = number.checked_add(1);
                }
            }
            _ => return Err(Errno::ENOTDIR),
        }
        Ok(names)
    }

    fn parent_number(&self) -> u64 {
        match self.node.shape {
            Shape::Row(Row { what: What::Threads | What::Descriptors | What::DescriptorTexts, .. }) => {
                inode_number(self.node.who, "", 0)
            }
            _ => 1,
        }
    }

    fn own_number(&self) -> u64 {
        nucleus::vfs::Inode::attributes(&*self.node).number
    }
}

fn sorted(mut numbers: Vec<u32>) -> impl Iterator<Item = u32> {
    numbers.sort_unstable();
    numbers.into_iter()
}

impl File for Directory {
    fn renew(&self) -> Result<()> {
        let names = self.collect()?;
        let old = core::mem::replace(&mut *self.names.lock(), names);
        drop(old);
        Ok(())
    }

    fn list(&self, position: u64, to: &mut dyn Listing) -> Result<u64> {
        let names = self.names.lock();
        if position == 0 && !to.add(b".", self.own_number(), FileKind::Directory, 1) {
            return Ok(0);
        }
        if position <= 1 && !to.add(b"..", self.parent_number(), FileKind::Directory, 2) {
            return Ok(1);
        }
        let mut position = position.max(2);
        let first = usize::try_from(position - 2).unwrap_or(usize::MAX);
        for name in names.get(first..).unwrap_or_default() {
            if !self.add(name, position + 1, to) {
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

impl Directory {
    fn add(&self, name: &Name, next: u64, to: &mut dyn Listing) -> bool {
        let who = self.node.who;
        let mut digits = Digits::default();
        let (text, number, kind) = match *name {
            Name::Row(row) => (row.name.as_bytes(), inode_number(who, row.name, 0), kind(&row.what)),
            Name::Who(who) => (digits.of(who.thread), inode_number(who, "", 0), FileKind::Directory),
            Name::Descriptor(number) => {
                (digits.of(number), inode_number(who, "fd", number), FileKind::Symlink)
            }
            Name::DescriptorText(number) => {
                (digits.of(number), inode_number(who, "fdinfo", number), FileKind::Regular)
            }
        };
        to.add(text, number, kind, next)
    }
}

/// A number in decimal.
#[derive(Default)]
struct Digits([u8; 10]);

impl Digits {
    fn of(&mut self, number: u32) -> &[u8] {
        let mut rest = number;
        let mut start = self.0.len();
        for (at, digit) in self.0.iter_mut().enumerate().rev() {
            *digit = b'0' + (rest % 10).to_le_bytes()[0];
            rest /= 10;
            start = at;
            if rest == 0 {
                break;
            }
        }
        &self.0[start..]
    }
}
