//! How long a thread has been in user mode.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::time;

/// The time one thread has spent in user mode. Only its own way there and back changes it, with interrupts off, so that
/// it never runs while the thread does not; anybody may read it.
///
/// One word: the cycles so far, and while user code runs, that less what the cycle counter showed at its start, which is
/// negative. So a way through the kernel costs two readings of the counter and two additions, and no reader sees one half
/// of a change.
#[derive(Debug, Default)]
pub struct UserTime(AtomicU64);

impl UserTime {
    /// None yet.
    pub const fn new() -> Self {
        UserTime(AtomicU64::new(0))
    }

    /// The time so far.
    pub fn ns(&self) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        let is_running = word.cast_signed() < 0;
        let cycles = if is_running { word.wrapping_add(time::cycles()) } else { word };
        // Another CPU's counter may be a moment behind the one that was read at the start.
        time::cycles_to_ns(cycles.cast_signed().max(0).cast_unsigned())
    }

    #[inline(always)]
    pub(super) fn start(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(time::cycles()), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn stop(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(time::cycles()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation;

    #[test]
    fn only_what_lies_between_start_and_stop_counts() {
        let _machine = simulation::machine();
        let _cpu = simulation::occupy(0);
        time::spin_ns(1000);
        let user = UserTime::new();
        assert_eq!(user.ns(), 0);
        let start = time::now_ns();
        user.start();
        time::spin_ns(1000);
        let spent = time::now_ns() - start;
        assert_eq!(user.ns(), spent);
        user.stop();
        time::spin_ns(1000);
        assert_eq!(user.ns(), spent);
        user.start();
        user.stop();
        assert_eq!(user.ns(), spent);
    }
}
