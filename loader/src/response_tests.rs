//! Tests of the answers: read back the way a kernel would, through the direct map.

use super::*;
use crate::bytes;
use crate::memory_map::Kind;
use std::string::{String, ToString};
use std::vec;

const HHDM: u64 = 0xffff_8000_0000_0000;
const ARENA: u64 = HHDM + 0x9000;

/// A kernel image that requests one feature with base revision 4, or 3 where `revision` says so.
fn image(id: [u64; 2], revision: u64) -> Vec<u8> {
    let tag = [0xf956_2b2d_5c95_a6c8, 0x6a7b_3849_4453_6bdc, revision];
    let magic = [0xc7b1_dd30_df4c_8b88, 0x0a82_e883_a194_f07b];
    [&magic[..], &id, &[0, 0, 0, 0, 0], &tag]
        .concat()
        .iter()
        .flat_map(|word: &u64| word.to_le_bytes())
        .collect()
}

fn file_facts(path: &str, physical_address: u64) -> FileFacts {
    FileFacts { physical_address, size: 0x77, path: path.to_string(), cmdline: "a b".to_string() }
}

fn facts() -> Facts {
    let colour = |shift| ColourBits { size: 8, shift };
    Facts {
        hhdm: HHDM,
        rsdp: Some(0xe0000),
        framebuffer: Some(Framebuffer {
            physical_address: 0x8000_0000,
            size: 0x30_0000,
            width: 1024,
            height: 768,
            pitch: 4096,
            colours: [colour(16), colour(8), colour(0)],
        }),
        boot_time: Some(-1),
        kernel: file_facts("\\nacre.elf", 0x20_0000),
        modules: vec![file_facts("\\one", 0x5000), file_facts("\\two", 0x7000)],
        image_physical_base: 0x40_0000,
        image_virtual_base: 0xffff_ffff_8020_0000,
    }
}

struct Answer {
    memory: Vec<u8>,
    at: u64,
}

impl Answer {
    fn word(&self, address: u64) -> u64 {
        bytes::u64_at(&self.memory, usize::try_from(address - ARENA).unwrap()).unwrap()
    }

    /// Word number `index` after the answer's revision.
    fn field(&self, index: u64) -> u64 {
        self.word(self.at + 8 + 8 * index)
    }

    fn text(&self, address: u64) -> String {
        let bytes = &self.memory[usize::try_from(address - ARENA).unwrap()..];
        bytes.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect()
    }
}

fn ask_with(id: [u64; 2], revision: u64, facts: &Facts) -> Option<Answer> {
    let mut image = image(id, revision);
    let requests = Requests::find(&image).unwrap();
    let mut memory = vec![0xee; 4096];
    let map = [(0x1000, Kind::Usable), (0x5000, Kind::Framebuffer)].map(|(base, kind)| Region {
        base,
        end: base + 0x1000,
        kind,
    });
    answer_all(&mut image, &requests, facts, &map, &mut Arena::new(&mut memory, ARENA)).unwrap();
    let at = bytes::u64_at(&image, 40).unwrap();
    (at != 0).then_some(Answer { memory, at })
}

fn ask(id: [u64; 2]) -> Answer {
    ask_with(id, 4, &facts()).unwrap()
}

const RSDP: [u64; 2] = [0xc5e7_7b6b_397e_7b43, 0x2763_7845_accd_cf3c];
const MODULES: [u64; 2] = [0x3e7e_2797_02be_32af, 0xca1c_4f3b_d128_0cee];
const FRAMEBUFFER: [u64; 2] = [0x9d58_27dc_d881_dd75, 0xa314_8604_f6fa_b11b];

#[test]
fn the_acpi_root_is_physical_for_revision_3_only() {
    for (revision, expected) in [(0, HHDM + 0xe0000), (3, 0xe0000), (4, HHDM + 0xe0000)] {
        assert_eq!(ask_with(RSDP, revision, &facts()).unwrap().field(0), expected);
    }
}

#[test]
fn modules_are_files_with_paths() {
    let answer = ask(MODULES);
    assert_eq!(answer.field(0), 2);
    let second = answer.word(answer.field(1) + 8);
    assert_eq!(answer.word(second + 8), HHDM + 0x7000);
    assert_eq!(answer.word(second + 16), 0x77);
    assert_eq!(answer.text(answer.word(second + 24)), "\\two");
    assert_eq!(answer.text(answer.word(second + 32)), "a b");
}

#[test]
fn the_memory_map_is_a_list_of_pointers() {
    let answer = ask([0x67cf_3d9d_378a_806f, 0xe304_acdf_c50c_3c62]);
    assert_eq!(answer.field(0), 2);
    let second = answer.word(answer.field(1) + 8);
    assert_eq!([0, 8, 16].map(|offset| answer.word(second + offset)), [0x5000, 0x1000, 7]);
}

#[test]
fn the_screen_is_described() {
    let answer = ask(FRAMEBUFFER);
    let screen = answer.word(answer.field(1));
    let expected = [HHDM + 0x8000_0000, 1024, 768, 4096];
    assert_eq!([0, 8, 16, 24].map(|offset| answer.word(screen + offset)), expected);
    assert_eq!(answer.word(screen + 32).to_le_bytes(), [32, 0, 1, 8, 16, 8, 8, 8]);
    assert_eq!(answer.word(screen + 40).to_le_bytes()[0], 0);
}

#[test]
fn plain_answers_hold_their_numbers() {
    let text = ask([0x4b16_1536_e598_651e, 0xb390_ad4a_2f1f_303a]);
    assert_eq!(text.text(text.field(0)), "a b");
    let address = ask([0x71ba_7686_3cc5_5f63, 0xb264_4a48_c516_a487]);
    assert_eq!([address.field(0), address.field(1)], [0x40_0000, 0xffff_ffff_8020_0000]);
    assert_eq!(ask([0x5027_46e1_84c0_88aa, 0xfbc5_ec83_e632_7893]).field(0), u64::MAX);
    assert_eq!(ask([0x48dc_f1cb_8ad2_b852, 0x6398_4e95_9a98_244b]).field(0), HHDM);
}

#[test]
fn what_is_not_there_is_not_answered() {
    let nothing = Facts { rsdp: None, framebuffer: None, modules: vec![], boot_time: None, ..facts() };
    for id in [RSDP, MODULES, FRAMEBUFFER] {
        assert!(ask_with(id, 4, &nothing).is_none());
    }
}

#[test]
fn an_arena_that_is_too_small_is_an_error() {
    let mut image = image(MODULES, 4);
    let requests = Requests::find(&image).unwrap();
    let mut memory = [0; 128];
    let mut arena = Arena::new(&mut memory, ARENA);
    assert_eq!(answer_all(&mut image, &requests, &facts(), &[], &mut arena), Err(ArenaFull));
}

#[test]
fn a_colour_mask_becomes_size_and_shift() {
    assert_eq!(ColourBits::of_mask(0x00ff_0000), ColourBits { size: 8, shift: 16 });
    assert_eq!(ColourBits::of_mask(0x3ff0_0000), ColourBits { size: 10, shift: 20 });
}
