//! When a timer is due, and how often it was.

/// When a timer is due, in nanoseconds of its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Next; `None` if it is off.
    pub deadline_ns: Option<u64>,
    /// From one time to the next; 0 for once.
    pub interval_ns: u64,
}

impl Setting {
    /// Off.
    pub const OFF: Setting = Setting { deadline_ns: None, interval_ns: 0 };

    /// Whether it is due at `now_ns`.
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.deadline_ns.is_some_and(|due| due <= now_ns)
    }

    /// Moves the deadline past `now_ns`, or turns a timer off that was for once. Says how often it was due.
    pub fn forward(&mut self, now_ns: u64) -> u64 {
        let Some(due) = self.deadline_ns.filter(|&due| due <= now_ns) else { return 0 };
        if self.interval_ns == 0 {
            self.deadline_ns = None;
            return 1;
        }
        let times = (now_ns - due) / self.interval_ns + 1;
        self.deadline_ns = Some(due.saturating_add(self.interval_ns.saturating_mul(times)));
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_for_once_is_due_once() {
        let mut timer = Setting { deadline_ns: Some(100), interval_ns: 0 };
        assert!(!timer.is_due(99));
        assert_eq!((timer.forward(99), timer.forward(100), timer.forward(1000)), (0, 1, 0));
        assert_eq!(timer, Setting::OFF);
    }

    #[test]
    fn a_repeated_one_stays_in_step_and_counts() {
        let mut timer = Setting { deadline_ns: Some(100), interval_ns: 10 };
        assert_eq!((timer.forward(99), timer.deadline_ns), (0, Some(100)));
        assert_eq!((timer.forward(100), timer.deadline_ns), (1, Some(110)));
        assert_eq!((timer.forward(145), timer.deadline_ns), (4, Some(150)));
        timer.interval_ns = u64::MAX;
        assert_eq!((timer.forward(150), timer.deadline_ns), (1, Some(u64::MAX)));
    }
}
