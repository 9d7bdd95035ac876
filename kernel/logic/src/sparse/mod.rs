//! Things by number where most numbers have nothing: the pages of a file, the names of a directory.
//!
//! A tree of nodes with 64 places each, as high as the highest number asks for. Nodes are no longer than their last
//! thing, so a file of a few pages costs a few words. Making room can fail; nothing else can.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// Bits of a number that one level looks at.
const BITS: u32 = 6;
/// Levels that a number of 64 bits can ask for.
const LEVELS: u32 = u64::BITS.div_ceil(BITS);

/// Things by number.
#[derive(Debug)]
pub struct Sparse<T> {
    root: Node<T>,
    /// Levels of [`Node::Nodes`] above the things.
    height: u32,
    len: usize,
}

#[derive(Debug)]
enum Node<T> {
    Items(Vec<Option<T>>),
    Nodes(Vec<Node<T>>),
}

/// The place of `index` in a node of this level.
#[expect(clippy::cast_possible_truncation, reason = "six bits")]
const fn place(index: u64, level: u32) -> usize {
    (index >> (level * BITS)) as usize % (1 << BITS)
}

/// The first number behind the place of `index` in a node of this level.
fn behind(index: u64, level: u32) -> Option<u64> {
    (index >> (level * BITS)).checked_add(1)?.checked_mul(1 << (level * BITS))
}

impl<T> Sparse<T> {
    /// Nothing; allocates nothing.
    pub const fn new() -> Self {
        Sparse { root: Node::Items(Vec::new()), height: 0, len: 0 }
    }

    /// How many things there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the tree is high enough for `index`.
    const fn covers(&self, index: u64) -> bool {
        self.height + 1 >= LEVELS || index >> ((self.height + 1) * BITS) == 0
    }

    /// The thing with number `index`.
    pub fn get(&self, index: u64) -> Option<&T> {
        if !self.covers(index) {
            return None;
        }
        let mut node = &self.root;
        let mut level = self.height;
        loop {
            match node {
                Node::Items(items) => return items.get(place(index, 0))?.as_ref(),
                Node::Nodes(nodes) => node = nodes.get(place(index, level))?,
            }
            level = level.saturating_sub(1);
        }
    }

    /// The thing with number `index`, to change it.
    pub fn get_mut(&mut self, index: u64) -> Option<&mut T> {
        if !self.covers(index) {
            return None;
        }
        let mut node = &mut self.root;
        let mut level = self.height;
        loop {
            match node {
                Node::Items(items) => return items.get_mut(place(index, 0))?.as_mut(),
                Node::Nodes(nodes) => node = nodes.get_mut(place(index, level))?,
            }
            level = level.saturating_sub(1);
        }
    }

    /// Puts a thing at `index`; what was there comes back.
    ///
    /// # Errors
    /// If there is no memory; nothing has changed then.
    pub fn insert(&mut self, index: u64, thing: T) -> Result<Option<T>, TryReserveError> {
        self.grow(index)?;
        let mut node = &mut self.root;
        let mut level = self.height;
        loop {
            match node {
                Node::Items(items) => {
                    let at = place(index, 0);
                    lengthen(items, at, || None)?;
                    let old = items.get_mut(at).and_then(|item| item.replace(thing));
                    self.len += usize::from(old.is_none());
                    return Ok(old);
                }
                Node::Nodes(nodes) => {
                    let at = place(index, level);
                    lengthen(nodes, at, || Node::empty(level - 1))?;
                    match nodes.get_mut(at) {
                        Some(next) => node = next,
                        None => return Ok(None),
                    }
                }
            }
            level = level.saturating_sub(1);
        }
    }

    fn grow(&mut self, index: u64) -> Result<(), TryReserveError> {
        while !self.covers(index) {
            if self.len == 0 {
                self.height += 1;
                self.root = Node::empty(self.height);
                continue;
            }
            let mut nodes = Vec::new();
            nodes.try_reserve_exact(1)?;
            self.height += 1;
            nodes.push(core::mem::replace(&mut self.root, Node::empty(0)));
            self.root = Node::Nodes(nodes);
        }
        Ok(())
    }

    /// Takes the thing with number `index` out.
    pub fn remove(&mut self, index: u64) -> Option<T> {
        if !self.covers(index) {
            return None;
        }
        let taken = self.root.remove(index, self.height)?;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new();
        }
        Some(taken)
    }

    /// Drops everything from number `from` on; says how much.
    pub fn cut(&mut self, from: u64) -> usize {
        if !self.covers(from) {
            return 0;
        }
        let cut = self.root.cut(from, self.height);
        self.len -= cut;
        if self.len == 0 {
            *self = Self::new();
        }
        cut
    }

    /// The first thing with a number of `from` or more.
    pub fn next(&self, from: u64) -> Option<(u64, &T)> {
        if !self.covers(from) {
            return None;
        }
        self.root.next(from, self.height)
    }

    /// Everything, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let mut from = Some(0);
        core::iter::from_fn(move || {
            let (index, thing) = self.next(from?)?;
            from = index.checked_add(1);
            Some((index, thing))
        })
    }
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes `list` long enough to have a place `at`.
fn lengthen<E>(list: &mut Vec<E>, at: usize, empty: impl FnMut() -> E) -> Result<(), TryReserveError> {
    if list.len() <= at {
        list.try_reserve(at + 1 - list.len())?;
        list.resize_with(at + 1, empty);
    }
    Ok(())
}

impl<T> Node<T> {
    const fn empty(level: u32) -> Self {
        if level == 0 { Node::Items(Vec::new()) } else { Node::Nodes(Vec::new()) }
    }

    const fn is_empty(&self) -> bool {
        match self {
            Node::Items(items) => items.is_empty(),
            Node::Nodes(nodes) => nodes.is_empty(),
        }
    }

    /// Forgets empty places at the end, so that a node without things is empty.
    fn trim(&mut self) {
        match self {
            Node::Items(items) => while items.pop_if(|item| item.is_none()).is_some() {},
            Node::Nodes(nodes) => while nodes.pop_if(|node| node.is_empty()).is_some() {},
        }
        if self.is_empty() {
            // Its memory too.
            *self = Node::empty(u32::from(matches!(self, Node::Nodes(_))));
        }
    }

    fn remove(&mut self, index: u64, level: u32) -> Option<T> {
        let taken = match self {
            Node::Items(items) => items.get_mut(place(index, 0))?.take(),
            Node::Nodes(nodes) => nodes.get_mut(place(index, level))?.remove(index, level - 1),
        };
        self.trim();
        taken
    }

    fn cut(&mut self, from: u64, level: u32) -> usize {
        let at = place(from, level);
        let cut = match self {
            Node::Items(items) => {
                let things = items.iter().skip(at).flatten().count();
                items.truncate(at);
                things
            }
            Node::Nodes(nodes) => {
                let first = nodes.get_mut(at).map_or(0, |node| node.cut(from, level - 1));
                let rest: usize = nodes.iter().skip(at + 1).map(Node::count).sum();
                nodes.truncate(at + 1);
                first + rest
            }
        };
        self.trim();
        cut
    }

    fn count(&self) -> usize {
        match self {
            Node::Items(items) => items.iter().flatten().count(),
            Node::Nodes(nodes) => nodes.iter().map(Node::count).sum(),
        }
    }

    fn next(&self, from: u64, level: u32) -> Option<(u64, &T)> {
        let mut from = from;
        loop {
            let at = place(from, level);
            let found = match self {
                Node::Items(items) => items.get(at)?.as_ref().map(|item| (from, item)),
                Node::Nodes(nodes) => nodes.get(at)?.next(from, level - 1),
            };
            if found.is_some() || at + 1 == 1 << BITS {
                return found;
            }
            from = behind(from, level)?;
        }
    }
}

#[cfg(test)]
mod tests;
