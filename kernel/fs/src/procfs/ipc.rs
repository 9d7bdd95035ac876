//! System V IPC in `/proc`: `/proc/sysvipc`, and its limits in `/proc/sys/kernel`.

use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use logic::proc_text::Text;

use super::source::{IpcLimit, IpcSort};
use super::table::{Question, Row, number, put, setting, text};

/// `/proc/sysvipc`.
pub(super) const ROWS: &[Row] = &[
    text("msg", |question, to| question.system().list_ipc(IpcSort::Msg, to)),
    text("sem", |question, to| question.system().list_ipc(IpcSort::Sem, to)),
    text("shm", |question, to| question.system().list_ipc(IpcSort::Shm, to)),
];

macro_rules! limit {
    ($name:literal, $limit:expr) => {
        setting(
            $name,
            |question, to| show(question, $limit, to),
            |question, bytes| store(question, $limit, bytes),
        )
    };
}

pub(super) const SEM: Row = limit!("sem", IpcLimit::Sem);
pub(super) const MSG_MAX: Row = limit!("msgmax", IpcLimit::MsgMax);
pub(super) const MSG_MNB: Row = limit!("msgmnb", IpcLimit::MsgMnb);
pub(super) const MSG_MNI: Row = limit!("msgmni", IpcLimit::MsgMni);
pub(super) const SHM_MAX: Row = limit!("shmmax", IpcLimit::ShmMax);
pub(super) const SHM_ALL: Row = limit!("shmall", IpcLimit::ShmAll);
pub(super) const SHM_MNI: Row = limit!("shmmni", IpcLimit::ShmMni);

fn show(question: &Question<'_>, limit: IpcLimit, to: &mut Text) -> Result<()> {
    for (index, number) in question.system().ipc_limits(limit).iter().enumerate() {
        let separator = if index == 0 { "" } else { "\t" };
        put!(to, "{separator}{}", number.load(Ordering::Relaxed));
    }
    to.raw(b"\n");
    Ok(())
}

fn store(question: &Question<'_>, limit: IpcLimit, bytes: &[u8]) -> Result<()> {
    /// What Linux allows of those that are no numbers of bytes.
    const MOST: u64 = i32::MAX as u64;
    let limits = question.system().ipc_limits(limit);
    let is_large = matches!(limit, IpcLimit::ShmMax | IpcLimit::ShmAll);
    let words = bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (to, word) in limits.iter().zip(words) {
        let value: u64 = number(word)?;
        if !is_large && value > MOST {
            return Err(Errno::EINVAL);
        }
        to.store(value, Ordering::Relaxed);
    }
    Ok(())
}
