//! The vDSO: code of the kernel's that programs run themselves, as bytes, and the writer of the page it reads.
//!
//! Who maps it puts the page of [`DataPage`] right below the first byte of [`IMAGE`], readable, and the image readable
//! and executable, and tells the program the image's address as AT_SYSINFO_EHDR. The code is `vdso-image`, which
//! `build.rs` compiles and links; the form is Linux's (vdso(7)).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::mem::offset_of;

use abi::vdso::{Counter, CpuNumber, DATA_BYTES, DataPage};

#[repr(C, align(4096))]
struct Pages<T: ?Sized>(T);

static PAGES: &Pages<[u8]> = &Pages(*include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so")));

/// The shared object: whole pages, at the start of one.
pub static IMAGE: &[u8] = &PAGES.0;

const _: () = assert!(size_of::<DataPage>() <= DATA_BYTES, "the data is one page");

/// What the page tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// How the cycle counter becomes time; `None` if programs are to ask the kernel.
    pub counter: Option<Counter>,
    /// Nanoseconds from 1970 to the zero of the monotonic clock.
    pub booted_at_ns: u64,
    /// Where programs find the number of their CPU.
    pub cpu_number: CpuNumber,
}

/// Writes the page while programs read it. One for each page, and one at a time: keep it under a lock.
#[derive(Debug, Default)]
pub struct Writer {
    sequence: u64,
}

impl Writer {
    /// For a page of zeros.
    pub const fn new() -> Self {
        Writer { sequence: 0 }
    }

    /// Makes the page say `data`. `write` stores bytes at an offset of the page, in the order of the calls, as
    /// `SharedFrame::write` does. A program that reads meanwhile reads again.
    pub fn publish(&mut self, data: &Data, mut write: impl FnMut(usize, &[u8])) {
        let counter = data.counter.unwrap_or_default();
        let mut put = |offset: usize, word: u64| write(offset, &word.to_le_bytes());
        // From even to odd only the lowest byte changes, so it does not matter in how many pieces the store is made.
        put(offset_of!(DataPage, sequence), self.sequence | 1);
        put(offset_of!(DataPage, is_usable), data.counter.is_some().into());
        put(offset_of!(DataPage, counter.base_cycles), counter.base_cycles);
        put(offset_of!(DataPage, counter.multiplier), counter.multiplier);
        put(offset_of!(DataPage, counter.shift), counter.shift);
        put(offset_of!(DataPage, booted_at_ns), data.booted_at_ns);
        put(offset_of!(DataPage, cpu_number), data.cpu_number as u64);
        self.sequence = self.sequence.wrapping_add(2);
        put(offset_of!(DataPage, sequence), self.sequence);
    }
}
