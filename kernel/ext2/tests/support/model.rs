//! A file system in a few maps, to compare with.

use std::collections::BTreeMap;

use abi::{Errno, Result};
use ext2::{Ino, Renaming};

use super::Shell;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    File(Vec<u8>),
    Link(Vec<u8>),
    Folder(BTreeMap<String, usize>),
}

/// Files by number; 0 is the root. What has no name is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<usize, Node>,
    next: usize,
}

impl Default for Model {
    fn default() -> Self {
        Model { nodes: BTreeMap::from([(0, Node::Folder(BTreeMap::new()))]), next: 1 }
    }
}

/// What happens to a name that a path ends in.
type Spot = (usize, String);

impl Model {
    pub(crate) fn names(&self, folder: usize) -> Result<&BTreeMap<String, usize>> {
        match &self.nodes[&folder] {
            Node::Folder(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn names_mut(&mut self, folder: usize) -> &mut BTreeMap<String, usize> {
        match self.nodes.get_mut(&folder) {
            Some(Node::Folder(names)) => names,
            _ => panic!("{folder} is no folder"),
        }
    }

    pub(crate) fn find(&self, path: &str) -> Result<usize> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(0, |folder, part| self.names(folder)?.get(part).copied().ok_or(Errno::ENOENT))
    }

    fn spot(&self, path: &str) -> Result<Spot> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.find(folder)?;
        self.names(folder)?;
        Ok((folder, name.to_string()))
    }

    pub(crate) fn create(&mut self, path: &str, node: Node) -> Result<()> {
        let (folder, name) = self.spot(path)?;
        if self.names(folder)?.contains_key(&name) {
            return Err(Errno::EEXIST);
        }
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        self.names_mut(folder).insert(name, number);
        Ok(())
    }

    pub(crate) fn link(&mut self, from: &str, to: &str) -> Result<()> {
        let number = self.find(from)?;
        let (folder, name) = self.spot(to)?;
        if matches!(self.nodes[&number], Node::Folder(_)) {
            return Err(Errno::EPERM);
        }
        if self.names(folder)?.contains_key(&name) {
            return Err(Errno::EEXIST);
        }
        self.names_mut(folder).insert(name, number);
        Ok(())
    }

    pub(crate) fn unlink(&mut self, path: &str) -> Result<()> {
        let (folder, name) = self.spot(path)?;
        let number = *self.names(folder)?.get(&name).ok_or(Errno::ENOENT)?;
        if matches!(self.nodes[&number], Node::Folder(_)) {
            return Err(Errno::EISDIR);
        }
        self.names_mut(folder).remove(&name);
        self.drop_nameless(number);
        Ok(())
    }

    pub(crate) fn remove_folder(&mut self, path: &str) -> Result<()> {
        let (folder, name) = self.spot(path)?;
        let number = *self.names(folder)?.get(&name).ok_or(Errno::ENOENT)?;
        if !self.names(number)?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.names_mut(folder).remove(&name);
        self.nodes.remove(&number);
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str, how: Renaming) -> Result<()> {
        let (from_folder, from_name) = self.spot(from)?;
        let source = *self.names(from_folder)?.get(&from_name).ok_or(Errno::ENOENT)?;
        let (to_folder, to_name) = self.spot(to)?;
        let target = self.names(to_folder)?.get(&to_name).copied();
        if target == Some(source) {
            return Ok(());
        }
        match (how, target) {
            (Renaming::NoReplace, Some(_)) => return Err(Errno::EEXIST),
            (Renaming::Exchange, None) => return Err(Errno::ENOENT),
            _ => {}
        }
        let is_folder = |number: usize| matches!(self.nodes[&number], Node::Folder(_));
        let same = from_folder == to_folder;
        if how == Renaming::Exchange {
            let target = target.unwrap();
            let loops = |number, into| is_folder(number) && self.contains(number, into);
            if !same && (loops(source, to_folder) || loops(target, from_folder)) {
                return Err(Errno::EINVAL);
            }
            self.names_mut(from_folder).insert(from_name, target);
            self.names_mut(to_folder).insert(to_name, source);
            return Ok(());
        }
        if let Some(target) = target {
            match (is_folder(source), is_folder(target)) {
                (false, true) => return Err(Errno::EISDIR),
                (true, false) => return Err(Errno::ENOTDIR),
                (true, true) if !self.names(target)?.is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
        }
        if is_folder(source) && !same && self.contains(source, to_folder) {
            return Err(Errno::EINVAL);
        }
        self.names_mut(from_folder).remove(&from_name);
        self.names_mut(to_folder).insert(to_name, source);
        if let Some(target) = target {
            self.drop_nameless(target);
        }
        Ok(())
    }

    fn contains(&self, folder: usize, inner: usize) -> bool {
        folder == inner
            || self.names(folder).is_ok_and(|names| {
                names.values().any(|&number| {
                    matches!(self.nodes[&number], Node::Folder(_)) && self.contains(number, inner)
                })
            })
    }

    fn drop_nameless(&mut self, number: usize) {
        let has_name = self
            .nodes
            .values()
            .any(|node| matches!(node, Node::Folder(names) if names.values().any(|&named| named == number)));
        if !has_name {
            self.nodes.remove(&number);
        }
    }

    pub(crate) fn content(&mut self, path: &str) -> Result<&mut Vec<u8>> {
        let number = self.find(path)?;
        match self.nodes.get_mut(&number) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(Errno::EINVAL),
        }
    }

    /// All paths, folders before what is in them.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = vec![String::new()];
        let mut at = 0;
        while at < paths.len() {
            let path = paths[at].clone();
            if let Ok(names) = self.find(&path).and_then(|number| self.names(number)) {
                paths.extend(names.keys().map(|name| format!("{path}/{name}")));
            }
            at += 1;
        }
        paths
    }

    /// Requires that a file system has just this, but for `lost+found`.
    pub(crate) fn compare(&self, shell: &mut Shell) {
        self.compare_at(shell, 0, Ino::ROOT, "");
    }

    fn compare_at(&self, shell: &mut Shell, number: usize, ino: Ino, path: &str) {
        let attributes = shell.volume.attributes(ino).unwrap_or_else(|error| panic!("{path}: {error:?}"));
        match &self.nodes[&number] {
            Node::File(content) => {
                assert_eq!(attributes.size, content.len() as u64, "size of {path}");
                assert!(shell.read_all(ino).unwrap() == *content, "content of {path}");
            }
            Node::Link(target) => assert_eq!(shell.volume.read_link(ino).unwrap(), *target, "{path}"),
            Node::Folder(names) => {
                let mut found = shell.names(ino).unwrap();
                found.retain(|(name, _)| name != "lost+found");
                found.sort();
                let expected: Vec<&String> = names.keys().collect();
                assert_eq!(
                    found.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                    expected,
                    "names in {path}"
                );
                for (name, ino) in found {
                    assert_eq!(shell.lookup_checked(&format!("{path}/{name}")), ino);
                    self.compare_at(shell, names[&name], ino, &format!("{path}/{name}"));
                }
            }
        }
    }
}

impl Shell {
    fn lookup_checked(&mut self, path: &str) -> Ino {
        self.at(path).unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }
}
