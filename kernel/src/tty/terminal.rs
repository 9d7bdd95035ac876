//! A terminal: the line discipline, whose it is, and what waits.
//!
//! Lock: `line`, sleeping, rank `Stream`, around the discipline, the window's size and input that waits; reads copy to
//! user memory under it. Signals are sent and queues are woken without it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::boot::Text;
use hal::rank;
use logic::signal::{Signal, SignalInfo};
use logic::tty::{Damage, LineDiscipline, ReadRule, Termios, WindowSize};
use nucleus::sched::wait::block_until_any;
use nucleus::sched::{Mutex, Wait, WaitQueue};

use super::driver::{Change, Driver, Sending};
use super::job::{self, Job};
use crate::process::Pid;

/// Bytes that go from a program to the discipline at once.
const WRITE_BUFFER: usize = 2048;

/// What sort of terminal it is, as far as the rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A device; it is hung up when its session's leader ends.
    Line,
    /// The slave of a pty; it stays usable then.
    Pty,
}

/// A terminal.
pub(crate) struct Tty {
    pub(super) name: Text<16>,
    pub(super) number: u64,
    pub(super) sort: Sort,
    pub(super) driver: Box<dyn Driver>,
    pub(super) line: Mutex<Line, rank::Stream>,
    /// Who waits for input.
    pub(super) readable: WaitQueue,
    /// Who waits until output goes on; for room, see [`Driver::sent`] too.
    pub(super) writable: WaitQueue,
    /// Who feeds it and waits until it takes more.
    has_room: WaitQueue,
    pub(super) job: Job,
    /// How many files of it are open.
    opens: AtomicU32,
    /// How often it was hung up: files that were open before are dead.
    hang_ups: AtomicU64,
    /// TIOCEXCL.
    pub(super) is_exclusive: AtomicBool,
    /// The settings of a new one.
    first: Termios,
}

/// What the lock is around.
pub(super) struct Line {
    pub(super) discipline: LineDiscipline,
    pub(super) size: WindowSize,
    /// What a writer fills; whoever writes has it, so that writes do not mix.
    buffer: Option<Box<[u8]>>,
    /// Somebody wants the buffer.
    is_awaited: bool,
    /// Input that the discipline did not take yet.
    waiting: VecDeque<u8>,
    /// The other side was told to wait.
    is_throttled: bool,
}

impl Tty {
    /// A terminal called `name` in `/dev`. `super::registry::add` makes it known.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(
        name: &str,
        number: u64,
        sort: Sort,
        driver: Box<dyn Driver>,
        termios: Termios,
    ) -> Result<Arc<Self>> {
        let mut buffer = alloc::vec::Vec::new();
        buffer.try_reserve_exact(WRITE_BUFFER).map_err(|_| Errno::ENOMEM)?;
        buffer.resize(WRITE_BUFFER, 0);
        let line = Line {
            discipline: LineDiscipline::try_new(termios)?,
            size: WindowSize::default(),
            buffer: Some(buffer.into_boxed_slice()),
            is_awaited: false,
            waiting: VecDeque::new(),
            is_throttled: false,
        };
        Ok(Arc::new(Tty {
            name: Text::from_bytes(name.as_bytes()),
            number,
            sort,
            driver,
            line: Mutex::new(line),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            has_room: WaitQueue::new(),
            job: Job::new(),
            opens: AtomicU32::new(0),
            hang_ups: AtomicU64::new(0),
            is_exclusive: AtomicBool::new(false),
            first: termios,
        }))
    }

    /// Takes input: what was typed or came over the line. From a thread, without a spin lock. Returns how many bytes
    /// were taken; who wants to lose none waits in [`Tty::wait_for_room`] and offers the rest again.
    pub(crate) fn receive(&self, bytes: &[u8]) -> usize {
        self.feed(bytes, 0)
    }

    /// The same for all bytes, however long nobody reads.
    pub(crate) fn receive_all(&self, mut bytes: &[u8]) {
        loop {
            let taken = self.receive(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            self.throttle();
            let _ = self.wait_for_room(Wait::UNINTERRUPTIBLE);
        }
    }

    /// Takes a byte that came damaged, or a break.
    pub(crate) fn receive_damaged(&self, byte: u8, damage: Damage) {
        let signal = self.with_line(|line, out| line.discipline.input_damaged(byte, damage, out));
        self.signal_foreground(signal);
        self.readable.wake_all();
    }

    /// Waits until [`Tty::receive`] takes something.
    ///
    /// # Errors
    /// Those of the wait.
    pub(crate) fn wait_for_room(&self, wait: Wait) -> Result<()> {
        self.has_room.block_until(wait, || {
            if self.line.lock().discipline.has_room() { Ok(()) } else { Err(Errno::EAGAIN) }
        })
    }

    /// Waits until input is taken again, and tries.
    pub(super) fn block_for_room<R>(&self, wait: Wait, attempt: impl FnMut() -> Result<R>) -> Result<R> {
        self.has_room.block_until(wait, attempt)
    }

    /// Where one waits for that.
    pub(super) fn room_queue(&self) -> &WaitQueue {
        &self.has_room
    }

    /// Whether [`Tty::feed`] takes anything, with so many `spare` bytes.
    pub(super) fn has_room_for(&self, spare: usize) -> bool {
        let line = self.line.lock();
        line.waiting.len() < spare || line.discipline.has_room()
    }

    /// Forgets input that waits for the discipline.
    pub(super) fn forget_waiting(&self) {
        let old = core::mem::take(&mut self.line.lock().waiting);
        drop(old);
        self.has_room.wake_all();
    }

    /// Input as from [`Tty::receive`]; up to `spare` bytes that the discipline does not take wait for it.
    pub(super) fn feed(&self, bytes: &[u8], spare: usize) -> usize {
        let mut taken = 0;
        loop {
            let (signal, has_news) = self.with_line(|line, out| {
                let (count, signal) = line.take(bytes.get(taken..).unwrap_or_default(), spare, out);
                taken += count;
                (signal, line.has_news())
            });
            self.signal_foreground(signal);
            if has_news {
                self.readable.wake_all();
            }
            if signal.is_none() {
                return taken;
            }
        }
    }

    /// Works on the line with the way out, and does what follows when the lock is free.
    fn with_line<R>(&self, work: impl FnOnce(&mut Line, &mut Sending<'_>) -> R) -> R {
        let mut line = self.line.lock();
        let was_stopped = line.discipline.is_stopped();
        let mut out = Sending::new(&*self.driver);
        let result = work(&mut line, &mut out);
        let sent = out.finish();
        let is_stopped = line.discipline.is_stopped();
        drop(line);
        if sent.has_discarded {
            self.driver.tell(Change::OutputFlushed);
            self.driver.tell(Change::InputFlushed);
            self.has_room.wake_all();
        }
        if was_stopped != is_stopped {
            self.driver.tell(if is_stopped { Change::Stopped } else { Change::Started });
        }
        if sent.has_put || was_stopped != is_stopped {
            self.driver.kick();
        }
        if was_stopped && !is_stopped || sent.has_discarded {
            self.writable.wake_all();
        }
        result
    }

    fn signal_foreground(&self, signal: Option<Signal>) {
        if let Some(signal) = signal {
            job::signal_group(self.job.foreground(), SignalInfo::kernel(signal));
        }
    }

    /// There is room in the driver again: shows echoes that waited for it, and lets writers go on.
    pub(crate) fn drained(&self) {
        self.with_line(|line, out| line.discipline.drained(out));
        self.writable.wake_all();
    }

    /// Changes the window's size; the foreground group hears of it (SIGWINCH).
    pub(crate) fn resize(&self, size: WindowSize) {
        let old = core::mem::replace(&mut self.line.lock().size, size);
        if old != size {
            job::signal_group(self.job.foreground(), SignalInfo::kernel(Signal::WINCH));
        }
    }

    /// The window's size.
    pub(crate) fn size(&self) -> WindowSize {
        self.line.lock().size
    }

    /// The settings.
    pub(crate) fn termios(&self) -> Termios {
        *self.line.lock().discipline.termios()
    }

    /// Changes the settings.
    pub(crate) fn set_termios(&self, mut wanted: Termios) {
        self.driver.settle(&mut wanted);
        let old = self.with_line(|line, out| {
            let old = *line.discipline.termios();
            line.discipline.set_termios(wanted, out);
            old
        });
        self.driver.set(&old, &wanted);
        self.readable.wake_all();
    }

    /// Ends all use of the files that are open now: reads find the end, everything else fails (vhangup(2)). Its
    /// session's leader is told, and has no terminal any more.
    pub(crate) fn hang_up(&self) {
        self.cut_off();
        let session = self.job.session();
        if let Some(foreground) = self.job.release(session) {
            job::note_left(session, foreground);
        }
        job::signal_leader(session);
    }

    /// The same because the leader has ended: the foreground group is told.
    pub(super) fn hang_up_after_leader(&self, session: Pid) {
        self.cut_off();
        if let Some(foreground) = self.job.release(session) {
            job::signal_group(foreground, SignalInfo::kernel(Signal::HUP));
        }
    }

    /// Makes the open files dead.
    fn cut_off(&self) {
        self.hang_ups.fetch_add(1, Ordering::AcqRel);
        self.is_exclusive.store(false, Ordering::Relaxed);
        self.flush_input();
        self.flush_output();
        if self.sort == Sort::Pty {
            self.set_termios(self.first);
        }
        self.wake_everybody();
    }

    pub(super) fn wake_everybody(&self) {
        self.readable.wake_all();
        self.writable.wake_all();
        self.has_room.wake_all();
        if let Some(sent) = self.driver.sent() {
            sent.wake_all();
        }
    }

    /// Forgets what was typed and not read (TCIFLUSH).
    pub(super) fn flush_input(&self) {
        self.line.lock().discipline.flush_input();
        self.driver.tell(Change::InputFlushed);
        self.unthrottle();
        self.has_room.wake_all();
    }

    /// Forgets what was written and not sent (TCOFLUSH).
    pub(super) fn flush_output(&self) {
        let line = self.line.lock();
        self.driver.discard();
        drop(line);
        self.driver.tell(Change::OutputFlushed);
        self.writable.wake_all();
    }

    /// Sends one byte past everything that holds the output: a key of flow control for the other side.
    pub(super) fn send_key(&self, byte: u8) {
        let line = self.line.lock();
        let has_room = self.driver.room() > 0;
        if has_room {
            self.driver.put(&[byte]);
        }
        drop(line);
        self.driver.kick();
    }

    /// How often it was hung up by now.
    pub(super) fn hang_ups(&self) -> u64 {
        self.hang_ups.load(Ordering::Acquire)
    }

    /// One more file of it is open.
    pub(super) fn count_open(&self) {
        if self.opens.fetch_add(1, Ordering::AcqRel) == 0 {
            self.driver.tell(Change::Opened);
        }
    }

    /// One less. After the last one a line is nobody's terminal; a pty stays its session's, as on Linux.
    pub(super) fn count_close(&self) {
        if self.opens.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        if self.sort == Sort::Line {
            self.job.release(self.job.session());
            self.is_exclusive.store(false, Ordering::Relaxed);
        }
        self.driver.tell(Change::Closed);
    }

    /// Tells the other side to wait, if it can be told.
    fn throttle(&self) {
        let was = core::mem::replace(&mut self.line.lock().is_throttled, true);
        if !was {
            self.driver.tell(Change::InputFull);
        }
    }

    fn unthrottle(&self) {
        let was = core::mem::take(&mut self.line.lock().is_throttled);
        if was {
            self.driver.tell(Change::InputRoom);
        }
    }

    /// Something was read: what waited comes in, and who feeds may go on.
    pub(super) fn made_room(&self) {
        let (has_waiting, is_throttled) = {
            let line = self.line.lock();
            (!line.waiting.is_empty(), line.is_throttled && line.discipline.has_room())
        };
        if has_waiting {
            self.feed(&[], 0);
        }
        if is_throttled {
            self.unthrottle();
        }
        self.has_room.wake_all();
    }

    /// What a read waits for.
    pub(super) fn read_rule(&self) -> ReadRule {
        self.line.lock().discipline.read_rule()
    }

    /// Waits for a change that lets output go on, and tries.
    pub(super) fn block_for_output<R>(&self, wait: Wait, attempt: impl FnMut() -> Result<R>) -> Result<R> {
        let queues = |visit: &mut dyn FnMut(&WaitQueue)| {
            visit(&self.writable);
            if let Some(sent) = self.driver.sent() {
                visit(sent);
            }
        };
        block_until_any(wait, queues, attempt)
    }

    /// Takes what a writer fills: one write at a time. [`Tty::end_write`] gives it back.
    ///
    /// # Errors
    /// EAGAIN while somebody else writes.
    pub(super) fn begin_write(&self) -> Result<Box<[u8]>> {
        let mut line = self.line.lock();
        let buffer = line.buffer.take();
        if buffer.is_none() {
            line.is_awaited = true;
        }
        buffer.ok_or(Errno::EAGAIN)
    }

    pub(super) fn end_write(&self, buffer: Box<[u8]>) {
        let mut line = self.line.lock();
        line.buffer = Some(buffer);
        let is_awaited = core::mem::take(&mut line.is_awaited);
        drop(line);
        if is_awaited {
            self.writable.wake_all();
        }
    }

    /// Sends some of these bytes, at least one.
    ///
    /// # Errors
    /// EAGAIN while output is stopped or the driver is full.
    pub(super) fn send(&self, bytes: &[u8]) -> Result<usize> {
        let count = self.with_line(|line, out| line.discipline.output(bytes, out));
        if count == 0 { Err(Errno::EAGAIN) } else { Ok(count) }
    }

    /// Whether a write would be taken: nobody writes, nothing holds the output, and there is room.
    pub(super) fn is_writable(&self) -> bool {
        let line = self.line.lock();
        line.buffer.is_some() && !line.discipline.is_stopped() && self.driver.room() > 0
    }

    /// Stops or starts the output (TCOOFF, TCOON), or flushes, and what follows from it.
    pub(super) fn change(&self, change: impl FnOnce(&mut LineDiscipline, &mut Sending<'_>)) {
        self.with_line(|line, out| change(&mut line.discipline, out));
    }
}

impl Line {
    /// Whether who waits for input may want to look: raw reads count bytes themselves.
    fn has_news(&self) -> bool {
        self.discipline.is_readable() || self.discipline.readable() > 0
    }

    /// Gives the discipline what waits, and then `bytes`; keeps up to `spare` bytes of what it does not take. Stops at a
    /// signal. Returns how many of `bytes` were taken.
    fn take(&mut self, bytes: &[u8], spare: usize, out: &mut Sending<'_>) -> (usize, Option<Signal>) {
        while !self.waiting.is_empty() {
            let (first, _) = self.waiting.as_slices();
            let (count, signal) = self.discipline.input_all(first, out);
            self.waiting.drain(..count);
            if signal.is_some() {
                return (0, signal);
            }
            if count == 0 {
                break;
            }
        }
        let mut taken = 0;
        if self.waiting.is_empty() {
            let (count, signal) = self.discipline.input_all(bytes, out);
            taken = count;
            if signal.is_some() {
                return (taken, signal);
            }
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        let kept = rest.len().min(spare.saturating_sub(self.waiting.len()));
        if kept > 0 && self.waiting.try_reserve(kept).is_ok() {
            self.waiting.extend(rest.iter().take(kept));
            taken += kept;
        }
        (taken, None)
    }
}
