//! Reading and verifying any table.

use crate::addr::PhysAddr;
use core::fmt;

/// Bytes of the header all tables but the RSDP share.
pub const HEADER_BYTES: usize = 36;

/// Physical memory as the firmware left it.
pub trait Memory {
    /// The `len` bytes at `address`; `None` where there is no memory.
    fn bytes(&self, address: PhysAddr, len: usize) -> Option<&[u8]>;
}

/// The four letters that name a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Signature(pub [u8; 4]);

impl Signature {
    /// The root pointer, whose real signature is longer.
    pub const RSDP: Self = Self(*b"RSDP");
    /// The list of tables with 32-bit addresses.
    pub const RSDT: Self = Self(*b"RSDT");
    /// The list of tables with 64-bit addresses.
    pub const XSDT: Self = Self(*b"XSDT");
    /// The MADT.
    pub const MADT: Self = Self(*b"APIC");
    /// The FADT.
    pub const FADT: Self = Self(*b"FACP");
    /// The DSDT.
    pub const DSDT: Self = Self(*b"DSDT");
    /// The HPET's table.
    pub const HPET: Self = Self(*b"HPET");
    /// The SRAT.
    pub const SRAT: Self = Self(*b"SRAT");
    /// The MCFG.
    pub const MCFG: Self = Self(*b"MCFG");
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Which table is broken, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcpiError {
    /// The table.
    pub table: Signature,
    /// How it is broken.
    pub problem: Problem,
}

/// What is wrong with a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It lies where there is no memory.
    Unreadable,
    /// Another table stands in its place.
    WrongSignature,
    /// It is shorter than its fixed part.
    TooShort,
    /// Its bytes do not add up to zero.
    BadChecksum,
    /// A record in it has an impossible length or content.
    BadRecord,
    /// It has more records of a kind than we have room for.
    TooMany,
}

impl fmt::Display for AcpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::Unreadable => "lies where there is no memory",
            Problem::WrongSignature => "is not where it should be",
            Problem::TooShort => "is too short",
            Problem::BadChecksum => "has a wrong checksum",
            Problem::BadRecord => "has a broken record",
            Problem::TooMany => "has more records than we have room for",
        };
        write!(f, "ACPI table {} {problem}", self.table)
    }
}

/// A table whose signature, length and checksum have been verified.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    signature: Signature,
    bytes: &'a [u8],
}

impl<'a> Table<'a> {
    /// Reads and verifies the table at `address`.
    ///
    /// # Errors
    /// `Unreadable`, `WrongSignature`, `TooShort`, `BadChecksum`.
    pub fn read(memory: &'a impl Memory, address: PhysAddr, signature: Signature) -> Result<Self, AcpiError> {
        let error = |problem| AcpiError { table: signature, problem };
        let header = memory.bytes(address, HEADER_BYTES).ok_or(error(Problem::Unreadable))?;
        let length = Fields(header).word(4).and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(error(Problem::TooShort))?;
        let bytes = memory.bytes(address, length.max(HEADER_BYTES)).ok_or(error(Problem::Unreadable))?;
        Self::from_bytes(bytes, signature)
    }

    /// Verifies a table in these bytes, which may go on after its end.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn from_bytes(bytes: &'a [u8], signature: Signature) -> Result<Self, AcpiError> {
        let error = |problem| Err(AcpiError { table: signature, problem });
        if !bytes.starts_with(&signature.0) {
            return error(Problem::WrongSignature);
        }
        let length = Fields(bytes).word(4).and_then(|length| usize::try_from(length).ok());
        let Some(bytes) = length.filter(|&length| length >= HEADER_BYTES).and_then(|len| bytes.get(..len))
        else {
            return error(Problem::TooShort);
        };
        if !adds_up_to_zero(bytes) {
            return error(Problem::BadChecksum);
        }
        Ok(Self { signature, bytes })
    }

    /// The whole table, header included.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The table's revision.
    pub fn revision(&self) -> u8 {
        self.fields().byte(8).unwrap_or(0)
    }

    /// The numbers of the whole table.
    pub(super) const fn fields(&self) -> Fields<'a> {
        Fields(self.bytes)
    }

    /// An error about this table.
    pub(super) const fn error(&self, problem: Problem) -> AcpiError {
        AcpiError { table: self.signature, problem }
    }

    /// Fails unless the table has at least `length` bytes.
    pub(super) const fn require(&self, length: usize) -> Result<(), AcpiError> {
        if self.bytes.len() < length { Err(self.error(Problem::TooShort)) } else { Ok(()) }
    }

    /// The records from `start` on, each of which begins with a byte for its type and one for its length.
    pub(super) fn records(&self, start: usize) -> impl Iterator<Item = Result<(u8, Fields<'a>), AcpiError>> {
        let mut rest = self.bytes.get(start..).unwrap_or_default();
        let broken = self.error(Problem::BadRecord);
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let fields = Fields(rest);
            let length = fields.byte(1).map_or(0, usize::from);
            let split = rest.split_at_checked(length).filter(|_| length >= 2);
            let Some((record, after)) = split else {
                rest = &[];
                return Some(Err(broken));
            };
            rest = after;
            fields.byte(0).map(|kind| Ok((kind, Fields(record))))
        })
    }
}

/// Little-endian numbers at byte offsets; `None` past the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn byte(self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }

    pub(super) fn half(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub(super) fn word(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub(super) fn long(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }
}

/// The checksum rule of all tables.
pub(super) fn adds_up_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) == 0
}
