//! Tests of the run queue: rules one by one, a naive model, and simulated workloads.

mod model;
mod rules;
mod simulation;

use super::*;
use crate::cpuset::CpuId;

/// A queue with room for `threads` threads.
fn queue<T>(threads: usize) -> RunQueue<T> {
    let mut queue = RunQueue::new(CpuId::BOOT);
    queue.try_reserve(threads).unwrap();
    queue
}

fn fair(nice: i32) -> Policy {
    Policy::Fair(Nice::clamped(nice))
}

fn fifo(priority: u8) -> Policy {
    Policy::Fifo(Priority::new(priority).unwrap())
}

fn round_robin(priority: u8) -> Policy {
    Policy::RoundRobin(Priority::new(priority).unwrap())
}
