//! Tables that sfdisk writes, and rubbish.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::{PartUuid, Partition, push_letters, read};

/// An image of `sectors` with the table that `script` describes; none where there is no sfdisk.
fn image(name: &str, sectors: usize, script: &str) -> Option<Vec<u8>> {
    let path = std::env::temp_dir().join(std::format!("nacre-{}-{name}.img", std::process::id()));
    fs::write(&path, std::vec![0; sectors * 512]).unwrap();
    let started = Command::new("/usr/sbin/sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        std::eprintln!("there is no sfdisk: not tested");
        let _ = fs::remove_file(&path);
        return None;
    };
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    Some(bytes)
}

fn partitions(image: &[u8]) -> Option<Vec<Partition>> {
    read(image.len() as u64 / 512, 512, &mut |sector, bytes| {
        let start = usize::try_from(sector).unwrap() * 512;
        match image.get(start..start + bytes.len()) {
            Some(found) => bytes.copy_from_slice(found),
            None => return false,
        }
        true
    })
}

fn places(partitions: &[Partition]) -> Vec<(u32, u64, u64)> {
    partitions.iter().map(|found| (found.number, found.start, found.sectors)).collect()
}

#[test]
fn an_mbr_with_logical_partitions() {
    let script = "label: dos\nlabel-id: 0x1a2b3c4d\n\
        1 : start=2048, size=4096, type=83\n2 : start=8192, size=40000, type=5\n4 : start=50000, size=1000, type=82\n\
        5 : start=10240, size=2048, type=83\n6 : start=14336, size=4096, type=83\n7 : start=20480, size=8, type=83\n";
    let Some(image) = image("mbr", 65536, script) else { return };
    let found = partitions(&image).unwrap();
    let expected =
        [(1, 2048, 4096), (2, 8192, 2), (4, 50000, 1000), (5, 10240, 2048), (6, 14336, 4096), (7, 20480, 8)];
    assert_eq!(places(&found), expected);
    assert_eq!(found[3].uuid.to_string(), "1a2b3c4d-05");
    assert_eq!(PartUuid::parse("1A2B3C4D-05"), Some(found[3].uuid));
}

const GPT: &str = "label: gpt\n\
    1 : start=2048, size=4096, uuid=01234567-89AB-CDEF-0123-456789ABCDEF, name=\"first one\"\n\
    3 : start=8192, size=2048, name=\"perlé\"\n";

#[test]
fn a_gpt_and_its_spare_header() {
    let Some(mut image) = image("gpt", 32768, GPT) else { return };
    let check = |image: &[u8]| {
        let found = partitions(image).unwrap();
        assert_eq!(places(&found), [(1, 2048, 4096), (3, 8192, 2048)]);
        assert_eq!((found[0].label.as_str(), found[1].label.as_str()), ("first one", "perlé"));
        let uuid = PartUuid::parse("01234567-89ab-cdef-0123-456789abcdef").unwrap();
        assert_eq!(found[0].uuid, uuid);
        assert_eq!(uuid.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
    };
    check(&image);
    let whole = image.clone();
    image[512 + 24] ^= 1;
    check(&image);
    let mut image = whole.clone();
    image[2 * 512 + 40] ^= 1;
    check(&image);
    let last = image.len() - 512;
    image[last + 16] ^= 1;
    let found = partitions(&image).unwrap();
    assert_eq!(places(&found), [(1, 1, 32767)], "with both gone, what the protective MBR says");
}

#[test]
fn no_table_is_no_partitions_and_no_disk_is_none() {
    assert_eq!(partitions(&[0; 4096]), Some(Vec::new()));
    assert_eq!(partitions(&[]), None);
    assert_eq!(read(8, 1000, &mut |_, _| true), None);
}

#[test]
fn a_chain_that_bites_its_tail_ends() {
    let mut image = std::vec![0_u8; 64 * 512];
    for (sector, start) in [(0_usize, 8_u8), (8, 0)] {
        let at = sector * 512;
        image[at + 446 + 4] = 5;
        image[at + 446 + 8] = start;
        image[at + 446 + 12] = 16;
        image[at + 510..at + 512].copy_from_slice(&[0x55, 0xaa]);
    }
    assert_eq!(places(&partitions(&image).unwrap()), [(1, 8, 2)]);
}

#[test]
fn names_go_on_after_z() {
    let name = |index| {
        let mut name = String::new();
        push_letters(index, &mut name);
        name
    };
    assert_eq!([name(0), name(25), name(26), name(701), name(702)], ["a", "z", "aa", "zz", "aaa"]);
}

proptest! {
    /// Whatever stands on a disk, partitions lie on it.
    #[test]
    fn rubbish_gives_partitions_on_the_disk(
        rubbish in proptest::collection::vec(any::<u8>(), 64 * 16),
        has_marks in any::<bool>(),
        kind in prop_oneof![Just(0x05_u8), Just(0xee), Just(0x83)],
    ) {
        let mut image: Vec<u8> = rubbish.iter().copied().cycle().take(64 * 512).collect();
        if has_marks {
            for block in image.chunks_mut(512) {
                block[510..].copy_from_slice(&[0x55, 0xaa]);
                for entry in 0..4 {
                    block[446 + entry * 16] = 0;
                    block[446 + entry * 16 + 4] = kind;
                    block[446 + entry * 16 + 9..446 + entry * 16 + 12].fill(0);
                }
            }
            image[512..520].copy_from_slice(b"EFI PART");
        }
        for found in partitions(&image).unwrap() {
            prop_assert!(found.sectors > 0 && found.start + found.sectors <= 64);
        }
    }

    /// The same for a real GPT with bytes changed, and no panic.
    #[test]
    fn a_damaged_gpt_gives_partitions_on_the_disk(changes in proptest::collection::vec((512..20480_usize, any::<u8>()), 1..8)) {
        static IMAGE: std::sync::OnceLock<Option<Vec<u8>>> = std::sync::OnceLock::new();
        if let Some(image) = IMAGE.get_or_init(|| image("damaged", 32768, GPT)) {
            let mut image = image.clone();
            for (at, value) in changes {
                image[at] = value;
            }
            for found in partitions(&image).unwrap() {
                prop_assert!(found.start + found.sectors <= 32768);
            }
        }
    }
}
