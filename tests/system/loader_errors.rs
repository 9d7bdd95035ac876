//! Our UEFI loader names what is wrong with its disk, and gives the machine back after a key.

use std::fs;
use std::path::PathBuf;

use driver::guest::Guest;
use driver::machine::{Boot, Machine};
use driver::runner::{Test, TestResult};

/// Where spoiled kernels are put.
const SPOILED_DIR: &str = "build/test-images";

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let config = |line: &str| Machine { loader_config: vec![line.to_string()], ..machine() };
    vec![
        test("loader/missing-kernel", config("kernel=/none.elf"), "there is no \\none.elf on this disk"),
        test("loader/missing-module", config("module=/none.cpio"), "there is no \\none.cpio on this disk"),
        test("loader/bad-config", config("colour=blue"), "line 2, is not understood: `colour=blue`"),
        spoiled("loader/not-an-elf", "it is not an ELF file", |bytes| bytes.fill(0)),
        spoiled("loader/truncated-kernel", "the file is cut short", |bytes| bytes.truncate(8192)),
        spoiled("loader/other-machine", "it is not a static 64-bit x86-64 executable", |bytes| {
            // e_machine: 0xb7 is AArch64.
            if let Some(machine) = bytes.get_mut(18) {
                *machine = 0xb7;
            }
        }),
    ]
}

fn machine() -> Machine {
    Machine { memory_mib: 128, ..Machine::new(Boot::EspUefi) }
}

fn test(name: &str, machine: Machine, complaint: &'static str) -> Test {
    (name.to_string(), Box::new(move |name| complains(name, &machine, complaint)))
}

/// The same with a kernel file that `spoil` has changed.
fn spoiled(name: &str, complaint: &'static str, spoil: fn(&mut Vec<u8>)) -> Test {
    let run = move |name: &str| {
        let kernel = PathBuf::from(format!("{SPOILED_DIR}/{}.elf", name.replace('/', "-")));
        let mut bytes = fs::read(machine().kernel).map_err(|error| format!("no kernel: {error}"))?;
        spoil(&mut bytes);
        fs::create_dir_all(SPOILED_DIR).map_err(|error| format!("cannot make {SPOILED_DIR}: {error}"))?;
        fs::write(&kernel, bytes).map_err(|error| format!("{}: {error}", kernel.display()))?;
        complains(name, &Machine { kernel, ..machine() }, complaint)
    };
    (name.to_string(), Box::new(run))
}

fn complains(name: &str, machine: &Machine, complaint: &str) -> TestResult {
    let mut guest = Guest::start(name, machine)?;
    guest.wait_for("nacre loader: ")?;
    guest.wait_for(complaint)?;
    guest.wait_for("press any key")?;
    guest.type_text("x")?;
    // The firmware goes on with its next boot option, of which its shell is the last.
    guest.wait_for("BdsDxe")?;
    Ok(())
}
