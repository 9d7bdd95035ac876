//! The Nacre kernel.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

use hal::boot::BootInfo;
use hal::console;

#[global_allocator]
static HEAP: hal::heap::Heap = hal::heap::Heap;

hal::kernel_main!(start);

fn start(info: &'static BootInfo) -> ! {
    console::print(format_args!("Nacre, started by {}\n", info.protocol));
    if let Err(error) = hal::boot::init_memory(info) {
        panic!("memory: {error}");
    }
    console::print(format_args!("{:?}\n", hal::frames::stats()));
    if let Err(error) = hal::boot::init_machine() {
        panic!("machine: {error}");
    }
    console::print(format_args!("{}\n{}\n", hal::cpu::summary(), hal::time::summary()));
    hal::power::off();
    hal::cpu::halt_forever()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    console::print_unlocked(format_args!("{info}\n"));
    hal::power::exit_emulator(hal::power::EmulatorExit::Panic);
    hal::cpu::halt_forever()
}
