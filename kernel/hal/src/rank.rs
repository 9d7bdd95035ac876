//! Lock ranks: the one order in which locks may nest.
//!
//! Every lock names its rank in its type. The list runs outermost first: a CPU (or thread, for sleeping locks) that
//! holds a rank may only take later ones. Debug builds check it (`lock_ranks`).

/// A place in the lock order.
pub trait Rank {
    /// Position; larger is inner.
    const LEVEL: u8;
    /// What the checker prints.
    const NAME: &'static str;
}

macro_rules! ranks {
    ($($(#[doc = $text:literal])* $name:ident = $level:literal;)*) => {
        $(
            $(#[doc = $text])*
            #[derive(Debug)]
            pub enum $name {}
            impl Rank for $name {
                const LEVEL: u8 = $level;
                const NAME: &'static str = stringify!($name);
            }
        )*

        /// All ranks: level and name, outermost first.
        pub(crate) const ALL: &[(u8, &str)] = &[$(($level, stringify!($name))),*];
    };
}

ranks! {
    /// The tree of processes: parents, children, exit codes.
    ProcessTree = 10;
    /// All objects of one sort of System V IPC.
    IpcTable = 12;
    /// One such object.
    IpcObject = 13;
    /// The files that tell of themselves by signals.
    IoSignals = 17;
    /// What one epoll instance watches; it looks at files under it.
    Epoll = 18;
    /// One process: its threads, its pending signals, how it ends.
    Task = 20;
    /// The signal actions that tasks share.
    SignalActions = 21;
    /// The open files of a process.
    FdTable = 22;
    /// The working directory and the like of a process.
    FsContext = 23;
    /// The position of an open file.
    Position = 24;
    /// One thread: its pending signals, what others may ask it.
    TaskState = 25;
    /// One pipe, terminal or the like: what a copy to user memory may happen under.
    Stream = 26;
    /// The sleepers of one bucket of futexes.
    Futex = 27;
    /// The writers of one file, and who cuts it: copies from user memory happen under it.
    Writing = 28;
    /// Who writes pages of one file back, or takes its blocks away.
    WriteBack = 29;
    /// The map of areas of a user address space.
    AddressSpace = 30;
    /// What draws the screen.
    Display = 31;
    /// The table of mounts.
    Mount = 32;
    /// Two directories that one rename changes, and nothing else.
    Rename = 33;
    /// The names known of one directory.
    Names = 34;
    /// One file of a file system: its attributes, its directory, its pages.
    Inode = 35;
    /// The cached pages of one file.
    PageCache = 36;
    /// The list of all files that have locks.
    LockTable = 37;
    /// The locks on one file.
    FileLocks = 38;
    /// Who waits for a lock on a file.
    LockWaiters = 39;
    /// The list of all threads.
    ThreadList = 40;
    /// All watches on files.
    Watches = 41;
    /// What one watcher of files has not read.
    WatchQueue = 42;
    /// The timers, as files, that go by the time of day.
    TimerFiles = 43;
    /// The names that one CPU found lately; no other CPU takes it.
    RecentNames = 44;
    /// Where in the tree one name is.
    NamePlace = 45;
    /// The cells of one virtual console.
    Screen = 46;
    /// Small tables of the kernel that are looked at and left: who runs and who writes a file, devices by number.
    Table = 47;
    /// One timer that is a file; its timer interrupt takes it.
    TimerFile = 48;
    /// What waits for one disk, and what became of it.
    BlockQueue = 49;
    /// The waiters of one wait queue.
    WaitQueue = 50;
    /// The timers of one CPU.
    Timers = 60;
    /// One thread's scheduling state.
    ThreadState = 65;
    /// The threads ready to run on one CPU.
    RunQueue = 70;
    /// The page tables of one program.
    PageTables = 75;
    /// Kernel virtual mappings outside the direct map.
    KernelMap = 80;
    /// One device: its registers, and what its interrupt left for a thread to take.
    Device = 90;
    /// One slab size class, or the large end of the heap.
    Heap = 100;
    /// The free frames of one zone.
    Frames = 110;
    /// The ring of log records.
    Log = 120;
    /// The console's output port.
    Console = 130;
}

/// Levels are below this.
pub(crate) const LEVELS: usize = ALL[ALL.len() - 1].0 as usize + 1;
