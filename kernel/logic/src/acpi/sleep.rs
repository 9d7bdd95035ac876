//! How to power off: the sleep types of S5.
//!
//! They are the first two numbers of the package `\_S5_` (ACPI 6.5, section 7.4.2.6), and the package is AML.
//! An interpreter for it is tens of thousands of lines that run the firmware's code with the kernel's rights,
//! all for two numbers that every known firmware writes as a literal package. So we look for these bytes:
//!
//! ```text
//! 08 [5c] 5f 53 35 5f   12   length  count  number number ..
//! Name    \ _  S  5  _  Package
//! ```
//!
//! Every part is checked, so that the letters in a string or another name do not match. Where the firmware
//! does compute the package, nothing is found, and the caller says so and tries its other ways to power off.

const NAME_OP: u8 = 0x08;
const PACKAGE_OP: u8 = 0x12;
const ROOT_CHARACTER: u8 = b'\\';
const NAME: &[u8] = b"_S5_";

/// The largest sleep type: the field in the PM1 control register has three bits.
const MAX_SLEEP_TYPE: u8 = 7;

/// The sleep types for PM1a and PM1b, from the bytes of a DSDT or SSDT; `None` when there is no such package.
pub fn s5_values(aml: &[u8]) -> Option<(u8, u8)> {
    let places = aml.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    places.map(|(place, _)| aml.split_at(place)).find_map(|(before, after)| {
        if !ends_in_name_op(before) {
            return None;
        }
        package(after.get(NAME.len()..)?)
    })
}

fn ends_in_name_op(before: &[u8]) -> bool {
    matches!(before, [.., NAME_OP] | [.., NAME_OP, ROOT_CHARACTER])
}

/// The first two numbers of a package (20.2.5.4).
fn package(bytes: &[u8]) -> Option<(u8, u8)> {
    let body = bytes.strip_prefix(&[PACKAGE_OP])?;
    // The two high bits of the first length byte say how many more there are (20.2.4).
    let (lead, _) = body.split_first()?;
    let content = body.get(1 + usize::from(lead >> 6)..)?;
    let (count, elements) = content.split_first()?;
    if *count < 2 {
        return None;
    }
    let (first, rest) = number(elements)?;
    let (second, _) = number(rest)?;
    Some((first, second))
}

/// A number that is a sleep type, and what follows it (20.2.3).
fn number(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (prefix, rest) = bytes.split_first()?;
    let width = match prefix {
        0 | 1 => return Some((*prefix, rest)),
        0x0a => 1,
        0x0b => 2,
        0x0c => 4,
        0x0e => 8,
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(width)?;
    let (low, high) = value.split_first()?;
    let fits = *low <= MAX_SLEEP_TYPE && high.iter().all(|&byte| byte == 0);
    fits.then_some((*low, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packages_of_real_firmware_are_found() {
        let microvm = include_bytes!("testdata/microvm.dsdt");
        assert_eq!(s5_values(microvm), Some((5, 0)));
        assert_eq!(s5_values(b"\0\0\x08_S5_\x12\x06\x04\0\0\0\0"), Some((0, 0)));
        assert_eq!(s5_values(b"\x08\\_S5_\x12\x0a\x04\x0a\x07\x0b\x07\0\0\0"), Some((7, 7)));
        assert_eq!(s5_values(b"\x08_S5_\x12\x47\x00\x02\x01\x0c\x02\0\0\0"), Some((1, 2)));
    }

    #[test]
    fn look_alikes_are_passed_over() {
        assert_eq!(s5_values(b"\x0d_S5_\x12\x06\x04\0\0\0\0"), None);
        assert_eq!(s5_values(b"\x08_S5_\x14\x06\x04\0\0\0\0"), None);
        assert_eq!(s5_values(b"\x08_S5_\x12\x06\x01\0\0"), None);
        assert_eq!(s5_values(b"\x08_S5_\x12\x06\x04\x0a\x08\0\0"), None);
        assert_eq!(s5_values(b"\x08_S5_\x12\x06\x04\x0b\x05\x01\0"), None);
        assert_eq!(s5_values(b"_S5_ in a string \x08_S5_\x12\x06\x02\x01\x01"), Some((1, 1)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..20), cut in 0usize..14) {
            let head = &b"\x08\\_S5_\x12\x8a\0\0\x04\x0a"[..cut.min(12)];
            let found = s5_values(&[head, &bytes].concat());
            prop_assert!(found.is_none_or(|(a, b)| a <= 7 && b <= 7));
        }
    }
}
