//! Tables of QEMU's machines (SeaBIOS, qboot) read out of a guest's memory, tables made here, broken ones.

use super::fadt::{ModeSwitch, PmTimer, Reset};
use super::madt::{Cpu, CpuState, IoApic, Polarity, Trigger};
use super::mcfg::PciWindow;
use super::*;
use crate::addr::PhysAddr;
use crate::zones::NodeId;
use proptest::prelude::*;
use std::{format, vec::Vec};

const Q35_FACP: &[u8] = include_bytes!("testdata/q35.facp");
const Q35_APIC: &[u8] = include_bytes!("testdata/q35.apic");
const Q35_HPET: &[u8] = include_bytes!("testdata/q35.hpet");
const Q35_SRAT: &[u8] = include_bytes!("testdata/q35.srat");
const Q35_MCFG: &[u8] = include_bytes!("testdata/q35.mcfg");
const PC_FACP: &[u8] = include_bytes!("testdata/pc.facp");
const MICROVM_FACP: &[u8] = include_bytes!("testdata/microvm.facp");

/// Blocks of memory with nothing between.
#[derive(Default)]
struct Blocks(Vec<(u64, Vec<u8>)>);

impl Memory for Blocks {
    fn bytes(&self, address: PhysAddr, len: usize) -> Option<&[u8]> {
        self.0.iter().find_map(|(start, block)| {
            let at = usize::try_from(address.get().checked_sub(*start)?).ok()?;
            block.get(at..at.checked_add(len)?)
        })
    }
}

/// Makes the bytes up to `len` add up to zero through the one at `place`.
fn seal(bytes: &mut [u8], place: usize, len: usize) {
    bytes[place] = 0;
    bytes[place] = bytes[..len].iter().fold(0u8, |sum, &byte| sum.wrapping_sub(byte));
}

fn table(signature: Signature, revision: u8, body: &[u8]) -> Vec<u8> {
    let mut out = signature.0.to_vec();
    out.extend(u32::try_from(36 + body.len()).unwrap().to_le_bytes());
    out.push(revision);
    out.resize(36, 0);
    out.extend(body);
    let len = out.len();
    seal(&mut out, 9, len);
    out
}

fn rsdp(revision: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
    let mut out = b"RSD PTR \0NACRE ".to_vec();
    out.push(revision);
    out.extend(rsdt.to_le_bytes());
    out.extend(36u32.to_le_bytes());
    out.extend(xsdt.to_le_bytes());
    out.resize(36, 0);
    seal(&mut out, 8, 20);
    seal(&mut out, 32, 36);
    out
}

fn verified(bytes: &[u8], signature: Signature) -> Table<'_> {
    Table::from_bytes(bytes, signature).unwrap()
}

fn madt(records: &[u8]) -> Result<Madt, AcpiError> {
    let body = [&[0, 0, 0xe0, 0xfe, 1, 0, 0, 0], records].concat();
    let bytes = table(Signature::MADT, 5, &body);
    Madt::parse(&verified(&bytes, Signature::MADT))
}

#[test]
fn the_root_leads_to_the_tables_by_either_list() {
    let list = |signature, entries: &[u8]| table(signature, 1, entries);
    let mut memory = Blocks::default();
    memory.0.push((0x1000, rsdp(2, 0x2000, 0x3000)));
    memory.0.push((0x2000, list(Signature::RSDT, &0x5000u32.to_le_bytes())));
    let entries = [0x9000u64, 0x4000, 0x5000].map(u64::to_le_bytes).concat();
    memory.0.push((0x3000, list(Signature::XSDT, &entries)));
    memory.0.push((0x4000, Q35_HPET.to_vec()));
    memory.0.push((0x5000, Q35_MCFG.to_vec()));
    let names = |memory: &Blocks| {
        let root = Root::read(memory, PhysAddr::new(0x1000)).unwrap();
        [Signature::HPET, Signature::MCFG, Signature::SRAT]
            .map(|name| root.table(memory, name).unwrap().is_some())
    };
    assert_eq!(names(&memory), [true, true, false]);
    memory.0[2].1[9] ^= 1;
    assert_eq!(names(&memory), [false, true, false]);
    memory.0[0].1 = rsdp(0, 0x2000, 0);
    assert_eq!(names(&memory), [false, true, false]);
}

#[test]
fn broken_tables_are_named() {
    let mut memory = Blocks::default();
    memory.0.push((0x1000, rsdp(2, 0, 0x3000)));
    let error = |memory: &Blocks| format!("{}", Root::read(memory, PhysAddr::new(0x1000)).unwrap_err());
    assert_eq!(error(&memory), "ACPI table XSDT lies where there is no memory");
    memory.0.push((0x3000, table(Signature::XSDT, 1, &0x4000u64.to_le_bytes())));
    memory.0.push((0x4000, Q35_APIC.to_vec()));
    memory.0[2].1[50] ^= 1;
    let root = Root::read(&memory, PhysAddr::new(0x1000)).unwrap();
    let apic = root.table(&memory, Signature::MADT).unwrap_err();
    assert_eq!(format!("{apic}"), "ACPI table APIC has a wrong checksum");
    memory.0[0].1[30] ^= 1;
    assert_eq!(error(&memory), "ACPI table RSDP has a wrong checksum");
    memory.0[0].1[0] ^= 1;
    assert_eq!(error(&memory), "ACPI table RSDP is not where it should be");
}

#[test]
fn the_root_pointer_is_found_in_the_bios_and_in_its_data_area() {
    let mut bios = std::vec![0; 0x2_0000];
    bios[0x1_59e0..0x1_5a04].copy_from_slice(&rsdp(0, 0x2000, 0));
    bios[8..28].copy_from_slice(&rsdp(0, 0x2000, 0)[..20]);
    let mut memory = Blocks::default();
    memory.0.push((0xe_0000, bios));
    assert_eq!(find_rsdp(&memory), Some(PhysAddr::new(0xf_59e0)));
    let mut data_area = std::vec![0; 1024];
    data_area[1024 - 36..1024 - 16].copy_from_slice(&rsdp(0, 1, 0)[..20]);
    memory.0.push((0x9_fc00, data_area));
    memory.0.push((0x40e, 0x9fc0u16.to_le_bytes().to_vec()));
    assert_eq!(find_rsdp(&memory), Some(PhysAddr::new(0xf_59e0)), "only at multiples of 16");
    memory.0[1].1[1024 - 48..1024 - 28].copy_from_slice(&rsdp(0, 1, 0)[..20]);
    assert_eq!(find_rsdp(&memory), Some(PhysAddr::new(0x9_fc00 + 1024 - 48)));
}

#[test]
fn qemu_s_cpus_and_interrupts_come_out() {
    let madt = Madt::parse(&verified(Q35_APIC, Signature::MADT)).unwrap();
    assert_eq!((madt.local_apic.get(), madt.has_legacy_pics), (0xfee0_0000, true));
    let cpu = |id, state| Cpu { apic_id: id, processor_uid: id, state };
    let enabled = (0..4).map(|id| cpu(id, CpuState::Enabled)).collect::<Vec<_>>();
    assert_eq!(madt.cpus[..4], enabled[..]);
    assert!(madt.cpus[4..].iter().all(|cpu| cpu.state == CpuState::OnlineCapable));
    let io_apic = IoApic { id: 0, address: PhysAddr::new(0xfec0_0000), first_interrupt: 0 };
    assert_eq!(madt.io_apics[..], [io_apic]);
    assert_eq!(madt.isa_route(0).0, 2);
    let (pin, signalling) = madt.isa_route(9);
    assert_eq!((pin, signalling.polarity, signalling.trigger), (9, Polarity::High, Trigger::Level));
    assert_eq!(madt.isa_route(4).0, 4);
    assert_eq!((madt.local_nmis[0].processor_uid, madt.local_nmis[0].pin), (None, 1));
}

#[test]
fn x2apics_and_overrides_are_read() {
    let records = [
        &[0, 8, 1, 7, 1, 0, 0, 0][..],
        &[9, 16, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
        &[9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
        &[0, 8, 3, 0xff, 1, 0, 0, 0],
        &[0, 8, 3, 9, 0, 0, 0, 0],
        &[5, 12, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        &[3, 8, 0x0f, 0, 9, 0, 0, 0],
        &[10, 12, 5, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0],
        &[0x7f, 2],
    ];
    let madt = madt(&records.concat()).unwrap();
    assert_eq!(madt.cpus.iter().map(|cpu| cpu.apic_id).collect::<Vec<_>>(), [7, 256]);
    assert_eq!(madt.local_apic.get(), 1 << 32);
    assert_eq!((madt.nmi_sources[0].interrupt, madt.nmi_sources[0].signalling.polarity), (9, Polarity::Low));
    assert_eq!((madt.local_nmis[0].processor_uid, madt.local_nmis[0].pin), (None, 1));
}

#[test]
fn too_many_cpus_are_counted_and_broken_records_refused() {
    let cpu = |id: u32| [&[9, 16, 0, 0][..], &id.to_le_bytes(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    let many: Vec<_> = (0..300).flat_map(cpu).collect();
    let madt_of_many = madt(&many).unwrap();
    assert_eq!((madt_of_many.cpus.len(), madt_of_many.cpus_left_out), (256, 44));
    let problem = |records: &[u8]| madt(records).unwrap_err().problem;
    assert_eq!(problem(&[0, 0]), Problem::BadRecord);
    assert_eq!(problem(&[0]), Problem::BadRecord);
    assert_eq!(problem(&[0, 8, 1]), Problem::BadRecord);
    assert_eq!(problem(&[0, 4, 1, 1]), Problem::BadRecord);
    assert_eq!(problem(&[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].repeat(17)), Problem::TooMany);
}

#[test]
fn qemu_s_fixed_registers_come_out() {
    let port = |address, width_bits| Register { space: Space::Port, address, width_bits };
    let q35 = Fadt::parse(&verified(Q35_FACP, Signature::FADT)).unwrap();
    assert_eq!((q35.dsdt.get(), q35.sci_interrupt), (0xffe_0040, 9));
    assert_eq!(q35.mode_switch, Some(ModeSwitch { port: 0xb2, enable: 2 }));
    assert_eq!((q35.pm1a_control, q35.pm1b_control), (Some(port(0x604, 16)), None));
    assert_eq!((q35.pm1a_event, q35.sci_interrupt), (Some(port(0x600, 32)), 9));
    assert_eq!(q35.pm_timer, Some(PmTimer { register: port(0x608, 32), counter_bits: 24 }));
    assert_eq!(q35.reset, Some(Reset { register: port(0xcf9, 8), value: 0xf }));
    assert_eq!((q35.century_index, q35.is_hardware_reduced, q35.sleep_control), (Some(0x32), false, None));
    let pc = Fadt::parse(&verified(PC_FACP, Signature::FADT)).unwrap();
    assert_eq!((pc.pm1a_control, pc.reset, pc.legacy_hardware), (Some(port(0x604, 16)), None, None));
}

#[test]
fn a_hardware_reduced_machine_has_sleep_registers_instead() {
    let fadt = Fadt::parse(&verified(MICROVM_FACP, Signature::FADT)).unwrap();
    assert!(fadt.is_hardware_reduced && fadt.pm1a_control.is_none() && fadt.pm_timer.is_none());
    assert_eq!(fadt.sleep_control.map(|register| register.space), Some(Space::Memory));
    assert!(fadt.sleep_status.is_some() && fadt.reset.is_some());
    assert!(!fadt.legacy_hardware.unwrap().has_8042());
}

#[test]
fn timers_nodes_and_windows_come_out() {
    let hpet = Hpet::parse(&verified(Q35_HPET, Signature::HPET)).unwrap();
    assert_eq!((hpet.address.get(), hpet.is_64_bit, hpet.comparators), (0xfed0_0000, true, 3));
    let srat = Srat::parse(&verified(Q35_SRAT, Signature::SRAT)).unwrap();
    assert_eq!(
        (srat.node_of(2), srat.node_of(3), srat.node_of(99)),
        (NodeId::ZERO, NodeId::new(1), NodeId::ZERO)
    );
    let rows: Vec<_> = srat.memory.iter().map(|r| (r.node.get(), r.start.get(), r.end.get())).collect();
    assert_eq!(rows, [(0, 0, 0xa_0000), (0, 0x10_0000, 128 << 20), (1, 128 << 20, 256 << 20)]);
    let mcfg = Mcfg::parse(&verified(Q35_MCFG, Signature::MCFG)).unwrap();
    let window = PciWindow { address: PhysAddr::new(0xb000_0000), segment: 0, first_bus: 0, last_bus: 255 };
    assert_eq!(mcfg.windows[..], [window]);
}

#[test]
fn a_table_shorter_than_its_fixed_part_is_refused() {
    let short = |signature| table(signature, 1, &[0; 4]);
    let problem = |error: AcpiError| (error.table, error.problem);
    let hpet = short(Signature::HPET);
    let error = Hpet::parse(&verified(&hpet, Signature::HPET)).unwrap_err();
    assert_eq!(problem(error), (Signature::HPET, Problem::TooShort));
    let fadt = short(Signature::FADT);
    let error = Fadt::parse(&verified(&fadt, Signature::FADT)).unwrap_err();
    assert_eq!(problem(error), (Signature::FADT, Problem::TooShort));
}

proptest! {
    #[test]
    fn no_mutated_table_panics(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let names = [Signature::FADT, Signature::MADT, Signature::HPET, Signature::SRAT, Signature::MCFG];
        let mut bytes = [Q35_FACP, Q35_APIC, Q35_HPET, Q35_SRAT, Q35_MCFG][which].to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let len = usize::try_from(u32::from_le_bytes(*bytes[4..].first_chunk().unwrap())).unwrap();
        if (36..=bytes.len()).contains(&len) {
            seal(&mut bytes, 9, len);
        }
        if let Ok(table) = Table::from_bytes(&bytes, names[which]) {
            let _ = (Fadt::parse(&table), Madt::parse(&table).map(|madt| madt.isa_route(0)));
            let _ = (Hpet::parse(&table), Srat::parse(&table), Mcfg::parse(&table));
        }
    }

    #[test]
    fn no_memory_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), rsdt in 0u32..300, xsdt in 0u64..300, revision in 0u8..3) {
        let mut memory = Blocks::default();
        let mut block = rsdp(revision, rsdt, xsdt);
        block.extend(bytes);
        memory.0.push((0, block));
        if let Ok(root) = Root::read(&memory, PhysAddr::ZERO) {
            let _ = root.table(&memory, Signature::MADT);
        }
        find_rsdp(&memory);
    }
}
