//! Packages of Debian's: downloaded with apt and unpacked, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command};

const SCRATCH: &str = "build/download";

/// Calls `take` with the folder that `package` was unpacked into, which is gone afterwards.
///
/// Fails when apt cannot download it, and as `take` does.
pub(crate) fn with(package: &str, take: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let scratch = Path::new(SCRATCH);
    let _ = fs::remove_dir_all(scratch); // of a run that was interrupted
    fs::create_dir_all(scratch).map_err(|error| format!("cannot make {SCRATCH}: {error}"))?;
    // The sandbox user could not write below a private home folder.
    command::run(
        Command::new("apt-get")
            .args(["-q", "-o", "APT::Sandbox::User=root", "download", package])
            .current_dir(scratch),
    )?;
    let archive =
        file_named(scratch, |name| Path::new(name).extension().is_some_and(|found| found == "deb"))?;
    let unpacked = scratch.join("unpacked");
    command::run(Command::new("dpkg-deb").arg("-x").args([&archive, &unpacked]))?;
    take(&unpacked)?;
    let _ = fs::remove_dir_all(scratch); // only disk space
    Ok(())
}

/// The first file of `folder` whose name `is_it`.
pub(crate) fn file_named(folder: &Path, is_it: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let found = paths.find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_it));
    found.ok_or(format!("{} does not hold the file that was expected", folder.display()))
}
