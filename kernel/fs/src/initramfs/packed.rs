//! What can be wrong with something packed, whatever packed it.

use core::fmt;

use logic::cpio::Compression;

/// Why something cannot be unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackError {
    /// What it is packed with.
    pub format: Compression,
    /// What is wrong.
    pub problem: PackProblem,
}

/// What is wrong with something packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PackProblem {
    /// Its header is not one, or asks for what is not defined.
    Header,
    /// What is compressed is damaged.
    Damaged,
    /// It ends too early.
    Truncated,
    /// What came out is not what went in.
    Checksum,
    /// There is no memory for the window.
    NoMemory,
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.format.name();
        match self.problem {
            PackProblem::Header => write!(f, "the {name} header is wrong"),
            PackProblem::Damaged => write!(f, "the {name} data is damaged"),
            PackProblem::Truncated => write!(f, "the {name} data ends too early"),
            PackProblem::Checksum => write!(f, "the {name} checksum is wrong"),
            PackProblem::NoMemory => write!(f, "there is no memory to unpack {name} with"),
        }
    }
}
