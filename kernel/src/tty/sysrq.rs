//! Keys for the kernel itself, when nothing else answers any more (Linux's sysrq.rst).
//!
//! Called from a kernel thread: after a break on the serial console, or by the keyboard. Takes the locks of what it shows,
//! one after another.

use alloc::sync::Arc;
use alloc::vec::Vec;

use nucleus::sched;
use nucleus::{info, log, warning};

use crate::process::{Task, tree};

/// Tasks that are listed at most: the log is a ring.
const MOST_TASKS: usize = 500;

/// Does what a key stands for.
pub(crate) fn press(key: u8) {
    match key.to_ascii_lowercase() {
        b's' => {
            info!("sysrq: sync");
            let written = nucleus::vfs::flusher::sync_all(None);
            match written.and(nucleus::disk_files::flush_all()) {
                Ok(()) => info!("sysrq: everything is written"),
                Err(error) => warning!("sysrq: not everything could be written: {error}"),
            }
        }
        b't' => show_tasks(),
        b'd' => show_locks(),
        b'b' => {
            info!("sysrq: reboot, nothing is written");
            hal::power::reset()
        }
        b'o' => {
            info!("sysrq: power off");
            if let Err(error) = crate::system::power_off() {
                warning!("sysrq: the machine stays on: {error}");
            }
        }
        b'c' => panic!("sysrq: asked to crash"),
        b'0'..=b'9' => {
            log::set_console_level(key - b'0');
            info!("sysrq: log level {}", key - b'0');
        }
        _ => info!(
            "sysrq: reboot(b) crash(c) show-locks(d) help(h) power-off(o) sync(s) show-tasks(t) log-level(0-9)"
        ),
    }
}

fn tasks() -> Vec<Arc<Task>> {
    tree::with(|tree| {
        let mut tasks = Vec::new();
        if tasks.try_reserve(MOST_TASKS).is_ok() {
            tasks.extend(tree.tasks().take(MOST_TASKS).cloned());
        }
        tasks
    })
}

fn show_tasks() {
    info!("sysrq: tasks: number, process, state, CPU time in ms, name");
    for task in tasks() {
        let state = match task.thread() {
            Some(thread) if thread.is_ready() => "ready",
            Some(_) => "waits",
            None => "new",
        };
        let milliseconds = task.spent().all_ns / 1_000_000;
        let (number, process, name) = (task.tid().0, task.process.pid.0, task.name());
        info!("  {number:>6} {process:>6} {state} {milliseconds:>8} {}", name.as_str());
    }
    info!("sysrq: {} threads, {} ready", sched::thread::live(), sched::cpu::runnable());
}

fn show_locks() {
    if !cfg!(debug_assertions) {
        info!("sysrq: this build keeps no list of locks; build with PROFILE=dev");
        return;
    }
    info!("sysrq: locks that tasks hold");
    for task in tasks() {
        let Some(thread) = task.thread() else { continue };
        let name = task.name();
        thread.for_each_mutex(|rank| info!("  {:>6} {}: {rank}", task.tid().0, name.as_str()));
    }
}
