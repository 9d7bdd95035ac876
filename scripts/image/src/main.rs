//! Packs what the kernel boots from: `image pack` and `image cpio`.
//!
//! Called by the Makefile on the host. Both outputs depend on nothing but the inputs: no times, no paths
//! of this machine, no random numbers.

mod cpio;
mod elf;
mod pack;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Errors are sentences for whoever ran the build.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "usage: image pack --input LINKED_ELF --output FILE [--root SOURCE_TREE]
       image cpio --manifest FILE --output FILE";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("image: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String> {
    let (command, options) = arguments.split_first().ok_or(USAGE)?;
    match command.as_str() {
        "pack" => pack(&Options::parse(options, &["--input", "--output", "--root"])?),
        "cpio" => archive(&Options::parse(options, &["--manifest", "--output"])?),
        other => Err(format!("There is no command {other}.\n{USAGE}")),
    }
}

fn pack(options: &Options) -> Result<String> {
    let input = read(&options.path("--input")?)?;
    let root = match options.find("--root") {
        Some(root) => PathBuf::from(root),
        None => std::env::current_dir().map_err(|error| format!("There is no current folder: {error}."))?,
    };
    let packed = pack::pack(&input, &root)?;
    write(&options.path("--output")?, &packed.image)?;
    Ok(packed.report())
}

fn archive(options: &Options) -> Result<String> {
    let manifest = options.path("--manifest")?;
    let text = String::from_utf8(read(&manifest)?)
        .map_err(|_| format!("The manifest {} is not UTF-8.", manifest.display()))?;
    let entries = cpio::manifest::parse(&text)?;
    let archive = cpio::archive(&entries, read)?;
    write(&options.path("--output")?, &archive)?;
    Ok(format!("archive {} bytes, {} entries", archive.len(), entries.len()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("Cannot read {}: {error}.", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("Cannot make the folder {}: {error}.", folder.display()))?;
    }
    std::fs::write(path, bytes).map_err(|error| format!("Cannot write {}: {error}.", path.display()))
}

/// `--name value` pairs.
struct Options {
    pairs: Vec<(String, String)>,
}

impl Options {
    fn parse(arguments: &[String], known: &[&str]) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} needs a value.\n{USAGE}", pair[0])) };
            if !known.contains(&name.as_str()) {
                return Err(format!("There is no option {name}.\n{USAGE}"));
            }
            pairs.push((name.clone(), value.clone()));
        }
        Ok(Self { pairs })
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        self.find(name).map(PathBuf::from).ok_or_else(|| format!("{name} is missing.\n{USAGE}"))
    }
}
