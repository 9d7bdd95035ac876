//! `image cpio` read back by Debian's cpio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]
fn archive(test: &str, manifest: &str) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    let (list, output) = (folder.join("manifest"), folder.join("initramfs.cpio"));
    std::fs::write(folder.join("hello"), "hello, world\n").unwrap();
    std::fs::write(&list, manifest.replace("HELLO", folder.join("hello").to_str().unwrap())).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_image"))
        .arg("cpio")
        .args([Path::new("--manifest"), &list, Path::new("--output"), &output])
        .output()
        .unwrap();
    if run.status.success() { Ok(output) } else { Err(String::from_utf8(run.stderr).unwrap()) }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]
fn cpio(arguments: &[&str], archive: &Path) -> String {
    let input = std::fs::File::open(archive).unwrap();
    let run = Command::new("cpio").args(arguments).stdin(input).stderr(Stdio::inherit()).output().unwrap();
    assert!(run.status.success());
    String::from_utf8(run.stdout).unwrap()
}

const MANIFEST: &str = "
dir /bin 0755 0 0
file /bin/hello 4755 0 7 HELLO
link /hi bin/hello
dir /dev 0755 0 0
node /dev/console 0600 0 5 c 5 1
nod /dev/vda 0660 0 6 b 254 0
";

#[test]
fn cpio_lists_what_the_manifest_says() {
    let archive = archive("listing", MANIFEST).unwrap();
    assert_eq!(cpio(&["-t", "--quiet"], &archive), "bin\nbin/hello\nhi\ndev\ndev/console\ndev/vda\n");
    let verbose = cpio(&["-tvn", "--quiet"], &archive);
    let lines: Vec<Vec<&str>> = verbose.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..5], ["-rwsr-xr-x", "1", "0", "7", "13"], "{verbose}");
    assert_eq!(lines[2].last(), Some(&"bin/hello"));
    assert!(lines[4][0].starts_with("crw-------") && lines[4][4] == "5,", "{verbose}");
    assert!(lines[5][0].starts_with("brw-rw----") && lines[5][4] == "254,", "{verbose}");
    assert_eq!(cpio(&["-i", "--quiet", "--to-stdout", "bin/hello"], &archive), "hello, world\n");
}

#[test]
fn archives_are_reproducible() {
    let one = std::fs::read(archive("one", MANIFEST).unwrap()).unwrap();
    let other = std::fs::read(archive("other", MANIFEST).unwrap()).unwrap();
    assert_eq!(one, other);
    assert_eq!(one.len() % 512, 0);
}

#[test]
fn mistakes_are_sentences() {
    let error = archive("missing", "file /x 644 0 0 /nowhere/at/all").unwrap_err();
    assert!(error.contains("Cannot read /nowhere/at/all"), "{error}");
    let error = archive("order", "file /bin/x 644 0 0 HELLO").unwrap_err();
    assert!(error.contains("The folder /bin must come before /bin/x."), "{error}");
}
