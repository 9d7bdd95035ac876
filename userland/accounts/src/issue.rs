//! The text before the prompt: `/etc/issue` with the escapes of agetty(8). Pure.

use alloc::vec::Vec;

use nrlib::system::Names;
use nrlib::time::Date;

/// What the escapes are replaced by.
pub struct Facts<'a> {
    /// uname(2).
    pub names: &'a Names,
    /// The terminal.
    pub line: &'a [u8],
    /// Its speed.
    pub speed: u32,
    /// Now.
    pub date: Date,
    /// How many users are logged in.
    pub users: usize,
    /// The name of the system, `PRETTY_NAME` of `/etc/os-release`.
    pub system: &'a [u8],
}

/// The text with its escapes replaced; one that is unknown is left out.
pub fn expand(text: &[u8], facts: &Facts<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'\\') | None => out.push(b'\\'),
            Some(b'e') => {
                out.push(0x1b);
                // `\e{name}` is a colour of agetty's table, which we have not: its name is left out.
                let mut ahead = rest.clone();
                if ahead.next() == Some(b'{') && ahead.any(|byte| byte == b'}') {
                    out.pop();
                    rest = ahead;
                }
            }
            Some(letter) => put(letter, facts, &mut out),
        }
    }
    out
}

fn put(letter: u8, facts: &Facts<'_>, out: &mut Vec<u8>) {
    let names = facts.names;
    let Date { year, day, hour, minute, second, .. } = facts.date;
    let formatted = match letter {
        b'd' => {
            let (weekday, month) = (facts.date.weekday_name(), facts.date.month_name());
            alloc::format!("{weekday} {month} {day:2} {year}")
        }
        b't' => alloc::format!("{hour:02}:{minute:02}:{second:02}"),
        b'b' => alloc::format!("{}", facts.speed),
        b'u' => alloc::format!("{}", facts.users),
        b'U' if facts.users == 1 => "1 user".into(),
        b'U' => alloc::format!("{} users", facts.users),
        _ => alloc::string::String::new(),
    };
    let text: &[u8] = match letter {
        b's' => &names.system,
        b'n' => &names.host,
        b'r' => &names.release,
        b'v' => &names.version,
        b'm' => &names.machine,
        b'o' | b'O' => &names.domain,
        b'l' => facts.line,
        b'S' => facts.system,
        _ => formatted.as_bytes(),
    };
    out.extend_from_slice(text);
}

/// The value of a name in `/etc/os-release`, without quotes.
pub fn release_field<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut lines = text.split(|&byte| byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(b"="))?;
    Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand_text(text: &[u8]) -> Vec<u8> {
        let names = Names {
            system: b"Linux".to_vec(),
            host: b"nacre".to_vec(),
            release: b"6.1".to_vec(),
            version: b"#1".to_vec(),
            machine: b"x86_64".to_vec(),
            domain: b"(none)".to_vec(),
        };
        let date = Date::from_unix(1_795_266_309);
        expand(
            text,
            &Facts { names: &names, line: b"ttyS0", speed: 115_200, date, users: 2, system: b"Nacre 1" },
        )
    }

    #[test]
    fn escapes_are_replaced() {
        let text = expand_text(
            b"\\S \\n \\l at \\b, \\U (\\u)\n\\s \\r \\v \\m \\o \\d \\t \\\\ \\e[1m\\e{bold}\\q.\\",
        );
        let expected = "Nacre 1 nacre ttyS0 at 115200, 2 users (2)\n\
                        Linux 6.1 #1 x86_64 (none) Sat Nov 21 2026 13:05:09 \\ \u{1b}[1m.\\";
        assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
    }

    #[test]
    fn fields_of_os_release() {
        let text = b"NAME=Nacre\nPRETTY_NAME=\"Nacre 0.1\"\n";
        assert_eq!(release_field(text, b"PRETTY_NAME"), Some(&b"Nacre 0.1"[..]));
        assert_eq!(release_field(text, b"NAME"), Some(&b"Nacre"[..]));
        assert_eq!(release_field(text, b"ID"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            expand_text(&text);
            release_field(&text, b"A");
        }
    }
}
