//! Archives made here, archives made by cpio(1), and broken ones.

use super::*;
use proptest::prelude::*;
use std::{format, string::String, vec, vec::Vec};

fn pack(out: &mut Vec<u8>, magic: &str, name: &str, mode: u32, data: &[u8]) {
    let sum: u32 = if magic == "070702" { data.iter().map(|&byte| u32::from(byte)).sum() } else { 0 };
    let [data_len, name_len] = [data.len(), name.len() + 1].map(|len| u32::try_from(len).unwrap());
    let numbers = [7, mode, 1, 2, 1, 99, data_len, 8, 1, 4, 64, name_len, sum];
    out.extend(magic.bytes());
    out.extend(numbers.iter().flat_map(|number| format!("{number:08X}").into_bytes()));
    out.extend(name.bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn archive(magic: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in files {
        pack(&mut out, magic, name, 0o100_644, data);
    }
    pack(&mut out, magic, "TRAILER!!!", 0, b"");
    out
}

fn problem(bytes: &[u8]) -> (usize, Problem) {
    let error = entries(bytes).last().unwrap().unwrap_err();
    (error.offset, error.problem)
}

#[test]
fn all_numbers_of_a_header_come_out() {
    let bytes = archive("070701", &[("dev/tty", b"abc")]);
    let entry = entries(&bytes).next().unwrap().unwrap();
    assert_eq!((entry.name, entry.data, entry.archive), (&b"dev/tty"[..], &b"abc"[..], 0));
    assert_eq!((entry.ino, entry.mode, entry.uid, entry.gid), (7, 0o100_644, 1, 2));
    assert_eq!((entry.nlink, entry.mtime, entry.device, entry.rdev), (1, 99, (8, 1), (4, 64)));
    assert_eq!(entries(&bytes).count(), 1);
    assert_eq!(entries(b"").count(), 0);
    assert_eq!(entries(&[0; 512]).count(), 0);
}

#[test]
fn archives_follow_one_another_with_zeros_between() {
    let mut bytes = archive("070701", &[("a", b"1")]);
    bytes.resize(1024, 0);
    bytes.extend(archive("070702", &[("b", b"22"), ("c", b"")]));
    let names: Vec<_> = entries(&bytes).map(|entry| entry.unwrap()).map(|e| (e.name[0], e.archive)).collect();
    assert_eq!(names, [(b'a', 0), (b'b', 1), (b'c', 1)]);
}

#[test]
fn each_fault_has_a_name_and_a_place() {
    let whole = archive("070702", &[("a", b"1234"), ("bcd", b"xy")]);
    let second = 116;
    assert_eq!(problem(&whole[..second + 50]), (second, Problem::TruncatedHeader));
    assert_eq!(problem(&whole[..second + 3]), (second, Problem::TruncatedHeader));
    assert_eq!(problem(&whole[..second + 112]), (second, Problem::TruncatedName));
    assert_eq!(problem(&whole[..second + 117]), (second, Problem::TruncatedData));
    assert_eq!(problem(&whole[..second]), (second, Problem::MissingTrailer));
    let broken = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        problem(&bytes)
    };
    assert_eq!(broken(second + 2, b'x'), (second, Problem::BadMagic));
    assert_eq!(broken(second + 5, b'7'), (second, Problem::OldFormat));
    assert_eq!(broken(20, b'g'), (0, Problem::BadDigit));
    assert_eq!(broken(111, b'a'), (0, Problem::NameWithoutNul));
    assert_eq!(broken(112, b'2'), (0, Problem::BadChecksum));
    assert_eq!(broken(101, b'0'), (0, Problem::BadNameLength));
    assert_eq!(broken(96, b'1'), (0, Problem::BadNameLength));
    assert_eq!(broken(54, b'F'), (0, Problem::TruncatedData));
}

#[test]
fn a_misaligned_second_archive_is_refused_as_on_linux() {
    let mut bytes = archive("070701", &[]);
    bytes.extend([0, 0]);
    let at = bytes.len();
    bytes.extend(archive("070701", &[]));
    assert_eq!(problem(&bytes), (at, Problem::BadMagic));
}

#[test]
fn compressed_archives_are_named_also_behind_a_plain_one() {
    let mut bytes = archive("070701", &[("kernel/x86/microcode/GenuineIntel.bin", b"!")]);
    let at = bytes.len();
    bytes.extend(b"\x28\xb5\x2f\xfd and so on");
    assert_eq!(problem(&bytes), (at, Problem::Compressed(Compression::Zstd)));
    let error = entries(b"\x1f\x8b\x08").next().unwrap().unwrap_err();
    assert_eq!(format!("{error}"), "at byte 0: compressed with gzip");
}

/// Runs a tool of the host; `None` where it is not installed.
fn run(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.current_dir("/usr/share/zoneinfo").spawn().ok()?;
    child.stdin.take()?.write_all(input).ok()?;
    child.wait_with_output().ok().map(|output| output.stdout)
}

#[test]
fn the_host_s_cpio_writes_what_we_read() {
    for format in ["newc", "crc"] {
        let Some(bytes) = run("cpio", &["-o", "-H", format], b".\nUTC\nEtc/UTC\nEurope/Rome\n") else {
            return std::eprintln!("skipped: no cpio on this host");
        };
        let read: Vec<_> = entries(&bytes).map(Result::unwrap).collect();
        let names: Vec<_> = read.iter().map(|entry| String::from_utf8_lossy(entry.name)).collect();
        assert_eq!(names.first().map(|name| &**name), Some("."));
        for entry in read.iter().filter(|entry| entry.mode & FILE_TYPE == REGULAR && !entry.data.is_empty()) {
            let path = format!("/usr/share/zoneinfo/{}", String::from_utf8_lossy(entry.name));
            assert_eq!(entry.data, std::fs::read(path).unwrap());
        }
    }
}

#[test]
fn the_host_s_compressors_are_recognised() {
    let tools: [(&str, &[&str], Compression); 6] = [
        ("gzip", &["-c"], Compression::Gzip),
        ("bzip2", &["-c"], Compression::Bzip2),
        ("xz", &["-c"], Compression::Xz),
        ("xz", &["-c", "--format=lzma"], Compression::Lzma),
        ("lz4", &["-c", "-l"], Compression::Lz4),
        ("zstd", &["-c"], Compression::Zstd),
    ];
    for (tool, args, expected) in tools {
        match run(tool, args, b"some bytes") {
            Some(bytes) => assert_eq!(compression(&bytes), Some(expected), "{tool} {args:?}"),
            None => std::eprintln!("skipped: no {tool} on this host"),
        }
    }
    assert_eq!(compression(b"070701"), None);
}

proptest! {
    #[test]
    fn what_was_packed_comes_out(files in prop::collection::vec(("[a-z/]{1,40}", prop::collection::vec(any::<u8>(), 0..50)), 0..8)) {
        let files: Vec<_> = files.iter().map(|(name, data)| (&**name, &**data)).collect();
        for magic in ["070701", "070702"] {
            let bytes = archive(magic, &files);
            let read: Vec<_> = entries(&bytes).map(Result::unwrap).collect();
            let read: Vec<_> = read.iter().map(|e| (core::str::from_utf8(e.name).unwrap(), e.data)).collect();
            prop_assert_eq!(&read, &files);
        }
    }

    #[test]
    fn no_mutation_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut: prop::sample::Index) {
        let mut bytes = archive("070702", &[("a", b"1234"), ("usr/bin/b", b"xy"), ("c", b"")]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        entries(&bytes).count();
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), prefix in prop::sample::select(vec![&b""[..], b"070701", b"070702000000"])) {
        let bytes = [prefix, &bytes[..]].concat();
        entries(&bytes).count();
    }
}
