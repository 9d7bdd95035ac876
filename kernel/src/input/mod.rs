//! Event devices: `/dev/input/event0` for the keyboard, `event1` and `mice` for the mouse,
//! `event2` for the power button (input(4) of Linux).
//!
//! Each open file has a ring of its own; who reads too slowly loses the oldest. Lock: `Stream` (sleeping) around one
//! reader's ring; `Table` around the list of readers, out of which they are cloned.

mod mouse;
mod button;

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use abi::file::{POLLIN, POLLRDNORM, device_number, device_parts};
use abi::input::{
    BUS_I8042, EV_KEY, EV_REL, EV_REP, EV_SYN, EV_VERSION, EVIOC_BITS, EVIOC_NAME, EVIOCGID, EVIOCGRAB,
    EVIOCGVERSION, INPUT_EVENT_SIZE,
};
use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hal::usermem::{write, write_bytes};
use logic::keymap::{Code, Motion, key};
use nucleus::clock;
use nucleus::sched::{Mutex, WaitQueue};
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, Events, File, FileKind, Transfer};

pub(crate) use button::start as start_button;
pub(crate) use mouse::start as start_mouse;

/// Linux's major number of input devices.
const MAJOR: u32 = 13;
/// Minor numbers of `mice`, and of the first event device.
const MICE: u32 = 63;
const FIRST_EVENT: u32 = 64;
/// Bytes a reader may be behind.
const MOST_WAITING: usize = 256 * INPUT_EVENT_SIZE;

/// A device that events come from.
struct Source {
    name: &'static str,
    minor: u32,
    /// The kinds of events it sends, as bits.
    kinds: u32,
    /// Bytes of what belongs together: readers get it whole.
    piece: usize,
    readers: Lock<Vec<Weak<Reader>>, rank::Table>,
}

static KEYBOARD: Source = Source::new(
    "AT Translated Set 2 keyboard",
    FIRST_EVENT,
    1 << EV_SYN | 1 << EV_KEY | 1 << EV_REP,
    INPUT_EVENT_SIZE,
);
static MOUSE: Source = Source::new(
    "PS/2 Generic Mouse",
    FIRST_EVENT + 1,
    1 << EV_SYN | 1 << EV_KEY | 1 << EV_REL,
    INPUT_EVENT_SIZE,
);
static POWER_BUTTON: Source =
    Source::new("Power Button", FIRST_EVENT + 2, 1 << EV_SYN | 1 << EV_KEY, INPUT_EVENT_SIZE);
static ALL_MICE: Source = Source::new("mice", MICE, 0, 1);

/// An open file.
struct Reader {
    source: &'static Source,
    waiting: Mutex<VecDeque<u8>, rank::Stream>,
    readable: WaitQueue,
}

/// Nodes of keyboard and mouse.
pub(crate) const KEYBOARD_AND_MOUSE: [(&str, u32); 3] =
    [("input/event0", FIRST_EVENT), ("input/event1", FIRST_EVENT + 1), ("input/mice", MICE)];

/// Makes nodes of devices known, by name and minor number.
///
/// # Errors
/// ENOMEM.
pub(crate) fn register(nodes: &[(&'static str, u32)]) -> Result<()> {
    let opener: Arc<dyn Device> = Arc::new(Opener);
    for &(name, minor) in nodes {
        let (kind, number) = (FileKind::CharDevice, device_number(MAJOR, minor));
        device::register(Registered { kind, number, name, permissions: 0o660, device: opener.clone() })?;
    }
    Ok(())
}

/// A key moved.
pub(crate) fn key_moved(code: Code, motion: Motion) {
    KEYBOARD.report(&[(EV_KEY, u16::from(code.0), i32::from(motion == Motion::Pressed))]);
}

struct Opener;

impl Device for Opener {
    fn open(&self, number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        let minor = device_parts(number).1;
        let source = [&KEYBOARD, &MOUSE, &POWER_BUTTON, &ALL_MICE]
            .into_iter()
            .find(|source| source.minor == minor)
            .ok_or(Errno::ENXIO)?;
        let reader =
            Arc::new(Reader { source, waiting: Mutex::new(VecDeque::new()), readable: WaitQueue::new() });
        source.add(&reader)?;
        Ok(reader)
    }
}

impl Source {
    const fn new(name: &'static str, minor: u32, kinds: u32, piece: usize) -> Self {
        Source { name, minor, kinds, piece, readers: Lock::new(Vec::new()) }
    }

    fn add(&self, reader: &Arc<Reader>) -> Result<()> {
        let mut larger: Vec<Weak<Reader>> = Vec::new();
        loop {
            let mut readers = self.readers.lock();
            if let Some(place) = readers.iter_mut().find(|place| place.strong_count() == 0) {
                let gone = core::mem::replace(place, Arc::downgrade(reader));
                drop(readers);
                drop(gone);
                return Ok(());
            }
            if readers.len() < readers.capacity() {
                readers.push(Arc::downgrade(reader));
                return Ok(());
            }
            if larger.capacity() > readers.len() {
                larger.append(&mut readers);
                core::mem::swap(&mut *readers, &mut larger);
                continue;
            }
            let wanted = (readers.len() * 2).max(4);
            drop(readers);
            larger = Vec::new();
            larger.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
        }
    }

    /// Tells all readers what happened at one time: kind, code and value of each event.
    fn report(&self, events: &[(u16, u16, i32)]) {
        let (seconds, micros) =
            (clock::realtime_ns() / 1_000_000_000, clock::realtime_ns() / 1000 % 1_000_000);
        let mut bytes = [0; 8 * INPUT_EVENT_SIZE];
        let mut len = 0;
        for &(kind, code, value) in events.iter().chain(&[(EV_SYN, 0, 0)]) {
            let fields: [&[u8]; 5] = [
                &seconds.to_le_bytes(),
                &micros.to_le_bytes(),
                &kind.to_le_bytes(),
                &code.to_le_bytes(),
                &value.to_le_bytes(),
            ];
            for field in fields {
                if let Some(place) = bytes.get_mut(len..len + field.len()) {
                    place.copy_from_slice(field);
                    len += field.len();
                }
            }
        }
        self.tell(bytes.get(..len).unwrap_or_default());
    }

    fn tell(&self, bytes: &[u8]) {
        for index in 0.. {
            let reader = match self.readers.lock().get(index) {
                Some(reader) => reader.upgrade(),
                None => return,
            };
            if let Some(reader) = reader {
                reader.give(bytes);
            }
        }
    }
}

impl Reader {
    fn give(&self, bytes: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.len() + bytes.len() > MOST_WAITING {
            waiting.clear();
        }
        if waiting.try_reserve(bytes.len()).is_ok() {
            waiting.extend(bytes);
        }
        drop(waiting);
        self.readable.wake_all();
    }
}

impl File for Reader {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        let piece = self.source.piece;
        if to.room() < piece {
            return if to.room() == 0 { Ok(0) } else { Err(Errno::EINVAL) };
        }
        let mut buffer = [0; 16 * INPUT_EVENT_SIZE];
        let most = buffer.len().min(to.room()) / piece * piece;
        let count = self.readable.block_until(transfer.wait, || {
            let mut waiting = self.waiting.lock();
            let count = most.min(waiting.len());
            if count == 0 {
                return Err(Errno::EAGAIN);
            }
            buffer.iter_mut().zip(waiting.drain(..count)).for_each(|(place, byte)| *place = byte);
            Ok(count)
        })?;
        to.put(buffer.get(..count).unwrap_or_default())
    }

    fn ready(&self) -> Events {
        Events(if self.waiting.lock().is_empty() { 0 } else { POLLIN | POLLRDNORM })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.readable);
    }

    fn control(&self, request: u32, argument: u64) -> Result<u64> {
        let [number, kind, low, high] = request.to_le_bytes();
        let len = usize::from(u16::from_le_bytes([low, high & 0x3f]));
        match request {
            _ if self.source.minor == MICE || kind != b'E' => return Err(Errno::ENOTTY),
            EVIOCGVERSION => write(argument, &EV_VERSION)?,
            EVIOCGID => write(argument, &[BUS_I8042, 1, 1, 0xab41])?,
            // Nobody else is there to be kept from events but the console, which needs them.
            EVIOCGRAB => {}
            _ if number == EVIOC_NAME => {
                let mut name = [0; 64];
                let text = self.source.name.as_bytes();
                name.iter_mut().zip(text).for_each(|(place, &byte)| *place = byte);
                let count = len.min(text.len() + 1);
                write_bytes(argument, name.get(..count).unwrap_or_default())?;
                return Ok(count as u64);
            }
            _ if number >= EVIOC_BITS => {
                let bits = self.source.bits(number - EVIOC_BITS);
                let count = len.min(bits.len());
                write_bytes(argument, bits.get(..count).unwrap_or_default())?;
                return Ok(count as u64);
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Source {
    /// What it can send: kinds of events for 0, else codes of that kind.
    fn bits(&self, kind: u8) -> [u8; 96] {
        let mut bits = [0; 96];
        let mut set = |code: u16| {
            if let Some(byte) = bits.get_mut(usize::from(code / 8)) {
                *byte |= 1 << (code % 8);
            }
        };
        let has = |kind: u16| self.kinds & 1 << kind != 0;
        match u16::from(kind) {
            0 => (0..32).filter(|&kind| has(kind)).for_each(set),
            EV_KEY if has(EV_REP) => (1..=127).for_each(set),
            EV_KEY if has(EV_REL) => (0x110..0x113).for_each(set),
            EV_KEY if has(EV_KEY) => set(u16::from(key::POWER.0)),
            EV_REL if has(EV_REL) => (0..2).for_each(&mut set),
            _ => {}
        }
        bits
    }
}
