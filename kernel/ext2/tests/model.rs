//! Random operations, compared with a model in memory; then e2fsck, debugfs, and reading again.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test that fails here has failed")]

mod support;

use abi::{Errno, Result};
use ext2::{Ino, Renaming, Reserve};
use support::model::{Model, Node};
use support::{FILE, FOLDER, Random, Shell, check_clean, debugfs, image, seed};

/// A path of a few names, so that operations often meet.
fn path(random: &mut Random) -> String {
    let mut path = String::new();
    for _ in 0..=random.below(3) {
        let name = random.below(9);
        path += &format!("/n{name}{}", "x".repeat((name * name) as usize));
    }
    path
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap()
}

impl Shell {
    fn folder_of<'a>(&mut self, path: &'a str) -> Result<(Ino, &'a str)> {
        let (folder, name) = split(path);
        Ok((self.at(folder)?, name))
    }
}

fn create(shell: &mut Shell, model: &mut Model, path: &str, node: Node) -> (Result<()>, Result<()>) {
    let real = shell.folder_of(path).and_then(|(folder, name)| match &node {
        Node::File(_) => shell.create(folder, name, FILE),
        Node::Folder(_) => shell.create(folder, name, FOLDER),
        Node::Link(target) => shell.symlink(folder, name, target),
    });
    (real.map(|_| ()), model.create(path, node))
}

/// Writes or truncates a file.
fn change_content(
    shell: &mut Shell,
    model: &mut Model,
    random: &mut Random,
    path: &str,
) -> (Result<()>, Result<()>) {
    let size = random.below(60_000);
    let bytes = vec![random.next() as u8; random.below(9000) as usize + 1];
    let is_write = random.below(3) > 0;
    let real = shell.at(path).and_then(|ino| {
        if shell.volume.attributes(ino)?.mode & abi::file::S_IFMT != abi::file::S_IFREG {
            return Err(Errno::EINVAL);
        }
        if is_write { shell.write(ino, size, &bytes, Reserve::KeptBack) } else { shell.truncate(ino, size) }
    });
    let expected = model.content(path).map(|content| {
        let end = size as usize + if is_write { bytes.len() } else { 0 };
        if content.len() < end || !is_write {
            content.resize(end, 0);
        }
        if is_write {
            content[size as usize..end].copy_from_slice(&bytes);
        }
    });
    (real, expected)
}

fn step(shell: &mut Shell, model: &mut Model, random: &mut Random) {
    let (from, to) = (path(random), path(random));
    let what = random.below(20);
    let (real, expected) = match what {
        0..4 => create(shell, model, &from, Node::File(Vec::new())),
        4..7 => create(shell, model, &from, Node::Folder(Default::default())),
        7 => {
            let target = vec![b't'; random.below(200) as usize + 1];
            create(shell, model, &from, Node::Link(target))
        }
        8 => {
            let real = shell
                .at(&from)
                .and_then(|ino| shell.folder_of(&to).map(|(folder, name)| (ino, folder, name.to_string())))
                .and_then(|(ino, folder, name)| shell.link(ino, folder, &name));
            (real, model.link(&from, &to))
        }
        9..11 => {
            let real = shell.folder_of(&from).and_then(|(folder, name)| shell.unlink(folder, name));
            (real, model.unlink(&from))
        }
        11 => {
            let real = shell.folder_of(&from).and_then(|(folder, name)| shell.remove_directory(folder, name));
            (real, model.remove_folder(&from))
        }
        12..15 => {
            let how = *random.pick(&[
                Renaming::Replace,
                Renaming::Replace,
                Renaming::NoReplace,
                Renaming::Exchange,
            ]);
            let real = shell.folder_of(&from).and_then(|(folder, name)| {
                shell.lookup(folder, name)?;
                let target = shell.folder_of(&to)?;
                shell.rename((folder, name), target, how)
            });
            (real, model.rename(&from, &to, how))
        }
        15..19 => change_content(shell, model, random, &from),
        _ => (if random.below(4) == 0 { shell.sync() } else { shell.commit() }, Ok(())),
    };
    assert_eq!(real, expected, "operation {what} on {from} and {to}");
}

fn play(options: &[&str], steps: usize, seed: u64) {
    let image = image(options, 8192);
    let mut random = Random::new(seed);
    let mut model = Model::default();
    for _ in 0..3 {
        let mut shell =
            Shell::open_with(&image.0, ext2::Access::ReadWrite, |options| options.cache_bytes = 32 << 10);
        model.compare(&mut shell);
        for _ in 0..steps / 3 {
            step(&mut shell, &mut model, &mut random);
        }
        model.compare(&mut shell);
        shell.close();
        check_clean(&image.0);
    }
    // What debugfs lists is what the model has.
    let commands: String = model.paths().iter().skip(1).map(|path| format!("stat {path}\n")).collect();
    let text = debugfs(&image.0, &commands);
    assert!(!text.contains("not found"), "{text}");
    assert_eq!(text.matches("Inode: ").count(), model.paths().len() - 1);
}

const LAYOUTS: [&[&str]; 4] = [
    &["-b", "1024", "-I", "128"],
    &["-b", "1024", "-I", "256", "-g", "1024"],
    &["-b", "2048"],
    &["-b", "4096", "-r", "0", "-I", "128"],
];

#[test]
fn random_operations_agree_with_the_model() {
    let seed = seed(1);
    for (number, layout) in LAYOUTS.iter().enumerate() {
        play(layout, 9000, seed + number as u64);
    }
}

#[test]
#[ignore = "minutes; EXT2_SEED chooses another run"]
fn many_random_operations_agree_with_the_model() {
    let seed = seed(100);
    for round in 0..60 {
        play(LAYOUTS[round % LAYOUTS.len()], 30_000, seed + round as u64);
    }
}
