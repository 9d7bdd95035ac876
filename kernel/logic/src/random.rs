//! Random bytes from a seed: ChaCha20 (RFC 8439) with fast key erasure.
//!
//! The generator's key is replaced each time it is used, so who learns it later cannot tell what came before. The
//! crate `chacha20` is not used: on x86-64 it chooses AVX2 at run time, and the kernel must not touch those registers.

/// Words of a key.
pub const KEY_WORDS: usize = 8;
/// Bytes of a block.
pub const BLOCK_BYTES: usize = 64;

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// A key that makes others, and is another after each.
#[derive(Debug)]
pub struct Generator {
    key: [u32; KEY_WORDS],
}

/// Bytes for one request.
#[derive(Debug)]
pub struct Stream {
    key: [u32; KEY_WORDS],
    counter: u64,
}

impl Generator {
    /// A generator that knows nothing yet: mix seeds in before it is used.
    pub const fn new() -> Self {
        Generator { key: [0; KEY_WORDS] }
    }

    /// Mixes a seed in. What was unknown before stays unknown, whatever the seed.
    pub fn mix(&mut self, seed: &[u64; KEY_WORDS / 2]) {
        for (pair, seed) in self.key.as_chunks_mut::<2>().0.iter_mut().zip(seed) {
            pair[0] ^= low(*seed);
            pair[1] ^= low(*seed >> 32);
        }
        self.stream();
    }

    /// Bytes for one request.
    pub fn stream(&mut self) -> Stream {
        let block = block(&self.key, 0, [0; 2]);
        let mut key = [0; KEY_WORDS];
        for ((next, key), words) in self.key.iter_mut().zip(&mut key).zip(block.as_chunks::<2>().0) {
            (*next, *key) = (words[0], words[1]);
        }
        Stream { key, counter: 0 }
    }
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// The next bytes.
    pub fn next_block(&mut self) -> [u8; BLOCK_BYTES] {
        let words = block(&self.key, self.counter, [0; 2]);
        self.counter = self.counter.wrapping_add(1);
        bytes(&words)
    }

    /// Fills `to`.
    pub fn fill(&mut self, to: &mut [u8]) {
        for part in to.chunks_mut(BLOCK_BYTES) {
            let block = self.next_block();
            part.copy_from_slice(&block[..part.len()]);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn low(value: u64) -> u32 {
    value as u32
}

fn bytes(words: &[u32; 16]) -> [u8; BLOCK_BYTES] {
    let mut bytes = [0; BLOCK_BYTES];
    for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *to = word.to_le_bytes();
    }
    bytes
}

/// A block of the key stream; RFC 8439, section 2.3, with the counter of 64 bits of the original design.
fn block(key: &[u32; KEY_WORDS], counter: u64, nonce: [u32; 2]) -> [u32; 16] {
    let mut start = [0; 16];
    start[..4].copy_from_slice(&CONSTANTS);
    start[4..12].copy_from_slice(key);
    (start[12], start[13]) = (low(counter), low(counter >> 32));
    start[14..].copy_from_slice(&nonce);
    let mut state = start;
    for _ in 0..10 {
        quarter(&mut state, 0, 4, 8, 12);
        quarter(&mut state, 1, 5, 9, 13);
        quarter(&mut state, 2, 6, 10, 14);
        quarter(&mut state, 3, 7, 11, 15);
        quarter(&mut state, 0, 5, 10, 15);
        quarter(&mut state, 1, 6, 11, 12);
        quarter(&mut state, 2, 7, 8, 13);
        quarter(&mut state, 3, 4, 9, 14);
    }
    for (word, start) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(start);
    }
    state
}

#[inline]
fn quarter(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    for (rotation_d, rotation_b) in [(16, 12), (8, 7)] {
        state[a] = state[a].wrapping_add(state[b]);
        state[d] = (state[d] ^ state[a]).rotate_left(rotation_d);
        state[c] = state[c].wrapping_add(state[d]);
        state[b] = (state[b] ^ state[c]).rotate_left(rotation_b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_of_the_rfc() {
        // Section 2.3.2; its nonce of 96 bits overlaps the upper half of our counter.
        let mut key = [0; 8];
        for (word, first) in key.iter_mut().zip((0u8..).step_by(4)) {
            *word = u32::from_le_bytes([first, first + 1, first + 2, first + 3]);
        }
        let block = block(&key, 1 | 0x0900_0000 << 32, [0x4a00_0000, 0]);
        let expected = [
            0xe4e7_f110,
            0x1559_3bd1,
            0x1fdd_0f50,
            0xc471_20a3,
            0xc7f4_d1c7,
            0x0368_c033,
            0x9aaa_2204,
            0x4e6c_d4c3,
            0x4664_82d2,
            0x09aa_9f07,
            0x05d7_c214,
            0xa202_8bd9,
            0xd19c_12b5,
            0xb94e_16de,
            0xe883_d0cb,
            0x4e3c_50a2,
        ];
        assert_eq!(block, expected);
    }

    #[test]
    fn streams_differ_and_seeds_matter() {
        let mut generator = Generator::new();
        generator.mix(&[1, 2, 3, 4]);
        let (first, second) = (generator.stream().next_block(), generator.stream().next_block());
        assert_ne!(first, second);
        let mut again = Generator::new();
        again.mix(&[1, 2, 3, 4]);
        assert_eq!(again.stream().next_block(), first);
        let mut other = Generator::new();
        other.mix(&[1, 2, 3, 5]);
        assert_ne!(other.stream().next_block(), first);
        let mut stream = other.stream();
        let mut long = [0; 150];
        stream.fill(&mut long);
        assert_ne!(long[..64], long[64..128]);
    }
}
