//! Measures how much more two CPUs do than one, in wall time: each vCPU is a thread of the host's.

use crate::Result;
use crate::kinds::{RowKind, Section, Source};
use crate::programs::Program;
use crate::qemu::Clock;
use crate::rows::{Cell, Tables};
use crate::system::{Lab, System};

const CPUS: u32 = 2;

/// Fills the rows of [`Section::ProcessLimits`] that are about scaling.
pub(crate) fn fill(tables: &mut Tables, lab: &Lab) {
    for &system in &lab.systems {
        for kind in tables.wanted(&[Section::ProcessLimits], system) {
            if kind.source == Source::Scaling {
                tables.set(kind, system, measure(lab, system, kind).into());
            }
        }
    }
}

fn measure(lab: &Lab, system: System, kind: RowKind) -> Result<Cell> {
    eprintln!("bench: {} on {}", kind.name, system.title());
    let mut boot = lab.boot(system, Clock::Wall, Program::Scaling)?;
    boot.cpus = CPUS;
    Ok(Cell::of_figure(boot.run()?.figure(kind.name)?, 1.0))
}
