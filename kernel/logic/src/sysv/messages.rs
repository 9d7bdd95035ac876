//! Queues of messages: which one msgrcv(2) takes.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::{Errno, Result};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type, above 0.
    pub kind: i64,
    /// What it says.
    pub text: Vec<u8>,
}

/// Which message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The first.
    First,
    /// The first of a type.
    Kind(i64),
    /// The first of another type (`MSG_EXCEPT`).
    Except(i64),
    /// The first of the lowest type, if that is no higher.
    UpTo(i64),
}

impl Wanted {
    /// What the arguments of msgrcv(2) mean.
    pub fn of(kind: i64, is_except: bool) -> Self {
        match kind {
            0 => Wanted::First,
            kind if kind < 0 => Wanted::UpTo(kind.checked_neg().unwrap_or(i64::MAX)),
            kind if is_except => Wanted::Except(kind),
            kind => Wanted::Kind(kind),
        }
    }
}

/// Messages that nobody has taken.
#[derive(Debug, Default)]
pub struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Queue {
    /// None.
    pub const fn new() -> Self {
        Queue { messages: VecDeque::new(), bytes: 0 }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes they say.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a message at the end, if the queue has room for `limit` bytes and as many messages.
    ///
    /// # Errors
    /// EAGAIN if not, with the message; ENOMEM.
    pub fn add(&mut self, message: Message, limit: usize) -> core::result::Result<(), (Errno, Message)> {
        let is_full = self.bytes + message.text.len() > limit || self.messages.len() + 1 > limit;
        if is_full {
            return Err((Errno::EAGAIN, message));
        }
        if self.messages.try_reserve(1).is_err() {
            return Err((Errno::ENOMEM, message));
        }
        self.bytes += message.text.len();
        self.messages.push_back(message);
        Ok(())
    }

    fn find(&self, wanted: Wanted) -> Option<usize> {
        let mut kinds = self.messages.iter().map(|message| message.kind);
        match wanted {
            Wanted::First => (!self.messages.is_empty()).then_some(0),
            Wanted::Kind(kind) => kinds.position(|own| own == kind),
            Wanted::Except(kind) => kinds.position(|own| own != kind),
            Wanted::UpTo(most) => {
                let all = kinds.enumerate().filter(|&(_, own)| own <= most);
                all.min_by_key(|&(place, own)| (own, place)).map(|(place, _)| place)
            }
        }
    }

    /// Takes the message that is wanted, unless it says more than `room` bytes and `cuts` is not.
    ///
    /// # Errors
    /// EAGAIN if there is none, E2BIG.
    pub fn take(&mut self, wanted: Wanted, room: usize, cuts: bool) -> Result<Message> {
        let place = self.find(wanted).ok_or(Errno::EAGAIN)?;
        if self.messages.get(place).is_some_and(|message| message.text.len() > room) && !cuts {
            return Err(Errno::E2BIG);
        }
        let message = self.messages.remove(place).ok_or(Errno::EAGAIN)?;
        self.bytes -= message.text.len();
        Ok(message)
    }

    /// The message in a place (`MSG_COPY`).
    pub fn at(&self, place: usize) -> Option<&Message> {
        self.messages.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(kinds: &[i64]) -> Queue {
        let mut queue = Queue::new();
        for &kind in kinds {
            queue.add(Message { kind, text: [1, 2].to_vec() }, 1000).unwrap();
        }
        queue
    }

    #[test]
    fn messages_by_type() {
        let taken = |queue: &mut Queue, kind, except| {
            queue.take(Wanted::of(kind, except), 10, false).map(|message| message.kind)
        };
        let mut queue = queue(&[5, 3, 7, 3, 9]);
        assert_eq!(taken(&mut queue, -4, false), Ok(3));
        assert_eq!(taken(&mut queue, 7, false), Ok(7));
        assert_eq!(taken(&mut queue, 5, true), Ok(3));
        assert_eq!(taken(&mut queue, -2, false), Err(Errno::EAGAIN));
        assert_eq!(taken(&mut queue, i64::MIN, false), Ok(5));
        assert_eq!(taken(&mut queue, 0, false), Ok(9));
        assert_eq!((taken(&mut queue, 0, false), queue.bytes()), (Err(Errno::EAGAIN), 0));
    }

    #[test]
    fn limits_are_of_bytes_and_of_messages() {
        let mut queue = queue(&[1, 2]);
        let message = |len: usize| Message { kind: 1, text: alloc::vec![0; len] };
        assert!(queue.add(message(3), 6).is_err() && queue.add(message(2), 6).is_ok());
        assert!(queue.add(message(0), 3).is_err(), "empty ones count too");
        assert_eq!(queue.take(Wanted::First, 1, false), Err(Errno::E2BIG));
        assert_eq!(queue.take(Wanted::First, 1, true).unwrap().text.len(), 2);
        assert_eq!((queue.len(), queue.bytes(), queue.at(1).unwrap().kind), (2, 4, 1));
        assert!(queue.at(2).is_none());
    }
}
