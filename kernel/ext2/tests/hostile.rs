//! Disks that lie: bytes of good images are changed, and every operation is tried. Nothing may panic or go on for ever; what the
//! file system says of it does not matter.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

mod support;

use std::path::Path;

use ext2::{
    Access, Change, Ext2, Ino, Listing, NewNode, Options, Place, Purpose, Renaming, Reserve, Seek, Setting,
};
use support::{FILE, FOLDER, Handle, Random, Shell, Temporary, image, node, seed, time};

/// An image that has something of everything.
fn sample(options: &[&str]) -> Vec<u8> {
    let image = image(options, 1536);
    let mut shell = Shell::open(&image.0);
    let folder = shell.create(Ino::ROOT, "folder", FOLDER).unwrap();
    let deep = shell.create(folder, "deep", FOLDER).unwrap();
    for number in 0..40 {
        let file = shell.create(deep, &format!("file-with-a-name-{number}"), FILE).unwrap();
        shell.write(file, 0, &vec![number; usize::from(number) * 50], Reserve::Usable).unwrap();
    }
    let big = shell.create(folder, "big", FILE).unwrap();
    shell.write(big, 0, &[b'B'; 300_000], Reserve::Usable).unwrap();
    shell.write(big, 2_000_000, &[b'B'; 3000], Reserve::Usable).unwrap();
    shell.symlink(folder, "short", b"folder/deep").unwrap();
    shell.symlink(folder, "long", &[b'l'; 500]).unwrap();
    for (name, size) in [(b"user.a".as_slice(), 20), (b"user.b", 500)] {
        let value = vec![1; size];
        let set = |volume: &mut Ext2<Handle>| {
            volume.set_extended_attribute(big, name, &value, Setting::Any, Reserve::Usable, time(1))
        };
        shell.again(set).unwrap();
    }
    shell.close();
    std::fs::read(&image.0).unwrap()
}

/// Where metadata is: the first groups' front parts and whatever is not one byte all over.
fn interesting(disk: &[u8], block: usize) -> Vec<usize> {
    let is_dull = |bytes: &[u8]| bytes.iter().all(|&byte| byte == bytes[0]);
    (1024..disk.len()).filter(|at| !is_dull(&disk[at / block * block..][..block])).collect()
}

fn damage(disk: &mut [u8], places: &[usize], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = *random.pick(places);
        match random.below(4) {
            0 => disk[at] ^= 1 << random.below(8),
            1 => disk[at] = random.next() as u8,
            2 => {
                let value =
                    *random.pick(&[0u32, 1, 2, 11, 0x7fff_ffff, 0x8000_0000, u32::MAX, 0xffff, 1500, 1535]);
                let at = at & !3;
                disk[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            _ => {
                let from = *random.pick(places) & !3;
                let to = at & !3;
                disk.copy_within(from..from + 4, to);
            }
        }
    }
}

/// Tries what only reads. Returns files and directories that were met.
fn look(volume: &mut Ext2<Handle>) -> Vec<(Ino, Ino, Vec<u8>)> {
    let mut met = Vec::new();
    let mut waiting = vec![Ino::ROOT];
    while let Some(folder) = waiting.pop() {
        let mut names = Vec::new();
        let mut position = 0;
        for _ in 0..40 {
            let mut left = 5;
            let next = volume.list(folder, position, &mut |name| {
                left -= 1;
                names.push((name.bytes.to_vec(), name.ino));
                if left == 0 { Listing::Full } else { Listing::More }
            });
            match next {
                Ok(next) if next > position => position = next,
                _ => break,
            }
        }
        for (name, _) in names {
            let Ok(ino) = volume.lookup(folder, &name) else { continue };
            let Ok(attributes) = volume.attributes(ino) else { continue };
            let _ = volume.read_link(ino);
            for block in [0, 11, 12, 267, 268, 70_000, u32::MAX] {
                let _ = volume.map(ino, block, 1000);
            }
            let _ = volume.seek(ino, 0, Seek::Hole);
            let _ = volume.seek(ino, attributes.size / 2, Seek::Data);
            let _ = volume.list_extended_attributes(ino, &mut |_| {});
            let _ = volume.extended_attribute(ino, b"user.a");
            if met.len() < 80 {
                if attributes.mode & 0o170_000 == 0o040_000 && name != b"." && name != b".." {
                    waiting.push(ino);
                }
                met.push((folder, ino, name));
            }
        }
    }
    met
}

/// What came of it is all the same.
fn forget<T>(_: T) {}

fn change(shell: &mut Shell, met: &[(Ino, Ino, Vec<u8>)], random: &mut Random) {
    for _ in 0..60 {
        let Some((folder, ino, name)) = met.get(random.below(met.len() as u64 + 1) as usize) else {
            continue;
        };
        let Some((other, _, target)) = met.get(random.below(met.len() as u64) as usize) else { continue };
        let now = time(5);
        let volume = &mut shell.volume;
        match random.below(14) {
            0 => forget(volume.create(*folder, b"made", &node(FILE))),
            1 => forget(volume.create(*folder, b"made-folder", &node(FOLDER))),
            2 => {
                let new = NewNode { target: &[b't'; 100], ..node(0o120_777) };
                forget(volume.create(*ino, b"made-link", &new));
            }
            3 => forget(volume.unlink(*folder, name, now)),
            4 => forget(volume.remove_directory(*folder, name, now)),
            5 | 6 => {
                let how = *random.pick(&[Renaming::Replace, Renaming::NoReplace, Renaming::Exchange]);
                let (from, to) =
                    (Place { directory: *folder, name }, Place { directory: *other, name: target });
                forget(volume.rename(from, to, how, Reserve::Usable, now));
            }
            7 => forget(volume.link(*ino, *other, b"linked", Reserve::Usable, now)),
            8 => forget(volume.truncate(*ino, random.below(400_000), now)),
            9 => forget(volume.allocate(*ino, random.below(70_000) as u32, 9, Reserve::Usable)),
            10 => forget(volume.punch(*ino, random.below(300) as u32, 50, now)),
            11 => {
                let value = [3; 300];
                forget(volume.set_extended_attribute(
                    *ino,
                    b"user.b",
                    &value,
                    Setting::Any,
                    Reserve::Usable,
                    now,
                ));
                forget(volume.remove_extended_attribute(*ino, b"user.a", Reserve::Usable, now));
            }
            12 => forget(volume.change(*ino, &Change { user: Some(5), ..Change::default() }, now)),
            _ => forget(shell.commit()),
        }
        let _ = shell.volume.release(*ino, now);
    }
    let _ = shell.commit();
    let _ = shell.commit_for(Purpose::Close);
}

fn fuzz(options: &[&str], block: usize, rounds: u64, seed: u64) -> [u64; 2] {
    let good = sample(options);
    let places = interesting(&good, block);
    let file = Temporary::new("hostile");
    let mut counts = [0; 2];
    for round in 0..rounds {
        let mut random = Random::new(seed + round);
        let mut disk = good.clone();
        damage(&mut disk, &places, &mut random);
        std::fs::write(&file.0, &disk).unwrap();
        let opened = try_all(&file.0, &mut random);
        counts[usize::from(opened)] += 1;
    }
    counts
}

fn try_all(path: &Path, random: &mut Random) -> bool {
    let handle = Handle::open(path);
    let Ok(volume) = Ext2::open(handle.clone(), &Options::new(Access::ReadWrite, time(0))) else {
        return false;
    };
    let mut shell = Shell::around(volume, handle);
    let met = look(&mut shell.volume);
    let _ = shell.commit();
    change(&mut shell, &met, random);
    true
}

const LAYOUTS: [(&[&str], usize); 3] = [
    (&["-b", "1024", "-I", "128", "-N", "128"], 1024),
    (&["-b", "1024", "-I", "256", "-N", "128", "-g", "512"], 1024),
    (&["-b", "4096", "-I", "256", "-N", "128"], 4096),
];

fn fuzz_all(rounds: u64, seed: u64) {
    for (options, block) in LAYOUTS {
        let [refused, opened] = fuzz(options, block, rounds, seed);
        println!("{options:?}: {opened} damaged images used, {refused} refused");
        assert!(opened > rounds / 2, "most damage must get past the front door");
    }
}

#[test]
fn damaged_disks_never_panic() {
    fuzz_all(250, seed(3));
}

#[test]
#[ignore = "minutes; EXT2_SEED chooses another run"]
fn many_damaged_disks_never_panic() {
    fuzz_all(20_000, seed(1_000_000));
}
