//! The first line of a script.
//!
//! Follows Linux's `fs/binfmt_script.c`. There the buffer is padded with zeros and read as C strings, which
//! shows in two places: a NUL ends the line, and a file that ends after "#!/bin/sh " without a newline gives
//! its interpreter an empty argument.

use abi::limits::BINPRM_BUF_SIZE;
use abi::{Errno, Result};

/// Who runs a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interpreter<'a> {
    /// The program; never empty.
    pub path: &'a [u8],
    /// What stands between the program and the script among the arguments: the rest of the line.
    pub argument: Option<&'a [u8]>,
}

const MARK: &[u8] = b"#!";
/// The longest line; the buffer's last byte only shows whether the path is cut off.
const LINE_MAX: usize = BINPRM_BUF_SIZE - MARK.len() - 1;

/// Reads the first line of a file; `None` if it is no script. `start` are the file's first
/// `BINPRM_BUF_SIZE` bytes, fewer if it has no more.
///
/// # Errors
/// ENOEXEC if the line names no interpreter or its path may be cut off. EACCES for an empty path that a NUL or
/// the end of the file ends: Linux takes it for the working directory.
pub fn shebang(start: &[u8]) -> Result<Option<Interpreter<'_>>> {
    let start = start.get(..BINPRM_BUF_SIZE).unwrap_or(start);
    let Some(text) = start.strip_prefix(MARK) else { return Ok(None) };
    let end = text.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(text.len());
    let line = text.get(..end).unwrap_or_default();
    let interpreter = match text.get(end) {
        Some(b'\n') => split(without_trailing_blanks(line)).ok_or(Errno::ENOEXEC),
        _ if end < LINE_MAX => split(line).ok_or(Errno::EACCES),
        _ => cut_line(line).and_then(split).ok_or(Errno::ENOEXEC),
    };
    interpreter.map(Some)
}

/// What fits of a line that is too long. Something must follow the path, else there may be more of it in the
/// file; a cut argument does no harm, for the interpreter can read the script itself.
fn cut_line(line: &[u8]) -> Option<&[u8]> {
    let is_complete = line.len() == LINE_MAX || without_leading_blanks(line).iter().any(is_blank);
    line.get(..LINE_MAX).filter(|_| is_complete).map(without_trailing_blanks)
}

/// Takes the path and the argument apart.
fn split(line: &[u8]) -> Option<Interpreter<'_>> {
    let line = without_leading_blanks(line);
    let (path, rest) = line.split_at(line.iter().position(is_blank).unwrap_or(line.len()));
    let argument = (!rest.is_empty()).then(|| without_leading_blanks(rest));
    (!path.is_empty()).then_some(Interpreter { path, argument })
}

fn without_leading_blanks(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(byte)).unwrap_or(line.len());
    line.get(start..).unwrap_or_default()
}

fn without_trailing_blanks(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

const fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::process::Command;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn found<'a>(path: &'a str, argument: Option<&'a str>) -> Result<Option<Interpreter<'a>>> {
        Ok(Some(Interpreter { path: path.as_bytes(), argument: argument.map(str::as_bytes) }))
    }

    /// Each of these was run on Linux 6.18.
    #[test]
    fn lines_are_read_as_on_linux() {
        assert_eq!(shebang(b"\x7fELF"), Ok(None));
        assert_eq!(shebang(b"#!/bin/sh"), found("/bin/sh", None));
        assert_eq!(shebang(b"#! \t/bin/sh \nx"), found("/bin/sh", None));
        assert_eq!(shebang(b"#!/bin/sh a b \t\n"), found("/bin/sh", Some("a b")));
        assert_eq!(shebang(b"#!/bin/sh a\0b\n"), found("/bin/sh", Some("a")));
        assert_eq!(shebang(b"#!/bin/sh\0 b\n"), found("/bin/sh", None));
        assert_eq!(shebang(b"#!/bin/sh "), found("/bin/sh", Some("")));
        assert_eq!(shebang(b"#!/bin/sh a  "), found("/bin/sh", Some("a  ")));
        assert_eq!(shebang(b"#!/bin/sh \0x"), found("/bin/sh", Some("")));
        assert_eq!(shebang(b"#! \n"), Err(Errno::ENOEXEC));
        assert_eq!(shebang(b"#! "), Err(Errno::EACCES));
        assert_eq!(shebang(b"#!\0/bin/sh"), Err(Errno::EACCES));
    }

    fn padded(before: &[u8], blanks: usize, after: &[u8]) -> Vec<u8> {
        [before, &[b' '].repeat(blanks), after].concat()
    }

    #[test]
    fn a_path_that_may_be_cut_off_is_refused() {
        assert_eq!(shebang(&padded(MARK, 247, b"/bin/sh")), Err(Errno::ENOEXEC));
        assert_eq!(shebang(&padded(MARK, 246, b"/bin/sh")), found("/bin/sh", None));
        assert_eq!(shebang(&padded(MARK, 246, b"/bin/sh ")), found("/bin/sh", None));
        assert_eq!(shebang(&padded(MARK, 246, b"/bin/sh\n")), found("/bin/sh", None));
        assert_eq!(shebang(&padded(MARK, 300, b"/bin/sh")), Err(Errno::ENOEXEC));
        assert_eq!(shebang(&padded(b"#!/bin/sh", 246, b"x")), found("/bin/sh", None));
    }

    #[test]
    fn an_argument_may_be_cut_off() {
        let script = [b"#!/bin/sh ".as_slice(), &[b'x'; 300]].concat();
        let argument = shebang(&script).unwrap().and_then(|found| found.argument);
        assert_eq!(argument.map(<[u8]>::len), Some(245));
    }

    /// What Linux does with a script that starts like this: echo's output, or the errno.
    fn run_on_linux(path: &std::path::Path, start: &[u8]) -> core::result::Result<Vec<u8>, i32> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path);
        file.unwrap().write_all(start).unwrap();
        loop {
            match Command::new(path).output().map_err(|error| error.raw_os_error().unwrap_or(0)) {
                // Another test forked while the file was open.
                Err(error) if error == Errno::ETXTBSY.number() => {}
                result => return result.map(|output| output.stdout),
            }
        }
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let repeat = prop_oneof![4 => 1..4usize, 1 => 0..260usize];
        let byte = prop::sample::select(b"a \t\n\0".to_vec());
        let bytes = (byte, repeat).prop_map(|(byte, times)| std::vec![byte; times]);
        prop_oneof![3 => bytes, 1 => Just(b"/bin/echo".to_vec())]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

        #[test]
        fn any_line_is_read_as_linux_reads_it(pieces in prop::collection::vec(piece(), 0..7)) {
            let start = [MARK.to_vec(), pieces.concat()].concat();
            let path = std::env::temp_dir().join(std::format!("nacre-script-{}", std::process::id()));
            let ran = run_on_linux(&path, &start);
            fs::remove_file(&path).unwrap();
            match shebang(&start) {
                Ok(Some(Interpreter { path: b"/bin/echo", argument })) => {
                    let argument = argument.into_iter().flat_map(|argument| [argument, b" "]);
                    let name = [path.as_os_str().as_encoded_bytes(), b"\n"];
                    prop_assert_eq!(ran, Ok(argument.chain(name).collect::<Vec<_>>().concat()));
                }
                Ok(_) => {
                    let missing = [Errno::ENOENT, Errno::ENOTDIR].map(|error| Err(error.number()));
                    prop_assert!(missing.contains(&ran), "{:?}", ran);
                }
                Err(error) => prop_assert_eq!(ran, Err(error.number())),
            }
        }
    }
}
