//! The keyboard and the mouse of a PC, behind the controller 8042.
//!
//! [`start`] finds it. Threads take what came with [`Ps2::read`] and sleep on [`Ps2::readable`]; bytes that nobody takes are
//! dropped when the ring is full, as a keyboard's own are. Lock: rank `Device`, around the rings and for the time of one
//! command, for the top half too; nothing is called under it.
//! Spec: IBM PS/2 hardware interface, "keyboard and auxiliary device controller".

mod ring;

use abi::{Errno, Result};
use hal::port::{self, Port};
use hal::spin::{Lock, Once};
use hal::{rank, time};
use nucleus::irq::{self, IrqHandler};
use nucleus::sched::WaitQueue;

use ring::Ring;

const DATA: u16 = 0x60;
const COMMAND: u16 = 0x64;
const KEYBOARD_INTERRUPT: u8 = 1;
const MOUSE_INTERRUPT: u8 = 12;

/// Status: a byte waits to be read; the last one written was not taken yet; the byte is the mouse's.
const OUTPUT_FULL: u8 = 1;
const INPUT_FULL: u8 = 1 << 1;
const FROM_MOUSE: u8 = 1 << 5;
/// What an empty bus reads as.
const ABSENT: u8 = u8::MAX;

/// Commands of the controller.
const READ_SETTINGS: u8 = 0x20;
const WRITE_SETTINGS: u8 = 0x60;
const MOUSE_OFF: u8 = 0xa7;
const MOUSE_ON: u8 = 0xa8;
const TEST: u8 = 0xaa;
const TEST_PASSED: u8 = 0x55;
const KEYBOARD_OFF: u8 = 0xad;
const KEYBOARD_ON: u8 = 0xae;
const TO_MOUSE: u8 = 0xd4;
/// Settings: interrupts of both, and scan codes of set 2 translated into those of set 1.
const INTERRUPTS: u8 = 0b11;
const TRANSLATION: u8 = 1 << 6;
const CLOCKS_OFF: u8 = 0b11 << 4;

/// Commands of the devices.
const SET_LIGHTS: u8 = 0xed;
const SET_DEFAULTS: u8 = 0xf6;
const START_SENDING: u8 = 0xf4;
const ACKNOWLEDGED: u8 = 0xfa;
const SEND_AGAIN: u8 = 0xfe;

/// A controller that does not answer in that time is not there.
const PATIENCE_NS: u64 = 50_000_000;
/// Bytes after which an interrupt ends, should the controller never run dry.
const MOST_AT_ONCE: usize = 64;

/// Which of the two devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The keyboard.
    Keyboard,
    /// The mouse.
    Mouse,
}

/// The controller.
pub struct Ps2 {
    data: Port<u8>,
    command: Port<u8>,
    rings: Lock<[Ring; 2], rank::Device>,
    readable: [WaitQueue; 2],
}

static CONTROLLER: Once<Ps2> = Once::new();

/// Finds the controller and lets both devices send, with interrupts on CPU `cpu`. To be called once.
///
/// # Errors
/// ENODEV if there is none; EBUSY the second time; what `irq::connect_isa` says.
pub fn start(cpu: usize) -> Result<&'static Ps2> {
    let data = port::claim(DATA, 1)?.register(0)?;
    let command: Port<u8> = port::claim(COMMAND, 1)?.register(0)?;
    if command.read() == ABSENT {
        return Err(Errno::ENODEV);
    }
    let controller = CONTROLLER.call_once(|| Ps2 {
        data,
        command,
        rings: Lock::new([Ring::new(), Ring::new()]),
        readable: [WaitQueue::new(), WaitQueue::new()],
    });
    controller.set_up()?;
    irq::connect_isa(KEYBOARD_INTERRUPT, cpu, controller)?;
    irq::connect_isa(MOUSE_INTERRUPT, cpu, controller)?;
    // What was typed until now may have made its interrupt before there was a handler.
    controller.interrupt();
    Ok(controller)
}

impl Ps2 {
    fn set_up(&self) -> Result<()> {
        let _alone = self.rings.lock();
        self.tell(KEYBOARD_OFF)?;
        self.tell(MOUSE_OFF)?;
        for _ in 0..MOST_AT_ONCE {
            if self.command.read() & OUTPUT_FULL == 0 {
                break;
            }
            self.data.read();
        }
        self.tell(TEST)?;
        if self.answer()? != TEST_PASSED {
            return Err(Errno::ENODEV);
        }
        self.tell(READ_SETTINGS)?;
        let settings = self.answer()? & !CLOCKS_OFF | INTERRUPTS | TRANSLATION;
        self.tell(WRITE_SETTINGS)?;
        self.send(settings)?;
        self.tell(KEYBOARD_ON)?;
        self.tell(MOUSE_ON)?;
        // A machine may have no mouse, and a keyboard without lights is one all the same.
        for command in [SET_DEFAULTS, START_SENDING] {
            let _ = self.ask(Side::Mouse, command);
            let _ = self.ask(Side::Keyboard, command);
        }
        Ok(())
    }

    /// Takes bytes that a device sent; returns how many, which may be none.
    pub fn read(&self, side: Side, out: &mut [u8]) -> usize {
        let mut rings = self.rings.lock();
        let [keyboard, mouse] = &mut *rings;
        match side {
            Side::Keyboard => keyboard.take(out),
            Side::Mouse => mouse.take(out),
        }
    }

    /// Who waits for bytes of a device.
    pub fn readable(&self, side: Side) -> &WaitQueue {
        let [keyboard, mouse] = &self.readable;
        match side {
            Side::Keyboard => keyboard,
            Side::Mouse => mouse,
        }
    }

    /// Sets the keyboard's lights: bit 0 Scroll, 1 Num, 2 Caps.
    ///
    /// # Errors
    /// EIO if the keyboard does not answer.
    pub fn set_lights(&self, lights: u8) -> Result<()> {
        let mut rings = self.rings.lock();
        // What was typed before is read first, or it would be taken for the answer.
        self.collect(&mut rings);
        self.ask(Side::Keyboard, SET_LIGHTS)?;
        self.ask(Side::Keyboard, lights & 7)
    }

    fn wait_until(&self, is_so: impl Fn(u8) -> bool) -> Result<()> {
        let end = time::now_ns() + PATIENCE_NS;
        while !is_so(self.command.read()) {
            if time::now_ns() > end {
                return Err(Errno::EIO);
            }
            hal::cpu::relax();
        }
        Ok(())
    }

    fn tell(&self, command: u8) -> Result<()> {
        self.wait_until(|status| status & INPUT_FULL == 0)?;
        self.command.write(command);
        Ok(())
    }

    fn send(&self, byte: u8) -> Result<()> {
        self.wait_until(|status| status & INPUT_FULL == 0)?;
        self.data.write(byte);
        Ok(())
    }

    fn answer(&self) -> Result<u8> {
        self.wait_until(|status| status & OUTPUT_FULL != 0)?;
        Ok(self.data.read())
    }

    /// Sends a device a byte, which it acknowledges.
    fn ask(&self, side: Side, byte: u8) -> Result<()> {
        for _ in 0..3 {
            if side == Side::Mouse {
                self.tell(TO_MOUSE)?;
            }
            self.send(byte)?;
            match self.answer()? {
                ACKNOWLEDGED => return Ok(()),
                SEND_AGAIN => {}
                // Something typed meanwhile; the answer follows.
                _ if self.answer()? == ACKNOWLEDGED => return Ok(()),
                _ => {}
            }
        }
        Err(Errno::EIO)
    }

    /// Moves what came into the rings; says which got something.
    fn collect(&self, rings: &mut [Ring; 2]) -> [bool; 2] {
        let mut got = [false; 2];
        for _ in 0..MOST_AT_ONCE {
            let status = self.command.read();
            if status == ABSENT || status & OUTPUT_FULL == 0 {
                break;
            }
            let byte = self.data.read();
            let [keyboard, mouse] = &mut *rings;
            let (ring, flag) = if status & FROM_MOUSE != 0 { (mouse, 1) } else { (keyboard, 0) };
            ring.push(byte);
            got[flag] = true;
        }
        got
    }
}

impl IrqHandler for Ps2 {
    fn interrupt(&self) {
        // The guard is gone when the waiters are woken.
        let got = self.collect(&mut self.rings.lock());
        for (queue, has_got) in self.readable.iter().zip(got) {
            if has_got {
                queue.wake_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_controller_says_so() {
        assert_eq!(start(0).err(), Some(Errno::ENODEV));
    }
}
