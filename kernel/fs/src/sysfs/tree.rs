//! Folders and links: what is in a folder follows from the list of objects.
//!
//! A folder is a path. In it are the files and links of the object with that path, the next part of each longer path, and
//! links to objects of a class or bus, or with a device number.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::file::device_parts;
use abi::{Errno, Result};

use super::object::{Object, Row, Subsystem, What};

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Item {
    /// A folder.
    Folder,
    /// A file.
    File(&'static Row),
    /// A link: where it leads, from the folder it is in.
    Link(String),
}

/// A name in a folder.
pub(super) struct Name {
    pub(super) name: String,
    pub(super) item: Item,
}

/// What is in the folder with this path; ENOENT if no path goes through it.
pub(super) fn children(path: &str, objects: &[Object]) -> Result<Vec<Name>> {
    let mut found = Found { names: Vec::new(), exists: path.is_empty() };
    for object in objects {
        if let Some(rest) = below(&object.path, path) {
            found.path(rest)?;
        }
        if object.path == path {
            own(object, path, &mut found)?;
        }
        for_each_view(object, |view, name| {
            let Some(rest) = below(view, path) else { return Ok(()) };
            found.path(rest)?;
            if !rest.is_empty() {
                return Ok(());
            }
            let name = name.map_or_else(|| String::from(object.name()), number_name);
            found.add(&name, || Item::Link(lead(path, &object.path)))
        })?;
    }
    if found.exists { Ok(found.names) } else { Err(Errno::ENOENT) }
}

/// What is in a folder so far.
struct Found {
    names: Vec<Name>,
    exists: bool,
}

impl Found {
    /// A path goes through the folder, and on by this.
    fn path(&mut self, rest: &str) -> Result<()> {
        self.exists = true;
        match rest.split('/').next() {
            Some(next) if !next.is_empty() => self.add(next, || Item::Folder),
            _ => Ok(()),
        }
    }

    fn add(&mut self, name: &str, item: impl FnOnce() -> Item) -> Result<()> {
        if self.names.iter().any(|other| other.name == name) {
            return Ok(());
        }
        self.names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.names.push(Name { name: String::from(name), item: item() });
        Ok(())
    }
}

/// What comes after `folder` and its slash in a path; nothing if the path is the folder, none if it is elsewhere.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    if folder.is_empty() || rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Files and links of an object.
fn own(object: &Object, path: &str, found: &mut Found) -> Result<()> {
    for row in object.rows {
        found.add(row.name, || Item::File(row))?;
    }
    let Some(subsystem) = object.subsystem else { return Ok(()) };
    let (sort, name) = match subsystem {
        Subsystem::Class(name) => ("class", name),
        Subsystem::Bus(name) => ("bus", name),
    };
    found.add("subsystem", || Item::Link(lead(path, &format!("{sort}/{name}"))))?;
    if let Some(driver) = object.driver {
        found.add("driver", || Item::Link(lead(path, &format!("{sort}/{name}/drivers/{driver}"))))?;
    }
    if let Some(device) = &object.device {
        found.add("device", || Item::Link(lead(path, device)))?;
    }
    Ok(())
}

/// Calls `visit` with each folder that has a link to an object, and with the number it is called by there, if not by name.
fn for_each_view(object: &Object, mut visit: impl FnMut(&str, Option<u64>) -> Result<()>) -> Result<()> {
    match object.subsystem {
        None => return Ok(()),
        Some(Subsystem::Class(class)) => visit(&format!("class/{class}"), None)?,
        Some(Subsystem::Bus(bus)) => {
            visit(&format!("bus/{bus}/devices"), None)?;
            if let Some(driver) = object.driver {
                visit(&format!("bus/{bus}/drivers/{driver}"), None)?;
            }
        }
    }
    match &object.what {
        What::Disk(disk) => {
            if !disk.is_partition() {
                visit("block", None)?;
            }
            visit("dev/block", Some(disk.number()))
        }
        What::Node { number, .. } => visit("dev/char", Some(*number)),
        What::Folder | What::Pci(..) | What::Cpu(_) => Ok(()),
    }
}

fn number_name(number: u64) -> String {
    let (major, minor) = device_parts(number);
    format!("{major}:{minor}")
}

/// The way from a folder to a path.
fn lead(folder: &str, path: &str) -> String {
    let mut way = String::new();
    for _ in folder.split('/').filter(|part| !part.is_empty()) {
        way.push_str("../");
    }
    way.push_str(path);
    way
}
