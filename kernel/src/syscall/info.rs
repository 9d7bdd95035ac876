//! About the system: uname, sysinfo, host name, log.

use abi::{Errno, Result};
use hal::frames;
use logic::cred::Capability;

use super::args::{Address, Hex, UserPtr};
use crate::process::{Cx, tree};
use crate::system::{self, CtrlAltDelete};

/// uname(2).
pub(super) fn uname(_cx: &mut Cx, to: UserPtr<[u8; 390]>) -> Result<()> {
    let mut bytes = [0; 390];
    let host = system::host_name();
    let fields = [
        b"Linux",
        host.as_str().as_bytes(),
        system::RELEASE.as_bytes(),
        system::VERSION.as_bytes(),
        b"x86_64",
        b"(none)",
    ];
    for (field, text) in bytes.chunks_exact_mut(65).zip(fields) {
        let len = text.len().min(64);
        field[..len].copy_from_slice(&text[..len]);
    }
    to.write(&bytes)
}

/// sethostname(2).
pub(super) fn sethostname(cx: &mut Cx, name: Address, len: i32) -> Result<()> {
    if !cx.cred.has(Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len).ok().filter(|&len| len <= 64).ok_or(Errno::EINVAL)?;
    let mut bytes = [0; 64];
    hal::usermem::read_bytes(&mut bytes[..len], name.0)?;
    system::set_host_name(&bytes[..len]);
    Ok(())
}

/// setdomainname(2): there is one name.
pub(super) fn setdomainname(cx: &mut Cx, name: Address, len: i32) -> Result<()> {
    if !cx.cred.has(Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len).ok().filter(|&len| len <= 64).ok_or(Errno::EINVAL)?;
    let mut bytes = [0; 64];
    hal::usermem::read_bytes(&mut bytes[..len], name.0)
}

/// sysinfo(2).
pub(super) fn sysinfo(_cx: &mut Cx, to: UserPtr<[u64; 14]>) -> Result<()> {
    let stats = frames::stats();
    let loads = system::loads();
    let mut words = [0; 14];
    // A second that has begun counts, as on Linux.
    words[0] = hal::time::now_ns().div_ceil(abi::time::NANOS);
    // Hundredths on the scale of 1 << 16.
    for (word, load) in words[1..4].iter_mut().zip(loads) {
        *word = load;
    }
    words[4] = stats.total as u64 * 4096;
    words[5] = stats.free as u64 * 4096;
    words[10] = u64::from(tree::task_count()) & 0xffff;
    words[13] = 1;
    to.write(&words)
}

/// syslog(2).
pub(super) fn syslog(cx: &mut Cx, action: u32, to: Address, len: i32) -> Result<usize> {
    let len = usize::try_from(len).ok();
    match action {
        // Open, close, console off, on, level.
        0 | 1 | 6..=8 => Ok(0),
        // Read all, read and clear.
        3 | 4 => {
            if !cx.cred.has(Capability::SysAdmin) {
                return Err(Errno::EPERM);
            }
            let len = len.ok_or(Errno::EINVAL)?;
            let text = system::log_tail(len)?;
            hal::usermem::write_bytes(to.0, &text)?;
            Ok(text.len())
        }
        // Bytes not read, size of the buffer.
        9 => Ok(0),
        10 => Ok(64 << 10),
        _ => Err(Errno::EINVAL),
    }
}

/// reboot(2).
pub(super) fn reboot(cx: &mut Cx, magic: Hex, second: Hex, command: Hex, _name: Address) -> Result<()> {
    const MAGIC: u32 = 0xfee1_dead;
    const SECOND: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
    if !cx.cred.has(Capability::SysBoot) {
        return Err(Errno::EPERM);
    }
    if magic.0 != MAGIC || !SECOND.contains(&second.0) {
        return Err(Errno::EINVAL);
    }
    match command.0 {
        0 => {
            system::set_ctrl_alt_delete(CtrlAltDelete::AsksInit);
            Ok(())
        }
        0x89ab_cdef => {
            system::set_ctrl_alt_delete(CtrlAltDelete::Restarts);
            Ok(())
        }
        0x4321_fedc => system::power_off(),
        0x0123_4567 => system::restart(),
        0xcdef_0123 => system::halt(),
        _ => Err(Errno::EINVAL),
    }
}

/// getcpu(2).
pub(super) fn getcpu(_cx: &mut Cx, cpu: UserPtr<u32>, node: UserPtr<u32>) -> Result<()> {
    let number = u32::try_from(hal::cpu::id()).unwrap_or(0);
    cpu.write_optional(&number)?;
    node.write_optional(&0)
}
