//! The ext2 file system's disk logic: a state machine that a kernel wraps in one lock.
//!
//! [`Ext2`] reads metadata through [`Blocks`] and never writes: what changed leaves in a [`Commit`], sorted into levels between which
//! the disk is flushed, so that after a power cut at any moment `e2fsck -p` repairs the disk and nothing acknowledged is lost.
//! Bytes of regular files are the caller's, who asks where they are ([`Ext2::map`], [`Ext2::allocate`]). Who may do what, what time it
//! is, and who waits for whom are the caller's too. See docs/ext2.md.
//!
//! No statics, locks, clocks or I/O. A module may use only modules listed above it:
//! - `bytes`: little-endian numbers.
//! - [`error`](Failure): why something was not done.
//! - `types`: what callers and the crate say to each other.
//! - `superblock`, `group`, `inode`, `dirent`, `xattr`: what the disk has, decoded and encoded.
//! - `bitmap`: free bits.
//! - `store`: blocks of metadata in memory, and undoing what failed.
//! - `epoch`: what is remembered from one commit to the next.
//! - `index`: names of large directories by hash.
//! - `volume`: the file system, its groups and inodes, and the frame of an operation.
//! - `allocation`: taking and giving back blocks and inodes.
//! - `mapping`: blocks of files.
//! - `truncation`: taking blocks from files, removing files, holes.
//! - `attributes`: changing attributes, extended attributes.
//! - `directory`: one directory.
//! - `order`: which order of writes follows from names.
//! - `names`: making, linking, unlinking.
//! - `rename`: moving and exchanging.
//! - `commit`: the order of writes.
//! - `mount`: opening and recovering.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod bytes;
mod error;
mod types;

mod superblock;
mod group;
mod inode;
mod dirent;
mod xattr;
mod bitmap;

mod store;
mod epoch;
mod index;
mod volume;
mod allocation;
mod mapping;
mod truncation;
mod attributes;
mod directory;
mod order;
mod names;
mod rename;
mod commit;
mod mount;

pub use error::{Failure, OpenError, Outcome};
pub use inode::flags;
pub use rename::Place;
pub use types::{
    Access, Allocated, Attributes, BlockNo, BlockSource, Blocks, Carried, Change, Commit, Condition,
    Identity, Ino, Listing, Name, NewNode, Options, Pending, Purpose, Removed, Renaming, Reserve, Reserved,
    Run, Seek, Setting, Statistics, Write,
};
pub use volume::Ext2;
