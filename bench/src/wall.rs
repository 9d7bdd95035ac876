//! Measures wall time: what instructions hide, such as TLB flushes and page-table switches.
//!
//! Systems run in turn, so that a load on the host meets all of them, and the median counts.

use std::collections::BTreeMap;

use crate::Result;
use crate::figures::Figure;
use crate::kinds::{RowKind, Section, Source};
use crate::programs::Program;
use crate::qemu::{Clock, Run};
use crate::rows::{Cell, Tables};
use crate::system::{Lab, System};

const MS_PER_S: f64 = 1e3;
const NS_PER_S: f64 = 1e9;

/// A program, and how often it is booted: the long ones less often.
const PROGRAMS: [(Program, usize); 3] = [(Program::Init, 5), (Program::Process, 3), (Program::Files, 3)];

/// Fills the rows of [`Section::TIMED`].
pub(crate) fn fill(tables: &mut Tables, lab: &Lab) {
    for (program, runs) in PROGRAMS {
        fill_from(tables, lab, program, runs);
    }
}

fn fill_from(tables: &mut Tables, lab: &Lab, program: Program, runs: usize) {
    let mut cells: BTreeMap<(usize, usize), Vec<Cell>> = BTreeMap::new();
    for round in 1..=runs {
        for &system in &lab.systems {
            let wanted = wanted(tables, program, system);
            if wanted.is_empty() {
                continue;
            }
            eprintln!("bench: wall time on {}, run {round} of {runs}", system.title());
            let run = lab.boot(system, Clock::Wall, program).and_then(|boot| boot.run());
            for (place, &kind) in wanted.iter().enumerate() {
                let cell = run.as_ref().map_err(Clone::clone).and_then(|run| cell(run, kind));
                cells.entry((system.index(), place)).or_default().push(cell.into());
            }
        }
    }
    for &system in &lab.systems {
        for (place, kind) in wanted(tables, program, system).into_iter().enumerate() {
            let runs = cells.remove(&(system.index(), place)).unwrap_or_default();
            tables.set(kind, system, median(runs));
        }
    }
}

fn wanted(tables: &Tables, program: Program, system: System) -> Vec<RowKind> {
    tables
        .wanted(&Section::TIMED, system)
        .into_iter()
        .filter(|kind| kind.source == Source::Guest(program))
        .collect()
}

fn cell(run: &Run, kind: RowKind) -> Result<Cell> {
    let figure = run.figure(kind.name)?;
    if kind.unit == "ms" {
        // Only the host's clock runs before the guest does; the guest prints the line at once.
        return Ok(Cell::Value(figure.arrived.duration_since(run.started).as_secs_f64() * MS_PER_S));
    }
    Ok(Cell::of_figure(figure, ns_per_tick(run)?))
}

/// The guest says twice what its clock shows, and the host knows when it heard that.
fn ns_per_tick(run: &Run) -> Result<f64> {
    let clocks: Vec<&Figure> = run.figures.iter().filter(|figure| figure.name == "clock").collect();
    let &[first, last] = clocks.as_slice() else {
        return Err(format!("no two lines `bench: clock`: {run}"));
    };
    let ticks = last.value.saturating_sub(first.value);
    if ticks == 0 {
        return Err("the guest's clock stands still".to_string());
    }
    Ok(last.arrived.duration_since(first.arrived).as_secs_f64() * NS_PER_S / ticks as f64)
}

/// The median of the values; the first failure, if any, stands for all.
fn median(runs: Vec<Cell>) -> Cell {
    let mut values = Vec::new();
    for cell in runs {
        match cell {
            Cell::Value(value) => values.push(value),
            Cell::NotAsked | Cell::Missing | Cell::Failed(_) => return cell,
        }
    }
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or(Cell::Failed("did not run".to_string()), |&value| Cell::Value(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([9.0, 1.0, 5.0].map(Cell::Value).to_vec()), Cell::Value(5.0));
        assert_eq!(median(vec![Cell::Value(1.0), Cell::Missing]), Cell::Missing);
        assert!(matches!(median(Vec::new()), Cell::Failed(_)));
    }
}
