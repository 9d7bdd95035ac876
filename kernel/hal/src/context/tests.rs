//! Context switches that really happen, between stacks of one host thread.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::simulation;

/// Who the new context goes back to.
static BACK: Mutex<Option<Arc<Context>>> = Mutex::new(None);
static STEPS: AtomicUsize = AtomicUsize::new(0);
static SEEN: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn back() -> Arc<Context> {
    BACK.lock().unwrap().take().expect("somebody waits")
}

/// Takes the stack pointer before the compiler moves it, and goes on in `note`.
#[unsafe(naked)]
extern "C" fn entry(argument: usize) -> ! {
    core::arch::naked_asm!("mov rsi, rsp", "jmp {}", sym note)
}

extern "C" fn note(argument: usize, stack_pointer: usize) -> ! {
    finish_switch();
    SEEN[0].store(argument, Ordering::Relaxed);
    SEEN[1].store(stack_pointer, Ordering::Relaxed);
    loop {
        STEPS.fetch_add(1, Ordering::Relaxed);
        switch(back());
    }
}

fn go(from: &Arc<Context>, to: &Arc<Context>) {
    *BACK.lock().unwrap() = Some(from.clone());
    cpu::without_interrupts(|| switch(to.clone()));
}

#[test]
fn a_context_starts_at_its_entry_and_goes_on_where_it_was_left() {
    let machine = simulation::machine();
    // The first stack also makes tables, which stay.
    drop(Context::new(Kind::Kernel, entry, 0).unwrap());
    crate::vmap::trim();
    let before = machine.free_frames();
    let here = adopt();
    let other = Arc::new(Context::new(Kind::User, entry, 4711).unwrap());
    STEPS.store(0, Ordering::Relaxed);
    for step in 1..=1000 {
        go(&here, &other);
        assert_eq!(STEPS.load(Ordering::Relaxed), step);
    }
    assert_eq!(SEEN[0].load(Ordering::Relaxed), 4711);
    assert_eq!(SEEN[1].load(Ordering::Relaxed) % 16, 8, "as after a call from an aligned stack");
    assert_eq!(Arc::strong_count(&other), 1, "the CPU let go of what it left");
    drop(other);
    crate::vmap::trim();
    assert_eq!(machine.free_frames(), before, "the stack went with the context");
}

#[test]
fn a_context_moves_to_another_cpu() {
    let machine = simulation::machine();
    let other = Arc::new(Context::new(Kind::Kernel, entry, 1).unwrap());
    STEPS.store(0, Ordering::Relaxed);
    for number in 0..4 {
        // One CPU after the other, each a thread of its own.
        machine.run(1, |_| {
            let here = adopt();
            go(&here, &other);
        });
        assert_eq!(STEPS.load(Ordering::Relaxed), number + 1);
    }
    drop(other);
    crate::vmap::trim();
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a switch to the running context")]
fn a_context_does_not_switch_to_itself() {
    let _machine = simulation::machine();
    let here = adopt();
    cpu::without_interrupts(|| switch(here));
}

#[test]
fn a_space_is_freed_when_the_context_leaves_it() {
    let machine = simulation::machine();
    adopt();
    let before = machine.free_frames();
    cpu::without_interrupts(|| enter_space(Some(Arc::new(AddressSpace::new().unwrap()))));
    assert_eq!(machine.free_frames(), before - 1);
    cpu::without_interrupts(|| enter_space(None));
    assert_eq!(machine.free_frames(), before);
}

#[test]
#[should_panic(expected = "without a context")]
fn a_space_needs_a_context_that_keeps_it() {
    let _machine = simulation::machine();
    // No other test is this CPU, so none gave it a context.
    let _cpu = simulation::occupy(15);
    let space = Arc::new(AddressSpace::new().unwrap());
    enter_space(Some(space));
}
