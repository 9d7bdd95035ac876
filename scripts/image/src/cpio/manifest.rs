//! The list of what goes into the archive, one entry a line; `#` starts a comment.
//!
//! ```text
//! dir  PATH MODE UID GID
//! file PATH MODE UID GID SOURCE
//! link PATH TARGET
//! node PATH MODE UID GID c|b MAJOR MINOR
//! ```
//!
//! `slink` and `nod`, the words of Linux's `gen_init_cpio`, are understood as well (`slink` with its
//! mode and owner, which are dropped: a link's mode means nothing). Modes are octal.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Result;

/// One thing in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Without the slash in front.
    pub(crate) path: String,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File { source: PathBuf },
    Link { target: String },
    Device { kind: DeviceKind, major: u32, minor: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Character,
    Block,
}

impl Kind {
    /// The file type bits of `stat(2)`'s mode.
    pub(crate) const fn mode_bits(&self) -> u32 {
        match self {
            Self::Directory => 0o040_000,
            Self::File { .. } => 0o100_000,
            Self::Link { .. } => 0o120_000,
            Self::Device { kind: DeviceKind::Character, .. } => 0o020_000,
            Self::Device { kind: DeviceKind::Block, .. } => 0o060_000,
        }
    }
}

/// Reads a manifest. Every folder must come before what is in it, because the kernel unpacks in order.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let entry = parse_entry(&words)
            .and_then(|entry| check_place(&entry, &known).map(|()| entry))
            .map_err(|error| format!("Line {number} of the manifest: {error}"))?;
        known.insert(entry.path.clone(), entry.kind == Kind::Directory);
        entries.push(entry);
    }
    Ok(entries)
}

fn parse_entry(words: &[&str]) -> Result<Entry> {
    match *words {
        ["dir", path, mode, owner, group] => entry(path, [mode, owner, group], Kind::Directory),
        ["file", path, mode, owner, group, source] => {
            entry(path, [mode, owner, group], Kind::File { source: source.into() })
        }
        ["link", path, target] | ["slink", path, target, _, _, _] => {
            entry(path, ["777", "0", "0"], Kind::Link { target: target.into() })
        }
        ["node" | "nod", path, mode, owner, group, kind, major, minor] => {
            entry(path, [mode, owner, group], device(kind, major, minor)?)
        }
        ["dir" | "file" | "link" | "slink" | "node" | "nod", ..] => {
            Err(format!("{} has too few or too many words after it.", words[0]))
        }
        _ => Err(format!("{} is none of dir, file, link and node.", words[0])),
    }
}

fn entry(path: &str, [mode, owner, group]: [&str; 3], kind: Kind) -> Result<Entry> {
    let path = path.trim_matches('/');
    if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("/{path} is no path of an entry."));
    }
    let mode = u32::from_str_radix(mode, 8).ok().filter(|&mode| mode <= 0o7777);
    let mode = mode.ok_or(format!("The mode of /{path} is not octal permission bits."))?;
    Ok(Entry { path: path.into(), mode, owner: decimal(owner)?, group: decimal(group)?, kind })
}

fn device(kind: &str, major: &str, minor: &str) -> Result<Kind> {
    let kind = match kind {
        "c" => DeviceKind::Character,
        "b" => DeviceKind::Block,
        other => return Err(format!("{other} is neither c nor b.")),
    };
    Ok(Kind::Device { kind, major: decimal(major)?, minor: decimal(minor)? })
}

fn decimal(word: &str) -> Result<u32> {
    word.parse().map_err(|_| format!("{word} is not a decimal number."))
}

fn check_place(entry: &Entry, known: &BTreeMap<String, bool>) -> Result<()> {
    if known.contains_key(&entry.path) {
        return Err(format!("/{} is there already.", entry.path));
    }
    let Some((parent, _)) = entry.path.rsplit_once('/') else { return Ok(()) };
    match known.get(parent) {
        Some(true) => Ok(()),
        Some(false) => Err(format!("/{parent} is not a folder.")),
        None => Err(format!("The folder /{parent} must come before /{}.", entry.path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_understood() {
        let text =
            "# comment\n\ndir /dev 0755 0 0 # folder\nnode /dev/console 600 0 5 c 5 1\nlink /sh bin/sh\n";
        let entries = parse(text).unwrap();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[1].kind.mode_bits() | entries[1].mode, 0o020_600);
        assert_eq!((entries[1].path.as_str(), entries[1].group), ("dev/console", 5));
        assert_eq!(entries[2].kind, Kind::Link { target: "bin/sh".into() });
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text| parse(text).unwrap_err();
        assert_eq!(
            error("\nfolder /x"),
            "Line 2 of the manifest: folder is none of dir, file, link and node."
        );
        assert!(error("link /bin/sh x").contains("The folder /bin must come before /bin/sh."));
        assert!(error("link /x y\nlink /x/y z").contains("/x is not a folder."));
        assert!(error("link /x y\nlink x z").contains("/x is there already."));
        assert!(error("dir /x 9 0 0").contains("not octal"));
        assert!(error("dir /x/../y 755 0 0").contains("no path"));
        assert!(error("node /x 600 0 0 p 1 1").contains("neither c nor b"));
        assert!(error("dir /x 755 root 0").contains("root is not a decimal number."));
        assert!(error("dir /x").contains("too few"));
    }
}
