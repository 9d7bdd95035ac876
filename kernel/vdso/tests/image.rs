//! Loads the vDSO into this process, below it a page that the writer fills, and calls it.
//!
//! The host is the oracle: its clock, its CPU numbers (Linux keeps TSC_AUX as Nacre does), its answers to what the vDSO
//! leaves to the kernel.

use std::arch::x86_64::{__cpuid, __cpuid_count, _rdtsc};
use std::ffi::{c_int, c_long, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{mem, ptr, thread};

use abi::time::{NANOS, Timespec, Timeval};
use abi::vdso::{COARSE_RESOLUTION_NS, Counter, CpuNumber, DATA_BYTES};
use goblin::elf::Elf;
use goblin::elf::dynamic::{DT_REL, DT_RELA, DT_TEXTREL};
use goblin::elf::program_header::{PF_R, PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_LOAD};
use logic::calibrate::Scale;
use vdso::{Data, IMAGE, Writer};

const REALTIME: c_int = 0;
const MONOTONIC: c_int = 1;
const PROCESS_CPU: c_int = 2;
const REALTIME_COARSE: c_int = 5;
const NO_CLOCK: c_int = 99;
const EINVAL: c_int = 22;

/// What goblin has no name for.
const DT_RELR: u64 = 36;

const FUNCTIONS: [&str; 5] = ["clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu"];

const PROT_READ: c_int = 1;
const PROT_WRITE: c_int = 2;
const PROT_EXEC: c_int = 4;
const MAP_PRIVATE: c_int = 2;
const MAP_ANONYMOUS: c_int = 32;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        len: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: c_long,
    ) -> *mut c_void;
    fn mprotect(at: *mut c_void, len: usize, protection: c_int) -> c_int;
    fn munmap(at: *mut c_void, len: usize) -> c_int;
    fn clock_gettime(clock: c_int, to: *mut Timespec) -> c_int;
    fn sched_getcpu() -> c_int;
}

/// The vDSO as a program has it: a page of data, then the image.
struct Loaded {
    start: *mut u8,
    writer: Mutex<Writer>,
}

// SAFETY: the image has no state, and the page is written under a lock and read as the vDSO reads it.
unsafe impl Sync for Loaded {}

impl Loaded {
    fn new(data: &Data) -> Self {
        let len = DATA_BYTES + IMAGE.len();
        let flags = MAP_PRIVATE | MAP_ANONYMOUS;
        // SAFETY: a mapping of its own, anywhere.
        let start = unsafe { mmap(ptr::null_mut(), len, PROT_READ | PROT_WRITE, flags, -1, 0) }.cast::<u8>();
        assert!(!start.is_null() && start.addr() != usize::MAX, "mmap failed");
        let image = start.wrapping_add(DATA_BYTES);
        // SAFETY: the mapping is that long and new.
        unsafe { ptr::copy_nonoverlapping(IMAGE.as_ptr(), image, IMAGE.len()) };
        // SAFETY: the image's part of that mapping, which nobody writes any more.
        assert_eq!(unsafe { mprotect(image.cast(), IMAGE.len(), PROT_READ | PROT_EXEC) }, 0);
        let loaded = Loaded { start, writer: Mutex::new(Writer::new()) };
        loaded.publish(data);
        loaded
    }

    fn publish(&self, data: &Data) {
        self.writer.lock().expect("no panic under the lock").publish(data, |offset, bytes| {
            assert!(offset + bytes.len() <= DATA_BYTES);
            for (place, &byte) in bytes.iter().enumerate() {
                // SAFETY: within the page, as was just checked; volatile, because the vDSO reads meanwhile.
                unsafe { self.start.wrapping_add(offset + place).write_volatile(byte) };
            }
        });
    }

    /// The address of a function, as a loader finds it.
    fn function(&self, name: &str) -> *const u8 {
        let elf = Elf::parse(IMAGE).expect("an ELF file");
        let found = elf.dynsyms.iter().find(|symbol| elf.dynstrtab.get_at(symbol.st_name) == Some(name));
        let value = found.unwrap_or_else(|| panic!("no symbol {name}")).st_value;
        self.start.wrapping_add(DATA_BYTES + usize::try_from(value).expect("an offset"))
    }

    fn clock_call(&self, name: &str, clock: c_int) -> Result<u64, c_int> {
        // SAFETY: the symbol is this function (`linux/vdso`), loaded and executable.
        let call: extern "C" fn(c_int, *mut Timespec) -> c_int =
            unsafe { mem::transmute(self.function(name)) };
        let mut time = Timespec::default();
        match call(clock, &raw mut time) {
            0 => Ok(time.to_ns().expect("a valid time")),
            error => Err(-error),
        }
    }

    fn now(&self, clock: c_int) -> Result<u64, c_int> {
        self.clock_call("__vdso_clock_gettime", clock)
    }

    fn timeofday(&self, zone: *mut [u32; 2]) -> Timeval {
        let function = self.function("__vdso_gettimeofday");
        // SAFETY: as in `clock_call`.
        let call: extern "C" fn(*mut Timeval, *mut [u32; 2]) -> c_int = unsafe { mem::transmute(function) };
        let mut time = Timeval::default();
        assert_eq!(call(ptr::null_mut(), ptr::null_mut()), 0);
        assert_eq!(call(&raw mut time, zone), 0);
        time
    }

    fn time(&self) -> i64 {
        // SAFETY: as in `clock_call`.
        let call: extern "C" fn(*mut i64) -> i64 = unsafe { mem::transmute(self.function("__vdso_time")) };
        let mut stored = 0;
        let returned = call(&raw mut stored);
        assert!(call(ptr::null_mut()) >= returned);
        assert_eq!(stored, returned);
        returned
    }

    fn cpu(&self) -> (u32, u32) {
        let function = self.function("__vdso_getcpu");
        // SAFETY: as in `clock_call`.
        let call: extern "C" fn(*mut u32, *mut u32, *mut u8) -> c_long = unsafe { mem::transmute(function) };
        let (mut cpu, mut node) = (u32::MAX, u32::MAX);
        assert_eq!(call(ptr::null_mut(), ptr::null_mut(), ptr::null_mut()), 0);
        assert_eq!(call(&raw mut cpu, &raw mut node, ptr::null_mut()), 0);
        (cpu, node)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: nobody calls into it any more.
        unsafe { munmap(self.start.cast(), DATA_BYTES + IMAGE.len()) };
    }
}

fn cycles() -> u64 {
    // SAFETY: every x86-64 has RDTSC.
    unsafe { _rdtsc() }
}

fn host_now(clock: c_int) -> u64 {
    let mut time = Timespec::default();
    // SAFETY: `time` is writable.
    assert_eq!(unsafe { clock_gettime(clock, &raw mut time) }, 0);
    time.to_ns().expect("a valid time")
}

/// A counter of `hz` that is zero at `base_cycles`, by the kernel's own arithmetic.
fn counter(hz: u64, base_cycles: u64) -> Counter {
    let scale = Scale::to_nanoseconds(hz);
    Counter { base_cycles, multiplier: scale.multiplier(), shift: scale.shift().into() }
}

fn data(counter: Counter) -> Data {
    Data { counter: Some(counter), booted_at_ns: 0, cpu_number: CpuNumber::SystemCall }
}

/// The frequency of the host's counter, by its clock.
fn host_hz() -> u64 {
    let (start, first) = (Instant::now(), cycles());
    thread::sleep(Duration::from_millis(100));
    let (passed, ticks) = (start.elapsed().as_nanos(), cycles() - first);
    u64::try_from(u128::from(ticks) * u128::from(NANOS) / passed).expect("a frequency")
}

#[test]
fn the_form_is_that_of_linux() {
    let elf = Elf::parse(IMAGE).unwrap();
    assert!(elf.is_lib && elf.is_64 && elf.little_endian);
    assert_eq!(elf.soname, Some("linux-vdso.so.1"));
    assert!(IMAGE.len() <= 2 * 4096, "{} bytes", IMAGE.len());
    assert!(IMAGE.len().is_multiple_of(4096) && IMAGE.as_ptr().addr().is_multiple_of(4096));

    let header = |kind| elf.program_headers.iter().filter(move |header| header.p_type == kind);
    let loaded: Vec<_> = header(PT_LOAD).collect();
    assert_eq!(loaded.len(), 1, "one segment");
    assert_eq!((loaded[0].p_vaddr, loaded[0].p_offset, loaded[0].p_flags), (0, 0, PF_R | PF_X));
    assert_eq!(loaded[0].p_filesz, loaded[0].p_memsz, "no data");
    assert_eq!((header(PT_DYNAMIC).count(), header(PT_GNU_EH_FRAME).count()), (1, 1));

    let dynamic = elf.dynamic.as_ref().unwrap();
    let tags: Vec<u64> = dynamic.dyns.iter().map(|entry| entry.d_tag).collect();
    assert!([DT_REL, DT_RELA, DT_RELR, DT_TEXTREL].iter().all(|tag| !tags.contains(tag)), "{tags:?}");
    assert!(elf.libraries.is_empty());
    assert!(elf.dynsyms.iter().skip(1).all(|symbol| !symbol.is_import()), "nothing is undefined");
}

#[test]
fn functions_have_linux_names_and_version() {
    let elf = Elf::parse(IMAGE).unwrap();
    let definitions = elf.verdef.as_ref().unwrap();
    let wanted = definitions.iter().find(|definition| {
        definition.iter().next().is_some_and(|name| elf.dynstrtab.get_at(name.vda_name) == Some("LINUX_2.6"))
    });
    let version = wanted.expect("the version LINUX_2.6").vd_ndx;
    let versions: Vec<u16> = elf.versym.as_ref().unwrap().iter().map(|entry| entry.version()).collect();
    for name in FUNCTIONS {
        for name in [format!("__vdso_{name}"), name.to_string()] {
            let mut symbols = elf.dynsyms.iter().enumerate();
            let found = symbols.find(|(_, symbol)| elf.dynstrtab.get_at(symbol.st_name) == Some(&name));
            let (place, symbol) = found.unwrap_or_else(|| panic!("no symbol {name}"));
            assert!(symbol.is_function() && versions[place] == version, "{name}");
        }
    }
    assert_eq!(elf.dynsyms.len(), 1 + 2 * FUNCTIONS.len(), "and no others");
}

#[test]
fn both_sides_compute_the_same() {
    let mut seed = 1_u64;
    for _ in 0..100_000 {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let (hz, value) = ((seed >> 20) % 6_000_000_000 + 1, seed.rotate_left(32) >> (seed % 64));
        let scale = Scale::to_nanoseconds(hz);
        let base = seed >> (seed % 50 + 10);
        let expected = scale.apply(value.saturating_sub(base));
        assert_eq!(counter(hz, base).nanoseconds(value), expected, "{hz} Hz, {base}, {value}");
    }
}

#[test]
fn time_is_the_kernels_to_the_nanosecond() {
    let counter = counter(2_345_678_901, cycles() - 1_000_000_000);
    let loaded = Loaded::new(&Data { booted_at_ns: 5 * NANOS, ..data(counter) });
    for (clock, offset) in [(0, 5), (1, 0), (4, 0), (5, 5), (6, 0), (7, 0), (11, 5)] {
        let before = counter.nanoseconds(cycles()) + offset * NANOS;
        let told = loaded.now(clock).unwrap();
        let after = counter.nanoseconds(cycles()) + offset * NANOS;
        assert!((before..=after).contains(&told), "clock {clock}: {before} <= {told} <= {after}");
    }
    let mut zone = [7, 7];
    let before = counter.nanoseconds(cycles()) + 5 * NANOS;
    let told = loaded.timeofday(&raw mut zone).to_ns().unwrap();
    let after = counter.nanoseconds(cycles()) + 5 * NANOS;
    assert!((before / 1000 * 1000..=after).contains(&told), "{before} <= {told} <= {after}");
    assert_eq!(zone, [0, 0]);
    let seconds = u64::try_from(loaded.time()).unwrap();
    assert!((before / NANOS..=counter.nanoseconds(cycles()) / NANOS + 5).contains(&seconds));
}

#[test]
fn the_hosts_clock_agrees() {
    let hz = host_hz();
    let (base, zero) = (cycles(), host_now(MONOTONIC));
    let realtime = host_now(REALTIME);
    let loaded = Loaded::new(&Data { booted_at_ns: realtime, ..data(counter(hz, base)) });
    thread::sleep(Duration::from_millis(50));
    let (told, host) = (loaded.now(MONOTONIC).unwrap(), host_now(MONOTONIC) - zero);
    assert!(told.abs_diff(host) < 5_000_000, "{told} and {host}");
    let (told, host) = (loaded.now(REALTIME).unwrap(), host_now(REALTIME));
    assert!(told.abs_diff(host) < 5_000_000, "{told} and {host}");
}

#[test]
fn time_never_goes_back_and_sticks_to_its_ends() {
    let loaded = Loaded::new(&data(counter(1_000_000_000, cycles())));
    let mut last = 0;
    for _ in 0..100_000 {
        let now = loaded.now(MONOTONIC).unwrap();
        assert!(now >= last);
        last = now;
    }
    loaded.publish(&data(counter(1_000_000_000, u64::MAX)));
    assert_eq!(loaded.now(MONOTONIC), Ok(0));
    loaded.publish(&Data { booted_at_ns: u64::MAX, ..data(counter(1_000_000_000, 0)) });
    assert_eq!(loaded.now(REALTIME), Ok(u64::MAX));
}

#[test]
fn other_clocks_are_the_kernels_business() {
    let loaded = Loaded::new(&data(counter(1_000_000_000, cycles())));
    let (before, told) = (host_now(PROCESS_CPU), loaded.now(PROCESS_CPU).unwrap());
    assert!((before..=host_now(PROCESS_CPU)).contains(&told));
    assert_eq!(loaded.now(NO_CLOCK), Err(EINVAL));
    assert_eq!(loaded.clock_call("__vdso_clock_getres", NO_CLOCK), Err(EINVAL));
    assert_eq!(loaded.clock_call("__vdso_clock_getres", PROCESS_CPU), Ok(1));
}

#[test]
fn resolutions_are_those_of_linux() {
    let loaded = Loaded::new(&data(counter(1_000_000_000, cycles())));
    for clock in [REALTIME, MONOTONIC] {
        assert_eq!(loaded.clock_call("__vdso_clock_getres", clock), Ok(1));
    }
    assert_eq!(loaded.clock_call("__vdso_clock_getres", REALTIME_COARSE), Ok(COARSE_RESOLUTION_NS));
}

#[test]
fn without_a_counter_the_kernel_tells_the_time() {
    let loaded = Loaded::new(&Data { counter: None, booted_at_ns: 0, cpu_number: CpuNumber::SystemCall });
    for clock in [REALTIME, MONOTONIC] {
        let (before, told) = (host_now(clock), loaded.now(clock).unwrap());
        assert!((before..=host_now(clock)).contains(&told), "clock {clock}");
    }
    let mut zone = [7, 7];
    let told = loaded.timeofday(&raw mut zone).to_ns().unwrap();
    assert!(host_now(REALTIME) - told < NANOS);
    let told = u64::try_from(loaded.time()).unwrap();
    assert!(host_now(REALTIME) / NANOS - told <= 1);
}

#[test]
fn the_cpu_is_told_in_each_way_there_is() {
    let has_rdtscp = __cpuid(0x8000_0001).edx & 1 << 27 != 0;
    let has_rdpid = __cpuid_count(7, 0).ecx & 1 << 22 != 0;
    let mut sources = vec![CpuNumber::SystemCall];
    sources.extend(has_rdtscp.then_some(CpuNumber::Rdtscp));
    sources.extend(has_rdpid.then_some(CpuNumber::Rdpid));
    for source in sources {
        let loaded = Loaded::new(&Data { counter: None, booted_at_ns: 0, cpu_number: source });
        let agrees = (0..100).any(|_| {
            // SAFETY: only asks; the thread may move between the two, hence several tries.
            let before = unsafe { sched_getcpu() };
            loaded.cpu().0.cast_signed() == before
        });
        assert!(agrees, "{source:?}");
        assert!(loaded.cpu().1 < 64, "{source:?}: the node is {}", loaded.cpu().1);
    }
}

/// One counter ticks in hours and its time of day starts far off, the other does not: a mixture would tell.
#[test]
fn a_reader_never_sees_half_a_change() {
    const FAR: u64 = 1 << 62;
    let now = cycles();
    let near = Data { booted_at_ns: 0, ..data(counter(1_000_000_000, now)) };
    let far = Data { booted_at_ns: FAR, ..data(Counter { base_cycles: u64::MAX, multiplier: 1, shift: 0 }) };
    let loaded = Loaded::new(&near);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                loaded.publish(&far);
                loaded.publish(&near);
            }
        });
        let (start, mut both) = (Instant::now(), [0_u64; 2]);
        while start.elapsed() < Duration::from_millis(200) {
            let told = loaded.now(REALTIME).unwrap();
            let is_far = told == FAR;
            assert!(is_far || told < 600 * NANOS, "{told:#x} is neither");
            both[usize::from(is_far)] += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(both.iter().all(|&count| count > 0), "{both:?}");
    });
}
