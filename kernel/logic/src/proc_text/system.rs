//! The system: `/proc/meminfo`, `stat`, `uptime`, `loadavg`, `cpuinfo`, `vmstat`, `buddyinfo`, mounts, locks on files.

use super::text::{Text, line};
use super::ticks;
use crate::locks::{self, Kind, Range};

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the kernel manages.
    pub total: u64,
    /// What nobody uses.
    pub free: u64,
    /// What could be had without harm.
    pub available: u64,
    /// Pages of disks themselves.
    pub buffers: u64,
    /// Pages of files.
    pub cached: u64,
    /// Those that the disk does not have.
    pub dirty: u64,
    /// Those on their way to it.
    pub writing: u64,
    /// Pages of programs.
    pub anonymous: u64,
    /// Pages of files in memory only.
    pub shared: u64,
    /// Locked pages.
    pub locked: u64,
    /// The kernel's heap.
    pub heap: u64,
    /// Kernel stacks.
    pub stacks: u64,
    /// Page tables.
    pub page_tables: u64,
    /// What was promised.
    pub committed: u64,
    /// What may be promised.
    pub commit_limit: u64,
    /// Programs' memory in large pages.
    pub large: u64,
}

/// `/proc/meminfo`.
pub fn meminfo(text: &mut Text, memory: &Memory) {
    for (name, bytes) in [
        ("MemTotal", memory.total),
        ("MemFree", memory.free),
        ("MemAvailable", memory.available),
        ("Buffers", memory.buffers),
        ("Cached", memory.cached),
        ("SwapCached", 0),
        ("Active", memory.anonymous),
        ("Inactive", memory.cached),
        ("Active(anon)", memory.anonymous),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", memory.cached),
        ("Unevictable", memory.locked),
        ("Mlocked", memory.locked),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", memory.dirty),
        ("Writeback", memory.writing),
        ("AnonPages", memory.anonymous),
        ("Mapped", 0),
        ("Shmem", memory.shared),
        ("KReclaimable", 0),
        ("Slab", memory.heap),
        ("SReclaimable", 0),
        ("SUnreclaim", memory.heap),
        ("KernelStack", memory.stacks),
        ("PageTables", memory.page_tables),
        ("SecPageTables", 0),
        ("NFS_Unstable", 0),
        ("Bounce", 0),
        ("WritebackTmp", 0),
        ("CommitLimit", memory.commit_limit),
        ("Committed_AS", memory.committed),
        ("VmallocTotal", 0x1fff_ffff_fc00),
        ("VmallocUsed", memory.stacks),
        ("VmallocChunk", 0),
        ("Percpu", 0),
        ("AnonHugePages", memory.large),
        ("ShmemHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FileHugePages", 0),
        ("FilePmdMapped", 0),
    ] {
        let start = text.len();
        line!(text, "{name}:");
        text.pad(start, 16);
        line!(text, "{:8} kB\n", bytes / 1024);
    }
    for name in ["Total", "Free", "Rsvd", "Surp"] {
        let start = text.len();
        line!(text, "HugePages_{name}:");
        text.pad(start, 16);
        line!(text, "{:8}\n", 0);
    }
    line!(text, "Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    line!(text, "DirectMap4k:           0 kB\nDirectMap2M:    {:8} kB\n", memory.total / 1024);
}

/// Where a CPU's time went, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In programs.
    pub user: u64,
    /// In programs that are nice.
    pub nice: u64,
    /// In the kernel.
    pub system: u64,
    /// Nowhere.
    pub idle: u64,
    /// Nowhere, while a disk was waited for.
    pub disk_wait: u64,
    /// In interrupts.
    pub interrupt: u64,
}

impl CpuTimes {
    fn values(&self) -> [u64; 6] {
        [self.user, self.nice, self.system, self.idle, self.disk_wait, self.interrupt]
    }
}

/// What the scheduler and the process tree count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Switches between threads since boot.
    pub switches: u64,
    /// Interrupts since boot.
    pub interrupts: u64,
    /// Seconds from 1970 to boot.
    pub booted_at: u64,
    /// Tasks started since boot.
    pub started: u64,
    /// Tasks that run or could.
    pub running: u32,
    /// Tasks that wait for a disk.
    pub blocked: u32,
    /// Tasks there are.
    pub tasks: u32,
    /// The number given out last.
    pub last: u32,
}

/// `/proc/stat`.
pub fn stat(text: &mut Text, cpus: &[CpuTimes], counts: &Counts) {
    let mut sum = [0u64; 6];
    for cpu in cpus {
        for (sum, value) in sum.iter_mut().zip(cpu.values()) {
            *sum += value;
        }
    }
    line!(text, "cpu ");
    cpu_times(text, sum);
    for (number, cpu) in cpus.iter().enumerate() {
        line!(text, "cpu{number}");
        cpu_times(text, cpu.values());
    }
    line!(text, "intr {}\nctxt {}\n", counts.interrupts, counts.switches);
    line!(text, "btime {}\nprocesses {}\n", counts.booted_at, counts.started);
    line!(text, "procs_running {}\nprocs_blocked {}\n", counts.running, counts.blocked);
    line!(text, "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
}

fn cpu_times(text: &mut Text, times: [u64; 6]) {
    for time in times {
        line!(text, " {}", ticks(time));
    }
    // In soft interrupts, stolen, in guests.
    line!(text, " 0 0 0 0\n");
}

/// `/proc/uptime`: since boot, and idle on all CPUs together.
pub fn uptime(text: &mut Text, since_boot_ns: u64, idle_ns: u64) {
    let hundredths = |ns: u64| (ticks(ns) / 100, ticks(ns) % 100);
    let (up, idle) = (hundredths(since_boot_ns), hundredths(idle_ns));
    line!(text, "{}.{:02} {}.{:02}\n", up.0, up.1, idle.0, idle.1);
}

/// `/proc/loadavg`; loads are times 65536.
pub fn loadavg(text: &mut Text, loads: [u64; 3], counts: &Counts) {
    for load in loads {
        // Linux rounds to the nearest hundredth.
        let load = load + 65536 / 200;
        line!(text, "{}.{:02} ", load >> 16, ((load & 0xffff) * 100) >> 16);
    }
    line!(text, "{}/{} {}\n", counts.running, counts.tasks, counts.last);
}

/// One CPU in `/proc/cpuinfo`.
#[derive(Clone, Copy, Debug)]
pub struct Cpu<'a> {
    /// Its number.
    pub number: usize,
    /// CPUs there are.
    pub count: usize,
    /// Who made it.
    pub vendor: &'a str,
    /// Family, model, stepping.
    pub version: (u32, u32, u32),
    /// What it is called.
    pub model: &'a str,
    /// Cycles a second of its time stamp counter.
    pub frequency: u64,
    /// What it can, in Linux's words.
    pub flags: &'a str,
    /// Bits of physical and virtual addresses.
    pub address_bits: (u32, u32),
}

/// A CPU's lines of `/proc/cpuinfo`.
pub fn cpuinfo(text: &mut Text, cpu: &Cpu<'_>) {
    let (mhz, khz) = (cpu.frequency / 1_000_000, cpu.frequency / 1000 % 1000);
    line!(text, "processor\t: {}\nvendor_id\t: {}\n", cpu.number, cpu.vendor);
    let (family, model, stepping) = cpu.version;
    line!(text, "cpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {}\n", cpu.model);
    line!(text, "stepping\t: {stepping}\ncpu MHz\t\t: {mhz}.{khz:03}\n");
    line!(text, "physical id\t: 0\nsiblings\t: {}\ncore id\t\t: {}\n", cpu.count, cpu.number);
    line!(text, "cpu cores\t: {}\napicid\t\t: {}\ninitial apicid\t: {}\n", cpu.count, cpu.number, cpu.number);
    line!(text, "fpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\nflags\t\t: {}\nbugs\t\t:\n", cpu.flags);
    // Two loops a cycle of the counter, as Linux computes it without looping.
    let bogomips = cpu.frequency / 5000;
    line!(text, "bogomips\t: {}.{:02}\n", bogomips / 100, bogomips % 100);
    line!(text, "clflush size\t: 64\ncache_alignment\t: 64\n");
    let (physical, virtual_) = cpu.address_bits;
    line!(text, "address sizes\t: {physical} bits physical, {virtual_} bits virtual\npower management:\n\n");
}

/// `/proc/buddyinfo`: a line for a zone.
pub fn buddyinfo(text: &mut Text, node: u32, zone: &str, free: &[u32]) {
    line!(text, "Node {node}, zone {zone:>8} ");
    for count in free {
        line!(text, "{count:6} ");
    }
    line!(text, "\n");
}

/// Something mounted.
#[derive(Clone, Copy, Debug)]
pub struct Mounted<'a> {
    /// What was mounted.
    pub source: &'a [u8],
    /// Where.
    pub at: &'a [u8],
    /// The kind of file system.
    pub kind: &'a str,
    /// `MS_` flags.
    pub flags: u32,
    /// Its number, and that of the mount it is on.
    pub numbers: (u64, u64),
    /// The file system's device.
    pub device: (u32, u32),
}

/// What separates words in these files.
const SPECIAL: &[u8] = b" \t\n\\";

impl Mounted<'_> {
    fn source(&self, text: &mut Text) {
        text.escaped(if self.source.is_empty() { b"none" } else { self.source }, b" \t\n\\#");
    }

    fn options(&self, text: &mut Text) {
        line!(text, "{}", self.access());
        for (flag, name) in [
            (2, "nosuid"),
            (4, "nodev"),
            (8, "noexec"),
            (1024, "noatime"),
            (2048, "nodiratime"),
            (1 << 21, "relatime"),
        ] {
            // Relative times are what there is if nothing else is asked for.
            let is_relative = flag == 1 << 21 && self.flags & 1024 == 0;
            if self.flags & flag != 0 || is_relative {
                line!(text, ",{name}");
            }
        }
    }

    const fn access(&self) -> &'static str {
        if self.flags & 1 != 0 { "ro" } else { "rw" }
    }
}

/// A line of `/proc/PID/mounts`.
pub fn mounts(text: &mut Text, mounted: &Mounted<'_>) {
    mounted.source(text);
    line!(text, " ");
    text.escaped(mounted.at, SPECIAL);
    line!(text, " {} ", mounted.kind);
    mounted.options(text);
    line!(text, " 0 0\n");
}

/// A line of `/proc/PID/mountinfo`.
pub fn mountinfo(text: &mut Text, mounted: &Mounted<'_>) {
    let ((number, above), (major, minor)) = (mounted.numbers, mounted.device);
    line!(text, "{number} {above} {major}:{minor} / ");
    text.escaped(mounted.at, SPECIAL);
    line!(text, " ");
    mounted.options(text);
    line!(text, " - {} ", mounted.kind);
    mounted.source(text);
    line!(text, " {}\n", mounted.access());
}

/// 128 random bits as `/proc/sys/kernel/random/uuid` shows them (RFC 9562, version 4).
pub fn uuid(text: &mut Text, bits: [u64; 2]) {
    let high = bits[0] & !0xf000 | 0x4000;
    let low = bits[1] & !(0b11 << 62) | 0b10 << 62;
    line!(text, "{:08x}-{:04x}-{:04x}-", high >> 32, high >> 16 & 0xffff, high & 0xffff);
    line!(text, "{:04x}-{:012x}\n", low >> 48, low & 0xffff_ffff_ffff);
}

/// A lock on a file.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    /// Which line it belongs to.
    pub number: usize,
    /// `-> ` before one that waits.
    pub arrow: &'static str,
    /// The call it was set by, in six letters.
    pub sort: &'static str,
    /// Which it is.
    pub kind: Kind,
    /// The process that set it; none for those of open files.
    pub pid: Option<u32>,
    /// The file's device: major and minor.
    pub device: (u32, u32),
    /// The file's number.
    pub inode: u64,
    /// Which bytes.
    pub range: Range,
}

/// A line of `/proc/locks`.
pub fn lock(to: &mut Text, lock: &Lock) {
    let kind = if lock.kind == Kind::Exclusive { "WRITE" } else { "READ" };
    let pid = lock.pid.map_or(-1, i64::from);
    let (major, minor) = lock.device;
    to.put(format_args!(
        "{}: {}{} ADVISORY  {kind} {pid} {major:02x}:{minor:02x}:{} {} ",
        lock.number, lock.arrow, lock.sort, lock.inode, lock.range.first
    ));
    if lock.range.last == locks::LAST {
        to.put(format_args!("EOF\n"));
    } else {
        to.put(format_args!("{}\n", lock.range.last));
    }
}
