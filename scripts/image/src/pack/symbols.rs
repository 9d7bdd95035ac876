//! Collecting functions and lines from the symbol table and the DWARF of a linked kernel.

use std::path::Path;

use addr2line::Context;
use addr2line::gimli::{self, Dwarf, EndianSlice, LittleEndian, SectionId};
use goblin::elf::Elf;
use goblin::elf::section_header::SHF_EXECINSTR;
use goblin::elf::sym::{STT_FUNC, STT_NOTYPE, Sym};
use logic::symbols::Writer;

use super::names::{self, Origin};
use crate::Result;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The table of everything executable, by distance from `base`.
pub(super) fn table(elf: &Elf, input: &[u8], base: u64, root: &Path) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    add_functions(&mut writer, elf, base)?;
    add_lines(&mut writer, elf, input, base, root)?;
    Ok(writer.finish())
}

/// Functions first: where a function starts, a label of the linker script is no better name.
fn add_functions(writer: &mut Writer, elf: &Elf, base: u64) -> Result<()> {
    for kind in [STT_FUNC, STT_NOTYPE] {
        for symbol in elf.syms.iter().filter(|symbol| symbol.st_type() == kind && is_code(elf, symbol)) {
            let name = elf.strtab.get_at(symbol.st_name).unwrap_or_default();
            if kind == STT_NOTYPE && (name.is_empty() || name.starts_with("__") || name.starts_with('.')) {
                continue;
            }
            let size = u32::try_from(symbol.st_size).map_err(|_| format!("{name} is larger than 4 GiB."))?;
            writer.add_function(distance(symbol.st_value, base)?, size, &names::function(name));
        }
    }
    Ok(())
}

fn is_code(elf: &Elf, symbol: &Sym) -> bool {
    elf.section_headers
        .get(symbol.st_shndx)
        .is_some_and(|section| section.sh_flags & u64::from(SHF_EXECINSTR) != 0)
}

/// Lines second. Code without a line (the compiler made it up) counts to the line before it.
fn add_lines(writer: &mut Writer, elf: &Elf, input: &[u8], base: u64, root: &Path) -> Result<()> {
    let failed = |error| format!("The debug information cannot be read: {error}.");
    let section = |id: SectionId| EndianSlice::new(section_bytes(elf, input, id.name()), LittleEndian);
    let dwarf = Dwarf::load(|id| Ok::<_, gimli::Error>(section(id))).map_err(failed)?;
    let context = Context::from_dwarf(dwarf).map_err(failed)?;
    let mut rows: Vec<(u64, u64)> = context
        .find_location_range(base, u64::MAX)
        .map_err(failed)?
        .map(|(start, size, _)| (start, start + size))
        .collect();
    rows.sort_unstable();
    if rows.is_empty() {
        return Err("The input has no line information: build it with debug = \"line-tables-only\".".into());
    }
    let mut stretches: Vec<Stretch> = Vec::new();
    for (start, end) in rows {
        let place = place(&context, start, root).map_err(failed)?;
        match stretches.last_mut() {
            Some(last) if last.end == start && (last.place == place || place.is_none()) => last.end = end,
            _ => stretches.push(Stretch { start, end, place }),
        }
    }
    leave_out_short(&mut stretches);
    let starts = stretches.iter().skip(1).map(|next| next.start).chain([u64::MAX]);
    for (stretch, next) in stretches.iter().zip(starts) {
        if let Some((file, line)) = &stretch.place {
            writer.add_line(distance(stretch.start, base)?, file, *line);
        }
        if next > stretch.end {
            writer.end_lines(distance(stretch.end, base)?);
        }
    }
    Ok(())
}

/// Code that came from one line.
struct Stretch {
    start: u64,
    end: u64,
    place: Option<(String, u32)>,
}

/// Bytes of a direct call, the shortest code whose line a backtrace is likely to ask for.
const CALL_LEN: u64 = 5;

/// Counts code too short to hold a call to the line before it: optimised code is full of such splinters, and their
/// lines were a sixth of the table.
fn leave_out_short(stretches: &mut Vec<Stretch>) {
    stretches.dedup_by(|next, last| {
        let is_splinter = last.end == next.start && last.place.is_some() && next.end - next.start < CALL_LEN;
        if is_splinter || (last.end == next.start && last.place == next.place) {
            last.end = next.end;
            return true;
        }
        false
    });
}

/// The line a person looks for: of the frames inlined at `address` the innermost one of our own source.
///
/// The innermost of all is mostly a line of `core` that says nothing (`Option::map`); naming each of
/// those also makes the table more than twice as large. Code without a line of ours gets the outermost.
fn place(context: &Context<Slice<'_>>, address: u64, root: &Path) -> gimli::Result<Option<(String, u32)>> {
    let mut frames = context.find_frames(address).skip_all_loads()?;
    let mut outermost = None;
    while let Some(frame) = frames.next()? {
        let Some(location) = frame.location else { continue };
        let (Some(path), Some(line)) = (location.file, location.line) else { continue };
        let (file, origin) = names::file(path, root);
        if line > 0 {
            outermost = Some((file, line));
            if origin == Origin::OwnSource {
                break;
            }
        }
    }
    Ok(outermost)
}

fn section_bytes<'a>(elf: &Elf, input: &'a [u8], name: &str) -> &'a [u8] {
    let section =
        elf.section_headers.iter().find(|section| elf.shdr_strtab.get_at(section.sh_name) == Some(name));
    section.and_then(|section| input.get(section.file_range()?)).unwrap_or_default()
}

fn distance(address: u64, base: u64) -> Result<u32> {
    address
        .checked_sub(base)
        .and_then(|distance| u32::try_from(distance).ok())
        .ok_or_else(|| format!("Code at {address:#x} is not within 4 GiB after the image's start {base:#x}."))
}
