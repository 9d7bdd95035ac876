//! Random bytes, for random(4), getrandom(2) and the kernel itself.
//!
//! One generator for all. A request takes a key of its own out of it under the lock and makes its bytes without.

use core::any::Any;

use abi::{Errno, Result};
use hal::cpu;
use hal::rank;
use hal::spin::Lock;
use hal::usermem;
use logic::random::{Generator, KEY_WORDS, Stream};
use nucleus::vfs::{ByteSink, ByteSource, File, Transfer};

/// Requests after which more of the hardware's noise is mixed in.
const RESEED_AFTER: u32 = 256;
/// Rounds of noise at the start: a counter gives few unknown bits each time.
const FIRST_ROUNDS: u32 = 32;
/// ioctl(2): how much noise there is, in bits.
const RNDGETENTCNT: u32 = 0x8004_5200;
/// What Linux answers once it is seeded.
const NOISE_BITS: i32 = 256;

static GENERATOR: Lock<Source, rank::Table> = Lock::new(Source { generator: Generator::new(), requests: 0 });

struct Source {
    generator: Generator,
    requests: u32,
}

impl Source {
    fn reseed(&mut self) {
        self.generator.mix(&core::array::from_fn(|_| cpu::entropy()));
        self.requests = 0;
    }
}

/// Mixes much noise in, once at boot.
pub(super) fn seed() {
    for _ in 0..FIRST_ROUNDS {
        GENERATOR.lock().reseed();
    }
}

fn stream() -> Stream {
    let mut source = GENERATOR.lock();
    source.requests += 1;
    if source.requests > RESEED_AFTER {
        source.reseed();
    }
    source.generator.stream()
}

/// A number nobody can guess.
pub fn random_u64() -> u64 {
    let block = stream().next_block();
    block.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Fills `to` with random bytes; says how many fit.
///
/// # Errors
/// EFAULT.
pub fn fill_random(to: &mut dyn ByteSink) -> Result<usize> {
    let mut stream = stream();
    let mut buffer = [0; 256];
    let mut done = 0;
    while to.room() > 0 {
        let len = to.room().min(buffer.len());
        let part = &mut buffer[..len];
        stream.fill(part);
        match to.put(part) {
            Ok(count) => {
                done += count;
                if count < len {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// random(4).
pub(super) struct Random;

impl File for Random {
    fn read(&self, _transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        fill_random(to)
    }

    /// What is written is mixed in, and believed to be no secret.
    fn write(&self, _transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let mut done = 0;
        while from.left() > 0 {
            let mut bytes = [0; KEY_WORDS * 4];
            match from.take(&mut bytes) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            let mut seed = [0; KEY_WORDS / 2];
            for (word, bytes) in seed.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            GENERATOR.lock().generator.mix(&seed);
        }
        Ok(done)
    }

    fn control(&self, request: u32, argument: u64) -> Result<u64> {
        if request != RNDGETENTCNT {
            return Err(Errno::ENOTTY);
        }
        usermem::write(argument, &NOISE_BITS)?;
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
