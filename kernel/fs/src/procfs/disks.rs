//! `/proc/partitions`, `/proc/diskstats` (proc(5); Linux, Documentation/admin-guide/iostats.rst).

use core::sync::atomic::{AtomicU64, Ordering};

use abi::Result;
use abi::file::device_parts;
use logic::proc_text::Text;
use nucleus::block::statistics::Kind;
use nucleus::block::{self, Disk};

use super::table::{Question, put};

/// `/proc/partitions`.
pub(super) fn partitions(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "major minor  #blocks  name\n\n");
    for disk in block::all().iter().filter(|disk| disk.sectors() > 0) {
        let (major, minor) = device_parts(disk.number());
        put!(to, "{major:4}  {minor:7} {:10} {}\n", disk.sectors() / 2, disk.name());
    }
    Ok(())
}

/// `/proc/diskstats`.
pub(super) fn diskstats(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    for disk in &block::all() {
        line(disk, to);
    }
    Ok(())
}

fn line(disk: &Disk, to: &mut Text) {
    let (major, minor) = device_parts(disk.number());
    let now = disk.statistics();
    put!(to, "{major:4} {minor:7} {}", disk.name());
    four(&now.reads, to);
    four(&now.writes, to);
    let kinds = [&now.reads, &now.writes, &now.discards, &now.flushes];
    let waited: u64 = kinds.iter().map(|kind| load(&kind.time_ns)).sum();
    put!(to, " {} {} {}", load(&now.under_way), load(&now.busy_ns) / MILLI, waited / MILLI);
    four(&now.discards, to);
    put!(to, " {} {}\n", load(&now.flushes.requests), load(&now.flushes.time_ns) / MILLI);
}

/// What was moved between memory and disks.
pub(super) struct Moved {
    pub(super) read: u64,
    pub(super) written: u64,
}

/// In units of 1024 bytes, as `pgpgin` and `pgpgout` count. Loop disks' bytes count once more, as on Linux.
pub(super) fn moved_kib() -> Moved {
    let mut moved = Moved { read: 0, written: 0 };
    for disk in block::all().iter().filter(|disk| !disk.is_partition()) {
        moved.read += load(&disk.statistics().reads.sectors) / 2;
        moved.written += load(&disk.statistics().writes.sectors) / 2;
    }
    moved
}

const MILLI: u64 = 1_000_000;

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn four(kind: &Kind, to: &mut Text) {
    let (requests, merged) = (load(&kind.requests), load(&kind.merged));
    put!(to, " {requests} {merged} {} {}", load(&kind.sectors), load(&kind.time_ns) / MILLI);
}
