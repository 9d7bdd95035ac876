//! A file of `/etc/init`: what to run, and when again. Pure.
//!
//! ```text
//! # a getty on the serial line
//! exec /sbin/getty ttyS0 115200 vt220
//! needs /dev/ttyS0
//! restart always
//! ```
//!
//! | line | means |
//! |---|---|
//! | `exec PROGRAM ARGUMENT...` | what to run; words are separated by blanks, `"` keeps blanks |
//! | `needs PATH` | start it only where this exists |
//! | `after NAME` | start it when that service runs, or, if that is `once`, has ended |
//! | `restart always`, `failure`, `never` | after which ends it is started again; `always` if nothing is said |
//! | `input console`, `nothing` | whether somebody types at it on the console; `nothing` if nothing is said |
//! | `once` | it does something and ends: the same as `restart never`, and `after` waits for its end |

use alloc::vec::Vec;
use core::fmt;

use nrlib::io::Text;

/// After which ends a service is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// All.
    Always,
    /// Those with another code than 0, and by signals.
    OnFailure,
    /// None.
    Never,
}

/// Where a service's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// It has none.
    Nothing,
    /// Somebody types at the console.
    Console,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of its file.
    pub name: Vec<u8>,
    /// The program and its arguments.
    pub words: Vec<Vec<u8>>,
    /// What must exist.
    pub needs: Vec<Vec<u8>>,
    /// Which services come first.
    pub after: Vec<Vec<u8>>,
    /// After which ends it is started again.
    pub restart: Restart,
    /// Where its input comes from.
    pub input: Input,
    /// Whether those after it wait for its end.
    pub is_once: bool,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// In this line there is a word that means nothing.
    Unknown(usize, Vec<u8>),
    /// In this line something is missing or too much.
    Value(usize),
    /// There is no `exec`, or its program is no absolute path.
    NoProgram,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unknown(line, word) => write!(f, "line {line}: `{}` means nothing here", Text(word)),
            Problem::Value(line) => write!(f, "line {line}: the value is missing or makes no sense"),
            Problem::NoProgram => f.write_str("there is no line `exec /PROGRAM`; it is not started"),
        }
    }
}

impl Service {
    /// Reads a file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(name: &[u8], text: &[u8]) -> Result<Service, Problem> {
        let mut service = Service {
            name: name.to_vec(),
            words: Vec::new(),
            needs: Vec::new(),
            after: Vec::new(),
            restart: Restart::Always,
            input: Input::Nothing,
            is_once: false,
        };
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let words = split(line).ok_or(Problem::Value(number))?;
            let Some((key, values)) = words.split_first() else { continue };
            service.set(number, key, values)?;
        }
        let is_absolute = service.words.first().is_some_and(|program| program.starts_with(b"/"));
        if is_absolute { Ok(service) } else { Err(Problem::NoProgram) }
    }

    fn set(&mut self, number: usize, key: &[u8], values: &[Vec<u8>]) -> Result<(), Problem> {
        match (key, values) {
            (b"exec", [_, ..]) => self.words = values.to_vec(),
            (b"needs", [_, ..]) => self.needs.extend_from_slice(values),
            (b"after", [_, ..]) => self.after.extend_from_slice(values),
            (b"once", []) => {
                self.is_once = true;
                self.restart = Restart::Never;
            }
            (b"restart", [word]) => {
                self.restart = match word.as_slice() {
                    b"always" => Restart::Always,
                    b"failure" => Restart::OnFailure,
                    b"never" => Restart::Never,
                    _ => return Err(Problem::Value(number)),
                }
            }
            (b"input", [word]) => {
                self.input = match word.as_slice() {
                    b"console" => Input::Console,
                    b"nothing" => Input::Nothing,
                    _ => return Err(Problem::Value(number)),
                }
            }
            (b"exec" | b"needs" | b"after" | b"once" | b"restart" | b"input", _) => {
                return Err(Problem::Value(number));
            }
            _ => return Err(Problem::Unknown(number, key.to_vec())),
        }
        Ok(())
    }

    /// A root shell on the console, for when nothing else is left.
    pub fn rescue() -> Service {
        Service {
            name: b"rescue".to_vec(),
            words: Vec::from([b"/bin/sh".to_vec()]),
            needs: Vec::new(),
            after: Vec::new(),
            restart: Restart::Always,
            input: Input::Console,
            is_once: false,
        }
    }
}

/// The words of a line; `#` at the start of a word ends it. `None` if a quote is not closed.
fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut is_quoted = false;
    for &byte in line {
        match byte {
            b'"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            b'#' if word.is_none() && !is_quoted => break,
            b' ' | b'\t' | b'\r' if !is_quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    (!is_quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read() {
        let text = b"# getty\nexec /sbin/getty \"tty S0\" 115200 # speed\n\nneeds /dev/ttyS0\nafter a b\nrestart failure\n\
                     input console";
        let service = Service::parse(b"serial", text).unwrap();
        assert_eq!(service.words, [&b"/sbin/getty"[..], b"tty S0", b"115200"]);
        assert_eq!((service.needs.len(), service.after.len()), (1, 2));
        assert_eq!((service.restart, service.input), (Restart::OnFailure, Input::Console));
        let once = Service::parse(b"x", b"exec /bin/true\nonce").unwrap();
        assert!(once.is_once && once.restart == Restart::Never);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, problem) in [
            (&b""[..], Problem::NoProgram),
            (b"exec getty", Problem::NoProgram),
            (b"\nexec", Problem::Value(2)),
            (b"exec /x\nrestart sometimes", Problem::Value(2)),
            (b"exec /x \"y", Problem::Value(1)),
            (b"exec /x\ninput none", Problem::Value(2)),
            (b"start /x", Problem::Unknown(1, b"start".to_vec())),
        ] {
            assert_eq!(Service::parse(b"x", text), Err(problem));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "((exec|needs|after|once|restart|#)[ \"/a-z\n]{0,12}){0,6}") {
            if let Ok(service) = Service::parse(b"x", text.as_bytes()) {
                proptest::prop_assert!(service.words[0].starts_with(b"/"));
            }
        }
    }
}
