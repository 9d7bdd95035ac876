//! Virtio over registers in memory: microvm and its kin, where the command line says where devices are
//! (`virtio_mmio.device=512@0xfeb00e00:12`, Linux's kernel-parameters.txt). Version 1, QEMU's default, puts the queue in one
//! piece and names it by its page.

use abi::{Errno, Result};
use hal::mmio::{Mmio, Window};
use logic::addr::PhysAddr;
use nucleus::irq::{self, IrqHandler};

use super::transport::{QueuePlace, Transport};

const MAGIC: u32 = 0x7472_6976;
const PAGE: u32 = 4096;

/// Offsets.
mod at {
    pub(super) const MAGIC: u64 = 0x00;
    pub(super) const VERSION: u64 = 0x04;
    pub(super) const DEVICE: u64 = 0x08;
    pub(super) const OFFERED: u64 = 0x10;
    pub(super) const OFFERED_SELECT: u64 = 0x14;
    pub(super) const ACCEPTED: u64 = 0x20;
    pub(super) const ACCEPTED_SELECT: u64 = 0x24;
    pub(super) const OLD_PAGE_SIZE: u64 = 0x28;
    pub(super) const QUEUE_SELECT: u64 = 0x30;
    pub(super) const QUEUE_LIMIT: u64 = 0x34;
    pub(super) const QUEUE_SIZE: u64 = 0x38;
    pub(super) const OLD_QUEUE_ALIGN: u64 = 0x3c;
    pub(super) const OLD_QUEUE_PAGE: u64 = 0x40;
    pub(super) const QUEUE_READY: u64 = 0x44;
    pub(super) const NOTIFY: u64 = 0x50;
    pub(super) const INTERRUPT: u64 = 0x60;
    pub(super) const INTERRUPT_DONE: u64 = 0x64;
    pub(super) const STATUS: u64 = 0x70;
    pub(super) const QUEUE_DESCRIPTORS: u64 = 0x80;
    pub(super) const QUEUE_AVAILABLE: u64 = 0x90;
    pub(super) const QUEUE_USED: u64 = 0xa0;
    pub(super) const CONFIG: u64 = 0x100;
}

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its registers.
    pub start: PhysAddr,
    /// Bytes of them.
    pub len: u64,
    /// The IO-APIC's input.
    pub interrupt: u32,
}

/// Reads `SIZE@START:INTERRUPT[:ID]`; the size may end in K or M.
pub fn parse_place(text: &str) -> Option<Place> {
    let (len, rest) = text.split_once('@')?;
    let (start, rest) = rest.split_once(':')?;
    let interrupt = rest.split(':').next()?;
    let (digits, unit) = match len.as_bytes().last()? {
        b'K' | b'k' => (len.get(..len.len() - 1)?, 1 << 10),
        b'M' | b'm' => (len.get(..len.len() - 1)?, 1 << 20),
        _ => (len, 1),
    };
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let len = number(digits)?.checked_mul(unit)?;
    Some(Place {
        start: PhysAddr::new(number(start)?),
        len,
        interrupt: u32::try_from(number(interrupt)?).ok()?,
    })
}

/// A device.
pub(super) struct MemoryMapped {
    window: Window,
    interrupt: u32,
    is_old: bool,
}

impl MemoryMapped {
    /// The device at a place, and what it is there (2 is a disk, 0 nothing).
    ///
    /// # Errors
    /// ENODEV if there is none of this sort; what claiming its registers says.
    pub(super) fn new(place: &Place) -> Result<(Self, u32)> {
        let window = hal::mmio::claim(place.start, place.len)?;
        if window.len() < at::CONFIG + 64 {
            return Err(Errno::EINVAL);
        }
        let mut device = MemoryMapped { window, interrupt: place.interrupt, is_old: false };
        let version = device.read(at::VERSION);
        if device.read(at::MAGIC) != MAGIC || !(1..=2).contains(&version) {
            return Err(Errno::ENODEV);
        }
        device.is_old = version == 1;
        let kind = device.read(at::DEVICE);
        Ok((device, kind))
    }

    fn register(&self, offset: u64) -> Option<Mmio<u32>> {
        self.window.register(offset).ok()
    }

    fn read(&self, offset: u64) -> u32 {
        self.register(offset).map_or(0, Mmio::read)
    }

    fn write(&self, offset: u64, value: u32) {
        if let Some(register) = self.register(offset) {
            register.write(value);
        }
    }

    fn write_wide(&self, offset: u64, value: u64) {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        self.write(offset, u32::from_le_bytes([a, b, c, d]));
        self.write(offset + 4, u32::from_le_bytes([e, f, g, h]));
    }
}

impl Transport for MemoryMapped {
    fn offered(&self) -> u64 {
        let word = |number| {
            self.write(at::OFFERED_SELECT, number);
            u64::from(self.read(at::OFFERED))
        };
        word(0) | if self.is_old { 0 } else { word(1) << 32 }
    }

    fn accept(&self, features: u64) {
        let [a, b, c, d, e, f, g, h] = features.to_le_bytes();
        for (number, word) in [(0, [a, b, c, d]), (1, [e, f, g, h])] {
            if number == 0 || !self.is_old {
                self.write(at::ACCEPTED_SELECT, number);
                self.write(at::ACCEPTED, u32::from_le_bytes(word));
            }
        }
    }

    fn status(&self) -> u8 {
        self.read(at::STATUS).to_le_bytes()[0]
    }

    fn set_status(&self, status: u8) {
        self.write(at::STATUS, u32::from(status));
    }

    fn queue_limit(&self) -> u16 {
        self.write(at::QUEUE_SELECT, 0);
        u16::try_from(self.read(at::QUEUE_LIMIT)).unwrap_or(u16::MAX)
    }

    fn set_queue(&self, place: &QueuePlace) -> Result<()> {
        self.write(at::QUEUE_SELECT, 0);
        self.write(at::QUEUE_SIZE, u32::from(place.size));
        if self.is_old {
            let page = place.descriptors.get() / u64::from(PAGE);
            self.write(at::OLD_PAGE_SIZE, PAGE);
            self.write(at::OLD_QUEUE_ALIGN, PAGE);
            self.write(at::OLD_QUEUE_PAGE, u32::try_from(page).map_err(|_| Errno::EIO)?);
            return Ok(());
        }
        self.write_wide(at::QUEUE_DESCRIPTORS, place.descriptors.get());
        self.write_wide(at::QUEUE_AVAILABLE, place.available.get());
        self.write_wide(at::QUEUE_USED, place.used.get());
        self.write(at::QUEUE_READY, 1);
        Ok(())
    }

    fn notify(&self) {
        self.write(at::NOTIFY, 0);
    }

    fn acknowledge(&self) -> bool {
        let reasons = self.read(at::INTERRUPT);
        if reasons != 0 {
            self.write(at::INTERRUPT_DONE, reasons);
        }
        reasons & 1 != 0
    }

    fn connect(&self, handler: &'static dyn IrqHandler) -> Result<()> {
        irq::connect_line(self.interrupt, 0, handler)
    }

    fn config(&self, offset: u16) -> u32 {
        self.read(at::CONFIG + u64::from(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_linux_reads_them() {
        let place = Place { start: PhysAddr::new(0xfeb0_0e00), len: 512, interrupt: 12 };
        assert_eq!(parse_place("512@0xfeb00e00:12"), Some(place));
        assert_eq!(parse_place("0x200@0xfeb00e00:12:3"), Some(place));
        assert_eq!(parse_place("4K@0xd0000000:5").unwrap().len, 4096);
        for wrong in ["", "512", "512@", "512@0x1", "x@0x1:2", "512@0x1:", "@:", "K@1:2"] {
            assert_eq!(parse_place(wrong), None, "{wrong}");
        }
    }
}
