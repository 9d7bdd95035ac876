//! From a path to a place: path_resolution(7).

use alloc::vec::Vec;

use abi::limits::{NAME_MAX, PATH_MAX};
use abi::{Errno, Result};
use logic::cred::{Access, Capability, Cred};

use super::mount::Place;

/// Who walks, and what the ends of the world are.
pub struct Walker<'a> {
    /// Who.
    pub cred: &'a Cred,
    /// The highest directory.
    pub root: Place,
    /// Where relative paths start.
    pub start: Place,
}

/// What becomes of a symbolic link at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It is followed.
    Follow,
    /// It is what is meant, unless a slash follows.
    Keep,
    /// It is what is meant even then: the call makes, removes or renames the name.
    Name,
}

/// The last component of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// A name.
    Name(Vec<u8>),
    /// `.`
    Here,
    /// `..`
    Above,
    /// The path was `/`.
    Root,
}

/// Where a path leads.
pub struct Found {
    /// The directory of the last component.
    pub directory: Place,
    /// The last component.
    pub last: Component,
    /// The file, if there is one.
    pub place: Option<Place>,
    /// The path ended in a slash.
    pub wants_directory: bool,
}

/// Symbolic links followed on one walk (Linux's MAXSYMLINKS).
const MAX_LINKS: u32 = 40;

impl Found {
    /// The file.
    ///
    /// # Errors
    /// ENOENT if there is none; ENOTDIR if the path ends in a slash and it is no directory.
    pub fn existing(self) -> Result<Place> {
        let place = self.place.ok_or(Errno::ENOENT)?;
        if self.wants_directory && !place.entry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(place)
    }
}

impl Walker<'_> {
    /// The file at `path`.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG.
    pub fn resolve(&self, path: &[u8], last: Last) -> Result<Place> {
        self.find(path, last)?.existing()
    }

    /// Where `path` leads; its last component may be missing.
    ///
    /// # Errors
    /// As `resolve`, for all but the last component.
    pub fn find(&self, path: &[u8], last: Last) -> Result<Found> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut walk = Walk { walker: self, at: self.start.clone(), links: 0, spliced: Vec::new() };
        let mut position = 0;
        let mut is_spliced = false;
        loop {
            // The path in hand: the caller's, or what a symbolic link made of it.
            let spliced = core::mem::take(&mut walk.spliced);
            let text = if is_spliced { &spliced[..] } else { path };
            match walk.run(text, &mut position, last)? {
                Step::Done(found) => return Ok(found),
                Step::Spliced => {
                    is_spliced = true;
                    position = 0;
                }
            }
        }
    }
}

struct Walk<'a, 'b> {
    walker: &'a Walker<'b>,
    at: Place,
    links: u32,
    /// What is left to walk after a symbolic link was met.
    spliced: Vec<u8>,
}

enum Step {
    Done(Found),
    Spliced,
}

impl Walk<'_, '_> {
    fn run(&mut self, path: &[u8], position: &mut usize, last: Last) -> Result<Step> {
        if path.first() == Some(&b'/') && *position == 0 {
            self.at = self.walker.root.clone();
        }
        loop {
            let rest = &path[*position..];
            let start = rest.iter().position(|&byte| byte != b'/').unwrap_or(rest.len());
            let rest = &rest[start..];
            if rest.is_empty() {
                // Only slashes: the root.
                let place = Some(self.at.clone());
                let directory = self.at.clone();
                return Ok(Step::Done(Found {
                    directory,
                    last: Component::Root,
                    place,
                    wants_directory: true,
                }));
            }
            let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            let (name, after) = rest.split_at(len);
            let is_last = after.iter().all(|&byte| byte == b'/');
            if let Some(step) = self.component(name, after, is_last, last)? {
                return Ok(step);
            }
            *position += start + len;
        }
    }

    /// Takes one component; `None` goes on to the next.
    fn component(&mut self, name: &[u8], after: &[u8], is_last: bool, last: Last) -> Result<Option<Step>> {
        let directory = &self.at;
        self.check_search(directory)?;
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let wants_directory = is_last && !after.is_empty();
        let (component, next) = match name {
            b"." => (Component::Here, Ok(directory.clone())),
            b".." => (Component::Above, Ok(directory.parent(&self.walker.root))),
            name => {
                let place = directory.child(name);
                (if is_last { Component::Name(name.to_vec()) } else { Component::Here }, place)
            }
        };
        let next = match next {
            Err(Errno::ENOENT) if is_last => {
                let directory = directory.clone();
                let found = Found { directory, last: component, place: None, wants_directory };
                return Ok(Some(Step::Done(found)));
            }
            next => next?,
        };
        // A slash behind a link means what it leads to.
        let follows = !is_last || last == Last::Follow || wants_directory && last != Last::Name;
        let mut next = next;
        if follows && next.entry.is_symlink() {
            match next.inode().jump()? {
                Some(place) => next = place,
                None => {
                    self.follow(&next, after)?;
                    return Ok(Some(Step::Spliced));
                }
            }
        }
        if is_last {
            let directory = self.at.clone();
            let found = Found { directory, last: component, place: Some(next), wants_directory };
            return Ok(Some(Step::Done(found)));
        }
        self.at = next;
        Ok(None)
    }

    /// Whether names may be looked up here. Who may search every directory need not know whose it is.
    fn check_search(&self, directory: &Place) -> Result<()> {
        if !directory.entry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let cred = self.walker.cred;
        let may = cred.has(Capability::DacReadSearch)
            || cred.may(Access::EXECUTE, directory.inode().attributes().owner());
        if may { Ok(()) } else { Err(Errno::EACCES) }
    }

    fn follow(&mut self, link: &Place, after: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let mut target = link.inode().read_link()?;
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() + after.len() > 2 * PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        target.try_reserve(after.len()).map_err(|_| Errno::ENOMEM)?;
        target.extend_from_slice(after);
        self.spliced = target;
        Ok(())
    }
}
