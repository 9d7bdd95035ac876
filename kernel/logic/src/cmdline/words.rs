//! Splitting the line into words.

use core::fmt;

/// A word: `name` or `name=value`. It prints as init gets it, without the quotes around the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'a> {
    /// What stands before the first `=`.
    pub name: &'a str,
    /// What stands after it, without the quotes around it.
    pub value: Option<&'a str>,
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

impl Word<'_> {
    /// Whether this is the word after which everything belongs to init.
    pub fn ends_options(&self) -> bool {
        self.name == "--" && self.value.is_none()
    }

    /// Whether the name is this one; `-` and `_` are the same, as everywhere on Linux's command line.
    pub fn is_named(&self, name: &str) -> bool {
        let same = |(a, b): (u8, u8)| a == b || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_'));
        self.name.len() == name.len() && self.name.bytes().zip(name.bytes()).all(same)
    }
}

/// All words of a line, those of init and `--` included.
pub fn words(line: &str) -> Words<'_> {
    Words { rest: line }
}

/// Iterator over the words of a line.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            let rest = self.rest.trim_start_matches(is_space);
            if rest.is_empty() {
                return None;
            }
            let quoted = rest.strip_prefix('"');
            let body = quoted.unwrap_or(rest);
            let (text, tail) = body.split_at(word_length(body, quoted.is_some()));
            self.rest = tail;
            let word = split_word(text, quoted.is_some().then_some('"'));
            // `""` is a word on Linux too, but nobody can mean anything by it.
            if !word.name.is_empty() {
                return Some(word);
            }
        }
    }
}

/// Linux's `isspace`, as far as ASCII goes.
fn is_space(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\x0b'
}

/// Bytes up to the first space outside quotes. Quotes may open and close anywhere in a word.
fn word_length(body: &str, starts_inside_quotes: bool) -> usize {
    let mut is_inside = starts_inside_quotes;
    let ends_word = |character| {
        if character == '"' {
            is_inside = !is_inside;
        }
        is_space(character) && !is_inside
    };
    body.find(ends_word).unwrap_or(body.len())
}

/// Splits at the first `=` that is not the first character. One closing quote belongs to the word's or to the
/// value's opening quote, whichever there is.
fn split_word(text: &str, opening_quote: Option<char>) -> Word<'_> {
    let equals = text.char_indices().skip(1).find(|&(_, character)| character == '=');
    let halves = equals.and_then(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)));
    let Some((name, value)) = halves else {
        return Word { name: without_closing(text, opening_quote), value: None };
    };
    let value = match value.strip_prefix('"') {
        Some(inner) => without_closing(inner, Some('"')),
        None => without_closing(value, opening_quote),
    };
    Word { name, value: Some(value) }
}

fn without_closing(text: &str, quote: Option<char>) -> &str {
    quote.and_then(|quote| text.strip_suffix(quote)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{format, string::String, vec::Vec};

    fn split(line: &str) -> Vec<(&str, Option<&str>)> {
        words(line).map(|word| (word.name, word.value)).collect()
    }

    #[test]
    fn quotes_group_as_on_linux() {
        assert_eq!(split(" a  b=c\td= "), [("a", None), ("b", Some("c")), ("d", Some(""))]);
        assert_eq!(split("a=\"b c\" d"), [("a", Some("b c")), ("d", None)]);
        assert_eq!(split("\"a=b c\" d"), [("a", Some("b c")), ("d", None)]);
        assert_eq!(split("\"a b\"c d"), [("a b\"c", None), ("d", None)]);
        assert_eq!(split("a=b\" c\"d"), [("a", Some("b\" c\"d"))]);
        assert_eq!(split("a=\"open b"), [("a", Some("open b"))]);
        assert_eq!(split("a=\" \"\""), [("a", Some(" \""))]);
        assert_eq!(split("=a=b \"\" a=b=c"), [("=a", Some("b")), ("a", Some("b=c"))]);
    }

    #[test]
    fn dashes_and_underscores_are_the_same_in_names() {
        let word = words("log-buf_len=4").next().unwrap();
        assert!(word.is_named("log_buf-len") && !word.is_named("log_buf_le"));
        assert_eq!(format!("{word}"), "log-buf_len=4");
    }

    proptest! {
        #[test]
        fn no_line_panics_and_no_word_is_empty(line in ".{0,200}") {
            prop_assert!(words(&line).all(|word| !word.name.is_empty()));
        }

        #[test]
        fn plain_words_come_out_as_they_went_in(plain in prop::collection::vec("[a-z=.\"]{1,6}", 0..9)) {
            let plain: Vec<String> = plain.iter().map(|word| word.replace('"', "é")).collect();
            let out: Vec<String> = words(&plain.join(" ")).map(|word| format!("{word}")).collect();
            prop_assert_eq!(out, plain);
        }
    }
}
