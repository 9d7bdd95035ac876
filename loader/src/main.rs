//! The boot loader: a UEFI program that starts the kernel by the Limine boot protocol.
//!
//! It reads \nacre.elf, \initramfs.cpio and \nacre.conf from its own disk. The firmware calls and the hardware are
//! in [`efi`]; everything that can be tested without them is in the library beside this file.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

#[cfg(target_os = "uefi")]
extern crate alloc;

#[cfg(target_os = "uefi")]
mod efi;

#[cfg(not(target_os = "uefi"))]
fn main() {
    eprintln!("loader: this is a UEFI program; `make esp` builds it for UEFI and packs a disk that boots it");
}
