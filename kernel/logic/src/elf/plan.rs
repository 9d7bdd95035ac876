//! From program headers to what is to be mapped.

use super::ElfError;
use super::header::{FileRange, Header, PT_GNU_STACK, PT_INTERP, PT_LOAD, ProgramHeader};
use crate::addr::{PAGE_SIZE, align_down, align_up};

/// Where programs may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The lowest address a program may map (`vm.mmap_min_addr`).
    pub lowest: u64,
    /// The first address past user space.
    pub end: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { lowest: 0x1_0000, end: 0x7fff_ffff_f000 }
    }
}

/// Whether the addresses of the plan are final.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageKind {
    /// ET_EXEC: addresses are as they stand.
    Fixed,
    /// ET_DYN: all addresses move by one distance, a multiple of [`LoadPlan::alignment`].
    Relocatable,
}

/// What PT_GNU_STACK says about the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StackFlag {
    /// There is no such header; on x86-64 Linux treats that as not executable.
    Unsaid,
    /// Not executable.
    NonExecutable,
    /// Executable.
    Executable,
}

/// How a segment may be used: the bits of `p_flags`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Access(u32);

impl Access {
    /// Whether the program may read.
    pub const fn is_readable(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether the program may write.
    pub const fn is_writable(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether the program may run it.
    pub const fn is_executable(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Segments an image may load: linkers make four to six. A plan lives on a kernel stack, which is small.
pub const MAX_SEGMENTS: usize = 12;

/// A segment to map. Addresses and the file offset are multiples of the page size unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The first page.
    pub start: u64,
    /// The first address past the last page.
    pub end: u64,
    /// Where the pages from the file end: from `start` to here map the file, from here to `end` zeroed
    /// memory.
    pub file_pages_end: u64,
    /// What in the file belongs at `start`.
    pub file_offset: u64,
    /// Where the bytes from the file end, exactly. When `memory_end` is above, zeros follow up to the end of
    /// the page.
    pub file_end: u64,
    /// Where the segment ends, exactly.
    pub memory_end: u64,
    /// How it may be used.
    pub access: Access,
}

impl Segment {
    /// The part of the last page from the file that must read as zeros: from where up to where. `None` when
    /// there is nothing to zero.
    pub const fn zeroed_tail(&self) -> Option<(u64, u64)> {
        if self.memory_end <= self.file_end || self.file_end >= self.file_pages_end {
            return None;
        }
        Some((self.file_end, self.file_pages_end))
    }
}

/// What to map, and what the new program is told.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    segments: [Option<Segment>; MAX_SEGMENTS],
    /// Whether addresses may move.
    pub kind: ImageKind,
    /// Where the program starts.
    pub entry: u64,
    /// Where the path of the interpreter stands in the file.
    pub interpreter: Option<FileRange>,
    /// What the file says about the stack.
    pub stack: StackFlag,
    /// Where the program headers are in memory, for AT_PHDR; `None` when no segment holds them.
    pub program_headers: Option<u64>,
    /// How many there are, for AT_PHNUM.
    pub program_header_count: u16,
    /// What a relocatable image's distance must be a multiple of; a power of two of at least a page.
    pub alignment: u64,
}

impl LoadPlan {
    /// The segments in ascending order; there is at least one. Neighbours may share a page, and then the
    /// later one's mapping replaces the earlier one's, as mapping them in order with MAP_FIXED does.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.segments.iter().flatten()
    }

    /// The first page of the image.
    pub fn start(&self) -> u64 {
        self.segments().next().map_or(0, |segment| segment.start)
    }

    /// The first address past the image's last page.
    pub fn end(&self) -> u64 {
        self.segments().next_back().map_or(0, |segment| segment.end)
    }

    /// Where the image ends, exactly: the heap of brk(2) starts above.
    pub fn memory_end(&self) -> u64 {
        self.segments().next_back().map_or(0, |segment| segment.memory_end)
    }
}

impl Header {
    /// Makes the plan from the bytes of the table of program headers.
    ///
    /// # Errors
    /// See [`ElfError`].
    pub fn plan(&self, table: &[u8], file_len: u64, limits: Limits) -> Result<LoadPlan, ElfError> {
        let wanted = usize::try_from(self.table().len).map_err(|_| ElfError::BadHeaderTable)?;
        let table = table.get(..wanted).ok_or(ElfError::TableNotGiven)?;
        let headers = ProgramHeader::parse_all(table);
        let loads = headers.clone().filter(|header| header.kind == PT_LOAD && header.memory_len != 0);
        let kind = if self.is_position_independent { ImageKind::Relocatable } else { ImageKind::Fixed };
        // First what Linux finds out first: an interpreter that is none is an error of the caller's.
        let interpreter = interpreter(headers.clone(), file_len)?;
        let plan = LoadPlan {
            segments: segments(loads.clone(), file_len, kind.limits(limits))?,
            kind,
            entry: self.entry,
            interpreter,
            stack: stack_flag(headers),
            program_headers: loads.clone().find_map(|load| self.address_of_table(&load)),
            program_header_count: self.count,
            alignment: alignment(loads),
        };
        let holds_entry = |segment: &Segment| segment.start <= self.entry && self.entry < segment.memory_end;
        if !plan.segments().any(holds_entry) {
            return Err(ElfError::BadEntry);
        }
        Ok(plan)
    }

    /// Where the table is in memory when this segment holds its first byte. Linux derives AT_PHDR the same
    /// way since 5.18; PT_PHDR says it too, but not every linker writes one.
    fn address_of_table(&self, load: &ProgramHeader) -> Option<u64> {
        let into_segment = self.table_offset.checked_sub(load.offset)?;
        (into_segment < load.file_len).then(|| load.address.checked_add(into_segment))?
    }
}

impl ImageKind {
    /// A relocatable image is linked at zero; only its length is limited.
    const fn limits(self, limits: Limits) -> Limits {
        match self {
            Self::Fixed => limits,
            Self::Relocatable => Limits { lowest: 0, end: limits.end.saturating_sub(limits.lowest) },
        }
    }
}

/// Reads the path of the interpreter out of the bytes at [`LoadPlan::interpreter`].
///
/// # Errors
/// `BadInterpreter` when it does not end in NUL or is empty.
pub fn interpreter_path(bytes: &[u8]) -> Result<&[u8], ElfError> {
    if bytes.last() != Some(&0) {
        return Err(ElfError::BadInterpreter);
    }
    let path = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    if path.is_empty() { Err(ElfError::BadInterpreter) } else { Ok(path) }
}

/// All segments to load, checked one by one and against each other.
fn segments(
    loads: impl Iterator<Item = ProgramHeader>,
    file_len: u64,
    limits: Limits,
) -> Result<[Option<Segment>; MAX_SEGMENTS], ElfError> {
    let mut segments = [None; MAX_SEGMENTS];
    let mut free_from = 0;
    for (count, load) in loads.enumerate() {
        let slot = segments.get_mut(count).ok_or(ElfError::TooManySegments)?;
        let segment = segment(&load, file_len)?;
        if load.address < free_from {
            return Err(ElfError::Disordered);
        }
        if segment.start < limits.lowest || segment.end > limits.end {
            return Err(ElfError::BadAddress);
        }
        free_from = segment.memory_end;
        *slot = Some(segment);
    }
    if segments[0].is_none() { Err(ElfError::NothingToLoad) } else { Ok(segments) }
}

/// One segment, extended to whole pages.
fn segment(load: &ProgramHeader, file_len: u64) -> Result<Segment, ElfError> {
    if load.file_len > load.memory_len {
        return Err(ElfError::BadSegment);
    }
    if load.file_range().end().ok_or(ElfError::BadSegment)? > file_len {
        return Err(ElfError::FileTooShort);
    }
    let into_page = load.address % PAGE_SIZE;
    if load.offset % PAGE_SIZE != into_page && load.file_len != 0 {
        return Err(ElfError::NotCongruent);
    }
    let start = align_down(load.address, PAGE_SIZE);
    let memory_end = load.address.checked_add(load.memory_len).ok_or(ElfError::BadSegment)?;
    let end = align_up(memory_end, PAGE_SIZE).ok_or(ElfError::BadSegment)?;
    // Below `memory_end`, so neither the sum nor the rounding can overflow any more.
    let file_end = load.address + load.file_len;
    let has_file_pages = load.file_len != 0;
    let file_pages_end = if has_file_pages { align_up(file_end, PAGE_SIZE).unwrap_or(end) } else { start };
    let file_offset = if has_file_pages { align_down(load.offset, PAGE_SIZE) } else { 0 };
    let access = Access(load.flags & 7);
    Ok(Segment { start, end, file_pages_end, file_offset, file_end, memory_end, access })
}

/// The first interpreter; Linux ignores any further ones. Its path has at least a byte and a NUL.
fn interpreter(
    mut headers: impl Iterator<Item = ProgramHeader>,
    file_len: u64,
) -> Result<Option<FileRange>, ElfError> {
    const PATH_MAX: u64 = 4096;
    let Some(header) = headers.find(|header| header.kind == PT_INTERP) else {
        return Ok(None);
    };
    if !(2..=PATH_MAX).contains(&header.file_len) {
        return Err(ElfError::BadInterpreter);
    }
    let range = header.file_range();
    match range.end() {
        Some(end) if end <= file_len => Ok(Some(range)),
        _ => Err(ElfError::InterpreterPastEnd),
    }
}

/// The last such header counts, as on Linux.
fn stack_flag(headers: impl Iterator<Item = ProgramHeader>) -> StackFlag {
    match headers.filter(|header| header.kind == PT_GNU_STACK).last() {
        None => StackFlag::Unsaid,
        Some(header) if Access(header.flags).is_executable() => StackFlag::Executable,
        Some(_) => StackFlag::NonExecutable,
    }
}

/// The largest alignment any segment asks for. Linux ignores those that are no power of two; we ignore also
/// those above 1 GiB, the largest page there is, for they would leave ASLR no choice of address.
fn alignment(loads: impl Iterator<Item = ProgramHeader>) -> u64 {
    let wanted = loads.map(|load| load.align);
    wanted.filter(|align| align.is_power_of_two() && *align <= 1 << 30).fold(PAGE_SIZE, u64::max)
}
