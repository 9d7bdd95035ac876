//! Looking for free bits in a bitmap.

use crate::bytes::test_bit;

/// Consecutive bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// Up to `wanted` consecutive clear bits among those from `from` to `end`: those at `from` itself if they are clear, else the
/// first eight that begin a byte, else the first.
pub(crate) fn find(bits: &[u8], from: u32, end: u32, wanted: u32) -> Option<Bits> {
    let first = if from < end && !test_bit(bits, from) {
        from
    } else {
        free_byte(bits, from, end).or_else(|| first_free(bits, from, end))?
    };
    let mut count = 1;
    while count < wanted && first + count < end && !test_bit(bits, first + count) {
        count += 1;
    }
    Some(Bits { first, count })
}

/// The first clear bit among those from `from` to `end`.
pub(crate) fn first_free(bits: &[u8], from: u32, end: u32) -> Option<u32> {
    let mut bit = from;
    while bit < end {
        if bit.is_multiple_of(64) && word(bits, bit) == Some(u64::MAX) {
            bit += 64;
        } else if bit.is_multiple_of(8) && byte(bits, bit) == Some(0xff) {
            bit += 8;
        } else if test_bit(bits, bit) {
            bit += 1;
        } else {
            return Some(bit);
        }
    }
    None
}

/// The first byte of clear bits, eight looked at together.
fn free_byte(bits: &[u8], from: u32, end: u32) -> Option<u32> {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = LOWEST << 7;
    let mut at = from.div_ceil(8) * 8;
    while at.checked_add(8)? <= end {
        if let Some(word) = word(bits, at).filter(|_| at + 64 <= end) {
            // Of a byte that is 0 the highest bit, and perhaps of bytes above it.
            let clear = word.wrapping_sub(LOWEST) & !word & HIGHEST;
            if clear != 0 {
                return Some(at + clear.trailing_zeros() / 8 * 8);
            }
            at += 64;
        } else if byte(bits, at)? == 0 {
            return Some(at);
        } else {
            at += 8;
        }
    }
    None
}

fn byte(bits: &[u8], bit: u32) -> Option<u8> {
    bits.get(usize::try_from(bit / 8).ok()?).copied()
}

/// The 64 bits from the byte of `bit` on.
fn word(bits: &[u8], bit: u32) -> Option<u64> {
    let bytes = bits.get(usize::try_from(bit / 8).ok()?..)?;
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}

/// How many bits of the first `end` are clear.
pub(crate) fn count_free(bits: &[u8], end: u32) -> u32 {
    let whole = usize::try_from(end / 8).unwrap_or(usize::MAX);
    let bytes: u32 = bits.iter().take(whole).map(|byte| byte.count_zeros()).sum();
    bytes + (end / 8 * 8..end).map(|bit| u32::from(!test_bit(bits, bit))).sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goal_is_taken_if_it_is_free() {
        let bits = [0b0000_0111, 0xff, 0, 0xf0];
        assert_eq!(find(&bits, 3, 32, 100), Some(Bits { first: 3, count: 5 }));
        assert_eq!(find(&bits, 3, 32, 2), Some(Bits { first: 3, count: 2 }));
    }

    #[test]
    fn a_free_byte_is_better_than_a_free_bit() {
        let bits = [0b0000_0111, 0xfe, 0, 0xf0];
        assert_eq!(find(&bits, 0, 32, 100), Some(Bits { first: 16, count: 12 }));
        assert_eq!(find(&bits, 17, 20, 100), Some(Bits { first: 17, count: 3 }));
        assert_eq!(find(&[0xff, 0xfe], 0, 16, 9), Some(Bits { first: 8, count: 1 }));
    }

    #[test]
    fn many_bits_are_searched_as_one_by_one() {
        let free_byte_slowly = |bits: &[u8], from: u32, end: u32| {
            let fits = |bit: &u32| bit + 8 <= end && bits[*bit as usize / 8] == 0;
            (from..end).filter(|bit| bit.is_multiple_of(8)).find(fits)
        };
        for place in 0..40_u32 {
            for value in [0, 1, 0x7f, 0x80] {
                let mut bits = [0xff_u8; 40];
                bits[place as usize] = value;
                // A byte of 1 above one of 0 must not be taken for it.
                if let Some(next) = bits.get_mut(place as usize + 1) {
                    *next = 1;
                }
                for (from, end) in [(0, 320), (1, 320), (64, 320), (100, 300), (0, 200), (8, 313)] {
                    let found = free_byte(&bits, from, end);
                    assert_eq!(found, free_byte_slowly(&bits, from, end), "{place} {value} {from}..{end}");
                    let first = (from..end).find(|&bit| !test_bit(&bits, bit));
                    assert_eq!(first_free(&bits, from, end), first, "{place} {value} {from}..{end}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_found_in_a_full_bitmap_or_behind_its_end() {
        assert_eq!(find(&[0xff; 4], 0, 32, 1), None);
        assert_eq!(find(&[0xff, 0], 0, 8, 1), None);
        assert_eq!(find(&[], 0, 8, 1), Some(Bits { first: 0, count: 1 }), "the caller knows the length");
    }

    #[test]
    fn free_bits_are_counted_up_to_the_end() {
        assert_eq!(count_free(&[0xf0, 0, 0b111], 20), 4 + 8 + 1);
        assert_eq!(count_free(&[0xf0, 0, 0b111], 24), 4 + 8 + 5);
    }
}
