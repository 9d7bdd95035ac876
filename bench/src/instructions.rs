//! Counts instructions: QEMU's `-icount`, where a tick of the guest's clock is one instruction.
//!
//! The virtual clock starts with the machine and jumps ahead when the guest idles, so waiting counts too.

use crate::Result;
use crate::qemu::{Clock, Run};
use crate::rows::{Cell, RowKind, Section, Source, Tables};
use crate::system::{Lab, System};

/// The two `rdtsc` around the loop, and what the compiler puts between them.
const PROOF_SLACK: u64 = 16;

/// Fills the rows of [`Section::Instructions`].
pub(crate) fn fill(tables: &mut Tables, lab: &Lab) {
    for &system in &lab.systems {
        let wanted = tables.wanted(Section::Instructions, system);
        let init = match wanted.iter().any(|kind| kind.source == Source::Init) {
            true => run_init(lab, system),
            false => Err("did not run".to_string()),
        };
        for kind in wanted {
            let cell = match kind.source {
                Source::Init => init.as_ref().map_err(Clone::clone).and_then(|run| cell(run, kind)),
                Source::Firmware => firmware(lab, system, kind),
                Source::KernelItself { cpus } => kernel_itself(lab, kind, cpus),
                Source::LeastMemory | Source::ImageSize | Source::SymbolSize => continue,
            };
            tables.set(kind, system, cell.into());
        }
    }
}

fn run_init(lab: &Lab, system: System) -> Result<Run> {
    eprintln!("bench: counting instructions on {}", system.title());
    let run = lab.boot(system, Clock::Instructions)?.run()?;
    check_clock(&run)?;
    Ok(run)
}

/// A loop of known length must take that many ticks, or no figure is worth anything.
fn check_clock(run: &Run) -> Result<()> {
    let (expected, actual) = (run.figure("proof-expected")?.value, run.figure("proof")?.value);
    match (expected..=expected + PROOF_SLACK).contains(&actual) {
        true => Ok(()),
        false => Err(format!("a loop of {expected} instructions took {actual} ticks of the guest's clock")),
    }
}

fn cell(run: &Run, kind: RowKind) -> Result<Cell> {
    Ok(Cell::of_figure(run.figure(kind.name)?, 1.0))
}

fn firmware(lab: &Lab, system: System, kind: RowKind) -> Result<Cell> {
    cell(&lab.boot_firmware(system)?.run()?, kind)
}

fn kernel_itself(lab: &Lab, kind: RowKind, cpus: u32) -> Result<Cell> {
    eprintln!("bench: {} on Nacre", kind.name);
    let mut boot = lab.boot(System::Nacre, Clock::Instructions)?;
    boot.cpus = cpus;
    boot.command_line += " bench.switch";
    boot.until = kind.name;
    cell(&boot.run()?, kind)
}
