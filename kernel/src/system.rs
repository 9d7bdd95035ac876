//! The system as programs see it: its name, its load, its end.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Result};
use hal::boot::Text;
use hal::power::{self, EmulatorExit};
use hal::rank;
use hal::spin::Lock;
use nucleus::sched;

/// The Linux whose system calls these are.
pub(crate) const RELEASE: &str = "6.1.0-nacre";
/// What is behind them.
pub(crate) const VERSION: &str = concat!("#1 SMP Nacre ", env!("CARGO_PKG_VERSION"));

/// Whether Ctrl-Alt-Delete restarts at once; else the first program is asked.
static IS_RESTART_IMMEDIATE: AtomicBool = AtomicBool::new(true);

/// Says what Ctrl-Alt-Delete does (reboot(2)).
pub(crate) fn set_ctrl_alt_delete(what: CtrlAltDelete) {
    IS_RESTART_IMMEDIATE.store(what == CtrlAltDelete::Restarts, Ordering::Relaxed);
}

/// What it does.
pub(crate) fn ctrl_alt_delete() -> CtrlAltDelete {
    if IS_RESTART_IMMEDIATE.load(Ordering::Relaxed) {
        CtrlAltDelete::Restarts
    } else {
        CtrlAltDelete::AsksInit
    }
}

/// What Ctrl-Alt-Delete does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CtrlAltDelete {
    Restarts,
    /// SIGINT for the first program.
    AsksInit,
}

static HOST_NAME: Lock<Option<Text<64>>, rank::Table> = Lock::new(None);

/// The host's name.
pub(crate) fn host_name() -> Text<64> {
    HOST_NAME.lock().unwrap_or(Text::from_bytes(b"(none)"))
}

/// Changes it.
pub(crate) fn set_host_name(name: &[u8]) {
    *HOST_NAME.lock() = Some(Text::from_bytes(name));
}

/// Load averages over 1, 5 and 15 minutes, times 65536: what `nucleus` counts of them.
pub(crate) fn loads() -> [u64; 3] {
    sched::cpu::load_averages()
}

/// The last `len` bytes of the log, as dmesg(1) reads them.
pub(crate) fn log_tail(len: usize) -> Result<Vec<u8>> {
    use core::fmt::Write;
    struct Tail {
        bytes: Vec<u8>,
    }
    impl Write for Tail {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            self.bytes.try_reserve(text.len()).map_err(|_| core::fmt::Error)?;
            self.bytes.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    let mut tail = Tail { bytes: Vec::new() };
    let mut outcome = Ok(());
    nucleus::log::read_from(0, |_, time_ns, level, text| {
        let micros = time_ns / 1000;
        let line = writeln!(tail, "<{level}>[{:5}.{:06}] {text}", micros / 1_000_000, micros % 1_000_000);
        outcome = outcome.and(line.map_err(|_| Errno::ENOMEM));
    });
    outcome?;
    let excess = tail.bytes.len().saturating_sub(len);
    // Whole lines only.
    let start = match excess {
        0 => 0,
        excess => tail.bytes[excess..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(tail.bytes.len(), |at| excess + at + 1),
    };
    tail.bytes.drain(..start);
    Ok(tail.bytes)
}

/// Leaves every disk clean: nothing can be written any more.
fn close_file_systems() {
    if let Err(error) = nucleus::vfs::mount::close_all() {
        nucleus::error!("not everything could be written to the disks: {error}; run e2fsck on them");
    }
}

const POWER_OFF_PATIENCE_NS: u64 = 2_000_000_000;

/// Powers off, or says why not.
pub(crate) fn power_off() -> Result<()> {
    close_file_systems();
    nucleus::info!("powering off");
    power::off();
    // The switch works a moment later, on real machines as in QEMU.
    let _ = sched::sleep_ns(POWER_OFF_PATIENCE_NS);
    nucleus::warning!("this machine has no power switch the kernel knows; it is safe to turn it off now");
    power::exit_emulator(EmulatorExit::BootFailed);
    halt()
}

/// Starts the machine again.
pub(crate) fn restart() -> Result<()> {
    close_file_systems();
    nucleus::info!("restarting");
    power::reset()
}

/// Stops for good.
pub(crate) fn halt() -> Result<()> {
    close_file_systems();
    nucleus::info!("halted; it is safe to turn the machine off now");
    loop {
        sched::sleep_ns(u64::MAX / 4)?;
    }
}
