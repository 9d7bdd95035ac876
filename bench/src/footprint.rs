//! Measures what a kernel takes: the least memory it boots in, and the size of its image.

use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;
use logic::symbols::MAGIC;

use crate::Result;
use crate::kinds::{Section, Source};
use crate::programs::Program;
use crate::qemu::Clock;
use crate::rows::{Cell, Tables};
use crate::system::{Lab, System};

/// Where the search begins: everything boots in the most, and nobody asks about less than the least.
const LEAST_MIB: u32 = 8;
const MOST_MIB: u32 = 256;

/// The sections with such rows.
const SECTIONS: [Section; 2] = [Section::Footprint, Section::ProcessLimits];

/// Fills the rows of [`SECTIONS`] that are about sizes.
pub(crate) fn fill(tables: &mut Tables, lab: &Lab) {
    for &system in &lab.systems {
        for kind in tables.wanted(&SECTIONS, system) {
            let value = match kind.source {
                Source::LeastMemory(program, figure) => least_memory(lab, system, program, figure),
                Source::ImageSize => lab.image(system).map(|image| image.len() as f64),
                Source::SymbolSize => lab.image(system).and_then(|image| symbol_size(&image)),
                Source::Guest(_)
                | Source::Scaling
                | Source::LockWaits
                | Source::Firmware
                | Source::KernelItself { .. } => {
                    continue;
                }
            };
            tables.set(kind, system, value.map(Cell::Value).into());
        }
    }
}

fn least_memory(lab: &Lab, system: System, program: Program, figure: &'static str) -> Result<f64> {
    eprintln!("bench: searching the least memory for {} to reach `{figure}`", system.title());
    let mut boot = lab.boot(system, Clock::Instructions, program)?;
    boot.until = figure;
    let least = search(LEAST_MIB, MOST_MIB, |memory_mib| {
        boot.memory_mib = memory_mib;
        Ok(boot.run()?.is_complete())
    })?;
    least.map(f64::from).ok_or(format!("does not reach `{figure}` even with {MOST_MIB} MiB"))
}

/// The least value in `least..=most` for which `works`, if what works with some memory works with more.
fn search(least: u32, most: u32, mut works: impl FnMut(u32) -> Result<bool>) -> Result<Option<u32>> {
    if !works(most)? {
        return Ok(None);
    }
    if works(least)? {
        return Ok(Some(least));
    }
    let (mut too_little, mut enough) = (least, most);
    while enough - too_little > 1 {
        let middle = too_little + (enough - too_little) / 2;
        match works(middle)? {
            true => enough = middle,
            false => too_little = middle,
        }
    }
    Ok(Some(enough))
}

/// The packer of scripts/image puts the symbol table into a segment of its own, at the highest address.
fn symbol_size(image: &[u8]) -> Result<f64> {
    let elf = Elf::parse(image).map_err(|error| format!("Nacre's image is not an ELF file: {error}"))?;
    let loaded = elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD);
    let last = loaded.max_by_key(|header| header.p_vaddr).ok_or("Nacre's image has no segments")?;
    let table = image.get(last.file_range()).unwrap_or_default();
    match table.starts_with(&MAGIC) {
        true => Ok(table.len() as f64),
        false => Err("Nacre's image holds no symbol table".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_the_boundary() {
        for boundary in [8, 9, 72, 255, 256] {
            let mut boots = 0;
            let found = search(8, 256, |memory| {
                boots += 1;
                Ok(memory >= boundary)
            });
            assert_eq!(found, Ok(Some(boundary)));
            assert!(boots <= 10, "{boots}");
        }
        assert_eq!(search(8, 256, |_| Ok(false)), Ok(None));
        assert!(search(8, 256, |_| Err("QEMU is gone".to_string())).is_err());
    }
}
