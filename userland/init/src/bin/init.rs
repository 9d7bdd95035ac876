//! init: process 1.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

nrlib::program!(init::main);
