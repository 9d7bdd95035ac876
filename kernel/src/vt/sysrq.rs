//! SysRq: what a person at the keyboard does when nothing else answers.
//!
//! Takes the locks of what it shows; runs in the keyboard's thread.

use core::sync::atomic::Ordering;

use hal::power;
use nucleus::{info, log, warning};

use crate::process::tree;

/// Alt, SysRq and a letter.
pub(super) fn act(character: char) {
    match character {
        'b' => {
            warning!("sysrq: resetting");
            power::reset();
        }
        'o' => {
            warning!("sysrq: power off");
            power::off();
        }
        's' => match nucleus::vfs::flusher::sync_all(None) {
            Ok(()) => info!("sysrq: all that was written is on the disks"),
            Err(error) => warning!("sysrq: not everything could be written: {error}"),
        },
        't' => {
            for process in tree::processes(|_| true) {
                info!("sysrq: process {}, of {}", process.pid.0, process.parent.load(Ordering::Relaxed));
            }
        }
        '0'..='9' => {
            log::set_console_level(u8::try_from(character).map_or(7, |digit| digit - b'0'));
            info!("sysrq: log level {character}");
        }
        'c' => panic!("sysrq: asked to crash"),
        _ => info!(
            "sysrq: b resets, c crashes, o powers off, s syncs, t lists processes, 0-9 sets the log level"
        ),
    }
}
