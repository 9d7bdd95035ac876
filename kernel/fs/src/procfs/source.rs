//! What `/proc` asks of processes and the system: the closed upcall from procfs to process.
//!
//! All of it is called without a lock, by whatever program reads; a source takes its own locks and gives copies.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use abi::Result;
use logic::proc_text::Text;
use logic::proc_text::process::Process;
use logic::proc_text::system::CpuTimes;
use nucleus::mm::Memory;
use nucleus::vfs::{OpenFile, Place};

/// A thread of a process; of a process as a whole, its first thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The process's number.
    pub process: u32,
    /// The thread's number.
    pub thread: u32,
}

impl Who {
    /// A process as a whole.
    pub const fn process(number: u32) -> Self {
        Who { process: number, thread: number }
    }
}

/// A link in a process's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Its working directory.
    WorkingDirectory,
    /// Its program.
    Executable,
    /// Its root directory.
    Root,
    /// An open file.
    Descriptor(u32),
}

/// Where a link leads.
#[derive(Clone, Default)]
pub struct Target {
    /// What readlink(2) gives: a path as the reader sees it, or `pipe:[17]`.
    pub text: Vec<u8>,
    /// The file itself, if it has a name.
    pub place: Option<Place>,
    /// For descriptors: the open file.
    pub file: Option<Arc<OpenFile>>,
}

/// Something that can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting<'a> {
    /// `comm`.
    Name(&'a [u8]),
    /// `oom_score_adj`.
    OomAdjustment(i32),
    /// `trace`: whether system calls are printed.
    Trace(bool),
}

/// What a process can be told, as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// `oom_score`.
    pub oom_score: u32,
    /// `oom_score_adj`.
    pub oom_adjustment: i32,
    /// `trace`.
    pub is_traced: bool,
    /// personality(2).
    pub personality: u32,
}

/// Processes, as `/proc` sees them. ESRCH, or none, where there is no such process.
pub trait ProcessSource: Send + Sync {
    /// The numbers of all processes, in any order.
    ///
    /// # Errors
    /// ENOMEM.
    fn processes(&self) -> Result<Vec<u32>>;

    /// The numbers of the threads of a process, in any order.
    ///
    /// # Errors
    /// ESRCH, ENOMEM.
    fn threads(&self, process: u32) -> Result<Vec<u32>>;

    /// Who asks.
    fn current(&self) -> Option<Who>;

    /// Effective user and group: who owns its files in `/proc`. Cheap, as each look-up of a name asks.
    ///
    /// # Errors
    /// ESRCH if there is no such process, or it has no such thread.
    fn owner(&self, who: Who) -> Result<(u32, u32)>;

    /// All but its memory.
    ///
    /// # Errors
    /// ESRCH, ENOMEM.
    fn snapshot(&self, who: Who) -> Result<Process>;

    /// Its memory, if it has any (zombies have not), to look at its size only.
    ///
    /// # Errors
    /// ESRCH.
    fn memory(&self, who: Who) -> Result<Option<Arc<Memory>>>;

    /// Whether the caller may look inside: at its memory's map and contents, and at where its links lead (ptrace(2),
    /// PTRACE_MODE_READ).
    ///
    /// # Errors
    /// EACCES, ESRCH.
    fn check_inspect(&self, who: Who) -> Result<()>;

    /// Soft and hard limits by number; `u64::MAX` is no limit.
    ///
    /// # Errors
    /// ESRCH.
    fn limits(&self, who: Who) -> Result<[(u64, u64); 16]>;

    /// The lowest descriptor that is `from` or more.
    ///
    /// # Errors
    /// ESRCH.
    fn next_descriptor(&self, who: Who, from: u32) -> Result<Option<u32>>;

    /// Where a link leads.
    ///
    /// # Errors
    /// ESRCH; ENOENT if it leads nowhere; ENOMEM.
    fn link(&self, who: Who, link: Link) -> Result<Target>;

    /// What it was told.
    ///
    /// # Errors
    /// ESRCH.
    fn controls(&self, who: Who) -> Result<Controls>;

    /// Tells it something.
    ///
    /// # Errors
    /// ESRCH, EACCES, EINVAL.
    fn set(&self, who: Who, setting: Setting<'_>) -> Result<()>;
}

/// What is counted of the system.
#[derive(Clone, Debug, Default)]
pub struct SystemNow {
    /// Load averages over 1, 5 and 15 minutes, times 65536.
    pub loads: [u64; 3],
    /// Where each CPU's time went.
    pub cpus: Vec<CpuTimes>,
    /// Interrupts since boot.
    pub interrupts: u64,
    /// Tasks started since boot.
    pub started: u64,
    /// Tasks there are.
    pub tasks: u32,
    /// The number given out last.
    pub last: u32,
    /// Numbers are below this.
    pub number_limit: u32,
    /// How many tasks there may be.
    pub task_limit: u64,
}

/// A sort of System V IPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpcSort {
    /// Semaphores.
    Sem,
    /// Messages.
    Msg,
    /// Memory.
    Shm,
}

/// A limit of System V IPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpcLimit {
    /// `sem`: four numbers.
    Sem,
    /// `msgmax`.
    MsgMax,
    /// `msgmnb`.
    MsgMnb,
    /// `msgmni`.
    MsgMni,
    /// `shmmax`.
    ShmMax,
    /// `shmall`.
    ShmAll,
    /// `shmmni`.
    ShmMni,
}

/// The system, as `/proc` sees it.
pub trait SystemSource: Send + Sync {
    /// What is counted.
    fn now(&self) -> SystemNow;

    /// `uname -r`.
    fn release(&self) -> &str;

    /// `uname -v`.
    fn version(&self) -> &str;

    /// The kernel's command line.
    fn command_line(&self) -> &str;

    /// Appends the lines of `/proc/sysvipc` that the reader may read.
    ///
    /// # Errors
    /// ENOMEM.
    fn list_ipc(&self, sort: IpcSort, to: &mut Text) -> Result<()>;

    /// A limit of System V IPC, to read and to set.
    fn ipc_limits(&self, limit: IpcLimit) -> &'static [AtomicU64];

    /// Appends the host's name.
    fn host_name(&self, to: &mut Vec<u8>);

    /// Changes it.
    ///
    /// # Errors
    /// EPERM, EINVAL.
    fn set_host_name(&self, name: &[u8]) -> Result<()>;
}
