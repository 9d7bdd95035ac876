//! The tables, their rows, and what can stand in a cell.
//!
//! To add a row, add a line to [`ROWS`] and let something print it: docs/benchmarks.md.

use crate::Result;
use crate::figures::Figure;
use crate::system::System;

/// One of the three tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Instructions,
    Footprint,
    Wall,
}

impl Section {
    pub(crate) const ALL: [Self; 3] = [Self::Instructions, Self::Footprint, Self::Wall];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Instructions => "Instructions (exact: a second run gives the same)",
            Self::Footprint => "Memory and size",
            Self::Wall => "Wall time under emulation (medians)",
        }
    }

    /// The key in bench.json.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Footprint => "footprint",
            Self::Wall => "wall",
        }
    }
}

/// Where the figure of a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A line of the benchmark program.
    Init,
    /// The kernel that only tells when it was started.
    Firmware,
    /// A line that Nacre prints when booted with `bench.switch` on this many CPUs.
    KernelItself {
        cpus: u32,
    },
    LeastMemory,
    ImageSize,
    SymbolSize,
}

impl Source {
    /// Whether Linux has such a figure too.
    const fn is_comparable(self) -> bool {
        !matches!(self, Self::KernelItself { .. } | Self::SymbolSize)
    }

    /// Whether the ratio enters the geometric mean: only what programs wait for does.
    const fn is_operation(self) -> bool {
        matches!(self, Self::Init)
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowKind {
    section: Section,
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) source: Source,
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

static ROWS: [RowKind; 12] = [
    row(Section::Instructions, "boot", BOOT, "instructions", Source::Init),
    row(Section::Instructions, "firmware", FIRMWARE, "instructions", Source::Firmware),
    row(Section::Instructions, "null-call", NULL_CALL, "instructions", Source::Init),
    row(Section::Instructions, "enosys-call", ENOSYS_CALL, "instructions", Source::Init),
    row(Section::Instructions, "switch-same-cpu", SAME_CPU, "instructions", Source::KernelItself { cpus: 1 }),
    row(Section::Instructions, "switch-two-cpus", TWO_CPUS, "instructions", Source::KernelItself { cpus: 2 }),
    row(Section::Footprint, "memory", MEMORY, "MiB", Source::LeastMemory),
    row(Section::Footprint, "image-size", IMAGE, "bytes", Source::ImageSize),
    row(Section::Footprint, "symbol-size", SYMBOLS, "bytes", Source::SymbolSize),
    row(Section::Wall, "boot", BOOT, "ms", Source::Init),
    row(Section::Wall, "null-call", NULL_CALL, "ns", Source::Init),
    row(Section::Wall, "enosys-call", ENOSYS_CALL, "ns", Source::Init),
];

/// The names a user can choose from, each once.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = ROWS.iter().map(|kind| kind.name).collect();
    let mut known = Vec::new();
    names.retain(|name| {
        !known.contains(name) && {
            known.push(*name);
            true
        }
    });
    names
}

/// What is known about a row on one system.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// The user left this system out, or it has no such thing.
    NotAsked,
    /// The kernel does not implement the operation yet, and says so itself.
    Missing,
    Value(f64),
    Failed(String),
}

impl Cell {
    /// A cell for a figure in ticks; `scale` turns a tick into the unit of the row.
    pub(crate) fn of_figure(figure: &Figure, scale: f64) -> Self {
        let value = figure.value as f64 * scale;
        match figure.unit.as_str() {
            "ticks" | "instructions" => Self::Value(value),
            "ticks/1000" => Self::Value(value / 1000.0),
            "missing" => Self::Missing,
            other => Self::Failed(format!("`bench: {}` has the unknown unit {other}", figure.name)),
        }
    }

    pub(crate) const fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(*value),
            Self::NotAsked | Self::Missing | Self::Failed(_) => None,
        }
    }
}

impl From<Result<Self>> for Cell {
    fn from(result: Result<Self>) -> Self {
        result.unwrap_or_else(Self::Failed)
    }
}

/// A row and its cells, one a system.
pub(crate) struct Row {
    pub(crate) kind: RowKind,
    pub(crate) cells: [Cell; 3],
}

impl Row {
    pub(crate) const fn cell(&self, system: System) -> &Cell {
        &self.cells[system.index()]
    }

    /// Linux's figure divided by Nacre's: above 1 Nacre is better.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let linux = self.cell(System::LinuxFast).value()?;
        let nacre = self.cell(System::Nacre).value()?;
        (self.kind.source.is_comparable() && nacre > 0.0).then(|| linux / nacre)
    }
}

/// All rows that were asked for.
pub(crate) struct Tables {
    rows: Vec<Row>,
}

impl Tables {
    /// The rows named in `only`, or all. A cell that is to be filled counts as failed until it is.
    pub(crate) fn new(only: &[String], systems: &[System]) -> Self {
        let is_wanted = |kind: &&RowKind| only.is_empty() || only.iter().any(|name| name == kind.name);
        let to_row = |kind: &RowKind| {
            let cells = System::ALL.map(|system| {
                let has_it = system == System::Nacre || kind.source.is_comparable();
                match has_it && systems.contains(&system) {
                    true => Cell::Failed("did not run".to_string()),
                    false => Cell::NotAsked,
                }
            });
            Row { kind: *kind, cells }
        };
        let is_asked = |row: &Row| row.cells.iter().any(|cell| *cell != Cell::NotAsked);
        Self { rows: ROWS.iter().filter(is_wanted).map(to_row).filter(is_asked).collect() }
    }

    pub(crate) fn rows(&self, section: Section) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.kind.section == section)
    }

    /// The rows of `section` that `system` is to fill.
    pub(crate) fn wanted(&self, section: Section, system: System) -> Vec<RowKind> {
        let asked = self.rows(section).filter(|row| *row.cell(system) != Cell::NotAsked);
        asked.map(|row| row.kind).collect()
    }

    pub(crate) fn set(&mut self, kind: RowKind, system: System, cell: Cell) {
        let is_it = |row: &&mut Row| row.kind.section == kind.section && row.kind.name == kind.name;
        if let Some(row) = self.rows.iter_mut().find(is_it) {
            row.cells[system.index()] = cell;
        }
    }

    /// The geometric mean of the ratios of a table's operations, and of how many.
    pub(crate) fn mean(&self, section: Section) -> Option<(f64, usize)> {
        let operations = self.rows(section).filter(|row| row.kind.source.is_operation());
        let logarithms: Vec<f64> = operations.filter_map(Row::ratio).map(f64::ln).collect();
        let count = logarithms.len();
        (count > 0).then(|| ((logarithms.iter().sum::<f64>() / count as f64).exp(), count))
    }

    /// A sentence for each cell that should have a value and has none.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for row in &self.rows {
            for system in System::ALL {
                if let Cell::Failed(why) = row.cell(system) {
                    let table = row.kind.section.key();
                    sentences.push(format!("{} ({table}) on {}: {why}", row.kind.name, system.title()));
                }
            }
        }
        sentences
    }

    /// What differs in a second run of everything but wall time.
    pub(crate) fn differences(&self, again: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (row, other) in self.rows.iter().zip(&again.rows) {
            for system in System::ALL {
                if let (Some(one), Some(two)) = (row.cell(system).value(), other.cell(system).value())
                    && one.to_bits() != two.to_bits()
                {
                    differences.push(format!("{} on {}: {one}, then {two}", row.kind.name, system.title()));
                }
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(only: &[&str], systems: &[System]) -> Tables {
        let only: Vec<String> = only.iter().map(|name| name.to_string()).collect();
        Tables::new(&only, systems)
    }

    fn set_all(tables: &mut Tables, section: Section, values: [f64; 3]) {
        for (system, value) in System::ALL.into_iter().zip(values) {
            for kind in tables.wanted(section, system) {
                tables.set(kind, system, Cell::Value(value));
            }
        }
    }

    #[test]
    fn a_row_that_did_not_run_is_a_failure() {
        let mut tables = tables(&["memory"], &System::ALL);
        assert_eq!(tables.failures().len(), 3);
        set_all(&mut tables, Section::Footprint, [60.0, 70.0, 10.0]);
        assert!(tables.failures().is_empty());
        let ratios: Vec<_> = tables.rows(Section::Footprint).filter_map(Row::ratio).collect();
        assert_eq!(ratios, [6.0]);
    }

    #[test]
    fn linux_has_no_cell_in_rows_about_nacre() {
        let tables = tables(&["switch-same-cpu"], &System::ALL);
        assert_eq!(tables.failures().len(), 1);
        assert!(tables.wanted(Section::Instructions, System::LinuxFast).is_empty());
    }

    #[test]
    fn the_mean_is_geometric_and_leaves_firmware_out() {
        let mut tables = tables(&["boot", "firmware", "null-call"], &System::ALL);
        assert_eq!(tables.mean(Section::Instructions), None);
        for (name, linux) in [("boot", 800.0), ("firmware", 1.0), ("null-call", 200.0)] {
            for kind in tables.wanted(Section::Instructions, System::Nacre) {
                if kind.name == name {
                    tables.set(kind, System::LinuxFast, Cell::Value(linux));
                    tables.set(kind, System::Nacre, Cell::Value(100.0));
                }
            }
        }
        let (mean, count) = tables.mean(Section::Instructions).unwrap();
        assert_eq!(count, 2);
        assert!((mean - 4.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn a_second_run_that_differs_is_noticed() {
        let (mut one, mut two) = (tables(&["memory"], &System::ALL), tables(&["memory"], &System::ALL));
        set_all(&mut one, Section::Footprint, [60.0, 70.0, 10.0]);
        set_all(&mut two, Section::Footprint, [60.0, 70.0, 11.0]);
        assert!(one.differences(&one).is_empty());
        assert_eq!(one.differences(&two), ["memory on Nacre: 10, then 11"]);
    }

    #[test]
    fn units_of_figures_are_understood() {
        let cell = |line| Cell::of_figure(&Figure::parse(line, std::time::Instant::now()).unwrap(), 2.0);
        assert_eq!(cell("bench: a ticks 21"), Cell::Value(42.0));
        assert_eq!(cell("bench: a ticks/1000 21000"), Cell::Value(42.0));
        assert_eq!(cell("bench: a missing 0"), Cell::Missing);
        assert!(matches!(cell("bench: a miles 0"), Cell::Failed(_)));
    }
}
