//! The keyboard: what is typed goes to the console that is shown.
//!
//! A kernel thread reads scan codes, gives key codes to who reads `/dev/input/event0`, and what `logic::keymap` makes of
//! them to the terminal. No lock of its own.

use core::sync::atomic::Ordering;

use abi::console::{K_MEDIUMRAW, K_OFF, K_RAW};
use abi::{Errno, Result};
use drivers::ps2::{Ps2, Side};
use hal::context::Kind;
use logic::keymap::layout::{self, LAYOUTS, Layout};
use logic::keymap::scancode::Decoder;
use logic::keymap::{Action, Code, Keyboard, Motion, Wanted};
use logic::runq::Policy;
use logic::screen::Screen;
use logic::signal::{Signal, SignalInfo};
use nucleus::sched::{self, Thread, Wait};
use nucleus::{info, warning};

use super::Consoles;
use super::console::Console;
use crate::input;
use crate::process::{Pid, signals, tree};
use crate::system::{self, CtrlAltDelete};
use crate::tty::sysrq;

/// The word of the command line that names a layout.
pub(super) const LAYOUT_WORD: &str = "vt.keymap";

/// Starts the thread for a keyboard; `layout` is the command line's word, if it has one.
///
/// # Errors
/// ENOMEM.
pub(super) fn start(
    consoles: &'static Consoles,
    controller: &'static Ps2,
    layout: Option<&str>,
) -> Result<()> {
    let layout = layout.map_or(&LAYOUTS[0], |name| {
        layout::by_name(name).unwrap_or_else(|| {
            warning!("there is no keymap {name}; the keyboard is {}", LAYOUTS[0].name);
            &LAYOUTS[0]
        })
    });
    info!("PS/2 keyboard, keymap {}", layout.name);
    let run = move || run(consoles, controller, layout);
    let thread = Thread::new("keyboard", Kind::Kernel, Policy::default(), run)?;
    sched::start(&thread);
    Ok(())
}

fn run(consoles: &'static Consoles, controller: &'static Ps2, layout: &'static Layout) {
    let (mut decoder, mut keyboard) = (Decoder::new(), Keyboard::new(layout));
    let mut bytes = [0; 32];
    loop {
        let received = controller.readable(Side::Keyboard).block_until(Wait::UNINTERRUPTIBLE, || {
            match controller.read(Side::Keyboard, &mut bytes) {
                0 => Err(Errno::EAGAIN),
                count => Ok(count),
            }
        });
        let Ok(count) = received else { continue };
        for &byte in bytes.get(..count).unwrap_or_default() {
            let console = consoles.shown();
            if console.keyboard_mode.load(Ordering::Acquire) == K_RAW {
                console.type_bytes(&[byte]);
            }
            let Some((code, motion)) = decoder.input(byte) else { continue };
            input::key_moved(code, motion);
            let action = keyboard.input(code, motion, console.wanted());
            if action == Action::Lights {
                let locks = keyboard.locks();
                let lights =
                    u8::from(locks.is_scroll) | u8::from(locks.is_num) << 1 | u8::from(locks.is_caps) << 2;
                // A keyboard that does not answer has no lights.
                let _ = controller.set_lights(lights);
            }
            act(consoles, console, (code, motion), action);
        }
    }
}

fn act(consoles: &'static Consoles, console: &Console, (code, motion): (Code, Motion), action: Action) {
    let mode = console.keyboard_mode.load(Ordering::Acquire);
    if mode == K_MEDIUMRAW {
        console.type_bytes(&[code.0 | if motion == Motion::Released { 0x80 } else { 0 }]);
    }
    match action {
        // X and its like take keys of their own.
        Action::Type(_) if matches!(mode, K_RAW | K_MEDIUMRAW | K_OFF) => {}
        Action::Type(bytes) => {
            console.with_screen(Screen::look_at_end);
            console.type_bytes(bytes.as_slice());
        }
        Action::Show(index) => show(consoles, index),
        Action::ShowNext(step) => {
            let count = consoles.all.len();
            show(consoles, console.index.saturating_add(count).saturating_add_signed(step) % count);
        }
        Action::ScrollBack(direction) => {
            let half = isize::try_from(consoles.size.0 / 2).unwrap_or(1);
            console.with_screen(|screen| screen.look_back(direction * half));
            consoles.draw_soon();
        }
        Action::Reboot => ask_for_reboot(),
        Action::SysRq(character) => sysrq::press(u8::try_from(character).unwrap_or(b'h')),
        Action::None | Action::Lights => {}
    }
}

fn show(consoles: &'static Consoles, index: usize) {
    if let Err(error) = consoles.activate(index) {
        warning!("tty{} cannot be shown: {error}", index + 1);
    }
}

/// Ctrl-Alt-Delete: restarts, or the first program decides (reboot(2), LINUX_REBOOT_CMD_CAD_OFF).
fn ask_for_reboot() {
    const FIRST: Pid = Pid(1);
    if system::ctrl_alt_delete() == CtrlAltDelete::Restarts {
        // It says itself what went wrong.
        let _ = system::restart();
    }
    for process in tree::processes(|node| node.process.pid == FIRST) {
        let _ = signals::send(&process, SignalInfo::kernel(Signal::INT));
    }
}

impl Console {
    /// Types bytes; a program that reads nothing for long loses some, as from any keyboard.
    fn type_bytes(&self, bytes: &[u8]) {
        if let Some(tty) = self.tty.get() {
            tty.receive(bytes);
        }
    }

    /// How the program wants its keys.
    fn wanted(&self) -> Wanted {
        let modes = self.with_screen(|screen| screen.modes());
        modes.map_or(Wanted::default(), |modes| Wanted {
            is_cursor_application: modes.is_cursor_application,
            is_keypad_application: modes.is_keypad_application,
            is_new_line: modes.is_new_line,
        })
    }
}
