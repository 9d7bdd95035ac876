//! Writing a small ELF64 executable: a header, program headers, segments, and nothing else.

use goblin::elf::program_header::ProgramHeader;

/// Memory and file pages have this size.
pub(crate) const PAGE: u64 = 4096;

const HEADER_LEN: u16 = 64;
const PROGRAM_HEADER_LEN: u16 = 56;
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;

/// A segment and the bytes it has in the file. A note lies inside a loaded segment and has none of its own.
pub(crate) struct Segment {
    pub(crate) header: ProgramHeader,
    pub(crate) bytes: Vec<u8>,
}

/// The file: segments keep their order, each at the first offset that is congruent to its address.
pub(crate) fn write(entry: u64, mut loads: Vec<Segment>, notes: &[ProgramHeader]) -> Vec<u8> {
    let count = loads.len() + notes.len();
    let mut file = vec![0; usize::from(HEADER_LEN) + count * usize::from(PROGRAM_HEADER_LEN)];
    for load in &mut loads {
        let offset = congruent(file.len() as u64, load.header.p_vaddr);
        file.resize(to_usize(offset), 0);
        file.extend_from_slice(&load.bytes);
        load.header.p_offset = offset;
        load.header.p_align = PAGE;
    }
    let mut headers = program_headers(&loads, notes);
    headers.splice(0..0, file_header(entry, count));
    file[..headers.len()].copy_from_slice(&headers);
    file
}

/// The first offset from `offset` on that is congruent to `address` modulo a page.
fn congruent(offset: u64, address: u64) -> u64 {
    offset + (address.wrapping_sub(offset)) % PAGE
}

fn file_header(entry: u64, count: usize) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(ET_EXEC.to_le_bytes());
    bytes.extend(EM_X86_64.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(entry.to_le_bytes());
    bytes.extend(u64::from(HEADER_LEN).to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    for half in [HEADER_LEN, PROGRAM_HEADER_LEN, count, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

fn program_headers(loads: &[Segment], notes: &[ProgramHeader]) -> Vec<u8> {
    let notes = notes.iter().map(|note| {
        let offset = loads.iter().map(|load| &load.header).find(|load| covers(load, note));
        let p_offset = offset.map_or(0, |load| load.p_offset + (note.p_vaddr - load.p_vaddr));
        ProgramHeader { p_offset, ..note.clone() }
    });
    let all = loads.iter().map(|load| load.header.clone()).chain(notes);
    all.flat_map(|header| program_header(&header)).collect()
}

/// Whether the file bytes of `load` include those of `part`.
pub(crate) fn covers(load: &ProgramHeader, part: &ProgramHeader) -> bool {
    part.p_vaddr >= load.p_vaddr && part.p_vaddr + part.p_filesz <= load.p_vaddr + load.p_filesz
}

fn program_header(header: &ProgramHeader) -> Vec<u8> {
    let mut bytes = [header.p_type.to_le_bytes(), header.p_flags.to_le_bytes()].concat();
    let words =
        [header.p_offset, header.p_vaddr, header.p_paddr, header.p_filesz, header.p_memsz, header.p_align];
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

/// File sizes and offsets, which fit the memory of this machine.
pub(crate) fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
