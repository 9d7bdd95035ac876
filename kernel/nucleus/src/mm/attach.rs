//! Files mapped by their identity: what shmat(2) and shmdt(2) ask.

use abi::{Errno, Result};

use super::memory::Memory;
use super::source::Source;

impl Memory {
    /// How many areas have a file behind them.
    pub fn areas_of(&self, identity: (u64, u64)) -> usize {
        let areas = self.areas.lock();
        areas.map.iter().filter(|area| offset_in(&area.backing, identity).is_some()).count()
    }

    /// The first file that `is_wanted` agrees to of those whose first byte is mapped at `address`, or was before parts of
    /// it were unmapped.
    pub fn file_mapped_at(
        &self,
        address: u64,
        mut is_wanted: impl FnMut((u64, u64)) -> bool,
    ) -> Option<(u64, u64)> {
        let areas = self.areas.lock();
        areas.map.overlapping(address..u64::MAX).find_map(|area| match &area.backing {
            Source::File { file, offset } if area.start.checked_sub(address) == Some(*offset) => {
                Some(file.identity()).filter(|&identity| is_wanted(identity))
            }
            _ => None,
        })
    }

    /// Takes away all areas of a file that was mapped whole at `start`, as far as they are still where they were.
    ///
    /// # Errors
    /// EINVAL if there is none, ENOMEM.
    pub fn unmap_file(&self, start: u64, len: u64, identity: (u64, u64)) -> Result<()> {
        let mut at = start;
        let mut any = false;
        loop {
            let next = {
                let areas = self.areas.lock();
                let is_piece = |area_start: u64, offset: u64| area_start.checked_sub(start) == Some(offset);
                let mut pieces = areas.map.overlapping(at..start.saturating_add(len)).filter(|area| {
                    offset_in(&area.backing, identity).is_some_and(|offset| is_piece(area.start, offset))
                });
                pieces.next().map(|area| (area.start, area.end))
            };
            let Some((from, to)) = next else { break };
            self.unmap(from, to - from)?;
            any = true;
            at = to;
        }
        if any { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

/// Where in the file with this identity an area starts, if it has that file behind it.
fn offset_in(source: &Source, identity: (u64, u64)) -> Option<u64> {
    match source {
        Source::File { file, offset } if file.identity() == identity => Some(*offset),
        _ => None,
    }
}
