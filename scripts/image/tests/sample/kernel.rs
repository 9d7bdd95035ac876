//! A kernel in miniature: what `tests/pack.rs` packs and looks functions up in. It never runs.

#![no_std]
#![no_main]

core::arch::global_asm!(
    ".section .text.boot,\"ax\",@progbits",
    ".globl start64",
    "start64: call entry",
    "jmp start64"
);

#[unsafe(link_section = ".note.sample")]
#[used]
static NOTE: [u32; 5] = [4, 4, 18, 0x006e_6558, 0x0020_0000];

#[used]
static FILLER: [u8; 40_000] = [0x5a; 40_000];

#[used]
static mut ZEROES: [u8; 9_000] = [0; 9_000];

pub mod deep {
    pub mod inside {
        #[inline(never)]
        pub fn divide(value: u64, by: u64) -> u64 {
            value.checked_div(by).expect("divided by zero")
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn entry(value: u64) -> u64 {
    deep::inside::divide(value, 7) + deep::inside::divide(7, value)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
