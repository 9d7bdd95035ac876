//! Reader of `newc` cpio archives, the format of an initramfs.
//!
//! Follows Documentation/driver-api/early-userspace/buffer-format.rst of Linux and its init/initramfs.c:
//! archives may follow one another with zeros between them, each starting at a multiple of four bytes. Names
//! and data are slices of the archive; nothing is copied. The kernel unpacks what this finds; compressed
//! archives it only names, so that the log can say what is wrong.

use core::fmt;

/// Bytes of a header: magic and thirteen numbers of eight hexadecimal digits.
const HEADER_BYTES: usize = 110;

/// Longest name with its NUL, as `PATH_MAX`.
const NAME_MAX_BYTES: usize = 4096;

/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// `S_IFMT` and `S_IFREG` of inode(7).
const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// One file of an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The path without its NUL, relative or absolute as it was packed.
    pub name: &'a [u8],
    /// The contents; for a symbolic link its target.
    pub data: &'a [u8],
    /// Which of the concatenated archives this is from; inode numbers mean something within one only.
    pub archive: u32,
    /// Inode number: entries with equal numbers and devices and `nlink` above one are hard links.
    pub ino: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of hard links.
    pub nlink: u32,
    /// Modification time in seconds.
    pub mtime: u32,
    /// Major and minor number of the device it was packed from.
    pub device: (u32, u32),
    /// Major and minor number of the device it stands for.
    pub rdev: (u32, u32),
}

/// What is wrong with an archive, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpioError {
    /// Bytes from the start to the header of the entry in question.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// Neither a header nor anything else we know starts here.
    BadMagic,
    /// A header of the old portable format (`cpio -H odc`).
    OldFormat,
    /// A compressed archive starts here.
    Compressed(Compression),
    /// The archive ends inside the header.
    TruncatedHeader,
    /// A number of the header has a character that is no hexadecimal digit.
    BadDigit,
    /// The name has no byte, or more than a path may have.
    BadNameLength,
    /// The archive ends inside the name.
    TruncatedName,
    /// The name does not end in NUL.
    NameWithoutNul,
    /// The archive ends inside the data.
    TruncatedData,
    /// The sum of the data's bytes is not what the header says.
    BadChecksum,
    /// The archive ends without the entry that ends it.
    MissingTrailer,
}

impl CpioError {
    /// Whether more bytes could make it right.
    pub const fn is_for_lack_of_bytes(&self) -> bool {
        matches!(
            self.problem,
            Problem::TruncatedHeader
                | Problem::TruncatedName
                | Problem::TruncatedData
                | Problem::MissingTrailer
        )
    }
}

impl fmt::Display for CpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: ", self.offset)?;
        match self.problem {
            Problem::BadMagic => f.write_str("not a newc cpio archive"),
            Problem::OldFormat => f.write_str("old cpio format, use `cpio -H newc`"),
            Problem::Compressed(compression) => write!(f, "compressed with {}", compression.name()),
            Problem::TruncatedHeader => f.write_str("the archive ends inside a header"),
            Problem::BadDigit => f.write_str("a number in the header is not hexadecimal"),
            Problem::BadNameLength => f.write_str("a name is empty or too long"),
            Problem::TruncatedName => f.write_str("the archive ends inside a name"),
            Problem::NameWithoutNul => f.write_str("a name does not end in NUL"),
            Problem::TruncatedData => f.write_str("the archive ends inside a file"),
            Problem::BadChecksum => f.write_str("a file's checksum is wrong"),
            Problem::MissingTrailer => f.write_str("the archive ends without its trailer"),
        }
    }
}

/// How an archive is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// gzip
    Gzip,
    /// bzip2
    Bzip2,
    /// xz
    Xz,
    /// The old container of LZMA.
    Lzma,
    /// lzop
    Lzo,
    /// The legacy format of lz4, which Linux asks for, or its frame format.
    Lz4,
    /// Zstandard
    Zstd,
}

impl Compression {
    /// The name of the tool.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Lzo => "lzop",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// What these bytes are compressed with, by their first bytes (Linux's lib/decompress.c).
pub fn compression(bytes: &[u8]) -> Option<Compression> {
    const MAGICS: [(&[u8], Compression); 9] = [
        (b"\x1f\x8b", Compression::Gzip),
        (b"\x1f\x9e", Compression::Gzip),
        (b"BZh", Compression::Bzip2),
        (b"\xfd7zXZ\0", Compression::Xz),
        (b"\x5d\0\0", Compression::Lzma),
        (b"\x89LZO", Compression::Lzo),
        (b"\x02\x21\x4c\x18", Compression::Lz4),
        (b"\x04\x22\x4d\x18", Compression::Lz4),
        (b"\x28\xb5\x2f\xfd", Compression::Zstd),
    ];
    MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|&(_, compression)| compression)
}

/// The entries of all archives in `bytes`; the first error is the last item.
pub fn entries(bytes: &[u8]) -> Entries<'_> {
    Progress::START.entries(bytes)
}

/// How far archives that come piece by piece were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    archive: u32,
    state: State,
}

impl Progress {
    /// Before the first archive.
    pub const START: Progress = Progress { archive: 0, state: State::Between };

    /// The entries from there on.
    pub fn entries(self, bytes: &[u8]) -> Entries<'_> {
        Entries { bytes, offset: 0, archive: self.archive, state: self.state }
    }
}

/// Iterator over the entries of concatenated archives.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    offset: usize,
    archive: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Between,
    Inside,
    Over,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, CpioError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.state == State::Between {
                self.skip_zeros();
            }
            if self.state == State::Over {
                return None;
            }
            let offset = self.offset;
            match self.entry() {
                Err(problem) => {
                    self.state = State::Over;
                    return Some(Err(CpioError { offset, problem }));
                }
                Ok(entry) if entry.name == TRAILER => {
                    self.state = State::Between;
                    self.archive = self.archive.wrapping_add(1);
                }
                Ok(entry) => {
                    self.state = State::Inside;
                    return Some(Ok(entry));
                }
            }
        }
    }
}

impl<'a> Entries<'a> {
    /// How many bytes are read, and what to go on with behind them.
    pub const fn progress(&self) -> (usize, Progress) {
        let state = if matches!(self.state, State::Inside) { State::Inside } else { State::Between };
        (self.offset, Progress { archive: self.archive, state })
    }

    /// Skips the padding before an archive; the end of the bytes is the end here.
    fn skip_zeros(&mut self) {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        match rest.iter().position(|&byte| byte != 0) {
            Some(zeros) => self.offset += zeros,
            None => self.state = State::Over,
        }
    }

    /// Reads the entry at the offset and moves past it.
    fn entry(&mut self) -> Result<Entry<'a>, Problem> {
        let start = self.bytes.get(self.offset..).unwrap_or_default();
        if start.is_empty() {
            return Err(Problem::MissingTrailer);
        }
        let header = Header::parse(start, self.offset)?;
        let name = self.name(&header)?;
        let data_start = align_to_four(self.offset + HEADER_BYTES + header.name_len);
        let data = data_start.checked_add(header.data_len).and_then(|end| self.bytes.get(data_start..end));
        let data = data.ok_or(Problem::TruncatedData)?;
        if header.checksum_is_wrong(data) {
            return Err(Problem::BadChecksum);
        }
        self.offset = align_to_four(data_start + data.len());
        Ok(header.entry(name, data, self.archive))
    }

    fn name(&self, header: &Header) -> Result<&'a [u8], Problem> {
        if header.name_len == 0 || header.name_len > NAME_MAX_BYTES {
            return Err(Problem::BadNameLength);
        }
        let start = self.offset + HEADER_BYTES;
        let name = self.bytes.get(start..start + header.name_len).ok_or(Problem::TruncatedName)?;
        // Linux uses the name as a C string, so a NUL inside ends it too.
        name.split_last().filter(|(last, _)| **last == 0).ok_or(Problem::NameWithoutNul)?;
        Ok(name.split(|&byte| byte == 0).next().unwrap_or_default())
    }
}

/// Whether the data of an entry are summed up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Plain,
    Summed,
}

/// A header's numbers. `Entry` has the same ones under names; these are only what the reader itself needs.
struct Header {
    format: Format,
    numbers: [u32; 13],
    name_len: usize,
    data_len: usize,
}

impl Header {
    fn parse(bytes: &[u8], offset: usize) -> Result<Self, Problem> {
        let format = match bytes.get(..6) {
            Some(b"070701") if offset.is_multiple_of(4) => Format::Plain,
            Some(b"070702") if offset.is_multiple_of(4) => Format::Summed,
            Some(b"070707") => return Err(Problem::OldFormat),
            None if b"070701".starts_with(bytes) => return Err(Problem::TruncatedHeader),
            _ => return Err(compression(bytes).map_or(Problem::BadMagic, Problem::Compressed)),
        };
        let fields = bytes.get(6..HEADER_BYTES).ok_or(Problem::TruncatedHeader)?;
        let mut numbers = [0; 13];
        for (number, digits) in numbers.iter_mut().zip(fields.chunks_exact(8)) {
            *number = hexadecimal(digits).ok_or(Problem::BadDigit)?;
        }
        let data_len = usize::try_from(numbers[6]).map_err(|_| Problem::TruncatedData)?;
        let name_len = usize::try_from(numbers[11]).map_err(|_| Problem::BadNameLength)?;
        Ok(Self { format, numbers, name_len, data_len })
    }

    fn entry<'a>(&self, name: &'a [u8], data: &'a [u8], archive: u32) -> Entry<'a> {
        let [ino, mode, uid, gid, nlink, mtime, _, major, minor, rmajor, rminor, _, _] = self.numbers;
        let (device, rdev) = ((major, minor), (rmajor, rminor));
        Entry { name, data, archive, ino, mode, uid, gid, nlink, mtime, device, rdev }
    }

    /// Only regular files with data have a checksum that means something: GNU cpio writes the file's sum also
    /// into the entries of its other links, which have no data.
    fn checksum_is_wrong(&self, data: &[u8]) -> bool {
        let is_summed = self.format == Format::Summed && self.numbers[1] & FILE_TYPE == REGULAR;
        let sum = || data.iter().fold(0u32, |sum, &byte| sum.wrapping_add(byte.into()));
        is_summed && !data.is_empty() && sum() != self.numbers[12]
    }
}

fn align_to_four(offset: usize) -> usize {
    offset.checked_add(3).map_or(usize::MAX, |sum| sum & !3)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests;
