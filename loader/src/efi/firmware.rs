//! What the firmware knows about the machine: memory, screen, ACPI root, date.

use loader::calendar::{self, DateTime};
use loader::error::LoadError;
use loader::memory_map::{Kind, PAGE_SIZE, Region};
use loader::response::{ColourBits, Framebuffer};
use uefi::boot::{self, MemoryDescriptor, MemoryType, OpenProtocolAttributes, OpenProtocolParams};
use uefi::mem::memory_map::MemoryMap;
use uefi::proto::console::gop::{GraphicsOutput, ModeInfo, PixelFormat};
use uefi::table::cfg::ConfigTableEntry;
use uefi::{runtime, system};

/// How many entries the firmware's memory map has now.
pub(super) fn map_length() -> Result<usize, LoadError> {
    boot::memory_map(MemoryType::LOADER_DATA)
        .map(|map| map.len())
        .map_err(|error| LoadError::NoMemoryMap(alloc::format!("{:?}", error.status())))
}

/// An entry of the firmware's map in the protocol's terms, as it holds once boot services are gone.
pub(super) fn region(entry: &MemoryDescriptor) -> Region {
    let kind = match entry.ty {
        MemoryType::CONVENTIONAL | MemoryType::BOOT_SERVICES_CODE | MemoryType::BOOT_SERVICES_DATA => {
            Kind::Usable
        }
        MemoryType::LOADER_CODE | MemoryType::LOADER_DATA => Kind::BootloaderReclaimable,
        MemoryType::ACPI_RECLAIM => Kind::AcpiReclaimable,
        MemoryType::ACPI_NON_VOLATILE => Kind::AcpiNvs,
        MemoryType::UNUSABLE => Kind::Bad,
        _ => Kind::Reserved,
    };
    Region::covering(entry.phys_start, entry.page_count.saturating_mul(PAGE_SIZE), kind)
}

/// Physical address of the ACPI root pointer, of version 2 or newer where there is one.
pub(super) fn rsdp() -> Option<u64> {
    system::with_config_table(|tables| {
        let find = |guid| tables.iter().find(|table| table.guid == guid);
        let table = find(ConfigTableEntry::ACPI2_GUID).or_else(|| find(ConfigTableEntry::ACPI_GUID))?;
        Some(table.address as u64)
    })
}

/// Seconds since 1970 by the machine's clock; one without a time zone is taken as UTC.
pub(super) fn unix_time() -> Option<i64> {
    let now = runtime::get_time().ok().filter(|now| now.is_valid().is_ok())?;
    let seconds = calendar::unix_seconds(DateTime {
        year: now.year(),
        month: now.month(),
        day: now.day(),
        hour: now.hour(),
        minute: now.minute(),
        second: now.second(),
    });
    Some(seconds + 60 * i64::from(now.time_zone().unwrap_or(0)))
}

/// The first screen, in the mode that the firmware has set.
pub(super) fn framebuffer() -> Option<Framebuffer> {
    let handle = boot::get_handle_for_protocol::<GraphicsOutput>().ok()?;
    let params = OpenProtocolParams { handle, agent: boot::image_handle(), controller: None };
    // SAFETY: nothing uninstalls the screen while this program runs, since it connects and disconnects no drivers.
    // Opening it exclusively, which needs no such argument, would take the screen from the text console.
    let screen =
        unsafe { boot::open_protocol::<GraphicsOutput>(params, OpenProtocolAttributes::GetProtocol) };
    let mut screen = screen.ok()?;
    let mode = screen.current_mode_info();
    let colours = colours(&mode)?;
    let (width, height) = mode.resolution();
    let pitch = mode.stride() * 4;
    Some(Framebuffer {
        physical_address: screen.frame_buffer().as_mut_ptr() as u64,
        size: (pitch * height) as u64,
        width: width as u64,
        height: height as u64,
        pitch: pitch as u64,
        colours,
    })
}

/// Red, green and blue; `None` for a screen without pixels in memory.
fn colours(mode: &ModeInfo) -> Option<[ColourBits; 3]> {
    let byte = |shift| ColourBits { size: 8, shift };
    match mode.pixel_format() {
        PixelFormat::Rgb => Some([byte(0), byte(8), byte(16)]),
        PixelFormat::Bgr => Some([byte(16), byte(8), byte(0)]),
        PixelFormat::Bitmask => {
            let mask = mode.pixel_bitmask()?;
            Some([mask.red, mask.green, mask.blue].map(ColourBits::of_mask))
        }
        PixelFormat::BltOnly => None,
    }
}
