//! who: who is logged in, where, since when.
//!
//! `who [-b] [-H] [-q] [-m | am i] [FILE]`; times are in UTC.

use accounts::records::{self, Kind, Record};
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::file::{self, STDIN, STDOUT};
use nrlib::io::{Text, Writer};
use nrlib::options::{Known, Options, Value};
use nrlib::time::Date;
use nrlib::{Result, env, eprintln, process, terminal};

const OPTIONS: &[Known] = &[
    Known { letter: b'b', name: "boot", value: Value::None },
    Known { letter: b'H', name: "heading", value: Value::None },
    Known { letter: b'q', name: "count", value: Value::None },
    Known { letter: b'm', name: "", value: Value::None },
];

/// The program.
pub fn main() -> i32 {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let _ = eprintln!("{}: {error}", Text(env::program_name()));
            1
        }
    }
}

#[derive(Default)]
struct Plan {
    shows_boot: bool,
    has_heading: bool,
    counts: bool,
    only_own: bool,
}

fn run() -> Result<i32> {
    let words: Vec<&[u8]> = env::arguments().skip(1).map(CStr::to_bytes).collect();
    let mut options = Options::new(OPTIONS, &words);
    let mut plan = Plan::default();
    for given in options.by_ref() {
        match given.map(|given| given.letter) {
            Ok(b'b') => plan.shows_boot = true,
            Ok(b'H') => plan.has_heading = true,
            Ok(b'q') => plan.counts = true,
            Ok(_) => plan.only_own = true,
            Err(problem) => {
                eprintln!("who: {problem}")?;
                return Ok(1);
            }
        }
    }
    let path = match options.operands() {
        [] => file::path(&[records::UTMP.to_bytes()])?,
        [path] => file::path(&[path])?,
        [_, _] => {
            plan.only_own = true;
            file::path(&[records::UTMP.to_bytes()])?
        }
        _ => {
            eprintln!("usage: who [-b] [-H] [-q] [-m | am i] [FILE]")?;
            return Ok(1);
        }
    };
    let mut found: Vec<Record> = Vec::new();
    records::for_each(&path, |record| found.push(record.clone()))?;
    let own = if plan.only_own { terminal::name(STDIN).ok() } else { None };
    found.retain(|record| is_wanted(record, &plan, own.as_deref()));
    let mut out = Writer::<1024>::new(STDOUT);
    if plan.counts {
        let names: Vec<&[u8]> = found.iter().map(Record::user).collect();
        writeln!(out, "{}\n# users={}", Text(&names.join(&b' ')), found.len())?;
    } else {
        if plan.has_heading {
            writeln!(out, "NAME     LINE         TIME             COMMENT")?;
        }
        for record in &found {
            show(&mut out, record)?;
        }
    }
    out.flush()?;
    Ok(0)
}

fn is_wanted(record: &Record, plan: &Plan, own: Option<&[u8]>) -> bool {
    match record.kind() {
        Kind::Boot => plan.shows_boot,
        Kind::User if plan.shows_boot => false,
        // What was killed may have left its record.
        Kind::User if plan.only_own => own == Some(record.line()),
        Kind::User => process::kill(record.pid(), 0) != Err(nrlib::Errno::ESRCH),
        _ => false,
    }
}

fn show<const SIZE: usize>(out: &mut Writer<SIZE>, record: &Record) -> Result<()> {
    let Date { year, month, day, hour, minute, .. } = Date::from_unix(record.seconds());
    let (name, line): (&[u8], &[u8]) =
        if record.kind() == Kind::Boot { (b"", b"system boot") } else { (record.user(), record.line()) };
    write!(out, "{}", Text(name))?;
    pad(out, name, 8)?;
    write!(out, " {}", Text(line))?;
    pad(out, line, 12)?;
    write!(out, " {year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")?;
    if !record.host().is_empty() && record.kind() == Kind::User {
        write!(out, " ({})", Text(record.host()))?;
    }
    writeln!(out)
}

fn pad<const SIZE: usize>(out: &mut Writer<SIZE>, text: &[u8], width: usize) -> Result<()> {
    for _ in text.len()..width {
        out.put(b" ")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::string::String;

    /// GNU's who, given the same file.
    #[test]
    fn lines_are_those_of_this_hosts_who() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let records = [
            Record::new(Kind::Boot, 0, b"~", b"reboot").with_id(b"~~"),
            Record::new(Kind::User, pid, b"ttyS0", b"user"),
            Record::new(Kind::Login, pid, b"tty2", b"LOGIN"),
            Record::new(Kind::User, pid, b"pts/0", b"averylongname").with_host(b"10.0.0.1"),
        ];
        let (from, to) = file::pipe().unwrap();
        let mut out = Writer::<2048>::new(*to);
        for record in records.iter().filter(|record| is_wanted(record, &Plan::default(), None)) {
            show(&mut out, record).unwrap();
        }
        out.flush().unwrap();
        drop(to);
        let ours = String::from_utf8(from.read_all(10_000).unwrap()).unwrap();
        let path = std::format!("{}/users-utmp-{pid}", std::env::temp_dir().display());
        let bytes: Vec<u8> = records.iter().flat_map(|record| record.bytes().to_vec()).collect();
        std::fs::write(&path, bytes).unwrap();
        let output = Command::new("who").arg(&path).env("LC_ALL", "C").env("TZ", "UTC").output().unwrap();
        std::fs::remove_file(&path).unwrap();
        // GNU's writes the time as its locale says: in C, as `Nov 21 13:05`; ours is that of other locales.
        let theirs = String::from_utf8(output.stdout).unwrap();
        let columns = |text: &str| -> Vec<(String, String)> {
            let line = |line: &str| {
                let mut words = line.split_whitespace();
                (words.next().unwrap().into(), words.next().unwrap().into())
            };
            text.lines().map(line).collect()
        };
        assert_eq!(columns(&ours), columns(&theirs), "{ours}{theirs}");
        assert!(ours.contains("(10.0.0.1)"));
    }
}
