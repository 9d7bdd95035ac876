//! Functions and source lines by address: the table a panic reads to print a backtrace.
//!
//! The image packer (`scripts/image`) writes the table with [`Writer`] and appends it to the kernel;
//! the kernel reads it with [`Symbols`], which works on plain bytes, allocates nothing and cannot panic,
//! whatever the bytes are. Addresses are offsets from the start of the image, so relocation does not
//! matter.
//!
//! The format, all numbers little-endian or LEB128:
//! - header: [`MAGIC`], then offset and length of the sections [`Section`] in this order.
//! - two string tables (function names, file names), sorted, front-coded: each string is the number of
//!   bytes it shares with its predecessor, the number of its own bytes, and those. Every
//!   [`STRINGS_PER_BLOCK`] strings the sharing restarts; an index of u32 offsets finds the blocks.
//! - functions in blocks of [`FUNCTIONS_PER_BLOCK`]: the distance to the previous start, and the name's
//!   number plus one (0: no function from here). An index of (first start, offset) finds the blocks.
//! - line rows in blocks of [`ROWS_PER_BLOCK`], as a program in the manner of DWARF's ([`ops`]); its
//!   machine remembers recent files with their last lines, because inlining switches between few files.

mod lines;
mod reader;
mod strings;
mod writer;

pub use reader::{Buffers, Location, SourceLine, Symbols};
pub use writer::Writer;

/// First bytes of a table.
pub const MAGIC: [u8; 4] = *b"NSY1";
/// Strings from one restart of front coding to the next.
pub const STRINGS_PER_BLOCK: usize = 16;
/// Functions from one index entry to the next.
pub const FUNCTIONS_PER_BLOCK: usize = 32;
/// Line rows from one index entry to the next.
pub const ROWS_PER_BLOCK: usize = 256;
/// Names are cut to this many bytes.
pub const MAX_NAME_LEN: usize = 255;

/// The parts of a table, in the order of their header entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Offsets of the blocks of function names.
    NameIndex,
    /// Front-coded function names.
    Names,
    /// Offsets of the blocks of file names.
    FileIndex,
    /// Front-coded file names.
    Files,
    /// First start and offset of the blocks of functions.
    FunctionIndex,
    /// Functions.
    Functions,
    /// First address and offset of the blocks of line rows.
    LineIndex,
    /// The line programs.
    Lines,
}

/// How many sections there are.
const SECTIONS: usize = 8;
const HEADER_LEN: usize = MAGIC.len() + SECTIONS * 8;

/// Instructions of the line program.
pub mod ops {
    /// Go on in the file with the number that follows.
    pub const SET_FILE: u8 = 0;
    /// A row: address distance and signed line distance follow.
    pub const ROW: u8 = 1;
    /// A row without a source line: the address distance follows.
    pub const NOTHING: u8 = 2;
    /// Go on in the n-th file before the current one; the first of [`RECENT_FILES`] - 1 instructions.
    pub const RECENT: u8 = 3;
    /// A row whose distances are in the instruction itself; the first of all remaining ones.
    pub const SHORT_ROW: u8 = RECENT + RECENT_FILES - 1;

    /// How many files the machine remembers, the current one included.
    pub const RECENT_FILES: u8 = 8;
    /// The line distance of the first short row.
    pub const SHORT_LINE_BASE: i64 = -3;
    /// How many line distances short rows have.
    pub const SHORT_LINES: u8 = 12;
    /// How many address distances short rows have.
    pub const SHORT_ADDRESSES: u8 = (u8::MAX - SHORT_ROW) / SHORT_LINES;
}

#[cfg(test)]
mod tests;
