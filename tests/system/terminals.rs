//! The serial line: nothing typed is lost, breaks call the kernel, and more than one line can be used.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Test, TestResult};
use serde_json::json;

const INITRAMFS: &str = "build/programs.cpio";
/// Bytes typed at once into a reader in raw mode.
const PASTED: usize = 1 << 20;

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("terminals/serial-paste".to_string(), Box::new(paste)),
        ("terminals/serial-breaks".to_string(), Box::new(breaks)),
        ("terminals/second-serial-line".to_string(), Box::new(second_line)),
    ]
}

/// Busybox's shell on the serial line.
fn start(name: &str, more: &[&str]) -> Result<Guest, String> {
    let machine = Machine {
        initramfs: Some(PathBuf::from(INITRAMFS)),
        command_line: "console=ttyS0".to_string(),
        memory_mib: 256,
        cpus: 2,
        silence: Duration::from_secs(120),
        more_arguments: more.iter().copied().map(String::from).collect(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("rcS: ready")?;
    guest.wait_for("# ")?;
    Ok(guest)
}

fn stop(mut guest: Guest) -> TestResult {
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// What md5sum(1) says of bytes: a sum and a name.
fn sum_of(text: &str) -> Result<String, String> {
    use std::io::Write as _;
    let mut program = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("md5sum: {error}"))?;
    let mut input = program.stdin.take().ok_or("md5sum has no input")?;
    input.write_all(text.as_bytes()).map_err(|error| format!("md5sum: {error}"))?;
    drop(input);
    let output = program.wait_with_output().map_err(|error| format!("md5sum: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Lines that all differ, so that one that is lost or doubled shows.
fn numbered(len: usize) -> String {
    let mut text: String = (0..len / 8).map(|number| format!("{number:07}\n")).collect();
    text.truncate(len);
    text
}

fn paste(name: &str) -> TestResult {
    let text = numbered(PASTED);
    let mut guest = start(name, &[])?;
    guest.type_text(&format!("stty raw -echo; echo go''es; head -c {PASTED} | md5sum; stty sane\n"))?;
    guest.wait_for("goes")?;
    guest.type_text(&text)?;
    let expected = sum_of(&text)?;
    let output = guest.wait_for("  -")?;
    if !output.contains(&expected) {
        return Err(format!("what arrived is not `{expected}` but: {}", output.escape_debug()).into());
    }
    guest.wait_for("# ")?;
    stop(guest)
}

/// A break and then a key.
fn press(guest: &mut Guest, key: &str) -> Result<(), String> {
    guest.control()?.execute("chardev-send-break", &json!({ "id": "serial" }))?;
    guest.type_text(key)
}

fn breaks(name: &str) -> TestResult {
    let mut guest = start(name, &[])?;
    guest.type_text("sleep 1000 & sleep 0.3; echo sle''eps\n")?;
    guest.wait_for("sleeps")?;
    press(&mut guest, "h")?;
    guest.wait_for("sysrq: reboot(b)")?;
    press(&mut guest, "s")?;
    guest.wait_for("sysrq: everything is written")?;
    press(&mut guest, "t")?;
    let tasks = guest.wait_for(" threads, ")?;
    if !tasks.contains(" sleep") || !tasks.contains(" waits ") {
        return Err(format!("the list of tasks lacks one that sleeps: {tasks}").into());
    }
    press(&mut guest, "d")?;
    guest.wait_for("sysrq: ")?;
    // The keys were the kernel's, and what is typed now is the shell's.
    guest.type_text("echo he''re\n")?;
    guest.wait_for("here")?;
    press(&mut guest, "o")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// What is written to the second line comes out of it, also what must wait for it, and not of the first.
fn second_line(name: &str) -> TestResult {
    let path = PathBuf::from(format!("build/test-logs/{}.second", name.replace('/', "-")));
    let chardev = format!("file,id=second,path={}", path.display());
    let mut guest = start(name, &["-chardev", &chardev, "-device", "isa-serial,chardev=second,index=1"])?;
    // busybox's seq writes what `numbered` gives.
    let commands = [
        "stty -F /dev/ttyS1 raw 38400",
        "seq -w 0 9999 | sed 's/^/000/' >/dev/ttyS1",
        "stty -F /dev/ttyS1 | grep -o 'speed 38400 baud'",
        "ls /dev/ttyS2 2>/dev/null || echo no th''ird",
    ];
    for command in commands {
        guest.type_text(&format!("{command}\n"))?;
    }
    guest.wait_for("speed 38400 baud")?;
    guest.wait_for("no third")?;
    stop(guest)?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let expected = numbered(80_000);
    if text != expected {
        return Err(format!("the second line sent {} bytes instead of {}", text.len(), expected.len()).into());
    }
    Ok(())
}
