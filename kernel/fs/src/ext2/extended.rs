//! Extended attributes of files on a disk.

use alloc::vec::Vec;

use abi::Result;
use ext2::Setting;
use nucleus::clock;
use nucleus::vfs::extended::{Extended, Placing};

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
        self.volume
            .operate(|state| state.set_extended_attribute(self.ino, name, value, setting, reserve, now))?;
        self.refresh()
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        let (now, reserve) = (clock::realtime(), self.volume.reserve());
        self.volume.operate(|state| state.remove_extended_attribute(self.ino, name, reserve, now))?;
        self.refresh()
    }

    fn list(&self, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.volume.state.lock().list_extended_attributes(self.ino, visit)
    }
}
