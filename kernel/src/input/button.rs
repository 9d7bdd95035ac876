//! The power button: a key of its own, `KEY_POWER` of `/dev/input/event2`. What follows is the first program's to decide.
//!
//! A kernel thread waits for it. No lock of its own.

use abi::Result;
use abi::input::EV_KEY;
use hal::context::Kind;
use logic::keymap::key;
use logic::runq::Policy;
use nucleus::info;
use nucleus::sched::{self, Thread};

use super::POWER_BUTTON;

/// Starts the thread, if there is a button.
///
/// # Errors
/// ENOMEM.
pub(crate) fn start() -> Result<()> {
    let Ok(button) = drivers::power_button::start(0) else { return Ok(()) };
    super::register(&[("input/event2", POWER_BUTTON.minor)])?;
    let run = move || {
        loop {
            if button.wait().is_ok() {
                info!("the power button was pressed");
                for value in [1, 0] {
                    POWER_BUTTON.report(&[(EV_KEY, u16::from(key::POWER.0), value)]);
                }
            }
        }
    };
    let thread = Thread::new("power button", Kind::Kernel, Policy::default(), run)?;
    sched::start(&thread);
    Ok(())
}
