//! The machine as a whole: mounts, names, reboot.

use alloc::vec::Vec;
use core::ffi::CStr;

use abi::Result;

use crate::sys::calls;

pub use crate::sys::numbers;

/// Mounts a file system.
///
/// # Errors
/// Those of mount(2).
pub fn mount(source: &CStr, place: &CStr, kind: &CStr, flags: usize, options: &CStr) -> Result<()> {
    calls::mount(source, place, kind, flags, options).map(drop)
}

/// Takes a mount away.
///
/// # Errors
/// Those of umount2(2).
pub fn unmount(place: &CStr, flags: usize) -> Result<()> {
    calls::umount2(place, flags).map(drop)
}

/// The magic number of the file system that a name leads to.
///
/// # Errors
/// Those of statfs(2).
pub fn file_system_kind(path: &CStr) -> Result<u64> {
    calls::statfs(path).map(|words| words[0])
}

/// Changes the root, for good.
///
/// # Errors
/// Those of chroot(2).
pub fn change_root(path: &CStr) -> Result<()> {
    calls::chroot(path).map(drop)
}

/// Waits until everything is on its disk.
pub fn sync() {
    let _ = calls::sync();
}

/// Sets the host's name.
///
/// # Errors
/// Those of sethostname(2).
pub fn set_host_name(name: &[u8]) -> Result<()> {
    calls::sethostname(name).map(drop)
}

/// What the system says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The kernel: `Linux`.
    pub system: Vec<u8>,
    /// This machine in its network.
    pub host: Vec<u8>,
    /// The kernel's version.
    pub release: Vec<u8>,
    /// When and how it was built.
    pub version: Vec<u8>,
    /// The processor.
    pub machine: Vec<u8>,
    /// The domain.
    pub domain: Vec<u8>,
}

/// Asks for them.
///
/// # Errors
/// None that Linux knows.
pub fn names() -> Result<Names> {
    let [system, host, release, version, machine, domain] =
        calls::uname()?.map(|field| field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec());
    Ok(Names { system, host, release, version, machine, domain })
}

/// What becomes of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Off.
    PowerOff,
    /// Started again.
    Restart,
    /// Stopped, and left on.
    Halt,
}

/// Ends the system now: nothing is written, nobody is asked.
///
/// # Errors
/// EPERM.
pub fn finish(finish: Finish) -> Result<()> {
    let command = match finish {
        Finish::PowerOff => numbers::REBOOT_POWER_OFF,
        Finish::Restart => numbers::REBOOT_RESTART,
        Finish::Halt => numbers::REBOOT_HALT,
    };
    calls::reboot(numbers::REBOOT_MAGIC, numbers::REBOOT_MAGIC2, command).map(drop)
}

/// From now on Ctrl-Alt-Del is a SIGINT to process 1.
///
/// # Errors
/// EPERM.
pub fn take_ctrl_alt_del() -> Result<()> {
    calls::reboot(numbers::REBOOT_MAGIC, numbers::REBOOT_MAGIC2, numbers::REBOOT_CAD_OFF).map(drop)
}

/// Waits for any of the descriptors, at most so long; which can be read.
///
/// # Errors
/// EINTR when a noted signal came.
pub fn wait_readable<const N: usize>(
    descriptors: [crate::file::Descriptor; N],
    timeout_ms: Option<u64>,
) -> Result<[bool; N]> {
    let mut asked = descriptors.map(|fd| calls::PollFd { fd: fd.0, events: abi::file::POLLIN, found: 0 });
    let timeout = timeout_ms.map_or(-1, |ms| i32::try_from(ms).unwrap_or(i32::MAX));
    calls::poll(&mut asked, timeout)?;
    Ok(asked.map(|fd| fd.found != 0))
}
