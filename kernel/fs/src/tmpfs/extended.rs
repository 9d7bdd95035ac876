//! Extended attributes of files in memory: `trusted.` and `security.`, as Linux's of before 6.6. What any user may set would
//! have to count against the file system's size.

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::{Errno, Result};
use nucleus::sched::Mutex;
use nucleus::vfs::extended::{CAPABILITY, Extended, Placing};

use super::node::Node;

/// A name and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The most that one file has, names and values.
const MOST: usize = 64 << 10;

fn check_name(name: &[u8]) -> Result<()> {
    let is_known = name.starts_with(b"trusted.") || name.starts_with(b"security.");
    if is_known { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

fn copied(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Errno::ENOMEM)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

impl Extended for Node {
    fn get(&self, name: &[u8]) -> Result<Vec<u8>> {
        check_name(name)?;
        let Some(pairs) = self.extended.get() else { return Err(Errno::ENODATA) };
        let pairs = pairs.lock();
        let (_, value) = pairs.iter().find(|(known, _)| known == name).ok_or(Errno::ENODATA)?;
        copied(value)
    }

    fn set(&self, name: &[u8], value: &[u8], how: Placing) -> Result<()> {
        check_name(name)?;
        let pair = (copied(name)?, copied(value)?);
        let mut pairs = self.extended.call_once(|| Box::new(Mutex::new(Vec::new()))).lock();
        let place = pairs.iter().position(|(known, _)| known == name);
        match (how, place) {
            (Placing::Create, Some(_)) => return Err(Errno::EEXIST),
            (Placing::Replace, None) => return Err(Errno::ENODATA),
            _ => {}
        }
        let others = pairs.iter().filter(|(known, _)| known != name);
        let used: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if used + name.len() + value.len() > MOST {
            return Err(Errno::ENOSPC);
        }
        match place.and_then(|place| pairs.get_mut(place)) {
            Some(known) => *known = pair,
            None => {
                pairs.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                pairs.push(pair);
            }
        }
        drop(pairs);
        self.shown.touch_changed();
        Ok(())
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        check_name(name)?;
        let mut pairs = self.extended.get().ok_or(Errno::ENODATA)?.lock();
        let place = pairs.iter().position(|(known, _)| known == name).ok_or(Errno::ENODATA)?;
        pairs.swap_remove(place);
        drop(pairs);
        self.shown.touch_changed();
        Ok(())
    }

    fn list(&self, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        if let Some(pairs) = self.extended.get() {
            pairs.lock().iter().for_each(|(name, _)| visit(name));
        }
        Ok(())
    }

    fn gives_capabilities(&self) -> bool {
        let has = |pairs: &[Pair]| pairs.iter().any(|(name, _)| name == CAPABILITY);
        self.extended.get().is_some_and(|pairs| has(&pairs.lock()))
    }
}
