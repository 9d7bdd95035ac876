//! Measurements the kernel makes of itself: `bench.switch` on the command line prints what a context switch between two
//! kernel threads costs, on one CPU and across two. Under QEMU's `-icount` a nanosecond is an instruction.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use hal::context::Kind;
use hal::{console, smp, time};
use logic::cpuset::{CpuId, CpuSet};
use logic::runq::Policy;
use nucleus::error;
use nucleus::sched::{self, Thread, Wait, WaitQueue};

const ROUNDS: u32 = 2000;

/// Two threads that take turns.
struct Game {
    turn: AtomicU32,
    changed: [WaitQueue; 2],
    finished: WaitQueue,
    done: AtomicU32,
}

/// Prints the rows.
pub(crate) fn context_switches() {
    let rows = [("switch-same-cpu", [0, 0]), ("switch-two-cpus", [0, 1])];
    for (name, cpus) in rows {
        if smp::online() <= cpus[1] {
            continue;
        }
        match measure(cpus) {
            Ok(cost) => console::print(format_args!("bench: {name} instructions {cost}\n")),
            Err(error) => error!("bench: {name}: {error}"),
        }
    }
}

fn measure(cpus: [usize; 2]) -> Result<u64> {
    let game = Arc::new(Game {
        turn: AtomicU32::new(0),
        changed: [WaitQueue::new(), WaitQueue::new()],
        finished: WaitQueue::new(),
        done: AtomicU32::new(0),
    });
    let mut players = [const { None }; 2];
    for (side, slot) in players.iter_mut().enumerate() {
        let game = game.clone();
        let thread = Thread::new("player", Kind::Kernel, Policy::default(), move || play(&game, side))?;
        let only = CpuId::from_index(cpus[side]).ok_or(Errno::EINVAL)?;
        thread.set_affinity(CpuSet::single(only))?;
        *slot = Some(thread);
    }
    let start = time::now_ns();
    players.iter().flatten().for_each(sched::start);
    game.finished.block_until(Wait::UNINTERRUPTIBLE, || {
        if game.done.load(Ordering::Acquire) == 2 { Ok(()) } else { Err(Errno::EAGAIN) }
    })?;
    // A round is one switch there and one back.
    Ok((time::now_ns() - start) / u64::from(ROUNDS) / 2)
}

fn play(game: &Game, side: usize) {
    let mine = u32::from(side == 1);
    for _ in 0..ROUNDS {
        let waited = game.changed[side].block_until(Wait::UNINTERRUPTIBLE, || {
            if game.turn.load(Ordering::Acquire) == mine { Ok(()) } else { Err(Errno::EAGAIN) }
        });
        if let Err(error) = waited {
            return error!("bench: {error}");
        }
        game.turn.store(1 - mine, Ordering::Release);
        game.changed[1 - side].wake_one();
    }
    game.done.fetch_add(1, Ordering::AcqRel);
    game.finished.wake_all();
}
