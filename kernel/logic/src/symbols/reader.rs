//! The reader: a binary search, then a short decode.

use super::lines::{Place, Recent};
use super::strings::{self, Cursor, word};
use super::{FUNCTIONS_PER_BLOCK, HEADER_LEN, MAGIC, MAX_NAME_LEN, ROWS_PER_BLOCK, Section, ops};

/// A table in memory.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    bytes: &'a [u8],
}

/// Room for the texts of one [`Location`]; reuse it from frame to frame.
#[derive(Clone, Debug)]
pub struct Buffers {
    function: [u8; MAX_NAME_LEN],
    file: [u8; MAX_NAME_LEN],
}

impl Buffers {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self { function: [0; MAX_NAME_LEN], file: [0; MAX_NAME_LEN] }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// What is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'b> {
    /// The function's demangled name.
    pub function: &'b str,
    /// How far into the function the address is.
    pub function_offset: u32,
    /// The source line, if it is known.
    pub source: Option<SourceLine<'b>>,
}

/// A line of a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine<'b> {
    /// The path from the root of the source tree, or `core/..` and the like.
    pub file: &'b str,
    /// The line, from 1.
    pub line: u32,
}

impl core::fmt::Display for Location<'_> {
    /// `function+0x12 (file:34)`.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}+{:#x}", self.function, self.function_offset)?;
        match self.source {
            Some(source) => write!(formatter, " ({}:{})", source.file, source.line),
            None => Ok(()),
        }
    }
}

impl<'a> Symbols<'a> {
    /// The table at the start of `bytes`; `None` if there is none.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= HEADER_LEN && bytes.starts_with(&MAGIC)).then_some(Self { bytes })
    }

    /// What is `offset` bytes from the start of the image. For a return address, ask for the byte
    /// before it: the call may be the last instruction of its line, or of its function.
    pub fn lookup<'b>(&self, offset: u32, buffers: &'b mut Buffers) -> Option<Location<'b>> {
        let (start, name) = self.function_at(offset)?;
        let function = self.text(Section::NameIndex, Section::Names, name, &mut buffers.function)?;
        let source = self.place_at(offset).and_then(|place| {
            let file = self.text(Section::FileIndex, Section::Files, place.file, &mut buffers.file)?;
            Some(SourceLine { file, line: place.line })
        });
        Some(Location { function, function_offset: offset - start, source })
    }

    /// The function that `offset` is in: its start and the number of its name.
    fn function_at(&self, offset: u32) -> Option<(u32, u32)> {
        let (first, mut cursor) = self.block(Section::FunctionIndex, Section::Functions, offset)?;
        let mut start = first;
        let mut found = None;
        for _ in 0..FUNCTIONS_PER_BLOCK {
            let Some(distance) = cursor.unsigned() else { break };
            start = start.checked_add(distance)?;
            if start > offset {
                break;
            }
            found = Some((start, cursor.unsigned()?));
        }
        let (start, name) = found?;
        Some((start, name.checked_sub(1)?))
    }

    /// The file number and line of the row that covers `offset`.
    fn place_at(&self, offset: u32) -> Option<Place> {
        let (mut address, mut cursor) = self.block(Section::LineIndex, Section::Lines, offset)?;
        let mut recent = Recent::default();
        let mut found = None;
        let mut rows = 0;
        while rows < ROWS_PER_BLOCK {
            let Some(instruction) = cursor.byte() else { break };
            let row = match step(instruction, &mut cursor, &mut recent)? {
                Step::File => continue,
                Step::Row { distance, place } => (address.checked_add(distance)?, place),
            };
            if row.0 > offset {
                break;
            }
            (address, found) = row;
            rows += 1;
        }
        found
    }

    /// The block that covers `offset`: its first address and its bytes.
    fn block(&self, index: Section, data: Section, offset: u32) -> Option<(u32, Cursor<'a>)> {
        let index = self.section(index)?;
        let (entries, _) = index.as_chunks::<8>();
        let after = entries.partition_point(|entry| word(entry, 0).is_some_and(|first| first <= offset));
        let entry = entries.get(after.checked_sub(1)?)?;
        Some((word(entry, 0)?, Cursor::at(self.section(data)?, word(entry, 1)?)?))
    }

    fn text<'b>(&self, index: Section, table: Section, number: u32, buffer: &'b mut [u8]) -> Option<&'b str> {
        strings::decode(self.section(index)?, self.section(table)?, number, buffer)
    }

    fn section(&self, section: Section) -> Option<&'a [u8]> {
        let header = self.bytes.get(MAGIC.len()..HEADER_LEN)?;
        let offset = usize::try_from(word(header, section as usize * 2)?).ok()?;
        let len = usize::try_from(word(header, section as usize * 2 + 1)?).ok()?;
        self.bytes.get(offset..offset.checked_add(len)?)
    }
}

/// What one instruction of the line program did.
enum Step {
    File,
    Row { distance: u32, place: Option<Place> },
}

fn step(instruction: u8, cursor: &mut Cursor<'_>, recent: &mut Recent) -> Option<Step> {
    match instruction {
        ops::SET_FILE => recent.open(cursor.unsigned()?),
        ops::ROW => {
            let distance = cursor.unsigned()?;
            return row(distance, cursor.signed()?, recent);
        }
        ops::NOTHING => return Some(Step::Row { distance: cursor.unsigned()?, place: None }),
        ops::RECENT..ops::SHORT_ROW => recent.select(usize::from(instruction - ops::RECENT) + 1),
        ops::SHORT_ROW.. => {
            let code = instruction - ops::SHORT_ROW;
            let lines = ops::SHORT_LINE_BASE + i64::from(code % ops::SHORT_LINES);
            return row(u32::from(code / ops::SHORT_LINES), lines, recent);
        }
    }
    Some(Step::File)
}

fn row(distance: u32, lines: i64, recent: &mut Recent) -> Option<Step> {
    let line = i64::from(recent.current().line).checked_add(lines)?;
    recent.set_line(u32::try_from(line).ok()?);
    Some(Step::Row { distance, place: Some(recent.current()) })
}
