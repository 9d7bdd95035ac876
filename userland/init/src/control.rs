//! The FIFO that commands come through: `/run/init.control`, for root. A line is a command, as `Command::parse` reads it.
//!
//! `status` writes a line for each service into `/run/init.status`, under another name first, so that a reader sees all of it.

use abi::file::{O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR, O_TRUNC, O_WRONLY};
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::file::{self, Descriptor, File};

use crate::say;
use crate::supervisor::Command;

const FIFO: &CStr = c"/run/init.control";
const STATUS: &CStr = c"/run/init.status";
const NEW_STATUS: &CStr = c"/run/init.status.new";
/// A line that is longer is none.
const MOST_BYTES: usize = 512;

/// The FIFO, and the beginning of a line that is not complete.
pub struct Control {
    fifo: Option<File>,
    partial: Vec<u8>,
}

impl Control {
    /// Makes it; without it signals still work.
    pub fn open() -> Control {
        let _ = file::remove(FIFO);
        // With a writer of its own it never is at its end.
        let fifo = file::make_fifo(FIFO, 0o600).and_then(|()| File::open(FIFO, O_RDWR | O_NONBLOCK, 0));
        if let Err(error) = &fifo {
            say::text(format_args!("cannot make {}: {error}; only signals are heard", say::Shown(FIFO)));
        }
        Control { fifo: fifo.ok(), partial: Vec::new() }
    }

    /// To wait on; no file if there is none.
    pub fn descriptor(&self) -> Descriptor {
        self.fifo.as_ref().map_or(Descriptor(-1), |fifo| **fifo)
    }

    /// What came.
    pub fn commands(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        let Some(fifo) = &self.fifo else { return commands };
        let mut chunk = [0; MOST_BYTES];
        while let Ok(count @ 1..) = fifo.read(&mut chunk) {
            self.partial.extend_from_slice(chunk.get(..count).unwrap_or_default());
            while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                match Command::parse(&line) {
                    Some(command) => commands.push(command),
                    None => say::text(format_args!("`{}` is no command", say::Bytes(line.trim_ascii()))),
                }
            }
            if self.partial.len() > MOST_BYTES {
                self.partial.clear();
            }
        }
        commands
    }
}

/// Writes what runs.
pub fn write_status(text: &[u8]) {
    let written = File::open(NEW_STATUS, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW, 0o644)
        .and_then(|file| file.write_all(text))
        .and_then(|()| file::rename(NEW_STATUS, STATUS));
    say::problem("cannot write /run/init.status", written);
}
