//! `image cpio`: a reproducible initramfs archive in the "new ASCII" format (`newc`, magic 070701).
//!
//! Times are 0 and inode numbers count entries, so equal inputs give equal bytes. Format:
//! Documentation/driver-api/early-userspace/buffer-format.rst of Linux.

pub(crate) mod manifest;

use std::path::Path;

use crate::Result;
use manifest::{Entry, Kind};

/// Archives end on a boundary of this size, as boot loaders and `dd` like it.
const BLOCK: usize = 512;
const ALIGNMENT: usize = 4;

/// The archive of `entries`; `read` fetches the contents of files.
pub(crate) fn archive(entries: &[Entry], read: impl Fn(&Path) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (inode, entry) in (1..).zip(entries) {
        let contents = match &entry.kind {
            Kind::File { source } => read(source)?,
            Kind::Link { target } => target.clone().into_bytes(),
            Kind::Directory | Kind::Device { .. } => Vec::new(),
        };
        add(&mut bytes, entry, inode, &contents)?;
    }
    let trailer = Entry { path: "TRAILER!!!".into(), mode: 0, owner: 0, group: 0, kind: Kind::Directory };
    add_raw(&mut bytes, &trailer, [0, 0, 1, 0, 0], &[])?;
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    Ok(bytes)
}

fn add(bytes: &mut Vec<u8>, entry: &Entry, inode: u32, contents: &[u8]) -> Result<()> {
    let (links, major, minor) = match entry.kind {
        Kind::Directory => (2, 0, 0),
        Kind::Device { major, minor, .. } => (1, major, minor),
        Kind::File { .. } | Kind::Link { .. } => (1, 0, 0),
    };
    add_raw(bytes, entry, [inode, entry.kind.mode_bits() | entry.mode, links, major, minor], contents)
}

fn add_raw(bytes: &mut Vec<u8>, entry: &Entry, numbers: [u32; 5], contents: &[u8]) -> Result<()> {
    let [inode, mode, links, major, minor] = numbers;
    let len = u32::try_from(contents.len())
        .map_err(|_| format!("{} has 4 GiB or more, which the format cannot hold.", entry.path))?;
    let name_len = u32::try_from(entry.path.len() + 1).map_err(|_| "A path is longer than 4 GiB.")?;
    let fields = [inode, mode, entry.owner, entry.group, links, 0, len, 0, 0, major, minor, name_len, 0];
    bytes.extend(b"070701");
    fields.iter().for_each(|field| bytes.extend(format!("{field:08x}").bytes()));
    bytes.extend(entry.path.bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    Ok(())
}
