//! Finds what the kernel asks for: base revision tag and requests, by their magic numbers.
//!
//! PROTOCOL.md, "Requests Delimiters", "Base Revisions" and "Request". All positions are offsets into the loaded
//! image, which starts on a page, so that alignment to 8 bytes is the same in the image and in memory.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::bytes;

/// The newest base revision this loader implements in full. Revisions 5 and 6 ask for machine state (IOMMUs off,
/// local APICs reset) that it does not set up.
pub const NEWEST_BASE_REVISION: u64 = 4;

const START_MARKER: [u64; 4] =
    [0xf6b8_f4b3_9de7_d1ae, 0xfab9_1a69_40fc_b9cf, 0x785c_6ed0_15d3_e316, 0x181e_920a_7852_b9d9];
const END_MARKER: [u64; 2] = [0xadc0_e053_1bb1_0d03, 0x9572_709f_3176_4c62];
const BASE_REVISION_TAG: [u64; 2] = [0xf956_2b2d_5c95_a6c8, 0x6a7b_3849_4453_6bdc];
const REQUEST: [u64; 2] = [0xc7b1_dd30_df4c_8b88, 0x0a82_e883_a194_f07b];

/// Offset of the response pointer in a request, after four words of id and one of revision.
const RESPONSE: usize = 40;
/// Offset of the first request-specific word.
const ARGUMENT: usize = 48;

/// What a kernel may ask for and this loader can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Name and version of the loader.
    BootloaderInfo,
    /// The command line.
    CommandLine,
    /// BIOS or UEFI.
    FirmwareType,
    /// A stack of at least this size.
    StackSize,
    /// Where the direct map starts.
    Hhdm,
    /// The screen.
    Framebuffer,
    /// Depth of the page tables.
    PagingMode,
    /// The memory map.
    MemoryMap,
    /// Another entry point than the file's.
    EntryPoint,
    /// The kernel's own file.
    ExecutableFile,
    /// The initramfs and other modules.
    Modules,
    /// The ACPI root.
    Rsdp,
    /// The date.
    DateAtBoot,
    /// Where the kernel was loaded.
    ExecutableAddress,
}

const FEATURES: [(Feature, [u64; 2]); 14] = [
    (Feature::BootloaderInfo, [0xf550_38d8_e2a1_202f, 0x2794_26fc_f5f5_9740]),
    (Feature::CommandLine, [0x4b16_1536_e598_651e, 0xb390_ad4a_2f1f_303a]),
    (Feature::FirmwareType, [0x8c2f_75d9_0bef_28a8, 0x7045_a468_8eac_00c3]),
    (Feature::StackSize, [0x224e_f046_0a8e_8926, 0xe1cb_0fc2_5f46_ea3d]),
    (Feature::Hhdm, [0x48dc_f1cb_8ad2_b852, 0x6398_4e95_9a98_244b]),
    (Feature::Framebuffer, [0x9d58_27dc_d881_dd75, 0xa314_8604_f6fa_b11b]),
    (Feature::PagingMode, [0x95c1_a0ed_ab09_44cb, 0xa4e5_cb38_42f7_488a]),
    (Feature::MemoryMap, [0x67cf_3d9d_378a_806f, 0xe304_acdf_c50c_3c62]),
    (Feature::EntryPoint, [0x13d8_6c03_5a1c_d3e1, 0x2b0c_aa89_d8f3_026a]),
    (Feature::ExecutableFile, [0xad97_e90e_83f1_ed67, 0x31eb_5d1c_5ff2_3b69]),
    (Feature::Modules, [0x3e7e_2797_02be_32af, 0xca1c_4f3b_d128_0cee]),
    (Feature::Rsdp, [0xc5e7_7b6b_397e_7b43, 0x2763_7845_accd_cf3c]),
    (Feature::DateAtBoot, [0x5027_46e1_84c0_88aa, 0xfbc5_ec83_e632_7893]),
    (Feature::ExecutableAddress, [0x71ba_7686_3cc5_5f63, 0xb264_4a48_c516_a487]),
];

/// Why the kernel's requests cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The same request twice.
    Duplicate(Feature),
    /// The kernel insists on five-level page tables.
    NeedsFiveLevels,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(feature) => write!(out, "it makes the Limine request {feature:?} twice"),
            Self::NeedsFiveLevels => {
                write!(out, "it insists on 5-level paging, and this loader has 4 levels")
            }
        }
    }
}

/// A request in the kernel's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub feature: Feature,
    offset: usize,
}

impl Request {
    /// The request-specific word number `index`; zero where the image ends.
    pub fn argument(&self, image: &[u8], index: usize) -> u64 {
        bytes::u64_at(image, self.offset + ARGUMENT + 8 * index).unwrap_or(0)
    }

    /// Stores the virtual address of the answer.
    pub fn answer(&self, image: &mut [u8], response: u64) {
        // Where the image ends inside the request nobody can read an answer either.
        let _ = bytes::put_u64(image, self.offset + RESPONSE, response);
    }
}

/// All that the kernel asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// The base revision that the kernel is booted with.
    pub base_revision: u64,
    tag: Option<usize>,
    requests: Vec<Request>,
}

impl Requests {
    /// Looks through the loaded image.
    ///
    /// # Errors
    /// The kernel asks for something twice, or for something this loader cannot do.
    pub fn find(image: &[u8]) -> Result<Self, ProtocolError> {
        let mut found = Self::default();
        for offset in searched(image).step_by(8) {
            if has_words(image, offset, &BASE_REVISION_TAG) {
                found.tag = Some(offset);
            } else if has_words(image, offset, &REQUEST) {
                found.add_request(image, offset)?;
            }
        }
        if let Some(wanted) = found.tag.and_then(|tag| bytes::u64_at(image, tag + 16)) {
            found.base_revision = wanted.min(NEWEST_BASE_REVISION);
        }
        found.check_paging_mode(image)?;
        Ok(found)
    }

    /// The requests, in the order of the image.
    pub fn iter(&self) -> impl Iterator<Item = Request> {
        self.requests.iter().copied()
    }

    /// The request for `feature`, if the kernel made it.
    pub fn get(&self, feature: Feature) -> Option<Request> {
        self.iter().find(|request| request.feature == feature)
    }

    /// Tells the kernel through its tag which base revision it is booted with.
    pub fn acknowledge_base_revision(&self, image: &mut [u8]) {
        let Some(tag) = self.tag else { return };
        if bytes::u64_at(image, tag + 16).is_some_and(|wanted| wanted <= NEWEST_BASE_REVISION) {
            let _ = bytes::put_u64(image, tag + 16, 0);
        }
        // Loaders that know revision 3 say this always, also to a kernel that wanted a newer one.
        let _ = bytes::put_u64(image, tag + 8, self.base_revision);
    }

    fn add_request(&mut self, image: &[u8], offset: usize) -> Result<(), ProtocolError> {
        let is_it = |(_, id): &&(Feature, [u64; 2])| has_words(image, offset + 16, id);
        let Some(&(feature, _)) = FEATURES.iter().find(is_it) else {
            return Ok(()); // the kernel sees that nobody answered
        };
        if self.get(feature).is_some() {
            return Err(ProtocolError::Duplicate(feature));
        }
        self.requests.push(Request { feature, offset });
        Ok(())
    }

    fn check_paging_mode(&self, image: &[u8]) -> Result<(), ProtocolError> {
        let Some(request) = self.get(Feature::PagingMode) else { return Ok(()) };
        let revision = bytes::u64_at(image, request.offset + 32).unwrap_or(0);
        let least = if revision >= 1 { request.argument(image, 2) } else { 0 };
        if least == 0 { Ok(()) } else { Err(ProtocolError::NeedsFiveLevels) }
    }
}

/// The part of the image between the last start marker and the first end marker after it.
fn searched(image: &[u8]) -> Range<usize> {
    let all = || (0..image.len()).step_by(8);
    let start = all().rfind(|&at| has_words(image, at, &START_MARKER)).unwrap_or(0);
    let end = all().find(|&at| at > start && has_words(image, at, &END_MARKER)).unwrap_or(image.len());
    start..end
}

fn has_words(image: &[u8], offset: usize, words: &[u64]) -> bool {
    words.iter().enumerate().all(|(index, &word)| bytes::u64_at(image, offset + 8 * index) == Some(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn image(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn request(feature: Feature, revision: u64, arguments: &[u64]) -> Vec<u64> {
        let (_, id) = FEATURES.iter().find(|entry| entry.0 == feature).unwrap();
        [&REQUEST[..], id, &[revision, 0], arguments].concat()
    }

    fn tag(revision: u64) -> Vec<u64> {
        [&BASE_REVISION_TAG[..], &[revision]].concat()
    }

    #[test]
    fn requests_are_found_and_answered_in_place() {
        let mut image = image(&[vec![7, 7], request(Feature::StackSize, 0, &[0x8000]), tag(3)].concat());
        let found = Requests::find(&image).unwrap();
        assert_eq!(found.base_revision, 3);
        let stack = found.get(Feature::StackSize).unwrap();
        assert_eq!(stack.argument(&image, 0), 0x8000);
        stack.answer(&mut image, 0xabcd);
        found.acknowledge_base_revision(&mut image);
        assert_eq!(bytes::u64_at(&image, 8 * (2 + 5)), Some(0xabcd));
        let tag = 8 * (2 + 7);
        assert_eq!((bytes::u64_at(&image, tag + 8), bytes::u64_at(&image, tag + 16)), (Some(3), Some(0)));
    }

    #[test]
    fn a_revision_from_the_future_is_told_the_truth() {
        let mut image = image(&tag(6));
        let found = Requests::find(&image).unwrap();
        found.acknowledge_base_revision(&mut image);
        assert_eq!((bytes::u64_at(&image, 8), bytes::u64_at(&image, 16)), (Some(4), Some(6)));
    }

    #[test]
    fn only_requests_between_the_markers_count() {
        let outside = request(Feature::Rsdp, 0, &[]);
        let inside = request(Feature::Hhdm, 0, &[]);
        let words = [&outside, &START_MARKER[..], &inside, &END_MARKER, &outside].concat();
        let found = Requests::find(&image(&words)).unwrap();
        assert_eq!(found.iter().map(|request| request.feature).collect::<Vec<_>>(), [Feature::Hhdm]);
        assert_eq!(found.base_revision, 0, "no tag means revision 0");
    }

    #[test]
    fn the_same_request_twice_is_refused() {
        let words = [request(Feature::Rsdp, 0, &[]), request(Feature::Rsdp, 0, &[])].concat();
        assert_eq!(Requests::find(&image(&words)), Err(ProtocolError::Duplicate(Feature::Rsdp)));
    }

    #[test]
    fn five_level_paging_may_be_liked_but_not_demanded() {
        let likes = image(&request(Feature::PagingMode, 1, &[1, 1, 0]));
        assert!(Requests::find(&likes).is_ok());
        let demands = image(&request(Feature::PagingMode, 1, &[1, 1, 1]));
        assert_eq!(Requests::find(&demands), Err(ProtocolError::NeedsFiveLevels));
    }

    #[test]
    fn an_image_that_ends_inside_a_request_is_survived() {
        let whole = image(&[request(Feature::PagingMode, 1, &[0, 0, 0]), tag(3)].concat());
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            if let Ok(found) = Requests::find(&cut) {
                found.iter().for_each(|request| request.answer(&mut cut, 1));
                found.acknowledge_base_revision(&mut cut);
            }
        }
    }
}
