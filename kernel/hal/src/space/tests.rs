//! Ranges of pages: nothing leaks, nothing is left behind, nothing is split for nothing.

use super::*;
use crate::simulation;

const BASE: u64 = 0x4000_0000;
const LOW: VirtAddr = VirtAddr::new(0);
const TOP: VirtAddr = VirtAddr::new(arch::USER_TOP);

fn at(page: u64) -> VirtAddr {
    VirtAddr::new(BASE + page * PAGE_SIZE)
}

fn fill(space: &AddressSpace, pages: core::ops::Range<u64>) {
    for page in pages {
        let frame = SharedFrame::new_zeroed().unwrap();
        frame.write(0, &page.to_le_bytes());
        space.map(at(page), frame, Protection::USER_WRITE).unwrap();
    }
}

fn first_word(space: &AddressSpace, page: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    space.lookup(at(page))?.frame.read(0, &mut bytes);
    Some(u64::from_le_bytes(bytes))
}

#[test]
fn an_unmapped_range_leaves_no_page_and_no_table() {
    let machine = simulation::machine();
    let space = AddressSpace::new().unwrap();
    let before = machine.free_frames();
    // More than a batch, over three tables.
    fill(&space, 500..1100);
    assert_eq!(space.resident_pages(), 600);
    space.unmap(at(501), at(1099), at(501), at(1099)).unwrap();
    assert_eq!(space.resident_pages(), 2);
    assert_eq!(first_word(&space, 500), Some(500));
    assert_eq!(first_word(&space, 501), None);
    assert_eq!(first_word(&space, 1099), Some(1099));
    space.unmap(at(500), at(1100), LOW, TOP).unwrap();
    assert_eq!(space.resident_pages(), 0);
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn a_large_page_is_split_where_a_range_cuts_it() {
    let machine = simulation::machine();
    let space = AddressSpace::new().unwrap();
    let before = machine.free_frames();
    let large = || LargeFrame::new_zeroed().unwrap();
    space.map_large(at(0), large(), Protection::USER_WRITE).unwrap();
    space.map_large(at(512), large(), Protection::USER_WRITE).unwrap();
    assert_eq!(space.map_large(at(512), large(), Protection::USER_WRITE), Err(Errno::EEXIST));
    assert_eq!(space.map_large(at(513), large(), Protection::USER_WRITE), Err(Errno::EINVAL));
    space.unmap(at(500), at(600), at(500), at(600)).unwrap();
    assert_eq!(space.resident_pages(), 924);
    assert!(space.lookup(at(499)).is_some() && space.lookup(at(600)).is_some());
    assert!(space.lookup(at(500)).is_none() && space.lookup(at(599)).is_none());
    space.protect(at(0), at(10), Protection::USER_NONE).unwrap();
    assert!(!space.lookup(at(9)).unwrap().protection.is_readable());
    assert!(space.lookup(at(10)).unwrap().protection.is_writable());
    space.unmap(at(0), at(1024), LOW, TOP).unwrap();
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn a_child_shares_until_somebody_writes() {
    let machine = simulation::machine();
    let before = machine.free_frames();
    let (parent, child) = (AddressSpace::new().unwrap(), AddressSpace::new().unwrap());
    fill(&parent, 510..514);
    parent.map_large(at(1024), LargeFrame::new_zeroed().unwrap(), Protection::USER_WRITE).unwrap();
    parent.copy_to(&child, at(511), at(1536), Copying::OnWrite).unwrap();
    assert_eq!(child.resident_pages(), 3 + 512);
    assert_eq!(first_word(&child, 510), None);
    assert_eq!(first_word(&child, 513), Some(513));
    assert!(parent.lookup(at(510)).unwrap().protection.is_writable());
    assert!(!parent.lookup(at(511)).unwrap().protection.is_writable());
    // Shared: nobody may simply write it.
    assert!(!parent.make_writable(at(511), Copying::OnWrite));
    assert!(!child.make_writable(at(1024), Copying::OnWrite));
    let copy = Frame::copy_of(&parent.lookup(at(511)).unwrap().frame).unwrap().share();
    parent.replace(at(511), copy, Protection::USER_WRITE).unwrap();
    assert_eq!(first_word(&parent, 511), Some(511));
    let piece = SharedFrame::new_zeroed().unwrap();
    child.replace(at(1030), piece, Protection::USER_WRITE).unwrap();
    assert_eq!(child.resident_pages(), 3 + 512);
    // Now alone.
    assert!(child.make_writable(at(511), Copying::OnWrite));
    drop(parent);
    assert!(child.make_writable(at(1024), Copying::OnWrite));
    drop(child);
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn moved_pages_keep_their_contents() {
    let machine = simulation::machine();
    let space = AddressSpace::new().unwrap();
    let before = machine.free_frames();
    fill(&space, 10..20);
    space.map_large(at(512), LargeFrame::new_zeroed().unwrap(), Protection::USER_WRITE).unwrap();
    space.move_pages(at(10), at(20), at(2000)).unwrap();
    assert_eq!((first_word(&space, 10), first_word(&space, 2003)), (None, Some(13)));
    space.move_pages(at(512), at(1024), at(4096)).unwrap();
    assert_eq!(space.lookup(at(4096)).unwrap().size, PageSize::Large);
    space.move_pages(at(4096), at(4608), at(6001)).unwrap();
    assert_eq!(space.lookup(at(6001)).unwrap().size, PageSize::Small);
    assert_eq!(space.resident_pages(), 522);
    space.unmap(at(0), at(8192), LOW, TOP).unwrap();
    assert_eq!(machine.free_frames(), before);
}
