//! The first programs, each as a process of the kernel's.

use alloc::sync::Arc;
use alloc::vec::Vec;

use hal::boot::BootInfo;
use hal::spin::Once;
use logic::signal::{CoreDump, Signal, WaitStatus};
use nucleus::vfs::Place;

use super::crew::leaves_nothing;
use super::{Outcome, check};
use crate::process::{Process, init, tree};
use crate::{first, usermode};

static ROOT: Once<Place> = Once::new();

/// The files of the archive, unpacked once.
fn root(boot: &'static BootInfo) -> Result<&'static Place, alloc::string::String> {
    if let Some(root) = ROOT.get() {
        return Ok(root);
    }
    let archive = hal::boot::initramfs(boot).ok_or("no initramfs")?;
    first::prepare(boot).map_err(|error| alloc::format!("no devices: {error}"))?;
    let root = first::bare_root().map_err(|error| alloc::format!("no root: {error}"))?;
    fs::initramfs::unpack(archive, &root).map_err(|error| alloc::format!("{error}"))?;
    Ok(ROOT.call_once(|| root))
}

fn spawn(root: &Place, path: &str) -> Result<Arc<Process>, alloc::string::String> {
    init::start(root, path.as_bytes(), &[], &[], first::open_console(root), usermode::start)
        .map_err(|error| alloc::format!("{path}: {error:?}"))
}

/// Waits for its end, and forgets it as a parent would.
fn wait(process: &Arc<Process>) -> Result<WaitStatus, alloc::string::String> {
    let status = first::wait(process).map_err(|error| alloc::format!("{error:?}"))?;
    tree::forget(process.pid);
    Ok(status)
}

fn expect(root: &Place, path: &str, expected: WaitStatus) -> Outcome {
    let status = wait(&spawn(root, path)?)?;
    check!(status == expected, "{path}: {status:?}; expected: {expected:?}");
    Ok(())
}

pub(super) fn programs_end_as_on_linux(boot: &'static BootInfo) -> Outcome {
    let root = root(boot)?;
    // What is made at the first use only: the page of zeros, entries of the tree.
    expect(root, "/init", WaitStatus::Exited(0))?;
    leaves_nothing(|| {
        let segmentation_fault = WaitStatus::Signaled { signal: Signal::SEGV, core: CoreDump::None };
        expect(root, "/init", WaitStatus::Exited(0))?;
        expect(root, "/tests/calls", WaitStatus::Exited(0))?;
        expect(root, "/tests/wild", segmentation_fault)?;
        expect(root, "/tests/privileged", segmentation_fault)
    })
}

pub(super) fn many_programs_at_once(boot: &'static BootInfo) -> Outcome {
    let root = root(boot)?;
    leaves_nothing(|| {
        let mut running = Vec::new();
        for _ in 0..6 {
            running.push(spawn(root, "/tests/registers")?);
        }
        for process in running {
            let status = wait(&process)?;
            check!(status == WaitStatus::Exited(0), "/tests/registers: {status:?}");
        }
        Ok(())
    })
}
