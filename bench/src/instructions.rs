//! Counts instructions: QEMU's `-icount`, where a tick of the guest's clock is one instruction.
//!
//! The virtual clock starts with the machine and jumps ahead when the guest idles, so waiting counts too.

use std::collections::BTreeMap;

use crate::Result;
use crate::figures::THOUSANDTHS;
use crate::kinds::{RowKind, Section, Source};
use crate::programs::Program;
use crate::qemu::{Clock, Run};
use crate::rows::{Cell, Tables};
use crate::system::{Lab, System};

/// The two readings of the clock around the loop, and what the compiler puts between them.
const PROOF_SLACK: f64 = 16.0;

/// Fills the rows of [`Section::COUNTED`].
pub(crate) fn fill(tables: &mut Tables, lab: &Lab) {
    for &system in &lab.systems {
        let mut runs = BTreeMap::new();
        for kind in tables.wanted(&Section::COUNTED, system) {
            let cell = match kind.source {
                Source::Guest(program) => {
                    let run = runs.entry(program).or_insert_with(|| run(lab, system, program));
                    run.as_ref().map_err(Clone::clone).and_then(|run| cell(run, kind))
                }
                Source::Firmware => firmware(lab, system, kind),
                Source::KernelItself { cpus } => kernel_itself(lab, kind, cpus),
                Source::LeastMemory(..)
                | Source::Scaling
                | Source::LockWaits
                | Source::ImageSize
                | Source::SymbolSize => {
                    continue;
                }
            };
            tables.set(kind, system, cell.into());
        }
    }
}

fn run(lab: &Lab, system: System, program: Program) -> Result<Run> {
    eprintln!("bench: counting instructions on {}", system.title());
    let run = lab.boot(system, Clock::Instructions, program)?.run()?;
    check_clock(&run)?;
    Ok(run)
}

/// A loop of known length must take that many ticks, or no figure is worth anything.
fn check_clock(run: &Run) -> Result<()> {
    let (expected, actual) = (ticks(run, "proof-expected")?, ticks(run, "proof")?);
    match (expected..=expected + PROOF_SLACK).contains(&actual) {
        true => Ok(()),
        false => Err(format!("a loop of {expected} instructions took {actual} ticks of the guest's clock")),
    }
}

fn ticks(run: &Run, name: &str) -> Result<f64> {
    let figure = run.figure(name)?;
    let scale = if figure.unit == THOUSANDTHS { 1000.0 } else { 1.0 };
    Ok(figure.value as f64 / scale)
}

fn cell(run: &Run, kind: RowKind) -> Result<Cell> {
    Ok(Cell::of_figure(run.figure(kind.name)?, 1.0))
}

fn firmware(lab: &Lab, system: System, kind: RowKind) -> Result<Cell> {
    cell(&lab.boot_firmware(system)?.run()?, kind)
}

fn kernel_itself(lab: &Lab, kind: RowKind, cpus: u32) -> Result<Cell> {
    eprintln!("bench: {} on Nacre", kind.name);
    let mut boot = lab.boot(System::Nacre, Clock::Instructions, Program::Init)?;
    boot.cpus = cpus;
    boot.command_line += " bench.switch";
    boot.until = kind.name;
    cell(&boot.run()?, kind)
}
