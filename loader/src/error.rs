//! What can go wrong before the kernel runs, each as a sentence that names the problem and what to do.

use alloc::string::String;
use core::fmt;

use crate::config::ConfigError;
use crate::elf::ElfError;
use crate::protocol::ProtocolError;

/// Why nothing was booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The loader cannot read the disk it was started from.
    NoDisk(String),
    /// A file is not there.
    MissingFile(String),
    /// A file is there but cannot be read.
    UnreadableFile(String, String),
    /// nacre.conf is wrong.
    Config(ConfigError),
    /// The kernel's file is wrong.
    Kernel(String, ElfError),
    /// The kernel asks for what cannot be had.
    Requests(String, ProtocolError),
    /// Not enough memory: for what, and how many bytes.
    NoMemory(&'static str, u64),
    /// The firmware runs with five-level page tables, which cannot be left in 64-bit mode.
    FiveLevelFirmware,
    /// The firmware's memory map cannot be read.
    NoMemoryMap(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDisk(why) => write!(
                out,
                "cannot read the disk this loader was started from ({why}). Start it from a FAT file system, such \
                 as build/esp.img, not from the network."
            ),
            Self::MissingFile(path) => write!(
                out,
                "there is no {path} on this disk. Put it there, or name another file in \\nacre.conf \
                 (kernel=PATH, module=PATH)."
            ),
            Self::UnreadableFile(path, why) => {
                write!(out, "cannot read {path} ({why}). Check or rebuild the disk: make esp.")
            }
            Self::Config(error) => write!(out, "{error}"),
            Self::Kernel(path, error) => {
                write!(out, "cannot boot {path}: {error}. Rebuild it with `make build` and copy it again.")
            }
            Self::Requests(path, error) => {
                write!(out, "cannot boot {path}: {error}. Use a newer loader or another boot protocol.")
            }
            Self::NoMemory(purpose, bytes) => write!(
                out,
                "not enough free memory for {purpose} ({} KiB needed). Give the machine more memory.",
                bytes.div_ceil(1024)
            ),
            Self::FiveLevelFirmware => write!(
                out,
                "the firmware uses 5-level paging, and this loader has 4 levels. Turn 5-level paging off in the \
                 firmware setup."
            ),
            Self::NoMemoryMap(why) => {
                write!(out, "the firmware does not give its memory map ({why}). Update the firmware.")
            }
        }
    }
}

impl From<ConfigError> for LoadError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
