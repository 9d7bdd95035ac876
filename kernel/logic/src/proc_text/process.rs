//! A process or thread: `/proc/PID/stat`, `status`, `statm`, `limits`, `io`.

use alloc::vec::Vec;

use super::text::{Text, line};
use super::ticks;
use crate::addr::PAGE_SIZE;
use crate::cpuset::CpuSet;
use crate::cred::{Capabilities, Ids};

/// What a thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It runs or could.
    Running,
    /// It waits and can be interrupted.
    #[default]
    Sleeping,
    /// It waits and cannot.
    DiskSleep,
    /// It is stopped.
    Stopped,
    /// It is stopped by its tracer.
    Traced,
    /// It is over and its parent has not asked.
    Zombie,
    /// It is being taken away.
    Dead,
    /// A thread of the kernel that waits.
    Idle,
}

impl State {
    /// As `stat` shows it.
    pub const fn letter(self) -> char {
        match self {
            State::Running => 'R',
            State::Sleeping => 'S',
            State::DiskSleep => 'D',
            State::Stopped => 'T',
            State::Traced => 't',
            State::Zombie => 'Z',
            State::Dead => 'X',
            State::Idle => 'I',
        }
    }

    const fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Sleeping => "sleeping",
            State::DiskSleep => "disk sleep",
            State::Stopped => "stopped",
            State::Traced => "tracing stop",
            State::Zombie => "zombie",
            State::Dead => "dead",
            State::Idle => "idle",
        }
    }
}

/// What is known of a thread, without its memory.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name, at most 15 bytes.
    pub name: Vec<u8>,
    /// What it does.
    pub state: State,
    /// The process's number.
    pub process: u32,
    /// Its own number.
    pub thread: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its process group's.
    pub group: u32,
    /// Its session's.
    pub session: u32,
    /// The device number of its terminal, 0 if it has none.
    pub terminal: u64,
    /// The foreground process group of that terminal.
    pub terminal_group: Option<u32>,
    /// Linux's `PF_` flags.
    pub flags: u32,
    /// Page faults: its own and those of children it waited for; without and with a disk.
    pub minor_faults: [u64; 2],
    /// The same with a disk.
    pub major_faults: [u64; 2],
    /// Nanoseconds in the program: its own and those of children it waited for.
    pub user_ns: [u64; 2],
    /// The same in the kernel.
    pub system_ns: [u64; 2],
    /// Nice value.
    pub nice: i32,
    /// Real-time priority, 0 if it has none.
    pub real_time_priority: u32,
    /// Scheduling policy (`SCHED_`).
    pub policy: u32,
    /// Threads of the process.
    pub threads: u32,
    /// When it was started, in nanoseconds since boot.
    pub started_ns: u64,
    /// The soft limit of its resident memory.
    pub resident_limit: u64,
    /// What its parent is told at its end.
    pub exit_signal: u32,
    /// The CPU it ran on last.
    pub cpu: u32,
    /// Its exit code, if the reader may know.
    pub exit_code: u32,
    /// User ids.
    pub user: Ids,
    /// Group ids.
    pub group_ids: Ids,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Signals for the thread.
    pub pending: u64,
    /// Signals for the process.
    pub shared_pending: u64,
    /// Those it does not take now.
    pub blocked: u64,
    /// Those it ignores.
    pub ignored: u64,
    /// Those it has handlers for.
    pub caught: u64,
    /// Signals queued for its user, and how many there may be.
    pub queued: (u64, u64),
    /// The mask for new files.
    pub umask: Option<u32>,
    /// Places in its table of descriptors.
    pub descriptors: u32,
    /// It can gain no privileges by exec.
    pub no_new_privileges: bool,
    /// Where it may run.
    pub cpus: CpuSet,
    /// CPUs the machine could have.
    pub possible_cpus: u32,
    /// Times it gave its CPU up, and times it was made to.
    pub switches: [u64; 2],
}

impl Default for Process {
    fn default() -> Self {
        let nothing = Capabilities { effective: 0, permitted: 0, inheritable: 0, bounding: 0, ambient: 0 };
        Process {
            name: Vec::new(),
            state: State::default(),
            process: 0,
            thread: 0,
            parent: 0,
            group: 0,
            session: 0,
            terminal: 0,
            terminal_group: None,
            flags: 0,
            minor_faults: [0; 2],
            major_faults: [0; 2],
            user_ns: [0; 2],
            system_ns: [0; 2],
            nice: 0,
            real_time_priority: 0,
            policy: 0,
            threads: 1,
            started_ns: 0,
            resident_limit: u64::MAX,
            exit_signal: 17,
            cpu: 0,
            exit_code: 0,
            user: Ids::all(0),
            group_ids: Ids::all(0),
            groups: Vec::new(),
            capabilities: nothing,
            pending: 0,
            shared_pending: 0,
            blocked: 0,
            ignored: 0,
            caught: 0,
            queued: (0, 0),
            umask: None,
            descriptors: 0,
            no_new_privileges: false,
            cpus: CpuSet::EMPTY,
            possible_cpus: 1,
            switches: [0; 2],
        }
    }
}

/// A process's memory, in bytes, and its layout. All zero for those without any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryNumbers {
    /// All areas.
    pub total: u64,
    /// The most there ever was of that.
    pub peak_total: u64,
    /// Locked.
    pub locked: u64,
    /// In RAM, without a file behind it.
    pub resident_anonymous: u64,
    /// In RAM, of files.
    pub resident_file: u64,
    /// In RAM, shared without a file.
    pub resident_shared: u64,
    /// The most that ever was in RAM.
    pub peak_resident: u64,
    /// Private writable areas.
    pub data: u64,
    /// The stack.
    pub stack: u64,
    /// The program's own code.
    pub code: u64,
    /// Other code.
    pub library: u64,
    /// Page tables.
    pub page_tables: u64,
    /// Where the program's code is.
    pub code_range: (u64, u64),
    /// Where its data is.
    pub data_range: (u64, u64),
    /// Where its stack starts.
    pub stack_start: u64,
    /// Where its heap starts.
    pub heap_start: u64,
    /// Where its arguments are.
    pub arguments: (u64, u64),
    /// Where its environment is.
    pub environment: (u64, u64),
}

impl MemoryNumbers {
    /// All that is in RAM.
    pub const fn resident(&self) -> u64 {
        self.resident_anonymous + self.resident_file + self.resident_shared
    }
}

/// `/proc/PID/stat`.
pub fn stat(text: &mut Text, process: &Process, memory: &MemoryNumbers) {
    line!(text, "{} (", process.thread);
    text.escaped(&process.name, b"\n\\");
    line!(
        text,
        ") {} {} {} {} {} {} {}",
        process.state.letter(),
        process.parent,
        process.group,
        process.session,
        encoded_terminal(process.terminal),
        process.terminal_group.map_or(-1, i64::from),
        process.flags,
    );
    for count in [process.minor_faults, process.major_faults].as_flattened() {
        line!(text, " {count}");
    }
    let [user, system] = [process.user_ns, process.system_ns].map(|times| times.map(ticks));
    line!(text, " {} {} {} {}", user[0], system[0], user[1], system[1]);
    let priority = match process.real_time_priority {
        0 => 20 + process.nice,
        // Linux's MAX_RT_PRIO is 100; a higher one is shown lower.
        priority => -1 - i32::try_from(priority).unwrap_or(i32::MAX - 1),
    };
    line!(text, " {priority} {} {} 0 {}", process.nice, process.threads, ticks(process.started_ns));
    line!(text, " {} {} {}", memory.total, memory.resident() / PAGE_SIZE, process.resident_limit);
    line!(text, " {} {} {} 0 0", memory.code_range.0, memory.code_range.1, memory.stack_start);
    // Only the first 31 signals, and Linux keeps them for old programs.
    for set in [process.pending, process.blocked, process.ignored, process.caught] {
        line!(text, " {}", set & 0x7fff_ffff);
    }
    line!(
        text,
        " 0 0 0 {} {} {} {} 0 0 0",
        process.exit_signal,
        process.cpu,
        process.real_time_priority,
        process.policy
    );
    line!(text, " {} {} {}", memory.data_range.0, memory.data_range.1, memory.heap_start);
    line!(text, " {} {}", memory.arguments.0, memory.arguments.1);
    line!(text, " {} {} {}\n", memory.environment.0, memory.environment.1, process.exit_code);
}

/// A device number as `tty_nr` has it (Linux's `new_encode_dev`).
const fn encoded_terminal(number: u64) -> u64 {
    let (major, minor) = abi::file::device_parts(number);
    (minor as u64 & 0xff) | (major as u64) << 8 | (minor as u64 & !0xff) << 12
}

/// `/proc/PID/statm`.
pub fn statm(text: &mut Text, memory: &MemoryNumbers) {
    let shared = memory.resident_file + memory.resident_shared;
    let numbers = [memory.total, memory.resident(), shared, memory.code, 0, memory.data + memory.stack, 0];
    let [size, resident, shared, code, library, data, dirty] = numbers.map(|bytes| bytes / PAGE_SIZE);
    line!(text, "{size} {resident} {shared} {code} {library} {data} {dirty}\n");
}

/// `/proc/PID/status`; who has no memory, as zombies, shows nothing of it.
pub fn status(text: &mut Text, process: &Process, memory: Option<&MemoryNumbers>) {
    identity(text, process);
    if let Some(memory) = memory {
        memory_lines(text, memory);
    }
    line!(text, "CoreDumping:\t0\nTHP_enabled:\t1\nThreads:\t{}\n", process.threads);
    signals(text, process);
    let capabilities = &process.capabilities;
    for (name, set) in [
        ("Inh", capabilities.inheritable),
        ("Prm", capabilities.permitted),
        ("Eff", capabilities.effective),
        ("Bnd", capabilities.bounding),
        ("Amb", capabilities.ambient),
    ] {
        line!(text, "Cap{name}:\t{set:016x}\n");
    }
    line!(text, "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0\n", u8::from(process.no_new_privileges));
    line!(text, "Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\talways enabled\n");
    line!(text, "Cpus_allowed:\t");
    mask(text, &process.cpus, process.possible_cpus);
    line!(text, "\nCpus_allowed_list:\t{}\nMems_allowed:\t1\nMems_allowed_list:\t0\n", process.cpus);
    let [voluntary, involuntary] = process.switches;
    line!(text, "voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n");
}

fn identity(text: &mut Text, process: &Process) {
    line!(text, "Name:\t");
    text.escaped(&process.name, b"\n\\");
    line!(text, "\n");
    if let Some(umask) = process.umask {
        line!(text, "Umask:\t{umask:04o}\n");
    }
    line!(text, "State:\t{} ({})\n", process.state.letter(), process.state.word());
    line!(text, "Tgid:\t{}\nNgid:\t0\nPid:\t{}\n", process.process, process.thread);
    line!(text, "PPid:\t{}\nTracerPid:\t0\n", process.parent);
    for (name, ids) in [("Uid", process.user), ("Gid", process.group_ids)] {
        line!(text, "{name}:\t{}\t{}\t{}\t{}\n", ids.real, ids.effective, ids.saved, ids.file);
    }
    line!(text, "FDSize:\t{}\nGroups:\t", process.descriptors);
    for group in &process.groups {
        line!(text, "{group} ");
    }
    // Linux ends the list, even an empty one, with a space more.
    line!(text, "{}\n", if process.groups.is_empty() { " " } else { "" });
    line!(text, "NStgid:\t{}\nNSpid:\t{}\n", process.process, process.thread);
    line!(text, "NSpgid:\t{}\nNSsid:\t{}\n", process.group, process.session);
}

fn memory_lines(text: &mut Text, memory: &MemoryNumbers) {
    for (name, bytes) in [
        ("VmPeak", memory.peak_total.max(memory.total)),
        ("VmSize", memory.total),
        ("VmLck", memory.locked),
        ("VmPin", 0),
        ("VmHWM", memory.peak_resident.max(memory.resident())),
        ("VmRSS", memory.resident()),
        ("RssAnon", memory.resident_anonymous),
        ("RssFile", memory.resident_file),
        ("RssShmem", memory.resident_shared),
        ("VmData", memory.data),
        ("VmStk", memory.stack),
        ("VmExe", memory.code),
        ("VmLib", memory.library),
        ("VmPTE", memory.page_tables),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ] {
        line!(text, "{name}:\t{:8} kB\n", bytes / 1024);
    }
}

fn signals(text: &mut Text, process: &Process) {
    line!(text, "SigQ:\t{}/{}\n", process.queued.0, process.queued.1);
    for (name, set) in [
        ("SigPnd", process.pending),
        ("ShdPnd", process.shared_pending),
        ("SigBlk", process.blocked),
        ("SigIgn", process.ignored),
        ("SigCgt", process.caught),
    ] {
        line!(text, "{name}:\t{set:016x}\n");
    }
}

/// A set of CPUs as Linux's `%*pb` prints it: 32 bits a group, as many digits as there are possible CPUs.
fn mask(text: &mut Text, set: &CpuSet, possible: u32) {
    let words = set.words();
    let mut bits = possible.clamp(1, u32::try_from(words.len()).unwrap_or(1).saturating_mul(64));
    let mut is_first = true;
    while bits > 0 {
        let group = (bits - 1) / 32;
        let word = words.get(group as usize / 2).copied().unwrap_or(0) >> (group % 2 * 32) & 0xffff_ffff;
        let (width, in_group) = (((bits - 1) % 32 / 4 + 1) as usize, (bits - 1) % 32 + 1);
        let word = word & (u64::MAX >> (64 - in_group));
        if !is_first {
            line!(text, ",");
        }
        line!(text, "{word:0width$x}");
        is_first = false;
        bits = group * 32;
    }
}

/// Names and units of `/proc/PID/limits`, by number.
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

/// `/proc/PID/limits`, from soft and hard limits by number; `u64::MAX` is no limit.
pub fn limits(text: &mut Text, limits: &[(u64, u64); 16]) {
    line!(text, "{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for ((name, unit), (soft, hard)) in LIMITS.iter().zip(limits) {
        line!(text, "{name:<25}");
        for limit in [*soft, *hard] {
            match limit {
                u64::MAX => line!(text, " {:<20}", "unlimited"),
                limit => line!(text, " {limit:<20}"),
            }
        }
        match *unit {
            "" => line!(text, " \n"),
            unit => line!(text, " {unit:<10}\n"),
        }
    }
}

/// `/proc/PID/io`, which counts nothing yet.
pub fn io(text: &mut Text) {
    for name in ["rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes"] {
        line!(text, "{name}: 0\n");
    }
}
