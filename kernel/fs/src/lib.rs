//! File systems: each locks, fetches, asks `logic` what to do, and stores.
//!
//! No file system knows a process or user memory; what they need from above comes through the traits they declare.
//! Modules, lowest first; each uses only those above it:
//! - [`identity`]: device numbers of file systems without a device, numbers of nameless files.
//! - `shown`: what stat(2) tells of a file, without a lock.
//! - `opened_text`: texts that are made when they are read.
//! - [`pipe`]: pipes and what is behind FIFOs.
//! - [`tmpfs`]: files in memory.
//! - [`ext2`]: files on disks made by mke2fs.
//! - [`eventfd`]: numbers to wait for.
//! - [`timerfd`]: timers to read.
//! - [`inotify`]: what happens to files, to read.
//! - [`mqueue`]: POSIX message queues.
//! - [`epoll`]: many files watched at once.
//! - [`devices`]: null, zero, random and the like.
//! - [`devfs`]: the devices' directory, `/dev`.
//! - [`devpts`]: the slaves of ptys, `/dev/pts`.
//! - [`initramfs`]: unpacking the archive that the boot loader brought.
//! - [`procfs`]: processes as files, `/proc`.
//! - [`sysfs`]: devices as files, `/sys`.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod identity;
mod shown;
mod opened_text;
pub mod pipe;
pub mod tmpfs;
pub mod ext2;
pub mod eventfd;
pub mod timerfd;
pub mod inotify;
pub mod mqueue;
pub mod epoll;
pub mod devices;
pub mod devfs;
pub mod devpts;
pub mod initramfs;
pub mod procfs;
pub mod sysfs;
#[cfg(test)]
mod test_support;

/// What Linux calls a file of these that has no name and no inode of its own, in `/proc/PID/fd`.
pub fn anonymous_name(file: &dyn nucleus::vfs::File) -> Option<&'static str> {
    let file = file.as_any();
    if file.is::<eventfd::EventFd>() {
        Some("anon_inode:[eventfd]")
    } else if file.is::<timerfd::TimerFd>() {
        Some("anon_inode:[timerfd]")
    } else if file.is::<epoll::Epoll>() {
        Some("anon_inode:[eventpoll]")
    } else if file.is::<inotify::Inotify>() {
        Some("anon_inode:inotify")
    } else {
        None
    }
}
