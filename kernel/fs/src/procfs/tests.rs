//! Through the VFS, with two processes that exist only here.

use std::sync::Arc;
use std::sync::Mutex as HostMutex;
use std::sync::atomic::AtomicU64;
use std::vec::Vec;

use abi::{Errno, Result};
use logic::cred::Cred;
use logic::proc_text::Text;
use logic::proc_text::process::Process;
use nucleus::mm::{Layout, Memory};
use nucleus::vfs::bytes::{Buffer, Slice};
use nucleus::vfs::{FileKind, Last, OpenFile, Place, Walker, mount};

use super::*;
use crate::pipe;
use crate::test_support::{Boot, Names, boot};

struct Fake {
    root: HostMutex<Option<Place>>,
    file: HostMutex<Option<Arc<OpenFile>>>,
    name: HostMutex<Vec<u8>>,
}

static FAKE: Fake =
    Fake { root: HostMutex::new(None), file: HostMutex::new(None), name: HostMutex::new(Vec::new()) };

/// Process 1 has one thread; process 40 has three.
fn threads(process: u32) -> &'static [u32] {
    match process {
        1 => &[1],
        40 => &[40, 42, 43],
        _ => &[],
    }
}

impl ProcessSource for Fake {
    fn processes(&self) -> Result<Vec<u32>> {
        Ok(vec![40, 1])
    }
    fn threads(&self, process: u32) -> Result<Vec<u32>> {
        Ok(threads(process).to_vec())
    }
    fn current(&self) -> Option<Who> {
        Some(Who { process: 40, thread: 42 })
    }
    fn owner(&self, who: Who) -> Result<(u32, u32)> {
        if threads(who.process).contains(&who.thread) { Ok((1000, 100)) } else { Err(Errno::ESRCH) }
    }
    fn snapshot(&self, who: Who) -> Result<Process> {
        let name = self.name.lock().unwrap().clone();
        Ok(Process { name, process: who.process, thread: who.thread, parent: 1, ..Process::default() })
    }
    fn memory(&self, _who: Who) -> Result<Option<Arc<Memory>>> {
        Ok(Some(Memory::new(Layout { heap_start: 0x200_0000, ..Layout::default() })?))
    }
    fn check_inspect(&self, who: Who) -> Result<()> {
        if who.process == 40 { Ok(()) } else { Err(Errno::EACCES) }
    }
    fn limits(&self, _who: Who) -> Result<[(u64, u64); 16]> {
        Ok([(u64::MAX, 7); 16])
    }
    fn next_descriptor(&self, who: Who, from: u32) -> Result<Option<u32>> {
        Ok((who.process == 40).then_some([0, 3]).into_iter().flatten().find(|&number| number >= from))
    }
    fn link(&self, _who: Who, link: Link) -> Result<Target> {
        let root = self.root.lock().unwrap().clone();
        match link {
            Link::Descriptor(3) => {
                let file = self.file.lock().unwrap().clone();
                Ok(Target { text: b"pipe:[7]".to_vec(), place: None, file })
            }
            Link::Executable => Err(Errno::ENOENT),
            _ => Ok(Target { text: b"/".to_vec(), place: root, file: None }),
        }
    }
    fn controls(&self, _who: Who) -> Result<Controls> {
        Ok(Controls { oom_adjustment: -17, ..Controls::default() })
    }
    fn set(&self, _who: Who, setting: Setting<'_>) -> Result<()> {
        match setting {
            Setting::Name(name) => *self.name.lock().unwrap() = name.to_vec(),
            Setting::OomAdjustment(value) if value < 0 => return Err(Errno::EACCES),
            _ => {}
        }
        Ok(())
    }
}

impl SystemSource for Fake {
    fn now(&self) -> SystemNow {
        SystemNow { tasks: 4, last: 43, number_limit: 32768, ..SystemNow::default() }
    }
    fn release(&self) -> &str {
        "6.1.0-test"
    }
    fn version(&self) -> &str {
        "#1 SMP"
    }
    fn command_line(&self) -> &str {
        "console=ttyS0 quiet"
    }
    fn list_ipc(&self, sort: IpcSort, to: &mut Text) -> Result<()> {
        to.put(format_args!("{sort:?}\n"));
        Ok(())
    }
    fn ipc_limits(&self, _limit: IpcLimit) -> &'static [AtomicU64] {
        static LIMITS: [AtomicU64; 2] = [const { AtomicU64::new(7) }; 2];
        &LIMITS
    }
    fn host_name(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(b"shell");
    }
    fn set_host_name(&self, name: &[u8]) -> Result<()> {
        if name == b"pearl" { Ok(()) } else { Err(Errno::EPERM) }
    }
}

struct World {
    _boot: Boot,
    cred: Cred,
    root: Place,
}

fn world() -> World {
    let boot = boot();
    let root = mount::mount(Procfs::new(&FAKE, &FAKE), None, b"proc", 14).unwrap();
    *FAKE.root.lock().unwrap() = Some(root.clone());
    *FAKE.name.lock().unwrap() = b"program".to_vec();
    World { _boot: boot, cred: Cred::root(), root }
}

impl World {
    fn walker(&self) -> Walker<'_> {
        Walker { cred: &self.cred, root: self.root.clone(), start: self.root.clone() }
    }

    fn place(&self, path: &str, last: Last) -> Result<Place> {
        self.walker().resolve(path.as_bytes(), last)
    }

    fn open(&self, path: &str, flags: u32) -> Result<Arc<OpenFile>> {
        self.walker().open(self.place(path, Last::Follow)?, flags, false)
    }

    fn read(&self, path: &str) -> String {
        read(&self.open(path, 0).unwrap())
    }

    fn link(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8(self.place(path, Last::Keep)?.inode().read_link()?).unwrap())
    }

    fn list(&self, path: &str) -> Names {
        let mut names = Names::new(usize::MAX);
        self.open(path, 0).unwrap().list(&mut names).unwrap();
        names
    }
}

fn read(file: &OpenFile) -> String {
    let mut all = Vec::new();
    loop {
        let mut bytes = [0; 300];
        let count = file.read(&mut Buffer::new(&mut bytes)).unwrap();
        if count == 0 {
            return String::from_utf8(all).unwrap();
        }
        all.extend_from_slice(&bytes[..count]);
    }
}

#[test]
fn processes_threads_and_descriptors_have_directories() {
    let world = world();
    let root = world.list("/");
    assert_eq!(root.texts()[..3], [".", "..", "buddyinfo"]);
    assert_eq!(root.texts()[root.found.len() - 2..], ["1", "40"]);
    assert_eq!(world.list("/40/task").texts(), [".", "..", "40", "42", "43"]);
    assert_eq!(world.list("/40/fd").texts(), [".", "..", "0", "3"]);
    assert_eq!(world.list("/1/fd").texts(), [".", ".."]);
    assert!(world.list("/40/task/42").texts().contains(&"status"));
    assert!(!world.list("/40/task/42").texts().contains(&"task"));
    for path in ["/2", "/040", "/+1", "/0", "/40/task/1", "/40/fd/1", "/none", "/40/none"] {
        assert_eq!(world.place(path, Last::Follow).err(), Some(Errno::ENOENT), "{path}");
    }
    assert_eq!(world.place("/uptime/x", Last::Follow).err(), Some(Errno::ENOTDIR));
    // What a listing says is what a look-up finds.
    for (name, number, kind) in world.list("/40").found.into_iter().skip(2) {
        let attributes = world.place(&format!("/40/{name}"), Last::Keep).unwrap().inode().attributes();
        assert_eq!((attributes.number, attributes.kind), (number, kind), "{name}");
        assert_eq!((attributes.user, attributes.group), (1000, 100));
    }
}

#[test]
fn every_text_can_be_read() {
    let world = world();
    let mut waiting = vec!["".to_string()];
    let mut texts = 0;
    while let Some(directory) = waiting.pop() {
        for (name, _, kind) in world.list(&format!("{directory}/")).found.into_iter().skip(2) {
            let path = format!("{directory}/{name}");
            match kind {
                FileKind::Directory if !path.starts_with("/1/") => waiting.push(path),
                FileKind::Regular if !path.starts_with("/1/") && !path.contains("/fdinfo/") => {
                    let place = world.place(&path, Last::Keep).unwrap();
                    if place.inode().attributes().permissions & 0o444 == 0 {
                        // Only to be written, even by root.
                        assert_eq!(path, "/sys/vm/drop_caches");
                        continue;
                    }
                    world.read(&path);
                    texts += 1;
                }
                _ => {}
            }
        }
    }
    assert!(texts > 100, "{texts}");
}

#[test]
fn texts_are_about_whom_they_should_be() {
    let world = world();
    assert!(world.read("/40/stat").starts_with("40 (program) S 1 "));
    assert!(world.read("/40/task/43/stat").starts_with("43 (program) "));
    assert!(world.read("/self/status").starts_with("Name:\tprogram\n"));
    assert_eq!(world.link("/self"), Ok("40".into()));
    assert_eq!(world.link("/thread-self"), Ok("40/task/42".into()));
    assert!(world.read("/thread-self/status").contains("\nPid:\t42\n"));
    assert_eq!(world.read("/mounts"), "proc / proc rw,nosuid,nodev,noexec,relatime 0 0\n");
    assert_eq!(world.read("/cmdline"), "console=ttyS0 quiet\n");
    assert_eq!(world.read("/loadavg"), "0.00 0.00 0.00 0/4 43\n");
    assert_eq!(world.read("/sys/kernel/osrelease"), "6.1.0-test\n");
    assert_eq!(world.read("/sys/kernel/pid_max"), "32768\n");
    assert_eq!(world.read("/sys/kernel/random/boot_id"), world.read("/sys/kernel/random/boot_id"));
    assert_ne!(world.read("/sys/kernel/random/uuid"), world.read("/sys/kernel/random/uuid"));
    assert_eq!(world.read("/40/oom_score_adj"), "-17\n");
    assert!(world.read("/40/limits").contains("Max open files            unlimited            7 "));
    let maps = world.open("/1/maps", 0).unwrap();
    assert_eq!(maps.read(&mut Buffer::new(&mut [0; 10])), Err(Errno::EACCES));
}

#[test]
fn a_file_that_stays_open_is_renewed_at_its_start() {
    let world = world();
    let file = world.open("/40/comm", 0).unwrap();
    assert_eq!(read(&file), "program\n");
    *FAKE.name.lock().unwrap() = b"other".to_vec();
    assert_eq!(read(&file), "", "at the end there is nothing more");
    file.seek(0, 0).unwrap();
    assert_eq!(read(&file), "other\n");
}

#[test]
fn settings_are_told() {
    let world = world();
    let write = |path: &str, bytes: &[u8]| world.open(path, 1)?.write(&mut Slice(bytes), u64::MAX);
    assert_eq!(write("/40/comm", b"a name of many letters\n"), Ok(23));
    assert_eq!(world.read("/40/comm"), "a name of many \n");
    assert_eq!(write("/40/oom_score_adj", b"500\n"), Ok(4));
    assert_eq!(write("/40/oom_score_adj", b"-1\n"), Err(Errno::EACCES));
    assert_eq!(write("/40/oom_score_adj", b"1001"), Err(Errno::EINVAL));
    assert_eq!(write("/sys/kernel/hostname", b"pearl\n"), Ok(6));
    assert_eq!(write("/sys/kernel/hostname", b"other"), Err(Errno::EPERM));
    assert_eq!(world.open("/uptime", 1).err(), Some(Errno::EACCES));
    assert_eq!(write("/40/trace", b"2"), Err(Errno::EINVAL));
    assert_eq!(write("/40/trace", b"1"), Ok(1));
}

#[test]
fn links_lead_to_files_themselves() {
    let world = world();
    assert_eq!(world.link("/40/cwd"), Ok("/".into()));
    assert!(world.place("/40/cwd", Last::Follow).unwrap().is(&world.root));
    assert!(world.place("/40/cwd/uptime", Last::Follow).is_ok());
    assert_eq!(world.place("/40/exe", Last::Follow).err(), Some(Errno::ENOENT));
    assert_eq!(world.link("/1/cwd"), Err(Errno::EACCES));
    // A pipe has no name, and is opened all the same.
    let (reader, writer, attributes) = pipe::pair().unwrap();
    *FAKE.file.lock().unwrap() = Some(OpenFile::nameless(reader, attributes, 0));
    assert_eq!(world.link("/40/fd/3"), Ok("pipe:[7]".into()));
    let again = world.open("/40/fd/3", 1).unwrap();
    drop(writer);
    assert_eq!(again.write(&mut Slice(b"hello"), u64::MAX), Ok(5));
    let mut bytes = [0; 5];
    let first = FAKE.file.lock().unwrap().take().unwrap();
    assert_eq!(first.read(&mut Buffer::new(&mut bytes)), Ok(5));
    assert_eq!(&bytes, b"hello");
}
