//! Programs of the host: apt, dpkg, gcc, git.

use std::process::Command;

use crate::Result;

/// Runs `command` and returns what it wrote.
///
/// Fails with a sentence that ends in what the program said.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.trim().lines().last().unwrap_or("it does not say why")))
}
