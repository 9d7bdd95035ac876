//! CPU time against its limits: RLIMIT_CPU, and when to look again.
//!
//! Nobody counts a process's time while its threads run; somebody looks at it when a thread has had a share of what is
//! left until the next limit. With one thread the share is all, and the look comes at the right moment; with several each
//! look is nearer, until the shares are too small to be worth an interrupt.

/// The least time between two looks: Linux looks at each of its ticks, every 4 ms.
pub const LEAST_NS: u64 = 200_000;

/// For how long one of `threads` threads may run until somebody must look, when `left_ns` are left to all of them.
pub fn share_ns(left_ns: u64, threads: usize) -> u64 {
    (left_ns / (threads as u64).max(1)).max(LEAST_NS)
}

/// What RLIMIT_CPU means for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is within its limits.
    Within,
    /// It is past the soft limit: SIGXCPU, and the soft limit becomes this, a second later.
    Warn(u64),
    /// It is past the hard limit: SIGKILL.
    Kill,
}

const SECOND_NS: u64 = 1_000_000_000;

/// Judges a process that has had `used_ns`; its limits are in seconds.
pub fn judge(used_ns: u64, soft: u64, hard: u64) -> Verdict {
    if used_ns >= hard.saturating_mul(SECOND_NS) {
        Verdict::Kill
    } else if used_ns >= soft.saturating_mul(SECOND_NS) {
        Verdict::Warn(soft + 1)
    } else {
        Verdict::Within
    }
}

/// When a process must be judged again; `u64::MAX` for never.
pub fn next_verdict_ns(soft: u64, hard: u64) -> u64 {
    soft.min(hard).saturating_mul(SECOND_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_warns_each_second_and_the_hard_one_ends() {
        let mut soft = 1;
        assert_eq!(judge(999_999_999, soft, 3), Verdict::Within);
        for second in 1..3 {
            assert_eq!(judge(second * SECOND_NS, soft, 3), Verdict::Warn(second + 1));
            soft = second + 1;
            assert_eq!(judge(second * SECOND_NS, soft, 3), Verdict::Within);
        }
        assert_eq!(judge(3 * SECOND_NS, soft, 3), Verdict::Kill);
        assert_eq!(judge(0, 0, 0), Verdict::Kill);
        assert_eq!(judge(0, 0, 1), Verdict::Warn(1));
        assert_eq!(judge(u64::MAX - 1, u64::MAX, u64::MAX), Verdict::Within);
        assert_eq!(next_verdict_ns(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(next_verdict_ns(2, u64::MAX), 2 * SECOND_NS);
    }

    #[test]
    fn looks_come_nearer_and_overshoot_by_little() {
        // Four threads run side by side; each looks when it has had its share, and takes a new one.
        let limit: u64 = 50_000_000;
        let mut ran = [0_u64; 4];
        let mut look_at = [share_ns(limit, 4); 4];
        let mut looks = 0;
        loop {
            let step = (0..4).map(|thread| look_at[thread] - ran[thread]).min().unwrap();
            ran.iter_mut().for_each(|ran| *ran += step);
            let total: u64 = ran.iter().sum();
            if total >= limit {
                assert!(total - limit <= 4 * LEAST_NS, "{total}");
                break;
            }
            for thread in 0..4 {
                if ran[thread] == look_at[thread] {
                    look_at[thread] += share_ns(limit - total, 4);
                    looks += 1;
                }
            }
            assert!(looks < 100);
        }
    }
}
