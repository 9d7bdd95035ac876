//! Events of keyboards and mice, from `linux/input.h` and `linux/input-event-codes.h`.

use crate::constants::constants;

/// Bytes of `struct input_event`.
pub const INPUT_EVENT_SIZE: usize = 24;

constants! { u16;
    EV_SYN = 0, "The end of what belongs together.";
    EV_KEY = 1, "A key or button.";
    EV_REL = 2, "A movement.";
    EV_REP = 0x14, "Repetition.";
    REL_X = 0, "To the right.";
    REL_Y = 1, "Down.";
    BTN_LEFT = 0x110, "The left button; the right and the middle one follow.";
    BUS_I8042 = 0x11, "Behind a PC's controller.";
}

constants! { u32;
    EVIOCGVERSION = 0x8004_4501, "The protocol's version.";
    EVIOCGID = 0x8008_4502, "Which device it is.";
    EVIOCGRAB = 0x4004_4590, "All events for one reader.";
    EV_VERSION = 0x1_0001, "The version.";
}

constants! { u8;
    EVIOC_NAME = 0x06, "Number of the request for the name; its length is in the request.";
    EVIOC_BITS = 0x20, "First number of the requests for what a device can send.";
}
