//! A POSIX message queue (mq_overview(7)): the highest priority first, the oldest of it.

use alloc::vec::Vec;

use abi::{Errno, Result};

/// Priorities are below (`MQ_PRIO_MAX`).
pub const PRIORITIES: u32 = 32_768;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its priority.
    pub priority: u32,
    /// What it says.
    pub text: Vec<u8>,
}

/// How much a queue takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Messages.
    pub messages: usize,
    /// Bytes of each.
    pub bytes: usize,
}

impl Size {
    /// What a queue counts against its user's limit (RLIMIT_MSGQUEUE): room for messages and for finding them, as on
    /// Linux.
    pub fn cost(&self) -> u64 {
        /// Linux's `struct msg_msg`, and a node of its tree of priorities.
        const PER_MESSAGE: u64 = 48;
        const PER_PRIORITY: u64 = 48;
        let messages = self.messages as u64;
        let nodes = messages.min(u64::from(PRIORITIES)).saturating_mul(PER_PRIORITY);
        let heads = messages.saturating_mul(PER_MESSAGE);
        messages.saturating_mul(self.bytes as u64).saturating_add(heads).saturating_add(nodes)
    }
}

/// Messages that nobody has received, the next last.
#[derive(Debug)]
pub struct Queue {
    size: Size,
    messages: Vec<Message>,
    bytes: usize,
}

impl Queue {
    /// Empty; room for all its messages is made now.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(size: Size) -> Result<Self> {
        let mut messages = Vec::new();
        messages.try_reserve_exact(size.messages).map_err(|_| Errno::ENOMEM)?;
        Ok(Queue { size, messages, bytes: 0 })
    }

    /// How much it takes.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether it takes no more.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= self.size.messages
    }

    /// Bytes of all messages.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a message behind those of its priority.
    ///
    /// # Errors
    /// EAGAIN if it is full; the message is left.
    pub fn send(&mut self, message: &mut Message) -> Result<()> {
        if self.is_full() {
            return Err(Errno::EAGAIN);
        }
        let place = self.messages.partition_point(|other| other.priority < message.priority);
        self.bytes += message.text.len();
        let text = core::mem::take(&mut message.text);
        self.messages.insert(place, Message { priority: message.priority, text });
        Ok(())
    }

    /// Takes the next.
    ///
    /// # Errors
    /// EAGAIN if there is none.
    pub fn receive(&mut self) -> Result<Message> {
        let message = self.messages.pop().ok_or(Errno::EAGAIN)?;
        self.bytes -= message.text.len();
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn highest_first_and_oldest_of_it(steps in prop::collection::vec(prop::option::of(0..4u32), 0..100)) {
            let mut queue = Queue::new(Size { messages: 6, bytes: 8 }).unwrap();
            let mut model: Vec<(u32, u8)> = Vec::new();
            for (number, step) in (0_u8..).zip(steps) {
                match step {
                    Some(priority) => {
                        let mut message = Message { priority, text: alloc::vec![number; 2] };
                        let sent = queue.send(&mut message);
                        prop_assert_eq!(sent.is_ok(), model.len() < 6);
                        if sent.is_ok() {
                            model.push((priority, number));
                        }
                    }
                    None => {
                        let next = (0..model.len()).rev().max_by_key(|&place| model[place].0);
                        let expected = next.map(|place| model.remove(place)).ok_or(Errno::EAGAIN);
                        let got = queue.receive().map(|message| (message.priority, message.text[0]));
                        prop_assert_eq!(got, expected);
                    }
                }
                prop_assert_eq!((queue.len(), queue.bytes()), (model.len(), 2 * model.len()));
            }
        }
    }

    #[test]
    fn the_cost_of_the_default_queue_is_linuxs() {
        // 10 messages of 8192 bytes: 81,920, and 96 for each.
        assert_eq!(Size { messages: 10, bytes: 8192 }.cost(), 81_920 + 960);
        assert_eq!(Size { messages: usize::MAX, bytes: usize::MAX }.cost(), u64::MAX);
    }
}
