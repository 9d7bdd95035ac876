//! The vDSO: code of the kernel's that programs run themselves, to learn the time without a system call.
//!
//! Runs in user mode, in every program, under the program's rights. It has no data, allocates nothing, calls nothing and
//! cannot panic; the linker refuses what is undefined. It reads the page below itself ([`abi::vdso`]), which only the kernel
//! writes. A bad pointer faults, as it does in Linux's. Functions: vdso(7); names and version: Linux,
//! arch/x86/entry/vdso/vdso.lds.S. `unsafe` is here for reading that page, for the instructions that tell cycles and CPU,
//! for system calls, and for storing where the program says.

#![no_std]

use core::arch::asm;
use core::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

use abi::sysno::{CLOCK_GETRES, CLOCK_GETTIME, GETCPU, GETTIMEOFDAY, TIME};
use abi::time::{NANOS, Timespec, Timeval};
use abi::vdso::{COARSE_RESOLUTION_NS, CpuNumber, DATA_BYTES, DataPage, NODE_SHIFT};

const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_MONOTONIC_RAW: i32 = 4;
const CLOCK_REALTIME_COARSE: i32 = 5;
const CLOCK_MONOTONIC_COARSE: i32 = 6;
const CLOCK_BOOTTIME: i32 = 7;
const CLOCK_TAI: i32 = 11;

/// clock_gettime(2).
///
/// # Safety
/// `to` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_clock_gettime(clock: i32, to: *mut Timespec) -> i32 {
    let now = match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_TAI => realtime_ns(),
        CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE | CLOCK_BOOTTIME => monotonic_ns(),
        _ => None,
    };
    let Some(now) = now else {
        return status(system_call(CLOCK_GETTIME, clock_argument(clock), to.addr(), 0));
    };
    // SAFETY: the caller vouches for `to`.
    unsafe { to.write(Timespec::from_ns(now)) };
    0
}

/// clock_getres(2).
///
/// # Safety
/// `to` is writable or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_clock_getres(clock: i32, to: *mut Timespec) -> i32 {
    let resolution = match clock {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_BOOTTIME | CLOCK_TAI => 1,
        CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE => COARSE_RESOLUTION_NS,
        _ => return status(system_call(CLOCK_GETRES, clock_argument(clock), to.addr(), 0)),
    };
    if !to.is_null() {
        // SAFETY: the caller vouches for `to`.
        unsafe { to.write(Timespec::from_ns(resolution)) };
    }
    0
}

/// gettimeofday(2).
///
/// # Safety
/// `to` and `zone` are writable or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_gettimeofday(to: *mut Timeval, zone: *mut [u32; 2]) -> i32 {
    let Some(now) = realtime_ns() else {
        return status(system_call(GETTIMEOFDAY, to.addr(), zone.addr(), 0));
    };
    if !to.is_null() {
        // SAFETY: the caller vouches for `to`.
        unsafe { to.write(Timeval::from_ns(now)) };
    }
    if !zone.is_null() {
        // SAFETY: the caller vouches for `zone`.
        unsafe { zone.write([0, 0]) };
    }
    0
}

/// time(2).
///
/// # Safety
/// `to` is writable or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_time(to: *mut i64) -> i64 {
    let Some(now) = realtime_ns() else {
        return system_call(TIME, to.addr(), 0, 0);
    };
    let seconds = (now / NANOS).cast_signed();
    if !to.is_null() {
        // SAFETY: the caller vouches for `to`.
        unsafe { to.write(seconds) };
    }
    seconds
}

/// getcpu(2).
///
/// # Safety
/// `cpu` and `node` are writable or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_getcpu(cpu: *mut u32, node: *mut u32, cache: *mut u8) -> i64 {
    let Some(word) = cpu_word() else {
        return system_call(GETCPU, cpu.addr(), node.addr(), cache.addr());
    };
    if !cpu.is_null() {
        // SAFETY: the caller vouches for `cpu`.
        unsafe { cpu.write(word & ((1 << NODE_SHIFT) - 1)) };
    }
    if !node.is_null() {
        // SAFETY: the caller vouches for `node`.
        unsafe { node.write(word >> NODE_SHIFT) };
    }
    0
}

/// Nanoseconds since boot, or `None` if only the kernel knows.
#[inline(always)]
fn monotonic_ns() -> Option<u64> {
    read_clock().map(|(monotonic, _)| monotonic)
}

/// Nanoseconds since 1970, or `None` if only the kernel knows.
#[inline(always)]
fn realtime_ns() -> Option<u64> {
    read_clock().map(|(monotonic, booted_at)| monotonic.saturating_add(booted_at))
}

/// The monotonic time, and what it lacks to the time of day.
#[inline(always)]
fn read_clock() -> Option<(u64, u64)> {
    loop {
        let sequence = read(offset_of!(DataPage, sequence));
        if sequence & 1 != 0 {
            core::hint::spin_loop();
            continue;
        }
        // x86 keeps loads in order; only the compiler must be told.
        compiler_fence(Ordering::Acquire);
        let is_usable = read(offset_of!(DataPage, is_usable)) != 0;
        let counter = abi::vdso::Counter {
            base_cycles: read(offset_of!(DataPage, counter.base_cycles)),
            multiplier: read(offset_of!(DataPage, counter.multiplier)),
            shift: read(offset_of!(DataPage, counter.shift)),
        };
        let booted_at = read(offset_of!(DataPage, booted_at_ns));
        let cycles = cycles();
        compiler_fence(Ordering::Acquire);
        if read(offset_of!(DataPage, sequence)) == sequence {
            return is_usable.then(|| (counter.nanoseconds(cycles), booted_at));
        }
    }
}

/// What the kernel put into TSC_AUX, if it did.
#[inline(always)]
fn cpu_word() -> Option<u32> {
    const RDTSCP: u64 = CpuNumber::Rdtscp as u64;
    const RDPID: u64 = CpuNumber::Rdpid as u64;
    match read(offset_of!(DataPage, cpu_number)) {
        RDTSCP => {
            let mut word = 0;
            // SAFETY: the kernel names it only where it exists; it stores to `word` alone.
            unsafe { __rdtscp(&raw mut word) };
            Some(word)
        }
        RDPID => {
            let word: u32;
            // SAFETY: the kernel names it only where it exists; it changes nothing else.
            unsafe { asm!("rdpid {:r}", out(reg) word, options(nomem, nostack, preserves_flags)) };
            Some(word)
        }
        _ => None,
    }
}

/// The page below the first byte of this image.
#[inline(always)]
fn data() -> *const u8 {
    let page: *const u8;
    // SAFETY: computes an address. `__ehdr_start` is the linker's name for the image's first byte.
    unsafe {
        asm!("lea {}, [rip + __ehdr_start - {}]", out(reg) page, const DATA_BYTES,
            options(nomem, nostack, preserves_flags, pure));
    }
    page
}

/// Reads the field at `offset` of the page, which the kernel may be changing.
#[inline(always)]
fn read(offset: usize) -> u64 {
    let field = data().wrapping_add(offset).cast::<u64>();
    // SAFETY: every caller names a field of `DataPage`, all of which are aligned words, and the kernel maps the page
    // readable below the image. Volatile, because the kernel writes behind the compiler's back.
    unsafe { ptr::read_volatile(field) }
}

/// The cycle counter, not before what was read earlier: the fence keeps RDTSC from running ahead (SDM volume 2, RDTSC).
#[inline(always)]
fn cycles() -> u64 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_lfence() };
    // SAFETY: every x86-64 CPU has RDTSC, and the kernel leaves CR4.TSD clear.
    unsafe { _rdtsc() }
}

/// Asks the kernel instead.
#[inline(always)]
fn system_call(number: usize, first: usize, second: usize, third: usize) -> i64 {
    let result: i64;
    // SAFETY: only the calls named above come here; they store where the program told, as its own call would.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") first, in("rsi") second, in("rdx") third,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// The register that an `int` is passed in: the kernel looks at its lower half.
#[inline(always)]
const fn clock_argument(clock: i32) -> usize {
    clock.cast_unsigned() as usize
}

/// A result as an `int`: 0 or a small negative number.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the sign and the lower bits are all there is")]
const fn status(result: i64) -> i32 {
    result as i32
}
