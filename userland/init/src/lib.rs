//! Process 1, and the programs that end the system. docs/userland.md tells what it does and the format of `/etc/init`.
//!
//! What is to be done follows from arguments alone (`service`, `supervisor`, `boot_line`, `mount_list`) and is tested with a
//! clock of the test's; the other modules do it. Modules, lowest first:
//! - [`service`]: a file of `/etc/init`.
//! - [`supervisor`]: which service runs when, and the order of a shutdown.
//! - [`boot_line`]: what the kernel's command line says about the root.
//! - [`mount_list`]: the text of `/proc/self/mounts`.
//! - [`say`]: messages on the console.
//! - [`mounts`]: the file systems that every system has.
//! - [`root`]: the root on a disk.
//! - [`launch`]: starting a service.
//! - [`control`]: the FIFO that commands come through.
//! - [`shutdown`]: the last steps.
//! - [`poweroff`]: the programs that ask for it.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod service;
pub mod supervisor;
pub mod boot_line;
pub mod mount_list;
pub mod say;
pub mod mounts;
pub mod root;
pub mod launch;
pub mod control;
pub mod shutdown;
pub mod poweroff;

use abi::file::{O_NOCTTY, O_RDWR};
use abi::signal::{SIGCHLD, SIGHUP, SIGINT, SIGPWR, SIGTERM, SIGUSR1, SIGUSR2};
use accounts::records::{self, Kind, Record};
use alloc::vec::Vec;

use nrlib::file::{self, File, STDERR, STDIN, STDOUT};
use nrlib::signal::{self, Queue, Set};
use nrlib::system::{self, Finish};
use nrlib::{Errno, process, time};

use control::Control;
use service::Service;
use supervisor::{Action, Command, Supervisor};

/// What process 1 wants to hear.
const SIGNALS: Set = Set::of(&[SIGCHLD, SIGHUP, SIGINT, SIGPWR, SIGTERM, SIGUSR1, SIGUSR2]);
const SERVICES: &core::ffi::CStr = c"/etc/init";

/// The program.
pub fn main() -> i32 {
    if process::id() != 1 {
        say::line("this is process 1's program; use poweroff, reboot or halt to end the system");
        return 1;
    }
    process::run_after_panic(c"/bin/sh");
    // Nothing may interrupt or stop process 1, and nobody else's children stay zombies.
    let _ = signal::block_only(Set::ALL);
    file::set_umask(0o022);
    open_console();
    mounts::mount_basics();
    open_console();
    let _ = system::take_ctrl_alt_del();
    let line = file::read(c"/proc/cmdline", 64 << 10).unwrap_or_default();
    let has_root = root::switch_if_asked(&line);
    prepare();
    let services = if has_root { read_services() } else { Vec::new() };
    run(Supervisor::new(services, time::monotonic_ms()))
}

/// Standard input, output and error, unless the kernel opened them.
fn open_console() {
    if STDIN.status().is_ok() && STDOUT.status().is_ok() && STDERR.status().is_ok() {
        return;
    }
    if let Ok(console) = File::open(c"/dev/console", O_RDWR | O_NOCTTY, 0) {
        for standard in [STDIN, STDOUT, STDERR] {
            let _ = console.duplicate_to(standard);
        }
        // A number below 3 is in use now, and must stay open.
        if console.0 < 3 {
            console.into_descriptor();
        }
    }
}

/// The host's name, and empty records where somebody wants them.
fn prepare() {
    let name = file::read(c"/etc/hostname", 4096).unwrap_or_default();
    let name = name.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or(b"nacre");
    say::problem("cannot set the host's name", system::set_host_name(name));
    let _ = records::make(records::UTMP, 0o664);
    let _ = records::make(records::WTMP, 0o664);
    let _ = records::make(records::LASTLOG, 0o664);
    let release = system::names().map(|names| names.release).unwrap_or_default();
    let record = Record::new(Kind::Boot, 0, b"~", b"reboot").with_id(b"~~").with_host(&release);
    let _ = records::set(&record);
    let _ = records::append(&record);
}

/// The services of all files in `/etc/init`. What is wrong with a file is said, and the others count.
fn read_services() -> Vec<Service> {
    let names = match file::names(SERVICES) {
        Ok(names) => names,
        Err(error) => {
            say::text(format_args!("cannot read /etc/init: {error}"));
            return Vec::new();
        }
    };
    let mut services = Vec::new();
    for name in names.iter().filter(|name| !name.to_bytes().starts_with(b".")) {
        let text = file::path(&[b"/etc/init/", name.to_bytes()]).and_then(|path| file::read(&path, 64 << 10));
        match text.map(|text| Service::parse(name.to_bytes(), &text)) {
            Ok(Ok(service)) => services.push(service),
            Ok(Err(problem)) => say::text(format_args!("/etc/init/{}: {problem}", say::Shown(name))),
            Err(error) => say::text(format_args!("/etc/init/{}: {error}", say::Shown(name))),
        }
    }
    services
}

/// Never ends.
fn run(mut supervisor: Supervisor) -> ! {
    let queue = loop {
        match Queue::new(SIGNALS) {
            Ok(queue) => break queue,
            Err(error) => {
                say::text(format_args!("cannot wait for signals: {error}; trying again"));
                time::sleep_through_ms(1000);
            }
        }
    };
    let mut control = Control::open();
    loop {
        let now = time::monotonic_ms();
        if supervisor.is_idle() {
            say::line("nothing is left to run: here is a root shell");
            supervisor.add(Service::rescue(), now);
        }
        for action in supervisor.due(now) {
            perform(&mut supervisor, &action);
        }
        let wait = supervisor.next_deadline().map(|deadline| deadline.saturating_sub(time::monotonic_ms()));
        // Whatever interrupted it, both are looked at: neither waits.
        let _ = system::wait_readable([queue.descriptor(), control.descriptor()], wait);
        while let Some(signal) = queue.next_signal() {
            take_signal(&mut supervisor, signal);
        }
        for command in control.commands() {
            take_command(&mut supervisor, &command);
        }
        reap(&mut supervisor);
    }
}

fn perform(supervisor: &mut Supervisor, action: &Action) {
    let now = time::monotonic_ms();
    match *action {
        Action::Start(index) => {
            let Some(service) = supervisor.service(index) else { return };
            match launch::start(service) {
                Ok(Some(pid)) => supervisor.started(index, pid, now),
                Ok(None) => supervisor.unavailable(index),
                Err(error) => {
                    say::text(format_args!("cannot start {}: {error}", say::Bytes(&service.name)));
                    supervisor.ended_at_once(index, now);
                }
            }
        }
        // To the whole session that the service leads: its children too.
        Action::Signal(pid, signal) => {
            let _ = process::kill(-pid, signal).or_else(|_| process::kill(pid, signal));
        }
        Action::SignalAll(signal) => {
            if signal == SIGTERM {
                say::line("asking all processes to end");
            }
            let _ = process::kill(-1, signal);
        }
        Action::Finish(finish) => shutdown::finish(finish),
    }
}

fn take_signal(supervisor: &mut Supervisor, signal: u32) {
    let now = time::monotonic_ms();
    match signal {
        SIGTERM | SIGINT => supervisor.shut_down(Finish::Restart),
        SIGUSR1 => supervisor.shut_down(Finish::Halt),
        SIGUSR2 | SIGPWR => supervisor.shut_down(Finish::PowerOff),
        SIGHUP => supervisor.reload(read_services(), now),
        _ => {}
    }
}

fn take_command(supervisor: &mut Supervisor, command: &Command) {
    if *command == Command::Status {
        control::write_status(&supervisor.report());
    } else if !supervisor.command(command, time::monotonic_ms()) {
        say::text(format_args!("there is no service for `{command}`"));
    }
}

/// All children that have ended: services, and orphans of others.
fn reap(supervisor: &mut Supervisor) {
    loop {
        match process::reap() {
            Ok(Some((pid, ending))) => {
                let _ = records::end(pid);
                if let Some(trouble) = supervisor.ended(pid, ending, time::monotonic_ms()) {
                    say::text(format_args!("{trouble}"));
                }
            }
            Err(Errno::ECHILD) => return supervisor.alone(),
            _ => return,
        }
    }
}
