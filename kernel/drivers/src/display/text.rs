//! VGA's text mode, as the firmware leaves it on: 80 by 25 characters in memory.
//!
//! Spec: IBM VGA; the cursor is two registers of the CRT controller.

use abi::Result;
use hal::mmio::{self, Mmio, Window};
use hal::port::{self, Port};
use logic::addr::PhysAddr;
use logic::pci::PciId;
use nucleus::info;

const MEMORY: u64 = 0xb8000;
const MEMORY_LEN: u64 = 0x8000;
const CONTROLLER: u16 = 0x3d4;
const CURSOR_START: u8 = 0xa;
const CURSOR_OFF: u8 = 0x20;
const CURSOR_HIGH: u8 = 0xe;
const CURSOR_LOW: u8 = 0xf;

/// A screen of characters.
#[derive(Debug)]
pub struct TextMode {
    window: Window,
    index: Port<u8>,
    data: Port<u8>,
}

/// Whether it is a VGA.
pub(super) fn matches(id: &PciId) -> bool {
    (id.class.0, id.class.1) == (3, 0)
}

impl TextMode {
    /// Characters a line.
    pub const COLUMNS: u16 = 80;
    /// Lines.
    pub const ROWS: u16 = 25;

    pub(super) fn start() -> Result<Self> {
        let window = mmio::claim(PhysAddr::new(MEMORY), MEMORY_LEN)?;
        let ports = port::claim(CONTROLLER, 2)?;
        info!("display: VGA text mode, 80 x 25 characters");
        Ok(TextMode { window, index: ports.register(0)?, data: ports.register(1)? })
    }

    /// Shows a character with its attributes.
    pub fn draw(&self, row: usize, column: usize, cell: u16) {
        let place = row * usize::from(Self::COLUMNS) + column;
        let register: Result<Mmio<u16>> = self.window.register(place as u64 * 2);
        if let (Ok(register), true) = (register, column < usize::from(Self::COLUMNS)) {
            register.write(cell);
        }
    }

    /// Shows the cursor there, or nowhere.
    pub fn set_cursor(&self, place: Option<(usize, usize)>) {
        let Some((row, column)) = place else { return self.write(CURSOR_START, CURSOR_OFF) };
        let place = u16::try_from(row * usize::from(Self::COLUMNS) + column).unwrap_or(0);
        let [high, low] = place.to_be_bytes();
        self.write(CURSOR_HIGH, high);
        self.write(CURSOR_LOW, low);
        // From the last but one line of the character on.
        self.write(CURSOR_START, 14);
    }

    fn write(&self, register: u8, value: u8) {
        self.index.write(register);
        self.data.write(value);
    }
}
