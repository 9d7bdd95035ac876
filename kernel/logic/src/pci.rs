//! PCI configuration space: what a function says about itself.
//!
//! Works on anything that reads 32-bit words. A device may lie: lists have an end, offsets are checked.
//! Spec: PCI Local Bus 3.0, chapter 6; PCI Express Base 4.0, chapter 7.

use core::fmt;

/// Bytes of configuration space that every function has.
const SPACE: u16 = 256;
const STATUS_HAS_CAPABILITIES: u32 = 1 << 20;
const CAPABILITIES: u16 = 0x34;
/// The capability of messages as interrupts.
pub const CAPABILITY_MSI: u8 = 0x05;
/// A capability that the vendor defines.
pub const CAPABILITY_VENDOR: u8 = 0x09;
/// The capability of messages as interrupts, with a table.
pub const CAPABILITY_MSIX: u8 = 0x11;

/// Where a function is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Address {
    /// Segment group.
    pub segment: u16,
    /// Bus.
    pub bus: u8,
    /// Device on the bus, below 32.
    pub device: u8,
    /// Function of the device, below 8.
    pub function: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{}", self.segment, self.bus, self.device, self.function)
    }
}

/// What a driver matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PciId {
    /// Who made it.
    pub vendor: u16,
    /// What it is there.
    pub device: u16,
    /// Base class, subclass, programming interface.
    pub class: (u8, u8, u8),
    /// Revision.
    pub revision: u8,
    /// Who built it in, and as what.
    pub subsystem: (u16, u16),
}

/// What kind of header follows the id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// A device.
    Device,
    /// A bridge to another bus: its number.
    Bridge(u8),
    /// Something else.
    Other,
}

/// One function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// What it is.
    pub id: PciId,
    /// Its header.
    pub header: Header,
    /// Whether its device has further functions.
    pub has_more: bool,
}

/// Reads a word of a function's configuration space, at a multiple of four.
pub type Read<'a> = &'a dyn Fn(u16) -> u32;

#[expect(clippy::cast_possible_truncation, reason = "parts of the word")]
const fn parts(word: u32) -> (u16, u16) {
    (word as u16, (word >> 16) as u16)
}

/// What a function says it is; none if there is none.
pub fn identify(read: Read<'_>) -> Option<Found> {
    let (vendor, device) = parts(read(0));
    if vendor == 0xffff {
        return None;
    }
    let [revision, interface, subclass, class] = read(8).to_le_bytes();
    let kind = read(0x0c).to_le_bytes()[2];
    let header = match kind & 0x7f {
        0 => Header::Device,
        1 => Header::Bridge(read(0x18).to_le_bytes()[1]),
        _ => Header::Other,
    };
    let subsystem = if header == Header::Device { parts(read(0x2c)) } else { (0, 0) };
    let id = PciId { vendor, device, class: (class, subclass, interface), revision, subsystem };
    Some(Found { id, header, has_more: kind & 0x80 != 0 })
}

/// The capabilities: number, and where each begins.
pub fn capabilities<'a>(read: Read<'a>) -> impl Iterator<Item = (u8, u16)> + 'a {
    let first = match read(4) & STATUS_HAS_CAPABILITIES {
        0 => 0,
        _ => read(CAPABILITIES).to_le_bytes()[0] & 0xfc,
    };
    let mut at = first;
    // A list that bites its tail ends after as many as there is room for.
    (0..SPACE / 4).map_while(move |_| {
        if at < 0x40 {
            return None;
        }
        let here = u16::from(at);
        let [number, next, ..] = read(here).to_le_bytes();
        at = next & 0xfc;
        Some((number, here))
    })
}

/// A base address register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bar {
    /// Registers in memory.
    Memory {
        /// Where.
        address: u64,
        /// How many bytes.
        len: u64,
    },
    /// Registers in ports.
    Ports {
        /// First port.
        first: u16,
        /// How many.
        count: u16,
    },
}

/// Whether a base address register takes the next one along.
pub fn is_wide(low: u32) -> bool {
    low & 7 == 4
}

/// A base address register, by its value (the next one's in the upper half if it is wide) and by what remains of all ones
/// written to it. None if there is nothing, or the firmware gave it no place.
pub fn bar(value: u64, mask: u64) -> Option<Bar> {
    if value & 1 != 0 {
        let mask = u16::try_from(mask & 0xfffc).ok()?;
        let count = (mask != 0).then(|| (!mask).wrapping_add(1))?;
        let first = u16::try_from(value & 0xfffc).ok().filter(|&first| first != 0)?;
        return Some(Bar::Ports { first, count });
    }
    let is_wide = value & 7 == 4;
    let ones = if is_wide { 0 } else { 0xffff_ffff_0000_0000 };
    let mask = mask & !0xf | ones;
    if mask & 0xffff_fff0 == 0 && !is_wide || mask == ones {
        return None;
    }
    let len = (!mask).checked_add(1)?;
    let address = value & !0xf;
    (address != 0 && len.is_power_of_two()).then_some(Bar::Memory { address, len })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn space(words: &[(usize, u32)]) -> [u32; 64] {
        let mut space = [0; 64];
        for &(at, word) in words {
            space[at / 4] = word;
        }
        space
    }

    #[test]
    fn a_function_is_read() {
        let disk = space(&[(0, 0x1042_1af4), (8, 0x0100_0001), (0x0c, 0x0080_0000), (0x2c, 0x1100_1af4)]);
        let found = identify(&|at| disk[usize::from(at) / 4]).unwrap();
        assert_eq!((found.id.vendor, found.id.device, found.id.class), (0x1af4, 0x1042, (1, 0, 0)));
        assert_eq!(
            (found.id.subsystem, found.header, found.has_more),
            ((0x1af4, 0x1100), Header::Device, true)
        );
        let bridge = space(&[(0, 0x0001_8086), (0x0c, 0x0001_0000), (0x18, 0x0002_0100)]);
        assert_eq!(identify(&|at| bridge[usize::from(at) / 4]).unwrap().header, Header::Bridge(1));
        assert_eq!(identify(&|_| u32::MAX), None);
    }

    #[test]
    fn capabilities_are_listed_and_circles_end() {
        let list = space(&[(4, 1 << 20), (0x34, 0x40), (0x40, 0x5011), (0x50, 0x6009), (0x60, 0x0005)]);
        let found: Vec<_> = capabilities(&|at| list[usize::from(at) / 4]).collect();
        assert_eq!(found, [(0x11, 0x40), (9, 0x50), (5, 0x60)]);
        let circle = space(&[(4, 1 << 20), (0x34, 0x40), (0x40, 0x4009)]);
        assert_eq!(capabilities(&|at| circle[usize::from(at) / 4]).count(), 64);
        let none = space(&[(0x34, 0x40)]);
        assert_eq!(capabilities(&|at| none[usize::from(at) / 4]).count(), 0);
    }

    #[test]
    fn bars_have_places_and_sizes() {
        assert_eq!(bar(0xc001, 0xffff_ff81), Some(Bar::Ports { first: 0xc000, count: 128 }));
        assert_eq!(bar(0xfebd_1000, 0xffff_f000), Some(Bar::Memory { address: 0xfebd_1000, len: 4096 }));
        let wide = bar(0x38_0000_000c, 0xffff_ffff_ffff_c00c).unwrap();
        assert_eq!(wide, Bar::Memory { address: 0x38_0000_0000, len: 0x4000 }, "prefetchable");
        assert_eq!(bar(0, 0), None);
        assert_eq!(bar(0, 0xffff_f000), None, "the firmware gave it no place");
    }

    proptest! {
        #[test]
        fn nothing_panics(value in any::<u64>(), mask in any::<u64>(), words in proptest::collection::vec(any::<u32>(), 64)) {
            let _ = bar(value, mask);
            let read = |at: u16| words[usize::from(at) / 4];
            let _ = identify(&read);
            prop_assert!(capabilities(&read).count() <= 64);
        }
    }
}
