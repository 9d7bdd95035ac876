//! Addresses and page numbers: what must never be mixed up.
//!
//! Plain numbers without provenance; only `hal` turns one into a pointer. Alignments are powers of two; any
//! other value gives a meaningless result, never a panic. No locks. Used by everything that handles memory.

use core::fmt;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// Bytes in a page and in a frame (SDM volume 3A, section 5.1.1: the smallest translation unit).
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// The same as the length of a slice or array.
pub const PAGE_LEN: usize = to_usize(PAGE_SIZE);

/// A number of 64 bits as a length or index. Loses nothing: the kernel runs on 64-bit machines only.
#[expect(clippy::cast_possible_truncation, reason = "the assertion below refuses machines where it could")]
pub const fn to_usize(value: u64) -> usize {
    const { assert!(usize::BITS == u64::BITS) };
    value as usize
}

/// Rounds `value` down to a multiple of the power of two `align`.
pub const fn align_down(value: u64, align: u64) -> u64 {
    value & !align.wrapping_sub(1)
}

/// Rounds `value` up to a multiple of the power of two `align`; `None` when the result needs 65 bits.
pub const fn align_up(value: u64, align: u64) -> Option<u64> {
    match value.checked_add(align.wrapping_sub(1)) {
        Some(sum) => Some(align_down(sum, align)),
        None => None,
    }
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The lowest address.
            pub const ZERO: Self = Self(0);

            /// Wraps a number.
            pub const fn new(address: u64) -> Self {
                Self(address)
            }

            /// The address as a number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The address `bytes` further up; `None` past the end of the address space.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The address `bytes` further down; `None` below zero.
            pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }

            /// The nearest multiple of `align` at or below.
            pub const fn align_down(self, align: u64) -> Self {
                Self(align_down(self.0, align))
            }

            /// The nearest multiple of `align` at or above; `None` past the end of the address space.
            pub const fn align_up(self, align: u64) -> Option<Self> {
                match align_up(self.0, align) {
                    Some(aligned) => Some(Self(aligned)),
                    None => None,
                }
            }

            /// Whether this is a multiple of `align`.
            pub const fn is_aligned(self, align: u64) -> bool {
                align_down(self.0, align) == self.0
            }

            /// Bytes from the start of the page.
            pub const fn page_offset(self) -> u64 {
                self.0 & (PAGE_SIZE - 1)
            }

            /// The number of the page that holds this address.
            pub const fn page_number(self) -> u64 {
                self.0 >> PAGE_SHIFT
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A physical address: what the bus and the page tables see.
    PhysAddr
}

address! {
    /// A virtual address, of the kernel or of a program.
    VirtAddr
}

impl PhysAddr {
    /// The frame that holds this address; `None` above 16 TiB, which [`FrameNo`] cannot name.
    pub const fn frame(self) -> Option<FrameNo> {
        FrameNo::from_page_number(self.page_number())
    }
}

/// The number of a 4 KiB frame of physical memory. 32 bits name 16 TiB and halve the allocator's metadata.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct FrameNo(u32);

impl FrameNo {
    /// Wraps a number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The frame of this number, `None` when it does not fit.
    #[expect(clippy::cast_possible_truncation, reason = "checked on the line before; try_from is not const")]
    pub const fn from_page_number(number: u64) -> Option<Self> {
        if number > u32::MAX as u64 {
            return None;
        }
        Some(Self(number as u32))
    }

    /// The frame's number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The address of the frame's first byte.
    pub const fn start(self) -> PhysAddr {
        PhysAddr((self.0 as u64) << PAGE_SHIFT)
    }

    /// The frame `frames` further up; `None` past the last one.
    pub const fn checked_add(self, frames: u32) -> Option<Self> {
        match self.0.checked_add(frames) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// How many frames lie from `base` up to this one; `None` when this one is below.
    pub const fn checked_sub(self, base: FrameNo) -> Option<u32> {
        self.0.checked_sub(base.0)
    }
}

impl fmt::Debug for FrameNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameNo({:#x})", self.0)
    }
}

/// Frames from `start` up to and not including `end`. Empty when `end` is not above `start`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameRange {
    /// The first frame.
    pub start: FrameNo,
    /// The first frame past the range.
    pub end: FrameNo,
}

impl FrameRange {
    /// The range between two frames.
    pub const fn new(start: FrameNo, end: FrameNo) -> Self {
        Self { start, end }
    }

    /// How many frames the range holds.
    pub const fn len(self) -> u32 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether the range holds no frame.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `frame` lies in the range.
    pub const fn contains(self, frame: FrameNo) -> bool {
        self.start.0 <= frame.0 && frame.0 < self.end.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;

    #[test]
    fn frames_name_sixteen_tebibytes_and_no_more() {
        assert_eq!(PhysAddr::new((16 << 40) - 1).frame(), Some(FrameNo::new(u32::MAX)));
        assert_eq!(PhysAddr::new(16 << 40).frame(), None);
        assert_eq!(FrameNo::new(u32::MAX).start().get(), (16 << 40) - PAGE_SIZE);
        assert_eq!(FrameNo::new(u32::MAX).checked_add(1), None);
    }

    #[test]
    fn rounding_up_past_the_end_is_none() {
        assert_eq!(VirtAddr::new(u64::MAX).align_up(PAGE_SIZE), None);
        assert_eq!(VirtAddr::new(u64::MAX - 4095).align_up(PAGE_SIZE), Some(VirtAddr::new(u64::MAX - 4095)));
    }

    #[test]
    fn addresses_print_as_hexadecimal() {
        assert_eq!(format!("{} {:?}", PhysAddr::new(0x1000), VirtAddr::new(16)), "0x1000 VirtAddr(0x10)");
    }

    #[test]
    fn a_range_holds_its_start_and_not_its_end() {
        let range = FrameRange::new(FrameNo::new(2), FrameNo::new(5));
        assert_eq!(range.len(), 3);
        assert!(range.contains(FrameNo::new(2)) && !range.contains(FrameNo::new(5)));
        assert!(FrameRange::new(FrameNo::new(5), FrameNo::new(2)).is_empty());
    }

    proptest! {
        #[test]
        fn aligned_neighbours_enclose_the_address(value: u64, shift in 0u32..63) {
            let align = 1u64 << shift;
            let address = PhysAddr::new(value);
            let down = address.align_down(align);
            prop_assert!(down <= address && down.is_aligned(align) && value - down.get() < align);
            if let Some(up) = address.align_up(align) {
                prop_assert!(up >= address && up.is_aligned(align) && up.get() - value < align);
            }
        }

        #[test]
        fn no_alignment_panics(value: u64, align: u64) {
            let address = PhysAddr::new(value);
            let _ = (address.align_down(align), address.align_up(align), address.is_aligned(align));
        }
    }
}
