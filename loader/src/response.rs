//! Answers the kernel's requests: fills an [`Arena`] with the structures of PROTOCOL.md, "Feature List".
//!
//! Runs after the firmware is gone, so nothing here allocates.

use alloc::string::String;
use alloc::vec::Vec;

use crate::arena::{Arena, ArenaFull};
use crate::memory_map::Region;
use crate::protocol::{Feature, Requests};

/// A file in memory.
#[derive(Clone, Debug)]
pub struct FileFacts {
    /// Physical address of its content.
    pub physical_address: u64,
    /// Size in bytes.
    pub size: u64,
    /// Path on the loader's disk.
    pub path: String,
    /// What nacre.conf says to it.
    pub cmdline: String,
}

/// One colour of a pixel: how many bits, and how far to shift them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColourBits {
    /// Number of bits.
    pub size: u8,
    /// Position of the lowest.
    pub shift: u8,
}

impl ColourBits {
    /// The bits that are set in `mask`, which are next to each other.
    pub fn of_mask(mask: u32) -> Self {
        // At most 32, so both fit into a byte.
        let [size, shift] = [mask.count_ones(), mask.trailing_zeros()].map(|count| count.to_le_bytes()[0]);
        Self { size, shift }
    }
}

/// A screen of 32-bit pixels.
#[derive(Clone, Copy, Debug)]
pub struct Framebuffer {
    /// Physical address of the first pixel.
    pub physical_address: u64,
    /// Size of the pixel memory in bytes.
    pub size: u64,
    /// Pixels in a row.
    pub width: u64,
    /// Rows.
    pub height: u64,
    /// Bytes from one row to the next.
    pub pitch: u64,
    /// Red, green and blue.
    pub colours: [ColourBits; 3],
}

/// Everything that answers are made from.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Virtual address at which the direct map starts.
    pub hhdm: u64,
    /// Physical address of the ACPI root pointer.
    pub rsdp: Option<u64>,
    /// The screen.
    pub framebuffer: Option<Framebuffer>,
    /// Seconds since 1970.
    pub boot_time: Option<i64>,
    /// The kernel's file.
    pub kernel: FileFacts,
    /// The initramfs and other modules.
    pub modules: Vec<FileFacts>,
    /// Where the kernel's image is in memory.
    pub image_physical_base: u64,
    /// Where the kernel's image is linked.
    pub image_virtual_base: u64,
}

const LOADER_NAME: &str = "Nacre loader";
const FIRMWARE_UEFI_64: u64 = 2;
const PAGING_FOUR_LEVELS: u64 = 0;
const PIXEL_MODEL_RGB: u8 = 1;

/// Answers every request in `image` that can be answered.
///
/// # Errors
/// The arena is too small.
pub fn answer_all(
    image: &mut [u8],
    requests: &Requests,
    facts: &Facts,
    map: &[Region],
    arena: &mut Arena<'_>,
) -> Result<(), ArenaFull> {
    for request in requests.iter() {
        let response = match request.feature {
            Feature::MemoryMap => Some(memory_map(map, arena)?),
            feature => response(feature, requests.base_revision, facts, arena)?,
        };
        if let Some(address) = response {
            request.answer(image, address);
        }
    }
    requests.acknowledge_base_revision(image);
    Ok(())
}

/// Virtual address of the answer; `None` where there is nothing to say, which the kernel sees as no answer.
fn response(
    feature: Feature,
    base_revision: u64,
    facts: &Facts,
    arena: &mut Arena<'_>,
) -> Result<Option<u64>, ArenaFull> {
    let words = match feature {
        Feature::BootloaderInfo => {
            [arena.put_string(LOADER_NAME)?, arena.put_string(env!("CARGO_PKG_VERSION"))?]
        }
        Feature::CommandLine => [arena.put_string(&facts.kernel.cmdline)?, 0],
        Feature::FirmwareType => [FIRMWARE_UEFI_64, 0],
        Feature::Hhdm => [facts.hhdm, 0],
        Feature::PagingMode => [PAGING_FOUR_LEVELS, 0],
        // The answer's presence is all it says.
        Feature::StackSize | Feature::EntryPoint => [0, 0],
        Feature::ExecutableAddress => [facts.image_physical_base, facts.image_virtual_base],
        Feature::ExecutableFile => [file(&facts.kernel, facts.hhdm, arena)?, 0],
        Feature::Modules if facts.modules.is_empty() => return Ok(None),
        Feature::Modules => modules(facts, arena)?,
        Feature::Framebuffer => match &facts.framebuffer {
            Some(screen) => framebuffer(screen, facts.hhdm, arena)?,
            None => return Ok(None),
        },
        Feature::Rsdp => match facts.rsdp {
            // Revision 3 alone wants the physical address.
            Some(rsdp) if base_revision == 3 => [rsdp, 0],
            Some(rsdp) => [facts.hhdm + rsdp, 0],
            None => return Ok(None),
        },
        Feature::DateAtBoot => match facts.boot_time {
            Some(seconds) => [seconds.cast_unsigned(), 0],
            None => return Ok(None),
        },
        Feature::MemoryMap => return Ok(None), // answered by the caller, who has the map
    };
    arena.put_words(&[0, words[0], words[1]]).map(Some)
}

fn memory_map(map: &[Region], arena: &mut Arena<'_>) -> Result<u64, ArenaFull> {
    let entries = arena.put(&[])?;
    for region in map {
        arena.put_words(&[region.base, region.length(), region.kind.number()])?;
    }
    let pointers = arena.put(&[])?;
    for index in 0..map.len() as u64 {
        arena.put_words(&[entries + 24 * index])?;
    }
    arena.put_words(&[0, map.len() as u64, pointers])
}

fn modules(facts: &Facts, arena: &mut Arena<'_>) -> Result<[u64; 2], ArenaFull> {
    let pointers = arena.put(&[])?;
    for _ in &facts.modules {
        arena.put_words(&[0])?;
    }
    for (slot, module) in (pointers..).step_by(8).zip(&facts.modules) {
        let address = file(module, facts.hhdm, arena)?;
        arena.replace_word(slot, address)?;
    }
    Ok([facts.modules.len() as u64, pointers])
}

/// `struct limine_file`, without the parts that say which disk it came from.
fn file(facts: &FileFacts, hhdm: u64, arena: &mut Arena<'_>) -> Result<u64, ArenaFull> {
    let path = arena.put_string(&facts.path)?;
    let cmdline = arena.put_string(&facts.cmdline)?;
    let mut words = [0; 14];
    words[..5].copy_from_slice(&[0, hhdm + facts.physical_address, facts.size, path, cmdline]);
    arena.put_words(&words)
}

fn framebuffer(screen: &Framebuffer, hhdm: u64, arena: &mut Arena<'_>) -> Result<[u64; 2], ArenaFull> {
    let [red, green, blue] = screen.colours;
    let mut bytes = [0; 64];
    let words = [hhdm + screen.physical_address, screen.width, screen.height, screen.pitch];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes[32..34].copy_from_slice(&32_u16.to_le_bytes());
    bytes[34] = PIXEL_MODEL_RGB;
    bytes[35..41].copy_from_slice(&[red.size, red.shift, green.size, green.shift, blue.size, blue.shift]);
    let structure = arena.put(&bytes)?;
    Ok([1, arena.put_words(&[structure])?])
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
