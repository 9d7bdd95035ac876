//! The two records of the format that a loader reads, decoded field by field.

use super::ElfError;

/// Bytes of the file header.
pub const HEADER_BYTES: usize = 64;

/// Program headers a file may have. Linux stops at a page of them, 73.
pub const MAX_PROGRAM_HEADERS: u16 = 64;

/// Bytes of a program header.
pub(super) const PROGRAM_HEADER_BYTES: u16 = 56;

const ELF_MAGIC: &[u8] = b"\x7fELF";
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;

pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_INTERP: u32 = 3;
pub(super) const PT_GNU_STACK: u32 = 0x6474_e551;

/// A range of bytes of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileRange {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes in the range.
    pub len: u64,
}

impl FileRange {
    /// The first byte past the range; `None` on overflow.
    pub const fn end(self) -> Option<u64> {
        self.offset.checked_add(self.len)
    }
}

/// The file header: only what has not been checked away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub(super) is_position_independent: bool,
    pub(super) entry: u64,
    pub(super) table_offset: u64,
    pub(super) count: u16,
}

impl Header {
    /// Decodes and checks the file header.
    ///
    /// # Errors
    /// `NotElf`, `WrongMachine`, `NotAProgram`, `BadHeaderTable`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(ElfError::NotElf)?;
        if !bytes.starts_with(ELF_MAGIC) {
            return Err(ElfError::NotElf);
        }
        // Class, byte order and version are not looked at: neither does Linux.
        if half(bytes, 18) != EM_X86_64 {
            return Err(ElfError::WrongMachine);
        }
        let is_position_independent = match half(bytes, 16) {
            ET_EXEC => false,
            ET_DYN => true,
            _ => return Err(ElfError::NotAProgram),
        };
        let (entry_bytes, count) = (half(bytes, 54), half(bytes, 56));
        if entry_bytes != PROGRAM_HEADER_BYTES || !(1..=MAX_PROGRAM_HEADERS).contains(&count) {
            return Err(ElfError::BadHeaderTable);
        }
        let (entry, table_offset) = (long(bytes, 24), long(bytes, 32));
        Ok(Self { is_position_independent, entry, table_offset, count })
    }

    /// Where the table of program headers lies in the file.
    pub const fn table(&self) -> FileRange {
        let len = self.count as u64 * PROGRAM_HEADER_BYTES as u64;
        FileRange { offset: self.table_offset, len }
    }
}

/// One program header, undecided.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProgramHeader {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_len: u64,
    pub(super) memory_len: u64,
    pub(super) align: u64,
}

impl ProgramHeader {
    /// Decodes all headers of a table.
    pub(super) fn parse_all(table: &[u8]) -> impl Iterator<Item = Self> + Clone + '_ {
        let (records, _) = table.as_chunks::<{ PROGRAM_HEADER_BYTES as usize }>();
        records.iter().map(|record| Self {
            kind: word(record, 0),
            flags: word(record, 4),
            offset: long(record, 8),
            address: long(record, 16),
            file_len: long(record, 32),
            memory_len: long(record, 40),
            align: long(record, 48),
        })
    }

    /// The bytes in the file.
    pub(super) const fn file_range(&self) -> FileRange {
        FileRange { offset: self.offset, len: self.file_len }
    }
}

/// Little-endian numbers at fixed offsets; zero outside of the record, which constant offsets never are.
fn half(record: &[u8], offset: usize) -> u16 {
    field(record, offset).map_or(0, u16::from_le_bytes)
}

fn word(record: &[u8], offset: usize) -> u32 {
    field(record, offset).map_or(0, u32::from_le_bytes)
}

fn long(record: &[u8], offset: usize) -> u64 {
    field(record, offset).map_or(0, u64::from_le_bytes)
}

fn field<const N: usize>(record: &[u8], offset: usize) -> Option<[u8; N]> {
    record.get(offset..)?.first_chunk().copied()
}
