//! From a boot loader to `relocate`: three adapters, one `BootInfo`.
//!
//! PVH and Multiboot2 share the 32-bit entry of `entry.s`; Limine enters in 64-bit mode. Runs once, on one CPU, with
//! interrupts off and on the boot stack. Follows: Xen's PVH start info, Multiboot2 2.0, Limine protocol revision 3.

mod limine;
mod multiboot2;
mod pvh;
pub(crate) mod relocate;
pub(crate) mod window;

use core::arch::{asm, global_asm};

use logic::addr::{PhysAddr, to_usize};

use super::local;
use crate::boot::{BootInfo, PhysRange};
use crate::console;

global_asm!(
    include_str!("entry.s"),
    boot_entry = sym boot_entry,
    limine_boot_entry = sym limine_boot_entry,
    options(att_syntax)
);

/// What `entry.s` passes when the PVH entry was used: PVH itself passes no magic number in a register.
const PVH_MARK: u32 = 0x5056_4800;
/// What a Multiboot2 loader leaves in EAX.
const MULTIBOOT2_MAGIC: u32 = 0x36d7_6289;
/// Where `linker.ld` puts the image, virtually.
const LINK_BASE: u64 = 0xffff_ffff_8000_0000;

/// First Rust code after `entry.s`.
extern "C" fn boot_entry(mark: u32, info: u32) -> ! {
    super::console::init();
    // So that even a panic from here on knows its CPU.
    local::init_boot();
    window::set(window::ENTRY_BASE);
    let info = PhysAddr::new(u64::from(info));
    let kernel = linked_image(PhysAddr::new(image_start() - LINK_BASE));
    let read = match mark {
        PVH_MARK => pvh::read(info, kernel),
        MULTIBOOT2_MAGIC => multiboot2::read(info, kernel),
        _ => Err("neither a PVH nor a Multiboot2 loader started this kernel"),
    };
    enter(read)
}

/// First Rust code after the 64-bit entry point.
extern "C" fn limine_boot_entry() -> ! {
    super::console::init();
    local::init_boot();
    enter(limine::read())
}

fn enter(read: Result<BootInfo, &'static str>) -> ! {
    match read {
        Ok(info) => relocate::run(info),
        Err(problem) => halt(problem),
    }
}

/// Ends a boot that cannot go on: a sentence, then silence (and an exit code under the test runner).
pub(crate) fn halt(problem: &str) -> ! {
    console::print_unlocked(format_args!(
        "Nacre: cannot boot: {problem}.\n\
         Start build/nacre.elf with QEMU's -kernel, GRUB's multiboot2, or a Limine-protocol loader such as \
         build/esp.img; give the machine 16 MiB of memory or more.\n"
    ));
    super::power::exit_emulator(crate::power::EmulatorExit::BootFailed);
    super::cpu::halt_forever()
}

unsafe extern "C" {
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __image_end: u8;
    static __symbols_len: u64;
    static __relr_start: u64;
    static __relr_end: u64;
}

/// The address of a symbol of the linker script, computed from RIP. Not `&raw const`: that may load it from the global
/// offset table, and the words there change while the image is being moved.
macro_rules! address_of {
    ($symbol:ident) => {{
        let address: u64;
        // SAFETY: computes an address, touches nothing.
        unsafe {
            asm!("lea {}, [rip + {}]", out(reg) address, sym $symbol, options(pure, nomem, nostack, preserves_flags));
        }
        address
    }};
}

/// Virtual address of the image's first byte, wherever it is mapped right now.
pub(crate) fn image_start() -> u64 {
    address_of!(__image_start)
}

/// Offsets from the image's start at which text ends, read-only data ends, memory ends; and the symbols' length.
pub(crate) struct ImageLayout {
    pub(crate) text_end: u64,
    pub(crate) rodata_end: u64,
    pub(crate) end: u64,
    pub(crate) symbols_len: u64,
}

impl ImageLayout {
    /// What nobody may write after boot: text and constants, and the symbols behind the image.
    pub(crate) fn constants(&self) -> [core::ops::Range<u64>; 2] {
        [0..self.rodata_end, self.end..self.end + self.symbols_len]
    }
}

/// The layout `linker.ld` and the packer chose.
pub(crate) fn image_layout() -> ImageLayout {
    let start = image_start();
    let symbols_len_at: *const u64 = core::ptr::with_exposed_provenance(to_usize(address_of!(__symbols_len)));
    // SAFETY: the linker script places this u64 at the start of .rodata; the packer, long before, was the last to
    // write it. Volatile because the compiler sees only its initial zero.
    let symbols_len = unsafe { symbols_len_at.read_volatile() };
    ImageLayout {
        text_end: address_of!(__text_end) - start,
        rodata_end: address_of!(__rodata_end) - start,
        end: address_of!(__image_end) - start,
        symbols_len,
    }
}

/// The physical range of an image that lies at `start`.
fn linked_image(start: PhysAddr) -> PhysRange {
    let layout = image_layout();
    PhysRange { start, end: PhysAddr::new(start.get() + layout.end + layout.symbols_len) }
}

/// The RELR table: which words of the image hold addresses.
pub(crate) fn relative_relocations() -> &'static [u64] {
    let start = to_usize(address_of!(__relr_start));
    let bytes = to_usize(address_of!(__relr_end)) - start;
    // SAFETY: the linker script brackets the table, 8-byte aligned and never written, with these two symbols.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start), bytes / 8) }
}
