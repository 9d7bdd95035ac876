//! The disk of the rows about files, made by mke2fs; each boot gets a fresh copy.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command};

const IMAGE: &str = "build/bench/ext2.img";
const BYTES: u64 = 192 << 20;

/// What would differ between two images is fixed.
const OPTIONS: [&str; 10] = [
    "-q",
    "-F",
    "-t",
    "ext2",
    "-b",
    "4096",
    "-U",
    "6e616372-652d-4265-9e63-680000000000",
    "-E",
    "hash_seed=6e616372-652d-4265-9e63-680000000001",
];

/// Makes the image: empty, with the features that mke2fs gives an ext2 file system by default.
pub(crate) fn make() -> Result<PathBuf> {
    let file = File::create(IMAGE).and_then(|file| file.set_len(BYTES));
    file.map_err(|error| format!("cannot make {IMAGE}: {error}"))?;
    // A user's PATH need not hold the folder that mke2fs is in.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    command::run(Command::new("mke2fs").args(OPTIONS).arg(IMAGE).env("PATH", path))?;
    Ok(Path::new(IMAGE).to_path_buf())
}
