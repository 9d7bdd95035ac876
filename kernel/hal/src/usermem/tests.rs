//! User copies on the simulated machine, whose user memory is what the loaded page tables say.

use std::sync::Arc;

use logic::addr::{PAGE_LEN, PAGE_SIZE, VirtAddr};

use super::*;
use crate::context;
use crate::frames;
use crate::paging::Protection;
use crate::simulation::{self, Machine};
use crate::space::AddressSpace;

/// Two pages that can be written, one that can be read, one that is not there.
const WRITABLE: u64 = 0x40_0000;
const READABLE: u64 = WRITABLE + 2 * PAGE_SIZE;
const MISSING: u64 = READABLE + PAGE_SIZE;
const TOP: u64 = arch::USER_TOP;

/// A program's memory on this CPU while it lives.
struct Program {
    _machine: Machine,
}

impl Program {
    fn load() -> Self {
        let machine = simulation::machine();
        context::adopt();
        let space = AddressSpace::new().unwrap();
        let pages = [
            (WRITABLE, Protection::USER_WRITE),
            (WRITABLE + PAGE_SIZE, Protection::USER_WRITE),
            (READABLE, Protection::USER_READ),
            (TOP - PAGE_SIZE, Protection::USER_WRITE),
        ];
        for (page, protection) in pages {
            let frame = frames::SharedFrame::new_zeroed().unwrap();
            space.map(VirtAddr::new(page), frame, protection).unwrap();
        }
        context::enter_space(Some(Arc::new(space)));
        Program { _machine: machine }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        context::enter_space(None);
    }
}

fn numbered(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

#[test]
fn bytes_come_back_across_page_ends() {
    let _program = Program::load();
    for (start, len) in [(WRITABLE, 2 * PAGE_LEN), (WRITABLE + 4090, 13), (WRITABLE + 4095, 2), (TOP - 3, 3)]
    {
        let bytes = numbered(len);
        assert_eq!(write_bytes(start, &bytes), Ok(()));
        let mut back = vec![0; len];
        assert_eq!(read_bytes(&mut back, start), Ok(()));
        assert_eq!(back, bytes);
        assert_eq!(zero_bytes(start, len), Ok(()));
        assert_eq!(read_bytes(&mut back, start), Ok(()));
        assert!(back.iter().all(|&byte| byte == 0));
    }
    assert_eq!(read::<u64>(READABLE + PAGE_SIZE - 8), Ok(0));
    assert_eq!(write(WRITABLE + 4093, &0x0102_0304_0506_0708_u64), Ok(()));
    assert_eq!(read::<[u8; 8]>(WRITABLE + 4093), Ok([8, 7, 6, 5, 4, 3, 2, 1]));
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "under a spin lock")]
fn no_spin_lock_is_held_across_a_copy() {
    let _program = Program::load();
    let lock = crate::spin::Lock::<_, crate::rank::Log>::new(());
    let _held = lock.lock();
    let _ = read::<u8>(WRITABLE);
}

#[test]
fn what_is_not_user_memory_is_efault() {
    let _program = Program::load();
    let kernel = 0xffff_8880_0000_0000;
    let places = [
        (TOP, 1),
        (TOP - 1, 2),
        (TOP - PAGE_SIZE, PAGE_LEN + 1),
        (kernel, 1),
        (u64::MAX, 1),
        (u64::MAX - 3, 4),
        (u64::MAX - 3, 8),
        (MISSING, 1),
        (MISSING - 1, 2),
        (0, 1),
    ];
    for (address, len) in places {
        let mut bytes = vec![0; len];
        assert_eq!(read_bytes(&mut bytes, address), Err(Errno::EFAULT), "reading {len} at {address:#x}");
        assert_eq!(write_bytes(address, &bytes), Err(Errno::EFAULT), "writing {len} at {address:#x}");
        assert_eq!(zero_bytes(address, len), Err(Errno::EFAULT), "clearing {len} at {address:#x}");
    }
    for len in [usize::MAX, usize::MAX - 4096, 1 << 62] {
        assert_eq!(zero_bytes(WRITABLE, len), Err(Errno::EFAULT), "a length of {len:#x}");
    }
    assert_eq!(write_bytes(READABLE, &[1]), Err(Errno::EFAULT), "it can only be read");
    assert_eq!(zero_bytes(READABLE, 1), Err(Errno::EFAULT));
    assert_eq!(read::<u8>(READABLE), Ok(0));
}

#[test]
fn no_bytes_need_no_memory() {
    let _program = Program::load();
    for address in [0, MISSING, READABLE, TOP] {
        assert_eq!(read_bytes(&mut [], address), Ok(()));
        assert_eq!(write_bytes(address, &[]), Ok(()));
        assert_eq!(zero_bytes(address, 0), Ok(()));
    }
}

#[test]
fn bytes_before_a_fault_are_copied() {
    let _program = Program::load();
    let start = READABLE - 5;
    assert_eq!(write_bytes(start, &[7; 9]), Err(Errno::EFAULT));
    assert_eq!(read::<[u8; 5]>(start), Ok([7; 5]));
    assert_eq!(read::<u32>(READABLE), Ok(0), "what is after the fault is not");
}

#[test]
fn a_word_is_exchanged_where_it_can_be_written_and_is_aligned() {
    let _program = Program::load();
    let word = WRITABLE + 4092;
    assert_eq!(write(word, &5_u32), Ok(()));
    assert_eq!(compare_exchange(word, 4, 9), Ok(5), "another value was found");
    assert_eq!(read(word), Ok(5_u32));
    assert_eq!(compare_exchange(word, 5, 9), Ok(5));
    assert_eq!(read(word), Ok(9_u32));
    for address in [READABLE, MISSING, 0, TOP, u64::MAX - 3] {
        assert_eq!(compare_exchange(address, 0, 1), Err(Errno::EFAULT), "{address:#x}");
    }
    // As futex(2): the alignment is looked at before the address.
    for address in [WRITABLE + 1, WRITABLE + 2, WRITABLE + 3, TOP - 2, TOP + 1, u64::MAX] {
        assert_eq!(compare_exchange(address, 0, 1), Err(Errno::EINVAL), "{address:#x}");
    }
}

#[test]
fn a_space_gives_everything_back() {
    let program = Program::load();
    let before = program._machine.free_frames();
    let space = AddressSpace::new().unwrap();
    for page in [0, 1 << 21, 1 << 30, 1 << 39, TOP - PAGE_SIZE] {
        let frame = frames::SharedFrame::new_zeroed().unwrap();
        assert_eq!(space.map(VirtAddr::new(page), frame, Protection::USER_WRITE), Ok(()));
    }
    let frame = frames::SharedFrame::new_zeroed().unwrap();
    assert_eq!(space.map(VirtAddr::ZERO, frame, Protection::USER_READ), Err(Errno::EEXIST));
    for (page, protection) in [
        (TOP, Protection::USER_READ),
        (4097, Protection::USER_READ),
        (1 << 47, Protection::USER_READ),
        (8192, Protection::KERNEL_DATA),
    ] {
        let frame = frames::SharedFrame::new_zeroed().unwrap();
        assert_eq!(space.map(VirtAddr::new(page), frame, protection), Err(Errno::EINVAL));
    }
    drop(space);
    assert_eq!(program._machine.free_frames(), before);
}
