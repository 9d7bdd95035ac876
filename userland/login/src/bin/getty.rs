//! getty: prepares a terminal and asks who is there.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

nrlib::program!(login::getty::main);
