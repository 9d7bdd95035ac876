//! Links the vDSO: compiles `image/` as user code, which the kernel's target is not, and makes a shared object of it.
//!
//! The compiler runs directly, because Cargo cannot give one crate of a build another target. Two crates without
//! dependencies beyond `core` make that two commands.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const PAGE: usize = 4096;

/// The other names that Linux's has.
const ALIASES: [&str; 5] = ["clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu"];

/// One segment that nobody may write, as Linux's: headers, tables and code together, without a relocation.
const LINK: [&str; 16] = [
    "-shared",
    "--soname=linux-vdso.so.1",
    "--hash-style=both",
    "--eh-frame-hdr",
    "--build-id=sha1",
    "--no-rosegment",
    "--no-undefined",
    "--gc-sections",
    "--strip-all",
    "-Bsymbolic",
    "-znorelro",
    "-zrodynamic",
    "-ztext",
    "-znognustack",
    "-zmax-page-size=4096",
    "--version-script=image/versions.map",
];

const COMPILE: [&str; 14] = [
    "--edition=2024",
    "-Copt-level=3",
    "-Cpanic=abort",
    "-Cdebug-assertions=off",
    "-Coverflow-checks=off",
    "-Crelocation-model=pic",
    "-Ccodegen-units=1",
    "-Cforce-unwind-tables=yes",
    "-Cforce-frame-pointers=no",
    "-Cembed-bitcode=no",
    "-Cmetadata=nacre",
    "-Cdebuginfo=0",
    "--cap-lints=allow",
    "--crate-type=lib",
];

fn main() {
    for input in ["build.rs", "image", "../abi/src"] {
        println!("cargo:rerun-if-changed={input}");
    }
    let output = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let target = user_target();
    let abi = output.join("libabi.rlib");
    compile(&target, &["--crate-name=abi", "--emit=link", "../abi/src/lib.rs"], &abi);
    let object = output.join("image.o");
    let with_abi = format!("--extern=abi={}", abi.display());
    compile(&target, &["--crate-name=vdso_image", "--emit=obj", &with_abi, "image/src/lib.rs"], &object);
    let linked = output.join("linked.so");
    run(Command::new("ld.lld")
        .args(LINK)
        .args(ALIASES.map(|name| format!("--defsym={name}=__vdso_{name}")))
        .args([&object, &abi])
        .arg("-o")
        .arg(&linked));
    pad(&linked, &output.join("vdso.so"));
}

/// A target whose `core` is installed: the host's own, if it is an x86-64.
fn user_target() -> String {
    let host = env::var("HOST").unwrap_or_default();
    if host.starts_with("x86_64-") && host.contains("linux") {
        host
    } else {
        "x86_64-unknown-linux-gnu".into()
    }
}

fn compile(target: &str, arguments: &[&str], output: &Path) {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    run(Command::new(compiler)
        .args(COMPILE)
        .arg(format!("--target={target}"))
        .args(arguments)
        .arg("-o")
        .arg(output)
        .env_remove("RUSTC_BOOTSTRAP"));
}

/// Whole pages, so that the kernel can map what it was linked with.
fn pad(from: &Path, to: &Path) {
    let mut bytes = fs::read(from).unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display()));
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    fs::write(to, &bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", to.display()));
}

fn run(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{command:?} failed: {status}"),
        Err(error) => panic!("cannot run {command:?}: {error}"),
    }
}
