//! poweroff, reboot, halt: ask process 1 to end the system.
//!
//! `poweroff [-f] [-n]`; the name by which it is called says what is to happen. `-f` does not ask: it writes everything to the
//! disks, unless `-n` says no, and ends the machine at once.

use abi::signal::{SIGTERM, SIGUSR1, SIGUSR2};

use nrlib::options::{Known, Options, Value};
use nrlib::system::{self, Finish};
use nrlib::{Errno, env, eprintln, io::Text, process};

const OPTIONS: &[Known] = &[
    Known { letter: b'f', name: "force", value: Value::None },
    Known { letter: b'n', name: "no-sync", value: Value::None },
];

/// The program.
pub fn main() -> i32 {
    let name = env::program_name();
    let result = run(name);
    match result {
        Ok(()) => 0,
        Err(error) => {
            let hint = if error == Errno::EPERM { "; only root can end the system" } else { "" };
            let _ = eprintln!("{}: {error}{hint}", Text(name));
            1
        }
    }
}

fn run(name: &[u8]) -> nrlib::Result<()> {
    let (finish, signal) = match name {
        b"reboot" => (Finish::Restart, SIGTERM),
        b"halt" => (Finish::Halt, SIGUSR1),
        _ => (Finish::PowerOff, SIGUSR2),
    };
    let words: alloc::vec::Vec<&[u8]> = env::arguments().skip(1).map(core::ffi::CStr::to_bytes).collect();
    let (mut is_forced, mut is_synced) = (false, true);
    for given in Options::new(OPTIONS, &words) {
        match given.map_err(|_| Errno::EINVAL)?.letter {
            b'f' => is_forced = true,
            _ => is_synced = false,
        }
    }
    if !is_forced {
        return process::kill(1, signal);
    }
    if is_synced {
        system::sync();
    }
    system::finish(finish)
}
