//! What ours wrote, read by an implementation that shares nothing with it: the crate `ext4-view`. (crates.io's `ext2` 0.1.1 cannot
//! open an image: its superblock is `repr(packed)` without `C`, and today's compiler orders the fields anew.)

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

mod support;

use ext2::{Ino, Reserve};
use ext4_view::Ext4;
use support::{FILE, FOLDER, Random, Shell, image};

#[test]
fn another_implementation_reads_what_ours_wrote() {
    for options in [&["-b", "1024", "-I", "128"][..], &["-b", "2048"], &["-b", "4096", "-I", "256"]] {
        let image = image(options, 16 << 10);
        let mut shell = Shell::open(&image.0);
        let mut random = Random::new(5);
        let mut folder = Ino::ROOT;
        let (mut path, mut files, mut links) = (String::new(), Vec::new(), Vec::new());
        for _ in 0..4 {
            for number in 0..40 {
                let name = format!("file-{number}-{}", "n".repeat(number * 5));
                let here = format!("{path}/{name}");
                if number % 3 == 0 {
                    // With slashes, since the reader refuses parts of more than 255 bytes.
                    let target: Vec<u8> = (0..=number * 15)
                        .map(|at| if at % 90 == 89 { b'/' } else { b'a' + number as u8 % 26 })
                        .collect();
                    shell.symlink(folder, &name, &target).unwrap();
                    links.push((here, target));
                    continue;
                }
                let length = if number == 5 { 700_000 } else { random.below(9000) };
                let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                let ino = shell.create(folder, &name, FILE).unwrap();
                shell.write(ino, 0, &bytes, Reserve::Usable).unwrap();
                files.push((here, bytes));
            }
            folder = shell.create(folder, "below", FOLDER).unwrap();
            path += "/below";
        }
        for (path, bytes) in files.iter_mut().step_by(4) {
            let ino = shell.at(path).unwrap();
            shell.truncate(ino, bytes.len() as u64 / 2).unwrap();
            bytes.truncate(bytes.len() / 2);
        }
        shell.close();
        let reader = Ext4::load_from_path(&image.0).unwrap();
        for (path, bytes) in &files {
            assert!(reader.read(path.as_str()).unwrap() == *bytes, "{path}");
        }
        for (path, target) in &links {
            assert_eq!(reader.read_link(path.as_str()).unwrap().as_ref(), target.as_slice(), "{path}");
        }
        assert_eq!(reader.read_dir("/below").unwrap().count(), 40 + 3);
        println!("{options:?}: {} files and {} links agree", files.len(), links.len());
    }
}
