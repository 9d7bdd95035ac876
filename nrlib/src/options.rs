//! Options as getopt(3) of POSIX reads them: single letters, several in a word, a value in the same word or the next one,
//! `--` ends them. Long names are looked up in a table and may be abbreviated, as getopt_long(3) allows.

/// An option that may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The letter; results are told by it.
    pub letter: u8,
    /// The long name, or nothing.
    pub name: &'static str,
    /// Whether a value follows.
    pub value: Value,
}

/// Whether a value follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// No.
    None,
    /// Always.
    Needed,
}

/// An option that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    /// Its letter.
    pub letter: u8,
    /// Its value; empty if it takes none.
    pub value: &'a [u8],
}

/// What is wrong with the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem<'a> {
    /// There is no such option.
    Unknown(&'a [u8]),
    /// Several long options begin so.
    Ambiguous(&'a [u8]),
    /// Its value is missing.
    NoValue(&'a [u8]),
    /// It takes no value.
    Superfluous(&'a [u8]),
}

impl core::fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (text, option) = match self {
            Problem::Unknown(option) => ("there is no option", option),
            Problem::Ambiguous(option) => ("several options begin with", option),
            Problem::NoValue(option) => ("a value is missing after", option),
            Problem::Superfluous(option) => ("no value can be given to", option),
        };
        write!(f, "{text} {}", crate::io::Text(option))
    }
}

/// Reads options one by one from words without the program's name. What is left when `next` is `None` are the operands.
#[derive(Clone, Debug)]
pub struct Options<'a, 'w> {
    known: &'static [Known],
    words: &'w [&'a [u8]],
    /// Letters of the current word that were not looked at.
    letters: &'a [u8],
}

impl<'a, 'w> Options<'a, 'w> {
    /// At the first word.
    pub const fn new(known: &'static [Known], words: &'w [&'a [u8]]) -> Self {
        Self { known, words, letters: &[] }
    }

    /// The words that are no options; right once `next` has said `None`.
    pub const fn operands(&self) -> &'w [&'a [u8]] {
        self.words
    }

    fn take_word(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn letter(&mut self, letter: u8) -> Result<Given<'a>, Problem<'a>> {
        let shown = self.letters;
        self.letters = self.letters.get(1..).unwrap_or_default();
        let known = self.known.iter().find(|known| known.letter == letter);
        let known = known.ok_or(Problem::Unknown(shown.get(..1).unwrap_or_default()))?;
        if known.value == Value::None {
            return Ok(Given { letter, value: b"" });
        }
        let rest = core::mem::take(&mut self.letters);
        let value = if rest.is_empty() { self.take_word() } else { Some(rest) };
        let value = value.ok_or(Problem::NoValue(shown.get(..1).unwrap_or_default()))?;
        Ok(Given { letter, value })
    }

    fn long(&mut self, word: &'a [u8]) -> Result<Given<'a>, Problem<'a>> {
        let equals = word.iter().position(|&byte| byte == b'=');
        let name = word.get(..equals.unwrap_or(word.len())).unwrap_or_default();
        let value = equals.and_then(|at| word.get(at + 1..));
        let known = self.look_up(name)?;
        match (known.value, value) {
            (Value::None, None) => Ok(Given { letter: known.letter, value: b"" }),
            (Value::None, Some(_)) => Err(Problem::Superfluous(name)),
            (Value::Needed, Some(value)) => Ok(Given { letter: known.letter, value }),
            (Value::Needed, None) => {
                let value = self.take_word().ok_or(Problem::NoValue(name))?;
                Ok(Given { letter: known.letter, value })
            }
        }
    }

    fn look_up(&self, name: &'a [u8]) -> Result<Known, Problem<'a>> {
        let begins = |known: &&Known| !known.name.is_empty() && known.name.as_bytes().starts_with(name);
        if let Some(exact) = self.known.iter().filter(begins).find(|known| known.name.len() == name.len()) {
            return Ok(*exact);
        }
        let mut found = self.known.iter().filter(begins);
        let first = found.next().ok_or(Problem::Unknown(name))?;
        if found.next().is_some() { Err(Problem::Ambiguous(name)) } else { Ok(*first) }
    }
}

impl<'a> Iterator for Options<'a, '_> {
    type Item = Result<Given<'a>, Problem<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(&letter) = self.letters.first() {
            return Some(self.letter(letter));
        }
        match self.words.first()? {
            [b'-', b'-'] => {
                self.take_word();
                None
            }
            [b'-', b'-', name @ ..] => {
                self.take_word();
                Some(self.long(name))
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                self.take_word();
                self.letters = letters;
                letters.first().map(|&letter| self.letter(letter))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const KNOWN: &[Known] = &[
        Known { letter: b'a', name: "all", value: Value::None },
        Known { letter: b'b', name: "also", value: Value::None },
        Known { letter: b'c', name: "command", value: Value::Needed },
    ];

    type Read<'a> = Result<Vec<(u8, &'a str)>, Problem<'a>>;

    fn read<'a>(words: &[&'a str]) -> (Read<'a>, usize) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut options = Options::new(KNOWN, &words);
        let given = options
            .by_ref()
            .map(|given| given.map(|given| (given.letter, std::str::from_utf8(given.value).unwrap())))
            .collect();
        (given, options.operands().len())
    }

    #[test]
    fn letters_values_and_the_end() {
        assert_eq!(read(&["-ab", "x", "-a"]), (Ok(Vec::from([(b'a', ""), (b'b', "")])), 2));
        assert_eq!(read(&["-acls -l", "--", "-x"]), (Ok(Vec::from([(b'a', ""), (b'c', "ls -l")])), 1));
        assert_eq!(read(&["-c", "-a"]), (Ok(Vec::from([(b'c', "-a")])), 0));
        assert_eq!(read(&["-", "-a"]), (Ok(Vec::new()), 2));
        assert_eq!(read(&["-x"]).0, Err(Problem::Unknown(b"x")));
        assert_eq!(read(&["-ac"]).0, Err(Problem::NoValue(b"c")));
    }

    #[test]
    fn long_names_and_their_beginnings() {
        assert_eq!(read(&["--all", "--com=x y", "--command", "z"]).0.unwrap().len(), 3);
        assert_eq!(read(&["--al"]).0, Err(Problem::Ambiguous(b"al")));
        assert_eq!(read(&["--all=1"]).0, Err(Problem::Superfluous(b"all")));
        assert_eq!(read(&["--none"]).0, Err(Problem::Unknown(b"none")));
        assert_eq!(read(&["--command"]).0, Err(Problem::NoValue(b"command")));
    }
}
