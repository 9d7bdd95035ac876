//! Against lines copied from Linux's `/proc`.

use std::string::String;
use std::vec::Vec;

use super::memory::{Line, Resident};
use super::process::{MemoryNumbers, Process, State};
use super::system::{Counts, Cpu, CpuTimes, Memory, Mounted};
use super::{Text, memory, process, system};
use crate::cpuset::CpuSet;
use crate::cred::Capabilities;
use crate::vma::{Rights, Sharing};

fn text(write: impl FnOnce(&mut Text)) -> String {
    let mut text = Text::new();
    write(&mut text);
    String::from_utf8(text.finish().unwrap()).unwrap()
}

#[test]
fn stat_of_a_process() {
    let linux = "30065 (cat) R 30062 30062 30666 34816 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 1740091 3133440 383 \
        18446744073709551615 94013880061952 94013880081833 140734851368112 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 \
        94013880097840 94013880099456 94014721638400 140734851373597 140734851373617 140734851373617 140734851375083 0\n";
    let process = Process {
        name: b"cat".to_vec(),
        state: State::Running,
        process: 30065,
        thread: 30065,
        parent: 30062,
        group: 30062,
        session: 30666,
        terminal: abi::file::device_number(136, 0),
        flags: 0x40_0000,
        minor_faults: [100, 0],
        started_ns: 1_740_091 * 10_000_000,
        cpu: 1,
        ..Process::default()
    };
    let memory = MemoryNumbers {
        total: 3_133_440,
        resident_file: 383 * 4096,
        code_range: (94013880061952, 94013880081833),
        data_range: (94013880097840, 94013880099456),
        stack_start: 140734851368112,
        heap_start: 94014721638400,
        arguments: (140734851373597, 140734851373617),
        environment: (140734851373617, 140734851375083),
        ..MemoryNumbers::default()
    };
    assert_eq!(text(|text| process::stat(text, &process, &memory)), linux);
    let real_time = Process { real_time_priority: 50, nice: -5, ..process };
    assert!(text(|text| process::stat(text, &real_time, &memory)).contains(" -51 -5 1 "));
}

/// `/proc/self/status` of a cat(1), without lines that Linux 6.1 has not.
const STATUS: &str = "\
Name:	cat
Umask:	0022
State:	R (running)
Tgid:	30064
Ngid:	0
Pid:	30064
PPid:	30062
TracerPid:	0
Uid:	0	0	0	0
Gid:	0	0	0	0
FDSize:	256
Groups:	\x20
NStgid:	30064
NSpid:	30064
NSpgid:	30062
NSsid:	30666
VmPeak:	    3060 kB
VmSize:	    3060 kB
VmLck:	       0 kB
VmPin:	       0 kB
VmHWM:	    1672 kB
VmRSS:	    1672 kB
RssAnon:	     112 kB
RssFile:	    1560 kB
RssShmem:	       0 kB
VmData:	     360 kB
VmStk:	     132 kB
VmExe:	      20 kB
VmLib:	    1528 kB
VmPTE:	      52 kB
VmSwap:	       0 kB
HugetlbPages:	       0 kB
CoreDumping:	0
THP_enabled:	1
Threads:	1
SigQ:	0/96365
SigPnd:	0000000000000000
ShdPnd:	0000000000000000
SigBlk:	0000000000000000
SigIgn:	0000000000000000
SigCgt:	0000000000000000
CapInh:	0000000000000000
CapPrm:	000001fffeffffff
CapEff:	000001fffeffffff
CapBnd:	000001fffeffffff
CapAmb:	0000000000000000
NoNewPrivs:	0
Seccomp:	0
Seccomp_filters:	0
Speculation_Store_Bypass:	vulnerable
SpeculationIndirectBranch:	always enabled
Cpus_allowed:	3
Cpus_allowed_list:	0-1
Mems_allowed:	1
Mems_allowed_list:	0
voluntary_ctxt_switches:	0
nonvoluntary_ctxt_switches:	0
";

#[test]
fn status_of_a_process() {
    let set = 0x1ff_feff_ffff;
    let process = Process {
        name: b"cat".to_vec(),
        state: State::Running,
        process: 30064,
        thread: 30064,
        parent: 30062,
        group: 30062,
        session: 30666,
        descriptors: 256,
        umask: Some(0o22),
        queued: (0, 96365),
        capabilities: Capabilities {
            effective: set,
            permitted: set,
            inheritable: 0,
            bounding: set,
            ambient: 0,
        },
        cpus: CpuSet::first_n(2),
        possible_cpus: 2,
        ..Process::default()
    };
    let memory = MemoryNumbers {
        total: 3060 << 10,
        resident_anonymous: 112 << 10,
        resident_file: 1560 << 10,
        data: 360 << 10,
        stack: 132 << 10,
        code: 20 << 10,
        library: 1528 << 10,
        page_tables: 52 << 10,
        ..MemoryNumbers::default()
    };
    assert_eq!(text(|text| process::status(text, &process, Some(&memory))), STATUS);
    let groups = Process { groups: Vec::from([4, 24]), possible_cpus: 40, name: b"a\nb".to_vec(), ..process };
    let other = text(|text| process::status(text, &groups, None));
    assert!(other.starts_with("Name:\ta\\012b\n") && other.contains("Groups:\t4 24 \n"));
    assert!(other.contains("Cpus_allowed:\t00,00000003\n") && !other.contains("Vm"));
    assert_eq!(text(|text| process::statm(text, &memory)), "765 418 390 5 0 123 0\n");
}

#[test]
fn limits_of_a_process() {
    let linux = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             unlimited            unlimited            bytes     
Max data size             unlimited            unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    unlimited            bytes     
Max resident set          unlimited            unlimited            bytes     
Max processes             96365                96365                processes 
Max open files            20000                20000                files     
Max locked memory         8388608              8388608              bytes     
Max address space         unlimited            unlimited            bytes     
Max file locks            unlimited            unlimited            locks     
Max pending signals       96365                96365                signals   
Max msgqueue size         819200               819200               bytes     
Max nice priority         0                    0                    
Max realtime priority     0                    0                    
Max realtime timeout      unlimited            unlimited            us        
";
    let mut limits = [(u64::MAX, u64::MAX); 16];
    limits[3] = (8 << 20, u64::MAX);
    limits[4] = (0, u64::MAX);
    for (number, limit) in
        [(6, 96365), (7, 20000), (8, 8 << 20), (11, 96365), (12, 819_200), (13, 0), (14, 0)]
    {
        limits[number] = (limit, limit);
    }
    assert_eq!(text(|text| process::limits(text, &limits)), linux);
}

/// A line of `maps`, taken apart.
fn area(line: &str) -> Line<'_> {
    let mut words = line.splitn(6, ' ');
    let mut next = || words.next().unwrap();
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let number = |value: u64| u32::try_from(value).unwrap();
    let (start, end) = next().split_once('-').unwrap();
    let rights = next().as_bytes();
    let offset = hex(next());
    let (major, minor) = next().split_once(':').unwrap();
    let inode = next().parse().unwrap();
    Line {
        start: hex(start),
        end: hex(end),
        rights: Rights { read: rights[0] == b'r', write: rights[1] == b'w', execute: rights[2] == b'x' },
        sharing: if rights[3] == b's' { Sharing::Shared } else { Sharing::Private },
        offset,
        device: (number(hex(major)), number(hex(minor))),
        inode,
        name: next().trim_start().as_bytes(),
    }
}

#[test]
fn maps_as_this_linux_prints_them() {
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let ours = text(|text| memory::maps(text, &area(line)));
        assert_eq!(ours.strip_suffix('\n').unwrap(), line);
    }
}

#[test]
fn smaps_of_an_area() {
    let linux = "\
562922593000-562922599000 r-xp 00002000 fe:00 247282                     /usr/bin/head
Size:                 24 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                  24 kB
Pss:                  24 kB
Pss_Dirty:             0 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:        24 kB
Private_Dirty:         0 kB
Referenced:           24 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:    0
VmFlags: rd ex mr mw me \n";
    let all = Rights { read: true, write: true, execute: true };
    let resident = Resident { all: 24 << 10, private: 24 << 10, allowed: Some(all), ..Resident::default() };
    let area = area("562922593000-562922599000 r-xp 00002000 fe:00 247282   /usr/bin/head");
    assert_eq!(text(|text| memory::smaps(text, &area, &resident)), linux);
}

#[test]
fn texts_of_the_system() {
    let cpus = [
        CpuTimes { user: 3_570_540_000_000, system: 663_950_000_000, idle: 10, ..CpuTimes::default() },
        CpuTimes { user: 4_040_380_000_000, disk_wait: 57_300_000_000, ..CpuTimes::default() },
    ];
    let counts = Counts {
        switches: 105_619_834,
        interrupts: 20_752_671,
        booted_at: 1_795_230_509,
        started: 970_678,
        running: 3,
        blocked: 0,
        tasks: 98,
        last: 30_073,
    };
    let stat = text(|text| system::stat(text, &cpus, &counts));
    let start = "cpu  761092 0 66395 0 5730 0 0 0 0 0\ncpu0 357054 0 66395 0 0 0 0 0 0 0\ncpu1 404038 0 0 0 5730 0 0 0 0 0\n";
    assert!(stat.starts_with(start), "{stat}");
    assert!(
        stat.contains(
            "ctxt 105619834\nbtime 1795230509\nprocesses 970678\nprocs_running 3\nprocs_blocked 0\n"
        )
    );
    assert_eq!(
        text(|text| system::uptime(text, 17_400_930_000_000, 25_389_220_000_000)),
        "17400.93 25389.22\n"
    );
    let loads = [148_112, 148_767, 252_314];
    assert_eq!(text(|text| system::loadavg(text, loads, &counts)), "2.26 2.27 3.85 3/98 30073\n");
    assert_eq!(
        text(|text| system::buddyinfo(text, 0, "DMA32", &[1, 2, 4, 2, 5, 4, 3, 3, 4, 2, 752])),
        "Node 0, zone    DMA32      1      2      4      2      5      4      3      3      4      2    752 \n"
    );
    let uuid = text(|text| system::uuid(text, [u64::MAX, 0]));
    assert_eq!(uuid, "ffffffff-ffff-4fff-8000-000000000000\n");
}

#[test]
fn meminfo_has_the_columns_of_this_linux() {
    let memory = Memory { total: 24_684_092 << 10, free: 7 << 10, ..Memory::default() };
    let ours = text(|text| system::meminfo(text, &memory));
    assert!(ours.starts_with("MemTotal:       24684092 kB\nMemFree:               7 kB\n"));
    for line in std::fs::read_to_string("/proc/meminfo").unwrap().lines() {
        let name = line.split(':').next().unwrap();
        // Newer kernels have some more, and not every machine has pages of 1 GiB.
        if [
            "Zswap",
            "Zswapped",
            "Balloon",
            "Unaccepted",
            "DirectMap1G",
            "CmaTotal",
            "CmaFree",
            "HardwareCorrupted",
        ]
        .contains(&name)
        {
            continue;
        }
        let same = ours.lines().find(|ours| ours.starts_with(&std::format!("{name}:")));
        let same = same.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(same.len(), line.len(), "{same} for {line}");
    }
}

#[test]
fn cpus_and_mounts() {
    let cpu = Cpu {
        number: 1,
        count: 2,
        vendor: "AuthenticAMD",
        version: (26, 2, 1),
        model: "AMD EPYC",
        frequency: 2_596_122_000,
        flags: "fpu vme",
        address_bits: (48, 48),
    };
    let cpu = text(|text| system::cpuinfo(text, &cpu));
    for line in [
        "processor\t: 1",
        "vendor_id\t: AuthenticAMD",
        "cpu family\t: 26",
        "model\t\t: 2",
        "model name\t: AMD EPYC",
        "stepping\t: 1",
        "cpu MHz\t\t: 2596.122",
        "siblings\t: 2",
        "cpu cores\t: 2",
        "flags\t\t: fpu vme",
        "bogomips\t: 5192.24",
        "address sizes\t: 48 bits physical, 48 bits virtual",
    ] {
        assert!(cpu.lines().any(|ours| ours == line), "{line} is missing in {cpu}");
    }
    let proc =
        Mounted { source: b"proc", at: b"/proc", kind: "proc", flags: 0, numbers: (22, 27), device: (0, 21) };
    assert_eq!(text(|text| system::mounts(text, &proc)), "proc /proc proc rw,relatime 0 0\n");
    assert_eq!(
        text(|text| system::mountinfo(text, &proc)),
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    );
    let odd = Mounted { source: b"", at: b"/a b", flags: 15 | 1024, ..proc };
    assert_eq!(
        text(|text| system::mounts(text, &odd)),
        "none /a\\040b proc ro,nosuid,nodev,noexec,noatime 0 0\n"
    );
}

#[test]
fn locks_on_files() {
    use crate::locks::{Kind, LAST, Range};
    let lock = system::Lock {
        number: 3,
        arrow: "",
        sort: "POSIX ",
        kind: Kind::Exclusive,
        pid: Some(31564),
        device: (0xfe, 0),
        inode: 10_010_908,
        range: Range { first: 3, last: 6 },
    };
    let shown = |lock: system::Lock| text(|text| system::lock(text, &lock));
    assert_eq!(shown(lock), "3: POSIX  ADVISORY  WRITE 31564 fe:00:10010908 3 6\n");
    let range = Range { first: 0, last: LAST };
    let waiting = system::Lock { arrow: "-> ", pid: Some(31605), range, ..lock };
    assert_eq!(shown(waiting), "3: -> POSIX  ADVISORY  WRITE 31605 fe:00:10010908 0 EOF\n");
    let open_file = system::Lock { sort: "OFDLCK", kind: Kind::Shared, pid: None, range, ..lock };
    assert_eq!(shown(open_file), "3: OFDLCK ADVISORY  READ -1 fe:00:10010908 0 EOF\n");
}
