//! A program that panics, for the test of what becomes of it.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

nrlib::program!(run);

fn run() -> i32 {
    let count = nrlib::env::arguments().count();
    assert!(count > 100, "{count} arguments are too few");
    0
}
