//! A process's memory: `/proc/PID/maps` and `smaps`.

use super::text::{Text, line};
use crate::vma::{Rights, Sharing};

/// The column in which names start (Linux's `seq_setwidth(m, 25 + sizeof(void *) * 6 - 1)` and a space).
const NAME_COLUMN: usize = 73;

/// One area.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What the program may do.
    pub rights: Rights,
    /// Who sees writes.
    pub sharing: Sharing,
    /// Where in the file it starts.
    pub offset: u64,
    /// The file's device.
    pub device: (u32, u32),
    /// The file's inode number.
    pub inode: u64,
    /// The file's path or what it is; may be empty.
    pub name: &'a [u8],
}

/// How much of an area is in RAM, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// All of it.
    pub all: u64,
    /// What nobody else has.
    pub private: u64,
    /// What has no file behind it.
    pub anonymous: u64,
    /// What is in large pages.
    pub large: u64,
    /// It is locked.
    pub is_locked: bool,
    /// It grows down.
    pub grows_down: bool,
    /// What mprotect(2) may allow.
    pub allowed: Option<Rights>,
}

/// A line of `/proc/PID/maps`.
pub fn maps(text: &mut Text, area: &Line<'_>) {
    let start = text.len();
    let right = |is: bool, letter: char| if is { letter } else { '-' };
    line!(
        text,
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
        area.start,
        area.end,
        right(area.rights.read, 'r'),
        right(area.rights.write, 'w'),
        right(area.rights.execute, 'x'),
        if area.sharing == Sharing::Shared { 's' } else { 'p' },
        area.offset,
        area.device.0,
        area.device.1,
        area.inode,
    );
    if !area.name.is_empty() {
        text.pad(start, NAME_COLUMN);
        text.escaped(area.name, b"\n");
    }
    line!(text, "\n");
}

/// The lines of an area in `/proc/PID/smaps`.
pub fn smaps(text: &mut Text, area: &Line<'_>, resident: &Resident) {
    maps(text, area);
    let shared = resident.all - resident.private.min(resident.all);
    // What was written is dirty; of files, that is what is private.
    let is_file = area.inode != 0;
    let (shared_clean, shared_dirty) = if is_file { (shared, 0) } else { (0, shared) };
    let private_dirty = resident.anonymous.min(resident.private);
    let private_clean = resident.private - private_dirty;
    for (name, bytes) in [
        ("Size", area.end - area.start),
        ("KernelPageSize", 4096),
        ("MMUPageSize", 4096),
        ("Rss", resident.all),
        // Who else shares a page is not counted: half is as good a guess as any.
        ("Pss", resident.private + shared / 2),
        ("Pss_Dirty", private_dirty),
        ("Shared_Clean", shared_clean),
        ("Shared_Dirty", shared_dirty),
        ("Private_Clean", private_clean),
        ("Private_Dirty", private_dirty),
        ("Referenced", resident.all),
        ("Anonymous", resident.anonymous),
        ("LazyFree", 0),
        ("AnonHugePages", resident.large),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", if resident.is_locked { resident.all } else { 0 }),
    ] {
        // Sixteen columns for the name, eight for the number.
        let start = text.len();
        line!(text, "{name}:");
        text.pad(start, 16);
        line!(text, "{:8} kB\n", bytes / 1024);
    }
    line!(text, "THPeligible:    {}\n", u8::from(!is_file));
    flags(text, area, resident);
}

fn flags(text: &mut Text, area: &Line<'_>, resident: &Resident) {
    let allowed = resident.allowed.unwrap_or(area.rights);
    let is_shared = area.sharing == Sharing::Shared;
    line!(text, "VmFlags: ");
    for (is, name) in [
        (area.rights.read, "rd"),
        (area.rights.write, "wr"),
        (area.rights.execute, "ex"),
        (is_shared, "sh"),
        (allowed.read, "mr"),
        (allowed.write, "mw"),
        (allowed.execute, "me"),
        (is_shared, "ms"),
        (resident.grows_down, "gd"),
        (resident.is_locked, "lo"),
        (area.rights.write && !is_shared, "ac"),
    ] {
        if is {
            line!(text, "{name} ");
        }
    }
    line!(text, "\n");
}
