//! Virtio over PCI, as version 1 has it: structures in the memory behind base address registers, found by capabilities.

use abi::{Errno, Result};
use hal::mmio::{Mmio, Window};
use hal::pci::Function;
use logic::pci::CAPABILITY_VENDOR;
use nucleus::irq::{self, IrqHandler};

use super::transport::{QueuePlace, Transport};

/// Structures, by their number in the capability.
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const STATUS: u8 = 3;
const DEVICE: u8 = 4;

/// No message for this event.
const NO_VECTOR: u16 = 0xffff;

/// Offsets in the common structure.
mod common {
    pub(super) const OFFERED_SELECT: u64 = 0x00;
    pub(super) const OFFERED: u64 = 0x04;
    pub(super) const ACCEPTED_SELECT: u64 = 0x08;
    pub(super) const ACCEPTED: u64 = 0x0c;
    pub(super) const CONFIG_VECTOR: u64 = 0x10;
    pub(super) const STATUS: u64 = 0x14;
    pub(super) const QUEUE_SELECT: u64 = 0x16;
    pub(super) const QUEUE_SIZE: u64 = 0x18;
    pub(super) const QUEUE_VECTOR: u64 = 0x1a;
    pub(super) const QUEUE_ENABLE: u64 = 0x1c;
    pub(super) const QUEUE_NOTIFY: u64 = 0x1e;
    pub(super) const QUEUE_DESCRIPTORS: u64 = 0x20;
    pub(super) const QUEUE_AVAILABLE: u64 = 0x28;
    pub(super) const QUEUE_USED: u64 = 0x30;
}

/// Where a structure is.
#[derive(Clone, Copy)]
struct Structure {
    bar: u8,
    offset: u64,
    len: u64,
    /// Of the notification structure: bytes from one queue's register to the next.
    step: u64,
}

/// A device.
pub(super) struct Pci {
    // First, so that the device stops reaching memory before anything it reaches is freed.
    function: Function,
    windows: [Option<Window>; 6],
    common: Structure,
    device: Structure,
    notify: Mmio<u16>,
    interrupt: Mmio<u8>,
    /// Whether it interrupts by messages, which need no taking back.
    has_messages: hal::spin::Once<bool>,
}

impl Pci {
    /// Maps what the device's capabilities name.
    ///
    /// # Errors
    /// ENODEV if it is older than version 1 or lacks something; what claiming its registers says.
    pub(super) fn new(function: Function) -> Result<Self> {
        let find = |kind| find(&function, kind).ok_or(Errno::ENODEV);
        let (common, notify, status, device) = (find(COMMON)?, find(NOTIFY)?, find(STATUS)?, find(DEVICE)?);
        let mut windows = [const { None }; 6];
        for structure in [common, notify, status, device] {
            let slot = windows.get_mut(usize::from(structure.bar)).ok_or(Errno::ENODEV)?;
            if slot.is_none() {
                *slot = Some(function.window(structure.bar)?);
            }
            let len = slot.as_ref().map_or(0, Window::len);
            if structure.offset.checked_add(structure.len).is_none_or(|end| end > len) {
                return Err(Errno::ENODEV);
            }
        }
        function.enable();
        let at = |structure: Structure, offset| register(&windows, structure, offset);
        at16(&windows, common, common::QUEUE_SELECT)?.write(0);
        let queue = u64::from(at16(&windows, common, common::QUEUE_NOTIFY)?.read());
        let notify = at16(&windows, notify, queue * notify.step)?;
        let interrupt = at(status, 0)?;
        let pci = Pci {
            function,
            windows,
            common,
            device,
            notify,
            interrupt,
            has_messages: hal::spin::Once::new(),
        };
        // Every register that is used later is there.
        pci.common::<u64>(common::QUEUE_USED)?;
        Ok(pci)
    }

    fn common<T: hal::mmio::Register>(&self, offset: u64) -> Result<Mmio<T>> {
        register(&self.windows, self.common, offset)
    }

    fn write<T: hal::mmio::Register>(&self, offset: u64, value: T) {
        // `new` made sure that the structure is long enough.
        if let Ok(register) = self.common(offset) {
            register.write(value);
        }
    }

    fn read<T: hal::mmio::Register + Default>(&self, offset: u64) -> T {
        self.common(offset).map_or_else(|_| T::default(), Mmio::read)
    }
}

fn at16(windows: &[Option<Window>; 6], structure: Structure, offset: u64) -> Result<Mmio<u16>> {
    register(windows, structure, offset)
}

fn register<T: hal::mmio::Register>(
    windows: &[Option<Window>; 6],
    structure: Structure,
    offset: u64,
) -> Result<Mmio<T>> {
    if offset.checked_add(size_of::<T>() as u64).is_none_or(|end| end > structure.len) {
        return Err(Errno::EINVAL);
    }
    let window = windows.get(usize::from(structure.bar)).and_then(Option::as_ref).ok_or(Errno::ENODEV)?;
    window.register(structure.offset + offset)
}

/// The first structure of a kind that is in a base address register.
fn find(function: &Function, kind: u8) -> Option<Structure> {
    for nth in 0.. {
        let at = function.capability(CAPABILITY_VENDOR, nth)?;
        let [.., found] = function.read32(at).to_le_bytes();
        let [bar, ..] = function.read32(at + 4).to_le_bytes();
        if found == kind && bar < 6 {
            let step = if kind == NOTIFY { u64::from(function.read32(at + 16)) } else { 0 };
            let (offset, len) = (u64::from(function.read32(at + 8)), u64::from(function.read32(at + 12)));
            return Some(Structure { bar, offset, len, step });
        }
    }
    None
}

impl Transport for Pci {
    fn place(&self) -> Option<logic::pci::Address> {
        Some(self.function.address())
    }

    fn offered(&self) -> u64 {
        let word = |number: u32| {
            self.write(common::OFFERED_SELECT, number);
            u64::from(self.read::<u32>(common::OFFERED))
        };
        word(0) | word(1) << 32
    }

    fn accept(&self, features: u64) {
        let [a, b, c, d, e, f, g, h] = features.to_le_bytes();
        for (number, word) in [(0_u32, [a, b, c, d]), (1, [e, f, g, h])] {
            self.write(common::ACCEPTED_SELECT, number);
            self.write(common::ACCEPTED, u32::from_le_bytes(word));
        }
    }

    fn status(&self) -> u8 {
        self.read(common::STATUS)
    }

    fn set_status(&self, status: u8) {
        self.write(common::STATUS, status);
    }

    fn queue_limit(&self) -> u16 {
        self.write(common::QUEUE_SELECT, 0_u16);
        self.read(common::QUEUE_SIZE)
    }

    fn set_queue(&self, place: &QueuePlace) -> Result<()> {
        self.write(common::QUEUE_SELECT, 0_u16);
        self.write(common::QUEUE_SIZE, place.size);
        self.write(common::CONFIG_VECTOR, NO_VECTOR);
        if self.has_messages.get() == Some(&true) {
            self.write(common::QUEUE_VECTOR, 0_u16);
            if self.read::<u16>(common::QUEUE_VECTOR) != 0 {
                return Err(Errno::EIO);
            }
        }
        self.write(common::QUEUE_DESCRIPTORS, place.descriptors.get());
        self.write(common::QUEUE_AVAILABLE, place.available.get());
        self.write(common::QUEUE_USED, place.used.get());
        self.write(common::QUEUE_ENABLE, 1_u16);
        Ok(())
    }

    fn notify(&self) {
        self.notify.write(0);
    }

    fn acknowledge(&self) -> bool {
        // Reading it lowers the line.
        self.has_messages.get() == Some(&true) || self.interrupt.read() & 1 != 0
    }

    fn connect(&self, handler: &'static dyn IrqHandler) -> Result<()> {
        const CPU: usize = 0;
        let vector = irq::connect_messages(CPU, handler)?;
        if self.function.enable_messages(&[&vector]).is_ok() {
            self.has_messages.call_once(|| true);
            return Ok(());
        }
        let line = self.function.line().ok_or(Errno::ENODEV)?;
        irq::connect_pci_line(line, CPU, handler)?;
        self.function.allow_line();
        Ok(())
    }

    fn config(&self, offset: u16) -> u32 {
        register(&self.windows, self.device, u64::from(offset)).map_or(0, Mmio::read)
    }
}
