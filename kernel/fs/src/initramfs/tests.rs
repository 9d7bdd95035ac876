//! Archives as GNU cpio makes them, and some it would not.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::vec::Vec;

use nucleus::vfs::bytes::Buffer;
use nucleus::vfs::{Inode, mount};

use super::*;
use crate::test_support::boot;
use crate::tmpfs::Tmpfs;

#[derive(Clone, Copy)]
struct Item<'a> {
    name: &'a str,
    mode: u32,
    data: &'a [u8],
    ino: u32,
    nlink: u32,
}

const fn item<'a>(name: &'a str, mode: u32, data: &'a [u8]) -> Item<'a> {
    Item { name, mode, data, ino: 0, nlink: 1 }
}

fn archive(items: &[Item<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items.iter().chain([&item("TRAILER!!!", 0, b"")]) {
        let rdev = if item.mode & 0o170_000 == 0o020_000 { 0x105 } else { 0 };
        let numbers = [
            item.ino,
            item.mode,
            7,
            8,
            item.nlink,
            1_000_000_000,
            u32::try_from(item.data.len()).unwrap(),
            0,
            0,
            rdev >> 8,
            rdev & 0xff,
            u32::try_from(item.name.len()).unwrap() + 1,
            0,
        ];
        bytes.extend_from_slice(b"070701");
        for number in numbers {
            bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        bytes.extend_from_slice(item.name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(item.data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn root() -> Place {
    mount::mount(Tmpfs::new(b"").unwrap(), None, b"rootfs", 0).unwrap()
}

fn at(root: &Place, path: &str) -> Arc<dyn Inode> {
    let cred = Cred::root();
    let walker = Walker { cred: &cred, root: root.clone(), start: root.clone() };
    walker.resolve(path.as_bytes(), Last::Keep).unwrap().inode().clone()
}

fn contents(root: &Place, path: &str) -> Vec<u8> {
    let cred = Cred::root();
    let walker = Walker { cred: &cred, root: root.clone(), start: root.clone() };
    let file = walker.open(walker.resolve(path.as_bytes(), Last::Follow).unwrap(), 0, false).unwrap();
    let mut bytes = vec![0; 20_000];
    let count = file.read(&mut Buffer::new(&mut bytes)).unwrap();
    bytes.truncate(count);
    bytes
}

#[test]
fn everything_arrives_with_its_attributes() {
    let _boot = boot();
    let root = root();
    let long: Vec<u8> = (0..10_000u32).map(|number| (number % 241) as u8).collect();
    let items = [
        item(".", 0o040_750, b""),
        item("usr/bin", 0o040_755, b""),
        item("bin", 0o120_777, b"usr/bin"),
        item("./bin/program", 0o104_755, &long),
        item("/deep/down/empty", 0o100_600, b""),
        item("dev/zero", 0o020_666, b""),
    ];
    unpack(&archive(&items), &root).unwrap();
    assert_eq!(root.inode().attributes().permissions, 0o750);
    assert_eq!(contents(&root, "/usr/bin/program"), long);
    let program = at(&root, "bin/program").attributes();
    assert_eq!((program.permissions, program.user, program.group), (0o4755, 7, 8));
    assert_eq!(program.modified.seconds, 1_000_000_000);
    assert_eq!(at(&root, "usr/bin").attributes().modified.seconds, 1_000_000_000, "set after its files");
    assert_eq!(at(&root, "deep/down").attributes().permissions, 0o755);
    assert_eq!(at(&root, "bin").read_link().unwrap(), b"usr/bin");
    let zero = at(&root, "dev/zero").attributes();
    assert_eq!((zero.kind, zero.device_number), (FileKind::CharDevice, 0x105));
}

#[test]
fn one_inode_is_one_file_and_later_files_win() {
    let _boot = boot();
    let root = root();
    let linked = |name, data| Item { ino: 5, nlink: 3, ..item(name, 0o100_644, data) };
    let first =
        archive(&[linked("a", b""), linked("b", b""), linked("c", b"shared"), item("d", 0o100_644, b"old")]);
    let second = archive(&[item("d", 0o100_600, b"newer"), linked("e", b"other")]);
    unpack(&[first, second].concat(), &root).unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(contents(&root, name), b"shared");
    }
    assert!(Arc::ptr_eq(&at(&root, "a"), &at(&root, "c")));
    assert_eq!(at(&root, "a").attributes().links, 3);
    assert_eq!((contents(&root, "d"), contents(&root, "e")), (b"newer".to_vec(), b"other".to_vec()));
}

#[test]
fn errors_name_the_file() {
    let _boot = boot();
    let full = mount::mount(Tmpfs::new(b"size=4k").unwrap(), None, b"rootfs", 0).unwrap();
    let items = [item("etc/fits", 0o100_644, &[1; 4096]), item("etc/large", 0o100_644, &[1; 4096])];
    let error = unpack(&archive(&items), &full).unwrap_err();
    assert_eq!(error.to_string(), "etc/large: No space left on device");
    let error = unpack(b"\xfd7zXZ\0", &full).unwrap_err();
    assert_eq!(error.to_string(), "at byte 0: compressed with xz");
    let error = unpack(b"\x1f\x8bgzip", &full).unwrap_err();
    assert_eq!(error.to_string(), "the gzip data ends too early");
    let items = [item("file", 0o100_644, b"x"), item("file/below", 0o100_644, b"x")];
    let error = unpack(&archive(&items), &root()).unwrap_err();
    assert_eq!(error.to_string(), "file/below: Not a directory");
}

/// What the real tool makes of some bytes.
fn packed_with(tool: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(tool)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}, which scripts/bootstrap installs: {error}"));
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    output
}

const TOOLS: [&str; 2] = ["gzip", "zstd"];

#[test]
fn packed_archives_follow_plain_ones() {
    let _boot = boot();
    for tool in TOOLS {
        let root = root();
        let long: Vec<u8> =
            (0..20_000u32).map(|number| (number.wrapping_mul(number) / 7 % 251) as u8).collect();
        let huge = vec![7; 300_000];
        let plain = archive(&[item("early/microcode", 0o100_644, b"updates")]);
        let first = packed_with(
            tool,
            &archive(&[
                item("usr", 0o040_755, b""),
                item("huge", 0o100_600, &huge),
                item("long", 0o100_600, &long),
            ]),
        );
        let second = packed_with(tool, &archive(&[item("usr/late", 0o100_644, b"last")]));
        unpack(&[&plain[..], &[0; 20], &first[..], &[0; 7], &second[..], &[0; 512]].concat(), &root).unwrap();
        assert_eq!(contents(&root, "early/microcode"), b"updates");
        assert_eq!(contents(&root, "long"), long);
        assert_eq!(at(&root, "huge").attributes().size, 300_000);
        assert_eq!(contents(&root, "usr/late"), b"last");
    }
}

#[test]
fn damaged_archives_are_a_sentence() {
    let _boot = boot();
    for tool in TOOLS {
        let good = packed_with(tool, &archive(&[item("file", 0o100_644, &[5; 5000])]));
        let problem = |bytes: &[u8]| unpack(bytes, &root()).unwrap_err().to_string();
        for len in 0..good.len() {
            // All zeros or nothing is an archive with nothing in it.
            assert!(len == 0 || !problem(&good[..len]).is_empty(), "{tool}: {len} bytes");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut wrong = good.clone();
                wrong[at] ^= 1 << bit;
                // Some bits mean nothing: the time, the system, the level.
                let _ = unpack(&wrong, &root());
            }
        }
    }
    let wrong_at = |tool, from_end| {
        let mut wrong = packed_with(tool, &archive(&[item("file", 0o100_644, &[5; 5000])]));
        let at = wrong.len() - from_end;
        wrong[at] ^= 1;
        unpack(&wrong, &root()).unwrap_err().to_string()
    };
    assert_eq!(wrong_at("gzip", 5), "the gzip checksum is wrong");
    assert_eq!(wrong_at("zstd", 1), "the zstd checksum is wrong");
}

#[test]
fn a_window_larger_than_memory_is_refused() {
    let _boot = boot();
    // Magic, descriptor without size or checksum, a window of 1 GiB.
    let error = unpack(b"\x28\xb5\x2f\xfd\x00\xa0\x01\0\0", &root()).unwrap_err();
    assert_eq!(error.to_string(), "there is no memory to unpack zstd with");
}
