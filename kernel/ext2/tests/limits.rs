//! What runs out: blocks, inodes, names of one file, sizes, memory; and what is large.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

mod support;

use std::time::Instant;

use abi::Errno;
use ext2::{Access, Ino, Reserve, Seek};
use support::{FILE, FOLDER, Handle, Shell, check_clean, debugfs, image, run};

const ROOT: Ino = Ino::ROOT;

#[test]
fn a_full_disk_says_so_and_keeps_what_it_has() {
    let image = image(&["-b", "1024", "-m", "10"], 2048);
    let mut shell = Shell::open(&image.0);
    let file = shell.create(ROOT, "f", FILE).unwrap();
    let mut written = 0;
    let fill = |shell: &mut Shell, written: &mut u64, reserve| {
        loop {
            match shell.write(file, *written, &[1; 1024], reserve) {
                Ok(()) => *written += 1024,
                Err(error) => break error,
            }
        }
    };
    assert_eq!(fill(&mut shell, &mut written, Reserve::KeptBack), Errno::ENOSPC);
    let statistics = shell.volume.statistics();
    assert_eq!(statistics.available_blocks, 0);
    assert!((204..=205).contains(&statistics.free_blocks), "{statistics:?}");
    // A directory needs a block, an empty file does not.
    let node = ext2::NewNode { reserve: Reserve::KeptBack, ..support::node(FOLDER) };
    assert_eq!(shell.again(|volume| volume.create(ROOT, b"d", &node)), Err(Errno::ENOSPC));
    shell.create(ROOT, "empty", FILE).unwrap();
    assert_eq!(fill(&mut shell, &mut written, Reserve::Usable), Errno::ENOSPC);
    assert_eq!(shell.volume.statistics().free_blocks, 0);
    shell.sync().unwrap();
    assert_eq!(shell.read(file, written - 1024, 1024).unwrap(), [1; 1024]);
    // What is freed is there again, after a commit that the operation asks for.
    shell.truncate(file, 0).unwrap();
    let other = shell.create(ROOT, "other", FILE).unwrap();
    shell.write(other, 0, &[2; 100_000], Reserve::KeptBack).unwrap();
    shell.close();
    check_clean(&image.0);
}

#[test]
fn inodes_run_out_and_come_back() {
    let image = image(&["-b", "1024", "-N", "64"], 2048);
    let mut shell = Shell::open(&image.0);
    let mut made = 0;
    let error = loop {
        match shell.create(ROOT, &format!("f{made}"), FILE) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error, shell.volume.statistics().free_files), (Errno::ENOSPC, 0));
    shell.sync().unwrap();
    shell.unlink(ROOT, "f3").unwrap();
    shell.create(ROOT, "again", FILE).unwrap();
    shell.close();
    check_clean(&image.0);
}

#[test]
fn a_file_has_at_most_32000_names() {
    let image = image(&["-b", "4096"], 8192);
    let mut shell = Shell::open(&image.0);
    let file = shell.create(ROOT, "f", FILE).unwrap();
    let folder = shell.create(ROOT, "d", FOLDER).unwrap();
    for number in 1..32_000 {
        shell.link(file, folder, &format!("{number}")).unwrap();
    }
    assert_eq!(shell.link(file, ROOT, "one-more"), Err(Errno::EMLINK));
    assert_eq!(shell.volume.attributes(file).unwrap().links, 32_000);
    shell.close();
    check_clean(&image.0);
}

#[test]
fn a_directory_has_at_most_31998_others() {
    let image = image(&["-b", "1024", "-N", "34000"], 48 << 10);
    let mut shell = Shell::open(&image.0);
    let folder = shell.create(ROOT, "d", FOLDER).unwrap();
    for number in 0..31_998 {
        shell.create(folder, &format!("{number}"), FOLDER).unwrap();
    }
    assert_eq!(shell.create(folder, "one-more", FOLDER), Err(Errno::EMLINK));
    let outside = shell.create(ROOT, "outside", FOLDER).unwrap();
    assert_eq!(shell.rename((ROOT, "outside"), (folder, "x"), ext2::Renaming::Replace), Err(Errno::EMLINK));
    shell.rename((ROOT, "outside"), (folder, "7"), ext2::Renaming::Replace).unwrap();
    assert_eq!(shell.lookup(folder, "7"), Ok(outside));
    shell.close();
    check_clean(&image.0);
}

#[test]
fn a_hundred_thousand_names_are_not_quadratic() {
    let image = image(&["-b", "4096", "-N", "110000"], 64 << 10);
    let mut shell = Shell::open(&image.0);
    let folder = shell.create(ROOT, "d", FOLDER).unwrap();
    let start = Instant::now();
    for number in 0..100_000 {
        shell.create(folder, &format!("name-{number}"), FILE).unwrap();
    }
    let made = start.elapsed();
    for number in (0..100_000).step_by(3) {
        shell.lookup(folder, &format!("name-{number}")).unwrap();
        assert_eq!(shell.lookup(folder, &format!("none-{number}")), Err(Errno::ENOENT));
    }
    let found = start.elapsed();
    shell.sync().unwrap();
    let given_back = shell.volume.shrink();
    assert!(given_back > 1_000_000, "the index is a few bytes a name, and goes when asked: {given_back}");
    assert_eq!(shell.names(folder).unwrap().len(), 100_000);
    for number in 0..100_000 {
        shell.unlink(folder, &format!("name-{number}")).unwrap();
    }
    println!("made in {made:?}, found in {:?}, all in {:?}", found - made, start.elapsed());
    assert!(shell.names(folder).unwrap().is_empty());
    shell.remove_directory(ROOT, "d").unwrap();
    shell.close();
    check_clean(&image.0);
}

#[test]
fn files_are_larger_than_four_gib() {
    for options in [&["-b", "1024"][..], &["-b", "4096"], &["-b", "1024", "-r", "0", "-I", "128"]] {
        let image = image(options, 8192);
        let mut shell = Shell::open(&image.0);
        let file = shell.create(ROOT, "f", FILE).unwrap();
        shell.write(file, (5 << 30) + 77, b"far out", Reserve::KeptBack).unwrap();
        assert_eq!(shell.read(file, (5 << 30) + 77, 10).unwrap(), b"far out");
        assert_eq!(shell.volume.attributes(file).unwrap().size, (5 << 30) + 84);
        let block = u64::from(shell.volume.block_size());
        assert_eq!(shell.volume.seek(file, 0, Seek::Data), Ok(((5 << 30) + 77) / block * block));
        let most = shell.volume.largest_file();
        assert_eq!(shell.truncate(file, most + 1), Err(Errno::EFBIG));
        shell.truncate(file, most).unwrap();
        shell.truncate(file, (5 << 30) + 84).unwrap();
        shell.close();
        check_clean(&image.0);
        let text = debugfs(&image.0, "stat f\nfeatures\n");
        assert!(text.contains("Size: 5368709204") && text.contains("large_file"), "{text}");
    }
}

#[test]
fn an_idle_file_system_of_64_gib_costs_little_memory() {
    for block in ["1024", "4096"] {
        let image = image(&["-b", block, "-E", "lazy_itable_init=1", "-N", "65536"], 64 << 20);
        let shell = Shell::open(&image.0);
        let cost = shell.volume.memory();
        println!("blocks of {block}: {cost} bytes, {} reads", shell.disk.0.reads.get());
        assert!(cost < 1 << 20, "{cost}");
        let mut shell = shell;
        let file = shell.create(ROOT, "f", FILE).unwrap();
        shell.write(file, 0, &[1; 5000], Reserve::KeptBack).unwrap();
        shell.sync().unwrap();
        let cost = shell.volume.memory();
        assert!(cost < 1 << 20, "{cost}");
        shell.close();
    }
}

#[test]
fn unchanged_metadata_leaves_memory() {
    let image = image(&["-b", "1024"], 32 << 10);
    let mut shell = Shell::open_with(&image.0, Access::ReadWrite, |options| {
        options.cache_bytes = 64 << 10;
        options.dirty_bytes = 128 << 10;
    });
    for outer in 0..40 {
        let folder = shell.create(ROOT, &format!("d{outer}"), FOLDER).unwrap();
        for inner in 0..50 {
            shell.create(folder, &format!("f{inner}"), FILE).unwrap();
        }
        assert!(shell.volume.dirty_bytes() <= 160 << 10, "{}", shell.volume.dirty_bytes());
    }
    assert!(shell.commits > 3, "{}", shell.commits);
    shell.sync().unwrap();
    assert_eq!(shell.volume.dirty_bytes(), 0);
    let cost = shell.volume.memory();
    assert!(cost < 300 << 10, "{cost}");
    shell.close();
    check_clean(&image.0);
}

#[test]
fn published_tools_agree_on_the_type_of_the_file_system() {
    let image = image(&["-b", "1024"], 2048);
    Shell::open(&image.0).close();
    let (_, text) = run("dumpe2fs", &["-h", image.0.to_str().unwrap()], "");
    assert!(text.contains("Filesystem state:         clean"), "{text}");
    drop(Handle::open(&image.0));
}
