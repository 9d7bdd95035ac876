//! The file systems that every system has: `/proc`, `/sys`, `/dev` with what is below it, `/run`, `/tmp`.
//!
//! What is mounted already, by the kernel or by the init before the root was switched, stays.

use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::system::numbers::{MS_NODEV, MS_NOEXEC, MS_NOSUID};
use nrlib::{Errno, file, system};

use crate::mount_list::{self, Mounted};
use crate::say;

struct Basic {
    kind: &'static CStr,
    place: &'static CStr,
    flags: usize,
    options: &'static CStr,
    /// Permission bits of the folder it is mounted on, if that must be made.
    mode: u32,
}

const BASICS: [Basic; 7] = [
    Basic {
        kind: c"proc",
        place: c"/proc",
        flags: MS_NOSUID | MS_NODEV | MS_NOEXEC,
        options: c"",
        mode: 0o555,
    },
    Basic {
        kind: c"sysfs",
        place: c"/sys",
        flags: MS_NOSUID | MS_NODEV | MS_NOEXEC,
        options: c"",
        mode: 0o555,
    },
    Basic { kind: c"devtmpfs", place: c"/dev", flags: MS_NOSUID, options: c"mode=0755", mode: 0o755 },
    Basic {
        kind: c"devpts",
        place: c"/dev/pts",
        flags: MS_NOSUID | MS_NOEXEC,
        options: c"gid=5,mode=620,ptmxmode=666",
        mode: 0o755,
    },
    Basic {
        kind: c"tmpfs",
        place: c"/dev/shm",
        flags: MS_NOSUID | MS_NODEV,
        options: c"mode=1777",
        mode: 0o1777,
    },
    Basic { kind: c"tmpfs", place: c"/run", flags: MS_NOSUID | MS_NODEV, options: c"mode=755", mode: 0o755 },
    Basic {
        kind: c"tmpfs",
        place: c"/tmp",
        flags: MS_NOSUID | MS_NODEV,
        options: c"mode=1777",
        mode: 0o1777,
    },
];

/// What is mounted now; nothing if `/proc` is not there yet.
pub fn current() -> Vec<Mounted> {
    mount_list::parse(&file::read(c"/proc/self/mounts", 1 << 20).unwrap_or_default())
}

/// Mounts what is missing. What does not work is said, and the system goes on without it.
pub fn mount_basics() {
    for basic in &BASICS {
        if current().iter().any(|mounted| mounted.place == basic.place.to_bytes()) {
            continue;
        }
        // On a disk that is not written the folder must be there.
        let _ = file::make_folder(basic.place, basic.mode);
        match system::mount(basic.kind, basic.place, basic.kind, basic.flags, basic.options) {
            // The second: there already, and `/proc` could not tell.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => {
                let (kind, place) = (say::Shown(basic.kind), say::Shown(basic.place));
                say::text(format_args!("cannot mount {kind} on {place}: {error}"));
            }
        }
    }
}
