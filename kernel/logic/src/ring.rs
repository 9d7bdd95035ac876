//! The kernel log: a ring of bytes that holds records of text.
//!
//! Old records are dropped whole to make room. Readers (`dmesg`, `/dev/kmsg`, a crash report) keep a
//! [`Cursor`] and find every record after it, or learn how many they missed. Text is never cut inside a
//! character. Storage is an array in a static or a borrowed slice; the log's lock is the caller's.

/// Bytes before the text: its length (2), level, processor, time (8).
const HEADER: usize = 12;

/// One line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counts all records since boot, from 0.
    pub sequence: u64,
    /// When it was written.
    pub time_ns: u64,
    /// Its syslog priority, `facility * 8 + level` (`syslog(2)`).
    pub level: u8,
    /// The processor that wrote it.
    pub cpu: u8,
    /// What it says, without a line feed unless the writer put one there.
    pub text: &'a str,
}

/// A reader's place: the next record to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    sequence: u64,
    position: u64,
}

impl Cursor {
    /// The sequence number of the next record.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// The ring. `S` is `[u8; N]` or `&mut [u8]`, at least 64 bytes to be of use.
#[derive(Debug)]
pub struct LogRing<S> {
    storage: S,
    /// The oldest record. Positions count all bytes ever written; modulo the capacity they are indices.
    oldest: Cursor,
    /// Where the next record goes.
    end: Cursor,
}

impl<S: AsRef<[u8]> + AsMut<[u8]>> LogRing<S> {
    /// An empty ring over `storage`.
    pub const fn new(storage: S) -> Self {
        const START: Cursor = Cursor { sequence: 0, position: 0 };
        Self { storage, oldest: START, end: START }
    }

    /// The place of the oldest record.
    #[must_use]
    pub const fn oldest(&self) -> Cursor {
        self.oldest
    }

    /// The place after the newest record.
    #[must_use]
    pub const fn end(&self) -> Cursor {
        self.end
    }

    /// The place of record `sequence`, or the nearest there is. Walks the ring; a [`Cursor`] does not.
    #[must_use]
    pub fn seek(&self, sequence: u64) -> Cursor {
        let mut cursor = self.oldest;
        while cursor.sequence < sequence && cursor.sequence < self.end.sequence {
            cursor = self.after(cursor);
        }
        cursor
    }

    /// Appends a record, dropping the oldest ones as needed, and returns its sequence number. Text
    /// longer than a quarter of the ring (or 64 KiB) is cut.
    pub fn push(&mut self, time_ns: u64, level: u8, cpu: u8, text: &str) -> u64 {
        let sequence = self.end.sequence;
        let text = cut(text, (self.capacity() / 4).min(usize::from(u16::MAX)));
        let size = HEADER + text.len();
        if size > self.capacity() {
            return sequence;
        }
        while self.used() + size > self.capacity() {
            self.oldest = self.after(self.oldest);
        }
        let [low, high] = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
        self.write(self.end.position, &[low, high, level, cpu]);
        self.write(self.end.position + 4, &time_ns.to_le_bytes());
        self.write(self.end.position + HEADER as u64, text.as_bytes());
        self.end = Cursor { sequence: sequence + 1, position: self.end.position + size as u64 };
        sequence
    }

    /// Reads the record at `cursor` into `buffer` and moves on. Text that does not fit is cut; `None`
    /// at the end. If the record was dropped meanwhile, the oldest one is read instead: a jump in
    /// [`Record::sequence`] tells.
    pub fn read<'a>(&self, cursor: &mut Cursor, buffer: &'a mut [u8]) -> Option<Record<'a>> {
        let at = if cursor.sequence < self.oldest.sequence { self.oldest } else { *cursor };
        if at.sequence >= self.end.sequence {
            return None;
        }
        *cursor = self.after(at);
        let header = self.header(at.position);
        let wanted = usize::from(header.text_len).min(buffer.len());
        let bytes = buffer.get_mut(..wanted)?;
        self.copy_out(at.position + HEADER as u64, bytes);
        let text = valid_prefix(bytes);
        Some(Record {
            sequence: at.sequence,
            time_ns: header.time_ns,
            level: header.level,
            cpu: header.cpu,
            text,
        })
    }

    fn capacity(&self) -> usize {
        self.storage.as_ref().len()
    }

    fn used(&self) -> usize {
        usize::try_from(self.end.position - self.oldest.position).unwrap_or(usize::MAX)
    }

    fn after(&self, cursor: Cursor) -> Cursor {
        let size = HEADER as u64 + u64::from(self.header(cursor.position).text_len);
        Cursor { sequence: cursor.sequence + 1, position: cursor.position + size }
    }

    fn header(&self, position: u64) -> Header {
        let mut fixed = [0; 4];
        let mut time = [0; 8];
        self.copy_out(position, &mut fixed);
        self.copy_out(position + 4, &mut time);
        let [low, high, level, cpu] = fixed;
        Header { text_len: u16::from_le_bytes([low, high]), level, cpu, time_ns: u64::from_le_bytes(time) }
    }

    /// Where `position` is, and how many bytes follow before the ring wraps.
    fn index(&self, position: u64) -> (usize, usize) {
        let capacity = self.capacity();
        let index = usize::try_from(position % capacity.max(1) as u64).unwrap_or(0);
        (index, capacity - index)
    }

    fn write(&mut self, position: u64, bytes: &[u8]) {
        let (index, room) = self.index(position);
        let (first, second) = bytes.split_at(room.min(bytes.len()));
        let storage = self.storage.as_mut();
        storage[index..index + first.len()].copy_from_slice(first);
        storage[..second.len()].copy_from_slice(second);
    }

    fn copy_out(&self, position: u64, bytes: &mut [u8]) {
        let (index, room) = self.index(position);
        let (first, second) = bytes.split_at_mut(room.min(bytes.len()));
        let storage = self.storage.as_ref();
        first.copy_from_slice(&storage[index..index + first.len()]);
        second.copy_from_slice(&storage[..second.len()]);
    }
}

struct Header {
    text_len: u16,
    level: u8,
    cpu: u8,
    time_ns: u64,
}

/// The longest start of `text` of at most `len` bytes.
fn cut(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or(text)
}

/// The longest start of `bytes` that is text: all of it, unless the buffer cut a character.
fn valid_prefix(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes
            .get(..error.valid_up_to())
            .and_then(|valid| core::str::from_utf8(valid).ok())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::string::{String, ToString};
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn all<S: AsRef<[u8]> + AsMut<[u8]>>(ring: &LogRing<S>) -> Vec<(u64, String)> {
        let mut cursor = ring.oldest();
        let mut buffer = [0; 4096];
        core::iter::from_fn(|| {
            ring.read(&mut cursor, &mut buffer).map(|record| (record.sequence, record.text.to_string()))
        })
        .collect()
    }

    #[test]
    fn records_come_back_as_written() {
        let mut ring = LogRing::new([0; 256]);
        assert_eq!(ring.push(7, 4, 3, "hello"), 0);
        let mut cursor = ring.seek(0);
        let mut buffer = [0; 16];
        let record = ring.read(&mut cursor, &mut buffer).unwrap();
        assert_eq!(record, Record { sequence: 0, time_ns: 7, level: 4, cpu: 3, text: "hello" });
        assert_eq!(ring.read(&mut cursor, &mut buffer), None);
        ring.push(8, 4, 3, "more");
        assert_eq!(ring.read(&mut cursor, &mut buffer).map(|record| record.text), Some("more"));
    }

    #[test]
    fn characters_are_never_cut() {
        let mut ring = LogRing::new([0; 64]);
        ring.push(0, 0, 0, "ääääääääääääää");
        assert_eq!(all(&ring), [(0, "ääääääää".to_string())]);
        let mut buffer = [0; 5];
        let record = ring.read(&mut ring.oldest(), &mut buffer).unwrap();
        assert_eq!(record.text, "ää");
    }

    #[test]
    fn a_late_reader_continues_with_the_oldest() {
        let mut ring = LogRing::new([0; 64]);
        let mut cursor = ring.oldest();
        for number in 0..100 {
            ring.push(number, 0, 0, "0123456789");
        }
        let mut buffer = [0; 16];
        assert_eq!(ring.read(&mut cursor, &mut buffer).unwrap().sequence, 98);
        assert_eq!((cursor.sequence(), ring.seek(5).sequence(), ring.seek(1000).sequence()), (99, 98, 100));
    }

    #[test]
    fn tiny_storage_loses_records_but_nothing_else() {
        for size in 0..32 {
            let mut storage = vec![0; size];
            let mut ring = LogRing::new(storage.as_mut_slice());
            for _ in 0..9 {
                ring.push(1, 2, 3, "text");
            }
            assert!(all(&ring).len() <= size / HEADER);
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_queue_of_lines(lines in prop::collection::vec(".{0,60}", 0..60), size in 64..600usize) {
            let mut storage = vec![0; size];
            let mut ring = LogRing::new(storage.as_mut_slice());
            let mut model: VecDeque<(u64, String)> = VecDeque::new();
            for (sequence, line) in (0u64..).zip(&lines) {
                prop_assert_eq!(ring.push(sequence, 6, 0, line), sequence);
                model.push_back((sequence, cut(line, size / 4).to_string()));
                while model.iter().map(|(_, line)| line.len() + HEADER).sum::<usize>() > size {
                    model.pop_front();
                }
                prop_assert_eq!(all(&ring), model.iter().cloned().collect::<Vec<_>>());
            }
            for sequence in 0..lines.len() as u64 {
                let expected = sequence.max(model[0].0);
                prop_assert_eq!(ring.seek(sequence).sequence(), expected);
            }
        }
    }
}
