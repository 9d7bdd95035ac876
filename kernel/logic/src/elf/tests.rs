//! Files made here, files of the host, and broken ones.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const FILE_LEN: u64 = 0x4000;

/// type, flags, offset, address, bytes in the file, bytes in memory, alignment
type Row = (u32, u32, u64, u64, u64, u64, u64);

const TEXT: Row = (1, 5, 0, 0x40_0000, 0x1234, 0x1234, 0x1000);
const DATA: Row = (1, 6, 0x2e00, 0x40_3e00, 0x300, 0x3000, 0x1000);

fn file(kind: u16, entry: u64, rows: &[Row]) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend([kind, 62].iter().flat_map(|half| half.to_le_bytes()));
    out.extend(1u32.to_le_bytes());
    out.extend([entry, 64, 0].iter().flat_map(|long| long.to_le_bytes()));
    out.extend(0u32.to_le_bytes());
    let count = u16::try_from(rows.len()).unwrap();
    out.extend([64, 56, count, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    for &(kind, flags, offset, address, file_len, memory_len, align) in rows {
        out.extend([kind, flags].iter().flat_map(|word| word.to_le_bytes()));
        let longs = [offset, address, address, file_len, memory_len, align];
        out.extend(longs.iter().flat_map(|long| long.to_le_bytes()));
    }
    out
}

fn planned(kind: u16, entry: u64, rows: &[Row]) -> Result<LoadPlan, ElfError> {
    plan(&file(kind, entry, rows), FILE_LEN, Limits::default())
}

fn error(rows: &[Row]) -> ElfError {
    planned(2, 0x40_1000, rows).unwrap_err()
}

#[test]
fn a_static_program_is_mapped_as_it_stands() {
    let plan = planned(2, 0x40_1000, &[TEXT, DATA]).unwrap();
    let [text, data] = plan.segments().copied().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((text.start, text.file_pages_end, text.end), (0x40_0000, 0x40_2000, 0x40_2000));
    assert!(text.access.is_executable() && !text.access.is_writable() && text.zeroed_tail().is_none());
    assert_eq!((data.start, data.file_pages_end, data.end), (0x40_3000, 0x40_5000, 0x40_7000));
    assert_eq!((data.file_offset, data.zeroed_tail()), (0x2000, Some((0x40_4100, 0x40_5000))));
    assert_eq!((plan.kind, plan.stack), (ImageKind::Fixed, StackFlag::Unsaid));
    assert_eq!((plan.program_headers, plan.program_header_count), (Some(0x40_0040), 2));
    assert_eq!((plan.start(), plan.end(), plan.memory_end()), (0x40_0000, 0x40_7000, 0x40_6e00));
    assert_eq!((plan.interpreter, plan.alignment), (None, 0x1000));
}

#[test]
fn a_relocatable_program_starts_at_zero_and_names_its_interpreter() {
    let rows = [
        (3, 4, 0x200, 0x200, 28, 28, 1),
        (1, 5, 0, 0, 0x1000, 0x1000, 0x20_0000),
        (7, 4, 9, 9, 9, 9, 9),
        (0x6474_e551, 7, 0, 0, 0, 0, 16),
        (0x6474_e551, 6, 0, 0, 0, 0, 16),
    ];
    let plan = planned(3, 0x10, &rows).unwrap();
    assert_eq!((plan.kind, plan.alignment), (ImageKind::Relocatable, 0x20_0000));
    assert_eq!(plan.interpreter, Some(FileRange { offset: 0x200, len: 28 }));
    assert_eq!(plan.stack, StackFlag::NonExecutable);
}

#[test]
fn pure_zero_segments_need_no_file() {
    let bss = (1, 6, 0x3_0001, 0x40_8010, 0, 0x20, 0x1000);
    assert_eq!(error(&[TEXT, bss]), ElfError::FileTooShort);
    let plan = planned(2, 0x40_1000, &[TEXT, (1, 6, 0x33, 0x40_8010, 0, 0x20, 0x1000)]).unwrap();
    let bss = plan.segments().next_back().unwrap();
    assert_eq!((bss.start, bss.file_pages_end, bss.end), (0x40_8000, 0x40_8000, 0x40_9000));
    assert_eq!(bss.zeroed_tail(), None);
}

#[test]
fn neighbours_may_share_a_page_but_no_byte() {
    let close = (1, 6, 0x1234, 0x40_1234, 0x100, 0x100, 0x1000);
    assert!(planned(2, 0x40_1000, &[TEXT, close]).is_ok());
    let overlapping = (1, 6, 0x1233, 0x40_1233, 0x100, 0x100, 0x1000);
    assert_eq!(error(&[TEXT, overlapping]), ElfError::Disordered);
    assert_eq!(error(&[DATA, TEXT]), ElfError::Disordered);
}

#[test]
fn each_fault_has_a_name() {
    assert_eq!(error(&[]), ElfError::BadHeaderTable);
    assert_eq!(error(&[TEXT; 65]), ElfError::BadHeaderTable);
    assert_eq!(error(&[(6, 4, 0, 0, 0, 0, 0)]), ElfError::NothingToLoad);
    let many: Vec<Row> = (0..13).map(|at| (1, 5, 0, 0x40_0000 + at * 0x1000, 16, 16, 0)).collect();
    assert_eq!(error(&many), ElfError::TooManySegments);
    assert_eq!(error(&[(1, 5, 0, 0x40_0000, 2, 1, 0)]), ElfError::BadSegment);
    assert_eq!(error(&[(1, 5, 0, 0x40_0000, 0, u64::MAX, 0)]), ElfError::BadSegment);
    assert_eq!(error(&[(1, 5, u64::MAX, 0x40_0000, 2, 2, 0)]), ElfError::BadSegment);
    assert_eq!(error(&[(1, 5, 0, 0x40_0800, 1, 1, 0)]), ElfError::NotCongruent);
    assert_eq!(error(&[(1, 5, 0, 0x40_0000, FILE_LEN + 1, FILE_LEN + 1, 0)]), ElfError::FileTooShort);
    assert_eq!(error(&[(1, 5, 0, 0x7fff_ffff_e000, 1, 0x1001, 0)]), ElfError::BadAddress);
    assert_eq!(error(&[(1, 5, 0, 0xf000, 1, 1, 0)]), ElfError::BadAddress);
    assert_eq!(error(&[TEXT, (3, 4, 0, 0, 1, 1, 1)]), ElfError::BadInterpreter);
    assert_eq!(error(&[TEXT, (3, 4, 0, 0, 4097, 1, 1)]), ElfError::BadInterpreter);
    assert_eq!(error(&[TEXT, (3, 4, FILE_LEN, 0, 5, 1, 1)]), ElfError::InterpreterPastEnd);
    assert_eq!(planned(2, 0x40_1234, &[TEXT]).unwrap_err(), ElfError::BadEntry);
    assert_eq!(planned(1, 0, &[TEXT]).unwrap_err(), ElfError::NotAProgram);
}

#[test]
fn other_machines_and_other_files_are_refused() {
    let whole = file(2, 0x40_1000, &[TEXT]);
    let broken = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        plan(&bytes, FILE_LEN, Limits::default()).unwrap_err()
    };
    assert_eq!(broken(0), ElfError::NotElf);
    assert_eq!(broken(18), ElfError::WrongMachine);
    assert_eq!(broken(54), ElfError::BadHeaderTable);
    assert_eq!(broken(38), ElfError::TableNotGiven);
    assert_eq!(plan(&whole[..100], FILE_LEN, Limits::default()).unwrap_err(), ElfError::TableNotGiven);
    assert_eq!(plan(b"#!/bin/sh", 9, Limits::default()).unwrap_err(), ElfError::NotElf);
}

#[test]
fn a_table_elsewhere_is_read_on_request() {
    let mut bytes = file(2, 0x40_1000, &[TEXT]);
    let table = bytes.split_off(64);
    bytes[32..40].copy_from_slice(&0x3000u64.to_le_bytes());
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.table(), FileRange { offset: 0x3000, len: 56 });
    let plan = header.plan(&table, FILE_LEN, Limits::default()).unwrap();
    assert_eq!(plan.program_headers, None);
}

#[test]
fn interpreter_paths_end_in_nul() {
    assert_eq!(interpreter_path(b"/lib/ld.so\0"), Ok(&b"/lib/ld.so"[..]));
    assert_eq!(interpreter_path(b"/a\0b\0"), Ok(&b"/a"[..]));
    for bad in [&b""[..], b"\0", b"/a"] {
        assert_eq!(interpreter_path(bad), Err(ElfError::BadInterpreter));
    }
}

#[test]
fn programs_of_the_host_can_be_planned() {
    for path in ["/bin/true", "/bin/bash", "/sbin/ldconfig", "/usr/bin/ld", "/lib64/ld-linux-x86-64.so.2"] {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let head = &bytes[..bytes.len().min(4096)];
        let plan = plan(head, bytes.len() as u64, Limits::default()).unwrap();
        assert!(plan.program_headers.is_some(), "{path}");
        if let Some(range) = plan.interpreter {
            let start = usize::try_from(range.offset).unwrap();
            let path = &bytes[start..start + usize::try_from(range.len).unwrap()];
            assert_eq!(interpreter_path(path), Ok(&b"/lib64/ld-linux-x86-64.so.2"[..]));
        }
    }
}

/// What `exec` relies on.
fn check(plan: &LoadPlan, file_len: u64) {
    let mut free_from = 0;
    for segment in plan.segments() {
        assert!(segment.start.is_multiple_of(0x1000) && segment.end.is_multiple_of(0x1000));
        assert!(segment.start <= segment.file_pages_end && segment.file_pages_end <= segment.end);
        assert!(segment.start < segment.memory_end && segment.memory_end <= segment.end);
        assert!(segment.end <= Limits::default().end && segment.file_end <= segment.memory_end);
        assert!(segment.start >= align_page(free_from), "segments share at most a page");
        if segment.file_pages_end > segment.start {
            assert!(segment.file_offset + (segment.file_end - segment.start) <= file_len);
        }
        free_from = segment.memory_end;
    }
    assert!(plan.alignment.is_power_of_two() && plan.end() > plan.start());
}

fn align_page(address: u64) -> u64 {
    address & !0xfff
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn no_mutation_panics(
        changes in prop::collection::vec((0usize..350, any::<u8>()), 0..6),
        cut in 0usize..900,
        file_len in prop_oneof![Just(FILE_LEN), any::<u64>()],
    ) {
        let rows = [(3, 4, 0x200, 0x200, 28, 28, 1), TEXT, DATA, (0x6474_e551, 6, 0, 0, 0, 0, 16)];
        let mut bytes = file(2, 0x40_1000, &rows);
        for (at, byte) in changes {
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
        }
        bytes.truncate(cut.max(64));
        if let Ok(plan) = plan(&bytes, file_len, Limits::default()) {
            check(&plan, file_len);
        }
    }

    #[test]
    fn no_segment_numbers_panic(rows in prop::collection::vec((0u32..4, 0u32..8, edge(), edge(), edge(), edge(), edge()), 1..5), entry in edge(), kind in 2u16..4) {
        if let Ok(plan) = plan(&file(kind, entry, &rows), u64::MAX, Limits::default()) {
            check(&plan, u64::MAX);
        }
    }
}

/// Numbers near those where something happens.
fn edge() -> impl Strategy<Value = u64> {
    let near = (prop::sample::select(std::vec![0u64, 0x1000, 0x7fff_ffff_f000, 1 << 63]), 0u64..4, 0u64..2);
    near.prop_map(|(base, up, down)| base.wrapping_add(up).wrapping_sub(down))
}
