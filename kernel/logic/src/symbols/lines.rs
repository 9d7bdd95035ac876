//! The line machine: the state that reader and writer keep in step.

use super::ops;

/// A file by number, with the line last reached in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u32,
    pub(super) line: u32,
}

/// Recent files, the current one first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    places: [Place; ops::RECENT_FILES as usize],
}

impl Recent {
    pub(super) const fn current(&self) -> Place {
        self.places[0]
    }

    /// How many files back `file` is, if the machine remembers it.
    pub(super) fn find(&self, file: u32) -> Option<usize> {
        self.places.iter().position(|place| place.file == file)
    }

    /// Makes the file `index` places back the current one.
    pub(super) fn select(&mut self, index: usize) {
        if let Some(recent) = self.places.get_mut(..=index) {
            recent.rotate_right(1);
        }
    }

    /// Makes a file current that is not remembered, and forgets the oldest one.
    pub(super) fn open(&mut self, file: u32) {
        self.places.rotate_right(1);
        self.places[0] = Place { file, line: 0 };
    }

    pub(super) const fn set_line(&mut self, line: u32) {
        self.places[0].line = line;
    }
}
