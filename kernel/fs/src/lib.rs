//! File systems: each locks, fetches, asks `logic` what to do, and stores.
//!
//! No file system knows a process or user memory; what they need from above comes through the traits they declare.
//! Modules, lowest first; each uses only those above it:
//! - [`identity`]: device numbers of file systems without a device, numbers of nameless files.
//! - `shown`: what stat(2) tells of a file, without a lock.
//! - [`pipe`]: pipes and what is behind FIFOs.
//! - [`tmpfs`]: files in memory.
//! - [`ext2`]: files on disks made by mke2fs.
//! - [`eventfd`]: numbers to wait for.
//! - [`epoll`]: many files watched at once.
//! - [`devices`]: null, zero, random and the like.
//! - [`devfs`]: the devices' directory, `/dev`.
//! - [`initramfs`]: unpacking the archive that the boot loader brought.
//! - [`procfs`]: processes as files, `/proc`.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod identity;
mod shown;
pub mod pipe;
pub mod tmpfs;
pub mod ext2;
pub mod eventfd;
pub mod epoll;
pub mod devices;
pub mod devfs;
pub mod initramfs;
pub mod procfs;
#[cfg(test)]
mod test_support;
