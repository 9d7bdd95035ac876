//! Virtual consoles: the ioctl numbers of ioctl_console(2), and of framebuffers.
//!
//! From `linux/kd.h`, `linux/vt.h`, `linux/fb.h` and `linux/keyboard.h`.

use crate::constants::constants;

constants! { u32;
    KIOCSOUND = 0x4b2f, "Starts or stops a sound.";
    KDMKTONE = 0x4b30, "Makes a sound for a time.";
    KDGETLED = 0x4b31, "The keyboard's lights.";
    KDSETLED = 0x4b32, "Sets the keyboard's lights.";
    KDGKBTYPE = 0x4b33, "Which sort of keyboard there is.";
    KDSETMODE = 0x4b3a, "Text, or pictures that a program draws.";
    KDGETMODE = 0x4b3b, "Which of them.";
    KDGKBMODE = 0x4b44, "What reading gives: bytes, key codes.";
    KDSKBMODE = 0x4b45, "Changes that.";
    KDGKBENT = 0x4b46, "An entry of the keymap.";
    KDSKBENT = 0x4b47, "Changes an entry of the keymap.";
    KDGKBMETA = 0x4b62, "What Alt does.";
    KDSKBMETA = 0x4b63, "Changes that.";
    KDGKBLED = 0x4b64, "The locks: Caps, Num, Scroll.";
    KDSKBLED = 0x4b65, "Changes them.";
    VT_OPENQRY = 0x5600, "A console that nobody has open.";
    VT_GETMODE = 0x5601, "Who switches consoles.";
    VT_SETMODE = 0x5602, "Changes that.";
    VT_GETSTATE = 0x5603, "Which console is shown, and which are open.";
    VT_RELDISP = 0x5605, "A program lets its console go, or has taken it.";
    VT_ACTIVATE = 0x5606, "Shows a console.";
    VT_WAITACTIVE = 0x5607, "Waits until a console is shown.";
    VT_DISALLOCATE = 0x5608, "Frees consoles that nobody uses.";
    TIOCLINUX = 0x541c, "What only Linux's console has, by number.";
    FBIOGET_VSCREENINFO = 0x4600, "A picture's size and form.";
    FBIOPUT_VSCREENINFO = 0x4601, "Changes them.";
    FBIOGET_FSCREENINFO = 0x4602, "A picture's memory.";
    FBIOPAN_DISPLAY = 0x4606, "Shows another part of it.";
    FBIOBLANK = 0x4611, "Darkens the display.";
}

constants! { u8;
    KB_101 = 2, "A keyboard of a PC.";
    KD_TEXT = 0, "Text.";
    KD_GRAPHICS = 1, "Pictures.";
    K_RAW = 0, "Scan codes.";
    K_XLATE = 1, "Bytes.";
    K_MEDIUMRAW = 2, "Key codes.";
    K_UNICODE = 3, "UTF-8.";
    K_OFF = 4, "Nothing.";
    VT_AUTO = 0, "The kernel switches.";
    VT_PROCESS = 1, "A program is asked.";
    VT_ACKACQ = 2, "The program has taken its console.";
}
