//! The last steps: nobody else is left, everything goes to its disk, and the machine ends.

use accounts::records::{self, Kind, Record};

use nrlib::system::numbers::{MNT_DETACH, MS_RDONLY, MS_REMOUNT};
use nrlib::system::{self, Finish};
use nrlib::{file, process, time};

use crate::{mounts, say};

/// Does not come back.
pub fn finish(finish: Finish) -> ! {
    let record = Record::new(Kind::RunLevel, 0, b"~", b"shutdown").with_id(b"~~");
    let _ = records::append(&record);
    system::sync();
    unmount_all();
    system::sync();
    say::line(match finish {
        Finish::PowerOff => "switching off",
        Finish::Restart => "starting again",
        Finish::Halt => "halted; it is safe to switch off",
    });
    loop {
        // Comes back only if it fails: process 1 must not end even then.
        say::problem("cannot end the system", system::finish(finish));
        time::sleep_through_ms(10_000);
    }
}

/// The last mounted first. What is busy becomes read-only, so that its disk is clean.
fn unmount_all() {
    let _ = file::change_folder(c"/");
    for mounted in mounts::current().iter().rev() {
        let is_needed = matches!(&mounted.kind[..], b"proc" | b"sysfs" | b"devtmpfs" | b"rootfs");
        let Ok(place) = file::path(&[&mounted.place]) else { continue };
        if is_needed && mounted.place != b"/" {
            continue;
        }
        if mounted.place != b"/" && system::unmount(&place, 0).is_ok() {
            continue;
        }
        let is_on_a_disk = mounted.source.starts_with(b"/");
        if !is_on_a_disk {
            continue;
        }
        let remounted = system::mount(c"none", &place, c"", MS_REMOUNT | MS_RDONLY, c"");
        if remounted.is_err() && mounted.place != b"/" {
            let _ = system::unmount(&place, MNT_DETACH);
        }
        if let Err(error) = remounted {
            let place = say::Shown(&place);
            say::text(format_args!("{place} can neither be unmounted nor made read-only: {error}"));
        }
    }
    debug_assert_eq!(process::id(), 1);
}
