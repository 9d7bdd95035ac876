//! The clock of a PC that runs while the machine is off (MC146818, ports 0x70 and 0x71): read at boot, and `/dev/rtc0`.
//!
//! Lock: rank `Device`, around the pair of ports, for the time of one reading or setting.

use alloc::sync::Arc;
use core::any::Any;

use abi::file::device_number;
use abi::time::{RTC_RD_TIME, RTC_SET_TIME};
use abi::{Errno, Result};
use hal::port::{self, Port};
use hal::rank;
use hal::spin::{Lock, Once};
use hal::usermem;
use logic::calendar::{ClockRegisters, Date};
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::{File, FileKind};

const FIRST_PORT: u16 = 0x70;
const REGISTERS: [u8; 6] = [0, 2, 4, 7, 8, 9];
const STATUS_A: u8 = 0xa;
const UPDATING: u8 = 0x80;
const STATUS_B: u8 = 0xb;
/// Of register B: the clock stands still.
const SET: u8 = 0x80;
const CENTURY: u8 = 0x32;
/// The clock updates for 2 ms each second; a machine without one never stops.
const ATTEMPTS: u32 = 10_000;
/// A dynamic number, as Linux mostly gives it.
const NUMBER: u64 = device_number(254, 0);

/// The two ports.
struct Chip {
    index: Port<u8>,
    data: Port<u8>,
}

static CHIP: Once<Lock<Chip, rank::Device>> = Once::new();

fn chip() -> Result<&'static Lock<Chip, rank::Device>> {
    if let Some(chip) = CHIP.get() {
        return Ok(chip);
    }
    let ports = port::claim(FIRST_PORT, 2)?;
    let chip = Chip { index: ports.register(0)?, data: ports.register(1)? };
    Ok(CHIP.call_once(|| Lock::new(chip)))
}

/// The time of day in seconds since 1970.
///
/// # Errors
/// ENODEV if there is no clock, or it shows no time; EBUSY if its ports are taken.
pub fn read() -> Result<u64> {
    chip()?.lock().read()?.date().to_unix().ok_or(Errno::ENODEV)
}

/// Makes the device, if there is a clock.
///
/// # Errors
/// As `read`; ENOMEM.
pub fn register() -> Result<()> {
    read()?;
    let (kind, device) = (FileKind::CharDevice, Arc::new(Opener));
    device::register(Registered { kind, number: NUMBER, name: "rtc0", permissions: 0o600, device })
}

impl Chip {
    fn read(&self) -> Result<ClockRegisters> {
        let mut before = self.snapshot()?;
        for _ in 0..ATTEMPTS {
            let again = self.snapshot()?;
            // The same twice: no update came in between.
            if again == before {
                return Ok(again);
            }
            before = again;
        }
        Err(Errno::ENODEV)
    }

    fn register(&self, number: u8) -> u8 {
        self.index.write(number);
        self.data.read()
    }

    fn set(&self, number: u8, value: u8) {
        self.index.write(number);
        self.data.write(value);
    }

    fn snapshot(&self) -> Result<ClockRegisters> {
        let is_updating = || self.register(STATUS_A) & UPDATING != 0;
        if (0..ATTEMPTS).all(|_| is_updating()) {
            return Err(Errno::ENODEV);
        }
        Ok(ClockRegisters {
            values: REGISTERS.map(|number| self.register(number)),
            century: Some(self.register(CENTURY)),
            mode: self.register(STATUS_B),
        })
    }

    fn write(&self, date: Date) {
        let mode = self.register(STATUS_B);
        let new = ClockRegisters::of(date, mode);
        self.set(STATUS_B, mode | SET);
        for (number, value) in REGISTERS.into_iter().zip(new.values) {
            self.set(number, value);
        }
        if let Some(century) = new.century {
            self.set(CENTURY, century);
        }
        self.set(STATUS_B, mode & !SET);
    }
}

struct Opener;

impl Device for Opener {
    fn open(&self, _number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        Ok(Arc::new(Clock))
    }
}

/// The clock, open. Who may set it is who may open its node.
struct Clock;

impl File for Clock {
    fn control(&self, request: u32, argument: u64) -> Result<u64> {
        match request {
            RTC_RD_TIME => {
                let date = chip()?.lock().read()?.date();
                date.to_unix().ok_or(Errno::EINVAL)?;
                let [year, month] = [i64::from(date.year) - 1900, i64::from(date.month) - 1];
                let fields = [date.second, date.minute, date.hour, date.day].map(i64::from);
                let [second, minute, hour, day] = fields;
                // Day of the week and of the year are not asked of the clock, as on Linux.
                let words = [second, minute, hour, day, month, year, 0, 0, 0];
                usermem::write(argument, &words.map(|word| i32::try_from(word).unwrap_or(0)))?;
            }
            RTC_SET_TIME => {
                let words: [i32; 9] = usermem::read(argument)?;
                let [second, minute, hour, day, month, year, ..] = words.map(i64::from);
                let number = |value: i64| u32::try_from(value).map_err(|_| Errno::EINVAL);
                let date = Date {
                    year: number(year + 1900)?,
                    month: number(month + 1)?,
                    day: number(day)?,
                    hour: number(hour)?,
                    minute: number(minute)?,
                    second: number(second)?,
                };
                if date.to_unix().is_none() || date.year > 2099 {
                    return Err(Errno::EINVAL);
                }
                chip()?.lock().write(date);
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
