//! Checks the kernel's ELF file and loads its segments.
//!
//! System V ABI, chapters 4 and 5. A kernel for the Limine protocol is a static 64-bit x86-64 executable linked
//! at or above [`HIGHER_HALF`]; its image is one contiguous stretch of physical memory.

use alloc::vec::Vec;
use core::fmt;

use crate::bytes;
use crate::memory_map::PAGE_SIZE;
use crate::paging::{Access, LARGE_PAGE_SIZE};

/// The lowest address a kernel may be linked at.
pub const HIGHER_HALF: u64 = 0xffff_ffff_8000_0000;

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const TYPE_EXECUTABLE: u16 = 2;
/// Position-independent. Loaded where it is linked, so no relocation changes a word.
const TYPE_DYNAMIC: u16 = 3;
const MACHINE_X86_64: u16 = 62;
const SEGMENT_LOAD: u32 = 1;
const FLAG_EXECUTE: u32 = 1;
const FLAG_WRITE: u32 = 2;

/// Why a file cannot be booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// No ELF magic.
    NotElf,
    /// The file ends before its own headers or segments do.
    Truncated,
    /// Another class, byte order, machine or type.
    NotX86Executable,
    /// Nothing to load.
    NoSegments,
    /// A segment below the higher half.
    TooLow(u64),
    /// A segment that does not start on a page, is too big or overlaps the one before.
    BadSegment(u64),
    /// A segment that is both writable and executable.
    WritableCode(u64),
    /// The entry point is in no executable segment.
    BadEntry(u64),
}

impl fmt::Display for ElfError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => write!(out, "it is not an ELF file"),
            Self::Truncated => write!(out, "the file is cut short"),
            Self::NotX86Executable => write!(out, "it is not a static 64-bit x86-64 executable"),
            Self::NoSegments => write!(out, "it has nothing to load"),
            Self::TooLow(at) => write!(out, "its segment at {at:#x} is not in the top 2 GiB of addresses"),
            Self::BadSegment(at) => {
                write!(out, "its segment at {at:#x} is unaligned, too big or overlaps another")
            }
            Self::WritableCode(at) => write!(out, "its segment at {at:#x} is both writable and executable"),
            Self::BadEntry(at) => write!(out, "its entry point {at:#x} is in no executable segment"),
        }
    }
}

/// A part of the file that becomes memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First virtual address.
    pub address: u64,
    /// Bytes of memory; those past the file's are zero.
    pub memory_size: u64,
    /// What may be done there.
    pub access: Access,
    file_offset: usize,
    file_size: usize,
}

impl Segment {
    const fn end(&self) -> u64 {
        self.address + self.memory_size
    }

    /// Bytes of memory, in whole pages.
    pub const fn mapped_size(&self) -> u64 {
        (self.memory_size + PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
    }
}

/// A kernel that passed all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// First instruction.
    pub entry: u64,
    /// What to load, in rising order of address.
    pub segments: Vec<Segment>,
}

impl Plan {
    /// The lowest address of the image.
    pub fn base(&self) -> u64 {
        self.segments.first().map_or(HIGHER_HALF, |segment| segment.address)
    }

    /// Bytes from the lowest to the highest address, in whole pages.
    pub fn image_size(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.address - self.base() + last.mapped_size())
    }

    /// How far the image must start behind a 2 MiB boundary of physical memory, so that large pages can map it.
    pub fn large_page_offset(&self) -> u64 {
        self.base() % LARGE_PAGE_SIZE
    }

    /// Copies the segments of `file` into `image`, zeroed memory of [`Self::image_size`] bytes.
    ///
    /// # Errors
    /// The file or the image is shorter than those the plan was made for.
    pub fn load(&self, file: &[u8], image: &mut [u8]) -> Result<(), ElfError> {
        for segment in &self.segments {
            let start = usize::try_from(segment.address - self.base()).map_err(|_| ElfError::Truncated)?;
            let source = file
                .get(segment.file_offset..segment.file_offset + segment.file_size)
                .ok_or(ElfError::Truncated)?;
            image
                .get_mut(start..start + segment.file_size)
                .ok_or(ElfError::Truncated)?
                .copy_from_slice(source);
        }
        Ok(())
    }
}

/// Checks a kernel file and says how to load it.
///
/// # Errors
/// The first reason why it cannot be booted.
pub fn plan(file: &[u8]) -> Result<Plan, ElfError> {
    check_header(file)?;
    let entry = bytes::u64_at(file, 24).ok_or(ElfError::Truncated)?;
    let table = bytes::u64_at(file, 32).and_then(|at| usize::try_from(at).ok()).ok_or(ElfError::Truncated)?;
    let count = bytes::u16_at(file, 56).ok_or(ElfError::Truncated)?;
    let mut segments: Vec<Segment> = Vec::new();
    for index in 0..usize::from(count) {
        let at = index.checked_mul(PROGRAM_HEADER_SIZE).and_then(|offset| table.checked_add(offset));
        let header: [u8; PROGRAM_HEADER_SIZE] =
            at.and_then(|at| bytes::array_at(file, at)).ok_or(ElfError::Truncated)?;
        let Some(segment) = segment(&header, file.len())? else { continue };
        if segments.last().is_some_and(|last| segment.address < last.address + last.mapped_size()) {
            return Err(ElfError::BadSegment(segment.address));
        }
        segments.push(segment);
    }
    if segments.is_empty() {
        return Err(ElfError::NoSegments);
    }
    let is_code = |segment: &Segment| {
        segment.access == Access::ReadExecute && (segment.address..segment.end()).contains(&entry)
    };
    if !segments.iter().any(is_code) {
        return Err(ElfError::BadEntry(entry));
    }
    Ok(Plan { entry, segments })
}

fn check_header(file: &[u8]) -> Result<(), ElfError> {
    if !file.starts_with(b"\x7fELF") {
        return Err(ElfError::NotElf);
    }
    let header: [u8; HEADER_SIZE] = bytes::array_at(file, 0).ok_or(ElfError::Truncated)?;
    let is_64_bit_little_endian = header[4..6] == [2, 1];
    let kind = bytes::u16_at(&header, 16);
    let machine = bytes::u16_at(&header, 18);
    let entry_size = bytes::u16_at(&header, 54).map(usize::from);
    if !is_64_bit_little_endian
        || !matches!(kind, Some(TYPE_EXECUTABLE | TYPE_DYNAMIC))
        || machine != Some(MACHINE_X86_64)
        || entry_size != Some(PROGRAM_HEADER_SIZE)
    {
        return Err(ElfError::NotX86Executable);
    }
    Ok(())
}

/// Checks one program header; `None` for one that is not loaded.
fn segment(header: &[u8; PROGRAM_HEADER_SIZE], file_len: usize) -> Result<Option<Segment>, ElfError> {
    let word = |offset| bytes::u64_at(header, offset).ok_or(ElfError::Truncated);
    let half = |offset| bytes::u32_at(header, offset).ok_or(ElfError::Truncated);
    let (kind, flags) = (half(0)?, half(4)?);
    let (offset, address, file_size, memory_size) = (word(8)?, word(16)?, word(32)?, word(40)?);
    if kind != SEGMENT_LOAD || memory_size == 0 {
        return Ok(None);
    }
    if address < HIGHER_HALF {
        return Err(ElfError::TooLow(address));
    }
    let fits = address.checked_add(memory_size).is_some_and(|end| end <= u64::MAX - PAGE_SIZE);
    if !address.is_multiple_of(PAGE_SIZE) || !fits || file_size > memory_size {
        return Err(ElfError::BadSegment(address));
    }
    let access = match (flags & FLAG_WRITE != 0, flags & FLAG_EXECUTE != 0) {
        (true, true) => return Err(ElfError::WritableCode(address)),
        (true, false) => Access::ReadWrite,
        (false, true) => Access::ReadExecute,
        (false, false) => Access::ReadOnly,
    };
    let file_end = offset.checked_add(file_size).and_then(|end| usize::try_from(end).ok());
    let (Ok(file_offset), Ok(file_size)) = (usize::try_from(offset), usize::try_from(file_size)) else {
        return Err(ElfError::Truncated);
    };
    if file_end.is_none_or(|end| end > file_len) {
        return Err(ElfError::Truncated);
    }
    Ok(Some(Segment { address, memory_size, access, file_offset, file_size }))
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
