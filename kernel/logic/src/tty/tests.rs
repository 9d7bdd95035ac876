//! Tests of the line discipline.

mod by_hand;
mod linux;

use std::vec::Vec;

use super::*;
use crate::signal::Signal;

/// A device that takes `room` bytes more.
#[derive(Debug)]
struct Device {
    sent: Vec<u8>,
    room: usize,
}

impl Output for Device {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) {
        self.room -= bytes.len();
        self.sent.extend_from_slice(bytes);
    }

    fn discard(&mut self) {
        self.sent.clear();
    }
}

/// A line discipline and its device.
struct Terminal {
    discipline: LineDiscipline,
    device: Device,
}

impl Terminal {
    fn new(termios: Termios) -> Self {
        let device = Device { sent: Vec::new(), room: usize::MAX };
        Self { discipline: LineDiscipline::try_new(termios).unwrap(), device }
    }

    fn change(&mut self, change: impl FnOnce(&mut Termios)) {
        let mut termios = *self.discipline.termios();
        change(&mut termios);
        self.discipline.set_termios(termios, &mut self.device);
    }

    /// Types; returns the last signal.
    fn type_all(&mut self, bytes: &[u8]) -> Option<Signal> {
        bytes.iter().fold(None, |last, &byte| self.discipline.input(byte, &mut self.device).or(last))
    }

    /// A read of so many bytes; `None` if it would wait.
    fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = std::vec![0; count];
        let count = self.discipline.read(&mut bytes).ok()?;
        bytes.truncate(count);
        Some(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.discipline.output(bytes, &mut self.device)
    }

    /// What came out since the last time.
    fn shown(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.device.sent)
    }
}
