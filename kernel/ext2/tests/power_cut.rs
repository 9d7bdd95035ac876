//! The power is cut: at every write of workloads, and between flushes in other orders. `e2fsck -p` repairs the disk by itself,
//! and what was acknowledged is there. By default a bounded number of states; all of them with `-- --ignored`.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

mod support;

use ext2::Renaming;
use support::recorder::Recorder;
use support::{Random, seed};

const SMALL: &[&str] = &["-b", "1024", "-N", "128", "-g", "512", "-I", "128"];
const LARGE_INODES: &[&str] = &["-b", "1024", "-N", "128", "-g", "512", "-I", "256"];
const LARGE_BLOCKS: &[&str] = &["-b", "4096", "-N", "128"];

/// A workload, and how it is called.
type Workload = (&'static str, fn(&mut Recorder));

const WORKLOADS: [Workload; 16] = [
    ("create and append", create_and_append),
    ("overwrite", overwrite),
    ("rename over", rename_over),
    ("directories across directories", directories_across_directories),
    ("unlink while open", unlink_while_open),
    ("files without names", files_without_names),
    ("directory trees", directory_trees),
    ("truncate", truncate),
    ("editor", editor),
    ("mail spool", mail_spool),
    ("SQLite's rollback journal", rollback_journal),
    ("links", links),
    ("exchange", exchange),
    ("displaced", displaced),
    ("space used again", space_used_again),
    ("large directory", large_directory),
];

fn content(tag: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| if at.is_multiple_of(61) { b'\n' } else { tag }).collect()
}

fn create_and_append(disk: &mut Recorder) {
    disk.create("/log", b"");
    for round in 0..12 {
        disk.append("/log", &content(b'A' + round, 3001));
        match round % 3 {
            0 => disk.fsync("/log"),
            1 => disk.commit(),
            _ => {}
        }
        disk.create(&format!("/f{round}"), &content(b'a' + round, 100 + 1700 * usize::from(round)));
    }
    disk.sync();
}

fn overwrite(disk: &mut Recorder) {
    disk.create("/data", &content(b'0', 40_000));
    disk.sync();
    for round in 1..8 {
        disk.write("/data", usize::from(round) * 5000, &content(b'0' + round, 2500));
        if round % 2 == 0 {
            disk.fsync("/data");
        }
    }
    disk.write("/data", 300_000, &content(b'E', 3000));
    disk.fsync("/data");
    disk.write("/data", 100_000, &content(b'M', 3000));
    disk.sync();
}

fn rename_over(disk: &mut Recorder) {
    disk.folder_at("/other");
    disk.create("/config", &content(b'0', 2000));
    disk.sync();
    for round in 1..10 {
        let temporary = if round % 2 == 0 { "/config.new" } else { "/other/config.new" };
        disk.create(temporary, &content(b'0' + round, 1000 + 300 * usize::from(round)));
        if round % 3 == 0 {
            disk.fsync(temporary);
        }
        disk.rename(temporary, "/config");
        if round % 4 == 0 {
            disk.commit();
        }
    }
    disk.sync();
}

fn directories_across_directories(disk: &mut Recorder) {
    for path in ["/a", "/b", "/c", "/a/d", "/a/d/e"] {
        disk.folder_at(path);
    }
    disk.create("/a/d/file", &content(b'F', 1500));
    disk.create("/a/d/e/deep", &content(b'G', 1500));
    disk.sync();
    disk.rename("/a/d", "/b/d");
    disk.create("/b/d/more", &content(b'H', 900));
    disk.rename("/b/d/e", "/c/e");
    disk.commit();
    disk.rename("/c/e", "/a/e");
    disk.rename("/b/d", "/a/e/d");
    disk.folder_at("/b/empty");
    disk.sync();
    disk.rename("/a/e/d", "/b/empty");
    disk.rename("/a/e", "/e");
    disk.folder_at("/new");
    disk.folder_at("/new/inside");
    disk.rename("/b/empty", "/new/inside/d");
    disk.rename("/new/inside/d/file", "/file");
    disk.sync();
    disk.remove_folder("/b");
    disk.remove_folder("/c");
    disk.sync();
}

fn unlink_while_open(disk: &mut Recorder) {
    for round in 0..6 {
        let path = format!("/t{round}");
        disk.create(&path, &content(b'T' + round, 20_000));
        if round % 2 == 0 {
            disk.sync();
        }
        disk.unlink_open(&path);
        disk.create(&format!("/k{round}"), &content(b'k', 5000));
        disk.commit();
        if round % 3 == 2 {
            disk.close_open();
        }
    }
    disk.sync();
    disk.close_open();
    disk.sync();
}

fn files_without_names(disk: &mut Recorder) {
    disk.folder_at("/named");
    disk.create_unnamed("/named/a", &content(b'a', 6000), |_| {});
    disk.create_unnamed("/named/b", &content(b'b', 9000), Recorder::sync);
    disk.create_unnamed("/named/c", &content(b'c', 20_000), Recorder::commit);
    disk.fsync("/named/c");
    disk.create_unnamed("/d", &content(b'd', 3000), Recorder::commit);
    disk.rename("/d", "/named/a");
    disk.create_unnamed("/e", &content(b'e', 3000), Recorder::sync);
    disk.unlink("/e");
    disk.sync();
}

fn directory_trees(disk: &mut Recorder) {
    for outer in 0..4 {
        disk.folder_at(&format!("/t{outer}"));
        for inner in 0..3 {
            disk.folder_at(&format!("/t{outer}/d{inner}"));
            disk.create(&format!("/t{outer}/d{inner}/f"), &content(b'a' + outer * 3 + inner, 1300));
            disk.symlink(&format!("/t{outer}/d{inner}/l"), &vec![b'l'; 40 * (1 + usize::from(inner))]);
        }
        if outer % 2 == 1 {
            disk.commit();
        }
    }
    disk.sync();
    for outer in 0..4 {
        for inner in 0..3 {
            disk.unlink(&format!("/t{outer}/d{inner}/f"));
            disk.unlink(&format!("/t{outer}/d{inner}/l"));
            disk.remove_folder(&format!("/t{outer}/d{inner}"));
        }
        disk.remove_folder(&format!("/t{outer}"));
        if outer == 2 {
            disk.sync();
        }
    }
    disk.sync();
}

fn truncate(disk: &mut Recorder) {
    disk.create("/big", &content(b'B', 330_000));
    disk.sync();
    for size in [290_000, 150_001, 12_288, 12_000, 500, 0] {
        disk.truncate("/big", size);
        disk.create(&format!("/after{size}"), &content(b'Z', 9000));
        disk.fsync("/big");
    }
    disk.append("/big", &content(b'C', 30_000));
    disk.truncate("/big", 20_000);
    disk.truncate("/big", 60_000);
    disk.append("/big", &content(b'D', 100));
    disk.sync();
}

/// Write a temporary file, fsync, rename, fsync the directory.
fn editor(disk: &mut Recorder) {
    disk.folder_at("/home");
    disk.create("/home/text", &content(b'0', 3000));
    disk.sync();
    for round in 1..8 {
        disk.create("/home/.text.swp", &content(b'0' + round, 2000 + usize::from(round) * 777));
        disk.fsync("/home/.text.swp");
        disk.rename("/home/.text.swp", "/home/text");
        disk.fsync("/home");
    }
}

/// A message is written into tmp, fsynced, linked into new, and moved to cur when it is read.
fn mail_spool(disk: &mut Recorder) {
    for path in ["/mail", "/mail/tmp", "/mail/new", "/mail/cur"] {
        disk.folder_at(path);
    }
    disk.sync();
    for number in 0..8u8 {
        let (temporary, new) = (format!("/mail/tmp/{number}"), format!("/mail/new/{number}"));
        disk.create(&temporary, &content(b'a' + number, 1200 + 300 * usize::from(number)));
        disk.fsync(&temporary);
        disk.link(&temporary, &new);
        disk.fsync("/mail/new");
        disk.unlink(&temporary);
        if number % 2 == 1 {
            disk.rename(&new, &format!("/mail/cur/{number}:2,S"));
        }
        if number > 4 {
            disk.unlink(&format!("/mail/cur/{}:2,S", 2 * (number - 5) + 1));
        }
    }
    disk.sync();
}

fn rollback_journal(disk: &mut Recorder) {
    disk.create("/db", &content(b'0', 16_384));
    disk.sync();
    for round in 1..7u8 {
        let page = usize::from(round % 4) * 4096;
        disk.create("/db-journal", &content(b'J', 512));
        disk.append("/db-journal", &content(b'0' + round - 1, 4104));
        disk.fsync("/db-journal");
        disk.write("/db-journal", 8, &[round; 4]);
        disk.fsync("/db-journal");
        disk.write("/db", page, &content(b'0' + round, 4096));
        disk.append("/db", &content(b'x', 4096));
        disk.fsync("/db");
        disk.unlink("/db-journal");
        disk.fsync("/");
    }
}

fn links(disk: &mut Recorder) {
    for path in ["/one", "/two", "/three"] {
        disk.folder_at(path);
    }
    disk.create("/one/file", &content(b'L', 4000));
    disk.sync();
    disk.link("/one/file", "/two/file");
    disk.unlink("/one/file");
    disk.rename("/two/file", "/three/file");
    disk.commit();
    disk.rename("/three/file", "/one/file");
    disk.link("/one/file", "/three/again");
    disk.unlink("/one/file");
    disk.link("/three/again", "/one/third");
    disk.unlink("/three/again");
    disk.sync();
    disk.create("/two/other", &content(b'M', 800));
    disk.fsync("/two/other");
    disk.rename("/two/other", "/one/third");
    disk.sync();
}

fn exchange(disk: &mut Recorder) {
    for path in ["/p", "/q", "/p/folder"] {
        disk.folder_at(path);
    }
    disk.create("/p/folder/in", &content(b'I', 1000));
    disk.create("/p/x", &content(b'X', 1000));
    disk.create("/p/y", &content(b'Y', 1000));
    disk.create("/q/z", &content(b'Z', 1000));
    disk.sync();
    disk.rename_as("/p/x", "/p/y", Renaming::Exchange);
    disk.commit();
    disk.rename_as("/p/folder", "/q/z", Renaming::Exchange);
    disk.create("/q/after", &content(b'A', 700));
    disk.rename_as("/p/x", "/q/after", Renaming::Exchange);
    disk.unlink("/p/y");
    disk.sync();
}

/// A name that became another file's must not go when the file it was of does, and one that is held has its blocks.
fn displaced(disk: &mut Recorder) {
    for path in ["/p", "/q"] {
        disk.folder_at(path);
    }
    for (path, tag) in [("/p/x", b'X'), ("/q/z", b'Z'), ("/p/a", b'A'), ("/q/b", b'B'), ("/p/long", b'L')] {
        disk.create(path, &content(tag, 12_000));
    }
    disk.link("/p/a", "/q/again");
    disk.link("/p/long", "/q/long");
    disk.sync();
    disk.rename_as("/p/x", "/q/z", Renaming::Exchange);
    disk.unlink("/q/z");
    disk.commit();
    disk.rename("/q/b", "/p/a");
    disk.unlink("/q/again");
    disk.commit();
    disk.unlink("/q/long");
    disk.truncate("/p/long", 2000);
    disk.create("/q/new", &content(b'N', 9000));
    disk.sync();
}

/// Blocks and inodes of removed files go to new ones at once.
fn space_used_again(disk: &mut Recorder) {
    for round in 0..10u8 {
        for number in 0..4u8 {
            let path = format!("/r{number}");
            if round > 0 {
                disk.unlink(&path);
            }
            disk.create(&path, &content(b'a' + round, 150_000));
        }
        match round % 3 {
            0 => disk.sync(),
            1 => disk.commit(),
            _ => {}
        }
    }
    disk.sync();
}

fn large_directory(disk: &mut Recorder) {
    disk.folder_at("/many");
    for number in 0..60 {
        disk.create(&format!("/many/a-long-name-that-fills-blocks-{number}-{}", "y".repeat(60)), b"");
    }
    disk.sync();
    disk.folder_at("/from");
    disk.folder_at("/from/moved");
    disk.create("/from/moved/file", &content(b'f', 1000));
    disk.sync();
    for number in 0..8 {
        let name = format!("/many/moved-{number}-{}", "z".repeat(200));
        disk.rename(
            if number == 0 {
                "/from/moved".into()
            } else {
                format!("/many/moved-{}-{}", number - 1, "z".repeat(200))
            }
            .as_str(),
            &name,
        );
    }
    disk.sync();
}

fn cut(which: &[&str], most: usize, tries: usize) {
    let seed = seed(7);
    for (name, workload) in WORKLOADS.iter().filter(|(name, _)| which.contains(name)) {
        for (options, kib) in [(SMALL, 2048), (LARGE_INODES, 2048), (LARGE_BLOCKS, 4096)] {
            let mut recorder = Recorder::new(options, kib);
            workload(&mut recorder);
            recorder.cut(name, most, tries, seed);
        }
    }
}

#[test]
fn files_survive() {
    cut(
        &[
            "create and append",
            "overwrite",
            "truncate",
            "unlink while open",
            "files without names",
            "space used again",
        ],
        12,
        12,
    );
}

#[test]
fn names_survive() {
    cut(&["rename over", "links", "exchange", "directory trees", "large directory"], 12, 12);
}

#[test]
fn displaced_names_survive() {
    cut(&["displaced"], usize::MAX, 30);
}

#[test]
fn directories_survive() {
    cut(&["directories across directories"], 30, 30);
}

#[test]
fn programs_survive() {
    cut(&["editor", "mail spool", "SQLite's rollback journal"], 20, 20);
}

/// Random operations on few names.
fn random_workload(disk: &mut Recorder, random: &mut Random, steps: usize) {
    for folder in ["/x", "/y", "/x/z"] {
        disk.folder_at(folder);
    }
    let mut tag = 0u8;
    for _ in 0..steps {
        let paths: Vec<String> = disk
            .model
            .paths()
            .into_iter()
            .filter(|path| path.len() > 1 && !path.starts_with("/still"))
            .collect();
        let folders: Vec<String> = [String::new()]
            .into_iter()
            .chain(
                paths
                    .iter()
                    .filter(|path| {
                        disk.model.find(path).and_then(|node| disk.model.names(node).map(|_| ())).is_ok()
                    })
                    .cloned(),
            )
            .collect();
        let some = random.pick(&paths).clone();
        let is_folder = folders.contains(&some);
        let new = format!("{}/n{}", random.pick(&folders), random.below(12));
        let is_free = disk.model.find(&new).is_err();
        let is_below = new.starts_with(&format!("{some}/"));
        tag = tag.wrapping_add(1);
        match random.below(16) {
            0..3 if is_free => disk.create(&new, &content(b'!' + tag % 90, random.below(9000) as usize + 10)),
            3..5 if is_free => disk.folder_at(&new),
            5..7 if is_free && !is_below => disk.rename(&some, &new),
            7 if !is_free && !is_folder && !folders.contains(&new) && new != some => disk.rename(&some, &new),
            8 if !is_free && !is_below && !some.starts_with(&format!("{new}/")) => {
                disk.rename_as(&some, &new, Renaming::Exchange);
            }
            9 if is_free && !is_folder => disk.link(&some, &new),
            10 if !is_folder => disk.unlink(&some),
            10 if disk.model.names(disk.model.find(&some).unwrap()).unwrap().is_empty() => {
                disk.remove_folder(&some)
            }
            11 if !is_folder => {
                disk.append(&some, &content(b'!' + tag % 90, random.below(5000) as usize + 1))
            }
            12 if !is_folder => disk.fsync(&some),
            13 if !is_folder => disk.truncate(&some, random.below(12_000) as usize),
            14 if random.below(3) == 0 => disk.sync(),
            15 if random.below(2) == 0 => disk.commit(),
            _ => {}
        }
    }
    disk.sync();
}

fn random_cuts(rounds: u64, steps: usize, most: usize, tries: usize) {
    let seed = seed(11);
    for round in 0..rounds {
        let mut recorder = Recorder::new(if round % 2 == 0 { SMALL } else { LARGE_INODES }, 2048);
        let mut random = Random::new(seed + round);
        random_workload(&mut recorder, &mut random, steps);
        recorder.cut(&format!("random {}", seed + round), most, tries, seed + round);
    }
}

#[test]
fn random_workloads_survive() {
    random_cuts(6, 120, 40, 40);
}

#[test]
#[ignore = "half an hour: every prefix of every workload, and many reorderings"]
fn every_workload_survives_everything() {
    let names: Vec<&str> = WORKLOADS.iter().map(|(name, _)| *name).collect();
    cut(&names, usize::MAX, 1500);
}

#[test]
#[ignore = "half an hour: many random workloads"]
fn many_random_workloads_survive() {
    random_cuts(200, 250, usize::MAX, 300);
}
