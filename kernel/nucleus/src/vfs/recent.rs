//! Names that each CPU found lately, so that a warm walk takes no lock that another CPU takes.
//!
//! A small table a CPU, under a lock of its own (rank `RecentNames`) that no other CPU ever waits for: from a directory and
//! a name to what is seen there, whatever is mounted on it included. A row counts only as long as nothing was removed,
//! renamed or mounted since ([`forget_all`] says so, in one number that is read and not written here), and only names that
//! change through us alone are kept. Rows hold nothing alive: what is gone is looked up anew.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use hal::percpu::PerCpu;
use hal::rank;
use hal::smp;
use hal::spin::{Lock, Once};

use super::entry::{Entry, Name};
use super::mount::{Mount, Place};

/// Rows of each CPU.
const ROWS: usize = 256;

struct Row {
    generation: u64,
    mount: Weak<Mount>,
    directory: Weak<Entry>,
    name: Name,
    found_mount: Weak<Mount>,
    found: Weak<Entry>,
}

type Table = Vec<Option<Row>>;

static TABLES: Once<PerCpu<Lock<Table, rank::RecentNames>>> = Once::new();
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Makes the tables. Without memory for them, walks are only slower.
pub fn init() {
    let made = PerCpu::new(smp::present(), |_| {
        let mut rows = Vec::new();
        rows.try_reserve_exact(ROWS).map_err(|_| abi::Errno::ENOMEM)?;
        rows.resize_with(ROWS, || None);
        Ok(Lock::new(rows))
    });
    if let Ok(tables) = made {
        TABLES.call_once(|| tables);
    }
}

/// Something was removed, renamed or mounted: no row counts any more.
pub(super) fn forget_all() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// What rows that are made from what is looked up now will count by. To be asked before looking.
pub(super) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

fn row_of(directory: &Place, name: &[u8]) -> usize {
    // FNV-1a over the name, from the place's address on.
    let seed = Arc::as_ptr(&directory.entry).addr() as u64 ^ Arc::as_ptr(&directory.mount).addr() as u64;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = name.iter().fold(seed.rotate_right(5) ^ 0xcbf2_9ce4_8422_2325, mix);
    usize::try_from(hash >> 32).unwrap_or(0) % ROWS
}

/// What is called `name` in `directory`, if this CPU has seen it lately.
pub(super) fn find(directory: &Place, name: &[u8]) -> Option<Place> {
    let tables = TABLES.get()?;
    let rows = tables.here().lock();
    let row = rows.get(row_of(directory, name))?.as_ref()?;
    let is_it = row.generation == generation()
        && core::ptr::eq(row.directory.as_ptr(), Arc::as_ptr(&directory.entry))
        && core::ptr::eq(row.mount.as_ptr(), Arc::as_ptr(&directory.mount))
        && *row.name == *name;
    if !is_it {
        return None;
    }
    Some(Place { mount: row.found_mount.upgrade()?, entry: row.found.upgrade()? })
}

/// Notes what was found, as of `generation`.
pub(super) fn note(directory: &Place, name: Name, found: &Place, generation: u64) {
    let Some(tables) = TABLES.get() else { return };
    let row = Row {
        generation,
        mount: Arc::downgrade(&directory.mount),
        directory: Arc::downgrade(&directory.entry),
        found_mount: Arc::downgrade(&found.mount),
        found: Arc::downgrade(&found.entry),
        name,
    };
    let place = row_of(directory, &row.name);
    let old = tables.here().lock().get_mut(place).and_then(|slot| slot.replace(row));
    // Without the lock: it may free memory.
    drop(old);
}
