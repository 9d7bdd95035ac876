//! Measures how much more two CPUs do than one, in wall time: each vCPU is a thread of the host's; and how often four
//! CPUs wait for one another's locks.

use crate::Result;
use crate::kinds::{Section, Source};
use crate::programs::Program;
use crate::qemu::{Clock, Run};
use crate::rows::{Cell, Tables};
use crate::system::{Lab, System};

/// Fills the rows of [`Section::ProcessLimits`] that are about several CPUs.
pub(crate) fn fill(tables: &mut Tables, lab: &Lab) {
    for &system in &lab.systems {
        for (source, cpus) in [(Source::Scaling, 2), (Source::LockWaits, 4)] {
            let wanted = tables.wanted(&[Section::ProcessLimits], system);
            let kinds: Vec<_> = wanted.into_iter().filter(|kind| kind.source == source).collect();
            if kinds.is_empty() {
                continue;
            }
            let run = run(lab, system, cpus);
            for kind in kinds {
                let cell = match &run {
                    Ok(run) => run.figure(kind.name).map(|figure| Cell::of_figure(figure, 1.0)).into(),
                    Err(error) => Cell::Failed(error.to_string()),
                };
                tables.set(kind, system, cell);
            }
        }
    }
}

fn run(lab: &Lab, system: System, cpus: u32) -> Result<Run> {
    eprintln!("bench: loops of processes on {cpus} CPUs, {}", system.title());
    let mut boot = lab.boot(system, Clock::Wall, Program::Scaling)?;
    boot.cpus = cpus;
    boot.run()
}
