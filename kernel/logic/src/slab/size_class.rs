//! Size classes: which sizes there are and how their slabs are laid out.
//!
//! Powers of two and the sizes halfway between, so that at most a third of an object is wasted. Every object
//! is aligned to the largest power of two that divides its class's size. All of it is computed at compile
//! time.

use crate::addr::PAGE_SHIFT;
use crate::buddy::Order;

/// How many classes there are.
pub const CLASS_COUNT: usize = 13;

/// The largest size served from slabs; larger requests go to the large heap.
pub const LARGEST_OBJECT: usize = 2048;

/// Bytes at the start of a slab that belong to its header.
pub const HEADER_BYTES: u32 = 128;

const SIZES: [u16; CLASS_COUNT] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048];

/// All sizes are multiples of this.
const GRANULE: usize = 16;

/// One of the size classes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct ClassIndex(u8);

/// How slabs of a class are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Bytes of an object.
    pub object_size: u32,
    /// Where the first object starts in the slab.
    pub first_object: u32,
    /// Objects in a slab.
    pub capacity: u16,
    /// Frames of a slab.
    pub order: Order,
}

const LAYOUTS: [Layout; CLASS_COUNT] = layouts();

const CLASS_OF_GRANULES: [u8; LARGEST_OBJECT / GRANULE + 1] = classes_by_granules();

/// The class for `size` bytes aligned to `align`; `None` when they are too large for a slab or `align` is not
/// a power of two. One look into a table: a size rounded up to its alignment falls into a class that has it,
/// for between 2^n and the class of 1.5 * 2^n lies no multiple of 2^n.
#[inline]
pub const fn class_for(size: usize, align: usize) -> Option<ClassIndex> {
    if !align.is_power_of_two() || size > LARGEST_OBJECT || align > LARGEST_OBJECT {
        return None;
    }
    let rounded = if size <= align { align } else { (size + align - 1) & !(align - 1) };
    let granules = rounded.div_ceil(GRANULE);
    if granules >= CLASS_OF_GRANULES.len() {
        return None;
    }
    Some(ClassIndex(CLASS_OF_GRANULES[granules]))
}

impl ClassIndex {
    /// The class of this number, `None` when there is none.
    pub const fn new(index: u8) -> Option<Self> {
        if index as usize >= CLASS_COUNT {
            return None;
        }
        Some(Self(index))
    }

    /// The class's number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The class's place in an array of [`CLASS_COUNT`].
    pub const fn slot(self) -> usize {
        self.0 as usize
    }

    /// How slabs of this class are laid out.
    #[inline]
    pub const fn layout(self) -> &'static Layout {
        &LAYOUTS[self.0 as usize]
    }

    /// All classes, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).map_while(Self::new)
    }
}

impl Layout {
    /// Bytes of a slab, also its alignment.
    pub const fn slab_bytes(&self) -> u32 {
        self.order.frames() << PAGE_SHIFT
    }

    const fn of(object_size: u32, order: Order) -> Self {
        let align = 1 << object_size.trailing_zeros();
        let first_object = if align > HEADER_BYTES { align } else { HEADER_BYTES };
        let bytes = order.frames() << PAGE_SHIFT;
        let capacity = (((bytes - first_object) / object_size) & 0x3ff) as u16;
        Self { object_size, first_object, capacity, order }
    }

    /// An eighth is what the slab's header costs the larger classes anyway.
    const fn wastes_more_than_an_eighth(&self) -> bool {
        let used = self.capacity as u32 * self.object_size;
        (self.slab_bytes() - used) * 8 > self.slab_bytes()
    }
}

/// Each class gets the smallest slab that wastes little.
const fn layouts() -> [Layout; CLASS_COUNT] {
    let mut layouts = [Layout::of(16, Order::ZERO); CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let mut layout = Layout::of(SIZES[class] as u32, Order::ZERO);
        let mut order = 1;
        while layout.wastes_more_than_an_eighth()
            && let Some(larger) = Order::new(order)
        {
            layout = Layout::of(SIZES[class] as u32, larger);
            order += 1;
        }
        layouts[class] = layout;
        class += 1;
    }
    layouts
}

const fn classes_by_granules() -> [u8; LARGEST_OBJECT / GRANULE + 1] {
    let mut classes = [0; LARGEST_OBJECT / GRANULE + 1];
    let (mut granules, mut class) = (0, 0u8);
    while granules < classes.len() {
        if granules * GRANULE > SIZES[class as usize] as usize {
            class += 1;
        }
        classes[granules] = class;
        granules += 1;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layouts_waste_at_most_an_eighth_and_fit_the_bitmap() {
        for class in ClassIndex::all() {
            let layout = class.layout();
            let end = layout.first_object + u32::from(layout.capacity) * layout.object_size;
            assert!(end <= layout.slab_bytes() && !layout.wastes_more_than_an_eighth());
            assert!((1..=256).contains(&layout.capacity) && layout.order.get() <= 2);
            assert!(layout.first_object >= HEADER_BYTES);
        }
    }

    #[test]
    fn single_frames_serve_up_to_768_bytes() {
        let order = |size| class_for(size, 1).unwrap().layout().order.get();
        assert_eq!([order(768), order(1024), order(2048)], [0, 1, 2]);
    }

    #[test]
    fn too_large_and_misaligned_requests_have_no_class() {
        assert_eq!(class_for(2049, 1), None);
        assert_eq!(class_for(usize::MAX, 1), None);
        assert_eq!(class_for(1, 4096), None);
        assert_eq!(class_for(1, 3), None);
        assert_eq!(class_for(1, 0), None);
        assert_eq!(class_for(0, 1), ClassIndex::new(0));
        assert_eq!(ClassIndex::new(13), None);
    }

    proptest! {
        #[test]
        fn the_smallest_class_that_fits_is_chosen(size in 0usize..2200, shift in 0u32..12) {
            let align = 1usize << shift;
            let fits = |class: &ClassIndex| {
                let object = class.layout().object_size as usize;
                object >= size && object.is_multiple_of(align)
            };
            prop_assert_eq!(class_for(size, align), ClassIndex::all().find(fits));
        }

        #[test]
        fn no_request_panics(size: usize, align: usize) {
            class_for(size, align);
        }
    }
}
