//! The calls a first program needs.

use abi::{Errno, Result};
use hal::{console, usermem};

use super::{Cx, Fd, UserAddress};
use crate::process::Ending;

/// write(2) to the console: descriptors 1 and 2 until there are files.
pub(super) fn write(_cx: &Cx<'_>, fd: Fd, from: UserAddress, len: usize) -> Result<usize> {
    if !matches!(fd.0, 1 | 2) {
        return Err(Errno::EBADF);
    }
    let mut buffer = [0; 256];
    let mut done = 0;
    while done < len {
        let part = &mut buffer[..(len - done).min(256)];
        match usermem::read_bytes(part, from.0.saturating_add(done as u64)) {
            Ok(()) => console::write(part),
            // What was written stays written; a fault at the start is the caller's error.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        done += part.len();
    }
    Ok(done)
}

/// getpid(2).
pub(super) fn getpid(cx: &Cx<'_>) -> Result<usize> {
    Ok(cx.process.pid())
}

/// getppid(2): 0, as for a program whose parent is outside its world; the kernel started it.
pub(super) fn getppid(_cx: &Cx<'_>) -> Result<usize> {
    Ok(0)
}

/// exit(2), exit_group(2): the low eight bits reach the parent.
pub(super) fn exit(cx: &Cx<'_>, code: i32) -> Result<()> {
    let [low, ..] = code.to_le_bytes();
    cx.process.end(Ending::Exited(low));
    Ok(())
}
