//! The three columns: which kernel, and which command line.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::linux::Linux;
use crate::programs::{Program, Programs};
use crate::qemu::{Boot, Clock};

const NACRE: &str = "build/nacre.elf";
const CPUS: u32 = 1;

/// For both kernels. A panic reboots, which ends QEMU, so that a boot that fails does not take long.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1";

/// A column of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Linux without what guards against hardware bugs and stale memory: the harder bar, and the one that
    /// ratios are taken against.
    LinuxFast,
    /// Linux as Debian boots it.
    LinuxDefault,
    Nacre,
}

impl System {
    pub(crate) const ALL: [Self; 3] = [Self::LinuxFast, Self::LinuxDefault, Self::Nacre];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::LinuxFast => "Linux, mitigations=off",
            Self::LinuxDefault => "Linux, defaults",
            Self::Nacre => "Nacre",
        }
    }

    /// The key in bench.json.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::LinuxFast => "linux_mitigations_off",
            Self::LinuxDefault => "linux_defaults",
            Self::Nacre => "nacre",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    const fn more_words(self) -> &'static str {
        match self {
            Self::LinuxFast => " mitigations=off init_on_alloc=0",
            Self::LinuxDefault | Self::Nacre => "",
        }
    }
}

/// Everything that was prepared for the boots.
pub(crate) struct Lab {
    pub(crate) programs: Programs,
    pub(crate) linux: Option<Linux>,
    pub(crate) systems: Vec<System>,
}

impl Lab {
    /// The kernel image of `system`.
    ///
    /// Fails when there is none.
    pub(crate) fn kernel(&self, system: System) -> Result<PathBuf> {
        match (system, &self.linux) {
            (System::Nacre, _) if Path::new(NACRE).exists() => Ok(NACRE.into()),
            (System::Nacre, _) => Err(format!("there is no {NACRE}; run: make build")),
            (_, Some(linux)) => Ok(linux.kernel.clone()),
            (_, None) => Err("Linux was left out".to_string()),
        }
    }

    /// The bytes of the kernel image of `system`.
    pub(crate) fn image(&self, system: System) -> Result<Vec<u8>> {
        let path = self.kernel(system)?;
        fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    }

    /// A boot of `system` to the end of a benchmark program; callers change what they want otherwise.
    pub(crate) fn boot(&self, system: System, clock: Clock, program: Program) -> Result<Boot> {
        Ok(Boot {
            kernel: self.kernel(system)?,
            initramfs: self.programs.archive(program)?.to_path_buf(),
            command_line: format!("{COMMAND_LINE}{}", system.more_words()),
            memory_mib: program.memory_mib(),
            cpus: CPUS,
            clock,
            until: "end",
            disk: self.programs.disk(program).map(Path::to_path_buf),
        })
    }

    /// A boot that only tells when the firmware starts a kernel of the kind that `system` is.
    pub(crate) fn boot_firmware(&self, system: System) -> Result<Boot> {
        let kernel = match system {
            System::Nacre => &self.programs.firmware_pvh,
            System::LinuxFast | System::LinuxDefault => &self.programs.firmware_bzimage,
        };
        Ok(Boot { kernel: kernel.clone(), ..self.boot(system, Clock::Instructions, Program::Init)? })
    }
}
