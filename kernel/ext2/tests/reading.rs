//! Images made by mke2fs, filled by it or by debugfs, read by us: every layout that `mke2fs -t ext2` can write.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use abi::Errno;
use ext2::{Access, Ext2, Ino, OpenError, Options, Seek};
use support::{Handle, Random, Shell, Temporary, check_clean, debugfs, image, run, time};

/// A folder with every kind of thing that mke2fs copies.
fn sample() -> Temporary {
    let folder = Temporary::new("sample");
    let root = &folder.0;
    std::fs::create_dir_all(root.join("deep/er/and/deeper")).unwrap();
    let mut random = Random::new(1);
    for size in [0, 1, 1023, 1024, 4096, 12 * 1024, 12 * 4096 + 5, 300_000, 1_200_000] {
        let bytes: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
        std::fs::write(root.join(format!("file-{size}")), bytes).unwrap();
    }
    for number in 0..400 {
        std::fs::write(root.join(format!("deep/name-{number}-{}", "x".repeat(number % 90))), [number as u8])
            .unwrap();
    }
    std::fs::set_permissions(root.join("file-1"), PermissionsExt::from_mode(0o4751)).unwrap();
    symlink("short", root.join("link-short")).unwrap();
    symlink("y".repeat(59), root.join("link-59")).unwrap();
    symlink("z".repeat(60), root.join("link-60")).unwrap();
    symlink("w".repeat(900), root.join("link-900")).unwrap();
    folder
}

fn compare(shell: &mut Shell, ino: Ino, path: &Path) {
    let expected = std::fs::symlink_metadata(path).unwrap();
    let found = shell.volume.attributes(ino).unwrap();
    if ino != Ino::ROOT {
        assert_eq!(found.mode, expected.mode(), "{}", path.display());
        assert_eq!(found.modified.seconds, expected.mtime(), "{}", path.display());
    }
    if expected.is_symlink() {
        let target = std::fs::read_link(path).unwrap();
        assert_eq!(shell.volume.read_link(ino).unwrap(), target.as_os_str().as_encoded_bytes());
    } else if expected.is_file() {
        assert!(shell.read_all(ino).unwrap() == std::fs::read(path).unwrap(), "{}", path.display());
    } else {
        let mut names = shell.names(ino).unwrap();
        names.retain(|(name, _)| name != "lost+found");
        names.sort();
        let mut there: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|name| name.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), there);
        for (name, ino) in names {
            assert_eq!(shell.lookup(Ino::ROOT, "nothing"), Err(Errno::ENOENT));
            compare(shell, ino, &path.join(name));
        }
    }
}

#[test]
fn everything_mke2fs_writes_is_read() {
    let folder = sample();
    let from = folder.0.to_str().unwrap();
    for block in ["1024", "2048", "4096"] {
        for more in [
            &["-I", "128"][..],
            &["-I", "256"],
            &["-r", "0"],
            &["-O", "^sparse_super,^filetype,^resize_inode,^dir_index"],
            &["-O", "meta_bg,^resize_inode"],
            &["-O", "sparse_super2"],
            &["-O", "has_journal", "-J", "size=4"],
            &["-g", "1024", "-N", "2000"],
        ] {
            let mut options = vec!["-b", block, "-d", from];
            options.extend_from_slice(more);
            if more[0] == "-r" && block != "1024" {
                options.extend_from_slice(&["-I", "128"]);
            }
            let image = image(&options, 16 << 10);
            let mut shell = Shell::open_with(&image.0, Access::ReadOnly, |_| {});
            compare(&mut shell, Ino::ROOT, &folder.0);
            drop(shell);
            // Opened for writing and closed, it is as good as before.
            let mut shell = Shell::open(&image.0);
            compare(&mut shell, Ino::ROOT, &folder.0);
            shell.close();
            check_clean(&image.0);
        }
    }
}

#[test]
fn reading_writes_nothing() {
    let image = image(&["-b", "1024"], 2048);
    let before = std::fs::read(&image.0).unwrap();
    let mut shell = Shell::open_with(&image.0, Access::ReadOnly, |_| {});
    shell.names(Ino::ROOT).unwrap();
    assert_eq!(shell.create(Ino::ROOT, "x", support::FILE), Err(Errno::EROFS));
    shell.close();
    assert!(std::fs::read(&image.0).unwrap() == before);
}

#[test]
fn hash_trees_of_linux_are_read_as_lists() {
    // e2fsck -D builds the tree that Linux would have built.
    let folder = sample();
    let image = image(&["-b", "1024", "-d", folder.0.to_str().unwrap()], 16 << 10);
    let (code, text) = run("e2fsck", &["-fyD", image.0.to_str().unwrap()], "");
    assert!(code <= 1, "{text}");
    let mut shell = Shell::open(&image.0);
    let deep = shell.at("deep").unwrap();
    assert_ne!(shell.volume.attributes(deep).unwrap().flags & ext2::flags::INDEX, 0);
    compare(&mut shell, Ino::ROOT, &folder.0);
    shell.create(deep, "one-more", support::FILE).unwrap();
    assert_eq!(shell.volume.attributes(deep).unwrap().flags & ext2::flags::INDEX, 0);
    shell.unlink(deep, "one-more").unwrap();
    shell.close();
    check_clean(&image.0);
}

#[test]
fn holes_and_large_sizes_are_found() {
    let image = image(&["-b", "1024"], 8192);
    let sparse = Temporary::new("sparse");
    std::fs::File::create(&sparse.0).unwrap().set_len(5 << 30).unwrap();
    {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(&sparse.0).unwrap();
        file.write_all_at(b"middle", 70_000_000).unwrap();
        file.write_all_at(b"end", (5 << 30) - 3).unwrap();
    }
    debugfs(&image.0, &format!("write {} big\n", sparse.0.display()));
    let mut shell = Shell::open_with(&image.0, Access::ReadOnly, |_| {});
    let big = shell.at("big").unwrap();
    assert_eq!(shell.volume.attributes(big).unwrap().size, 5 << 30);
    assert_eq!(shell.read(big, 70_000_000, 6).unwrap(), b"middle");
    assert_eq!(shell.read(big, (5 << 30) - 3, 9).unwrap(), b"end");
    assert_eq!(shell.volume.seek(big, 0, Seek::Data), Ok(70_000_000 / 1024 * 1024));
    assert_eq!(shell.volume.seek(big, 70_000_000, Seek::Hole), Ok((70_000_000 / 1024 + 1) * 1024));
    assert_eq!(shell.volume.seek(big, 5 << 30, Seek::Hole), Err(Errno::ENXIO));
}

#[test]
fn devices_and_extended_attributes_of_debugfs_are_read() {
    for size in ["128", "256"] {
        let image = image(&["-b", "1024", "-I", size], 4096);
        let value = "v".repeat(400);
        debugfs(
            &image.0,
            &format!(
                "mknod tty c 4 64\nmknod disk b 259 7000\nmknod fifo p\nea_set tty user.big {value}\nea_set tty user.small 1\n"
            ),
        );
        let mut shell = Shell::open(&image.0);
        let [tty, disk, fifo] = ["tty", "disk", "fifo"].map(|name| shell.at(name).unwrap());
        assert_eq!(shell.volume.attributes(tty).unwrap().device_number, abi::file::device_number(4, 64));
        assert_eq!(shell.volume.attributes(disk).unwrap().device_number, abi::file::device_number(259, 7000));
        assert_eq!(shell.volume.attributes(fifo).unwrap().mode & abi::file::S_IFMT, abi::file::S_IFIFO);
        assert_eq!(shell.volume.extended_attribute(tty, b"user.big").unwrap(), value.as_bytes());
        assert_eq!(shell.volume.extended_attribute(tty, b"user.small").unwrap(), b"1");
        assert_eq!(shell.volume.extended_attribute(tty, b"user.none"), Err(Errno::ENODATA));
        shell.close();
        check_clean(&image.0);
    }
}

#[test]
fn what_is_not_ext2_or_too_new_is_refused() {
    let open = |options: &[&str], access| {
        let image = image(options, 8192);
        Ext2::open(Handle::open(&image.0), &Options::new(access, time(0))).err()
    };
    assert_eq!(open(&["-O", "extents"], Access::ReadOnly), Some(OpenError::Incompatible(0x40)));
    assert_eq!(open(&["-O", "64bit,extents"], Access::ReadOnly), Some(OpenError::Incompatible(0xc0)));
    assert_eq!(open(&["-O", "huge_file"], Access::ReadWrite), Some(OpenError::ReadOnlyFeatures(8)));
    assert_eq!(open(&["-O", "huge_file"], Access::ReadOnly), None);
    let image = image(&["-O", "has_journal", "-J", "size=1", "-b", "1024"], 8192);
    debugfs(&image.0, "feature needs_recovery\n");
    let error = Ext2::open(Handle::open(&image.0), &Options::new(Access::ReadOnly, time(0))).err();
    assert_eq!(error, Some(OpenError::NeedsRecovery));
    let nothing = Temporary::new("nothing");
    std::fs::write(&nothing.0, vec![7; 1 << 20]).unwrap();
    let error = Ext2::open(Handle::open(&nothing.0), &Options::new(Access::ReadOnly, time(0))).err();
    assert_eq!(error, Some(OpenError::NotExt2));
}

#[test]
fn statfs_numbers_are_linuxs() {
    for options in
        [&["-b", "1024"][..], &["-b", "4096"], &["-b", "1024", "-m", "20"], &["-r", "0", "-I", "128"]]
    {
        let image = image(options, 20 << 10);
        let (_, text) = run("dumpe2fs", &["-h", image.0.to_str().unwrap()], "");
        let field = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            line.trim().parse().unwrap()
        };
        let shell = Shell::open_with(&image.0, Access::ReadOnly, |_| {});
        let found = shell.volume.statistics();
        let overhead = field("Overhead clusters:");
        if overhead > 0 {
            assert_eq!(found.blocks, field("Block count:") - overhead);
        }
        assert_eq!(found.free_blocks, field("Free blocks:"));
        assert_eq!(found.available_blocks, field("Free blocks:") - field("Reserved block count:"));
        assert_eq!(found.free_files, field("Free inodes:"));
        assert_eq!(found.files, field("Inode count:"));
    }
}
