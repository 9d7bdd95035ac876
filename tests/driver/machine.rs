//! Which image boots on which hardware, as QEMU's arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A QEMU machine type that boots a kernel file directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// The old PC: i440FX, IDE.
    Pc,
    /// The newer PC: PCI Express.
    Q35,
    /// No PCI, no firmware to speak of.
    Microvm,
}

impl Board {
    const fn name(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::Microvm => "microvm",
        }
    }
}

/// Who loads the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// QEMU itself, by PVH.
    Kernel(Board),
    /// GRUB from the CD under SeaBIOS, by Multiboot2.
    IsoBios,
    /// GRUB from the CD under OVMF, by Multiboot2.
    IsoUefi,
    /// Our loader from a UEFI disk under OVMF, by the Limine protocol.
    EspUefi,
}

/// A machine to boot. The fields are the defaults that most tests want; change those that matter.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Who loads the kernel.
    pub boot: Boot,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// QEMU's CPU model.
    pub cpu_model: String,
    /// The kernel's command line.
    pub command_line: String,
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial file system, if there is to be one.
    pub initramfs: Option<PathBuf>,
    /// More lines for our loader's nacre.conf, without spaces; used by [`Boot::EspUefi`].
    pub loader_config: Vec<String>,
    /// Whether the guest can end QEMU with a status of its own.
    pub has_debug_exit: bool,
    /// More QEMU arguments.
    pub more_arguments: Vec<String>,
    /// The guest has failed when it writes nothing for this long while a test waits.
    pub silence: Duration,
    /// The guest has failed when it still runs after this long.
    pub total: Duration,
}

impl Machine {
    /// One CPU, 256 MiB, the kernel, and the first programs of the tests.
    pub fn new(boot: Boot) -> Self {
        Self {
            boot,
            cpus: 1,
            memory_mib: 256,
            cpu_model: "max".to_string(),
            command_line: "console=ttyS0".to_string(),
            kernel: PathBuf::from("build/nacre.elf"),
            initramfs: Some(PathBuf::from("build/guest/first.cpio")),
            loader_config: Vec::new(),
            has_debug_exit: true,
            more_arguments: Vec::new(),
            silence: Duration::from_secs(20),
            total: Duration::from_secs(300),
        }
    }

    /// Whether there is a screen to take a picture of.
    pub fn has_screen(&self) -> bool {
        self.boot != Boot::Kernel(Board::Microvm)
    }

    /// Everything but the serial line and the control socket. Builds the disk image that is needed under
    /// `build/test-images/`.
    ///
    /// # Errors
    /// A sentence when the image cannot be built.
    pub fn arguments(&self, name: &str) -> Result<Vec<OsString>, String> {
        let board = match self.boot {
            Boot::Kernel(board) => board,
            Boot::IsoBios => Board::Pc,
            Boot::IsoUefi | Boot::EspUefi => Board::Q35,
        };
        let mut arguments: Vec<OsString> = ["-machine", board.name(), "-accel", "tcg,thread=multi", "-cpu"]
            .into_iter()
            .chain([self.cpu_model.as_str(), "-nodefaults", "-display", "none", "-no-reboot"])
            .map(OsString::from)
            .collect();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        add(&["-smp", &self.cpus.to_string(), "-m", &format!("{}M", self.memory_mib)]);
        if self.has_debug_exit {
            add(&["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        }
        if self.has_screen() {
            add(&["-vga", "std"]);
        }
        match self.boot {
            Boot::Kernel(_) => {
                arguments.extend(["-kernel".into(), self.kernel.clone().into_os_string()]);
                arguments.extend(["-append".into(), OsString::from(&self.command_line)]);
                if let Some(initramfs) = &self.initramfs {
                    arguments.extend(["-initrd".into(), initramfs.clone().into_os_string()]);
                }
            }
            Boot::IsoBios => add(&["-cdrom", &self.build_image("scripts/make-iso", name, "iso")?]),
            Boot::IsoUefi => {
                add(&["-bios", firmware()?, "-cdrom", &self.build_image("scripts/make-iso", name, "iso")?]);
            }
            Boot::EspUefi => {
                let image = self.build_image("scripts/make-esp", name, "img")?;
                add(&["-bios", firmware()?, "-drive", &format!("file={image},format=raw,if=none,id=esp")]);
                add(&["-device", "ide-hd,drive=esp"]);
            }
        }
        arguments.extend(self.more_arguments.iter().map(OsString::from));
        Ok(arguments)
    }

    /// Packs kernel, initramfs and command line into an image of this test's own.
    fn build_image(&self, script: &str, name: &str, extension: &str) -> Result<String, String> {
        let output = format!("build/test-images/{}.{extension}", name.replace('/', "-"));
        let none = PathBuf::from("/nonexistent");
        let result = Command::new(script)
            .env("OUTPUT", &output)
            .env("KERNEL", &self.kernel)
            .env("INITRAMFS", self.initramfs.as_ref().unwrap_or(&none))
            .env("APPEND", &self.command_line)
            .env("CONFIG", self.loader_config.join(" "))
            .output()
            .map_err(|error| format!("cannot run {script}: {error}"))?;
        if result.status.success() {
            Ok(output)
        } else {
            Err(format!("{script} failed: {}", String::from_utf8_lossy(&result.stderr).trim()))
        }
    }
}

/// OVMF with its variables in the same file, which QEMU keeps in memory: tests leave nothing behind.
fn firmware() -> Result<&'static str, String> {
    let path = "/usr/share/ovmf/OVMF.fd";
    if Path::new(path).exists() {
        Ok(path)
    } else {
        Err(format!("there is no {path}; run: scripts/bootstrap running"))
    }
}
