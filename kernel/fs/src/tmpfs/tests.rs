//! Through the traits, as the VFS uses it.

use std::sync::Arc;
use std::vec::Vec;

use abi::Errno;
use abi::time::Timespec;
use nucleus::mm::source::Purpose;
use nucleus::sched::Wait;
use nucleus::vfs::bytes::{Buffer, Slice};
use nucleus::vfs::inode::{Removal, Renaming};
use nucleus::vfs::{Change, File, FileKind, FileSystem, Inode, Opening, Transfer};

use super::*;
use crate::test_support::{Names, boot, new_node};

const AT_ONCE: Opening = Opening { flags: 2, wait: Wait::NEVER };

fn at(position: u64) -> Transfer {
    Transfer { position, wait: Wait::NEVER }
}

fn read(file: &dyn File, position: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    let mut buffer = Buffer::new(&mut bytes);
    let count = file.read(&at(position), &mut buffer).unwrap();
    assert_eq!(count, buffer.filled());
    bytes.truncate(count);
    bytes
}

fn write(file: &dyn File, position: u64, bytes: &[u8]) -> Result<usize> {
    file.write(&at(position), &mut Slice(bytes))
}

fn file(directory: &Arc<dyn Inode>, name: &str) -> (Arc<dyn Inode>, Arc<dyn File>) {
    let inode = directory.create(name.as_bytes(), &new_node(FileKind::Regular)).unwrap();
    (inode.clone(), inode.open(&AT_ONCE).unwrap())
}

fn directory(above: &Arc<dyn Inode>, name: &str) -> Arc<dyn Inode> {
    above.create(name.as_bytes(), &new_node(FileKind::Directory)).unwrap()
}

fn names(directory: &Arc<dyn Inode>) -> Vec<String> {
    let mut names = Names::new(usize::MAX);
    directory.clone().open(&AT_ONCE).unwrap().list(0, &mut names).unwrap();
    assert_eq!(names.texts()[..2], [".", ".."]);
    names.texts()[2..].iter().map(ToString::to_string).collect()
}

fn links(inode: &Arc<dyn Inode>) -> u32 {
    inode.attributes().links
}

#[test]
fn bytes_come_back_and_holes_are_zeros() {
    let _boot = boot();
    let system = Tmpfs::new(b"").unwrap();
    let (inode, file) = file(&system.root(), "file");
    assert_eq!(write(&*file, 0, b"hello"), Ok(5));
    assert_eq!(write(&*file, 4094, b"across"), Ok(6));
    assert_eq!(inode.attributes().size, 4100);
    assert_eq!(inode.attributes().blocks, 16);
    assert_eq!(read(&*file, 0, 7), b"hello\0\0");
    assert_eq!(read(&*file, 4090, 100), b"\0\0\0\0across");
    assert_eq!(read(&*file, 4100, 1), b"");
    // Four gigabytes that cost one page.
    assert_eq!(write(&*file, 4 << 30, b"far"), Ok(3));
    assert_eq!(inode.attributes().blocks, 24);
    assert_eq!(read(&*file, 1 << 30, 10_000), [0; 10_000]);
    let long: Vec<u8> = (0..100_000u32).map(|number| (number % 253) as u8).collect();
    assert_eq!(write(&*file, 77, &long), Ok(100_000));
    assert_eq!(read(&*file, 77, 100_000), long);
    assert_eq!(write(&*file, i64::MAX as u64 - 1, b"end"), Ok(1));
    assert_eq!(write(&*file, i64::MAX as u64, b"end"), Err(Errno::EFBIG));
}

#[test]
fn a_cut_file_grows_again_with_zeros() {
    let boot = boot();
    let system = Tmpfs::new(b"").unwrap();
    let before = boot.machine.free_frames();
    let (inode, file) = file(&system.root(), "file");
    write(&*file, 0, &[7; 20_000]).unwrap();
    inode.change(&Change { size: Some(5000), ..Change::default() }).unwrap();
    assert_eq!(inode.attributes().blocks, 16);
    inode.change(&Change { size: Some(9000), ..Change::default() }).unwrap();
    assert_eq!(read(&*file, 4999, 9000)[..3], [7, 0, 0]);
    assert_eq!(inode.attributes().size, 9000);
    let too_large = Change { size: Some(1 << 63), ..Change::default() };
    assert_eq!(inode.change(&too_large), Err(Errno::EFBIG));
    system.root().remove(b"file", Removal::File).unwrap();
    assert_eq!(read(&*file, 0, 1), [7], "an open file stays without its name");
    drop((inode, file));
    assert!(boot.machine.free_frames() + 2 >= before, "only tables may stay");
    assert_eq!(system.statistics().free_blocks, system.statistics().blocks);
}

#[test]
fn mappings_and_reads_see_the_same_bytes() {
    let _boot = boot();
    let system = Tmpfs::new(b"").unwrap();
    let (inode, file) = file(&system.root(), "file");
    inode.change(&Change { size: Some(10_000), ..Change::default() }).unwrap();
    let pages = file.clone().pages().unwrap();
    assert!(pages.cached_page(1).is_none());
    let page = pages.page(1, Purpose::Write).unwrap();
    page.write(4, b"mapped");
    assert_eq!(read(&*file, 4096, 10), b"\0\0\0\0mapped");
    write(&*file, 4096, b"data").unwrap();
    let mut bytes = [0; 10];
    page.read(0, &mut bytes);
    assert_eq!(&bytes, b"datamapped");
    assert_eq!(pages.cached_page(1), Some(page));
    assert_eq!(pages.page(3, Purpose::Read), Err(Errno::ENXIO));
    assert_eq!(pages.identity(), (inode.attributes().device, inode.attributes().number));
}

#[test]
fn limits_hold() {
    let _boot = boot();
    let system = Tmpfs::new(b"size=8k,nr_inodes=3,mode=700").unwrap();
    let root = system.root();
    assert_eq!(root.attributes().permissions, 0o700);
    let (inode, file) = file(&root, "file");
    assert_eq!(write(&*file, 0, &[1; 10_000]), Ok(8192));
    assert_eq!(write(&*file, 8192, b"x"), Err(Errno::ENOSPC));
    assert_eq!(system.statistics().free_blocks, 0);
    root.link(b"second", &inode).unwrap();
    assert_eq!(root.create(b"third", &new_node(FileKind::Fifo)).err(), Some(Errno::ENOSPC));
    assert_eq!(root.link(b"third", &inode), Err(Errno::ENOSPC));
    root.remove(b"second", Removal::File).unwrap();
    assert_eq!(root.create(b"file", &new_node(FileKind::Fifo)).err(), Some(Errno::EEXIST));
    root.create(b"third", &new_node(FileKind::Fifo)).unwrap();
    assert_eq!(system.set_options(b"size=4k"), Err(Errno::EINVAL));
    system.set_options(b"size=12k").unwrap();
    assert_eq!(write(&*file, 8192, b"x"), Ok(1));
}

#[test]
fn directories_count_their_names() {
    let _boot = boot();
    let system = Tmpfs::new(b"").unwrap();
    let root = system.root();
    assert_eq!((links(&root), root.attributes().size), (2, 40));
    let below = directory(&root, "below");
    let (inode, _) = file(&below, "file");
    assert_eq!((links(&root), links(&below), root.attributes().size), (3, 2, 60));
    assert_eq!(root.remove(b"below", Removal::Directory), Err(Errno::ENOTEMPTY));
    assert_eq!(root.remove(b"below", Removal::File), Err(Errno::EISDIR));
    assert_eq!(below.remove(b"file", Removal::Directory), Err(Errno::ENOTDIR));
    assert_eq!(below.remove(b"none", Removal::File), Err(Errno::ENOENT));
    root.link(b"again", &inode).unwrap();
    assert_eq!(links(&inode), 2);
    below.remove(b"file", Removal::File).unwrap();
    assert_eq!(links(&inode), 1);
    root.remove(b"below", Removal::Directory).unwrap();
    assert_eq!((links(&root), links(&below)), (2, 0));
    let late = below.create(b"late", &new_node(FileKind::Regular));
    assert_eq!(late.err(), Some(Errno::ENOENT), "a removed directory takes no names");
    root.remove(b"again", Removal::File).unwrap();
    assert_eq!(root.link(b"ghost", &inode), Err(Errno::ENOENT), "its last name is gone");
    assert_eq!(inode.lookup(b"x").err(), Some(Errno::ENOTDIR));
}

#[test]
fn a_listing_stops_without_room_and_goes_on() {
    let _boot = boot();
    let system = Tmpfs::new(b"").unwrap();
    let root = system.root();
    for name in ["a", "b", "c", "d"] {
        file(&root, name);
    }
    let open = root.clone().open(&AT_ONCE).unwrap();
    let mut all = Vec::new();
    let mut position = 0;
    for _ in 0..6 {
        let mut names = Names::new(1);
        position = open.list(position, &mut names).unwrap();
        all.extend(names.texts().iter().map(ToString::to_string));
    }
    assert_eq!(all, [".", "..", "a", "b", "c", "d"]);
    let mut names = Names::new(1);
    assert_eq!(open.list(position, &mut names).unwrap(), position);
    assert!(names.found.is_empty());
}

#[test]
fn renames_replace_exchange_or_refuse() {
    let _boot = boot();
    let system = Tmpfs::new(b"").unwrap();
    let root = system.root();
    let (one, two) = (directory(&root, "one"), directory(&root, "two"));
    let (a, _) = file(&one, "a");
    let (b, _) = file(&two, "b");
    let rename = |from: &Arc<dyn Inode>, name: &str, to: &Arc<dyn Inode>, new: &str, how| {
        from.rename(name.as_bytes(), to, new.as_bytes(), how)
    };
    assert_eq!(rename(&one, "a", &two, "b", Renaming::NoReplace), Err(Errno::EEXIST));
    assert_eq!(rename(&one, "a", &two, "c", Renaming::Exchange), Err(Errno::ENOENT));
    assert_eq!(rename(&one, "x", &two, "c", Renaming::Replace), Err(Errno::ENOENT));
    rename(&one, "a", &two, "b", Renaming::Exchange).unwrap();
    assert!(Arc::ptr_eq(&one.lookup(b"a").unwrap(), &b) && Arc::ptr_eq(&two.lookup(b"b").unwrap(), &a));
    rename(&one, "a", &two, "b", Renaming::Replace).unwrap();
    assert_eq!((names(&one), names(&two)), (vec![], vec!["b".to_string()]));
    assert_eq!((links(&a), links(&b)), (0, 1));
    rename(&two, "b", &two, "c", Renaming::Replace).unwrap();
    assert_eq!(names(&two), ["c"]);
    two.link(b"d", &b).unwrap();
    rename(&two, "c", &two, "d", Renaming::Replace).unwrap();
    assert_eq!(names(&two), ["c", "d"], "two names of one file stay");

    // Directories: over empty ones only, and `..` follows.
    assert_eq!(rename(&root, "one", &root, "two", Renaming::Replace), Err(Errno::ENOTEMPTY));
    assert_eq!(rename(&two, "c", &root, "one", Renaming::Replace), Err(Errno::EISDIR));
    assert_eq!(rename(&root, "one", &two, "c", Renaming::Replace), Err(Errno::ENOTDIR));
    let inner = directory(&one, "inner");
    let empty = directory(&two, "empty");
    assert_eq!((links(&root), links(&one), links(&two)), (4, 3, 3));
    rename(&one, "inner", &two, "empty", Renaming::Replace).unwrap();
    assert_eq!((links(&one), links(&two), links(&empty), links(&inner)), (2, 3, 0, 2));
    let mut listed = Names::new(2);
    inner.clone().open(&AT_ONCE).unwrap().list(0, &mut listed).unwrap();
    assert_eq!(listed.found[1].1, two.attributes().number);
    assert_eq!(
        rename(&root, "two", &Tmpfs::new(b"").unwrap().root(), "x", Renaming::Replace),
        Err(Errno::EXDEV)
    );
}

#[test]
fn times_move_with_changes() {
    let boot = boot();
    let system = Tmpfs::new(b"").unwrap();
    let root = system.root();
    let (inode, file) = file(&root, "file");
    let tick = || {
        hal::simulation::advance_ns(1_000_000);
        nucleus::clock::realtime()
    };
    let before = inode.attributes();
    let now = tick();
    write(&*file, 0, b"x").unwrap();
    let written = inode.attributes();
    assert!(written.modified >= now && written.changed >= now && written.accessed == before.accessed);
    let now = tick();
    read(&*file, 0, 1);
    let first = inode.attributes().accessed;
    assert!(first >= now);
    tick();
    read(&*file, 0, 1);
    assert_eq!(inode.attributes().accessed, first, "relatime");
    let then = Timespec { seconds: -5, nanoseconds: 9 };
    inode.change(&Change { modified: Some(then), permissions: Some(0o4755), ..Change::default() }).unwrap();
    assert_eq!((inode.attributes().modified, inode.attributes().permissions), (then, 0o4755));
    let now = tick();
    root.remove(b"file", Removal::File).unwrap();
    assert!(root.attributes().modified >= now && inode.attributes().changed >= now);
    drop(boot);
}

#[test]
fn nameless_files_keep_their_seals() {
    let _boot = boot();
    let (inode, file) = anonymous(b"/memfd:x", Sealing::Allowed).unwrap();
    write(&*file, 0, &[1; 5000]).unwrap();
    assert_eq!(seals::get(&*file), Ok(0));
    seals::add(&*file, seals::SHRINK).unwrap();
    let resize = |size| inode.change(&Change { size: Some(size), ..Change::default() });
    assert_eq!(resize(4999), Err(Errno::EPERM));
    resize(6000).unwrap();
    seals::add(&*file, seals::GROW).unwrap();
    assert_eq!(resize(6001), Err(Errno::EPERM));
    assert_eq!(write(&*file, 5990, &[2; 20]), Err(Errno::EPERM));
    assert_eq!(write(&*file, 5990, &[2; 10]), Ok(10));
    seals::add(&*file, seals::WRITE | seals::SEAL).unwrap();
    assert_eq!(write(&*file, 0, b"x"), Err(Errno::EPERM));
    assert_eq!(seals::add(&*file, seals::WRITE), Err(Errno::EPERM));
    assert_eq!(seals::add(&*file, 0x100), Err(Errno::EINVAL));
    assert_eq!(seals::get(&*file), Ok(15));
    let mut name = Vec::new();
    file.pages().unwrap().describe(&mut name);
    assert_eq!(name, b"/memfd:x");
    let (_, sealed) = anonymous(b"", Sealing::Forbidden).unwrap();
    assert_eq!(seals::add(&*sealed, seals::WRITE), Err(Errno::EPERM));
    let system = Tmpfs::new(b"").unwrap();
    let (_, named) = super::tests::file(&system.root(), "file");
    assert_eq!(seals::get(&*named), Err(Errno::EINVAL));
}

#[test]
fn a_deep_tree_goes_without_a_deep_stack() {
    let boot = boot();
    let system = Tmpfs::new(b"nr_inodes=0").unwrap();
    let mut below = system.root();
    for _ in 0..20_000 {
        below = directory(&below, "d");
    }
    drop(below);
    let root = system.root();
    // A thread of the kernel, with the kernel's stack.
    let thread = crate::test_support::spawn("unmount", move || drop((system, root)));
    assert!(boot.run(&[thread]));
}

#[test]
fn links_and_fifos_and_devices_are_what_they_are() {
    let _boot = boot();
    let root = Tmpfs::new(b"").unwrap().root();
    let link = NewNode { target: b"../else/where", ..new_node(FileKind::Symlink) };
    let link = root.create(b"link", &link).unwrap();
    assert_eq!(link.read_link().unwrap(), b"../else/where");
    assert_eq!(link.attributes().size, 13);
    assert_eq!(root.read_link(), Err(Errno::EINVAL));
    let device = NewNode { device_number: 0x103, ..new_node(FileKind::CharDevice) };
    let device = root.create(b"null", &device).unwrap();
    assert_eq!(device.attributes().device_number, 0x103);
    assert_eq!(device.clone().open(&AT_ONCE).err(), Some(Errno::ENXIO));
    assert_eq!(device.change(&Change { size: Some(0), ..Change::default() }), Err(Errno::EINVAL));
    let fifo = root.create(b"fifo", &new_node(FileKind::Fifo)).unwrap();
    let both = fifo.clone().open(&AT_ONCE).unwrap();
    let reader = fifo.open(&Opening { flags: 0, wait: Wait::NEVER }).unwrap();
    write(&*both, 0, b"through").unwrap();
    assert_eq!(read(&*reader, 0, 100), b"through");
}
