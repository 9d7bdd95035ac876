//! `image pack` on a real ELF file that rustc and ld.lld make here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use goblin::elf::Elf;
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};
use logic::symbols::{Buffers, Symbols};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sample").join(name)
}

/// A folder of this test's own.
#[expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]
fn link(folder: &Path, debug: &str) -> PathBuf {
    let output = folder.join("linked.elf");
    let rustc = std::env::var("RUSTC").unwrap_or("rustc".into());
    let status = Command::new(rustc)
        .args(["--edition", "2024", "--crate-name", "sample", "-C", "panic=abort", "-C", "opt-level=1"])
        .args(["-C", "relocation-model=pie", "-C", "linker=ld.lld", "-C", "linker-flavor=ld.lld"])
        .args(["-C", "relro-level=off", "-C", debug])
        .args(["-C", "link-args=-pie --no-dynamic-linker -znorelro -zmax-page-size=4096 --gc-sections"])
        .arg(format!("-Clink-arg=-T{}", sample("linker.ld").display()))
        .arg("-o")
        .args([&output, &sample("kernel.rs")])
        .status()
        .unwrap();
    assert!(status.success(), "rustc cannot link the sample");
    output
}

#[expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]
fn pack(input: &Path, output: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_image"))
        .arg("pack")
        .args([Path::new("--input"), input, Path::new("--output"), output])
        .args([Path::new("--root"), Path::new(env!("CARGO_MANIFEST_DIR"))])
        .output()
        .unwrap()
}

struct Packed {
    linked: Vec<u8>,
    image: Vec<u8>,
}

#[expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]
fn packed(test: &str) -> Packed {
    let folder = folder(test);
    let input = link(&folder, "debuginfo=line-tables-only");
    let output = folder.join("nacre.elf");
    let run = pack(&input, &output);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    println!("{}", String::from_utf8_lossy(&run.stdout));
    let image = std::fs::read(&output).unwrap();
    assert!(pack(&input, &output).status.success());
    assert_eq!(image, std::fs::read(&output).unwrap(), "equal inputs give equal bytes");
    Packed { linked: std::fs::read(input).unwrap(), image }
}

#[test]
fn the_image_holds_the_segments_and_nothing_else() {
    let Packed { linked, image } = packed("segments");
    let (before, after) = (Elf::parse(&linked).unwrap(), Elf::parse(&image).unwrap());
    assert_eq!((after.header.e_type, after.entry), (2, before.entry));
    assert_eq!((before.header.e_type, after.section_headers.len()), (3, 0));
    let loads = |elf: &Elf, file: &[u8]| {
        let headers = elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD);
        headers.map(|header| (header.clone(), file[header.file_range()].to_vec())).collect::<Vec<_>>()
    };
    let (old, new) = (loads(&before, &linked), loads(&after, &image));
    assert_eq!(new.len(), old.len() + 1);
    let mut changed = 0;
    for ((old, old_bytes), (new, new_bytes)) in old.iter().zip(&new) {
        assert_eq!((old.p_vaddr, old.p_paddr, old.p_memsz), (new.p_vaddr, new.p_paddr, new.p_memsz));
        assert_eq!((old.p_flags, new.p_offset % 4096), (new.p_flags, new.p_vaddr % 4096));
        changed += old_bytes.iter().zip(new_bytes).filter(|(old, new)| old != new).count();
    }
    assert!((1..=8).contains(&changed), "only the length changes");
    assert_eq!(new[0].0.p_offset, 4096);
    let (last, symbols) = (&new[old.len() - 1].0, &new[old.len()].0);
    assert_eq!(symbols.p_vaddr, (last.p_vaddr + last.p_memsz).next_multiple_of(4096));
    assert_eq!(symbols.p_vaddr - symbols.p_paddr, 0xffff_ffff_8000_0000);
    assert_eq!((symbols.p_flags, symbols.p_filesz), (4, symbols.p_memsz));
    let others: Vec<_> = after.program_headers.iter().filter(|header| header.p_type != PT_LOAD).collect();
    assert_eq!((others.len(), others[0].p_type), (1, PT_NOTE));
    assert_eq!(image[others[0].file_range()][..8], [4, 0, 0, 0, 4, 0, 0, 0]);
}

#[test]
fn functions_and_lines_are_found() {
    let Packed { linked, image } = packed("symbols");
    let (before, after) = (Elf::parse(&linked).unwrap(), Elf::parse(&image).unwrap());
    let base = after.program_headers[0].p_vaddr;
    let table = after.program_headers.iter().rfind(|header| header.p_type == PT_LOAD).unwrap();
    let symbols = Symbols::new(&image[table.file_range()]).unwrap();
    let mut buffers = Buffers::new();
    let mut shown = |part: &str, distance: u64| {
        let symbol =
            before.syms.iter().find(|symbol| before.strtab.get_at(symbol.st_name).unwrap().contains(part));
        let offset = u32::try_from(symbol.unwrap().st_value + distance - base).unwrap();
        symbols.lookup(offset, &mut buffers).unwrap().to_string()
    };
    let source = std::fs::read_to_string(sample("kernel.rs")).unwrap();
    let line = source.lines().position(|line| line.contains("fn entry")).unwrap() + 1;
    assert_eq!(shown("entry", 0), format!("entry+0x0 (tests/sample/kernel.rs:{line})"));
    let divide = shown("divide", 1);
    // Not the line of core that is inlined there.
    assert!(divide.starts_with("sample::deep::inside::divide+0x1 (tests/sample/kernel.rs:"), "{divide}");
    assert_eq!(shown("start64", 1), "start64+0x1");
    assert!(symbols.lookup(u32::MAX, &mut Buffers::new()).is_none());

    let length =
        before.syms.iter().find(|symbol| before.strtab.get_at(symbol.st_name) == Some("__symbols_len"));
    let address = length.unwrap().st_value;
    let load = after
        .program_headers
        .iter()
        .find(|load| load.vm_range().contains(&(usize::try_from(address).unwrap())))
        .unwrap();
    let at = usize::try_from(load.p_offset + address - load.p_vaddr).unwrap();
    assert_eq!(image[at..at + 8], table.p_filesz.to_le_bytes());
}

#[test]
fn every_function_is_found_by_its_name() {
    let Packed { linked, image } = packed("names");
    let (before, after) = (Elf::parse(&linked).unwrap(), Elf::parse(&image).unwrap());
    let base = after.program_headers[0].p_vaddr;
    let table = after.program_headers.iter().rfind(|header| header.p_type == PT_LOAD).unwrap();
    let symbols = Symbols::new(&image[table.file_range()]).unwrap();
    let mut buffers = Buffers::new();
    let mut count = 0;
    for symbol in before.syms.iter().filter(|symbol| symbol.is_function()) {
        let name = format!("{:#}", rustc_demangle::demangle(before.strtab.get_at(symbol.st_name).unwrap()));
        let offset = u32::try_from(symbol.st_value - base).unwrap();
        assert_eq!(symbols.lookup(offset, &mut buffers).unwrap().function, name);
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn mistakes_are_sentences() {
    let folder = folder("mistakes");
    let output = folder.join("nacre.elf");
    let error = |input: &Path| {
        let run = pack(input, &output);
        assert!(!run.status.success());
        String::from_utf8(run.stderr).unwrap()
    };
    assert!(error(&folder.join("missing")).contains("Cannot read"));
    assert!(error(&sample("kernel.rs")).contains("The input is not an ELF file"));
    let stripped = link(&folder, "strip=debuginfo");
    assert!(error(&stripped).contains("The input has no line information"));
    let packed = self::packed("packed-twice").image;
    let twice = folder.join("twice.elf");
    std::fs::write(&twice, packed).unwrap();
    let message = error(&twice);
    assert!(message.trim_end().ends_with(['.', '"']), "{message}");
}
