//! The clock of a PC that runs while the machine is off (MC146818, ports 0x70 and 0x71): read once, at boot.

use abi::{Errno, Result};
use hal::port::{self, Port};
use logic::calendar::ClockRegisters;

const FIRST_PORT: u16 = 0x70;
const REGISTERS: [u8; 6] = [0, 2, 4, 7, 8, 9];
const STATUS_A: u8 = 0xa;
const UPDATING: u8 = 0x80;
const STATUS_B: u8 = 0xb;
const CENTURY: u8 = 0x32;
/// The clock updates for 2 ms each second; a machine without one never stops.
const ATTEMPTS: u32 = 10_000;

/// The time of day in seconds since 1970.
///
/// # Errors
/// ENODEV if there is no clock, or it shows no time; EBUSY if its ports are taken.
pub fn read() -> Result<u64> {
    let ports = port::claim(FIRST_PORT, 2)?;
    let (index, data) = (ports.register::<u8>(0)?, ports.register::<u8>(1)?);
    let mut before = snapshot(&index, &data)?;
    for _ in 0..ATTEMPTS {
        let again = snapshot(&index, &data)?;
        // The same twice: no update came in between.
        if again == before {
            return again.date().to_unix().ok_or(Errno::ENODEV);
        }
        before = again;
    }
    Err(Errno::ENODEV)
}

fn snapshot(index: &Port<u8>, data: &Port<u8>) -> Result<ClockRegisters> {
    let register = |number: u8| {
        index.write(number);
        data.read()
    };
    let is_updating = || register(STATUS_A) & UPDATING != 0;
    if (0..ATTEMPTS).all(|_| is_updating()) {
        return Err(Errno::ENODEV);
    }
    Ok(ClockRegisters {
        values: REGISTERS.map(register),
        century: Some(register(CENTURY)),
        mode: register(STATUS_B),
    })
}
