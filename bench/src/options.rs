//! The command line.

use crate::Result;
use crate::kinds::{self, Section};
use crate::system::System;

pub(crate) const USAGE: &str = "usage: make bench, or: cargo run --release -p bench -- [OPTION]...
  --only ROW           only rows of this name, or of the group kernel, process or files (more than once is allowed)
  --linux-only         do not run Nacre
  --nacre-only         do not run Linux
  --no-wall-time       leave out the tables that a load on the host disturbs
  --check-repeatable   count instructions twice and fail when a figure differs
  --help               this text";

/// What the user wants.
pub(crate) enum Request {
    Help,
    Run(Options),
}

/// How to run.
pub(crate) struct Options {
    /// Names of rows and groups; all when empty.
    pub(crate) only: Vec<String>,
    pub(crate) systems: Vec<System>,
    pub(crate) tables: Vec<Section>,
    pub(crate) check_repeatable: bool,
}

pub(crate) fn parse(arguments: &[String]) -> Result<Request> {
    let mut options = Options {
        only: Vec::new(),
        systems: System::ALL.to_vec(),
        tables: Section::ALL.to_vec(),
        check_repeatable: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--only" => options.only.push(row_name(words.next())?),
            "--linux-only" => options.systems.retain(|&system| system != System::Nacre),
            "--nacre-only" => options.systems.retain(|&system| system == System::Nacre),
            "--no-wall-time" => options.tables.retain(|table| !Section::TIMED.contains(table)),
            "--check-repeatable" => options.check_repeatable = true,
            other => return Err(format!("there is no option {other}\n{USAGE}")),
        }
    }
    if options.systems.is_empty() {
        return Err("--linux-only and --nacre-only together leave nothing to run".to_string());
    }
    Ok(Request::Run(options))
}

fn row_name(word: Option<&String>) -> Result<String> {
    let known = kinds::names().join(" ");
    let name = word.ok_or(format!("--only needs the name of a row: {known}"))?;
    match kinds::names().contains(&name.as_str()) {
        true => Ok(name.clone()),
        false => Err(format!("there is no row {name}; rows: {known}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        parse(&words).map(|request| match request {
            Request::Run(options) => options,
            Request::Help => panic!("{line} is no request for help"),
        })
    }

    #[test]
    fn options_select_rows_and_systems() {
        let options = parsed("--only boot --only memory --nacre-only --check-repeatable").unwrap();
        assert_eq!(options.only, ["boot", "memory"]);
        assert_eq!(options.systems, [System::Nacre]);
        assert!(options.check_repeatable);
        assert_eq!(parsed("").unwrap().systems, System::ALL);
        assert_eq!(parsed("").unwrap().tables, Section::ALL);
        assert!(!parsed("--no-wall-time").unwrap().tables.contains(&Section::FileWall));
        assert_eq!(parsed("--only process").unwrap().only, ["process"]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |line| parsed(line).err().unwrap();
        assert!(error("--only tea").contains("there is no row tea; rows: kernel process files boot"));
        assert!(error("--only").contains("needs the name"));
        assert!(error("--fast").contains("there is no option --fast"));
        assert!(error("--linux-only --nacre-only").contains("nothing to run"));
    }
}
