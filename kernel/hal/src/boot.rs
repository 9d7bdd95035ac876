//! What the boot loader told us, in one form for all protocols.
//!
//! Each adapter (`pvh`, `multiboot2`, `limine`) fills one [`BootInfo`] and ends there. It holds physical addresses and
//! copies only: no pointer into loader memory, which is about to be reused, and no pointer into the image, which is
//! about to move.

use core::fmt;

use logic::acpi::VirtioPlace;
use logic::addr::PhysAddr;
use logic::memmap::MemoryMap;

use crate::arch;

/// How the kernel was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Xen's PVH entry: QEMU `-kernel`, microvm, Firecracker, Cloud Hypervisor.
    Pvh,
    /// GRUB and others.
    Multiboot2,
    /// Limine, and our own UEFI loader.
    Limine,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Pvh => "PVH",
            Protocol::Multiboot2 => "Multiboot2",
            Protocol::Limine => "Limine protocol",
        })
    }
}

/// A range of physical memory in bytes; `end` is the first byte after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysRange {
    /// First byte.
    pub start: PhysAddr,
    /// First byte after the range.
    pub end: PhysAddr,
}

impl PhysRange {
    /// Bytes in the range.
    pub fn len(self) -> u64 {
        self.end.get().saturating_sub(self.start.get())
    }

    /// Whether the range holds nothing.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Text of at most `N` bytes, kept inline; longer text is cut at a character.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Self = Text { bytes: [0; N], len: 0 };

    /// Copies `bytes` up to the first NUL; what is not UTF-8 ends it too.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let taken = &bytes[..end.min(N)];
        let len = match core::str::from_utf8(taken) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let mut text = Self::EMPTY;
        text.bytes[..len].copy_from_slice(&taken[..len]);
        text.len = len;
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

/// A linear framebuffer that the loader left on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Where its memory starts.
    pub address: PhysAddr,
    /// Pixels a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes from a line to the next.
    pub pitch: u32,
    /// Bits a pixel.
    pub depth: u8,
}

/// Everything the kernel learns from whoever started it.
pub struct BootInfo {
    /// Which adapter filled this in.
    pub protocol: Protocol,
    /// Name and version of the loader, where it says so.
    pub loader: Text<64>,
    /// Physical memory, as the firmware described it.
    pub memory: MemoryMap,
    /// The kernel's command line.
    pub command_line: Text<2048>,
    /// The initramfs, as loaded.
    pub initramfs: Option<PhysRange>,
    /// A framebuffer.
    pub framebuffer: Option<Framebuffer>,
    /// ACPI's root pointer; `None` lets the kernel search for it.
    pub acpi_root: Option<PhysAddr>,
    /// Where the image lies, symbols included.
    pub kernel: PhysRange,
}

#[cfg(target_os = "none")]
unsafe extern "Rust" {
    /// Defined by [`crate::kernel_main`] in the binary.
    fn nacre_kernel_main(info: &'static BootInfo) -> !;
}

#[cfg(target_os = "none")]
/// Enters the kernel proper; the boot code's last step.
pub(crate) fn enter(info: &'static BootInfo) -> ! {
    // SAFETY: the macro below defines the function with exactly this signature.
    unsafe { nacre_kernel_main(info) }
}

/// Names the function that boot code enters: `kernel_main!(start)`, where `start: fn(&'static BootInfo) -> !`.
#[macro_export]
macro_rules! kernel_main {
    ($start:path) => {
        // SAFETY: the one definition of this symbol, and the type checker compares it with hal's declaration.
        #[unsafe(no_mangle)]
        fn nacre_kernel_main(info: &'static $crate::boot::BootInfo) -> ! {
            let start: fn(&'static $crate::boot::BootInfo) -> ! = $start;
            start(info)
        }
    };
}

/// Step 1: frames, heap, kernel mappings. Nothing may allocate before.
///
/// # Errors
/// ENOMEM.
pub fn init_memory(info: &BootInfo) -> abi::Result<()> {
    arch::init_memory(info)
}

/// Step 2: this CPU's tables, its interrupt controller, the clocks.
///
/// # Errors
/// A sentence.
pub fn init_machine() -> Result<(), &'static str> {
    arch::init_machine()
}

/// One line about the firmware's description of the machine.
pub fn platform_summary() -> impl fmt::Display {
    arch::platform_summary()
}

/// Virtio devices in memory that the firmware names: registers and interrupt. A machine with a PCI bus has none.
pub fn virtio_places() -> impl Iterator<Item = VirtioPlace> {
    let places = arch::virtio_places();
    (0..).map_while(move |index: usize| places.as_ref()?.get(index).copied())
}

/// The initramfs, as the loader left it.
pub fn initramfs(info: &BootInfo) -> Option<&'static [u8]> {
    let range = info.initramfs?;
    let len = usize::try_from(range.len()).ok()?;
    // SAFETY: the range was reserved before anything was allocated (arch::boot) and nobody writes it; the direct map
    // covers it.
    Some(unsafe { core::slice::from_raw_parts(crate::memory::direct(range.start), len) })
}
