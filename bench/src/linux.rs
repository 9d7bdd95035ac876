//! Debian's newest packaged cloud kernel: fetched and unpacked under `build/linux/`, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command, package};

/// Depends on whichever image is the newest.
const META_PACKAGE: &str = "linux-image-cloud-amd64";
const FOLDER: &str = "build/linux";
/// What Debian's cloud kernel needs to use a virtio disk, in the order they need each other; ext4 is built in.
pub(crate) const MODULES: [&str; 6] =
    ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"];
const MODULE_FOLDERS: [&str; 2] = ["kernel/drivers/virtio", "kernel/drivers/block"];

/// A Linux kernel on disk.
pub(crate) struct Linux {
    pub(crate) version: String,
    pub(crate) kernel: PathBuf,
    /// The folder of [`MODULES`].
    pub(crate) modules: PathBuf,
}

/// Finds the newest kernel that apt knows, and downloads it unless an earlier run did. When apt knows none,
/// any kernel of an earlier run serves.
pub(crate) fn fetch() -> Result<Linux> {
    let newest = match newest_image() {
        Ok(newest) => newest,
        Err(error) => return cached().ok_or(error),
    };
    let linux = newest.unpacked();
    if linux.is_complete() {
        return Ok(linux);
    }
    eprintln!("bench: downloading {} {} (not installed, only unpacked)", newest.package, newest.version);
    match download(&newest, &linux) {
        Ok(()) => Ok(linux),
        Err(error) => cached().ok_or(format!(
            "Linux is needed to compare with, and it cannot be downloaded: {error}. \
             Is the network up? Without Linux: --nacre-only."
        )),
    }
}

impl Linux {
    fn is_complete(&self) -> bool {
        self.kernel.exists() && MODULES.iter().all(|name| self.module(name).exists())
    }

    /// The file of a module.
    pub(crate) fn module(&self, name: &str) -> PathBuf {
        self.modules.join(format!("{name}.ko"))
    }
}

/// What apt knows of the image package.
#[derive(Debug, PartialEq, Eq)]
struct Image {
    package: String,
    version: String,
}

impl Image {
    fn unpacked(&self) -> Linux {
        let kernel = Path::new(FOLDER).join(format!("{}.vmlinuz", self.version));
        let modules = Path::new(FOLDER).join(format!("{}.modules", self.version));
        Linux { version: self.version.clone(), kernel, modules }
    }
}

fn newest_image() -> Result<Image> {
    let shown = command::run(Command::new("apt-cache").args(["show", "--no-all-versions", META_PACKAGE]));
    let sentence = format!(
        "apt knows no package {META_PACKAGE}, so there is no Linux to compare with. \
         Run apt-get update as root, or leave Linux out: --nacre-only."
    );
    shown.ok().and_then(|text| parse_package(&text)).ok_or(sentence)
}

/// Reads `Version: V` and `Depends: linux-image-N-cloud-amd64 (= V)`.
fn parse_package(text: &str) -> Option<Image> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let package = field("Depends")?.split(", ").find(|name| name.starts_with("linux-image-"))?;
    let package = package.split_whitespace().next()?.to_string();
    Some(Image { package, version: field("Version")?.to_string() })
}

fn download(image: &Image, linux: &Linux) -> Result<()> {
    package::with(&format!("{}={}", image.package, image.version), |unpacked| {
        let image = package::file_named(&unpacked.join("boot"), |name| name.starts_with("vmlinuz-"))?;
        let modules = &linux.modules;
        fs::create_dir_all(modules).map_err(|error| format!("cannot make {}: {error}", modules.display()))?;
        take_modules(unpacked, linux)?;
        move_file(&image, &linux.kernel)
    })
}

fn take_modules(unpacked: &Path, linux: &Linux) -> Result<()> {
    let version = package::file_named(&unpacked.join("lib/modules"), |_| true)?;
    for name in MODULES {
        let file = format!("{name}.ko");
        let places = MODULE_FOLDERS.map(|folder| version.join(folder).join(&file));
        let place = places.iter().find(|place| place.exists());
        let place = place.ok_or(format!("the package of Linux does not hold the module {name}"))?;
        move_file(place, &linux.module(name))?;
    }
    Ok(())
}

fn move_file(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| format!("cannot move {}: {error}", from.display()))
}

/// The kernel of an earlier run with the highest version number, when apt cannot say which is the newest.
fn cached() -> Option<Linux> {
    let names = fs::read_dir(FOLDER).ok()?.flatten().map(|entry| entry.file_name());
    let versions = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".vmlinuz")?.to_string()));
    let version = versions.max_by_key(|version| numbers(version))?;
    eprintln!("bench: apt offers no Linux kernel now; using {version} of an earlier run");
    Some(Image { package: String::new(), version }.unpacked())
}

/// The numbers in a version, so that 6.10 stands above 6.9.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_package_is_found() {
        let text = "Package: linux-image-cloud-amd64\nSource: linux-signed-amd64 (6.1.9+2)\nVersion: 6.1.9-2\n\
                    Depends: base, linux-image-6.1.0-5-cloud-amd64 (= 6.1.9-2)\n";
        let image = parse_package(text).unwrap();
        assert_eq!(image.package, "linux-image-6.1.0-5-cloud-amd64");
        assert_eq!(image.version, "6.1.9-2");
        assert_eq!(parse_package("Package: x\nVersion: 1\n"), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("6.10.1-2") > numbers("6.9.12-1"));
    }
}
