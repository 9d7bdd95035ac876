//! Files of a process: `/proc/PID` and `/proc/PID/task/TID`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::{SEEK_CUR, device_parts};
use abi::{Errno, Result};
use logic::addr::{PAGE_LEN, PAGE_SIZE};
use logic::proc_text::memory::{self as memory_text, Line, Resident};
use logic::proc_text::process::{self as text, MemoryNumbers};
use logic::proc_text::{Text, system};
use logic::vma::{Area, Growth, Sharing};
use nucleus::mm::Memory;
use nucleus::mm::memory::Layout;
use nucleus::mm::source::Source;
use nucleus::vfs::mount::{self, Mount};
use nucleus::vfs::{OpenFile, Place};

use super::source::{Link, Setting, Target};
use super::table::{Question, Row, What, directory, link, number, private, put, setting, text as shown};

/// `/proc/PID`.
pub(super) static PROCESS: Row = directory("", 0o555, What::Directory(PROCESS_ROWS));
/// `/proc/PID/task/TID`.
pub(super) static THREAD: Row = directory("", 0o555, What::Directory(THREAD_ROWS));

macro_rules! rows {
    ($($more:expr),* $(,)?) => {
        &[
            private("auxv", auxv),
            shown("cmdline", cmdline),
            setting("comm", comm, set_comm),
            link("cwd", |question| lead(question, Link::WorkingDirectory)),
            private("environ", environ),
            link("exe", |question| lead(question, Link::Executable)),
            directory("fd", 0o500, What::Descriptors),
            directory("fdinfo", 0o555, What::DescriptorTexts),
            private("io", io),
            shown("limits", limits),
            shown("maps", maps),
            shown("mountinfo", mountinfo),
            shown("mounts", mounts),
            shown("oom_score", oom_score),
            setting("oom_score_adj", oom_adjustment, set_oom_adjustment),
            private("personality", personality),
            link("root", |question| lead(question, Link::Root)),
            shown("smaps", smaps),
            shown("stat", stat),
            shown("statm", statm),
            shown("status", status),
            setting("trace", trace, set_trace),
            shown("wchan", wchan),
            $($more),*
        ]
    };
}

const THREAD_ROWS: &[Row] = rows![];
const PROCESS_ROWS: &[Row] = rows![directory("task", 0o555, What::Threads)];

type Asked<'a> = &'a Question<'a>;

/// A link's target, for who may know.
pub(super) fn lead(question: &Question<'_>, link: Link) -> Result<Target> {
    question.processes().check_inspect(question.who)?;
    question.processes().link(question.who, link)
}

fn stat(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let process = question.processes().snapshot(question.who)?;
    let memory = question.processes().memory(question.who)?;
    text::stat(to, &process, &memory.map_or_else(MemoryNumbers::default, |memory| quick_numbers(&memory)));
    Ok(())
}

fn statm(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let memory = question.processes().memory(question.who)?;
    text::statm(to, &memory.map_or_else(MemoryNumbers::default, |memory| numbers(&memory)));
    Ok(())
}

fn status(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let process = question.processes().snapshot(question.who)?;
    let memory = question.processes().memory(question.who)?.map(|memory| numbers(&memory));
    text::status(to, &process, memory.as_ref());
    Ok(())
}

fn comm(question: &Question<'_>, to: &mut Text) -> Result<()> {
    to.raw(&question.processes().snapshot(question.who)?.name);
    to.raw(b"\n");
    Ok(())
}

fn set_comm(question: &Question<'_>, bytes: &[u8]) -> Result<()> {
    let name = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    question.processes().set(question.who, Setting::Name(&name[..name.len().min(15)]))
}

fn limits(question: &Question<'_>, to: &mut Text) -> Result<()> {
    text::limits(to, &question.processes().limits(question.who)?);
    Ok(())
}

fn io(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    text::io(to);
    Ok(())
}

/// Where it sleeps in the kernel: Linux says 0 to who may not know, and nobody may.
fn wchan(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    to.raw(b"0");
    Ok(())
}

fn personality(question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "{:08x}\n", question.processes().controls(question.who)?.personality);
    Ok(())
}

fn oom_score(question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "{}\n", question.processes().controls(question.who)?.oom_score);
    Ok(())
}

fn oom_adjustment(question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "{}\n", question.processes().controls(question.who)?.oom_adjustment);
    Ok(())
}

fn set_oom_adjustment(question: &Question<'_>, bytes: &[u8]) -> Result<()> {
    let adjustment = number(bytes)?;
    if !(-1000..=1000).contains(&adjustment) {
        return Err(Errno::EINVAL);
    }
    question.processes().set(question.who, Setting::OomAdjustment(adjustment))
}

fn trace(question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "{}\n", u8::from(question.processes().controls(question.who)?.is_traced));
    Ok(())
}

fn set_trace(question: &Question<'_>, bytes: &[u8]) -> Result<()> {
    match number(bytes)? {
        0 => question.processes().set(question.who, Setting::Trace(false)),
        1 => question.processes().set(question.who, Setting::Trace(true)),
        _ => Err(Errno::EINVAL),
    }
}

/// The memory of a process that the caller may look into.
fn inspected(question: &Question<'_>) -> Result<Option<Arc<Memory>>> {
    question.processes().check_inspect(question.who)?;
    question.processes().memory(question.who)
}

fn cmdline(question: &Question<'_>, to: &mut Text) -> Result<()> {
    // Everybody may see arguments.
    let Some(memory) = question.processes().memory(question.who)? else { return Ok(()) };
    let (start, end) = memory.layout().arguments;
    copy(&memory, start, end, to);
    Ok(())
}

fn environ(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let Some(memory) = inspected(question)? else { return Ok(()) };
    let (start, end) = memory.layout().environment;
    copy(&memory, start, end, to);
    Ok(())
}

fn auxv(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let Some(memory) = inspected(question)? else { return Ok(()) };
    let (stack, len) = memory.layout().auxiliary;
    if len == 0 {
        return Ok(());
    }
    let word = |at: u64| {
        let mut bytes = [0; 8];
        (memory.read_remote(at, &mut bytes) == 8).then(|| u64::from_le_bytes(bytes))
    };
    // Behind the number of arguments lie their pointers and a zero, those of the environment and a zero.
    let Some(arguments) = word(stack) else { return Ok(()) };
    let mut at = stack.saturating_add(arguments.saturating_mul(8)).saturating_add(16);
    while word(at).is_some_and(|pointer| pointer != 0) {
        at += 8;
    }
    copy(&memory, at + 8, at + 8 + len, to);
    Ok(())
}

/// Appends what a program has from `start` to `end`, as far as it can be read.
fn copy(memory: &Memory, start: u64, end: u64, to: &mut Text) {
    let mut buffer = [0; 512];
    let mut at = start;
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let count = memory.read_remote(at, &mut buffer[..wanted]);
        to.raw(&buffer[..count]);
        at += count as u64;
        if count < wanted {
            return;
        }
    }
}

fn maps(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let Some(memory) = inspected(question)? else { return Ok(()) };
    let (layout, heap_end) = (memory.layout(), memory.heap_end());
    memory.for_each_area(|area, _| with_line(area, &layout, heap_end, |line| memory_text::maps(to, line)));
    Ok(())
}

fn smaps(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let Some(memory) = inspected(question)? else { return Ok(()) };
    let (layout, heap_end) = (memory.layout(), memory.heap_end());
    memory.for_each_area(|area, usage| {
        let usage = usage();
        let resident = Resident {
            all: usage.resident,
            private: usage.private,
            anonymous: anonymous(area, usage.resident, usage.anonymous),
            large: usage.huge,
            is_locked: area.is_locked,
            grows_down: area.growth == Growth::Down,
            allowed: Some(area.allowed),
        };
        with_line(area, &layout, heap_end, |line| memory_text::smaps(to, line, &resident));
    });
    Ok(())
}

/// What of an area has no file behind it: all of what has none, and what was copied from one.
fn anonymous(area: &Area<Source>, resident: u64, own: u64) -> u64 {
    match area.backing {
        Source::Anonymous => resident,
        Source::File { .. } if area.sharing == Sharing::Private => own,
        Source::File { .. } => 0,
    }
}

/// Calls `show` with an area as `maps` shows it.
fn with_line(area: &Area<Source>, layout: &Layout, heap_end: u64, show: impl FnOnce(&Line<'_>)) {
    let mut name = Vec::new();
    let (mut offset, mut identity) = (0, (0, 0));
    match &area.backing {
        Source::File { file, offset: start } => {
            (offset, identity) = (*start, file.identity());
            file.describe(&mut name);
        }
        Source::Anonymous => {
            let special: &[u8] = if area.start <= heap_end && area.end > layout.heap_start {
                b"[heap]"
            } else if area.growth == Growth::Down && (area.start..area.end).contains(&layout.stack) {
                b"[stack]"
            } else {
                b""
            };
            if name.try_reserve(special.len()).is_ok() {
                name.extend_from_slice(special);
            }
        }
    }
    let is_vdso = layout.vdso != 0 && (area.start..area.end).contains(&layout.vdso);
    show(&Line {
        start: area.start,
        end: area.end,
        rights: area.rights,
        sharing: area.sharing,
        offset: if is_vdso { 0 } else { offset },
        device: if is_vdso { (0, 0) } else { device_parts(identity.0) },
        inode: if is_vdso { 0 } else { identity.1 },
        name: if is_vdso { b"[vdso]" } else { &name },
    });
}

/// What `stat` needs: sizes that are known without a look at each page.
fn quick_numbers(memory: &Memory) -> MemoryNumbers {
    let layout = memory.layout();
    MemoryNumbers {
        total: memory.mapped_bytes(),
        resident_anonymous: memory.resident_pages() * PAGE_SIZE,
        code_range: layout.code,
        data_range: layout.data,
        stack_start: layout.stack,
        heap_start: layout.heap_start,
        arguments: layout.arguments,
        environment: layout.environment,
        ..MemoryNumbers::default()
    }
}

fn numbers(memory: &Memory) -> MemoryNumbers {
    let mut numbers = MemoryNumbers {
        resident_anonymous: 0,
        locked: memory.locked_bytes(),
        peak_resident: memory.peak_pages() * PAGE_SIZE,
        ..quick_numbers(memory)
    };
    let (code_start, code_end) = numbers.code_range;
    numbers.code = code_end.saturating_sub(code_start).next_multiple_of(PAGE_SIZE);
    memory.for_each_area(|area, usage| {
        let usage = usage();
        let anonymous = anonymous(area, usage.resident, usage.anonymous);
        numbers.resident_anonymous += anonymous;
        let rest = usage.resident.saturating_sub(anonymous);
        match area.sharing {
            Sharing::Private => numbers.resident_file += rest,
            Sharing::Shared => numbers.resident_shared += rest,
        }
        if area.growth == Growth::Down {
            numbers.stack += area.len();
        } else if area.rights.write && area.sharing == Sharing::Private {
            numbers.data += area.len();
        } else if area.rights.execute && !(area.start..area.end).contains(&code_start) {
            numbers.library += area.len();
        }
    });
    // A page of tables holds 512 entries; those above are few.
    numbers.page_tables = (numbers.resident() / (512 * PAGE_SIZE) + 4) * PAGE_LEN as u64;
    numbers
}

fn mounts(question: &Question<'_>, to: &mut Text) -> Result<()> {
    for_each_mount(question, |mounted| system::mounts(to, mounted))
}

fn mountinfo(question: &Question<'_>, to: &mut Text) -> Result<()> {
    for_each_mount(question, |mounted| system::mountinfo(to, mounted))
}

/// Calls `show` with each mount that the process can reach from its root.
fn for_each_mount(question: Asked<'_>, mut show: impl FnMut(&system::Mounted<'_>)) -> Result<()> {
    let root = question.processes().link(question.who, Link::Root)?.place.ok_or(Errno::EINVAL)?;
    mount::for_each(|mount| {
        let mut at = Vec::new();
        if !mount_point(mount, &root, &mut at) {
            return;
        }
        let file_system = mount.file_system();
        let above = mount.at().map_or(mount.number(), |at| at.mount.number());
        show(&system::Mounted {
            source: mount.source(),
            at: &at,
            kind: file_system.kind(),
            flags: mount.flags(),
            numbers: (mount.number(), above),
            device: device_parts(file_system.root().attributes().device),
        });
    });
    Ok(())
}

/// Appends where `mount` is, seen from `root`; says whether it can be reached.
fn mount_point(mount: &Arc<Mount>, root: &Place, at: &mut Vec<u8>) -> bool {
    match mount.at() {
        // What the root itself is on is `/`, whatever is above it.
        _ if Arc::ptr_eq(mount, &root.mount) => {
            at.push(b'/');
            true
        }
        Some(place) => place.path(root, at),
        None => false,
    }
}

/// `/proc/PID/fdinfo/N`.
pub(super) fn descriptor(question: &Question<'_>, descriptor: u32, to: &mut Text) -> Result<()> {
    let target = lead(question, Link::Descriptor(descriptor))?;
    let file: Arc<OpenFile> = target.file.ok_or(Errno::ENOENT)?;
    let position = file.seek(0, SEEK_CUR).unwrap_or(0);
    let mount = target.place.as_ref().map_or(0, |place| place.mount.number());
    let inode = file.attributes().map_or(0, |attributes| attributes.number);
    put!(to, "pos:\t{position}\nflags:\t0{:o}\nmnt_id:\t{mount}\nino:\t{inode}\n", file.flags());
    Ok(())
}
