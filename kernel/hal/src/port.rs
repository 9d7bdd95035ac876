//! Device registers in I/O ports: a driver claims a range once, and nobody else gets it.
//!
//! Ports that hal drives itself, and those through which a safe driver could break memory safety (DMA controllers,
//! PCI configuration), cannot be claimed. A device that masters the bus by itself needs an interface of its own here.
//! Lock: rank `Table`, around the list of claims.

use core::marker::PhantomData;

use abi::{Errno, Result};

use crate::arch;
use crate::rank;
use crate::spin::Lock;

const MAX_CLAIMS: usize = 32;

/// First and last port of what nobody may claim.
const RESERVED: [(u16, u16); 6] = [
    // DMA controllers, their page registers; between them the interrupt controllers and the timer.
    (0x00, 0x5f),
    (0x80, 0x8f),
    (0xa0, 0xa1),
    (0xc0, 0xdf),
    // The console of emulators.
    (0xe9, 0xe9),
    // PCI configuration.
    (0xcf8, 0xcff),
];

static CLAIMS: Lock<[Option<Ports>; MAX_CLAIMS], rank::Table> = Lock::new([None; MAX_CLAIMS]);

/// A range of ports that was claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// Claims `count` ports from `first` on, for good.
///
/// # Errors
/// EBUSY if one of them is claimed already, EPERM if one is reserved, EINVAL if there are no such ports, ENOSPC if
/// there were too many claims.
pub fn claim(first: u16, count: u16) -> Result<Ports> {
    let last = count.checked_sub(1).and_then(|more| first.checked_add(more)).ok_or(Errno::EINVAL)?;
    let ports = Ports { first, last };
    if RESERVED.iter().any(|&(first, last)| ports.overlaps(Ports { first, last })) {
        return Err(Errno::EPERM);
    }
    let mut claims = CLAIMS.lock();
    if claims.iter().flatten().any(|&other| ports.overlaps(other)) {
        return Err(Errno::EBUSY);
    }
    *claims.iter_mut().find(|claim| claim.is_none()).ok_or(Errno::ENOSPC)? = Some(ports);
    Ok(ports)
}

impl Ports {
    const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// The register `offset` ports into the range.
    ///
    /// # Errors
    /// EINVAL if it does not lie in the range.
    pub fn register<T: Width>(self, offset: u16) -> Result<Port<T>> {
        let number = self.first.checked_add(offset).ok_or(Errno::EINVAL)?;
        let last = number.checked_add(T::PORTS - 1).ok_or(Errno::EINVAL)?;
        if last > self.last {
            return Err(Errno::EINVAL);
        }
        Ok(Port { number, width: PhantomData })
    }
}

/// One register.
#[derive(Clone, Copy, Debug)]
pub struct Port<T> {
    number: u16,
    width: PhantomData<T>,
}

impl<T: Width> Port<T> {
    /// Reads it.
    #[inline(always)]
    pub fn read(self) -> T {
        T::read(self.number)
    }

    /// Writes it.
    #[inline(always)]
    pub fn write(self, value: T) {
        T::write(self.number, value);
    }
}

/// Types that registers in ports have.
pub trait Width: Copy + sealed::Sealed {
    /// How many ports one takes.
    const PORTS: u16;
    #[doc(hidden)]
    fn read(number: u16) -> Self;
    #[doc(hidden)]
    fn write(number: u16, value: Self);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! widths {
    ($($type:ty, $ports:literal, $read:ident, $write:ident;)*) => {
        $(
            impl sealed::Sealed for $type {}
            impl Width for $type {
                const PORTS: u16 = $ports;
                #[inline(always)]
                fn read(number: u16) -> Self {
                    arch::port::$read(number)
                }
                #[inline(always)]
                fn write(number: u16, value: Self) {
                    arch::port::$write(number, value);
                }
            }
        )*
    };
}

widths! {
    u8, 1, read8, write8;
    u16, 2, read16, write16;
    u32, 4, read32, write32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_claimed_once() {
        let ports = claim(0x1f0, 8).unwrap();
        assert_eq!(claim(0x1f7, 1), Err(Errno::EBUSY));
        assert_eq!(claim(0x1e0, 17), Err(Errno::EBUSY));
        assert!(claim(0x1f8, 1).is_ok());
        assert!(ports.register::<u16>(6).is_ok());
        assert_eq!(ports.register::<u16>(7).err(), Some(Errno::EINVAL));
        assert_eq!(ports.register::<u32>(u16::MAX).err(), Some(Errno::EINVAL));
    }

    #[test]
    fn dangerous_and_impossible_ports_cannot_be_claimed() {
        assert_eq!(claim(0xcfc, 4), Err(Errno::EPERM));
        assert_eq!(claim(0x60, 0x21), Err(Errno::EPERM));
        assert_eq!(claim(0x2f8, 0), Err(Errno::EINVAL));
        assert_eq!(claim(0xffff, 2), Err(Errno::EINVAL));
    }
}
