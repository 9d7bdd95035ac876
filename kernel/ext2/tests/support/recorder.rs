//! Workloads whose writes are recorded, and what the disk must show if the power is cut at any of them.
//!
//! The model's state after each operation is kept. A cut falls into a window: from the state that was last acknowledged to the
//! one being made. What all states of the window agree on must be on the repaired disk exactly; where they differ, the disk may
//! show any of them, byte by byte for contents; no file that all of them have may be gone.

use std::collections::{BTreeMap, HashMap};

use ext2::{Access, Ino, Removed, Renaming, Reserve};

use super::model::{Model, Node};
use super::{Event, FILE, FOLDER, Random, Shell, Temporary, image, run};

/// Something that the workload noted between writes.
#[derive(Clone, Copy, Debug)]
enum Note {
    /// The model's state is now this one.
    State(usize),
    /// This state's names and sizes are on the disk, says the file system.
    Names(usize),
    /// This state's content of a file is on the disk, says the file system.
    Content(usize, usize),
}

pub(crate) struct Recorder {
    pub(crate) shell: Shell,
    pub(crate) model: Model,
    image: Temporary,
    base: Vec<u8>,
    states: Vec<Model>,
    notes: Vec<Note>,
    open: Vec<Removed>,
}

/// What is looked at after a cut.
struct Window {
    names: usize,
    contents: HashMap<usize, usize>,
    last: usize,
}

/// What a repaired disk has: contents of files by path.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

impl Recorder {
    pub(crate) fn new(options: &[&str], kib: u64) -> Self {
        let image = image(options, kib);
        let mut shell = Shell::open(&image.0);
        // Something that no workload touches.
        let still = shell.create(Ino::ROOT, "still", FOLDER).unwrap();
        for number in 0..4 {
            let file = shell.create(still, &format!("s{number}"), FILE).unwrap();
            shell
                .write(file, 0, &vec![b'a' + number; 700 + 5000 * usize::from(number)], Reserve::Usable)
                .unwrap();
        }
        shell.close();
        let base = std::fs::read(&image.0).unwrap();
        let mut model = Model::default();
        model.create("/still", Node::Folder(BTreeMap::new())).unwrap();
        for number in 0..4 {
            let content = vec![b'a' + number; 700 + 5000 * usize::from(number)];
            model.create(&format!("/still/s{number}"), Node::File(content)).unwrap();
        }
        let shell = {
            let disk = super::Handle::open(&image.0);
            disk.0.is_recording.set(true);
            Shell::on(disk, Access::ReadWrite, |_| {})
        };
        let mut this =
            Recorder { shell, model, image, base, states: Vec::new(), notes: Vec::new(), open: Vec::new() };
        this.state();
        this.note(Note::Names(0));
        for node in this.model.nodes.keys().copied().collect::<Vec<_>>() {
            this.note(Note::Content(node, 0));
        }
        this
    }

    fn note(&mut self, note: Note) {
        self.shell.disk.mark(self.notes.len());
        self.notes.push(note);
    }

    fn state(&mut self) {
        self.states.push(self.model.clone());
        self.note(Note::State(self.states.len() - 1));
    }

    fn folder<'a>(&mut self, path: &'a str) -> (Ino, &'a str) {
        let (folder, name) = path.rsplit_once('/').unwrap();
        (self.shell.at(folder).unwrap(), name)
    }

    pub(crate) fn create(&mut self, path: &str, content: &[u8]) {
        let (folder, name) = self.folder(path);
        self.shell.create(folder, name, FILE).unwrap();
        self.model.create(path, Node::File(Vec::new())).unwrap();
        self.state();
        if !content.is_empty() {
            self.write(path, 0, content);
        }
    }

    pub(crate) fn write(&mut self, path: &str, offset: usize, bytes: &[u8]) {
        let ino = self.shell.at(path).unwrap();
        self.shell.write(ino, offset as u64, bytes, Reserve::Usable).unwrap();
        let content = self.model.content(path).unwrap();
        if content.len() < offset + bytes.len() {
            content.resize(offset + bytes.len(), 0);
        }
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.state();
    }

    pub(crate) fn append(&mut self, path: &str, bytes: &[u8]) {
        let end = self.model.content(path).unwrap().len();
        self.write(path, end, bytes);
    }

    pub(crate) fn truncate(&mut self, path: &str, size: usize) {
        let ino = self.shell.at(path).unwrap();
        self.shell.truncate(ino, size as u64).unwrap();
        self.model.content(path).unwrap().resize(size, 0);
        self.state();
    }

    pub(crate) fn folder_at(&mut self, path: &str) {
        let (folder, name) = self.folder(path);
        self.shell.create(folder, name, FOLDER).unwrap();
        self.model.create(path, Node::Folder(BTreeMap::new())).unwrap();
        self.state();
    }

    /// O_TMPFILE, written, perhaps on the disk already, and then given a name.
    pub(crate) fn create_unnamed(&mut self, path: &str, content: &[u8], then: impl FnOnce(&mut Self)) {
        let (folder, name) = self.folder(path);
        let ino = self.shell.again(|volume| volume.create_unnamed(folder, &super::node(FILE))).unwrap();
        self.shell.write(ino, 0, content, Reserve::Usable).unwrap();
        then(self);
        self.shell.link(ino, folder, name).unwrap();
        self.model.create(path, Node::File(content.to_vec())).unwrap();
        self.state();
    }

    pub(crate) fn link(&mut self, from: &str, to: &str) {
        let ino = self.shell.at(from).unwrap();
        let (folder, name) = self.folder(to);
        self.shell.link(ino, folder, name).unwrap();
        self.model.link(from, to).unwrap();
        self.state();
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &[u8]) {
        let (folder, name) = self.folder(path);
        self.shell.symlink(folder, name, target).unwrap();
        self.model.create(path, Node::Link(target.to_vec())).unwrap();
        self.state();
    }

    pub(crate) fn unlink(&mut self, path: &str) {
        let (folder, name) = self.folder(path);
        self.shell.unlink(folder, name).unwrap();
        self.model.unlink(path).unwrap();
        self.state();
    }

    pub(crate) fn unlink_open(&mut self, path: &str) {
        let (folder, name) = self.folder(path);
        let removed = self.shell.unlink_open(folder, name).unwrap();
        self.open.push(removed);
        self.model.unlink(path).unwrap();
        self.state();
    }

    pub(crate) fn close_open(&mut self) {
        for removed in std::mem::take(&mut self.open) {
            self.shell.drop_removed(removed).unwrap();
        }
    }

    pub(crate) fn remove_folder(&mut self, path: &str) {
        let (folder, name) = self.folder(path);
        self.shell.remove_directory(folder, name).unwrap();
        self.model.remove_folder(path).unwrap();
        self.state();
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.rename_as(from, to, Renaming::Replace);
    }

    pub(crate) fn rename_as(&mut self, from: &str, to: &str, how: Renaming) {
        let (source, target) = (self.folder(from), self.folder(to));
        self.shell.rename(source, target, how).unwrap();
        self.model.rename(from, to, how).unwrap();
        self.state();
    }

    pub(crate) fn sync(&mut self) {
        self.shell.sync().unwrap();
        let state = self.states.len() - 1;
        self.note(Note::Names(state));
        for node in self.model.nodes.keys().copied().collect::<Vec<_>>() {
            self.note(Note::Content(node, state));
        }
    }

    /// fsync(2) of a file or a directory.
    pub(crate) fn fsync(&mut self, path: &str) {
        let ino = self.shell.at(path).unwrap();
        let before = self.shell.commits;
        self.shell.fsync(ino).unwrap();
        let (state, node) = (self.states.len() - 1, self.model.find(path).unwrap());
        if self.shell.commits > before {
            self.note(Note::Names(state));
        }
        self.note(Note::Content(node, state));
    }

    /// What the kernel does by itself after a while; nothing is acknowledged.
    pub(crate) fn commit(&mut self) {
        self.shell.commit().unwrap();
    }

    /// Cuts the power at `most` places of the log, and in about `tries` other orders of the writes between flushes, and checks
    /// each. Prints how many there were.
    pub(crate) fn cut(self, name: &str, most: usize, tries: usize, seed: u64) {
        let events = self.shell.disk.0.log.borrow().clone();
        let writes: Vec<usize> =
            (0..events.len()).filter(|&at| matches!(events[at], Event::Write { .. })).collect();
        let mut random = Random::new(seed);
        let every = writes.len().div_ceil(most.max(1)).max(1);
        let (mut prefixes, mut reordered) = (0, 0);
        let mut checker = Checker {
            recorder: &self,
            events: &events,
            file: Temporary::new("cut"),
            disk: Vec::new(),
            asked: 0,
        };
        let offset = random.below(every as u64) as usize;
        for (number, &at) in writes.iter().enumerate() {
            if number % every == offset {
                checker.check(at, &(0..=at).collect::<Vec<_>>(), number);
                prefixes += 1;
            }
        }
        for (first, last) in intervals(&events) {
            let inside: Vec<usize> = writes.iter().copied().filter(|at| (first..last).contains(at)).collect();
            // As many as fall to this interval; the rest of the division by chance.
            let share = inside.len() * tries;
            let more = usize::from((random.below(writes.len() as u64) as usize) < share % writes.len());
            let here = (share / writes.len() + more).min(1 << inside.len().min(16));
            for _ in 0..here {
                let chance = random.below(9) + 1;
                let chosen: Vec<usize> =
                    inside.iter().copied().filter(|_| random.below(10) < chance).collect();
                let at = chosen.last().copied().unwrap_or(first);
                let all: Vec<usize> = (0..first).chain(chosen).collect();
                checker.check(at, &all, reordered);
                reordered += 1;
            }
        }
        println!(
            "{name}: {} writes, {prefixes} prefixes and {reordered} reorderings checked, {} need advice",
            writes.len(),
            checker.asked
        );
    }
}

/// Whether e2fsck wanted to be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Advice {
    Unneeded,
    Wanted,
}

/// Between flushes: from the event after one to the next.
fn intervals(events: &[Event]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut first = 0;
    for (at, event) in events.iter().enumerate() {
        if matches!(event, Event::Flush) {
            all.push((first, at));
            first = at + 1;
        }
    }
    all.push((first, events.len()));
    all
}

struct Checker<'a> {
    recorder: &'a Recorder,
    events: &'a [Event],
    file: Temporary,
    disk: Vec<u8>,
    /// States in which e2fsck wanted to be asked.
    asked: usize,
}

impl Checker<'_> {
    /// Checks the disk that has just these writes, as if the power was cut after event `at`.
    fn check(&mut self, at: usize, chosen: &[usize], number: usize) {
        self.disk.clone_from(&self.recorder.base);
        for &event in chosen {
            if let Event::Write { offset, bytes } = &self.events[event] {
                let start = usize::try_from(*offset).unwrap();
                self.disk[start..start + bytes.len()].copy_from_slice(bytes);
            }
        }
        std::fs::write(&self.file.0, &self.disk).unwrap();
        let window = self.window(at);
        // Now and then the file system is used before e2fsck sees it: that must be safe too.
        if number % 8 == 7 {
            self.use_unchecked(at, chosen);
        }
        let path = self.file.0.to_str().unwrap();
        let (code, text) = run("e2fsck", &["-p", path], "");
        let mut advice = Advice::Unneeded;
        if code == 4 && self.moves_directory(&window) && is_about_directories(&text) {
            // The one state that no order of writes avoids (docs/ext2.md): e2fsck repairs it, but asks.
            self.asked += 1;
            advice = Advice::Wanted;
            let (code, text) = run("e2fsck", &["-fy", path], "");
            assert!(code == 1, "{}e2fsck -fy: {code}\n{text}", self.describe(at, chosen));
        } else {
            assert!(code == 0 || code == 1, "{}e2fsck -p: {code}\n{text}", self.describe(at, chosen));
        }
        let mut shell = Shell::open_with(&self.file.0, Access::ReadOnly, |_| {});
        let mut tree = Tree::new();
        read(&mut shell, Ino::ROOT, "", &mut tree);
        if let Err(problem) = self.judge(&window, &tree, u64::from(shell.volume.block_size()), advice) {
            let names: Vec<_> = tree.keys().collect();
            panic!("{}{problem}\n{text}\n{names:?}", self.describe(at, chosen));
        }
    }

    /// Mounts the disk as the cut left it, makes files, and closes it.
    fn use_unchecked(&self, at: usize, chosen: &[usize]) {
        let mut shell = Shell::open(&self.file.0);
        for number in 0..6 {
            // A directory that is damaged says so; that is fine here.
            let Ok(file) = shell.create(Ino::ROOT, &format!("later{number}"), FILE) else { continue };
            shell
                .write(file, 0, &[b'L'; 9000], Reserve::Usable)
                .unwrap_or_else(|error| panic!("{at}: {error:?}"));
            shell.fsync(file).unwrap();
        }
        shell.close();
        // The superblock says now what it said before the cut; the check below must not skip anything.
        let (code, text) = run("e2fsck", &["-fp", self.file.0.to_str().unwrap()], "");
        let is_move = self.moves_directory(&self.window(at)) && is_about_directories(&text);
        let is_fine = code == 0 || code == 1 || is_move;
        assert!(is_fine, "after use without e2fsck, {}{code}\n{text}", self.describe(at, chosen));
    }

    fn describe(&self, at: usize, chosen: &[usize]) -> String {
        let _ = std::fs::copy(&self.file.0, "/dev/shm/nacre-ext2-failed");
        let state = self.window(at).last;
        format!(
            "cut after event {at} ({} events chosen), in state {state}; see /dev/shm/nacre-ext2-failed\n",
            chosen.len()
        )
    }

    fn window(&self, at: usize) -> Window {
        let mut window = Window { names: 0, contents: HashMap::new(), last: 0 };
        for event in &self.events[..=at.min(self.events.len() - 1)] {
            let Event::Mark(number) = event else { continue };
            match self.recorder.notes[*number] {
                Note::State(state) => window.last = state,
                Note::Names(state) => window.names = state,
                Note::Content(node, state) => drop(window.contents.insert(node, state)),
            }
        }
        // The operation that was under way.
        window.last = (window.last + 1).min(self.recorder.states.len() - 1);
        window
    }

    /// Whether a directory gets another parent or name in this window.
    fn moves_directory(&self, window: &Window) -> bool {
        let states = &self.recorder.states[window.names..=window.last];
        states.windows(2).any(|pair| {
            pair[0].nodes.iter().any(|(&node, kind)| {
                matches!(kind, Node::Folder(_))
                    && pair[1].nodes.contains_key(&node)
                    && spot_of(&pair[0], node) != spot_of(&pair[1], node)
            })
        })
    }

    fn judge(&self, window: &Window, tree: &Tree, block: u64, advice: Advice) -> Result<(), String> {
        let states = &self.recorder.states[window.names..=window.last];
        for path in states[0].paths() {
            let found: Vec<Option<usize>> = states.iter().map(|state| state.find(&path).ok()).collect();
            // Which directory a path leads through may differ from what is in it; nothing may be lost, see below.
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            let is_same_folder = states.iter().all(|state| state.find(above) == states[0].find(above));
            // Who is asked may keep a directory at either place.
            let is_free = advice == Advice::Wanted && found.iter().any(|&node| node != found[0]);
            if is_free || !is_same_folder {
                continue;
            }
            let may_be_absent = found.contains(&None);
            match tree.get(&path) {
                None if may_be_absent => {}
                None => return Err(format!("{path} is gone")),
                Some(content) => {
                    let fits = found
                        .iter()
                        .flatten()
                        .any(|&node| self.fits(window, node, content.as_deref(), block));
                    if !fits && found.iter().any(Option::is_some) {
                        let node = found.iter().flatten().next().copied().unwrap_or(0);
                        return Err(format!(
                            "{path} has {}\n{}",
                            brief(content),
                            self.candidates(window, node)
                        ));
                    }
                }
            }
        }
        // No file that is there all the time is gone, whatever its name.
        for (node, kind) in &states[0].nodes {
            let lives = states.iter().all(|state| state.nodes.contains_key(node));
            if lives && matches!(kind, Node::File(content) if content.len() > 8) {
                let is_there =
                    tree.values().any(|content| self.fits(window, *node, content.as_deref(), block));
                if !is_there {
                    return Err(format!("file {node} is nowhere: {}", path_of(&states[0], *node)));
                }
            }
        }
        Ok(())
    }

    /// What a file of the model had in the window, for a report.
    fn candidates(&self, window: &Window, node: usize) -> String {
        let from = window.contents.get(&node).copied().unwrap_or(window.names);
        let mut text = format!("names from {}, contents from {from}, to {}\n", window.names, window.last);
        for (number, state) in self.recorder.states.iter().enumerate().take(window.last + 1).skip(from) {
            if let Some(Node::File(content)) = state.nodes.get(&node) {
                let line = format!("{} at {}\n", brief(&Some(content.clone())), path_of(state, node));
                if !text.ends_with(&line) {
                    text += &format!("{number}: {line}");
                }
            }
        }
        text
    }

    /// Whether what was found can be a file or a folder of the model.
    fn fits(&self, window: &Window, node: usize, found: Option<&[u8]>, block: u64) -> bool {
        let from = window.contents.get(&node).copied().unwrap_or(window.names);
        let states = &self.recorder.states[from..=window.last];
        let contents: Vec<&[u8]> = states
            .iter()
            .filter_map(|state| match state.nodes.get(&node) {
                Some(Node::File(content)) => Some(content.as_slice()),
                _ => None,
            })
            .collect();
        let Some(found) = found else { return contents.is_empty() };
        let Some(first) = contents.first() else {
            return states
                .iter()
                .any(|state| matches!(state.nodes.get(&node), Some(Node::Link(target)) if target == found));
        };
        // Not acknowledged at all: any part of it.
        let is_acknowledged = window.contents.contains_key(&node);
        if is_acknowledged && contents.iter().all(|content| content == first) {
            return found == *first;
        }
        let shortest =
            if is_acknowledged { contents.iter().map(|content| content.len()).min().unwrap() } else { 0 };
        let longest = contents.iter().map(|content| content.len()).max().unwrap();
        let sure = if is_acknowledged { first.len() } else { 0 };
        found.len() >= shortest
            && found.len() as u64 <= (longest as u64).next_multiple_of(block)
            && found.iter().enumerate().all(|(at, byte)| {
                at >= sure && *byte == 0
                    || contents.iter().any(|content| content.get(at).unwrap_or(&0) == byte)
            })
    }
}

/// How many bytes, and the runs of equal ones; every 61st is another in our contents.
fn brief(content: &Option<Vec<u8>>) -> String {
    let Some(content) = content else { return "a folder".into() };
    let mut runs: Vec<(u8, usize)> = Vec::new();
    for (at, &byte) in content.iter().enumerate().filter(|(_, byte)| **byte != b'\n') {
        if runs.last().is_none_or(|run| run.0 != byte) {
            runs.push((byte, at));
        }
    }
    let runs: Vec<String> =
        runs.iter().map(|(byte, at)| format!("{:?} from {at}", char::from(*byte))).collect();
    format!("{} bytes: {}", content.len(), runs.join(", "))
}

/// The folder and the name that a folder has.
fn spot_of(state: &Model, node: usize) -> Option<(usize, String)> {
    state.nodes.iter().find_map(|(&folder, kind)| match kind {
        Node::Folder(names) => {
            names.iter().find(|(_, named)| **named == node).map(|(name, _)| (folder, name.clone()))
        }
        _ => None,
    })
}

/// Whether e2fsck complains of nothing but a directory with two names, none, or another parent.
fn is_about_directories(text: &str) -> bool {
    text.contains("Unconnected directory")
        || text.contains("is a link to directory")
        || text.contains("'..' in ")
}

fn path_of(state: &Model, node: usize) -> String {
    state.paths().into_iter().find(|path| state.find(path) == Ok(node)).unwrap_or_default()
}

fn read(shell: &mut Shell, ino: Ino, path: &str, tree: &mut Tree) {
    let mode = shell.volume.attributes(ino).unwrap_or_else(|error| panic!("{path}: {error:?}")).mode
        & abi::file::S_IFMT;
    let content = match mode {
        abi::file::S_IFDIR => {
            for (name, ino) in shell.names(ino).unwrap() {
                read(shell, ino, &format!("{path}/{name}"), tree);
            }
            None
        }
        abi::file::S_IFLNK => Some(shell.volume.read_link(ino).unwrap()),
        _ => Some(shell.read_all(ino).unwrap()),
    };
    tree.insert(path.to_string(), content);
}
