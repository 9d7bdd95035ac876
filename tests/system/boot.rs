//! Every boot path, number of CPUs, memory size, CPU model and packing reaches user mode and powers off by itself.

use std::path::PathBuf;
use std::process::Command;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Test, TestResult};

/// What the first user program writes.
const GREETING: &str = "init: hello from user mode";

/// UEFI firmware alone needs this much memory.
const UEFI_MEMORY_MIB: u32 = 128;

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let q35 = || Machine::new(Boot::Kernel(Board::Q35));
    let mut tests = vec![
        test("boot/pc", Machine::new(Boot::Kernel(Board::Pc))),
        test("boot/q35", q35()),
        test("boot/microvm", Machine::new(Boot::Kernel(Board::Microvm))),
        test("boot/iso-bios", Machine::new(Boot::IsoBios)),
        test("boot/iso-uefi", Machine { memory_mib: UEFI_MEMORY_MIB, ..Machine::new(Boot::IsoUefi) }),
        test("boot/esp-uefi", Machine { memory_mib: UEFI_MEMORY_MIB, ..Machine::new(Boot::EspUefi) }),
        test("boot/16-mib", Machine { memory_mib: 16, ..q35() }),
        test("boot/cpu-qemu64", Machine { cpu_model: "qemu64".to_string(), ..q35() }),
        test("boot/cpu-max", q35()),
        test("boot/no-kaslr", Machine { command_line: "console=ttyS0 nokaslr".to_string(), ..q35() }),
    ];
    tests.push(test("boot/64-gib", more_than_the_host_has()));
    tests.push(test("boot/two-nodes", two_nodes()));
    tests.push(test("boot/mem-word", Machine { command_line: "console=ttyS0 mem=64M".to_string(), ..q35() }));
    tests.push(("boot/maxcpus".to_string(), Box::new(maxcpus)));
    for tool in ["gzip", "zstd"] {
        let run: Box<dyn Fn(&str) -> TestResult + Send + Sync> =
            Box::new(move |name| packed_with(tool, name));
        tests.push((format!("boot/initramfs-{tool}"), run));
    }
    for cpus in [1, 2, 4, 8] {
        tests.push(test(&format!("boot/cpus-{cpus}"), Machine { cpus, ..q35() }));
    }
    tests
}

/// An initramfs as a distribution packs it, behind a plain one: that is where processor updates are.
fn packed_with(tool: &str, name: &str) -> TestResult {
    let plain = std::fs::read("build/guest/first.cpio")
        .map_err(|error| format!("build/guest/first.cpio: {error}"))?;
    let packed = Command::new(tool).args(["-c", "build/guest/first.cpio"]).output();
    let packed = packed.map_err(|error| format!("{tool}: {error}"))?.stdout;
    let path = PathBuf::from(format!("build/test-images/initramfs-{tool}"));
    let written = std::fs::create_dir_all("build/test-images")
        .and_then(|()| std::fs::write(&path, [&plain[..], &[0; 512], &packed].concat()));
    written.map_err(|error| format!("{}: {error}", path.display()))?;
    let machine = Machine { initramfs: Some(path), memory_mib: 64, ..Machine::new(Boot::Kernel(Board::Q35)) };
    reaches_user_mode(name, &machine)
}

fn maxcpus(name: &str) -> TestResult {
    let machine = Machine {
        cpus: 4,
        command_line: "console=ttyS0 maxcpus=2".to_string(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("2 of 4 CPUs up")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// 64 GiB, of which QEMU reserves nothing: only what the guest touches costs the host.
fn more_than_the_host_has() -> Machine {
    let memory = "memory-backend-ram,size=64G,id=huge,reserve=off";
    Machine {
        memory_mib: 64 << 10,
        more_arguments: ["-object", memory, "-machine", "memory-backend=huge"].map(String::from).to_vec(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    }
}

/// Two memory nodes with a CPU each, as the firmware's SRAT tells.
fn two_nodes() -> Machine {
    let arguments = [
        "-object",
        "memory-backend-ram,size=128M,id=near",
        "-object",
        "memory-backend-ram,size=128M,id=far",
        "-numa",
        "node,nodeid=0,cpus=0,memdev=near",
        "-numa",
        "node,nodeid=1,cpus=1,memdev=far",
    ];
    Machine {
        cpus: 2,
        more_arguments: arguments.map(String::from).to_vec(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    }
}

fn test(name: &str, machine: Machine) -> Test {
    (name.to_string(), Box::new(move |name| reaches_user_mode(name, &machine)))
}

fn reaches_user_mode(name: &str, machine: &Machine) -> TestResult {
    let mut guest = Guest::start(name, machine)?;
    guest.wait_for(GREETING)?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}
