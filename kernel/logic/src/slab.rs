//! The kernel heap's small end: objects of thirteen sizes cut from slabs of one to four frames.
//!
//! `hal`'s allocator owns a [`SlabClass`] for each size under a spin lock and a [`MagazinePair`] for each
//! size and CPU without one; it turns frame numbers into addresses and gets slabs from the buddy allocator.
//! Bonwick, "The Slab Allocator" (1994), and Bonwick and Adams, "Magazines and Vmem" (2001), section 3.
//!
//! In dependency order:
//! - [`size_class`]: which sizes there are and how their slabs are laid out.
//! - [`header`]: the record at the start of each slab.
//! - [`class`]: the slabs of one size.
//! - [`magazine`]: per-CPU stacks of objects.

pub mod size_class;

pub mod header;

pub mod class;

pub mod magazine;

pub use class::{Freed, Headers, NeedSlab, Object, SlabClass};
pub use header::{ObjectIndex, Occupancy, SlabError, SlabHeader};
pub use magazine::{MAGAZINE_CAPACITY, Magazine, MagazinePair};
pub use size_class::{CLASS_COUNT, ClassIndex, LARGEST_OBJECT, Layout, class_for};
