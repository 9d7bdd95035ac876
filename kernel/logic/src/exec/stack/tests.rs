//! Tests of the first stack; Linux's own for this test process is the oracle.

use std::format;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::string::String;
use std::vec;

use proptest::prelude::*;

use super::*;
use crate::exec::Budget;

fn list<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> StringList {
    let mut list = StringList::new();
    let mut budget = Budget::for_stack(u64::MAX);
    strings.into_iter().for_each(|string| list.push(string, &mut budget).unwrap());
    list
}

/// Writes the pieces into zeroed memory from the stack pointer to `top`.
fn image(stack: &InitialStack<'_>, top: u64) -> Vec<u8> {
    let base = stack.stack_pointer;
    let mut image = vec![0; usize::try_from(top - base).unwrap()];
    for (at, bytes) in stack.pieces() {
        let at = usize::try_from(at - base).unwrap();
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }
    image
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word))
}

fn entries(vector: &[u8]) -> Vec<(u64, u64)> {
    let mut words = words(vector);
    core::iter::from_fn(|| Some((words.next()?, words.next()?))).collect()
}

/// The top of this process's first stack, what Linux put there, and where.
struct OwnStack {
    top: u64,
    start: u64,
    image: Vec<u8>,
}

impl OwnStack {
    fn read() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let end = line.split([' ', '-']).nth(1).unwrap();
        let top = u64::from_str_radix(end, 16).unwrap();
        let start = stat_field(28);
        let mut image = vec![0; usize::try_from(top - start).unwrap()];
        let mut memory = File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(start)).unwrap();
        memory.read_exact(&mut image).unwrap();
        Self { top, start, image }
    }

    fn at(&self, address: u64) -> &[u8] {
        &self.image[usize::try_from(address - self.start).unwrap()..]
    }

    fn strings(&self, start: u64, end: u64) -> StringList {
        let text = &self.at(start)[..usize::try_from(end - start).unwrap()];
        list(text.strip_suffix(&[0]).into_iter().flat_map(|text| text.split(|&byte| byte == 0)))
    }
}

/// A field of /proc/self/stat, counted from 1 as in proc(5).
fn stat_field(number: usize) -> u64 {
    let stat: String = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().nth(number - 3).unwrap().parse().unwrap()
}

#[test]
fn the_stack_is_the_one_linux_made_for_this_process() {
    let own = OwnStack::read();
    let [arg_start, arg_end, env_start, env_end] = [48, 49, 50, 51].map(stat_field);
    let vector = entries(&fs::read("/proc/self/auxv").unwrap());
    let value = |kind| vector.iter().find(|entry| entry.0 == kind).map(|entry| entry.1).unwrap();
    let is_own = |kind| matches!(kind, AT_RANDOM | AT_EXECFN | AT_PLATFORM | AT_NULL);
    let auxiliary: Vec<_> = vector.iter().copied().filter(|entry| !is_own(entry.0)).collect();
    let contents = Contents {
        arguments: &own.strings(arg_start, arg_end),
        environment: &own.strings(env_start, env_end),
        file_name: own.at(value(AT_EXECFN)).split(|&byte| byte == 0).next().unwrap(),
        random: own.at(value(AT_RANDOM))[..16].try_into().unwrap(),
        auxiliary: &auxiliary,
    };
    let gap = arg_start - (value(AT_PLATFORM) + 7);
    let ours = InitialStack::lay_out(own.top, gap, contents).unwrap();

    assert_eq!([ours.arg_start, ours.arg_end()], [arg_start, arg_end]);
    assert_eq!([ours.env_start, ours.env_end()], [env_start, env_end]);
    assert_eq!(ours.stack_pointer, own.start);
    // Linux has the three addresses in the midst of the vector; the order means nothing.
    let theirs = &own.image[ours.auxiliary_at..][..ours.auxiliary().len()];
    let sorted = |vector: &[u8]| {
        let mut entries = entries(vector);
        entries.sort_unstable();
        entries
    };
    assert_eq!(sorted(ours.auxiliary()), sorted(theirs));
    let mut image = image(&ours, own.top);
    image[ours.auxiliary_at..][..theirs.len()].copy_from_slice(theirs);
    assert!(image == own.image, "{}", first_difference(&image, &own.image));
}

fn first_difference(ours: &[u8], theirs: &[u8]) -> String {
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
    format!("differs at {at:?} of {} and {} bytes", ours.len(), theirs.len())
}

#[test]
fn what_does_not_fit_is_too_big() {
    let (arguments, environment) = (list([&b"a"[..]]), list([]));
    let contents = Contents {
        arguments: &arguments,
        environment: &environment,
        file_name: b"a",
        random: [1; 16],
        auxiliary: &[],
    };
    assert_eq!(InitialStack::lay_out(100, 0, contents).err(), Some(Errno::E2BIG));
    assert_eq!(InitialStack::lay_out(0x1000, u64::MAX, contents).err(), Some(Errno::E2BIG));
    assert!(InitialStack::lay_out(0x1000, 0, contents).is_ok());
}

proptest! {
    #[test]
    fn pointers_lead_to_the_strings(
        arguments in prop::collection::vec("[a-z]{0,9}", 0..9),
        environment in prop::collection::vec("[a-z]{0,9}", 0..9),
        auxiliary in prop::collection::vec((1..9u64, any::<u64>()), 0..5),
        gap in 0..8192u64,
    ) {
        const TOP: u64 = 0x7fff_0000_0000;
        let strings = list(arguments.iter().chain(&environment).map(|string| string.as_bytes()));
        let contents = Contents {
            arguments: &list(arguments.iter().map(|string| string.as_bytes())),
            environment: &list(environment.iter().map(|string| string.as_bytes())),
            file_name: b"name",
            random: [7; 16],
            auxiliary: &auxiliary,
        };
        let stack = InitialStack::lay_out(TOP, gap, contents).unwrap();
        prop_assert_eq!(stack.stack_pointer % 16, 0);
        let image = image(&stack, TOP);
        let mut words = words(&image);
        prop_assert_eq!(words.next(), Some(arguments.len() as u64));
        let pointers: Vec<u64> = words.by_ref().take_while(|&word| word != 0)
            .chain(core::iter::once(0)).collect();
        prop_assert_eq!(pointers.len(), arguments.len() + 1);
        let environment_pointers: Vec<u64> = words.by_ref().take_while(|&word| word != 0).collect();
        prop_assert_eq!(environment_pointers.len(), environment.len());
        let all = pointers.iter().filter(|&&pointer| pointer != 0).chain(&environment_pointers);
        for (&pointer, string) in all.zip(strings.iter()) {
            let text = &image[usize::try_from(pointer - stack.stack_pointer).unwrap()..];
            prop_assert_eq!(&text[..string.len()], string);
            prop_assert_eq!(text[string.len()], 0);
        }
        let vector = entries(stack.auxiliary());
        prop_assert_eq!(&vector[..auxiliary.len()], &auxiliary[..]);
        prop_assert_eq!(vector.last(), Some(&(AT_NULL, 0)));
        let name = usize::try_from(vector[auxiliary.len() + 1].1 - stack.stack_pointer).unwrap();
        prop_assert_eq!(&image[name..name + 5], b"name\0");
    }
}
