//! The tables, and what each row is.
//!
//! To add a row, add a line to [`ROWS`] or [`PROCESS_ROWS`] and let something print it: docs/benchmarks.md.

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
}

impl Section {
    pub(crate) const ALL: [Self; 6] = [
        Self::Instructions,
        Self::Footprint,
        Self::Wall,
        Self::ProcessInstructions,
        Self::ProcessLimits,
        Self::ProcessWall,
    ];

    /// What is counted in instructions, and what is measured by the host's clock.
    pub(crate) const COUNTED: [Self; 2] = [Self::Instructions, Self::ProcessInstructions];
    pub(crate) const TIMED: [Self; 2] = [Self::Wall, Self::ProcessWall];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Instructions => "Instructions (exact: a second run gives the same)",
            Self::Footprint => "Memory and size",
            Self::Wall => "Wall time under emulation (medians)",
            Self::ProcessInstructions => "Processes: instructions (exact)",
            Self::ProcessLimits => "Processes: memory and scaling",
            Self::ProcessWall => "Processes: wall time under emulation (medians)",
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
        }
    }

    /// The group that `--only` chooses it by.
    const fn group(self) -> &'static str {
        match self {
            Self::Instructions | Self::Footprint | Self::Wall => "kernel",
            Self::ProcessInstructions | Self::ProcessLimits | Self::ProcessWall => "process",
        }
    }

    /// The least ratio of a row and the least mean, where there are bars: wall time under emulation has none.
    pub(crate) fn bars(self) -> Option<Bars> {
        Self::COUNTED.contains(&self).then_some(Bars { row: 0.8, mean: 1.1 })
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
const PROCESS_ROWS: [(&str, &str); 25] = [
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
    ("futex", "wake another thread and be woken"),
];

/// Every row of every table.
pub(crate) fn all() -> Vec<RowKind> {
    let process = Source::Guest(Program::Process);
    let table = |section: Section, unit: &'static str| {
        PROCESS_ROWS.map(|(name, what)| row(section, name, what, unit, process))
    };
    let mut rows = ROWS.to_vec();
    rows.extend(table(Section::ProcessInstructions, "instructions"));
    rows.extend(table(Section::ProcessWall, "ns"));
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
