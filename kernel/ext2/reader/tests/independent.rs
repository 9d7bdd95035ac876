//! What ours wrote, read by an implementation that shares nothing with it: the crate `ext2` of crates.io.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::io::Read;

use ext2::{Ino, Reserve};
use support::{FILE, FOLDER, Random, Shell, image};

#[test]
fn the_published_crate_reads_what_ours_wrote() {
    for options in [&["-b", "1024", "-I", "128"][..], &["-b", "2048", "-I", "128"], &["-b", "4096", "-I", "256"]] {
        let image = image(options, 8192);
        let mut shell = Shell::open(&image.0);
        let mut random = Random::new(5);
        let mut folder = Ino::ROOT;
        let (mut path, mut written) = (String::new(), Vec::new());
        for depth in 0..4 {
            for number in 0..30 {
                let name = format!("file-{number}-{}", "n".repeat(number * 3));
                let bytes: Vec<u8> = (0..random.below(60_000)).map(|_| random.next() as u8).collect();
                if number % 3 > 0 || depth == 3 {
                    let ino = shell.create(folder, &name, FILE).unwrap();
                    let bytes = if number == 5 { bytes } else { bytes[..bytes.len() / 30].to_vec() };
                    shell.write(ino, 0, &bytes, Reserve::Usable).unwrap();
                    written.push((format!("{path}/{name}"), bytes));
                } else {
                    shell.symlink(folder, &name, b"somewhere").unwrap();
                }
            }
            folder = shell.create(folder, "below", FOLDER).unwrap();
            path += "/below";
        }
        shell.close();
        let file = std::fs::File::options().read(true).write(true).open(&image.0).unwrap();
        let mut reader = published::open_ext2_drive(file).unwrap();
        for (path, expected) in &written {
            let mut bytes = Vec::new();
            reader.open(path).unwrap().read_to_end(&mut bytes).unwrap();
            assert!(bytes == *expected, "{path}: {} bytes instead of {}", bytes.len(), expected.len());
            assert_eq!(reader.stat(path).unwrap().st_size, expected.len() as i64, "{path}");
        }
        assert_eq!(reader.read_dir("/below").unwrap().len(), 30 + 3);
        println!("{options:?}: {} files agree", written.len());
    }
}
