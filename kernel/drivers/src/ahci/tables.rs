//! Memory that a port and the controller share: the list of commands, a table for each, and what the disk sends.

use abi::{Errno, Result};
use hal::dma::{BusAddress, Dma, Reach};
use logic::ata::{Disk, Width, count_of};

/// Commands of a port, whether it holds so many or not.
const SLOTS: usize = 32;
const HEADER: usize = 32;
const RECEIVED_AT: usize = SLOTS * HEADER;
const RECEIVED_LEN: usize = 256;
/// Tables are a KiB each: 128 bytes, then pieces of memory of 16.
const TABLE: usize = 1024;
const TABLE_HEAD: usize = 128;
const PIECE: usize = 16;
/// Pieces of memory of a command.
pub(super) const PIECES: usize = (TABLE - TABLE_HEAD) / PIECE;

const HEADER_WRITES: u32 = 1 << 6;
const HEADER_FRAME_WORDS: u32 = 5;
/// A frame from host to device that carries a command.
const FRAME_COMMAND: [u8; 2] = [0x27, 0x80];
const DEVICE_BY_SECTOR: u8 = 1 << 6;
const QUEUED_DURABLE: u8 = 1 << 7;

/// A command in the disk's language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) command: u8,
    pub(super) block: u64,
    pub(super) blocks: u64,
    pub(super) writes: bool,
    /// Native queueing: the slot is its tag, and the count stands elsewhere.
    pub(super) is_queued: bool,
    pub(super) is_durable: bool,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Tables {
    lists: Dma,
    tables: Dma,
}

impl Tables {
    /// # Errors
    /// ENOMEM.
    pub(super) fn new(slots: usize, reach: Reach) -> Result<Self> {
        let lists = Dma::new(RECEIVED_AT + RECEIVED_LEN, reach)?;
        Ok(Tables { lists, tables: Dma::new(slots.min(SLOTS) * TABLE, reach)? })
    }

    pub(super) fn list(&self) -> BusAddress {
        self.lists.address(0)
    }

    pub(super) fn received(&self) -> BusAddress {
        self.lists.address(RECEIVED_AT)
    }

    /// Writes a command into a slot.
    ///
    /// # Errors
    /// EINVAL if it has too many pieces, or one that is no even number of bytes; EFAULT if the controller does not reach
    /// one.
    pub(super) fn write(
        &self,
        slot: usize,
        task: &Task,
        width: Width,
        pieces: impl Iterator<Item = (BusAddress, u32)>,
    ) -> Result<()> {
        let base =
            slot.checked_mul(TABLE).filter(|base| base + TABLE <= self.tables.len()).ok_or(Errno::EINVAL)?;
        let mut count = 0;
        for (address, len) in pieces {
            if count == PIECES || len == 0 || !len.is_multiple_of(2) {
                return Err(Errno::EINVAL);
            }
            let at = base + TABLE_HEAD + count * PIECE;
            self.tables.write(at, address.get());
            self.tables.write(at + 8, u64::from(len - 1) << 32);
            count += 1;
        }
        self.write_frame(base, slot, task, width);
        let pieces = u32::try_from(count).map_err(|_| Errno::EINVAL)? << 16;
        let writes = if task.writes { HEADER_WRITES } else { 0 };
        let header = slot * HEADER;
        self.lists.write(header, HEADER_FRAME_WORDS | writes | pieces);
        self.lists.write(header + 4, 0_u32);
        self.lists.write(header + 8, self.tables.address(base).get());
        Ok(())
    }

    fn write_frame(&self, base: usize, slot: usize, task: &Task, width: Width) {
        let count = count_of(task.blocks);
        let [a, b, c, d, e, f, ..] = task.block.to_le_bytes();
        let tag = u8::try_from(slot).unwrap_or(0) << 3;
        let durable = if task.is_durable && task.is_queued { QUEUED_DURABLE } else { 0 };
        let (features, count) = if task.is_queued { (count, [tag, 0]) } else { ([0; 2], count) };
        let device = match width {
            Width::Wide => DEVICE_BY_SECTOR | durable,
            Width::Narrow => DEVICE_BY_SECTOR | d & 15,
        };
        let wide = if width == Width::Wide { [d, e, f] } else { [0; 3] };
        let [kind, is_command] = FRAME_COMMAND;
        self.tables.write(base, u32::from_le_bytes([kind, is_command, task.command, features[0]]));
        self.tables.write(base + 4, u32::from_le_bytes([a, b, c, device]));
        self.tables.write(base + 8, u32::from_le_bytes([wide[0], wide[1], wide[2], features[1]]));
        self.tables.write(base + 12, u32::from_le_bytes([count[0], count[1], 0, 0]));
        self.tables.write(base + 16, 0_u32);
    }
}

/// Bytes of a command at most.
pub(super) fn max_sectors(disk: &Disk) -> u64 {
    let per_block = u64::from(disk.logical_block / 512);
    (PIECES as u64 * 8).min(disk.width.max_blocks() * per_block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_laid_out_as_the_specification_says() {
        let _machine = hal::simulation::machine();
        let _cpu = hal::simulation::occupy(0);
        let tables = Tables::new(32, Reach::FourGib).unwrap();
        let data = Dma::new(4096, Reach::FourGib).unwrap();
        let task = Task {
            command: 0x61,
            block: 0x0605_0403_0201,
            blocks: 0x1002,
            writes: true,
            is_queued: true,
            is_durable: true,
        };
        let piece = || core::iter::once((data.address(0), 4096));
        tables.write(3, &task, Width::Wide, piece()).unwrap();
        let bytes: Vec<u8> = (0..16).map(|at| tables.tables.read(3 * TABLE + at)).collect();
        let expected = [0x27, 0x80, 0x61, 0x02, 1, 2, 3, 0xc0, 4, 5, 6, 0x10, 3 << 3, 0, 0, 0];
        assert_eq!(bytes, expected);
        assert_eq!(tables.tables.read::<u32>(3 * TABLE + 0x80 + 12), 4095);
        assert_eq!(tables.lists.read::<u32>(3 * 32), 1 << 16 | 1 << 6 | 5);
        let task = Task {
            command: 0xc8,
            block: 0x0a02_0304,
            blocks: 256,
            writes: false,
            is_queued: false,
            is_durable: false,
        };
        tables.write(0, &task, Width::Narrow, piece()).unwrap();
        let bytes: Vec<u8> = (0..16).map(|at| tables.tables.read(at)).collect();
        assert_eq!(bytes, [0x27, 0x80, 0xc8, 0, 4, 3, 2, 0x4a, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(tables.write(32, &task, Width::Narrow, piece()), Err(Errno::EINVAL));
        let many = (0..=PIECES).map(|_| (data.address(0), 512));
        assert_eq!(tables.write(0, &task, Width::Narrow, many), Err(Errno::EINVAL));
    }
}
