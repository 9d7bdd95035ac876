//! What the guest has written so far: filled by a thread, searched and waited on by the test.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How waiting for text ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited {
    /// The text came; this is what was written up to its end.
    Found(String),
    /// The guest is gone, and the text did not come.
    Ended,
    /// Nothing new came for too long.
    Silent,
    /// Output kept coming, but not the text, until the total limit.
    TooLong,
}

struct State {
    bytes: Vec<u8>,
    is_closed: bool,
    last_growth: Instant,
}

/// A growing text. Carriage returns are left out, so that tests need not know of them.
pub struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Output {
    fn default() -> Self {
        let state = State { bytes: Vec::new(), is_closed: false, last_growth: Instant::now() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl Output {
    /// Copies `source` to here and to `log` until it ends.
    pub fn fill_from(&self, mut source: impl Read, mut log: File) {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut chunk) {
            let fresh: Vec<u8> = chunk.iter().take(count).copied().filter(|&byte| byte != b'\r').collect();
            let _ = log.write_all(&fresh);
            let mut state = self.lock();
            state.bytes.extend(fresh);
            state.last_growth = Instant::now();
            self.changed.notify_all();
        }
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until `text` stands in the output after position `from`, and returns the position after it too.
    /// Gives up when nothing new comes for `silence`, and at `deadline`.
    pub fn wait_for(&self, text: &str, from: usize, silence: Duration, deadline: Instant) -> (Waited, usize) {
        let started = Instant::now();
        let mut state = self.lock();
        loop {
            let fresh = state.bytes.get(from..).unwrap_or_default();
            if let Some(at) = find(fresh, text.as_bytes()) {
                let end = from + at + text.len();
                let found = String::from_utf8_lossy(fresh.get(..at + text.len()).unwrap_or_default());
                return (Waited::Found(found.into_owned()), end);
            }
            let now = Instant::now();
            // A guest may have been silent before anybody waited; that does not count against it.
            let silence_ends = state.last_growth.max(started) + silence;
            if state.is_closed {
                return (Waited::Ended, from);
            } else if now >= deadline {
                return (Waited::TooLong, from);
            } else if now >= silence_ends {
                return (Waited::Silent, from);
            }
            let limit = silence_ends.min(deadline) - now;
            let woken = self.changed.wait_timeout(state, limit);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits like [`Self::wait_for`] until the guest closes its end.
    pub fn wait_for_end(&self, silence: Duration, deadline: Instant) -> Waited {
        // No output holds this: QEMU's serial line carries it only if the guest sends these very bytes.
        self.wait_for("\0never\0", 0, silence, deadline).0
    }

    /// The last `count` lines, without the control sequences that firmware writes for terminals.
    pub fn last_lines(&self, count: usize) -> String {
        let text = without_control_sequences(&self.text());
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
    }

    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// A test that panicked while it held the lock cannot have broken a list of bytes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves out `ESC [ parameters letter`.
fn without_control_sequences(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or_default();
    let rest = pieces.map(|piece| {
        let parameters = |c: char| c.is_ascii_digit() || matches!(c, ';' | '=' | '?');
        let after = piece.trim_start_matches(parameters);
        after.get(1..).unwrap_or_default()
    });
    std::iter::once(first).chain(rest).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &'static [u8]) -> Output {
        let output = Output::default();
        let log = File::create("/dev/null").unwrap();
        output.fill_from(text, log);
        output
    }

    #[test]
    fn text_is_found_once_and_in_order() {
        let output = filled(b"one\r\ntwo\r\none\r\n");
        let soon = Instant::now() + Duration::from_secs(5);
        let (waited, position) = output.wait_for("one\n", 0, Duration::from_secs(1), soon);
        assert_eq!(waited, Waited::Found("one\n".to_string()));
        let (waited, position) = output.wait_for("one", position, Duration::from_secs(1), soon);
        assert_eq!(waited, Waited::Found("two\none".to_string()));
        assert_eq!(output.wait_for("one", position, Duration::from_secs(1), soon).0, Waited::Ended);
        assert_eq!(output.last_lines(2), "two\none");
    }

    #[test]
    fn terminal_control_is_left_out_of_reports() {
        assert_eq!(filled(b"\x1b[2Ja\x1b[=3hb\x1b[01;31mc\x1b[").last_lines(1), "abc");
    }

    #[test]
    fn silence_and_the_total_limit_end_the_wait() {
        let output = Output::default();
        let now = Instant::now();
        assert_eq!(output.wait_for("x", 0, Duration::ZERO, now + Duration::from_secs(9)).0, Waited::Silent);
        assert_eq!(output.wait_for("x", 0, Duration::from_secs(9), now).0, Waited::TooLong);
    }
}
