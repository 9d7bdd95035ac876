//! Files: names, mounts, open files; what is behind them are file systems.
//!
//! Three traits under ten methods: [`FileSystem`], [`Inode`], [`File`]. Everything here gets who asks (`&Cred`) and from
//! where (`&Walker`) as arguments. Modules, lowest first:
//! - [`bytes`]: where bytes come from and go to.
//! - [`cache`]: what is in memory of files on disks.
//! - [`extended`]: extended attributes.
//! - [`inode`]: what a file system is made of.
//! - [`storage`]: what stored files can do besides.
//! - [`file`]: what can be opened.
//! - [`watch`]: who watches files.
//! - [`recent`]: names that each CPU found lately. (It, `entry` and `mount` know each other.)
//! - [`entry`]: the tree of names.
//! - [`mount`]: file systems in the tree.
//! - [`flusher`]: what is dirty goes to the disk.
//! - `notify`: seeing what happens to files.
//! - [`walk`]: from a path to a place.
//! - `attributes`: who may touch which extended attribute.
//! - [`change`]: making, removing and renaming.
//! - [`busy`]: who writes a file and who runs it.
//! - [`locks`]: locks on files.
//! - [`attached`]: what hangs on an open file.
//! - [`leases`]: who is told before others open a file. (It and `open` know each other.)
//! - [`device`]: devices by number.
//! - `mapped`: files as memory has them.
//! - [`open`]: open files and their positions.
//! - `stored`: what open files do with where they are stored.

pub mod bytes;
pub mod cache;
pub mod extended;
pub mod inode;
pub mod storage;
pub mod file;
pub mod watch;
pub mod recent;
pub mod entry;
pub mod mount;
pub mod flusher;
mod notify;
pub mod walk;
mod attributes;
pub mod change;
pub mod busy;
pub mod locks;
pub mod attached;
pub mod leases;
pub mod device;
mod mapped;
pub mod open;
mod stored;

pub use bytes::{ByteSink, ByteSource};
pub use entry::Entry;
pub use file::{Events, File, Listing, Transfer};
pub use inode::{Attributes, Change, FileKind, FileSystem, Inode, NewNode, Opening, Statistics};
pub use mount::{Mount, Place};
pub use open::OpenFile;
pub use walk::{Last, Walker};
