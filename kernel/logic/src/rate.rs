//! A token bucket that keeps a repeating message from flooding the log.
//!
//! As `printk_ratelimit`: ten at once, then one for each half second. Kept as one time stamp (the
//! generic cell rate algorithm) instead of a count and a refill; the caller holds the lock.

/// How many messages pass at once by default.
pub const DEFAULT_BURST: u32 = 10;
/// In which time the default burst is earned again.
pub const DEFAULT_INTERVAL_NS: u64 = 5_000_000_000;

/// What to do with a message.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write it, after a note about the messages left out since the last one, if any.
    Pass {
        /// How many were left out.
        suppressed: u64,
    },
    /// Leave it out.
    Suppress,
}

/// The state of one limiter.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    /// What one message costs.
    cost_ns: u64,
    /// How far ahead of the clock the bucket may be spent.
    depth_ns: u64,
    /// When the bucket will be full again.
    full_at_ns: u64,
    suppressed: u64,
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self::new(DEFAULT_BURST, DEFAULT_INTERVAL_NS)
    }
}

impl RateLimiter {
    /// A full bucket of `burst` messages (at least one), refilled in `interval_ns`.
    #[must_use]
    pub const fn new(burst: u32, interval_ns: u64) -> Self {
        let burst = if burst == 0 { 1 } else { burst as u64 };
        let cost_ns = interval_ns / burst;
        Self { cost_ns, depth_ns: cost_ns * (burst - 1), full_at_ns: 0, suppressed: 0 }
    }

    /// Decides about one message.
    pub fn check(&mut self, now_ns: u64) -> Verdict {
        let full_at_ns = self.full_at_ns.max(now_ns);
        if full_at_ns - now_ns > self.depth_ns {
            self.suppressed = self.suppressed.saturating_add(1);
            return Verdict::Suppress;
        }
        self.full_at_ns = full_at_ns.saturating_add(self.cost_ns);
        Verdict::Pass { suppressed: core::mem::take(&mut self.suppressed) }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let mut limiter = RateLimiter::default();
        for _ in 0..10 {
            assert_eq!(limiter.check(1_000), Verdict::Pass { suppressed: 0 });
        }
        for _ in 0..7 {
            assert_eq!(limiter.check(1_000), Verdict::Suppress);
        }
        assert_eq!(limiter.check(500_001_000), Verdict::Pass { suppressed: 7 });
        assert_eq!(limiter.check(500_001_000), Verdict::Suppress);
        assert_eq!(limiter.check(1 << 60), Verdict::Pass { suppressed: 1 });
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_burst_and_refill(
            burst in 1..20u32,
            interval in 1..10_000u64,
            delays in prop::collection::vec(0..1_000u64, 1..200),
        ) {
            let mut limiter = RateLimiter::new(burst, interval);
            let mut now = 0;
            let mut passed: Vec<u64> = Vec::new();
            let mut suppressed = 0;
            for delay in &delays {
                now += delay;
                match limiter.check(now) {
                    Verdict::Pass { suppressed: count } => {
                        suppressed += count;
                        passed.push(now);
                    }
                    Verdict::Suppress => {}
                }
            }
            let cost = interval / u64::from(burst);
            for (index, &end) in passed.iter().enumerate() {
                for (count, &start) in (1u64..).zip(passed[..=index].iter().rev()) {
                    prop_assert!(cost == 0 || count <= u64::from(burst) + (end - start) / cost + 1);
                }
            }
            prop_assert_eq!(passed.len() as u64 + suppressed + limiter.suppressed, delays.len() as u64);
        }
    }
}
