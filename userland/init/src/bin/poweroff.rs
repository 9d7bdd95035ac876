//! poweroff, reboot, halt: asks process 1 to end the system.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

nrlib::program!(init::poweroff::main);
