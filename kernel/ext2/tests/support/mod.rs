//! What the tests of ext2 share: images made by mke2fs, a disk that remembers writes, and a shell such as the kernel's: it
//! keeps dirty data in memory, carries out commits, and commits first when it is told to.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod model;
pub(crate) mod recorder;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::time::Timespec;
use abi::{Errno, Result};
use ext2::{
    Access, BlockSource, Blocks, Ext2, Failure, Ino, Listing, NewNode, Options, Outcome, Pending, Purpose,
    Removed, Renaming, Reserve, Write,
};

/// A file that is removed with its owner.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Temporary(folder.join(format!("nacre-ext2-{}-{number}-{name}", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a tool; returns its exit code and what it wrote.
pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> (i32, String) {
    use std::io::Write as _;
    let search = format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default());
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", search)
        .env("E2FSPROGS_FAKE_TIME", "1700000000")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; Debian's package e2fsprogs has it"));
    let (mut pipe, input) = (child.stdin.take().unwrap(), input.to_string());
    // By another thread, so that neither end waits for the other with a full pipe.
    let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// An image of so many KiB, made by mke2fs with these options.
pub(crate) fn image(options: &[&str], kib: u64) -> Temporary {
    let temporary = Temporary::new("image");
    let path = temporary.0.to_str().unwrap().to_string();
    let size = format!("{kib}k");
    let mut arguments = vec!["-q", "-F", "-t", "ext2"];
    arguments.extend_from_slice(options);
    arguments.extend_from_slice(&[&path, &size]);
    let (code, text) = run("mke2fs", &arguments, "");
    assert_eq!(code, 0, "mke2fs {arguments:?}: {text}");
    temporary
}

/// Requires that e2fsck has nothing to say.
pub(crate) fn check_clean(path: &Path) {
    let (code, text) = run("e2fsck", &["-fn", path.to_str().unwrap()], "");
    assert_eq!(code, 0, "e2fsck -fn {}: {text}", path.display());
}

/// What debugfs answers to commands.
pub(crate) fn debugfs(path: &Path, commands: &str) -> String {
    let (code, text) = run("debugfs", &["-w", "-f", "-", path.to_str().unwrap()], commands);
    assert_eq!(code, 0, "debugfs: {text}");
    text
}

/// What happened to a disk.
#[derive(Clone)]
pub(crate) enum Event {
    Write {
        offset: u64,
        bytes: Rc<[u8]>,
    },
    Flush,
    /// The workload noted something here.
    Mark(usize),
}

/// A disk in a file, which can remember what is written to it, and fail.
pub(crate) struct Disk {
    file: File,
    pub(crate) log: RefCell<Vec<Event>>,
    pub(crate) is_recording: Cell<bool>,
    /// Writes that still succeed.
    pub(crate) writes_left: Cell<u64>,
    pub(crate) reads: Cell<u64>,
}

#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Rc<Disk>);

impl Handle {
    pub(crate) fn open(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path).unwrap();
        Handle(Rc::new(Disk {
            file,
            log: RefCell::default(),
            is_recording: Cell::new(false),
            writes_left: Cell::new(u64::MAX),
            reads: Cell::new(0),
        }))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let disk = &self.0;
        disk.writes_left.set(disk.writes_left.get().checked_sub(1).ok_or(Errno::EIO)?);
        if disk.is_recording.get() {
            disk.log.borrow_mut().push(Event::Write { offset, bytes: bytes.into() });
        }
        disk.file.write_all_at(bytes, offset).map_err(|_| Errno::EIO)
    }

    pub(crate) fn flush(&self) {
        if self.0.is_recording.get() {
            self.0.log.borrow_mut().push(Event::Flush);
        }
    }

    pub(crate) fn mark(&self, number: usize) {
        self.0.log.borrow_mut().push(Event::Mark(number));
    }
}

impl Blocks for Handle {
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.0.reads.set(self.0.reads.get() + 1);
        self.0.file.read_exact_at(into, offset).map_err(|_| Errno::EIO)
    }

    fn length(&self) -> u64 {
        self.0.file.metadata().unwrap().len()
    }
}

pub(crate) fn time(seconds: i64) -> Timespec {
    Timespec { seconds: 1_700_000_000 + seconds, nanoseconds: 123_456_789 }
}

pub(crate) fn node(mode: u32) -> NewNode<'static> {
    NewNode { mode, user: 0, group: 0, device_number: 0, target: b"", reserve: Reserve::Usable, now: time(1) }
}

pub(crate) const FILE: u32 = abi::file::S_IFREG | 0o644;
pub(crate) const FOLDER: u32 = abi::file::S_IFDIR | 0o755;

/// The kernel's part, small.
pub(crate) struct Shell {
    pub(crate) volume: Ext2<Handle>,
    pub(crate) disk: Handle,
    /// Data that is not on the disk yet.
    pages: BTreeMap<(Ino, u32), Vec<u8>>,
    pub(crate) commits: usize,
    pub(crate) clock: i64,
}

impl Shell {
    pub(crate) fn open(path: &Path) -> Self {
        Self::open_with(path, Access::ReadWrite, |_| {})
    }

    pub(crate) fn open_with(path: &Path, access: Access, change: impl FnOnce(&mut Options)) -> Self {
        Self::on(Handle::open(path), access, change)
    }

    pub(crate) fn on(disk: Handle, access: Access, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(access, time(0));
        change(&mut options);
        let volume = Ext2::open(disk.clone(), &options).unwrap_or_else(|error| panic!("open: {error:?}"));
        let mut shell = Self::around(volume, disk);
        shell.commit().unwrap();
        shell
    }

    pub(crate) fn around(volume: Ext2<Handle>, disk: Handle) -> Self {
        Shell { volume, disk, pages: BTreeMap::new(), commits: 0, clock: 0 }
    }

    pub(crate) fn now(&mut self) -> Timespec {
        self.clock += 1;
        time(self.clock)
    }

    /// Carries an operation out, committing first when it says so.
    pub(crate) fn again<T>(
        &mut self,
        mut operation: impl FnMut(&mut Ext2<Handle>) -> Outcome<T>,
    ) -> Result<T> {
        for _ in 0..4 {
            match operation(&mut self.volume) {
                Ok(result) => return Ok(result),
                Err(Failure::Errno(errno)) => return Err(errno),
                Err(Failure::CommitFirst) => self.commit()?,
            }
        }
        panic!("an operation never had enough of commits");
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        self.commit_for(Purpose::Durability)
    }

    pub(crate) fn commit_for(&mut self, purpose: Purpose) -> Result<()> {
        let now = time(self.clock);
        let Some(commit) = self.volume.begin_commit(purpose, now)? else { return Ok(()) };
        self.commits += 1;
        let carried = self.carry(&commit.data, &commit.levels);
        self.volume.end_commit(carried);
        carried
    }

    fn carry(&mut self, data: &[Ino], levels: &[Vec<Write>]) -> Result<()> {
        for &ino in data {
            self.write_pages(ino)?;
        }
        let size = u64::from(self.volume.block_size());
        for level in levels {
            for write in level {
                self.disk.write(u64::from(write.block.0) * size, &write.bytes)?;
            }
            self.disk.flush();
        }
        Ok(())
    }

    /// Writes the dirty data of a file that has blocks on the disk.
    fn write_pages(&mut self, ino: Ino) -> Result<()> {
        let size = u64::from(self.volume.block_size());
        let pages: Vec<u32> =
            self.pages.range((ino, 0)..=(ino, u32::MAX)).map(|(&(_, page), _)| page).collect();
        for page in pages {
            let bytes = self.pages.remove(&(ino, page)).unwrap();
            if let Some(block) = self.volume.map(ino, page, 1)?.start {
                self.disk.write(u64::from(block.0) * size, &bytes)?;
            }
        }
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> Result<()> {
        self.write_all_pages()?;
        self.commit()?;
        self.disk.flush();
        Ok(())
    }

    fn write_all_pages(&mut self) -> Result<()> {
        let inos: Vec<Ino> = self.pages.keys().map(|&(ino, _)| ino).collect();
        inos.into_iter().try_for_each(|ino| self.write_pages(ino))
    }

    pub(crate) fn fsync(&mut self, ino: Ino) -> Result<()> {
        self.write_pages(ino)?;
        if self.volume.pending(ino) == Pending::Nothing {
            self.disk.flush();
            return Ok(());
        }
        self.commit()
    }

    pub(crate) fn close(mut self) {
        self.write_all_pages().unwrap();
        self.commit_for(Purpose::Close).unwrap();
    }

    fn page(&mut self, ino: Ino, page: u32) -> Result<Vec<u8>> {
        if let Some(bytes) = self.pages.get(&(ino, page)) {
            return Ok(bytes.clone());
        }
        let size = self.volume.block_size();
        let mut bytes = vec![0; size as usize];
        if let Some(block) = self.volume.map(ino, page, 1)?.start {
            self.disk.read(u64::from(block.0) * u64::from(size), &mut bytes)?;
            let end = self.volume.attributes(ino)?.size.saturating_sub(u64::from(page) * u64::from(size));
            if end < u64::from(size) {
                bytes[end as usize..].fill(0);
            }
        }
        Ok(bytes)
    }

    pub(crate) fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8], reserve: Reserve) -> Result<()> {
        let size = u64::from(self.volume.block_size());
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let page = u32::try_from(at / size).map_err(|_| Errno::EFBIG)?;
            let start = (at % size) as usize;
            let length = (size as usize - start).min(bytes.len() - done);
            let mut content = self.page(ino, page)?;
            // No block behind the end, which e2fsck would take for a size that is too small.
            let left = (start + bytes.len() - done).div_ceil(size as usize) as u32;
            let given = self.again(|volume| volume.allocate(ino, page, left, reserve))?;
            if given.source == BlockSource::New {
                for page in page..page + given.length {
                    self.pages.insert((ino, page), vec![0; size as usize]);
                }
            }
            content[start..start + length].copy_from_slice(&bytes[done..done + length]);
            self.pages.insert((ino, page), content);
            done += length;
            let now = self.now();
            self.again(|volume| volume.note_written(ino, at + length as u64, now))?;
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, ino: Ino, offset: u64, length: usize) -> Result<Vec<u8>> {
        let size = u64::from(self.volume.block_size());
        let file_size = self.volume.attributes(ino)?.size;
        let end = (offset + length as u64).min(file_size);
        let mut out = Vec::new();
        let mut at = offset;
        while at < end {
            let page = self.page(ino, u32::try_from(at / size).unwrap())?;
            let start = (at % size) as usize;
            let count = (size - at % size).min(end - at) as usize;
            out.extend_from_slice(&page[start..start + count]);
            at += count as u64;
        }
        Ok(out)
    }

    pub(crate) fn read_all(&mut self, ino: Ino) -> Result<Vec<u8>> {
        let size = self.volume.attributes(ino)?.size;
        self.read(ino, 0, usize::try_from(size).unwrap())
    }

    pub(crate) fn truncate(&mut self, ino: Ino, size: u64) -> Result<()> {
        let block = u64::from(self.volume.block_size());
        let old = self.volume.attributes(ino)?.size;
        let cut = old.min(size);
        if !cut.is_multiple_of(block) {
            let page = u32::try_from(cut / block).unwrap();
            if self.volume.map(ino, page, 1)?.start.is_some() {
                let mut content = self.page(ino, page)?;
                content[(cut % block) as usize..].fill(0);
                self.pages.insert((ino, page), content);
            }
        }
        let keep = u32::try_from(size.div_ceil(block)).unwrap_or(u32::MAX);
        self.pages.retain(|&(other, page), _| other != ino || page < keep);
        let now = self.now();
        self.again(|volume| volume.truncate(ino, size, now))
    }

    pub(crate) fn create(&mut self, directory: Ino, name: &str, mode: u32) -> Result<Ino> {
        let node = NewNode { now: self.now(), ..node(mode) };
        self.again(|volume| volume.create(directory, name.as_bytes(), &node))
    }

    pub(crate) fn symlink(&mut self, directory: Ino, name: &str, target: &[u8]) -> Result<Ino> {
        let node = NewNode { now: self.now(), target, ..node(abi::file::S_IFLNK | 0o777) };
        self.again(|volume| volume.create(directory, name.as_bytes(), &node))
    }

    pub(crate) fn link(&mut self, ino: Ino, directory: Ino, name: &str) -> Result<()> {
        let now = self.now();
        self.again(|volume| volume.link(ino, directory, name.as_bytes(), Reserve::Usable, now))
    }

    /// unlink(2) of a file that nobody has open.
    pub(crate) fn unlink(&mut self, directory: Ino, name: &str) -> Result<()> {
        let removed = self.unlink_open(directory, name)?;
        self.drop_removed(removed)
    }

    pub(crate) fn unlink_open(&mut self, directory: Ino, name: &str) -> Result<Removed> {
        let now = self.now();
        self.again(|volume| volume.unlink(directory, name.as_bytes(), now))
    }

    pub(crate) fn drop_removed(&mut self, removed: Removed) -> Result<()> {
        if removed.links > 0 {
            return Ok(());
        }
        self.pages.retain(|&(ino, _), _| ino != removed.ino);
        let now = self.now();
        self.again(|volume| volume.release(removed.ino, now))
    }

    pub(crate) fn remove_directory(&mut self, directory: Ino, name: &str) -> Result<()> {
        let now = self.now();
        let removed = self.again(|volume| volume.remove_directory(directory, name.as_bytes(), now))?;
        self.drop_removed(removed)
    }

    pub(crate) fn rename(&mut self, from: (Ino, &str), to: (Ino, &str), how: Renaming) -> Result<()> {
        let now = self.now();
        let place = |(directory, name): (Ino, &'static str)| ext2::Place { directory, name: name.as_bytes() };
        // The names are leaked, so that the closure may be called again; tests are short.
        let leak = |name: &str| -> &'static str { Box::leak(name.to_string().into_boxed_str()) };
        let (from, to) = (place((from.0, leak(from.1))), place((to.0, leak(to.1))));
        let removed = self.again(|volume| volume.rename(from, to, how, Reserve::Usable, now))?;
        removed.map_or(Ok(()), |removed| self.drop_removed(removed))
    }

    pub(crate) fn lookup(&mut self, directory: Ino, name: &str) -> Result<Ino> {
        self.volume.lookup(directory, name.as_bytes())
    }

    /// The file at a path from the root.
    pub(crate) fn at(&mut self, path: &str) -> Result<Ino> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(Ino::ROOT, |ino, part| self.lookup(ino, part))
    }

    /// The names of a directory, without its own and its parent's.
    pub(crate) fn names(&mut self, directory: Ino) -> Result<Vec<(String, Ino)>> {
        let mut names = Vec::new();
        self.volume.list(directory, 0, &mut |name| {
            if name.bytes != b"." && name.bytes != b".." {
                names.push((String::from_utf8_lossy(name.bytes).into_owned(), name.ino));
            }
            Listing::More
        })?;
        Ok(names)
    }
}

/// A generator of numbers from a seed (xorshift), so that a failing run can be repeated.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

/// The seed from the environment, or the usual one; printed, so that it shows when a test fails.
pub(crate) fn seed(usual: u64) -> u64 {
    let seed = std::env::var("EXT2_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    println!("EXT2_SEED={seed}");
    seed
}
