//! System V IPC: `/proc/sysvipc`.

use super::text::Text;
use crate::sysv::perm::Perm;

/// The first line of `/proc/sysvipc/sem`.
pub const SEM_HEAD: &[u8] =
    b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";
/// The first line of `/proc/sysvipc/msg`.
pub const MSG_HEAD: &[u8] = b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n";
/// The first line of `/proc/sysvipc/shm`.
pub const SHM_HEAD: &[u8] = b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n";

/// An object: whose it is, its number, the flags beside its permissions.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Whose it is.
    pub perm: Perm,
    /// Its number.
    pub number: i32,
    /// More bits of its mode.
    pub flags: u32,
}

fn head(to: &mut Text, object: &Object) {
    let Object { perm, number, flags } = object;
    to.put(format_args!("{:10} {number:10}  {:4o} ", perm.key, perm.mode | flags));
}

fn owners(to: &mut Text, perm: &Perm) {
    to.put(format_args!("{:5} {:5} {:5} {:5} ", perm.user, perm.group, perm.maker, perm.maker_group));
}

/// A set of semaphores: how many, times of the last operation and change.
pub fn sem(to: &mut Text, object: &Object, count: usize, times: [u64; 2]) {
    head(to, object);
    to.put(format_args!("{count:10} "));
    owners(to, &object.perm);
    to.put(format_args!("{:10} {:10}\n", times[0], times[1]));
}

/// A queue of messages: bytes and messages, who sent and received last, times of that and of the last change.
pub fn msg(to: &mut Text, object: &Object, filled: [usize; 2], pids: [u32; 2], times: [u64; 3]) {
    head(to, object);
    to.put(format_args!(" {:10} {:10} {:5} {:5} ", filled[0], filled[1], pids[0], pids[1]));
    owners(to, &object.perm);
    to.put(format_args!("{:10} {:10} {:10}\n", times[0], times[1], times[2]));
}

/// Memory: its size and what of it is there, how often it is attached, who made it and used it last, times of attaching,
/// detaching and the last change.
pub fn shm(
    to: &mut Text,
    object: &Object,
    sizes: [u64; 2],
    attached: usize,
    pids: [u32; 2],
    times: [u64; 3],
) {
    head(to, object);
    to.put(format_args!("{:21} {:5} {:5}  {attached:5} ", sizes[0], pids[0], pids[1]));
    owners(to, &object.perm);
    to.put(format_args!("{:10} {:10} {:10} {:21} {:21}\n", times[0], times[1], times[2], sizes[1], 0));
}
