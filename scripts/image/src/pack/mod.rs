//! `image pack`: a linked kernel with debug information in, a stripped image with a symbol table out.
//!
//! The output holds the loaded segments of the input, their notes, and one more read-only segment with
//! the table of `logic::symbols`, on the page after the highest address. The kernel learns the table's
//! length from the variable `__symbols_len`, which this program fills in.

mod names;
mod symbols;

use std::path::Path;

use goblin::elf::Elf;
use goblin::elf::program_header::{PF_R, PT_LOAD, PT_NOTE, ProgramHeader};

use crate::Result;
use crate::elf::{self, PAGE, Segment, to_usize};

const LENGTH_SYMBOL: &str = "__symbols_len";
const MAX_PERCENT: usize = 15;

/// The finished image and what it holds.
pub(crate) struct Packed {
    pub(crate) image: Vec<u8>,
    symbols_len: usize,
}

impl Packed {
    pub(crate) fn report(&self) -> String {
        let permille = self.symbols_len * 1000 / self.image.len();
        format!(
            "image {} bytes, symbols {} bytes, {}.{} %",
            self.image.len(),
            self.symbols_len,
            permille / 10,
            permille % 10
        )
    }
}

/// Packs the ELF file `input`, whose sources are below `root`.
pub(crate) fn pack(input: &[u8], root: &Path) -> Result<Packed> {
    let elf = Elf::parse(input).map_err(|error| format!("The input is not an ELF file: {error}."))?;
    if !elf.is_64 || !elf.little_endian {
        return Err("The input is not a little-endian ELF64 file.".into());
    }
    let mut loads = loaded_segments(&elf, input)?;
    let base = loads.iter().map(|load| load.header.p_vaddr).min().unwrap_or(0);
    let table = symbols::table(&elf, input, base, root)?;
    set_length(&elf, &mut loads, table.len() as u64)?;
    let symbols_len = table.len();
    loads.push(symbol_segment(&loads, table)?);
    let image = elf::write(elf.entry, loads, &notes(&elf)?);
    if symbols_len * 100 > image.len() * MAX_PERCENT {
        return Err(format!(
            "The symbols take {symbols_len} of the image's {} bytes, which is more than {MAX_PERCENT} %.",
            image.len()
        ));
    }
    Ok(Packed { image, symbols_len })
}

fn loaded_segments(elf: &Elf, input: &[u8]) -> Result<Vec<Segment>> {
    let loads = elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD);
    let segments: Vec<Segment> = loads
        .map(|header| {
            let bytes =
                input.get(header.file_range()).ok_or("A segment lies outside the input file.")?.to_vec();
            Ok(Segment { header: header.clone(), bytes })
        })
        .collect::<Result<_>>()?;
    if segments.is_empty() {
        return Err("The input has no loaded segments.".into());
    }
    Ok(segments)
}

fn notes(elf: &Elf) -> Result<Vec<ProgramHeader>> {
    let notes: Vec<_> =
        elf.program_headers.iter().filter(|header| header.p_type == PT_NOTE).cloned().collect();
    let is_loaded = |note: &ProgramHeader| {
        elf.program_headers.iter().any(|load| load.p_type == PT_LOAD && elf::covers(load, note))
    };
    match notes.iter().all(is_loaded) {
        true => Ok(notes),
        false => Err("A note lies outside the loaded segments.".into()),
    }
}

/// Writes the length of the table into the kernel's variable.
fn set_length(elf: &Elf, loads: &mut [Segment], len: u64) -> Result<()> {
    let symbol = elf
        .syms
        .iter()
        .find(|symbol| elf.strtab.get_at(symbol.st_name) == Some(LENGTH_SYMBOL))
        .ok_or(format!("The input has no symbol {LENGTH_SYMBOL}."))?;
    let variable = loads.iter_mut().find_map(|load| {
        let start = to_usize(symbol.st_value.checked_sub(load.header.p_vaddr)?);
        load.bytes.get_mut(start..start.checked_add(8)?)
    });
    let variable = variable.ok_or(format!("{LENGTH_SYMBOL} is not in initialised data."))?;
    if variable.iter().any(|&byte| byte != 0) {
        return Err(format!("{LENGTH_SYMBOL} is not zero: is the input packed already?"));
    }
    variable.copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// The segment of the table: on the page after the highest address, in memory as in the last segment.
fn symbol_segment(loads: &[Segment], table: Vec<u8>) -> Result<Segment> {
    let headers = loads.iter().map(|load| &load.header);
    let last = headers.max_by_key(|header| header.p_vaddr).ok_or("The input has no loaded segments.")?;
    let end =
        last.p_vaddr.checked_add(last.p_memsz).ok_or("The last segment ends past the address space.")?;
    let p_vaddr =
        end.checked_next_multiple_of(PAGE).ok_or("The image ends at the end of the address space.")?;
    let len = table.len() as u64;
    let header = ProgramHeader {
        p_type: PT_LOAD,
        p_flags: PF_R,
        p_offset: 0,
        p_vaddr,
        p_paddr: p_vaddr.wrapping_sub(last.p_vaddr).wrapping_add(last.p_paddr),
        p_filesz: len,
        p_memsz: len,
        p_align: PAGE,
    };
    Ok(Segment { header, bytes: table })
}
