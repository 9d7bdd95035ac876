//! Extended attributes of files on a disk.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Result;
use ext2::Setting;
use nucleus::clock;
use nucleus::vfs::extended::{CAPABILITY, Extended, Placing};

use super::node::Node;

impl Extended for Node {
    fn get(&self, name: &[u8]) -> Result<Vec<u8>> {
        self.volume.state.lock().extended_attribute(self.ino, name)
    }

    fn set(&self, name: &[u8], value: &[u8], how: Placing) -> Result<()> {
        let setting = match how {
            Placing::Any => Setting::Any,
            Placing::Create => Setting::Create,
            Placing::Replace => Setting::Replace,
        };
        let (now, reserve) = (clock::realtime(), self.volume.reserve());
        self.volume.operate(|state| {
            state.set_extended_attribute(self.ino, name, value, setting, reserve, now)?;
            self.note_capability(name, THERE);
            Ok(())
        })?;
        self.refresh()
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        let (now, reserve) = (clock::realtime(), self.volume.reserve());
        self.volume.operate(|state| {
            state.remove_extended_attribute(self.ino, name, reserve, now)?;
            self.note_capability(name, ABSENT);
            Ok(())
        })?;
        self.refresh()
    }

    fn list(&self, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.volume.state.lock().list_extended_attributes(self.ino, visit)
    }

    fn gives_capabilities(&self) -> bool {
        match self.capability.load(Ordering::Acquire) {
            UNKNOWN => {
                let mut state = self.volume.state.lock();
                let is_there = state.extended_attribute(self.ino, CAPABILITY).is_ok();
                self.note_capability(CAPABILITY, if is_there { THERE } else { ABSENT });
                is_there
            }
            known => known == THERE,
        }
    }
}

/// What a node remembers of its [`CAPABILITY`].
pub(super) const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const THERE: u8 = 2;

impl Node {
    /// Remembers whether it is there, under the volume's lock.
    fn note_capability(&self, name: &[u8], now: u8) {
        if name == CAPABILITY {
            self.capability.store(now, Ordering::Release);
        }
    }
}
