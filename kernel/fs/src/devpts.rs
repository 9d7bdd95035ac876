//! `/dev/pts`: the slaves of ptys by number, and `ptmx`, which makes new ones (pts(4), Linux's devpts.rst).
//!
//! Each mount is an instance of its own, with numbers of its own. What opens a slave or a master lies above: a node only
//! says which instance it is of ([`instance_of`]) and what was put behind it ([`slave_of`]). Locks: rank `Inode`,
//! sleeping, around the slaves of an instance.

mod options;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::file::device_number;
use abi::{Errno, Result};
use hal::rank;
use nucleus::sched::Mutex;
use nucleus::vfs::inode::{Naming, Removal};
use nucleus::vfs::{
    Attributes, Change, File, FileKind, FileSystem, Inode, Listing, NewNode, Opening, Place, Statistics,
};

use crate::identity;
use crate::shown::Shown;
pub use options::Options;

/// Linux's `DEVPTS_SUPER_MAGIC`.
const MAGIC: u64 = 0x1cd1;
/// The major number of slaves.
pub const MAJOR: u32 = 136;
/// `/dev/ptmx`, in whatever directory.
pub const PTMX: u64 = device_number(5, 2);
const ROOT_NUMBER: u64 = 1;
const PTMX_NUMBER: u64 = 2;
/// The inode number of slave 0.
const FIRST_SLAVE: u64 = 3;

/// Ptys there may be, of all instances (`/proc/sys/kernel/pty/max`).
pub static MAX: AtomicU32 = AtomicU32::new(4096);
/// Ptys there are.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// How many ptys there are (`/proc/sys/kernel/pty/nr`).
pub fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// What is behind a slave's node.
pub type Slave = Arc<dyn Any + Send + Sync>;

/// A mount's ptys.
pub struct Instance {
    device: u64,
    root: Shown,
    ptmx: Arc<Node>,
    state: Mutex<State, rank::Inode>,
}

struct State {
    options: Options,
    /// By number; reserved, and not yet to be seen, without a node.
    slaves: BTreeMap<u32, Option<Arc<Node>>>,
}

/// A file system.
pub struct Devpts {
    root: Arc<Root>,
}

/// The directory.
struct Root(Arc<Instance>);

/// A device in it.
struct Node {
    shown: Shown,
    slave: Option<Slave>,
}

/// `ptmx` knows its instance only while somebody looks it up.
struct Ptmx {
    node: Arc<Node>,
    instance: Arc<Instance>,
}

/// A number that no other pty has; given back when dropped.
pub struct Number {
    instance: Arc<Instance>,
    number: u32,
}

impl Devpts {
    /// An empty file system with these mount options.
    ///
    /// # Errors
    /// EINVAL for options that mean nothing.
    pub fn new(options: &[u8]) -> Result<Arc<Self>> {
        let options = Options::default().with(options)?;
        let device = identity::new_device();
        let node = |kind, permissions, device_number| NewNode {
            kind,
            permissions,
            user: 0,
            group: 0,
            device_number,
            target: b"",
        };
        let ptmx = node(FileKind::CharDevice, options.ptmx_permissions, PTMX);
        let ptmx = Node { shown: Shown::new(device, PTMX_NUMBER, &ptmx), slave: None };
        let instance = Instance {
            device,
            root: Shown::new(device, ROOT_NUMBER, &node(FileKind::Directory, 0o755, 0)),
            ptmx: Arc::new(ptmx),
            state: Mutex::new(State { options, slaves: BTreeMap::new() }),
        };
        Ok(Arc::new(Devpts { root: Arc::new(Root(Arc::new(instance))) }))
    }
}

impl FileSystem for Devpts {
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn kind(&self) -> &'static str {
        "devpts"
    }

    fn statistics(&self) -> Statistics {
        Statistics { magic: MAGIC, block_size: 4096, ..Statistics::default() }
    }

    fn remount(&self, _is_read_only: bool, options: &[u8]) -> Result<()> {
        let instance = &self.root.0;
        let mut state = instance.state.lock();
        state.options = state.options.with(options)?;
        let permissions = Some(state.options.ptmx_permissions);
        instance.ptmx.shown.change(&Change { permissions, ..Change::default() });
        Ok(())
    }

    fn naming(&self) -> Naming {
        Naming::Volatile
    }
}

/// The instance that opening `ptmx` at `place` uses: its own, or that of `pts` beside it.
///
/// # Errors
/// ENOENT if there is no `pts`, ENODEV if it is something else.
pub fn instance_of(place: &Place) -> Result<Arc<Instance>> {
    if let Some(ptmx) = place.inode().as_any().downcast_ref::<Ptmx>() {
        return Ok(ptmx.instance.clone());
    }
    beside(place).map(|(instance, _)| instance)
}

/// The node of slave `number` of the instance that `ptmx` at `place` uses, and the way to it.
///
/// # Errors
/// ENODEV, ENOENT.
pub fn slave_place(place: &Place, number: u32) -> Result<Place> {
    let root = if place.inode().as_any().is::<Ptmx>() {
        parent(place).ok_or(Errno::ENODEV)?
    } else {
        beside(place)?.1
    };
    root.child(format!("{number}").as_bytes())
}

fn parent(place: &Place) -> Option<Place> {
    let entry = place.entry.parent()?;
    Some(Place { mount: place.mount.clone(), entry })
}

fn beside(place: &Place) -> Result<(Arc<Instance>, Place)> {
    let pts = parent(place).ok_or(Errno::ENODEV)?.child(b"pts")?;
    let root = pts.inode().as_any().downcast_ref::<Root>().ok_or(Errno::ENODEV)?;
    Ok((root.0.clone(), pts))
}

/// What was put behind the slave's node at `place`, if it is one.
pub fn slave_of(place: &Place) -> Option<Slave> {
    place.inode().as_any().downcast_ref::<Node>()?.slave.clone()
}

impl Instance {
    /// The lowest number that is free.
    ///
    /// # Errors
    /// ENOSPC if there may be no more.
    pub fn reserve(self: &Arc<Self>) -> Result<Number> {
        let most = MAX.load(Ordering::Relaxed);
        let more = |count: u32| count.checked_add(1).filter(|&count| count <= most);
        COUNT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| Errno::ENOSPC)?;
        let mut state = self.state.lock();
        let number = (0..state.options.max).zip(state.slaves.keys()).find(|(free, taken)| free != *taken);
        let number = number.map_or(state.slaves.len(), |(free, _)| free as usize);
        match u32::try_from(number).ok().filter(|&number| number < state.options.max) {
            Some(number) => {
                state.slaves.insert(number, None);
                drop(state);
                Ok(Number { instance: self.clone(), number })
            }
            None => {
                COUNT.fetch_sub(1, Ordering::Relaxed);
                Err(Errno::ENOSPC)
            }
        }
    }
}

impl Number {
    /// The number.
    pub fn get(&self) -> u32 {
        self.number
    }

    /// Shows a node for it, with what is behind it; `user` and `group` made it.
    pub fn publish(&self, slave: Slave, user: u32, group: u32) {
        let instance = &self.instance;
        let mut state = instance.state.lock();
        let new = NewNode {
            kind: FileKind::CharDevice,
            permissions: state.options.permissions,
            user: state.options.user.unwrap_or(user),
            group: state.options.group.unwrap_or(group),
            device_number: device_number(MAJOR, self.number),
            target: b"",
        };
        let shown = Shown::new(instance.device, FIRST_SLAVE + u64::from(self.number), &new);
        let node = Arc::new(Node { shown, slave: Some(slave) });
        state.slaves.insert(self.number, Some(node));
        instance.root.touch_modified();
    }

    /// Takes the node away again; the number stays taken.
    pub fn withdraw(&self) {
        let gone = self.instance.state.lock().slaves.insert(self.number, None);
        self.instance.root.touch_modified();
        drop(gone);
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let gone = self.instance.state.lock().slaves.remove(&self.number);
        drop(gone);
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inode for Root {
    fn attributes(&self) -> Attributes {
        self.0.root.attributes()
    }

    fn change(&self, change: &Change) -> Result<()> {
        self.0.root.change(change);
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        if name == b"ptmx" {
            return Ok(Arc::new(Ptmx { node: self.0.ptmx.clone(), instance: self.0.clone() }));
        }
        let text = core::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        let number: u32 = text.parse().map_err(|_| Errno::ENOENT)?;
        // A number has one name: no sign, no zeros before it.
        if format!("{number}") != text {
            return Err(Errno::ENOENT);
        }
        let node: Arc<dyn Inode> =
            self.0.state.lock().slaves.get(&number).cloned().flatten().ok_or(Errno::ENOENT)?;
        Ok(node)
    }

    fn create(&self, _name: &[u8], new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        Err(if new.kind == FileKind::Regular { Errno::EACCES } else { Errno::EPERM })
    }

    fn remove(&self, _name: &[u8], _removal: Removal) -> Result<()> {
        Err(Errno::EPERM)
    }

    fn open(self: Arc<Self>, _opening: &Opening) -> Result<Arc<dyn File>> {
        Ok(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Root {
    fn list(&self, position: u64, to: &mut dyn Listing) -> Result<u64> {
        let device = FileKind::CharDevice;
        let fixed: [(&[u8], u64, FileKind); 3] = [
            (b".", ROOT_NUMBER, FileKind::Directory),
            (b"..", ROOT_NUMBER, FileKind::Directory),
            (b"ptmx", PTMX_NUMBER, device),
        ];
        let mut next = position;
        for (name, number, kind) in fixed.into_iter().skip(usize::try_from(position).unwrap_or(3)) {
            if !to.add(name, number, kind, next + 1) {
                return Ok(next);
            }
            next += 1;
        }
        // Positions are inode numbers: a name that goes moves no other.
        let first = u32::try_from(next.saturating_sub(FIRST_SLAVE)).unwrap_or(u32::MAX);
        let state = self.0.state.lock();
        for (number, node) in state.slaves.range(first..) {
            let own = FIRST_SLAVE + u64::from(*number);
            if node.is_some() && !to.add(format!("{number}").as_bytes(), own, device, own + 1) {
                return Ok(own);
            }
            next = own + 1;
        }
        Ok(next)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Inode for Node {
    fn attributes(&self) -> Attributes {
        self.shown.attributes()
    }

    fn change(&self, change: &Change) -> Result<()> {
        self.shown.change(change);
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Inode for Ptmx {
    fn attributes(&self) -> Attributes {
        self.node.attributes()
    }

    fn change(&self, change: &Change) -> Result<()> {
        self.node.change(change)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::boot;

    fn number(instance: &Arc<Instance>) -> Number {
        instance.reserve().unwrap()
    }

    #[test]
    fn numbers_are_the_lowest_and_names_come_and_go() {
        let _boot = boot();
        let system = Devpts::new(b"gid=5,mode=620,max=3").unwrap();
        let (root, instance) = (system.root(), system.root.0.clone());
        let (first, second) = (number(&instance), number(&instance));
        assert_eq!((first.get(), second.get()), (0, 1));
        assert_eq!(root.lookup(b"1").err(), Some(Errno::ENOENT), "it is not published");
        second.publish(Arc::new(7_u32), 1000, 100);
        let attributes = root.lookup(b"1").unwrap().attributes();
        assert_eq!((attributes.user, attributes.group, attributes.permissions), (1000, 5, 0o620));
        assert_eq!(attributes.device_number, device_number(MAJOR, 1));
        for name in [&b"01"[..], b"+1", b"", b"2", b"x"] {
            assert_eq!(root.lookup(name).err(), Some(Errno::ENOENT));
        }
        drop(first);
        let (again, third) = (number(&instance), number(&instance));
        assert_eq!((again.get(), third.get()), (0, 2));
        assert_eq!(instance.reserve().err(), Some(Errno::ENOSPC));
        second.withdraw();
        assert_eq!(root.lookup(b"1").err(), Some(Errno::ENOENT));
    }

    #[test]
    fn options_change_by_remounting() {
        let _boot = boot();
        let system = Devpts::new(b"newinstance").unwrap();
        let ptmx = || system.root().lookup(b"ptmx").unwrap().attributes();
        assert_eq!((ptmx().permissions, ptmx().device_number), (0, PTMX));
        system.remount(false, b"ptmxmode=0666").unwrap();
        assert_eq!(ptmx().permissions, 0o666);
        assert_eq!(system.remount(false, b"size=1"), Err(Errno::EINVAL));
    }
}
