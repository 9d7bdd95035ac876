//! Tests of the ELF checks: one good file, and every way to spoil it.

use super::*;
use std::vec;

const CODE: u64 = HIGHER_HALF + 0x20_0000;
const DATA: u64 = CODE + 0x1000;

fn put(file: &mut [u8], offset: usize, value: &[u8]) {
    file[offset..offset + value.len()].copy_from_slice(value);
}

fn program_header(file: &mut [u8], index: usize, flags: u32, address: u64, file_size: u64, memory_size: u64) {
    let at = HEADER_SIZE + index * PROGRAM_HEADER_SIZE;
    put(file, at, &SEGMENT_LOAD.to_le_bytes());
    put(file, at + 4, &flags.to_le_bytes());
    for (offset, value) in [(8, 0x1000_u64), (16, address), (32, file_size), (40, memory_size)] {
        put(file, at + offset, &value.to_le_bytes());
    }
}

/// A file with a page of code and a page of data that needs two.
fn good() -> Vec<u8> {
    let mut file = vec![0x5a; 0x2000];
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &TYPE_EXECUTABLE.to_le_bytes());
    put(&mut file, 18, &MACHINE_X86_64.to_le_bytes());
    put(&mut file, 24, &(CODE + 4).to_le_bytes());
    put(&mut file, 32, &64_u64.to_le_bytes());
    put(&mut file, 54, &56_u16.to_le_bytes());
    put(&mut file, 56, &2_u16.to_le_bytes());
    program_header(&mut file, 0, 5, CODE, 0x1000, 0x1000);
    program_header(&mut file, 1, 6, DATA, 0x10, 0x1800);
    file
}

#[test]
fn a_good_kernel_loads_with_its_zeroes() {
    let file = good();
    let plan = plan(&file).unwrap();
    assert_eq!((plan.entry, plan.base(), plan.image_size()), (CODE + 4, CODE, 0x3000));
    assert_eq!(plan.large_page_offset(), 0);
    assert_eq!(plan.segments[0].access, Access::ReadExecute);
    assert_eq!(plan.segments[1].access, Access::ReadWrite);
    let mut image = vec![0; 0x3000];
    plan.load(&file, &mut image).unwrap();
    assert!(image[..0x1010].iter().all(|&byte| byte == 0x5a));
    assert!(image[0x1010..].iter().all(|&byte| byte == 0));
}

#[test]
fn every_prefix_is_refused_and_none_panics() {
    let file = good();
    for length in 0..file.len() {
        assert!(plan(&file[..length]).is_err(), "prefix of {length} bytes");
    }
}

#[test]
fn every_flipped_header_byte_is_survived() {
    for at in 0..HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE {
        for flip in [0x01, 0x80, 0xff] {
            let mut file = good();
            file[at] ^= flip;
            if let Ok(plan) = plan(&file)
                && let Ok(size @ 0..=0x10_0000) = usize::try_from(plan.image_size())
            {
                plan.load(&file, &mut vec![0; size]).unwrap();
            }
        }
    }
}

#[test]
fn each_defect_has_its_own_sentence() {
    type Spoil = fn(&mut Vec<u8>);
    let cases: [(Spoil, ElfError); 9] = [
        (|file| file[0] = b'M', ElfError::NotElf),
        (|file| file.truncate(0x1800), ElfError::Truncated),
        (|file| file[18] = 3, ElfError::NotX86Executable),
        (|file| file[16] = 1, ElfError::NotX86Executable),
        (|file| file[56] = 0, ElfError::NoSegments),
        (|file| program_header(file, 0, 5, 0x20_0000, 16, 16), ElfError::TooLow(0x20_0000)),
        (|file| program_header(file, 1, 6, CODE, 16, 16), ElfError::BadSegment(CODE)),
        (|file| program_header(file, 1, 7, DATA, 16, 16), ElfError::WritableCode(DATA)),
        (|file| put(file, 24, &DATA.to_le_bytes()), ElfError::BadEntry(DATA)),
    ];
    for (spoil, error) in cases {
        let mut file = good();
        spoil(&mut file);
        assert_eq!(plan(&file), Err(error));
        assert!(error.to_string().len() > 10);
    }
}
