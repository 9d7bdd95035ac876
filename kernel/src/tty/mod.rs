//! Terminals: `/dev/console`, `/dev/ttyS0` and `/dev/tty`.
//!
//! One terminal, the serial line: `logic::tty` is the discipline, the driver sends and receives. A kernel thread feeds what
//! is received into the discipline, so nothing of it runs in an interrupt. Lock: rank `Stream`, a sleeping one, around the
//! discipline; signals are sent without it. Modules, lowest first:
//! - [`job`]: sessions, foreground groups, and who may read and write.
//! - [`device`]: the files.

pub(crate) mod job;
mod device;

use abi::Result;
use hal::context::Kind;
use hal::rank;
use hal::spin::Once;
use logic::runq::Policy;
use logic::signal::{Signal, SignalInfo};
use logic::tty::{LineDiscipline, Output, Termios, WindowSize};
use nucleus::sched::{self, Mutex, Thread, Wait, WaitQueue};

use crate::process::{Cx, Pid};
use job::Job;

pub(crate) use device::{control, opened};

/// A terminal.
pub(crate) struct Tty {
    line: Mutex<Line, rank::Stream>,
    readable: WaitQueue,
    writable: WaitQueue,
    job: Job,
}

/// What the lock is around.
struct Line {
    discipline: LineDiscipline,
    size: WindowSize,
}

/// The serial line, which takes everything at once.
struct Serial;

impl Output for Serial {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn put(&mut self, bytes: &[u8]) {
        hal::console::write_raw(bytes);
    }
}

static CONSOLE: Once<Tty> = Once::new();

/// Makes the terminal, its devices, and the thread that feeds it.
///
/// # Errors
/// ENOMEM.
pub(crate) fn init() -> Result<()> {
    let discipline = LineDiscipline::try_new(Termios::default())?;
    let tty = CONSOLE.call_once(|| Tty {
        line: Mutex::new(Line { discipline, size: WindowSize::default() }),
        readable: WaitQueue::new(),
        writable: WaitQueue::new(),
        job: Job::new(),
    });
    device::register()?;
    crate::process::exit::set_on_session_end(session_ended);
    match drivers::uart::start(0) {
        Ok(uart) => {
            let feeder = Thread::new("tty", Kind::Kernel, Policy::default(), move || feed(tty, uart))?;
            sched::start(&feeder);
        }
        Err(_) => nucleus::warning!("there is no serial port: the console only prints"),
    }
    Ok(())
}

/// Takes what is received, for ever.
fn feed(tty: &'static Tty, uart: &'static drivers::uart::Uart) {
    let mut bytes = [0; 64];
    loop {
        let received = uart.readable().block_until(Wait::UNINTERRUPTIBLE, || match uart.read(&mut bytes) {
            0 => Err(abi::Errno::EAGAIN),
            count => Ok(count),
        });
        if let Ok(count) = received {
            tty.receive(&bytes[..count]);
        }
    }
}

impl Tty {
    fn receive(&self, bytes: &[u8]) {
        for &byte in bytes {
            let signal = self.line.lock().discipline.input(byte, &mut Serial);
            if let Some(signal) = signal {
                self.signal_foreground(signal);
            }
        }
        self.readable.wake_all();
        self.writable.wake_all();
    }

    fn signal_foreground(&self, signal: Signal) {
        job::signal_group(self.job.foreground(), SignalInfo::kernel(signal));
    }

    /// The one there is.
    fn console() -> Result<&'static Tty> {
        CONSOLE.get().ok_or(abi::Errno::ENXIO)
    }
}

/// The leader of a session has ended: its terminal is free, and the foreground is told.
pub(crate) fn session_ended(session: Pid) {
    let Some(tty) = CONSOLE.get() else { return };
    if let Some(foreground) = tty.job.release(session) {
        job::signal_group(foreground, SignalInfo::kernel(Signal::HUP));
        job::signal_group(foreground, SignalInfo::kernel(Signal::CONT));
    }
}

/// The controlling terminal of a task, as `/proc/PID/stat` tells it: device number and foreground group.
pub(crate) fn of_session(session: Pid) -> Option<(u64, Pid)> {
    let tty = CONSOLE.get()?;
    (tty.job.session() == session && session != Pid::NONE).then(|| (device::SERIAL, tty.job.foreground()))
}

/// What a task that uses the terminal is to it.
fn caller_session(cx: &Cx) -> (Pid, Pid) {
    job::session_and_group(cx.process().pid)
}
