//! ATA disks: what IDENTIFY DEVICE tells, and how commands name sectors.
//!
//! Spec: ATA/ATAPI-8 ACS-3 (T13/2161-D), sections 7 and A.11.

/// Commands.
pub mod command {
    /// Sectors by the processor, addresses of 28 bits.
    pub const READ_SECTORS: u8 = 0x20;
    /// The same with 48.
    pub const READ_SECTORS_EXT: u8 = 0x24;
    /// Sectors by DMA, 48 bits.
    pub const READ_DMA_EXT: u8 = 0x25;
    /// Sectors by the processor, 28 bits.
    pub const WRITE_SECTORS: u8 = 0x30;
    /// The same with 48.
    pub const WRITE_SECTORS_EXT: u8 = 0x34;
    /// Sectors by DMA, 48 bits.
    pub const WRITE_DMA_EXT: u8 = 0x35;
    /// The same, past the cache.
    pub const WRITE_DMA_FUA_EXT: u8 = 0x3d;
    /// One of many at once.
    pub const READ_QUEUED: u8 = 0x60;
    /// One of many at once.
    pub const WRITE_QUEUED: u8 = 0x61;
    /// Sectors by DMA, 28 bits.
    pub const READ_DMA: u8 = 0xc8;
    /// Sectors by DMA, 28 bits.
    pub const WRITE_DMA: u8 = 0xca;
    /// What is in the cache.
    pub const FLUSH: u8 = 0xe7;
    /// The same, for large disks.
    pub const FLUSH_EXT: u8 = 0xea;
    /// What the disk is.
    pub const IDENTIFY: u8 = 0xec;
}

/// Status: the last command failed.
pub const STATUS_ERROR: u8 = 1;
/// Status: data is to be moved.
pub const STATUS_DATA: u8 = 1 << 3;
/// Status: the device failed.
pub const STATUS_FAULT: u8 = 1 << 5;
/// Status: nothing else in it is true.
pub const STATUS_BUSY: u8 = 1 << 7;
/// Error: not the disk's fault but the line's.
pub const ERROR_LINE: u8 = 1 << 7;

/// How a disk wants to be addressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// 28 bits, 256 sectors a command.
    Narrow,
    /// 48 bits, 65,536 sectors a command.
    Wide,
}

impl Width {
    /// Sectors of a command at most.
    pub const fn max_blocks(self) -> u64 {
        match self {
            Width::Narrow => 256,
            Width::Wide => 65536,
        }
    }
}

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Its name, as its maker calls it.
    pub model: [u8; 40],
    /// Logical blocks.
    pub blocks: u64,
    /// Bytes of one.
    pub logical_block: u32,
    /// Bytes of a physical one.
    pub physical_block: u32,
    /// Addresses.
    pub width: Width,
    /// It moves data by itself.
    pub has_dma: bool,
    /// Its cache is on, and forgets.
    pub has_volatile_cache: bool,
    /// It writes past its cache if told.
    pub has_durable_writes: bool,
    /// Commands at once, by native queueing; 1 without.
    pub depth: u8,
    /// It has plates.
    pub is_rotational: bool,
}

impl Disk {
    /// Reads the 256 words of IDENTIFY DEVICE; none if this is no disk.
    pub fn parse(words: &[u16; 256]) -> Option<Self> {
        const NO_DISK: u16 = 1 << 15;
        if words[0] & NO_DISK != 0 || words[0] == 0xffff {
            return None;
        }
        let bit = |word: usize, bit: u16| words[word] >> bit & 1 != 0;
        // The words of command sets say by two bits whether they mean anything.
        let means = |word: usize| words[word] >> 14 == 1;
        let wide = means(83) && bit(83, 10);
        let join = |words: &[u16]| words.iter().rev().fold(0_u64, |all, &word| all << 16 | u64::from(word));
        let narrow_blocks = join(&words[60..62]);
        let blocks = if wide { join(&words[100..104]) } else { narrow_blocks };
        let logical_block = match u32::try_from(join(&words[117..119]) * 2) {
            Ok(size @ 512..=4096) if means(106) && bit(106, 12) && size.is_power_of_two() => size,
            _ => 512,
        };
        let per_physical = if means(106) && bit(106, 13) { words[106] & 15 } else { 0 };
        let depth = u8::try_from(words[75] & 31).unwrap_or(0) + 1;
        let has_queue = bit(76, 8) && words[76] != 0xffff && wide;
        Some(Disk {
            model: text(&words[27..47]),
            blocks,
            logical_block,
            physical_block: logical_block << per_physical.min(7),
            width: if wide { Width::Wide } else { Width::Narrow },
            has_dma: bit(49, 8),
            has_volatile_cache: words[85] != 0xffff && bit(85, 5),
            has_durable_writes: wide && means(84) && bit(84, 6),
            depth: if has_queue { depth } else { 1 },
            is_rotational: words[217] != 1,
        })
        .filter(|disk| disk.blocks > 0)
    }

    /// Its name without the blanks.
    pub fn model(&self) -> &str {
        core::str::from_utf8(&self.model).unwrap_or("disk").trim()
    }
}

/// Letters stand in pairs, the first in the upper half. What is no letter becomes a blank.
fn text(words: &[u16]) -> [u8; 40] {
    let mut text = [b' '; 40];
    for (pair, word) in text.as_chunks_mut::<2>().0.iter_mut().zip(words) {
        *pair = word.to_be_bytes().map(|letter| if letter.is_ascii_graphic() { letter } else { b' ' });
    }
    text
}

/// The sector count as a command takes it: the largest there is wraps to zero.
pub const fn count_of(blocks: u64) -> [u8; 2] {
    let [low, high, ..] = blocks.to_le_bytes();
    [low, high]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> [u16; 256] {
        let mut words = [0; 256];
        words[0] = 0x0040;
        for (word, pair) in
            words[27..47].iter_mut().zip(b"QEMU HARDDISK                           ".as_chunks::<2>().0)
        {
            *word = u16::from_be_bytes(*pair);
        }
        words[49] = 1 << 8;
        (words[60], words[61]) = (0xffff, 0x0fff);
        words[75] = 31;
        words[76] = 1 << 8;
        words[83] = 1 << 14 | 1 << 10;
        words[84] = 1 << 14;
        words[85] = 1 << 5;
        words[100..104].copy_from_slice(&[0x5678, 0x1234, 1, 0]);
        words
    }

    #[test]
    fn a_disk_is_read() {
        let disk = Disk::parse(&words()).unwrap();
        assert_eq!((disk.model(), disk.blocks, disk.width), ("QEMU HARDDISK", 0x1_1234_5678, Width::Wide));
        assert_eq!((disk.logical_block, disk.physical_block, disk.depth), (512, 512, 32));
        assert!(disk.has_dma && disk.has_volatile_cache && !disk.has_durable_writes && disk.is_rotational);
    }

    #[test]
    fn block_sizes_are_read() {
        let mut words = words();
        words[106] = 1 << 14 | 1 << 13 | 3;
        assert_eq!(
            Disk::parse(&words).map(|disk| (disk.logical_block, disk.physical_block)),
            Some((512, 4096))
        );
        words[106] = 1 << 14 | 1 << 12;
        words[117] = 2048;
        assert_eq!(
            Disk::parse(&words).map(|disk| (disk.logical_block, disk.physical_block)),
            Some((4096, 4096))
        );
    }

    #[test]
    fn old_and_strange_ones() {
        let mut words = words();
        words[83] = 0;
        let old = Disk::parse(&words).unwrap();
        assert_eq!((old.blocks, old.width, old.depth), (0x0fff_ffff, Width::Narrow, 1));
        words[0] = 0x8580;
        assert_eq!(Disk::parse(&words), None, "a CD drive");
        assert_eq!(Disk::parse(&[0xffff; 256]), None);
        assert_eq!(Disk::parse(&[0; 256]), None, "without sectors");
        assert_eq!((count_of(256), count_of(65536)), ([0, 1], [0, 0]));
    }

    proptest! {
        #[test]
        fn nothing_panics(words in proptest::array::uniform32(any::<u16>())) {
            let mut all = [0; 256];
            for (word, &value) in all.iter_mut().zip(words.iter().cycle()) {
                *word = value;
            }
            if let Some(disk) = Disk::parse(&all) {
                prop_assert!(disk.logical_block.is_power_of_two() && disk.depth >= 1);
            }
        }
    }
}
