//! The tables, and what each row is.
//!
//! To add a row, add a line to [`ROWS`], [`PROCESS_ROWS`] or [`FILE_ROWS`] and let something print it: docs/benchmarks.md.

use crate::programs::Program;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Instructions,
    Footprint,
    Wall,
    ProcessInstructions,
    ProcessLimits,
    ProcessWall,
    FileInstructions,
    FileWall,
}

impl Section {
    pub(crate) const ALL: [Self; 8] = [
        Self::Instructions,
        Self::Footprint,
        Self::Wall,
        Self::ProcessInstructions,
        Self::ProcessLimits,
        Self::ProcessWall,
        Self::FileInstructions,
        Self::FileWall,
    ];

    /// What is counted in instructions, and what is measured by the host's clock.
    pub(crate) const COUNTED: [Self; 3] =
        [Self::Instructions, Self::ProcessInstructions, Self::FileInstructions];
    pub(crate) const TIMED: [Self; 3] = [Self::Wall, Self::ProcessWall, Self::FileWall];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Instructions => "Instructions (exact: a second run gives the same)",
            Self::Footprint => "Memory and size",
            Self::Wall => "Wall time under emulation (medians)",
            Self::ProcessInstructions => "Processes: instructions (exact)",
            Self::ProcessLimits => "Processes: memory and scaling",
            Self::ProcessWall => "Processes: wall time under emulation (medians)",
            Self::FileInstructions => "Files: instructions",
            Self::FileWall => "Files: wall time under emulation (medians)",
        }
    }

    /// The key in bench.json.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Footprint => "footprint",
            Self::Wall => "wall",
            Self::ProcessInstructions => "process_instructions",
            Self::ProcessLimits => "process_limits",
            Self::ProcessWall => "process_wall",
            Self::FileInstructions => "file_instructions",
            Self::FileWall => "file_wall",
        }
    }

    /// The group that `--only` chooses it by.
    const fn group(self) -> &'static str {
        match self {
            Self::Instructions | Self::Footprint | Self::Wall => "kernel",
            Self::ProcessInstructions | Self::ProcessLimits | Self::ProcessWall => "process",
            Self::FileInstructions | Self::FileWall => "files",
        }
    }

    /// The least ratio of a row and the least mean, where there are bars: wall time under emulation has none.
    pub(crate) fn bars(self) -> Option<Bars> {
        match self {
            Self::Instructions | Self::ProcessInstructions => Some(Bars { row: 0.8, mean: 1.1 }),
            Self::FileInstructions => Some(Bars { row: 0.7, mean: 1.0 }),
            Self::Footprint | Self::Wall | Self::ProcessLimits | Self::ProcessWall | Self::FileWall => None,
        }
    }
}

/// What a table's ratios should not fall below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bars {
    pub(crate) row: f64,
    pub(crate) mean: f64,
}

/// Where the figure of a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A line of a benchmark program.
    Guest(Program),
    /// The kernel that only tells when it was started.
    Firmware,
    /// A line that Nacre prints when booted with `bench.switch` on this many CPUs.
    KernelItself {
        cpus: u32,
    },
    /// The least memory in which the program prints this figure.
    LeastMemory(Program, &'static str),
    /// A line of the benchmark program, on two CPUs.
    Scaling,
    /// The same program on four CPUs, with twice as many loops: what Nacre counts of its locks.
    LockWaits,
    ImageSize,
    SymbolSize,
}

impl Source {
    /// Whether Linux has such a figure too.
    pub(crate) const fn is_comparable(self) -> bool {
        !matches!(self, Self::KernelItself { .. } | Self::SymbolSize | Self::LockWaits)
    }

    /// Whether the ratio enters the geometric mean: only what programs wait for does.
    pub(crate) const fn is_operation(self) -> bool {
        matches!(self, Self::Guest(_))
    }

    /// Whether the larger figure is the better one.
    pub(crate) const fn is_more_better(self) -> bool {
        matches!(self, Self::Scaling)
    }

    /// The program that must be built for it.
    pub(crate) const fn program(self) -> Option<Program> {
        match self {
            Self::Guest(program) | Self::LeastMemory(program, _) => Some(program),
            Self::Scaling | Self::LockWaits => Some(Program::Scaling),
            Self::Firmware | Self::KernelItself { .. } | Self::ImageSize | Self::SymbolSize => None,
        }
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowKind {
    pub(crate) section: Section,
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) source: Source,
}

impl RowKind {
    /// Whether `word` of the command line means this row.
    pub(crate) fn is_named(&self, word: &str) -> bool {
        self.name == word || self.section.group() == word
    }
}

const fn row(
    section: Section,
    name: &'static str,
    what: &'static str,
    unit: &'static str,
    source: Source,
) -> RowKind {
    RowKind { section, name, what, unit, source }
}

const BOOT: &str = "QEMU start to the first user instruction";
const FIRMWARE: &str = "of boot: firmware, before the kernel's first instruction";
const NULL_CALL: &str = "getppid(2)";
const ENOSYS_CALL: &str = "a system call that does not exist";
const SAME_CPU: &str = "switch between two kernel threads on one CPU";
const TWO_CPUS: &str = "wake a kernel thread on another CPU";
const MEMORY: &str = "least memory that reaches the first user program";
const IMAGE: &str = "kernel image (Linux's is compressed)";
const SYMBOLS: &str = "symbol table in the image";
const PROMPT: &str = "least memory that reaches the prompt of busybox";
const SCALING: &str = "work of two loops of fork+exec on two CPUs, over one loop's";
const LOCK_WAITS: &str = "spin locks found taken for a fork+exec, 4 CPUs, 8 loops";
const LOCK_LOOKS: &str = "looks at them until they were free";

/// The first line of the benchmark program.
const FIRST_FIGURE: &str = "boot";
/// The prompt that the initramfs makes the shell print.
const PROMPT_FIGURE: &str = "prompt";

const INIT: Source = Source::Guest(Program::Init);

static ROWS: [RowKind; 16] = [
    row(Section::Instructions, "boot", BOOT, "instructions", INIT),
    row(Section::Instructions, "firmware", FIRMWARE, "instructions", Source::Firmware),
    row(Section::Instructions, "null-call", NULL_CALL, "instructions", INIT),
    row(Section::Instructions, "enosys-call", ENOSYS_CALL, "instructions", INIT),
    row(Section::Instructions, "switch-same-cpu", SAME_CPU, "instructions", Source::KernelItself { cpus: 1 }),
    row(Section::Instructions, "switch-two-cpus", TWO_CPUS, "instructions", Source::KernelItself { cpus: 2 }),
    row(Section::Footprint, "memory", MEMORY, "MiB", Source::LeastMemory(Program::Init, FIRST_FIGURE)),
    row(Section::Footprint, "image-size", IMAGE, "bytes", Source::ImageSize),
    row(Section::Footprint, "symbol-size", SYMBOLS, "bytes", Source::SymbolSize),
    row(Section::Wall, "boot", BOOT, "ms", INIT),
    row(Section::Wall, "null-call", NULL_CALL, "ns", INIT),
    row(Section::Wall, "enosys-call", ENOSYS_CALL, "ns", INIT),
    row(
        Section::ProcessLimits,
        "prompt-memory",
        PROMPT,
        "MiB",
        Source::LeastMemory(Program::Prompt, PROMPT_FIGURE),
    ),
    row(Section::ProcessLimits, "scaling", SCALING, "times", Source::Scaling),
    row(Section::ProcessLimits, "lock-waits", LOCK_WAITS, "times", Source::LockWaits),
    row(Section::ProcessLimits, "lock-looks", LOCK_LOOKS, "times", Source::LockWaits),
];

/// The rows of bench/guest/process/: one table in instructions, one in wall time.
const PROCESS_ROWS: [(&str, &str); 28] = [
    ("null", "getpid(2)"),
    ("getppid", "getppid(2)"),
    ("fork-exit", "fork, exit, wait: a small process"),
    ("fork-exit-64m", "the same with 64 MiB touched"),
    ("vfork-exec", "vfork, exec of a static program, wait"),
    ("fork-exec", "fork, exec of a static program, wait"),
    ("sh-true", "fork, exec of `sh -c true` (busybox), wait"),
    ("thread", "make and join a thread"),
    ("switch-2-0k", "context switch, 2 processes"),
    ("switch-2-64k", "context switch, 2 processes that use 64 KiB each"),
    ("switch-16-0k", "context switch, 16 processes"),
    ("switch-16-64k", "context switch, 16 processes that use 64 KiB each"),
    ("signal-install", "rt_sigaction(2)"),
    ("signal-deliver", "a signal to oneself, handled"),
    ("fault-protection", "a write to a read-only page, handled"),
    ("fault-anonymous", "first write to an anonymous page"),
    ("fault-file", "first read of a page of a file (1 MiB in turn)"),
    ("fault-cow", "first write to a page shared by fork"),
    ("mmap-4k", "map and unmap 4 KiB"),
    ("mmap-4k-touched", "the same, written"),
    ("mmap-4m", "map and unmap 4 MiB"),
    ("mmap-4m-touched", "the same, each page written"),
    ("pipe-latency", "a byte to another process and back"),
    ("pipe-bandwidth", "a MiB through a pipe, 64 KiB at a time"),
    ("pty-latency", "a byte to a program on a raw pty and back"),
    ("pty-bandwidth", "a MiB from a raw pty, 64 KiB at a time"),
    ("pty-text", "a MiB of text lines from a pty, as cat writes it"),
    ("futex", "wake another thread and be woken"),
];

/// The rows of bench/guest/files/: one table in instructions, one in wall time.
const FILE_ROWS: [(&str, &str); 43] = [
    ("open-close-tmpfs", "open(2) and close(2)"),
    ("open-close-ext2", "the same"),
    ("stat-tmpfs", "stat(2) of `file`"),
    ("stat-ext2", "the same"),
    ("stat-deep-tmpfs", "stat(2) of a file eight folders deep"),
    ("stat-deep-ext2", "the same"),
    ("fstat-tmpfs", "fstat(2)"),
    ("fstat-ext2", "the same"),
    ("create-delete-0-tmpfs", "create, close and delete a file"),
    ("create-delete-0-ext2", "the same"),
    ("create-delete-10k-tmpfs", "the same with 10 KiB written"),
    ("create-delete-10k-ext2", "the same"),
    ("getdents-tmpfs", "list 10,000 names, 32 KiB at a time"),
    ("getdents-ext2", "the same"),
    ("read-1-tmpfs", "pread(2) of a byte"),
    ("read-1-ext2", "the same"),
    ("read-4k-tmpfs", "pread(2) of 4 KiB"),
    ("read-4k-ext2", "the same"),
    ("write-1-tmpfs", "pwrite(2) of a byte"),
    ("write-1-ext2", "the same"),
    ("write-4k-tmpfs", "pwrite(2) of 4 KiB"),
    ("write-4k-ext2", "the same"),
    ("read-mib-tmpfs", "read a MiB in memory, 64 KiB at a time"),
    ("read-mib-ext2", "the same"),
    ("write-mib-tmpfs", "overwrite a MiB in memory, 64 KiB at a time"),
    ("write-mib-ext2", "the same"),
    ("mmap-again-tmpfs", "map 4 MiB in memory, read a byte of each page, unmap"),
    ("mmap-again-ext2", "the same"),
    ("record-lock", "F_SETLK: lock and unlock a byte"),
    ("select-10", "select(2), the last of 10 descriptors is ready"),
    ("select-500", "the same of 500"),
    ("poll-10", "poll(2), the last of 10 descriptors is ready"),
    ("poll-500", "the same of 500"),
    ("epoll-10", "epoll_wait(2), the last of 10 descriptors is ready"),
    ("epoll-500", "the same of 500"),
    ("disk-write-ext2", "overwrite 8 MiB, then fsync(2): a MiB"),
    ("disk-write-new-ext2", "the same of a file cut to nothing before"),
    ("disk-append-ext2", "append 4 KiB, then fsync(2)"),
    ("disk-read-ext2", "read 8 MiB after drop_caches: a MiB"),
    ("untar-tmpfs", "`tar -xf` of 2,000 files (busybox)"),
    ("untar-ext2", "the same"),
    ("find-tmpfs", "`find -size` over these (busybox)"),
    ("find-ext2", "the same"),
];

/// Every row of every table.
pub(crate) fn all() -> Vec<RowKind> {
    let mut rows = ROWS.to_vec();
    let mut add = |section: Section, names: &[(&'static str, &'static str)], unit, program| {
        let to_row = |&(name, what): &_| row(section, name, what, unit, Source::Guest(program));
        rows.extend(names.iter().map(to_row));
    };
    add(Section::ProcessInstructions, &PROCESS_ROWS, "instructions", Program::Process);
    add(Section::ProcessWall, &PROCESS_ROWS, "ns", Program::Process);
    add(Section::FileInstructions, &FILE_ROWS, "instructions", Program::Files);
    add(Section::FileWall, &FILE_ROWS, "ns", Program::Files);
    rows
}

/// The names a user can choose from, each once: groups, then rows.
pub(crate) fn names() -> Vec<&'static str> {
    let groups = Section::ALL.map(Section::group);
    let mut known = Vec::new();
    for name in groups.into_iter().chain(all().iter().map(|kind| kind.name)) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}
