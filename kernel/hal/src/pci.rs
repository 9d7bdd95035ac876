//! PCI: which functions there are, and each for one driver.
//!
//! Configuration space is reached through memory (ECAM) where ACPI says where, else through ports. A driver gets a
//! [`Function`], once, and through it registers, interrupts and the right to reach memory; it cannot move registers or
//! interrupts elsewhere, because nothing here writes what a driver says into configuration space, and the table of
//! messages is hal's. Functions that nobody has may neither reach memory nor hold a line. Locks: rank `Table`, around the list of functions;
//! rank `Device`, around the two ports.

use alloc::vec::Vec;

use abi::{Errno, Result};
use logic::addr::{PhysAddr, to_usize};
use logic::pci::{self, Address, Bar, Header, PciId};

use crate::arch;
use crate::irq::Vector;
use crate::mmio::{self, Mmio, Window};
use crate::pixels::{self, Pixels};
use crate::port::{self, Ports};
use crate::rank;
use crate::spin::{Lock, Once};

const COMMAND: u16 = 0x04;
const COMMAND_PORTS: u16 = 1;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_NO_LINE: u16 = 1 << 10;
const FIRST_BAR: u16 = 0x10;
const BARS: u8 = 6;
const LINE: u16 = 0x3c;
const FUNCTION_LEN: u64 = 4096;
const BUS_LEN: u64 = 1 << 20;
/// More buses are not looked at.
const MAX_BUSES: usize = 64;

struct Known {
    address: Address,
    id: PciId,
    is_claimed: bool,
    /// What its driver measured; nobody else may, while it works.
    bars: [Option<Bar>; BARS as usize],
}

/// Where the registers of each bus's functions are mapped, if ACPI tells of them.
static BUSES: [Once<u64>; 256] = [const { Once::new() }; 256];
static WAS_SEARCHED: Once<()> = Once::new();
static FUNCTIONS: Lock<Vec<Known>, rank::Table> = Lock::new(Vec::new());
/// Held between the two ports.
static PORTS: Lock<(), rank::Device> = Lock::new(());

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;

fn register(address: Address, offset: u16) -> Option<Mmio<u32>> {
    let base = *BUSES[usize::from(address.bus)].get().filter(|_| address.segment == 0)?;
    let function = u64::from(address.device & 31) << 3 | u64::from(address.function & 7);
    Some(Mmio::at(base, function * FUNCTION_LEN + u64::from(offset & 0xffc)))
}

fn select(address: Address, offset: u16) {
    let function = u32::from(address.device & 31) << 11 | u32::from(address.function & 7) << 8;
    let selected = 1 << 31 | u32::from(address.bus) << 16 | function | u32::from(offset & 0xfc);
    arch::port::write32(CONFIG_ADDRESS, selected);
}

fn read(address: Address, offset: u16) -> u32 {
    if let Some(register) = register(address, offset) {
        return register.read();
    }
    if address.segment != 0 || offset > 0xff {
        return u32::MAX;
    }
    let _ports = PORTS.lock();
    select(address, offset);
    arch::port::read32(CONFIG_DATA)
}

fn write(address: Address, offset: u16, value: u32) {
    if let Some(register) = register(address, offset) {
        return register.write(value);
    }
    if address.segment == 0 && offset <= 0xff {
        let _ports = PORTS.lock();
        select(address, offset);
        arch::port::write32(CONFIG_DATA, value);
    }
}

fn read16(address: Address, offset: u16) -> u16 {
    let [a, b, c, d] = read(address, offset).to_le_bytes();
    if offset & 2 == 0 { u16::from_le_bytes([a, b]) } else { u16::from_le_bytes([c, d]) }
}

fn write16(address: Address, offset: u16, value: u16) {
    let shift = u32::from(offset & 2) * 8;
    let others = read(address, offset) & !(0xffff << shift);
    write(address, offset, others | u32::from(value) << shift);
}

fn set_command(address: Address, change: impl FnOnce(u16) -> u16) {
    // The other half is the status, whose bits are cleared by ones: zeros leave it alone.
    write(address, COMMAND, u32::from(change(read16(address, COMMAND))));
}

/// Finds all functions, once; says how many there are. Those that are no bridges lose the right to reach memory.
///
/// # Errors
/// ENOMEM.
pub fn find() -> Result<usize> {
    let mut is_first = false;
    WAS_SEARCHED.call_once(|| is_first = true);
    if !is_first || !(answers() || arch::pci_windows().next().is_some()) {
        return Ok(FUNCTIONS.lock().len());
    }
    let mut functions = Vec::new();
    let mut buses = Vec::new();
    buses.try_reserve_exact(MAX_BUSES).map_err(|_| Errno::ENOMEM)?;
    buses.push(0_u8);
    let mut next = 0;
    while let Some(&bus) = buses.get(next) {
        next += 1;
        map_bus(bus)?;
        scan_bus(bus, &mut buses, &mut functions)?;
    }
    let count = functions.len();
    *FUNCTIONS.lock() = functions;
    Ok(count)
}

/// Maps a bus's registers, if ACPI tells where they are. Without that the ports serve, and a machine that has neither
/// answers all ones.
fn map_bus(number: u8) -> Result<()> {
    let window = arch::pci_windows()
        .find(|window| window.segment == 0 && (window.first_bus..=window.last_bus).contains(&number));
    if let Some(window) = window {
        let start = PhysAddr::new(window.address.get() + u64::from(number) * BUS_LEN);
        let base = mmio::map(start, BUS_LEN)?;
        BUSES[usize::from(number)].call_once(|| base);
    }
    Ok(())
}

/// Whether there is a PCI bus behind the ports, or ACPI tells of one.
fn answers() -> bool {
    let _ports = PORTS.lock();
    arch::port::write32(CONFIG_ADDRESS, 1 << 31);
    arch::port::read32(CONFIG_ADDRESS) == 1 << 31
}

fn scan_bus(bus: u8, buses: &mut Vec<u8>, functions: &mut Vec<Known>) -> Result<()> {
    for device in 0..32 {
        for function in 0..8 {
            let address = Address { segment: 0, bus, device, function };
            let found = pci::identify(&|offset| read(address, offset));
            let has_more = found.is_some_and(|found| found.has_more);
            if let Some(found) = found {
                if let Header::Bridge(behind) = found.header
                    && behind != 0
                    && !buses.contains(&behind)
                    && buses.len() < MAX_BUSES
                {
                    buses.push(behind);
                }
                if found.header == Header::Device {
                    // A line that nobody serves would interrupt for ever those that share it.
                    set_command(address, |command| command & !COMMAND_MASTER | COMMAND_NO_LINE);
                }
                functions.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                functions.push(Known {
                    address,
                    id: found.id,
                    is_claimed: found.header != Header::Device,
                    bars: [None; BARS as usize],
                });
            }
            if function == 0 && !has_more {
                break;
            }
        }
    }
    Ok(())
}

/// The `index`th function there is.
pub fn function(index: usize) -> Option<(Address, PciId)> {
    FUNCTIONS.lock().get(index).map(|known| (known.address, known.id))
}

/// A word of the configuration space of a function that exists, from the part that all have.
pub fn config(address: Address, offset: u16) -> Option<u32> {
    let is_known = FUNCTIONS.lock().iter().any(|known| known.address == address);
    (is_known && offset < 256).then(|| read(address, offset & 0xfc))
}

/// The base address registers of a function, as far as its driver has measured them.
pub fn measured(address: Address) -> [Option<Bar>; BARS as usize] {
    let functions = FUNCTIONS.lock();
    functions.iter().find(|known| known.address == address).map_or([None; BARS as usize], |known| known.bars)
}

/// One function, for the driver that claimed it. Dropped, it reaches memory no more.
#[derive(Debug)]
pub struct Function {
    address: Address,
    id: PciId,
}

/// Claims a function.
///
/// # Errors
/// ENODEV if there is none, or it is a bridge; EBUSY if somebody has it.
pub fn claim(address: Address) -> Result<Function> {
    let mut functions = FUNCTIONS.lock();
    let known = functions.iter_mut().find(|known| known.address == address).ok_or(Errno::ENODEV)?;
    if core::mem::replace(&mut known.is_claimed, true) {
        return Err(Errno::EBUSY);
    }
    Ok(Function { address, id: known.id })
}

impl Drop for Function {
    fn drop(&mut self) {
        set_command(self.address, |command| command & !COMMAND_MASTER | COMMAND_NO_LINE);
        let mut functions = FUNCTIONS.lock();
        if let Some(known) = functions.iter_mut().find(|known| known.address == self.address) {
            known.is_claimed = false;
        }
    }
}

impl Function {
    /// Where it is.
    pub fn address(&self) -> Address {
        self.address
    }

    /// What it is.
    pub fn id(&self) -> PciId {
        self.id
    }

    /// A word of configuration space.
    pub fn read32(&self, offset: u16) -> u32 {
        read(self.address, offset)
    }

    /// The capabilities: number, and where each begins.
    pub fn capability(&self, number: u8, nth: usize) -> Option<u16> {
        let read = |offset| read(self.address, offset);
        let mut found = pci::capabilities(&read).filter(|&(other, _)| other == number);
        found.nth(nth).map(|(_, at)| at)
    }

    /// Lets it answer and reach memory.
    pub fn enable(&self) {
        set_command(self.address, |command| command | COMMAND_PORTS | COMMAND_MEMORY | COMMAND_MASTER);
    }

    fn bar(&self, number: u8) -> Result<Bar> {
        if number >= BARS {
            return Err(Errno::EINVAL);
        }
        let offset = FIRST_BAR + u16::from(number) * 4;
        let low = read(self.address, offset);
        let is_wide = pci::is_wide(low) && number + 1 < BARS;
        let high = if is_wide { read(self.address, offset + 4) } else { 0 };
        // While it is measured it must answer nowhere.
        let command = read16(self.address, COMMAND);
        set_command(self.address, |command| command & !(COMMAND_PORTS | COMMAND_MEMORY));
        let measure = |offset, value| {
            write(self.address, offset, u32::MAX);
            let mask = read(self.address, offset);
            write(self.address, offset, value);
            mask
        };
        let low_mask = measure(offset, low);
        let high_mask = if is_wide { measure(offset + 4, high) } else { 0 };
        set_command(self.address, |_| command);
        let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let bar = pci::bar(join(low, high), join(low_mask, high_mask)).ok_or(Errno::ENXIO)?;
        let mut functions = FUNCTIONS.lock();
        let known = functions.iter_mut().find(|known| known.address == self.address);
        if let Some(slot) = known.and_then(|known| known.bars.get_mut(usize::from(number))) {
            *slot = Some(bar);
        }
        Ok(bar)
    }

    /// Maps the registers behind a base address register, all but the table of messages.
    ///
    /// # Errors
    /// EINVAL if they are ports; ENXIO if there are none or the firmware gave them no place; what `mmio::claim` says.
    pub fn window(&self, number: u8) -> Result<Window> {
        let Bar::Memory { address, len } = self.bar(number)? else { return Err(Errno::EINVAL) };
        let hidden = match self.message_table() {
            Some(table) if table.bar == number => (table.offset, table.offset + table.count * ENTRY_LEN),
            _ => (0, 0),
        };
        mmio::claim_with_hole(PhysAddr::new(address), len, hidden)
    }

    /// Claims the memory of a display behind a base address register.
    ///
    /// # Errors
    /// As `window`; EPERM for a device with a table of messages there.
    pub fn pixels(&self, number: u8) -> Result<Pixels> {
        let Bar::Memory { address, len } = self.bar(number)? else { return Err(Errno::EINVAL) };
        if self.message_table().is_some_and(|table| table.bar == number) {
            return Err(Errno::EPERM);
        }
        pixels::claim(PhysAddr::new(address), len)
    }

    /// Claims the ports behind a base address register.
    ///
    /// # Errors
    /// EINVAL if it is memory; ENXIO if there are none; what `port::claim` says.
    pub fn ports(&self, number: u8) -> Result<Ports> {
        let Bar::Ports { first, count } = self.bar(number)? else { return Err(Errno::EINVAL) };
        port::claim(first, count)
    }

    /// The ISA interrupt that the firmware let its line arrive at.
    pub fn line(&self) -> Option<u8> {
        let [line, pin, ..] = read(self.address, LINE).to_le_bytes();
        (pin != 0 && line < 16).then_some(line)
    }

    /// Whether it may signal its line.
    pub fn allow_line(&self) {
        set_command(self.address, |command| command & !COMMAND_NO_LINE);
    }

    fn message_table(&self) -> Option<MessageTable> {
        let at = self.capability(pci::CAPABILITY_MSIX, 0)?;
        let count = u64::from(read16(self.address, at + 2) & 0x7ff) + 1;
        let place = read(self.address, at + 4);
        let bar = place.to_le_bytes()[0] & 7;
        Some(MessageTable { at, bar, offset: u64::from(place & !7), count })
    }

    /// Lets it interrupt by messages: `vectors` one after the other, MSI-X where it has it, else its single MSI. Returns how
    /// many of them it uses. Its line is silent from here on.
    ///
    /// # Errors
    /// ENODEV if it knows no messages; what mapping its table says.
    pub fn enable_messages(&self, vectors: &[&Vector]) -> Result<usize> {
        let first = vectors.first().ok_or(Errno::EINVAL)?;
        set_command(self.address, |command| command | COMMAND_NO_LINE);
        let Some(table) = self.message_table() else {
            return self.enable_single_message(first).map(|()| 1);
        };
        let Bar::Memory { address, len } = self.bar(table.bar)? else { return Err(Errno::EINVAL) };
        let used = vectors.len().min(to_usize(table.count));
        let table_len = table.count * ENTRY_LEN;
        if table.offset.checked_add(table_len).is_none_or(|end| end > len) {
            return Err(Errno::EINVAL);
        }
        let base = mmio::map_table(PhysAddr::new(address + table.offset), table_len)?;
        for number in 0..table.count {
            let entry = |offset| Mmio::<u32>::at(base, number * ENTRY_LEN + offset);
            let vector = vectors.get(to_usize(number));
            let (to, value) = vector.map_or((0, 0), |vector| vector.message());
            entry(0).write(to);
            entry(4).write(0);
            entry(8).write(value);
            entry(12).write(u32::from(vector.is_none()));
        }
        const ENABLE: u16 = 1 << 15;
        const MASK_ALL: u16 = 1 << 14;
        let control = read16(self.address, table.at + 2);
        write16(self.address, table.at + 2, control & !MASK_ALL | ENABLE);
        Ok(used)
    }

    fn enable_single_message(&self, vector: &Vector) -> Result<()> {
        const ENABLE: u16 = 1;
        const SEVERAL: u16 = 7 << 4;
        const WIDE: u16 = 1 << 7;
        let at = self.capability(pci::CAPABILITY_MSI, 0).ok_or(Errno::ENODEV)?;
        let control = read16(self.address, at + 2);
        let (to, value) = vector.message();
        write(self.address, at + 4, to);
        let data = if control & WIDE != 0 {
            write(self.address, at + 8, 0);
            at + 12
        } else {
            at + 8
        };
        write16(self.address, data, u16::try_from(value).map_err(|_| Errno::EINVAL)?);
        write16(self.address, at + 2, control & !SEVERAL | ENABLE);
        Ok(())
    }
}

/// Bytes of one message in the table.
const ENTRY_LEN: u64 = 16;

struct MessageTable {
    /// The capability.
    at: u16,
    bar: u8,
    offset: u64,
    count: u64,
}
