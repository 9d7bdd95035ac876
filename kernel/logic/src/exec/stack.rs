//! The stack a new program finds: System V ABI for x86-64, section 3.4.1, as Linux's `create_elf_tables`
//! fills it.
//!
//! From the top down: eight zero bytes, the file name, the environment's strings, the arguments' strings, a
//! random gap, the platform's name, the random bytes, and the table that the stack pointer points to: argc,
//! argv, NULL, envp, NULL, the auxiliary vector.

use alloc::vec::Vec;

use abi::auxv::{AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM};
use abi::{Errno, Result};

use super::StringList;

const PLATFORM: &[u8] = b"x86_64\0";
const RANDOM_LEN: usize = 16;
const ALIGNMENT: u64 = 16;
const WORD: u64 = 8;
/// Entries of the auxiliary vector that are added here: RANDOM, EXECFN, PLATFORM and NULL.
const OWN_ENTRIES: usize = 4;

/// What a new program is told.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// argv.
    pub arguments: &'a StringList,
    /// envp.
    pub environment: &'a StringList,
    /// The name it was started by, without a NUL: AT_EXECFN.
    pub file_name: &'a [u8],
    /// For libc's stack protector: AT_RANDOM.
    pub random: [u8; RANDOM_LEN],
    /// `AT_*` and values, but for RANDOM, EXECFN, PLATFORM and NULL, which are added.
    pub auxiliary: &'a [(u64, u64)],
}

/// Where all of it goes. Memory that no piece covers is to read as zeros.
#[derive(Debug)]
pub struct InitialStack<'a> {
    contents: Contents<'a>,
    table: Vec<u8>,
    auxiliary_at: usize,
    /// Where the stack pointer starts; a multiple of 16.
    pub stack_pointer: u64,
    /// Where the arguments' strings start. They end where the environment's start.
    pub arg_start: u64,
    /// Where the environment's strings start. They end where the file name starts.
    pub env_start: u64,
    /// Where the file name is.
    pub file_name: u64,
}

impl<'a> InitialStack<'a> {
    /// Lays out a stack that ends at `top`. The table moves down by `gap` bytes and up to 15 more; Linux takes
    /// a random number below 8192, and zero without ASLR.
    ///
    /// # Errors
    /// E2BIG if it does not fit below `top`; ENOMEM.
    pub fn lay_out(top: u64, gap: u64, contents: Contents<'a>) -> Result<Self> {
        let file_name = below(below(top, WORD)?, len(contents.file_name)? + 1)?;
        let env_start = below(file_name, len(contents.environment.bytes())?)?;
        let arg_start = below(env_start, len(contents.arguments.bytes())?)?;
        let platform = below(below(arg_start, gap)? & !(ALIGNMENT - 1), len(PLATFORM)?)?;
        let random = below(platform, len(&contents.random)?)?;
        let words = table_words(&contents)?;
        let stack_pointer = below(random, words * WORD)? & !(ALIGNMENT - 1);
        let mut layout = Self {
            contents,
            table: Vec::new(),
            auxiliary_at: 0,
            stack_pointer,
            arg_start,
            env_start,
            file_name,
        };
        let table_len =
            usize::try_from(platform + len(PLATFORM)? - stack_pointer).map_err(|_| Errno::E2BIG)?;
        layout.table.try_reserve_exact(table_len).map_err(|_| Errno::ENOMEM)?;
        layout.fill_table(random, platform);
        Ok(layout)
    }

    /// Fills the table, for which there is room.
    fn fill_table(&mut self, random: u64, platform: u64) {
        let contents = self.contents;
        self.put(contents.arguments.count() as u64);
        self.put_pointers(self.arg_start, contents.arguments);
        self.put_pointers(self.env_start, contents.environment);
        self.auxiliary_at = self.table.len();
        let own = [(AT_RANDOM, random), (AT_EXECFN, self.file_name), (AT_PLATFORM, platform), (AT_NULL, 0)];
        for &(kind, value) in contents.auxiliary.iter().chain(&own) {
            self.put(kind);
            self.put(value);
        }
        // Rounding the stack pointer down may have left a word free above the vector, and the bytes that follow
        // are not aligned.
        let unused = random.saturating_sub(self.stack_pointer + self.table.len() as u64);
        (0..unused).for_each(|_| self.table.push(0));
        self.table.extend_from_slice(&contents.random);
        self.table.extend_from_slice(PLATFORM);
    }

    fn put(&mut self, word: u64) {
        self.table.extend_from_slice(&word.to_le_bytes());
    }

    /// Puts the addresses of strings that start at `start`, and a null pointer.
    fn put_pointers(&mut self, start: u64, strings: &StringList) {
        let mut at = start;
        for string in strings.iter() {
            self.put(at);
            at += string.len() as u64 + 1;
        }
        self.put(0);
    }

    /// What to write where, in ascending order. The file name's NUL is not among it.
    pub fn pieces(&self) -> [(u64, &[u8]); 4] {
        [
            (self.stack_pointer, &self.table),
            (self.arg_start, self.contents.arguments.bytes()),
            (self.env_start, self.contents.environment.bytes()),
            (self.file_name, self.contents.file_name),
        ]
    }

    /// The auxiliary vector with its end, for `/proc/PID/auxv`.
    pub fn auxiliary(&self) -> &[u8] {
        let entries = self.contents.auxiliary.len() + OWN_ENTRIES;
        self.table.get(self.auxiliary_at..self.auxiliary_at + entries * 16).unwrap_or_default()
    }

    /// Where the arguments' strings end.
    pub const fn arg_end(&self) -> u64 {
        self.env_start
    }

    /// Where the environment's strings end.
    pub const fn env_end(&self) -> u64 {
        self.file_name
    }
}

/// argc, two lists with their null pointers, the auxiliary vector.
fn table_words(contents: &Contents<'_>) -> Result<u64> {
    let pointers = contents.arguments.count() + contents.environment.count() + 3;
    let words = pointers + 2 * (contents.auxiliary.len() + OWN_ENTRIES);
    u64::try_from(words).map_err(|_| Errno::E2BIG)
}

fn len(bytes: &[u8]) -> Result<u64> {
    u64::try_from(bytes.len()).map_err(|_| Errno::E2BIG)
}

fn below(address: u64, len: u64) -> Result<u64> {
    address.checked_sub(len).ok_or(Errno::E2BIG)
}

#[cfg(test)]
mod tests;
