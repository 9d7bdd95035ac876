//! Numbers that tell files apart: devices of file systems that have no device, and inodes of files without a name.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::file::device_number;
use hal::spin::Once;

/// Minor numbers of major 0 given out, as Linux's `get_anon_bdev` does.
static DEVICES: AtomicU32 = AtomicU32::new(1);
static NAMELESS: AtomicU64 = AtomicU64::new(1);
static NAMELESS_DEVICE: Once<u64> = Once::new();

/// A device number for a new file system.
pub fn new_device() -> u64 {
    device_number(0, DEVICES.fetch_add(1, Ordering::Relaxed))
}

/// Device and inode number for a file that is in no file system: a pipe, for one.
pub fn nameless() -> (u64, u64) {
    (*NAMELESS_DEVICE.call_once(new_device), NAMELESS.fetch_add(1, Ordering::Relaxed))
}
