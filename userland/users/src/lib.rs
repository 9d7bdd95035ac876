//! The programs that tell who is there. Modules, one program each: [`id`], [`who`].

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod id;
pub mod who;
