//! Finding disks, and their nodes in `/dev`.

use hal::boot::BootInfo;
use hal::time;
use logic::cmdline::{self, BootOptions};
use nucleus::sched::Wait;
use nucleus::{block, disk_files, warning};

/// How long the first program waits for disks that are slow to answer.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Starts the drivers of all devices, and waits until they have found their disks, so that the first program finds them
/// too, as on Linux.
pub(crate) fn start(boot: &'static BootInfo) {
    disk_files::set_on_change(|| {
        if let Err(error) = fs::devfs::refresh() {
            warning!("/dev lacks the nodes of some disks: {error}");
        }
    });
    let line = boot.command_line.as_str();
    let places =
        cmdline::words(line).filter(|word| word.is_named("virtio_mmio.device")).filter_map(|word| word.value);
    drivers::probe::start(places);
    if let Err(error) = disk_files::ram::register(BootOptions::parse(line).ram_disk_kib) {
        warning!("there are no disks in memory: {error}");
    }
    let deadline = time::now_ns().saturating_add(PATIENCE_NS);
    if block::wait_for_probes(Wait::UNINTERRUPTIBLE.until(deadline)).is_err() {
        warning!("some disks have not answered yet; going on without them");
    }
    if let Err(error) = disk_files::publish() {
        warning!("some disks have no node in /dev: {error}");
    }
}
