//! Limine adapter: responses to `BootInfo`.
//!
//! Spec: Limine boot protocol, base revision 3 and newer. The loader finds the requests by their magic numbers.

use limine::BaseRevision;
use limine::framebuffer::FRAMEBUFFER_RGB;
use limine::memmap as kinds;
use limine::request::{
    BootloaderInfoRequest, ExecutableAddressRequest, ExecutableCmdlineRequest, FramebufferRequest,
    HhdmRequest, MemmapRequest, ModulesRequest, RsdpRequest,
};
use logic::addr::PhysAddr;
use logic::memmap::{MemoryKind, MemoryMap};

use super::{linked_image, window};
use crate::boot::{BootInfo, Framebuffer, PhysRange, Protocol, Text};

macro_rules! request {
    ($name:ident: $type:ty = $value:expr) => {
        // SAFETY: the section only groups the requests; nothing else depends on its name.
        #[unsafe(link_section = ".limine_requests")]
        #[used]
        static $name: $type = $value;
    };
}

request!(REVISION: BaseRevision = BaseRevision::with_revision(3));
request!(LOADER: BootloaderInfoRequest = BootloaderInfoRequest::new());
request!(HHDM: HhdmRequest = HhdmRequest::new());
request!(MEMORY: MemmapRequest = MemmapRequest::new());
request!(IMAGE: ExecutableAddressRequest = ExecutableAddressRequest::new());
request!(COMMAND_LINE: ExecutableCmdlineRequest = ExecutableCmdlineRequest::new());
request!(MODULES: ModulesRequest = ModulesRequest::new());
request!(FRAMEBUFFER: FramebufferRequest = FramebufferRequest::new());
request!(ACPI: RsdpRequest = RsdpRequest::new());

/// Reads what the loader answered.
pub(super) fn read() -> Result<BootInfo, &'static str> {
    if !REVISION.is_supported() {
        return Err(
            "the loader speaks no boot protocol this kernel knows (Limine base revision 3 is needed)",
        );
    }
    let offset = HHDM.response().ok_or("the Limine loader gave no higher-half direct map")?.offset;
    let image = IMAGE.response().ok_or("the Limine loader did not say where the kernel lies")?;
    let memory = MEMORY.response().ok_or("the Limine loader gave no memory map")?;
    window::set(offset);
    let kernel_start = PhysAddr::new(image.physical_base);
    Ok(BootInfo {
        protocol: Protocol::Limine,
        loader: LOADER.response().map_or(Text::EMPTY, |loader| Text::from_bytes(loader.name().as_bytes())),
        memory: memory_map(memory.entries()),
        command_line: COMMAND_LINE
            .response()
            .map_or(Text::EMPTY, |line| Text::from_bytes(line.cmdline().as_bytes())),
        initramfs: first_module(offset),
        framebuffer: framebuffer(offset),
        // Base revision 3 gives a physical address; older loaders give one inside the direct map.
        acpi_root: ACPI.response().map(|root| PhysAddr::new(physical(root.address.addr() as u64, offset))),
        kernel: linked_image(kernel_start),
    })
}

fn physical(address: u64, offset: u64) -> u64 {
    if address >= offset { address - offset } else { address }
}

fn memory_map(entries: &[&kinds::Entry]) -> MemoryMap {
    let mut map = MemoryMap::new();
    for entry in entries {
        let kind = match entry.type_ {
            kinds::MEMMAP_USABLE => MemoryKind::Usable,
            kinds::MEMMAP_BOOTLOADER_RECLAIMABLE => MemoryKind::LoaderReclaimable,
            kinds::MEMMAP_ACPI_RECLAIMABLE => MemoryKind::AcpiReclaimable,
            kinds::MEMMAP_ACPI_NVS => MemoryKind::AcpiNvs,
            kinds::MEMMAP_BAD_MEMORY => MemoryKind::Bad,
            kinds::MEMMAP_EXECUTABLE_AND_MODULES => MemoryKind::Taken,
            _ => MemoryKind::Reserved,
        };
        let end = entry.base.saturating_add(entry.length);
        // As for PVH: pieces beyond the table's size are left out.
        let _ = map.push(PhysAddr::new(entry.base), PhysAddr::new(end), kind);
    }
    map
}

fn first_module(offset: u64) -> Option<PhysRange> {
    let data = MODULES.response()?.modules().first()?.data();
    let start = physical(data.as_ptr().addr() as u64, offset);
    let end = start.checked_add(data.len() as u64)?;
    (end > start).then_some(PhysRange { start: PhysAddr::new(start), end: PhysAddr::new(end) })
}

fn framebuffer(offset: u64) -> Option<Framebuffer> {
    let first = FRAMEBUFFER.response()?.framebuffers().first()?;
    if first.memory_model != FRAMEBUFFER_RGB {
        return None;
    }
    Some(Framebuffer {
        address: PhysAddr::new(physical(first.address().addr() as u64, offset)),
        width: u32::try_from(first.width).ok()?,
        height: u32::try_from(first.height).ok()?,
        pitch: u32::try_from(first.pitch).ok()?,
        depth: u8::try_from(first.bpp).ok()?,
    })
}
