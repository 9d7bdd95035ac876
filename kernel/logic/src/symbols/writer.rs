//! The writer, for the image packer and the tests.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::lines::Recent;
use super::{
    FUNCTIONS_PER_BLOCK, HEADER_LEN, MAGIC, MAX_NAME_LEN, ROWS_PER_BLOCK, SECTIONS, STRINGS_PER_BLOCK, ops,
};

/// A hole between functions that is larger than this is no part of the first; smaller ones are padding.
const PADDING: u32 = 64;

#[derive(Debug)]
struct Function {
    size: u32,
    name: String,
}

/// Collects functions and line rows in any order. Allocates; not for the kernel.
#[derive(Debug, Default)]
pub struct Writer {
    functions: BTreeMap<u32, Function>,
    rows: BTreeMap<u32, Option<(String, u32)>>,
}

impl Writer {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { functions: BTreeMap::new(), rows: BTreeMap::new() }
    }

    /// Adds a function; a `size` of 0 means up to the next one. Of two at one place the first stays.
    pub fn add_function(&mut self, start: u32, size: u32, name: &str) {
        let name = name.get(..name.floor_char_boundary(MAX_NAME_LEN)).unwrap_or(name).to_string();
        self.functions.entry(start).or_insert(Function { size, name });
    }

    /// Says that the code from `address` on is from this line, up to the next row; lines count from 1.
    pub fn add_line(&mut self, address: u32, file: &str, line: u32) {
        self.rows.insert(address, Some((file.to_string(), line)));
    }

    /// Says that the code from `address` on is from nowhere, unless a line starts there.
    pub fn end_lines(&mut self, address: u32) {
        self.rows.entry(address).or_insert(None);
    }

    /// The bytes of the table; the same input gives the same bytes.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let names = Strings::of(self.functions.values().map(|function| function.name.as_str()));
        let files = Strings::of(self.rows.values().flatten().map(|(file, _)| file.as_str()));
        let functions = self.functions(&names);
        let lines = self.lines(&files);
        let parts = [
            names.index(),
            &names.table,
            files.index(),
            &files.table,
            &functions.index,
            &functions.data,
            &lines.index,
            &lines.data,
        ];
        assemble(&parts)
    }

    fn functions(&self, names: &Strings<'_>) -> Blocks {
        let mut entries = Vec::new();
        let mut starts = self.functions.keys().copied().skip(1);
        for (&start, function) in &self.functions {
            entries.push((start, names.number(&function.name) + 1));
            let end = start.saturating_add(function.size);
            let next = starts.next().unwrap_or(u32::MAX);
            if function.size > 0 && next.saturating_sub(end) > PADDING {
                entries.push((end, 0));
            }
        }
        let mut blocks = Blocks::default();
        for block in entries.chunks(FUNCTIONS_PER_BLOCK) {
            let mut previous = blocks.start(block[0].0);
            for &(start, name) in block {
                put_unsigned(&mut blocks.data, start - previous);
                put_unsigned(&mut blocks.data, name);
                previous = start;
            }
        }
        blocks
    }

    fn lines(&self, files: &Strings<'_>) -> Blocks {
        let mut rows: Vec<(u32, Option<(u32, u32)>)> = self
            .rows
            .iter()
            .map(|(&address, place)| {
                (address, place.as_ref().map(|(file, line)| (files.number(file), *line)))
            })
            .collect();
        rows.dedup_by_key(|row| row.1);
        let mut blocks = Blocks::default();
        for block in rows.chunks(ROWS_PER_BLOCK) {
            let mut previous = blocks.start(block[0].0);
            let mut recent = Recent::default();
            for &(address, place) in block {
                put_row(&mut blocks.data, address - previous, place, &mut recent);
                previous = address;
            }
        }
        blocks
    }
}

fn put_row(data: &mut Vec<u8>, distance: u32, place: Option<(u32, u32)>, recent: &mut Recent) {
    let Some((file, line)) = place else {
        data.push(ops::NOTHING);
        return put_unsigned(data, distance);
    };
    match recent.find(file) {
        Some(0) => {}
        Some(index) => {
            data.push(ops::RECENT - 1 + low_byte(index));
            recent.select(index);
        }
        None => {
            data.push(ops::SET_FILE);
            put_unsigned(data, file);
            recent.open(file);
        }
    }
    let lines = i64::from(line) - i64::from(recent.current().line);
    recent.set_line(line);
    let short = lines - ops::SHORT_LINE_BASE;
    if (0..i64::from(ops::SHORT_LINES)).contains(&short) && distance < u32::from(ops::SHORT_ADDRESSES) {
        let lines = u8::try_from(short).unwrap_or(0);
        data.push(ops::SHORT_ROW + low_byte(distance as usize) * ops::SHORT_LINES + lines);
    } else {
        data.push(ops::ROW);
        put_unsigned(data, distance);
        put_signed(data, lines);
    }
}

/// Blocks of entries and the index that finds them.
#[derive(Default)]
struct Blocks {
    index: Vec<u8>,
    data: Vec<u8>,
}

impl Blocks {
    /// Starts a block whose first entry is at `address`, and returns that.
    fn start(&mut self, address: u32) -> u32 {
        self.index.extend(address.to_le_bytes());
        self.index.extend(offset_of(self.data.len()).to_le_bytes());
        address
    }
}

/// A sorted, front-coded string table.
struct Strings<'a> {
    numbers: BTreeMap<&'a str, u32>,
    index: Vec<u8>,
    table: Vec<u8>,
}

impl<'a> Strings<'a> {
    fn of(strings: impl Iterator<Item = &'a str>) -> Self {
        let sorted: Vec<&str> = strings.collect::<BTreeSet<_>>().into_iter().collect();
        let numbers = sorted.iter().copied().zip(0..).collect();
        let mut result = Self { numbers, index: Vec::new(), table: Vec::new() };
        for block in sorted.chunks(STRINGS_PER_BLOCK) {
            result.index.extend(offset_of(result.table.len()).to_le_bytes());
            let mut previous = "";
            for text in block {
                let shared =
                    previous.bytes().zip(text.bytes()).take_while(|(one, other)| one == other).count();
                put_unsigned(&mut result.table, offset_of(shared));
                put_unsigned(&mut result.table, offset_of(text.len() - shared));
                result.table.extend(text.bytes().skip(shared));
                previous = text;
            }
        }
        result
    }

    fn index(&self) -> &[u8] {
        &self.index
    }

    fn number(&self, text: &str) -> u32 {
        self.numbers.get(text).copied().unwrap_or(0)
    }
}

fn assemble(parts: &[&[u8]; SECTIONS]) -> Vec<u8> {
    let mut bytes = Vec::from(MAGIC);
    let mut offset = HEADER_LEN;
    for part in parts {
        bytes.extend(offset_of(offset).to_le_bytes());
        bytes.extend(offset_of(part.len()).to_le_bytes());
        offset += part.len();
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

fn put_unsigned(data: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        data.push(low_byte(value as usize & 0x7f) | 0x80);
        value >>= 7;
    }
    data.push(low_byte(value as usize));
}

/// The sign in the lowest bit. Line distances fit: nobody has files of 2^31 lines.
fn put_signed(data: &mut Vec<u8>, value: i64) {
    let coded = if value < 0 { (-(value + 1) << 1) | 1 } else { value << 1 };
    put_unsigned(data, u32::try_from(coded).unwrap_or(0));
}

fn low_byte(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or(0)
}

/// Offsets in a table; one of 4 GiB is larger than the image's address range.
fn offset_of(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
