//! A new program in an old process: execve(2).
//!
//! The new memory is built beside the old one; until it stands every error leaves the process as it was. Then the other
//! tasks end, and the process changes over.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::auxv::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_FLAGS, AT_GID, AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ,
    AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_SECURE, AT_UID,
};
use abi::file::{S_ISGID, S_ISUID};
use abi::process::ADDR_NO_RANDOMIZE;
use abi::{Errno, Result};
use hal::boot::Text;
use hal::frames;
use hal::user::{USER_TOP, UserContext};
use logic::addr::{PAGE_SIZE, VirtAddr, align_down, align_up};
use logic::cred::{Access, Cred, FileCapabilities, Gaining, Gains, Newcomer};
use logic::elf::{self, ElfError, ImageKind, Limits as ElfLimits, LoadPlan, Segment};
use logic::exec::{Budget, Contents, InitialStack, StringList, shebang};
use logic::vma::{Growth, Rights, Sharing};
use nucleus::mm::{Layout, MapRequest, Memory, PageSource, Place as MapPlace, Source};
use nucleus::sched::Wait;
use nucleus::vfs::busy::InUse;
use nucleus::vfs::bytes::Buffer;
use nucleus::vfs::{FileKind, Last, OpenFile, Place, Transfer, Walker, extended, mount};

use super::limits::Resource;
use super::task::{Cx, Executable};
use super::tree;

/// Interpreters of interpreters (Linux: 5).
const MAX_INTERPRETERS: u32 = 5;
/// What a new stack has at least below what it starts with.
const STACK_ROOM: u64 = 128 << 10;

/// What to run.
pub(crate) struct Request {
    /// The file.
    pub(crate) place: Place,
    /// The name it was called by.
    pub(crate) name: Vec<u8>,
    /// argv.
    pub(crate) arguments: StringList,
    /// envp.
    pub(crate) environment: StringList,
    /// What is left of the limit on both.
    pub(crate) budget: Budget,
    /// The name stops working at exec: a script's interpreter could not open it (execveat(2)).
    pub(crate) is_name_lost: bool,
}

/// Why a program does not run.
pub(crate) enum Refusal {
    /// The caller goes on, with this error.
    Error(Errno),
    /// On Linux the old program is gone when this is found out: the process dies of SIGSEGV.
    TooLate,
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Refusal::Error(error)
    }
}

impl From<ElfError> for Refusal {
    fn from(error: ElfError) -> Self {
        if error.is_late() { Refusal::TooLate } else { Refusal::Error(error.into()) }
    }
}

/// A program that is ready to run.
pub(crate) struct Program {
    memory: Arc<Memory>,
    entry: u64,
    stack: u64,
    executable: Executable,
    name: Text<16>,
    cred: Cred,
    gains_privileges: bool,
}

/// A file that may be run.
struct Image {
    place: Place,
    file: Arc<OpenFile>,
    running: InUse,
    size: u64,
}

impl Image {
    fn open(place: Place, cred: &Cred) -> Result<Self> {
        let attributes = place.inode().attributes();
        if attributes.kind != FileKind::Regular || place.mount.flags() & mount::NO_EXEC != 0 {
            return Err(Errno::EACCES);
        }
        place.check(cred, Access::EXECUTE)?;
        let running = InUse::running(&attributes)?;
        let file = OpenFile::for_kernel(&place)?;
        Ok(Image { place, file, running, size: attributes.size })
    }

    /// Reads from `offset` on, as much as there is.
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize> {
        let mut buffer = Buffer::new(to);
        self.file.file().read(&Transfer { position: offset, wait: Wait::UNINTERRUPTIBLE }, &mut buffer)?;
        Ok(buffer.filled())
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(len, 0);
        let count = self.read(offset, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn plan(&self, start: &[u8]) -> core::result::Result<LoadPlan, Refusal> {
        let header = elf::Header::parse(start)?;
        let table = header.table();
        let len = usize::try_from(table.len).map_err(|_| Errno::ENOEXEC)?;
        let bytes = self.bytes(table.offset, len)?;
        Ok(header.plan(&bytes, self.size, ElfLimits::default())?)
    }

    /// The plan of an interpreter, whose own errors have numbers of their own.
    fn plan_interpreter(&self) -> core::result::Result<LoadPlan, Refusal> {
        let start = self.bytes(0, 512)?;
        if start.len() < elf::HEADER_BYTES {
            return Err(Errno::EIO.into());
        }
        self.plan(&start).map_err(|refusal| match refusal {
            Refusal::Error(Errno::ENOEXEC) => Refusal::Error(Errno::ELIBBAD),
            other => other,
        })
    }

    fn pages(&self) -> Result<Arc<dyn PageSource>> {
        self.file.mapped().ok_or(Errno::EACCES)
    }
}

/// Where things go, with or without chance.
struct Addresses {
    is_random: bool,
}

impl Addresses {
    /// A random multiple of a page below `1 << bits` pages.
    fn offset(&self, bits: u32) -> u64 {
        if self.is_random { (hal::cpu::entropy() & ((1 << bits) - 1)) * PAGE_SIZE } else { 0 }
    }

    fn layout(&self, stack_limit: u64) -> (u64, Layout) {
        let stack_top = USER_TOP - self.offset(22);
        let gap = stack_limit.clamp(128 << 20, USER_TOP / 6 * 5) + (1 << 20);
        let mmap_top = align_down(stack_top.saturating_sub(gap + self.offset(28)), PAGE_SIZE);
        (stack_top, Layout { mmap_top, ..Layout::default() })
    }

    /// Two thirds of the user half, where Linux puts programs that go anywhere.
    fn program_base(&self, alignment: u64) -> u64 {
        align_down(0x5555_5555_4000 + self.offset(28), alignment)
    }
}

/// Builds the program `request` asks for.
///
/// # Errors
/// Those of execve(2).
pub(crate) fn prepare(
    walker: &Walker<'_>,
    mut request: Request,
    personality: u32,
    stack_limit: u64,
    may_gain: bool,
) -> core::result::Result<Program, Refusal> {
    if frames::is_low() {
        return Err(Errno::ENOMEM.into());
    }
    let name = file_name(&request.name);
    let mut image = Image::open(request.place.clone(), walker.cred)?;
    let mut start = image.bytes(0, 512)?;
    let mut interpreters = 0;
    let mut script_name = request.name.clone();
    while let Some(script) = shebang(&start)? {
        interpreters += 1;
        if interpreters > MAX_INTERPRETERS {
            return Err(Errno::ELOOP.into());
        }
        if request.is_name_lost {
            return Err(Errno::ENOENT.into());
        }
        let path = script.path.to_vec();
        let mut strings: Vec<&[u8]> = Vec::new();
        strings.try_reserve(3).map_err(|_| Errno::ENOMEM)?;
        strings.push(script.path);
        strings.extend(script.argument);
        strings.push(&script_name);
        request.arguments.replace_first(&strings, &mut request.budget)?;
        image = Image::open(walker.resolve(&path, Last::Follow)?, walker.cred)?;
        start = image.bytes(0, 512)?;
        script_name = path;
    }
    let plan = image.plan(&start)?;
    let addresses = Addresses { is_random: personality & ADDR_NO_RANDOMIZE == 0 };
    let (stack_top, layout) = addresses.layout(stack_limit);
    let memory = Memory::new(layout)?;
    memory.limits.stack.store(stack_limit, Ordering::Relaxed);
    let interpreter = match plan.interpreter {
        Some(range) => {
            let len = usize::try_from(range.len).map_err(|_| Errno::ENOEXEC)?;
            let bytes = image.bytes(range.offset, len)?;
            let path = elf::interpreter_path(&bytes).map_err(Errno::from)?;
            let image = Image::open(walker.resolve(path, Last::Follow)?, walker.cred)?;
            Some((image.plan_interpreter()?, image))
        }
        None => None,
    };
    let base = match plan.kind {
        ImageKind::Fixed => 0,
        ImageKind::Relocatable => addresses.program_base(plan.alignment),
    };
    map_image(&memory, &image, &plan, base)?;
    let heap_start =
        align_up(base + plan.memory_end(), PAGE_SIZE).ok_or(Errno::ENOMEM)? + addresses.offset(13);
    memory.set_layout(|layout| {
        layout.heap_start = heap_start;
        layout.code = (base + plan.start(), base + plan.end());
    });
    let (entry, interpreter_base) = match &interpreter {
        Some((plan, image)) => {
            let base = find_base(&memory, plan)?;
            map_image(&memory, image, plan, base)?;
            (base + plan.entry, base)
        }
        None => (base + plan.entry, 0),
    };
    let vdso = crate::vdso::map(&memory)?;
    let gaining = if may_gain { Gaining::Allowed } else { Gaining::Forbidden };
    let Newcomer { cred, is_secure: gains_privileges } = newcomer(walker.cred, &image.place, gaining)?;
    let auxiliary = auxiliary(&plan, base, interpreter_base, &cred, gains_privileges, vdso);
    let stack = build_stack(&memory, &request, stack_top, &addresses, &auxiliary)?;
    let executable = Executable { place: image.place, _running: image.running };
    Ok(Program { memory, entry, stack, executable, name, cred, gains_privileges })
}

fn file_name(path: &[u8]) -> Text<16> {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    Text::from_bytes(&name[..name.len().min(15)])
}

/// A free place for an interpreter that goes anywhere.
fn find_base(memory: &Memory, plan: &LoadPlan) -> Result<u64> {
    if plan.kind == ImageKind::Fixed {
        return Ok(0);
    }
    let len = plan.end() - align_down(plan.start(), PAGE_SIZE);
    let request = |place| MapRequest {
        place,
        len: len + plan.alignment,
        rights: Rights::NONE,
        allowed: Rights::NONE,
        sharing: Sharing::Private,
        growth: Growth::Fixed,
        source: Source::Anonymous,
        is_populated: false,
        is_locked: false,
    };
    let start = memory.map(request(MapPlace::Hint(0)))?;
    memory.unmap(start, len + plan.alignment)?;
    let base = align_up(start, plan.alignment).ok_or(Errno::ENOMEM)?;
    Ok(base - align_down(plan.start(), PAGE_SIZE))
}

fn map_image(memory: &Memory, image: &Image, plan: &LoadPlan, base: u64) -> Result<()> {
    let pages = image.pages()?;
    for segment in plan.segments() {
        map_segment(memory, &pages, segment, base)?;
    }
    Ok(())
}

fn map_segment(memory: &Memory, pages: &Arc<dyn PageSource>, segment: &Segment, base: u64) -> Result<()> {
    let rights = Rights {
        read: segment.access.is_readable(),
        write: segment.access.is_writable(),
        execute: segment.access.is_executable(),
    };
    let map = |start: u64, end: u64, source: Source| {
        if start == end {
            return Ok(());
        }
        let all = Rights { read: true, write: true, execute: true };
        let request = MapRequest {
            place: MapPlace::Fixed(base + start),
            len: end - start,
            rights,
            allowed: all,
            sharing: Sharing::Private,
            growth: Growth::Fixed,
            source,
            is_populated: false,
            is_locked: false,
        };
        // Where programs may not be at all.
        memory
            .map(request)
            .map(|_| ())
            .map_err(|error| if error == Errno::EPERM { Errno::EINVAL } else { error })
    };
    let file = Source::File { file: pages.clone(), offset: segment.file_offset };
    map(segment.start, segment.file_pages_end, file)?;
    map(segment.file_pages_end, segment.end, Source::Anonymous)?;
    if let Some((start, end)) = segment.zeroed_tail()
        && rights.write
    {
        const ZEROS: [u8; 512] = [0; 512];
        let mut at = start;
        while at < end {
            let len = usize::try_from(end - at).map_or(512, |left| left.min(512));
            if memory.write_remote(base + at, &ZEROS[..len]) != len {
                return Err(Errno::EIO);
            }
            at += len as u64;
        }
    }
    Ok(())
}

fn auxiliary(
    plan: &LoadPlan,
    base: u64,
    interpreter_base: u64,
    cred: &Cred,
    is_secure: bool,
    vdso: u64,
) -> Vec<(u64, u64)> {
    let headers = plan.program_headers.map_or(0, |address| base + address);
    let mut entries = Vec::new();
    if vdso != 0 {
        entries.push((abi::auxv::AT_SYSINFO_EHDR, vdso));
    }
    entries.extend_from_slice(&[
        (AT_HWCAP, hal::cpu::feature_word()),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_CLKTCK, 100),
        (AT_PHDR, headers),
        (AT_PHENT, 56),
        (AT_PHNUM, u64::from(plan.program_header_count)),
        (AT_BASE, interpreter_base),
        (AT_FLAGS, 0),
        (AT_ENTRY, base + plan.entry),
        (AT_UID, u64::from(cred.user.real)),
        (AT_EUID, u64::from(cred.user.effective)),
        (AT_GID, u64::from(cred.group.real)),
        (AT_EGID, u64::from(cred.group.effective)),
        (AT_SECURE, u64::from(is_secure)),
        (AT_HWCAP2, 0),
        (AT_MINSIGSTKSZ, hal::user::signal_stack_size()),
    ]);
    entries
}

fn build_stack(
    memory: &Memory,
    request: &Request,
    top: u64,
    addresses: &Addresses,
    auxiliary: &[(u64, u64)],
) -> Result<u64> {
    let mut random = [0; 16];
    random[..8].copy_from_slice(&hal::cpu::entropy().to_le_bytes());
    random[8..].copy_from_slice(&hal::cpu::entropy().to_le_bytes());
    let contents = Contents {
        arguments: &request.arguments,
        environment: &request.environment,
        file_name: &request.name,
        random,
        auxiliary,
    };
    let gap = if addresses.is_random { hal::cpu::entropy() % 8192 } else { 0 };
    let stack = InitialStack::lay_out(top, gap, contents)?;
    let bottom = align_down(stack.stack_pointer, PAGE_SIZE).saturating_sub(STACK_ROOM);
    memory.map(MapRequest {
        place: MapPlace::Fixed(bottom),
        len: top - bottom,
        rights: Rights::READ_WRITE,
        allowed: Rights { execute: true, ..Rights::READ_WRITE },
        sharing: Sharing::Private,
        growth: Growth::Down,
        source: Source::Anonymous,
        is_populated: false,
        is_locked: false,
    })?;
    for (address, bytes) in stack.pieces() {
        if memory.write_remote(address, bytes) != bytes.len() {
            return Err(Errno::ENOMEM);
        }
    }
    memory.set_layout(|layout| {
        layout.stack = stack.stack_pointer;
        layout.arguments = (stack.arg_start, stack.arg_end());
        layout.environment = (stack.env_start, stack.env_end());
        layout.auxiliary = (stack.stack_pointer, stack.auxiliary().len() as u64);
    });
    Ok(stack.stack_pointer)
}

/// Who the program is: setuid and setgid files give their owner's rights, others capabilities.
fn newcomer(cred: &Cred, place: &Place, gaining: Gaining) -> Result<Newcomer> {
    if place.mount.flags() & mount::NO_SETUID != 0 {
        return cred.after_exec(Gains::default(), gaining);
    }
    let attributes = place.inode().attributes();
    let mode = attributes.permissions;
    let user = (mode & S_ISUID != 0).then_some(attributes.user);
    // Setgid without group execute is something else (mandatory locking).
    let group = (mode & S_ISGID != 0 && mode & 0o010 != 0).then_some(attributes.group);
    let given = place.inode().extended().filter(|extended| extended.gives_capabilities());
    let given = given.map(|extended| extended.get(extended::CAPABILITY)).transpose()?;
    let capabilities = given.map(|bytes| FileCapabilities::parse(&bytes)).transpose()?;
    cred.after_exec(Gains { user, group, capabilities }, gaining)
}

/// Runs `program` in the calling process from here on.
///
/// # Errors
/// The process is ending.
pub(crate) fn change_over(cx: &mut Cx, program: Program) -> Result<()> {
    end_other_tasks(cx)?;
    let Program { memory, entry, stack, executable, name, cred, gains_privileges } = program;
    let old_memory = core::mem::replace(&mut cx.memory, memory.clone());
    let limits = &cx.process().limits;
    memory.limits.total.store(limits.soft(Resource::AddressSpace), Ordering::Relaxed);
    memory.limits.data.store(limits.soft(Resource::Data), Ordering::Relaxed);
    super::futex::leave_all_of_program(cx);
    memory.enter();
    let old = {
        let mut state = cx.task.state.lock();
        state.name = name;
        state.memory.replace(memory)
    };
    drop((old, old_memory));
    if let Some(vfork) = cx.vfork.take() {
        vfork.release();
    }
    let old = cx.process().executable.lock().replace(executable);
    drop(old);
    reset_signals(cx)?;
    if Arc::strong_count(&cx.files) > 2 {
        // A table shared with another process: this program gets its own.
        let files = Arc::new(cx.files.try_clone()?);
        cx.task.state.lock().files = Some(files.clone());
        cx.files = files;
    }
    // Before files close: whoever sees one closed knows that the program runs (setpgid(2)).
    cx.process().has_execed.store(true, Ordering::Release);
    cx.files.close_on_exec();
    cx.process().timers.forget_posix();
    cx.process().barriers.store(0, Ordering::Relaxed);
    if gains_privileges {
        cx.process().dumpable.store(0, Ordering::Relaxed);
        cx.task.state.lock().parent_death = None;
    } else {
        cx.process().dumpable.store(1, Ordering::Relaxed);
    }
    cx.set_cred(cred);
    cx.alternate = hal::user::AlternateStack::default();
    (cx.clear_tid, cx.robust_list, cx.restart, cx.saved_mask) = (0, 0, None, None);
    hal::context::reset_fpu()?;
    cx.context.set_fs_base(0);
    cx.context.set_gs_base(0);
    cx.context = UserContext::new(VirtAddr::new(entry), VirtAddr::new(stack));
    cx.keeps_registers = true;
    Ok(())
}

fn reset_signals(cx: &Cx) -> Result<()> {
    let actions = cx.task.state.lock().actions.clone();
    let mut fresh = actions.lock().clone();
    fresh.reset_for_exec();
    let fresh = Arc::new(hal::spin::Lock::new(fresh));
    let old = core::mem::replace(&mut cx.task.state.lock().actions, fresh);
    drop(old);
    Ok(())
}

/// Ends all other tasks of the process, and takes the process's number if another task had it.
fn end_other_tasks(cx: &Cx) -> Result<()> {
    let process = cx.process();
    {
        let shared = process.shared.lock();
        if shared.ending.is_some() || cx.task.must_end.load(Ordering::Relaxed) {
            return Err(Errno::ERESTARTNOINTR);
        }
        for task in shared.tasks.iter().filter(|task| !Arc::ptr_eq(task, &cx.task)) {
            task.must_end.store(true, Ordering::Release);
            task.interrupt();
        }
    }
    process.resumed.wake_all();
    let is_alone = || {
        let shared = process.shared.lock();
        if shared.ending.is_some() {
            return Err(Errno::ERESTARTNOINTR);
        }
        if shared.tasks.len() == 1 { Ok(()) } else { Err(Errno::EAGAIN) }
    };
    process.resumed.block_until(Wait::UNINTERRUPTIBLE, is_alone)?;
    if cx.task.tid() != process.pid {
        let old = tree::with(|tree| {
            let leader = tree.remove_task(process.pid);
            let own = tree.remove_task(cx.task.tid());
            cx.task.become_leader();
            tree.add_task(cx.task.clone());
            (leader, own)
        });
        drop(old);
        process.shared.lock().leader_status = None;
    }
    Ok(())
}
