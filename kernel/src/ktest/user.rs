//! The first programs.

use alloc::vec::Vec;

use hal::boot::BootInfo;

use super::crew::leaves_nothing;
use super::{Outcome, check};
use crate::initramfs;
use crate::process::{Ending, Signal};
use crate::program::{self, Running};

fn spawn(boot: &'static BootInfo, path: &str) -> Result<Running, alloc::string::String> {
    let image = initramfs::find(initramfs::archive(boot), path).map_err(|_| alloc::format!("no {path}"))?;
    program::spawn(path, image).map_err(|error| alloc::format!("{path}: {error:?}"))
}

fn expect(boot: &'static BootInfo, path: &str, expected: Ending) -> Outcome {
    let ending = spawn(boot, path)?.wait().map_err(|error| alloc::format!("{path}: {error:?}"))?;
    check!(ending == expected, "{path} {ending}; expected: {expected}");
    Ok(())
}

pub(super) fn programs_end_as_on_linux(boot: &'static BootInfo) -> Outcome {
    leaves_nothing(|| {
        expect(boot, "init", Ending::Exited(0))?;
        expect(boot, "tests/calls", Ending::Exited(0))?;
        expect(boot, "tests/wild", Ending::Killed(Signal::SEGV))?;
        expect(boot, "tests/privileged", Ending::Killed(Signal::SEGV))?;
        expect(boot, "tests/step", Ending::Killed(Signal::TRAP))
    })
}

pub(super) fn many_programs_at_once(boot: &'static BootInfo) -> Outcome {
    leaves_nothing(|| {
        let mut running = Vec::new();
        for _ in 0..6 {
            running.push(spawn(boot, "tests/registers")?);
        }
        for program in running {
            let ending = program.wait().map_err(|error| alloc::format!("{error:?}"))?;
            check!(ending == Ending::Exited(0), "tests/registers {ending}");
        }
        Ok(())
    })
}
