//! Every operation, one after the other, and what e2fsck and debugfs say of the result.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

mod support;

use abi::Errno;
use abi::file::{S_IFCHR, S_IFSOCK};
use ext2::{
    Access, BlockSource, Change, Failure, Ino, NewNode, Pending, Purpose, Renaming, Reserve, Seek, Setting,
};
use support::{FILE, FOLDER, Shell, check_clean, debugfs, image, node, run, time};

const ROOT: Ino = Ino::ROOT;

/// The layouts that operations are tried on.
const LAYOUTS: [&[&str]; 5] = [
    &["-b", "1024", "-I", "128"],
    &["-b", "1024", "-I", "256"],
    &["-b", "2048"],
    &["-b", "4096"],
    &["-b", "1024", "-r", "0", "-I", "128"],
];

fn on_each_layout(test: impl Fn(&mut Shell)) {
    for layout in LAYOUTS {
        let image = image(layout, 8192);
        let mut shell = Shell::open(&image.0);
        test(&mut shell);
        shell.close();
        check_clean(&image.0);
    }
}

#[test]
fn files_of_all_kinds_are_made_and_kept() {
    for layout in LAYOUTS {
        let image = image(layout, 8192);
        let mut shell = Shell::open(&image.0);
        let folder = shell.create(ROOT, "folder", FOLDER).unwrap();
        let file = shell.create(folder, "file", FILE).unwrap();
        shell.write(file, 0, &[7; 5000], Reserve::KeptBack).unwrap();
        for (name, length) in [("s", 1), ("s59", 59), ("s60", 60), ("s1000", 1000)] {
            shell.symlink(folder, name, &vec![b'q'; length]).unwrap();
        }
        for (name, mode) in [("socket", S_IFSOCK | 0o600), ("device", S_IFCHR | 0o666)] {
            let device_number = abi::file::device_number(300, 5000);
            let new = NewNode { device_number, user: 70_000, group: 80_000, ..node(mode) };
            shell.volume.create(folder, name.as_bytes(), &new).unwrap();
        }
        shell.close();
        check_clean(&image.0);
        let listing = debugfs(&image.0, "ls -l folder\ndump folder/file /dev/null\nstat folder/s1000\n");
        assert!(listing.contains("5000 ") && listing.contains("socket"), "{listing}");
        let mut shell = Shell::open_with(&image.0, Access::ReadOnly, |_| {});
        let file = shell.at("folder/file").unwrap();
        assert_eq!(shell.read_all(file).unwrap(), [7; 5000]);
        for (name, length) in [("s", 1), ("s59", 59), ("s60", 60), ("s1000", 1000)] {
            let link = shell.at(&format!("folder/{name}")).unwrap();
            assert_eq!(shell.volume.read_link(link).unwrap(), vec![b'q'; length]);
        }
        let device = shell.at("folder/device").unwrap();
        let attributes = shell.volume.attributes(device).unwrap();
        assert_eq!(attributes.device_number, abi::file::device_number(300, 5000));
        assert_eq!((attributes.user, attributes.group), (70_000, 80_000));
    }
}

#[test]
fn mistakes_get_linuxs_errors() {
    on_each_layout(|shell| {
        let folder = shell.create(ROOT, "d", FOLDER).unwrap();
        let file = shell.create(ROOT, "f", FILE).unwrap();
        shell.create(folder, "inside", FILE).unwrap();
        assert_eq!(shell.create(ROOT, "f", FILE), Err(Errno::EEXIST));
        assert_eq!(shell.create(file, "x", FILE), Err(Errno::ENOTDIR));
        assert_eq!(shell.create(ROOT, "", FILE), Err(Errno::ENOENT));
        assert_eq!(shell.create(ROOT, &"x".repeat(256), FILE), Err(Errno::ENAMETOOLONG));
        assert_eq!(shell.lookup(ROOT, "nothing"), Err(Errno::ENOENT));
        assert_eq!(shell.lookup(file, "nothing"), Err(Errno::ENOTDIR));
        assert_eq!(shell.unlink(ROOT, "d"), Err(Errno::EISDIR));
        assert_eq!(shell.remove_directory(ROOT, "f"), Err(Errno::ENOTDIR));
        assert_eq!(shell.remove_directory(ROOT, "d"), Err(Errno::ENOTEMPTY));
        assert_eq!(shell.remove_directory(folder, "."), Err(Errno::EINVAL));
        assert_eq!(shell.remove_directory(folder, ".."), Err(Errno::ENOTEMPTY));
        assert_eq!(shell.link(folder, ROOT, "l"), Err(Errno::EPERM));
        assert_eq!(shell.rename((ROOT, "d"), (folder, "e"), Renaming::Replace), Err(Errno::EINVAL));
        assert_eq!(shell.rename((ROOT, "d"), (ROOT, "f"), Renaming::Replace), Err(Errno::ENOTDIR));
        assert_eq!(shell.rename((ROOT, "f"), (ROOT, "d"), Renaming::Replace), Err(Errno::EISDIR));
        assert_eq!(shell.rename((ROOT, "f"), (ROOT, "d"), Renaming::NoReplace), Err(Errno::EEXIST));
        assert_eq!(shell.rename((ROOT, "f"), (ROOT, "z"), Renaming::Exchange), Err(Errno::ENOENT));
        assert_eq!(shell.volume.read_link(file), Err(Errno::EINVAL));
        assert_eq!(shell.volume.truncate(folder, 0, time(0)), Err(Failure::Errno(Errno::EINVAL)));
        assert_eq!(shell.symlink(ROOT, "s", b""), Err(Errno::ENOENT));
        let long = vec![b'x'; shell.volume.block_size() as usize];
        assert_eq!(shell.symlink(ROOT, "s", &long), Err(Errno::ENAMETOOLONG));
        assert_eq!(shell.volume.attributes(Ino(0)), Err(Errno::EUCLEAN));
        assert_eq!(shell.volume.attributes(Ino(3)), Err(Errno::EUCLEAN), "a special inode");
        assert_eq!(shell.volume.attributes(Ino(u32::MAX)), Err(Errno::EUCLEAN));
    });
}

#[test]
fn names_move_replace_and_change_places() {
    on_each_layout(|shell| {
        let [a, b] = ["a", "b"].map(|name| shell.create(ROOT, name, FOLDER).unwrap());
        let links = |shell: &mut Shell, ino| shell.volume.attributes(ino).unwrap().links;
        let file = shell.create(a, "file", FILE).unwrap();
        shell.rename((a, "file"), (b, "moved"), Renaming::NoReplace).unwrap();
        assert_eq!(shell.names(b).unwrap(), [("moved".to_string(), file)]);
        let other = shell.create(a, "other", FILE).unwrap();
        shell.rename((b, "moved"), (a, "other"), Renaming::Replace).unwrap();
        assert_eq!(shell.names(a).unwrap(), [("other".to_string(), file)]);
        assert_eq!(shell.volume.attributes(other), Err(Errno::EUCLEAN), "it is gone");
        let inner = shell.create(a, "inner", FOLDER).unwrap();
        assert_eq!((links(shell, a), links(shell, b)), (3, 2));
        shell.rename((a, "inner"), (b, "inner"), Renaming::Replace).unwrap();
        assert_eq!((links(shell, a), links(shell, b)), (2, 3));
        assert_eq!(shell.lookup(inner, ".."), Ok(b));
        // An empty directory is replaced by another.
        let empty = shell.create(a, "empty", FOLDER).unwrap();
        shell.create(inner, "full", FILE).unwrap();
        shell.rename((b, "inner"), (a, "empty"), Renaming::Replace).unwrap();
        assert_eq!(shell.lookup(a, "empty"), Ok(inner));
        assert_eq!(shell.volume.attributes(empty), Err(Errno::EUCLEAN));
        assert_eq!((links(shell, a), links(shell, b), links(shell, inner)), (3, 2, 2));
        // A file and a directory change places, over two directories.
        let single = shell.create(b, "single", FILE).unwrap();
        shell.rename((b, "single"), (a, "empty"), Renaming::Exchange).unwrap();
        assert_eq!((shell.lookup(b, "single"), shell.lookup(a, "empty")), (Ok(inner), Ok(single)));
        assert_eq!(shell.lookup(inner, ".."), Ok(b));
        assert_eq!((links(shell, a), links(shell, b)), (2, 3));
        // Two names of one file: nothing happens.
        shell.link(single, a, "twice").unwrap();
        shell.rename((a, "empty"), (a, "twice"), Renaming::Replace).unwrap();
        assert_eq!(shell.names(a).unwrap().len(), 3);
    });
}

#[test]
fn a_file_without_names_lives_until_it_is_released() {
    for layout in LAYOUTS {
        let image = image(layout, 4096);
        let mut shell = Shell::open(&image.0);
        let before = shell.volume.statistics();
        let file = shell.create(ROOT, "f", FILE).unwrap();
        shell.write(file, 0, &[1; 100_000], Reserve::KeptBack).unwrap();
        shell.sync().unwrap();
        let removed = shell.unlink_open(ROOT, "f").unwrap();
        assert_eq!(removed.links, 0);
        shell.sync().unwrap();
        assert_eq!(shell.read_all(file).unwrap(), [1; 100_000]);
        shell.write(file, 100_000, &[2; 10], Reserve::KeptBack).unwrap();
        shell.drop_removed(removed).unwrap();
        assert_eq!(shell.volume.attributes(file), Err(Errno::EUCLEAN));
        assert_eq!(shell.volume.statistics(), before);
        // O_TMPFILE, given a name afterwards.
        let unnamed = shell.volume.create_unnamed(ROOT, &node(FILE)).unwrap();
        shell.link(unnamed, ROOT, "named").unwrap();
        assert_eq!(shell.volume.attributes(unnamed).unwrap().links, 1);
        // One that is still used when the file system is closed.
        let open = shell.create(ROOT, "open", FILE).unwrap();
        shell.write(open, 0, &[3; 50_000], Reserve::KeptBack).unwrap();
        shell.sync().unwrap();
        shell.unlink_open(ROOT, "open").unwrap();
        shell.close();
        check_clean(&image.0);
    }
}

#[test]
fn space_of_nameless_files_comes_back_after_a_crash() {
    let image = image(&["-b", "1024"], 4096);
    let mut shell = Shell::open(&image.0);
    let before = shell.volume.statistics();
    let file = shell.create(ROOT, "f", FILE).unwrap();
    shell.write(file, 0, &[1; 300_000], Reserve::KeptBack).unwrap();
    shell.sync().unwrap();
    shell.unlink_open(ROOT, "f").unwrap();
    shell.sync().unwrap();
    drop(shell);
    let shell = Shell::open(&image.0);
    assert_eq!(shell.volume.condition(), ext2::Condition::Unchecked);
    let after = shell.volume.statistics();
    assert_eq!(after.free_blocks, before.free_blocks);
    assert_eq!(
        after.free_files,
        before.free_files - 1,
        "e2fsck frees the number, when no name can lead to it"
    );
    shell.close();
    let (code, text) = run("e2fsck", &["-p", image.0.to_str().unwrap()], "");
    assert!(code <= 1, "{text}");
    check_clean(&image.0);
}

#[test]
fn holes_are_cut_and_sought() {
    on_each_layout(|shell| {
        let size = u64::from(shell.volume.block_size());
        let file = shell.create(ROOT, "f", FILE).unwrap();
        let blocks = 12 + size / 4 + 20;
        shell.write(file, 0, &vec![9; (blocks * size) as usize], Reserve::KeptBack).unwrap();
        shell.sync().unwrap();
        let full = shell.volume.attributes(file).unwrap().blocks;
        shell.volume.punch(file, 5, (size / 4) as u32 + 10, time(1)).unwrap();
        assert_eq!(shell.volume.seek(file, 0, Seek::Hole), Ok(5 * size));
        assert_eq!(shell.volume.seek(file, 5 * size, Seek::Data), Ok((15 + size / 4) * size));
        assert!(shell.volume.attributes(file).unwrap().blocks < full - (size / 4 + 9) * (size / 512));
        shell.sync().unwrap();
        assert_eq!(shell.read(file, 5 * size - 1, 3).unwrap(), [9, 0, 0]);
        shell.truncate(file, 3 * size - 7).unwrap();
        assert_eq!(shell.volume.attributes(file).unwrap().blocks, 3 * (size / 512));
        shell.truncate(file, blocks * size).unwrap();
        shell.sync().unwrap();
        assert_eq!(shell.read(file, 3 * size - 8, 3).unwrap(), [9, 0, 0]);
        assert_eq!(shell.volume.seek(file, 4 * size, Seek::Data), Err(Errno::ENXIO));
    });
}

/// Blocks are allocated when bytes are written to memory, the size is noted when they are on the disk. Cut in between to
/// more than is noted, a file shows nothing of what its blocks had before.
#[test]
fn blocks_behind_a_size_that_was_not_noted_are_cut() {
    on_each_layout(|shell| {
        let size = u64::from(shell.volume.block_size());
        let old = shell.create(ROOT, "old", FILE).unwrap();
        shell.write(old, 0, &vec![7; (8 * size) as usize], Reserve::KeptBack).unwrap();
        shell.sync().unwrap();
        let file = shell.create(ROOT, "f", FILE).unwrap();
        let given = shell.volume.allocate(file, 0, 8, Reserve::KeptBack).unwrap();
        assert_eq!(given.length, 8);
        shell.volume.truncate(file, size + 100, time(1)).unwrap();
        assert_eq!(shell.volume.attributes(file).unwrap().blocks, 2 * (size / 512));
        shell.volume.truncate(file, 8 * size, time(2)).unwrap();
        assert_eq!(shell.volume.map(file, 2, 6).unwrap().start, None);
    });
}

#[test]
fn blocks_of_a_file_follow_one_another() {
    let image = image(&["-b", "4096"], 64 << 10);
    let mut shell = Shell::open(&image.0);
    let file = shell.create(ROOT, "f", FILE).unwrap();
    let first = shell.volume.allocate(file, 0, 12, Reserve::KeptBack).unwrap();
    assert_eq!((first.length, first.source), (12, BlockSource::New));
    let again = shell.volume.allocate(file, 3, 2, Reserve::KeptBack).unwrap();
    assert_eq!((again.start.0, again.length, again.source), (first.start.0 + 3, 2, BlockSource::Existing));
    let second = shell.volume.allocate(file, 12, 500, Reserve::KeptBack).unwrap();
    assert_eq!(second.length, 500);
    assert_eq!(second.start.0, first.start.0 + 13, "one block of numbers is between");
    drop(shell);
}

#[test]
fn extended_attributes_are_set_replaced_and_removed() {
    on_each_layout(|shell| {
        let file = shell.create(ROOT, "f", FILE).unwrap();
        let set = |shell: &mut Shell, name: &str, value: &[u8], setting| {
            shell.again(|volume| {
                volume.set_extended_attribute(file, name.as_bytes(), value, setting, Reserve::Usable, time(9))
            })
        };
        assert_eq!(set(shell, "user.a", b"1", Setting::Replace), Err(Errno::ENODATA));
        set(shell, "user.a", b"1", Setting::Create).unwrap();
        assert_eq!(set(shell, "user.a", b"1", Setting::Create), Err(Errno::EEXIST));
        set(shell, "user.a", &[5; 70], Setting::Replace).unwrap();
        set(shell, "trusted.long", &[6; 300], Setting::Any).unwrap();
        set(shell, "security.none", b"", Setting::Any).unwrap();
        assert_eq!(set(shell, "user.b", &[6; 5000], Setting::Any), Err(Errno::ENOSPC));
        assert_eq!(set(shell, "other.b", b"", Setting::Any), Err(Errno::EOPNOTSUPP));
        shell.sync().unwrap();
        let mut names = Vec::new();
        shell.volume.list_extended_attributes(file, &mut |name| names.push(name.to_vec())).unwrap();
        names.sort();
        assert_eq!(names, [b"security.none".to_vec(), b"trusted.long".to_vec(), b"user.a".to_vec()]);
        assert_eq!(shell.volume.extended_attribute(file, b"user.a").unwrap(), [5; 70]);
        assert_eq!(shell.volume.extended_attribute(file, b"trusted.long").unwrap(), [6; 300]);
        set(shell, "trusted.long", &[7; 3], Setting::Any).unwrap();
        assert_eq!(shell.volume.extended_attribute(file, b"trusted.long").unwrap(), [7; 3]);
        let remove = |shell: &mut Shell, name: &[u8]| {
            shell.again(|volume| volume.remove_extended_attribute(file, name, Reserve::Usable, time(9)))
        };
        remove(shell, b"user.a").unwrap();
        assert_eq!(remove(shell, b"user.a"), Err(Errno::ENODATA));
        // What is left goes with the file.
        set(shell, "user.c", &[7; 500], Setting::Any).unwrap();
        let gone = shell.create(ROOT, "gone", FILE).unwrap();
        shell
            .again(|volume| {
                volume.set_extended_attribute(
                    gone,
                    b"user.x",
                    &[1; 600],
                    Setting::Any,
                    Reserve::Usable,
                    time(9),
                )
            })
            .unwrap();
        shell.sync().unwrap();
        shell.unlink(ROOT, "gone").unwrap();
    });
}

#[test]
fn a_block_of_attributes_that_is_shared_is_left_not_changed() {
    let image = image(&["-b", "1024", "-I", "128"], 4096);
    let mut shell = Shell::open(&image.0);
    let inos = ["one", "two"].map(|name| shell.create(ROOT, name, FILE).unwrap());
    let value = [8; 100];
    shell
        .again(|volume| {
            volume.set_extended_attribute(inos[0], b"user.x", &value, Setting::Any, Reserve::Usable, time(1))
        })
        .unwrap();
    shell.close();
    // What Linux would have done for the second file: the same block, counted twice.
    let text = debugfs(&image.0, "stat one\n");
    let block: u32 =
        text.split("File ACL: ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    debugfs(&image.0, &format!("set_inode_field two file_acl {block}\nset_inode_field two blocks 2\n"));
    {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(&image.0).unwrap();
        file.write_all_at(&2u32.to_le_bytes(), u64::from(block) * 1024 + 4).unwrap();
    }
    check_clean(&image.0);
    let mut shell = Shell::open(&image.0);
    let [one, two] = ["one", "two"].map(|name| shell.at(name).unwrap());
    shell
        .again(|volume| {
            volume.set_extended_attribute(two, b"user.y", &value, Setting::Any, Reserve::Usable, time(1))
        })
        .unwrap();
    assert_eq!(shell.volume.extended_attribute(one, b"user.y"), Err(Errno::ENODATA));
    assert_eq!(shell.volume.extended_attribute(two, b"user.x").unwrap(), value);
    shell.sync().unwrap();
    shell.unlink(ROOT, "one").unwrap();
    shell.close();
    check_clean(&image.0);
}

#[test]
fn attributes_change_and_fsync_knows_what_is_pending() {
    on_each_layout(|shell| {
        let file = shell.create(ROOT, "f", FILE).unwrap();
        assert_eq!(shell.volume.pending(file), Pending::All);
        shell.sync().unwrap();
        assert_eq!(shell.volume.pending(file), Pending::Nothing);
        shell.volume.note_read(file, time(50)).unwrap();
        assert_eq!(shell.volume.pending(file), Pending::Times);
        let change = Change {
            permissions: Some(0o4755),
            user: Some(100_000),
            group: Some(7),
            modified: Some(time(-5)),
            flags: Some(ext2::flags::IMMUTABLE | ext2::flags::INDEX),
            ..Change::default()
        };
        shell.volume.change(file, &change, time(60)).unwrap();
        assert_eq!(shell.volume.pending(file), Pending::All);
        let found = shell.volume.attributes(file).unwrap();
        assert_eq!((found.mode, found.user, found.group), (abi::file::S_IFREG | 0o4755, 100_000, 7));
        assert_eq!(found.flags, ext2::flags::IMMUTABLE, "the flag of hash trees is not for users");
        assert_eq!(found.accessed.seconds, time(50).seconds);
        assert_eq!(found.modified.seconds, time(-5).seconds);
        assert_eq!(found.changed.seconds, time(60).seconds);
        if found.created.is_some() {
            assert_eq!(found.modified, time(-5), "larger inodes have nanoseconds");
        }
    });
}

#[test]
fn listings_go_on_where_they_stopped_whatever_happens_meanwhile() {
    on_each_layout(|shell| {
        let folder = shell.create(ROOT, "d", FOLDER).unwrap();
        for number in 0..300 {
            shell.create(folder, &format!("stays-{number}"), FILE).unwrap();
            shell.create(folder, &format!("goes-{number}"), FILE).unwrap();
        }
        let (mut seen, mut position, mut round) = (Vec::new(), 0, 0);
        loop {
            let mut left = 7;
            let next = shell
                .volume
                .list(folder, position, &mut |name| {
                    if left == 0 {
                        return ext2::Listing::Full;
                    }
                    left -= 1;
                    seen.push(String::from_utf8_lossy(name.bytes).into_owned());
                    ext2::Listing::More
                })
                .unwrap();
            if next == position {
                break;
            }
            position = next;
            if round < 300 {
                shell.unlink(folder, &format!("goes-{}", (round * 7) % 300)).unwrap();
                shell.create(folder, &format!("new-{round}"), FILE).unwrap();
                round += 1;
            }
        }
        seen.retain(|name| name.starts_with("stays-"));
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), count), (300, 300));
    });
}

#[test]
fn a_file_system_is_made_read_only_and_writable_again() {
    let image = image(&["-b", "1024"], 4096);
    let mut shell = Shell::open(&image.0);
    let state = |path: &std::path::Path| std::fs::read(path).unwrap()[1024 + 58] & 1;
    assert_eq!(state(&image.0), 0, "in use");
    shell.create(ROOT, "a", FILE).unwrap();
    shell.commit_for(Purpose::Close).unwrap();
    assert_eq!(state(&image.0), 1, "clean");
    check_clean(&image.0);
    assert_eq!(shell.create(ROOT, "b", FILE), Err(Errno::EROFS));
    shell.volume.make_writable(time(0)).unwrap();
    shell.commit().unwrap();
    assert_eq!(state(&image.0), 0);
    shell.create(ROOT, "b", FILE).unwrap();
    shell.close();
    check_clean(&image.0);
}

#[test]
fn a_failing_disk_loses_nothing_that_is_still_in_memory() {
    let image = image(&["-b", "1024"], 4096);
    let mut shell = Shell::open(&image.0);
    for round in 0..60 {
        let name = format!("f{round}");
        let file = shell.create(ROOT, &name, FILE).unwrap();
        shell.write(file, 0, &[round as u8; 3000], Reserve::KeptBack).unwrap();
        if round >= 10 {
            shell.unlink(ROOT, &format!("f{}", round - 10)).unwrap();
        }
        shell.disk.0.writes_left.set(round % 7);
        let _ = shell.commit();
        shell.disk.0.writes_left.set(u64::MAX);
    }
    shell.sync().unwrap();
    assert_eq!(shell.names(ROOT).unwrap().len(), 11);
    shell.close();
    check_clean(&image.0);
}

#[test]
fn a_name_that_a_power_cut_left_counts_as_none() {
    let image = image(&["-b", "1024"], 4096);
    let mut shell = Shell::open(&image.0);
    let folder = shell.create(ROOT, "d", FOLDER).unwrap();
    let file = shell.create(folder, "f", FILE).unwrap();
    shell.close();
    debugfs(&image.0, &format!("clri <{}>\ndirty\n", file.0));
    let mut shell = Shell::open(&image.0);
    assert_eq!(shell.lookup(folder, "f"), Err(Errno::ENOENT));
    let again = shell.create(folder, "f", FILE).unwrap();
    assert_ne!(again, file, "the number stays taken");
    shell.unlink(folder, "f").unwrap();
    shell.remove_directory(ROOT, "d").unwrap();
    shell.close();
    let (code, text) = run("e2fsck", &["-fp", image.0.to_str().unwrap()], "");
    assert!(code <= 1, "{text}");
}
