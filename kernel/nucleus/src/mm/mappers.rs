//! Who maps a file: an upcall, for only processes know all address spaces.
//!
//! Asked rarely: when a file that is or was mapped gets shorter, or has been written through a mapping.

use hal::spin::Once;

use super::memory::Memory;

/// Calls a function with each address space, each once.
pub type ForEach = fn(&mut dyn FnMut(&Memory));

static FOR_EACH: Once<ForEach> = Once::new();

/// Sets who knows all address spaces. Once, at boot.
pub fn set(for_each: ForEach) {
    FOR_EACH.call_once(|| for_each);
}

/// Calls `visit` with each address space; with none before there are processes.
pub fn for_each(visit: &mut dyn FnMut(&Memory)) {
    if let Some(for_each) = FOR_EACH.get() {
        for_each(visit);
    }
}
