//! `/proc/self/mounts`: what is mounted where (proc(5), getmntent(3)). Pure.

use alloc::vec::Vec;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The device, or a name that means nothing.
    pub source: Vec<u8>,
    /// Where.
    pub place: Vec<u8>,
    /// The kind of file system.
    pub kind: Vec<u8>,
}

/// All lines, in the order in which they were mounted.
pub fn parse(text: &[u8]) -> Vec<Mounted> {
    let mut mounts = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let mut words = line.split(|&byte| byte == b' ').map(unescape);
        if let (Some(source), Some(place), Some(kind)) = (words.next(), words.next(), words.next()) {
            mounts.push(Mounted { source, place, kind });
        }
    }
    mounts
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, after)) = rest.split_first() {
        let code = match rest {
            [b'\\', digits @ ..] => digits.get(..3).and_then(octal),
            _ => None,
        };
        match code {
            Some(code) => {
                out.push(code);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, &digit| {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_unescaped() {
        let text = b"rootfs / rootfs rw 0 0\n/dev/vda1 /mnt/a\\040b\\134 ext2 rw,x=y 0 0\nbroken\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((&mounts[1].place[..], &mounts[1].kind[..]), (&b"/mnt/a b\\"[..], &b"ext2"[..]));
        assert_eq!(unescape(b"\\04\\999\\"), b"\\04\\999\\");
    }

    #[test]
    fn this_hosts_list_begins_at_the_root() {
        let mounts = parse(&std::fs::read("/proc/self/mounts").unwrap());
        assert!(mounts.iter().any(|mounted| mounted.place == b"/"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            parse(&text);
        }
    }
}
