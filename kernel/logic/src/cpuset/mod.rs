//! Sets of processors: affinity masks, online masks, the targets of an inter-processor interrupt.
//!
//! A [`CpuSet`] is four words, copied freely; [`CpuId`] is a `u8`, so a processor number is always in
//! range. The text form is Linux's list format (`0-3,8`, `bitmap_parselist` in lib/bitmap-str.c).
//! Takes no locks; used by the scheduler, `sched_setaffinity` and the files that print masks.

mod text;

pub use text::ParseError;

/// How many processors the kernel can drive.
pub const MAX_CPUS: usize = 256;

const WORD_BITS: usize = 64;
const WORDS: usize = MAX_CPUS / WORD_BITS;

/// The number of one processor, dense from 0 (boot processor) in the order they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(u8);

impl CpuId {
    /// The processor that booted the machine.
    pub const BOOT: Self = Self(0);

    /// The processor with this number.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The processor with this index, or `None` past [`MAX_CPUS`].
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        u8::try_from(index).ok().map(Self)
    }

    /// The number as an array index, below [`MAX_CPUS`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    const fn word(self) -> usize {
        self.index() / WORD_BITS
    }

    const fn bit(self) -> u64 {
        1 << (self.index() % WORD_BITS)
    }
}

impl core::fmt::Display for CpuId {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A set of processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSet {
    words: [u64; WORDS],
}

impl CpuSet {
    /// No processor.
    pub const EMPTY: Self = Self { words: [0; WORDS] };
    /// Every processor there can be.
    pub const ALL: Self = Self { words: [u64::MAX; WORDS] };

    /// The set that holds `cpu` alone.
    #[must_use]
    pub const fn single(cpu: CpuId) -> Self {
        let mut words = [0; WORDS];
        words[cpu.word()] = cpu.bit();
        Self { words }
    }

    /// The processors 0 to `count - 1`; a count past [`MAX_CPUS`] means all.
    #[must_use]
    pub fn first_n(count: usize) -> Self {
        (0..count.min(MAX_CPUS)).filter_map(CpuId::from_index).collect()
    }

    /// The set whose member `n` is bit `n % 64` of word `n / 64`: the layout of `cpu_set_t`.
    #[must_use]
    pub const fn from_words(words: [u64; WORDS]) -> Self {
        Self { words }
    }

    /// The words of `cpu_set_t`, as [`Self::from_words`] takes them.
    #[must_use]
    pub const fn words(&self) -> &[u64; WORDS] {
        &self.words
    }

    /// Adds `cpu`.
    pub const fn set(&mut self, cpu: CpuId) {
        self.words[cpu.word()] |= cpu.bit();
    }

    /// Takes `cpu` out.
    pub const fn clear(&mut self, cpu: CpuId) {
        self.words[cpu.word()] &= !cpu.bit();
    }

    /// Whether `cpu` is a member.
    #[must_use]
    pub const fn contains(&self, cpu: CpuId) -> bool {
        self.words[cpu.word()] & cpu.bit() != 0
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == [0; WORDS]
    }

    /// How many members there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The lowest member.
    #[must_use]
    pub fn first(&self) -> Option<CpuId> {
        self.iter().next()
    }

    /// The members of both sets.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { words: core::array::from_fn(|word| self.words[word] & other.words[word]) }
    }

    /// The members of either set.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self { words: core::array::from_fn(|word| self.words[word] | other.words[word]) }
    }

    /// The members that `other` lacks.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self { words: core::array::from_fn(|word| self.words[word] & !other.words[word]) }
    }

    /// The members, lowest first.
    #[must_use]
    pub const fn iter(&self) -> Members {
        Members { words: self.words, word: 0 }
    }
}

impl FromIterator<CpuId> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> Self {
        let mut set = Self::EMPTY;
        cpus.into_iter().for_each(|cpu| set.set(cpu));
        set
    }
}

impl IntoIterator for &CpuSet {
    type Item = CpuId;
    type IntoIter = Members;

    fn into_iter(self) -> Members {
        self.iter()
    }
}

/// The members of a [`CpuSet`], lowest first.
#[derive(Clone, Debug)]
pub struct Members {
    words: [u64; WORDS],
    word: usize,
}

impl Iterator for Members {
    type Item = CpuId;

    fn next(&mut self) -> Option<CpuId> {
        loop {
            let word = self.words.get_mut(self.word)?;
            if *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                return CpuId::from_index(self.word * WORD_BITS + bit);
            }
            self.word += 1;
        }
    }
}

#[cfg(test)]
mod tests;
