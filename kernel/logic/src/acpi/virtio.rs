//! Virtio devices in memory that the DSDT names: hardware id `LNRO0005`, with a window and an interrupt.
//!
//! AML is not interpreted: firmware writes these devices as constants (QEMU's microvm), and constants can be found. A device
//! whose resources come from code is not seen; the command line may name it.

use super::list::List;
use super::table::Fields;

const HARDWARE_ID: &[u8] = b"LNRO0005";
/// A fixed window of memory (ACPI 6.5, section 6.4.3.4): tag, length, access, base, length.
const WINDOW: [u8; 3] = [0x86, 9, 0];
/// An extended interrupt (section 6.4.3.6) of one number: tag, length, flags, count.
const INTERRUPT: [u8; 3] = [0x89, 6, 0];
/// Resources stand this near to the id.
const REACH: usize = 96;

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtioPlace {
    /// First byte of its registers.
    pub address: u32,
    /// How many.
    pub len: u32,
    /// The IO-APIC's input.
    pub interrupt: u32,
}

/// The devices that a DSDT names; those beyond the list's end are left out.
pub fn virtio_places(dsdt: &[u8]) -> List<VirtioPlace, 32> {
    let mut found = List::new(VirtioPlace { address: 0, len: 0, interrupt: 0 });
    let mut rest = dsdt;
    while let Some(at) = find(rest, HARDWARE_ID) {
        rest = rest.get(at + HARDWARE_ID.len()..).unwrap_or_default();
        let end = find(rest, HARDWARE_ID).unwrap_or(rest.len()).min(REACH);
        if let Some(place) = rest.get(..end).and_then(place) {
            // Full is full.
            let _ = found.push(place);
        }
    }
    found
}

fn place(near: &[u8]) -> Option<VirtioPlace> {
    let window = Fields(near.get(find(near, &WINDOW)?..)?);
    let interrupt = Fields(near.get(find(near, &INTERRUPT)?..)?);
    let place = VirtioPlace { address: window.word(4)?, len: window.word(8)?, interrupt: interrupt.word(5)? };
    (place.len > 0 && interrupt.byte(4)? == 1).then_some(place)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn device(address: u32, interrupt: u32) -> Vec<u8> {
        let mut bytes =
            b"\x5b\x82VR00\x08_HID\x0dLNRO0005\0\x08_UID\x0a\x00\x08_CRS\x11\x17\x0a\x14".to_vec();
        bytes.extend([0x86, 9, 0, 1]);
        bytes.extend(address.to_le_bytes());
        bytes.extend(512_u32.to_le_bytes());
        bytes.extend([0x89, 6, 0, 1, 1]);
        bytes.extend(interrupt.to_le_bytes());
        bytes.extend([0x79, 0]);
        bytes
    }

    #[test]
    fn devices_are_found_between_other_things() {
        let mut dsdt = b"DSDT....".to_vec();
        dsdt.extend(device(0xfeb0_0000, 24));
        dsdt.extend(b"LNRO0005 without resources");
        dsdt.extend([0; 100]);
        dsdt.extend(device(0xfeb0_0200, 25));
        let found: Vec<_> = virtio_places(&dsdt).iter().copied().collect();
        let place = |address, interrupt| VirtioPlace { address, len: 512, interrupt };
        assert_eq!(found, [place(0xfeb0_0000, 24), place(0xfeb0_0200, 25)]);
    }

    proptest! {
        #[test]
        fn nothing_panics(noise in proptest::collection::vec(any::<u8>(), 0..64), cut in 0..60_usize) {
            let mut dsdt = device(1, 2);
            dsdt.truncate(cut);
            dsdt.extend(&noise);
            virtio_places(&dsdt);
            virtio_places(&noise);
        }
    }
}
