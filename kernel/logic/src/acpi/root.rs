//! From the root pointer to the tables (ACPI 6.5, sections 5.2.5 to 5.2.8).

use super::table::{AcpiError, Fields, HEADER_BYTES, Memory, Problem, Signature, Table, adds_up_to_zero};
use crate::addr::PhysAddr;

const RSDP_SIGNATURE: &[u8] = b"RSD PTR ";
const RSDP_V1_BYTES: usize = 20;
const RSDP_V2_BYTES: usize = 36;

/// Where BIOSes keep the root pointer, besides the extended BIOS data area.
const BIOS_START: u64 = 0xe_0000;
const BIOS_BYTES: usize = 0x2_0000;
/// Where the segment of the extended BIOS data area stands.
const EBDA_POINTER: PhysAddr = PhysAddr::new(0x40e);
const EBDA_BYTES: usize = 1024;

/// The list of all tables.
#[derive(Clone, Copy, Debug)]
pub struct Root<'a> {
    list: Table<'a>,
    entry_bytes: usize,
}

impl<'a> Root<'a> {
    /// Follows the root pointer at `rsdp`. A broken XSDT is passed over when there is an RSDT.
    ///
    /// # Errors
    /// About the RSDP, the XSDT or the RSDT.
    pub fn read(memory: &'a impl Memory, rsdp: PhysAddr) -> Result<Self, AcpiError> {
        let error = |problem| AcpiError { table: Signature::RSDP, problem };
        let first = memory.bytes(rsdp, RSDP_V1_BYTES).ok_or(error(Problem::Unreadable))?;
        check_rsdp(first).map_err(error)?;
        let fields = Fields(first);
        let rsdt = fields.word(16).filter(|&address| address != 0).map(|address| address.into());
        let xsdt = if fields.byte(15) >= Some(2) { xsdt_address(memory, rsdp).map_err(error)? } else { None };
        let by_xsdt = xsdt.map(|address| Self::list(memory, address, Signature::XSDT));
        match (by_xsdt, rsdt) {
            (Some(Ok(root)), _) => Ok(root),
            (_, Some(address)) => Self::list(memory, address, Signature::RSDT),
            (Some(Err(error)), None) => Err(error),
            (None, None) => Err(error(Problem::BadRecord)),
        }
    }

    /// The addresses of all tables.
    pub fn addresses(&self) -> impl Iterator<Item = PhysAddr> + 'a {
        let entries = self.list.bytes().get(HEADER_BYTES..).unwrap_or_default();
        let address = |entry| Fields(entry).long(0).or(Fields(entry).word(0).map(u64::from));
        entries.chunks_exact(self.entry_bytes).filter_map(address).map(PhysAddr::new)
    }

    /// The first table of this name, verified; `None` when there is none.
    ///
    /// # Errors
    /// When it is there and broken.
    pub fn table(&self, memory: &'a impl Memory, name: Signature) -> Result<Option<Table<'a>>, AcpiError> {
        let is_named = |address: &PhysAddr| memory.bytes(*address, 4).is_some_and(|bytes| *bytes == name.0);
        self.addresses().find(is_named).map(|address| Table::read(memory, address, name)).transpose()
    }

    fn list(memory: &'a impl Memory, address: u64, signature: Signature) -> Result<Self, AcpiError> {
        let list = Table::read(memory, PhysAddr::new(address), signature)?;
        let entry_bytes = if signature == Signature::XSDT { 8 } else { 4 };
        Ok(Self { list, entry_bytes })
    }
}

/// Looks for the root pointer where a BIOS keeps it, for boot protocols that do not tell.
pub fn find_rsdp(memory: &impl Memory) -> Option<PhysAddr> {
    let segment = memory.bytes(EBDA_POINTER, 2).and_then(|bytes| Fields(bytes).half(0)).filter(|&s| s != 0);
    let ebda = segment.map(|segment| (u64::from(segment) << 4, EBDA_BYTES));
    let places = ebda.into_iter().chain([(BIOS_START, BIOS_BYTES)]);
    places.into_iter().find_map(|(start, len)| {
        let bytes = memory.bytes(PhysAddr::new(start), len)?;
        let mut candidates = (start..).step_by(16).zip(bytes.windows(RSDP_V1_BYTES).step_by(16));
        let found = candidates.find(|(_, candidate)| check_rsdp(candidate).is_ok());
        found.map(|(address, _)| PhysAddr::new(address))
    })
}

fn check_rsdp(first: &[u8]) -> Result<(), Problem> {
    if !first.starts_with(RSDP_SIGNATURE) {
        return Err(Problem::WrongSignature);
    }
    if adds_up_to_zero(first) { Ok(()) } else { Err(Problem::BadChecksum) }
}

/// The address of the XSDT, `None` when there is none.
fn xsdt_address(memory: &impl Memory, rsdp: PhysAddr) -> Result<Option<u64>, Problem> {
    let whole = memory.bytes(rsdp, RSDP_V2_BYTES).ok_or(Problem::Unreadable)?;
    let length = Fields(whole).word(20).and_then(|length| usize::try_from(length).ok());
    let length = length.filter(|&length| length >= RSDP_V2_BYTES).ok_or(Problem::TooShort)?;
    if !adds_up_to_zero(memory.bytes(rsdp, length).ok_or(Problem::Unreadable)?) {
        return Err(Problem::BadChecksum);
    }
    Ok(Fields(whole).long(24).filter(|&address| address != 0))
}
