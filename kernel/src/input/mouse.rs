//! The mouse: movements and buttons for `/dev/input/event1` and `/dev/input/mice`.
//!
//! A kernel thread reads its packets. No lock of its own.

use abi::input::{BTN_LEFT, EV_KEY, EV_REL, REL_X, REL_Y};
use abi::{Errno, Result};
use drivers::ps2::{Ps2, Side};
use hal::context::Kind;
use logic::keymap::mouse::{Movement, Packets};
use logic::runq::Policy;
use nucleus::sched::{self, Thread, Wait};

use super::{ALL_MICE, MOUSE};

const BUTTONS: u16 = 3;

/// Starts the thread.
///
/// # Errors
/// ENOMEM.
pub(crate) fn start(controller: &'static Ps2) -> Result<()> {
    let thread = Thread::new("mouse", Kind::Kernel, Policy::default(), move || run(controller))?;
    sched::start(&thread);
    Ok(())
}

fn run(controller: &'static Ps2) {
    let (mut packets, mut held) = (Packets::new(), 0);
    let mut bytes = [0; 32];
    loop {
        let received =
            controller.readable(Side::Mouse).block_until(Wait::UNINTERRUPTIBLE, || {
                match controller.read(Side::Mouse, &mut bytes) {
                    0 => Err(Errno::EAGAIN),
                    count => Ok(count),
                }
            });
        let Ok(count) = received else { continue };
        for &byte in bytes.get(..count).unwrap_or_default() {
            if let Some(movement) = packets.input(byte) {
                report(movement, held);
                held = movement.buttons;
            }
        }
    }
}

fn report(movement: Movement, held: u8) {
    let mut events = [(EV_REL, REL_X, 0); 5];
    let mut count = 0;
    let mut add = |event| {
        if let Some(place) = events.get_mut(count) {
            *place = event;
            count += 1;
        }
    };
    for button in (0..BUTTONS).filter(|button| (movement.buttons ^ held) & 1 << button != 0) {
        add((EV_KEY, BTN_LEFT + button, i32::from(movement.buttons >> button & 1)));
    }
    for (code, distance) in [(REL_X, movement.x), (REL_Y, -movement.y)] {
        if distance != 0 {
            add((EV_REL, code, i32::from(distance)));
        }
    }
    if count != 0 {
        MOUSE.report(events.get(..count).unwrap_or_default());
        ALL_MICE.tell(&movement.packet());
    }
}
