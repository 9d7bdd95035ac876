//! Names for the kernel's addresses, also when the kernel has moved itself to a random place.

use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::Elf;
use goblin::elf::program_header::{PF_X, PT_LOAD};

/// The kernel moves in steps of a large page and by less than the top half of its 2 GiB (hal, boot/relocate.rs).
const SLIDE_STEP: u64 = 2 << 20;

/// How many bytes of code must agree before a slide is believed.
pub const PROBE_LEN: usize = 16;

/// The unstripped kernel.
pub struct Symbols {
    path: PathBuf,
    /// Executable bytes, and the address they are linked at.
    code: Vec<(u64, Vec<u8>)>,
}

impl Symbols {
    /// Reads the file with the symbols.
    ///
    /// # Errors
    /// A sentence when it is not there or not an ELF file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let bytes =
            std::fs::read(path).map_err(|error| format!("no symbols: {}: {error}", path.display()))?;
        let elf = Elf::parse(&bytes).map_err(|error| format!("no symbols: {}: {error}", path.display()))?;
        let code = elf
            .program_headers
            .iter()
            .filter(|header| header.p_type == PT_LOAD && header.p_flags & PF_X != 0)
            .filter_map(|header| Some((header.p_vaddr, bytes.get(header.file_range())?.to_vec())))
            .collect();
        Ok(Self { path: path.to_path_buf(), code })
    }

    /// How far the kernel has moved, judging by the code bytes that the guest has at `address`.
    pub fn slide_from(&self, address: u64, probe: &[u8]) -> Option<u64> {
        self.code.iter().find_map(|(base, code)| find_slide(*base, code, address, probe))
    }

    /// Where the code at `address` is linked, in a kernel that has moved by `slide`. What is below the moved
    /// kernel ran before it moved.
    pub fn linked(&self, address: u64, slide: u64) -> u64 {
        let lowest = self.code.iter().map(|(base, _)| *base).min().unwrap_or(0);
        if address >= lowest.saturating_add(slide) { address - slide } else { address }
    }

    /// One line per address: function, file and line, with inlined callers behind it.
    pub fn describe(&self, addresses: &[u64]) -> Vec<String> {
        let result = Command::new("addr2line")
            .args(["--functions", "--demangle", "--pretty-print", "--inlines", "--exe"])
            .arg(&self.path)
            .args(addresses.iter().map(|address| format!("{address:#x}")))
            .output();
        let text = result.map(|output| output.stdout).unwrap_or_default();
        // Inlined callers come as lines of their own; an address starts a line that does not begin so.
        let mut lines: Vec<String> = Vec::new();
        for line in String::from_utf8_lossy(&text).lines() {
            match lines.last_mut() {
                Some(last) if line.starts_with(" (inlined by)") => last.push_str(line),
                _ => lines.push(line.to_string()),
            }
        }
        lines
    }
}

fn find_slide(base: u64, code: &[u8], address: u64, probe: &[u8]) -> Option<u64> {
    if probe.len() < PROBE_LEN {
        return None;
    }
    let distance = address.checked_sub(base)?;
    (0..=distance / SLIDE_STEP).rev().map(|step| step * SLIDE_STEP).find(|slide| {
        let start = usize::try_from(distance - slide).unwrap_or(usize::MAX);
        start.checked_add(probe.len()).and_then(|end| code.get(start..end)) == Some(probe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slide_is_found_by_the_bytes() {
        let mut value = 1_u32;
        let code: Vec<u8> = std::iter::repeat_with(|| {
            value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value.to_be_bytes()[0]
        })
        .take(5 << 20)
        .collect();
        let base = 0xffff_ffff_8020_0000;
        for (slide, offset) in [(0, 0x123), (34 << 20, 0x40_0123), (34 << 20, 0x123)] {
            let probe = &code[offset..offset + PROBE_LEN];
            assert_eq!(find_slide(base, &code, base + slide + offset as u64, probe), Some(slide));
        }
        assert_eq!(find_slide(base, &code, base + 7, &[0; PROBE_LEN]), None);
        assert_eq!(find_slide(base, &code, 0x40_0000, &code[..PROBE_LEN]), None);
    }
}
