//! Names and lines of kernel addresses, from the blob that the build packs behind the image.

use logic::addr::to_usize;

use crate::arch;

/// The blob; empty if the image was not packed.
pub fn blob() -> &'static [u8] {
    let layout = arch::image_layout();
    if layout.symbols_len == 0 {
        return &[];
    }
    let start = arch::image_start() + layout.end;
    // SAFETY: the packer put `symbols_len` bytes there and a program header for them; they are mapped read-only
    // (boot::relocate) and the memory is reserved as part of the image.
    unsafe {
        core::slice::from_raw_parts(
            core::ptr::with_exposed_provenance(to_usize(start)),
            to_usize(layout.symbols_len),
        )
    }
}

/// Offset of `address` from the image's start, if it lies in the kernel's text.
pub fn text_offset(address: u64) -> Option<u32> {
    let offset = address.checked_sub(arch::image_start())?;
    if offset >= arch::image_layout().text_end {
        return None;
    }
    u32::try_from(offset).ok()
}
