//! The smallest program: how large is it, and how many system calls does it make? See scripts/build-userland.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

nrlib::program!(run);

fn run() -> i32 {
    match nrlib::println!("hello, world") {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
