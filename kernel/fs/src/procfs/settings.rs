//! `/proc/sys`: what sysctl(8) reads, and the few things it may change.

use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::spin::Once;
use logic::proc_text::{Text, system};
use nucleus::log;
use nucleus::vfs::{leases, watch};

use super::ipc;
use super::table::{Question, Row, What, directory, number, put, setting, text};
use crate::devices::random_u64;
use crate::{mqueue, pipe};

pub(super) const ROWS: &[Row] = &[
    directory("fs", 0o555, What::Directory(FS)),
    directory("kernel", 0o555, What::Directory(KERNEL)),
    directory("vm", 0o555, What::Directory(VM)),
];

/// A file with one word that never changes.
macro_rules! constant {
    ($name:literal, $word:expr) => {
        text($name, |_, to| {
            put!(to, "{}\n", $word);
            Ok(())
        })
    };
}

/// A file with a number that can be changed.
macro_rules! variable {
    ($name:literal, $number:expr) => {
        setting(
            $name,
            |_, to| {
                put!(to, "{}\n", $number.load(Ordering::Relaxed));
                Ok(())
            },
            |_, bytes| {
                $number.store(number(bytes)?, Ordering::Relaxed);
                Ok(())
            },
        )
    };
}

const FS: &[Row] = &[
    constant!("file-max", i64::MAX),
    text("file-nr", |_, to| {
        put!(to, "{}\t0\t{}\n", nucleus::vfs::open::count(), i64::MAX);
        Ok(())
    }),
    directory("inotify", 0o555, What::Directory(INOTIFY)),
    variable!("lease-break-time", leases::BREAK_SECONDS),
    directory("mqueue", 0o555, What::Directory(MQUEUE)),
    constant!("nr_open", 1_048_576),
    setting(
        "pipe-max-size",
        |_, to| {
            put!(to, "{}\n", pipe::max_capacity());
            Ok(())
        },
        |_, bytes| pipe::set_max_capacity(number(bytes)?),
    ),
    constant!("protected_hardlinks", 0),
    constant!("protected_symlinks", 0),
    constant!("suid_dumpable", 0),
];

const INOTIFY: &[Row] = &[
    variable!("max_queued_events", watch::LIMITS.events),
    variable!("max_user_instances", watch::LIMITS.readers),
    variable!("max_user_watches", watch::LIMITS.watches),
];

const MQUEUE: &[Row] = &[
    variable!("msg_default", mqueue::LIMITS.default_messages),
    variable!("msg_max", mqueue::LIMITS.messages),
    variable!("msgsize_default", mqueue::LIMITS.default_bytes),
    variable!("msgsize_max", mqueue::LIMITS.bytes),
    variable!("queues_max", mqueue::LIMITS.queues),
];

const KERNEL: &[Row] = &[
    constant!("cap_last_cap", 40),
    constant!("core_pattern", "core"),
    setting("hostname", host_name, set_host_name),
    ipc::MSG_MAX,
    ipc::MSG_MNB,
    ipc::MSG_MNI,
    constant!("ngroups_max", 65_536),
    text("osrelease", |question, to| {
        put!(to, "{}\n", question.system().release());
        Ok(())
    }),
    constant!("ostype", "Linux"),
    constant!("overflowgid", 65_534),
    constant!("overflowuid", 65_534),
    text("pid_max", |question, to| {
        put!(to, "{}\n", question.system().now().number_limit);
        Ok(())
    }),
    setting("printk", printk, set_printk),
    directory("random", 0o555, What::Directory(RANDOM)),
    constant!("randomize_va_space", 2),
    ipc::SEM,
    ipc::SHM_ALL,
    ipc::SHM_MAX,
    ipc::SHM_MNI,
    text("threads-max", |question, to| {
        put!(to, "{}\n", question.system().now().task_limit);
        Ok(())
    }),
    text("version", |question, to| {
        put!(to, "{}\n", question.system().version());
        Ok(())
    }),
];

const RANDOM: &[Row] = &[
    text("boot_id", |_, to| {
        static BOOT: Once<[u64; 2]> = Once::new();
        system::uuid(to, *BOOT.call_once(|| [random_u64(), random_u64()]));
        Ok(())
    }),
    constant!("entropy_avail", 256),
    constant!("poolsize", 256),
    text("uuid", |_, to| {
        system::uuid(to, [random_u64(), random_u64()]);
        Ok(())
    }),
];

const VM: &[Row] = &[
    constant!("dirty_background_ratio", 10),
    constant!("dirty_expire_centisecs", 3000),
    constant!("dirty_ratio", 20),
    constant!("dirty_writeback_centisecs", 500),
    Row {
        name: "drop_caches",
        permissions: 0o200,
        what: What::Setting(|_, _| Err(Errno::EACCES), drop_caches),
    },
    constant!("max_map_count", 65_530),
    constant!("min_free_kbytes", 0),
    constant!("mmap_min_addr", 65_536),
    constant!("nr_hugepages", 0),
    constant!("overcommit_memory", 0),
    constant!("overcommit_ratio", 50),
    constant!("swappiness", 60),
];

/// 1: pages of files; 2: what else is remembered of them; 3: both.
fn drop_caches(_question: &Question<'_>, bytes: &[u8]) -> Result<()> {
    match number::<u32>(bytes)? {
        what @ 1..=3 => {
            if what & 2 != 0 {
                // Twice each: those in use since are spared once.
                nucleus::vfs::entry::prune::forget(2 * nucleus::vfs::entry::prune::count());
            }
            if what & 1 != 0 {
                nucleus::vfs::cache::reclaim::drop_all_clean();
            }
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

fn host_name(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let mut name = alloc::vec::Vec::new();
    question.system().host_name(&mut name);
    to.raw(&name);
    to.raw(b"\n");
    Ok(())
}

fn set_host_name(question: &Question<'_>, bytes: &[u8]) -> Result<()> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(bytes.len());
    if end > 64 {
        return Err(Errno::EINVAL);
    }
    question.system().set_host_name(&bytes[..end])
}

/// Levels: of the console, of messages without one, the lowest the console may have, the console's at boot.
fn printk(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "{}\t4\t1\t7\n", log::console_level());
    Ok(())
}

fn set_printk(_question: &Question<'_>, bytes: &[u8]) -> Result<()> {
    let first = bytes.split(|byte| byte.is_ascii_whitespace()).find(|word| !word.is_empty());
    log::set_console_level(number(first.unwrap_or_default())?);
    Ok(())
}
