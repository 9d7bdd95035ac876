//! Just enough ACPI to find the I/O APICs, whose inputs the protocol wants masked at entry.
//!
//! ACPI specification 6.5, sections 5.2.5 (RSDP), 5.2.8 (XSDT) and 5.2.12 (MADT). Tables are asked for by
//! physical address, so tests bring their own.

use alloc::vec::Vec;

use crate::bytes;

const TABLE_HEADER_SIZE: usize = 36;
const MADT_ENTRIES: usize = 44;
const IO_APIC_ENTRY: u8 = 1;

/// Reads physical memory: `len` bytes at an address, or `None` where that cannot be.
pub trait Memory {
    /// The bytes at a physical address.
    fn read(&self, address: u64, len: usize) -> Option<Vec<u8>>;
}

/// Physical addresses of the I/O APICs that the tables behind the RSDP at `rsdp` list. Broken tables list none.
pub fn io_apics(memory: &impl Memory, rsdp: u64) -> Vec<u64> {
    madt(memory, rsdp).map(|madt| io_apic_entries(&madt)).unwrap_or_default()
}

fn madt(memory: &impl Memory, rsdp: u64) -> Option<Vec<u8>> {
    let root_pointer = memory.read(rsdp, 36)?;
    let revision = *root_pointer.get(15)?;
    let (root, entry_size) = match bytes::u64_at(&root_pointer, 24)? {
        xsdt if revision >= 2 && xsdt != 0 => (xsdt, 8),
        _ => (u64::from(bytes::u32_at(&root_pointer, 16)?), 4),
    };
    let root = table(memory, root)?;
    root.get(TABLE_HEADER_SIZE..)?
        .chunks_exact(entry_size)
        .filter_map(|entry| {
            if entry_size == 8 { bytes::u64_at(entry, 0) } else { bytes::u32_at(entry, 0).map(u64::from) }
        })
        .find(|&address| memory.read(address, 4).as_deref() == Some(b"APIC"))
        .and_then(|address| table(memory, address))
}

fn table(memory: &impl Memory, address: u64) -> Option<Vec<u8>> {
    let header = memory.read(address, TABLE_HEADER_SIZE)?;
    let len = usize::try_from(bytes::u32_at(&header, 4)?).ok()?;
    // No real table is as long as this; a length beyond it is damage.
    if len > 1 << 20 { None } else { memory.read(address, len) }
}

fn io_apic_entries(madt: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    let mut rest = madt.get(MADT_ENTRIES..).unwrap_or_default();
    while let [kind, len, ..] = *rest {
        if kind == IO_APIC_ENTRY {
            found.extend(bytes::u32_at(rest, 4).map(u64::from));
        }
        let Some(next) = rest.get(usize::from(len)..).filter(|_| len >= 2) else { break };
        rest = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    struct Tables(Vec<u8>);

    impl Memory for Tables {
        fn read(&self, address: u64, len: usize) -> Option<Vec<u8>> {
            let start = usize::try_from(address).ok()?;
            self.0.get(start..start.checked_add(len)?).map(<[u8]>::to_vec)
        }
    }

    fn put(memory: &mut Tables, at: usize, value: &[u8]) {
        memory.0[at..at + value.len()].copy_from_slice(value);
    }

    /// RSDP at 0, XSDT at 0x100 listing a FADT at 0x200 and a MADT at 0x300.
    fn tables() -> Tables {
        let mut memory = Tables(vec![0; 0x400]);
        put(&mut memory, 15, &[2]);
        put(&mut memory, 24, &0x100_u64.to_le_bytes());
        put(&mut memory, 0x104, &52_u32.to_le_bytes());
        put(&mut memory, 0x124, &0x200_u64.to_le_bytes());
        put(&mut memory, 0x12c, &0x300_u64.to_le_bytes());
        put(&mut memory, 0x200, b"FACP");
        put(&mut memory, 0x300, b"APIC");
        put(&mut memory, 0x304, &64_u32.to_le_bytes());
        put(&mut memory, 0x32c, &[0, 8, 0, 0, 1, 0, 0, 0]);
        put(&mut memory, 0x334, &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
        memory
    }

    #[test]
    fn the_io_apic_is_found_behind_other_entries() {
        assert_eq!(io_apics(&tables(), 0), [0xfec0_0000]);
    }

    #[test]
    fn damage_anywhere_is_survived() {
        for at in 0..0x400 {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut memory = tables();
                memory.0[at] = byte;
                io_apics(&memory, 0);
            }
        }
        assert_eq!(io_apics(&tables(), 0x1_0000), []);
    }
}
