//! Starting a service: a process in a session of its own, with the console as its output.

use abi::file::{O_NOCTTY, O_RDWR};
use abi::signal::SIGCHLD;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::file::{self, File, STDERR, STDIN, STDOUT};
use nrlib::process::{self, Forked, Pid};
use nrlib::signal::{self, Set};
use nrlib::{Result, env};

use crate::say;
use crate::service::{Input, Service};

/// Starts it; `None` if what it needs does not exist.
///
/// # Errors
/// Those of fork(2); ENOMEM.
pub fn start(service: &Service) -> Result<Option<Pid>> {
    for needed in &service.needs {
        if !file::exists(&file::path(&[needed])?) {
            return Ok(None);
        }
    }
    let words: Vec<CString> =
        service.words.iter().map(|word| file::path(&[word])).collect::<Result<Vec<CString>>>()?;
    match process::fork()? {
        Forked::Parent(pid) => Ok(Some(pid)),
        Forked::Child => run(service, &words),
    }
}

fn run(service: &Service, words: &[CString]) -> ! {
    let _ = signal::react(SIGCHLD, signal::Reaction::Default);
    let _ = signal::block_only(Set::EMPTY);
    let _ = process::start_session();
    let input = match service.input {
        Input::Console => c"/dev/console",
        Input::Nothing => c"/dev/null",
    };
    for (path, standards) in [(input, &[STDIN][..]), (c"/dev/console", &[STDOUT, STDERR])] {
        if let Ok(opened) = File::open(path, O_RDWR | O_NOCTTY, 0) {
            for &standard in standards {
                let _ = opened.duplicate_to(standard);
            }
        }
    }
    let arguments: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    let path = file::path(&[b"PATH=", accounts::environment::ROOT_PATH]).unwrap_or_default();
    let kept = env::environment().filter(|text| {
        let text = text.to_bytes();
        !text.starts_with(b"PATH=") && !text.starts_with(b"HOME=")
    });
    let mut environment: Vec<&CStr> = kept.collect();
    environment.extend([&*path, c"HOME=/"]);
    let program = arguments.first().copied().unwrap_or(c"");
    let error = process::execute(program, &arguments, &environment);
    say::text(format_args!("cannot run {}: {error}", say::Shown(program)));
    process::exit(127)
}
