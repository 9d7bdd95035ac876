//! `make bench`: boots Linux and Nacre side by side and prints a row per operation (docs/benchmarks.md).
//!
//! Modules, lowest first:
//! - [`figures`]: the lines a guest reports its figures in.
//! - [`command`]: programs of the host: apt, dpkg, gcc.
//! - [`package`]: packages of Debian's, fetched and unpacked, never installed.
//! - [`linux`]: Debian's newest cloud kernel.
//! - [`disk`]: the ext2 disk of the rows about files.
//! - [`programs`]: builds the guest programs and the archives both kernels boot.
//! - [`qemu`]: one boot, from start to its last figure.
//! - [`system`]: the three columns: which kernel, which command line.
//! - [`kinds`]: the tables, and what each row is.
//! - [`options`]: the command line.
//! - [`rows`]: what stands in the tables.
//! - [`instructions`], [`wall`], [`footprint`], [`scaling`]: fill the cells.
//! - [`report`]: the tables as text, Markdown and JSON.

#![forbid(unsafe_code)]

mod command;
mod disk;
mod figures;
mod footprint;
mod instructions;
mod kinds;
mod linux;
mod options;
mod package;
mod programs;
mod qemu;
mod report;
mod rows;
mod scaling;
mod system;
mod wall;

use std::path::Path;
use std::process::ExitCode;

use options::{Options, Request};
use programs::Programs;
use rows::Tables;
use system::{Lab, System};

/// Errors are sentences for whoever ran the benchmark.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = options::parse(&arguments).and_then(|request| match request {
        Request::Help => {
            println!("{}", options::USAGE);
            Ok(true)
        }
        Request::Run(options) => run(&options),
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every row that was asked for ran, and repeats if that was asked too.
fn run(options: &Options) -> Result<bool> {
    enter_root()?;
    let mut tables = Tables::new(options);
    let lab = prepare(options, &tables)?;
    instructions::fill(&mut tables, &lab);
    footprint::fill(&mut tables, &lab);
    let mut all_well = true;
    if options.check_repeatable {
        let mut again = Tables::new(options);
        instructions::fill(&mut again, &lab);
        footprint::fill(&mut again, &lab);
        let differences = tables.differences(&again);
        all_well = differences.is_empty();
        differences.iter().for_each(|difference| eprintln!("bench: not repeatable: {difference}"));
        if all_well {
            println!("Repeatable: the second run gave the same figures.\n");
        }
    }
    wall::fill(&mut tables, &lab);
    scaling::fill(&mut tables, &lab);
    report::publish(&tables, &lab)?;
    Ok(all_well && tables.failures().is_empty())
}

/// All paths are relative to the source tree, wherever the program was started.
fn enter_root() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::set_current_dir(&root).map_err(|error| format!("cannot enter {}: {error}", root.display()))
}

/// Builds and fetches what the boots need.
fn prepare(options: &Options, tables: &Tables) -> Result<Lab> {
    let linux = options.systems.contains(&System::LinuxFast).then(linux::fetch).transpose()?;
    let programs = Programs::build(&tables.programs(), linux.as_ref())?;
    Ok(Lab { programs, linux, systems: options.systems.clone() })
}
