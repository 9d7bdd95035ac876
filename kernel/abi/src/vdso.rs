//! The page that the kernel writes and the vDSO reads: how the cycle counter becomes time.
//!
//! It lies one page below the vDSO's first byte in every program. Both sides use this file: `vdso` writes the page,
//! `vdso-image` is the code that reads it.

/// How far below the vDSO the page lies, and its size.
pub const DATA_BYTES: usize = 4096;

/// What clock_getres(2) says of the coarse clocks: the tick of Linux.
pub const COARSE_RESOLUTION_NS: u64 = 4_000_000;

/// The page. Every field has eight bytes, so there is no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DataPage {
    /// Odd while the kernel changes the rest. Who read an odd one, or another one before than after, reads again.
    pub sequence: u64,
    /// Not 0 if the counter is good for time; else the system call tells it.
    pub is_usable: u64,
    /// How the counter becomes time.
    pub counter: Counter,
    /// Nanoseconds from 1970 to the zero of the monotonic clock.
    pub booted_at_ns: u64,
    /// A [`CpuNumber`].
    pub cpu_number: u64,
}

/// Nanoseconds are `(cycles - base_cycles) * multiplier >> shift`, with a product of 128 bits, and 0 before the base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    /// The counter when the monotonic clock was zero.
    pub base_cycles: u64,
    /// What cycles are multiplied by.
    pub multiplier: u64,
    /// By how many bits the product is shifted: less than 128.
    pub shift: u64,
}

/// Where a program finds the number of its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum CpuNumber {
    /// The system call tells it.
    SystemCall = 0,
    /// RDTSCP gives what the kernel put into TSC_AUX.
    Rdtscp = 1,
    /// RDPID gives the same.
    Rdpid = 2,
}

/// Below these bits of TSC_AUX is the CPU's number, above them its node.
pub const NODE_SHIFT: u32 = 12;

impl Counter {
    /// The time at which the counter shows `cycles`; what 64 bits cannot hold (584 years) sticks to their end.
    #[inline(always)]
    pub fn nanoseconds(&self, cycles: u64) -> u64 {
        let product = u128::from(cycles.saturating_sub(self.base_cycles)) * u128::from(self.multiplier);
        u64::try_from(product >> (self.shift & 127)).unwrap_or(u64::MAX)
    }
}
