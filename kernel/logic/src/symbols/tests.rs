//! Tables written and read back, against plain sorted lists; and hostile bytes.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};

use proptest::prelude::*;

use super::*;

fn show(table: &[u8], offset: u32) -> Option<String> {
    Symbols::new(table)?.lookup(offset, &mut Buffers::new()).map(|location| location.to_string())
}

#[test]
fn a_small_table_answers() {
    let mut writer = Writer::new();
    writer.add_function(0x1000, 0x40, "kernel::main");
    writer.add_function(0x1040, 0, "kernel::main::{{closure}}");
    writer.add_function(0x2000, 0x10, "core::fmt::write");
    writer.add_line(0x1000, "kernel/src/main.rs", 10);
    writer.add_line(0x1004, "core/src/fmt/mod.rs", 1000);
    writer.add_line(0x1010, "kernel/src/main.rs", 12);
    writer.end_lines(0x1040);
    let table = writer.finish();
    let at = |offset| show(&table, offset);
    assert_eq!(at(0x1003).unwrap(), "kernel::main+0x3 (kernel/src/main.rs:10)");
    assert_eq!(at(0x1004).unwrap(), "kernel::main+0x4 (core/src/fmt/mod.rs:1000)");
    assert_eq!(at(0x103f).unwrap(), "kernel::main+0x3f (kernel/src/main.rs:12)");
    assert_eq!(at(0x1fff).unwrap(), "kernel::main::{{closure}}+0xfbf");
    assert_eq!(at(0x200f).unwrap(), "core::fmt::write+0xf");
    assert_eq!((at(0xfff), at(0x2010), at(u32::MAX)), (None, None, None));
}

#[test]
fn an_empty_table_answers_nothing() {
    assert_eq!(show(&Writer::new().finish(), 5), None);
    assert_eq!(show(&[], 5), None);
    assert_eq!(show(b"NSY1", 5), None);
}

#[test]
fn long_names_are_cut_between_characters() {
    let mut writer = Writer::new();
    writer.add_function(0, 0, &"ä".repeat(200));
    assert_eq!(show(&writer.finish(), 0).unwrap(), format!("{}+0x0", "ä".repeat(127)));
}

fn name() -> impl Strategy<Value = String> {
    "(core|kernel|alloc)::(fmt|sched|vfs)(::[a-c]{1,6}){0,3}"
}

proptest! {
    #[test]
    fn every_address_is_found(
        functions in prop::collection::btree_map(0..50_000u32, name(), 1..200),
        rows in prop::collection::btree_map(
            0..50_000u32, prop::option::weighted(0.9, ("[a-f]/[a-d]", 1..3_000u32)), 0..1_500),
        probes in prop::collection::vec(0..60_000u32, 100),
    ) {
        let mut writer = Writer::new();
        functions.iter().for_each(|(&start, name)| writer.add_function(start, 0, name));
        for (&address, place) in &rows {
            match place {
                Some((file, line)) => writer.add_line(address, file, *line),
                None => writer.end_lines(address),
            }
        }
        let table = writer.finish();
        let symbols = Symbols::new(&table).unwrap();
        let mut buffers = Buffers::new();
        for offset in probes.into_iter().chain(functions.keys().copied()).chain(rows.keys().copied()) {
            let found = symbols.lookup(offset, &mut buffers);
            let function = below(&functions, offset);
            prop_assert_eq!(
                found.map(|found| (offset - found.function_offset, found.function)),
                function.map(|(start, name)| (start, name.as_str()))
            );
            let line = found.and_then(|found| found.source).map(|source| (source.file.to_string(), source.line));
            let expected = function.and_then(|_| below(&rows, offset)).and_then(|(_, place)| place.clone());
            prop_assert_eq!(line, expected);
        }
    }

    #[test]
    fn damaged_tables_do_no_harm(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40)) {
        let mut writer = Writer::new();
        for number in 0..300u32 {
            writer.add_function(number * 16, 16, &format!("function{number}"));
            writer.add_line(number * 16, &format!("file{}", number % 9), number + 1);
        }
        let mut table = writer.finish();
        for (index, value) in damage {
            let index = index.index(table.len());
            table[index] = value;
        }
        for offset in (0..5_000).step_by(7) {
            let _ = show(&table, offset);
        }
    }

    #[test]
    fn any_bytes_do_no_harm(tail in prop::collection::vec(any::<u8>(), 0..400), offset: u32) {
        let table = [MAGIC.to_vec(), tail].concat();
        let _ = show(&table, offset);
    }
}

fn below<V>(map: &BTreeMap<u32, V>, offset: u32) -> Option<(u32, &V)> {
    map.range(..=offset).next_back().map(|(&key, value)| (key, value))
}
