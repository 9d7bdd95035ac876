//! Tests of processor sets against a `BTreeSet`.

use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn set(text: &str) -> Result<CpuSet, ParseError> {
    text.parse()
}

#[test]
fn lists_are_read_as_linux_reads_them() {
    assert_eq!(set("").unwrap(), CpuSet::EMPTY);
    assert_eq!(set("0-255\n").unwrap(), CpuSet::ALL);
    assert_eq!(set("0-3,8").unwrap().to_string(), "0-3,8");
    assert_eq!(set("8,0-3,2").unwrap().to_string(), "0-3,8");
    assert_eq!(set("0-15:2/4").unwrap().to_string(), "0-1,4-5,8-9,12-13");
    assert_eq!(set("63-64,127-128").unwrap().to_string(), "63-64,127-128");
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    for text in ["x", "1-", "-1", "1:2", "1-4:2", "+1", "1--2", "0x1"] {
        assert_eq!(set(text), Err(ParseError::Malformed), "{text}");
    }
    assert_eq!(set("4-1"), Err(ParseError::BadRange));
    assert_eq!(set("0-3:3/2"), Err(ParseError::BadRange));
    assert_eq!(set("0-3:0/0"), Err(ParseError::BadRange));
    assert_eq!(set("256"), Err(ParseError::TooLarge));
    assert_eq!(set("99999999999999999999999"), Err(ParseError::TooLarge));
}

#[test]
fn first_n_counts_from_zero() {
    assert_eq!(CpuSet::first_n(0), CpuSet::EMPTY);
    assert_eq!(CpuSet::first_n(65).to_string(), "0-64");
    assert_eq!(CpuSet::first_n(1000), CpuSet::ALL);
}

proptest! {
    #[test]
    fn behaves_like_a_set(left: BTreeSet<u8>, right: BTreeSet<u8>) {
        let a: CpuSet = left.iter().copied().map(CpuId::new).collect();
        let b: CpuSet = right.iter().copied().map(CpuId::new).collect();
        let members = |set: CpuSet| set.iter().map(CpuId::index).collect::<Vec<_>>();
        let expected = |set: BTreeSet<u8>| set.into_iter().map(usize::from).collect::<Vec<_>>();
        prop_assert_eq!(members(a.and(&b)), expected(&left & &right));
        prop_assert_eq!(members(a.or(&b)), expected(&left | &right));
        prop_assert_eq!(members(a.without(&b)), expected(&left - &right));
        prop_assert_eq!(a.count(), left.len());
        prop_assert_eq!(a.is_empty(), left.is_empty());
        prop_assert_eq!(a.first().map(CpuId::index), left.first().copied().map(usize::from));
        prop_assert_eq!(a.to_string().parse::<CpuSet>(), Ok(a));
        prop_assert_eq!(CpuSet::from_words(*a.words()), a);
    }

    #[test]
    fn set_and_clear_touch_one_member(members: BTreeSet<u8>, cpu: u8) {
        let mut set: CpuSet = members.iter().copied().map(CpuId::new).collect();
        set.set(CpuId::new(cpu));
        prop_assert!(set.contains(CpuId::new(cpu)));
        set.clear(CpuId::new(cpu));
        prop_assert!(!set.contains(CpuId::new(cpu)));
        prop_assert!(members.iter().all(|&other| other == cpu || set.contains(CpuId::new(other))));
    }

    #[test]
    fn any_text_is_answered(text in "[-0-9,:/ x]{0,20}") {
        let _ = set(&text);
    }
}
