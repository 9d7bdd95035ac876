//! What stands in the tables.

use std::collections::BTreeSet;

use crate::Result;
use crate::figures::{Figure, THOUSANDTHS};
use crate::kinds::{self, RowKind, Section};
use crate::options::Options;
use crate::programs::Program;
use crate::system::System;

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
            THOUSANDTHS => Self::Value(value / 1000.0),
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

    /// Linux's figure divided by Nacre's, or the reverse where more is better: above 1 Nacre is better.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let linux = self.cell(System::LinuxFast).value()?;
        let nacre = self.cell(System::Nacre).value()?;
        let (better, worse) = if self.kind.source.is_more_better() { (linux, nacre) } else { (nacre, linux) };
        (self.kind.source.is_comparable() && better > 0.0).then(|| worse / better)
    }

    /// What the ratio should not fall below.
    pub(crate) fn bar(&self) -> Option<f64> {
        self.kind.section.bars().filter(|_| self.kind.source.is_operation()).map(|bars| bars.row)
    }

    pub(crate) fn is_below_bar(&self) -> bool {
        self.ratio().zip(self.bar()).is_some_and(|(ratio, bar)| ratio < bar)
    }
}

/// All rows that were asked for.
pub(crate) struct Tables {
    rows: Vec<Row>,
}

impl Tables {
    /// The rows that were asked for. A cell that is to be filled counts as failed until it is.
    pub(crate) fn new(options: &Options) -> Self {
        let Options { only, systems, tables, .. } = options;
        let is_named = |kind: &RowKind| only.is_empty() || only.iter().any(|word| kind.is_named(word));
        let is_wanted = |kind: &RowKind| tables.contains(&kind.section) && is_named(kind);
        let to_row = |kind: RowKind| {
            let cells = System::ALL.map(|system| {
                let has_it = system == System::Nacre || kind.source.is_comparable();
                match has_it && systems.contains(&system) {
                    true => Cell::Failed("did not run".to_string()),
                    false => Cell::NotAsked,
                }
            });
            Row { kind, cells }
        };
        let is_asked = |row: &Row| row.cells.iter().any(|cell| *cell != Cell::NotAsked);
        Self { rows: kinds::all().into_iter().filter(is_wanted).map(to_row).filter(is_asked).collect() }
    }

    /// The programs that the rows need.
    pub(crate) fn programs(&self) -> BTreeSet<Program> {
        self.rows.iter().filter_map(|row| row.kind.source.program()).collect()
    }

    pub(crate) fn rows(&self, section: Section) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.kind.section == section)
    }

    /// The rows of `sections` that `system` is to fill.
    pub(crate) fn wanted(&self, sections: &[Section], system: System) -> Vec<RowKind> {
        let rows = sections.iter().flat_map(|&section| self.rows(section));
        let asked = rows.filter(|row| *row.cell(system) != Cell::NotAsked);
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
        let tables = Section::ALL.to_vec();
        Tables::new(&Options { only, systems: systems.to_vec(), tables, check_repeatable: false })
    }

    fn set_all(tables: &mut Tables, section: Section, values: [f64; 3]) {
        for (system, value) in System::ALL.into_iter().zip(values) {
            for kind in tables.wanted(&[section], system) {
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
        assert!(tables.wanted(&[Section::Instructions], System::LinuxFast).is_empty());
    }

    #[test]
    fn a_group_is_all_its_tables_and_no_other() {
        let tables = tables(&["process"], &System::ALL);
        assert!(tables.rows(Section::Instructions).next().is_none());
        assert_eq!(tables.rows(Section::ProcessInstructions).count(), 28);
        assert_eq!(tables.rows(Section::ProcessWall).count(), 28);
        assert_eq!(tables.rows(Section::ProcessLimits).count(), 4);
    }

    #[test]
    fn where_more_is_better_the_ratio_turns_around() {
        let mut tables = tables(&["scaling"], &System::ALL);
        set_all(&mut tables, Section::ProcessLimits, [1.0, 1.0, 1.5]);
        let row = tables.rows(Section::ProcessLimits).next().unwrap();
        assert_eq!((row.ratio(), row.bar()), (Some(1.5), None));
    }

    #[test]
    fn rows_below_the_bar_are_known() {
        let mut tables = tables(&["futex"], &System::ALL);
        set_all(&mut tables, Section::ProcessInstructions, [79.0, 79.0, 100.0]);
        assert!(tables.rows(Section::ProcessInstructions).all(Row::is_below_bar));
    }

    #[test]
    fn the_mean_is_geometric_and_leaves_firmware_out() {
        let mut tables = tables(&["boot", "firmware", "null-call"], &System::ALL);
        assert_eq!(tables.mean(Section::Instructions), None);
        for (name, linux) in [("boot", 800.0), ("firmware", 1.0), ("null-call", 200.0)] {
            for kind in tables.wanted(&[Section::Instructions], System::Nacre) {
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
