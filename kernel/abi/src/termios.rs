//! Terminals: the flags and control characters of termios(3) and the ioctl numbers of ioctl_tty(2).
//!
//! From `asm-generic/termbits.h`, `termbits-common.h` and `ioctls.h` of Linux.

use crate::constants::constants;

constants! { usize;
    VINTR = 0, "Sends SIGINT.";
    VQUIT = 1, "Sends SIGQUIT.";
    VERASE = 2, "Erases a character.";
    VKILL = 3, "Erases the line.";
    VEOF = 4, "Ends the input.";
    VTIME = 5, "Tenths of a second a raw read waits.";
    VMIN = 6, "Bytes a raw read waits for.";
    VSWTC = 7, "Unused.";
    VSTART = 8, "Restarts output.";
    VSTOP = 9, "Stops output.";
    VSUSP = 10, "Sends SIGTSTP.";
    VEOL = 11, "Ends a line.";
    VREPRINT = 12, "Shows the line again.";
    VDISCARD = 13, "Unused.";
    VWERASE = 14, "Erases a word.";
    VLNEXT = 15, "Takes the next character literally.";
    VEOL2 = 16, "Ends a line.";
    NCC = 8, "How many the older structure has.";
    NCCS = 19, "How many there are.";
    TERMIOS_SIZE = 36, "Bytes of `struct termios` of TCGETS.";
    TERMIOS2_SIZE = 44, "Bytes of `struct termios2` of TCGETS2.";
    TERMIO_SIZE = 18, "Bytes of `struct termio` of TCGETA.";
    WINSIZE_SIZE = 8, "Bytes of `struct winsize`.";
}

constants! { u32;
    IGNBRK = 0x1, "Input: ignore breaks.";
    BRKINT = 0x2, "Input: a break sends SIGINT.";
    IGNPAR = 0x4, "Input: drop damaged bytes.";
    PARMRK = 0x8, "Input: mark damaged bytes.";
    INPCK = 0x10, "Input: look for damaged bytes.";
    ISTRIP = 0x20, "Input: clear the eighth bit.";
    INLCR = 0x40, "Input: newline to carriage return.";
    IGNCR = 0x80, "Input: drop carriage returns.";
    ICRNL = 0x100, "Input: carriage return to newline.";
    IUCLC = 0x200, "Input: to lower case.";
    IXON = 0x400, "Input: VSTOP and VSTART stop and start output.";
    IXANY = 0x800, "Input: any character starts output.";
    IXOFF = 0x1000, "Input: tell the other side to stop when full.";
    IMAXBEL = 0x2000, "Input: ring when full; Linux never does.";
    IUTF8 = 0x4000, "Input: characters are UTF-8.";
    OPOST = 0x1, "Output: process at all.";
    OLCUC = 0x2, "Output: to upper case.";
    ONLCR = 0x4, "Output: newline to carriage return and newline.";
    OCRNL = 0x8, "Output: carriage return to newline.";
    ONOCR = 0x10, "Output: no carriage return in column 0.";
    ONLRET = 0x20, "Output: newline also returns the carriage.";
    TABDLY = 0x1800, "Output: mask of what is done about tabs.";
    XTABS = 0x1800, "Output: tabs to blanks.";
    CBAUD = 0x100f, "Control: mask of the speed.";
    CBAUDEX = 0x1000, "Control: the speed is from the second table.";
    BOTHER = 0x1000, "Control: the speed is given in c_ospeed.";
    B38400 = 0xf, "Control: 38,400 bits a second.";
    B115200 = 0x1002, "Control: 115,200 bits a second.";
    CSIZE = 0x30, "Control: mask of the bits a byte.";
    CS8 = 0x30, "Control: eight bits.";
    CSTOPB = 0x40, "Control: two stop bits.";
    CREAD = 0x80, "Control: receive.";
    PARENB = 0x100, "Control: parity.";
    PARODD = 0x200, "Control: odd parity.";
    HUPCL = 0x400, "Control: hang up after the last close.";
    CLOCAL = 0x800, "Control: ignore modem lines.";
    CMSPAR = 0x4000_0000, "Control: the parity bit does not change.";
    CRTSCTS = 0x8000_0000, "Control: flow control by modem lines.";
    ISIG = 0x1, "Local: keys send signals.";
    ICANON = 0x2, "Local: edit lines.";
    ECHO = 0x8, "Local: echo.";
    ECHOE = 0x10, "Local: show erased characters as erased.";
    ECHOK = 0x20, "Local: newline after VKILL.";
    ECHONL = 0x40, "Local: echo newlines in any case.";
    NOFLSH = 0x80, "Local: signals do not flush.";
    TOSTOP = 0x100, "Local: background output sends SIGTTOU.";
    ECHOCTL = 0x200, "Local: show control characters as ^X.";
    ECHOPRT = 0x400, "Local: show erased characters between slashes.";
    ECHOKE = 0x800, "Local: VKILL erases as VERASE does.";
    FLUSHO = 0x1000, "Local: unused.";
    PENDIN = 0x4000, "Local: unused.";
    IEXTEN = 0x8000, "Local: the extended control characters.";
    EXTPROC = 0x1_0000, "Local: the other side edits lines.";
    TCGETS = 0x5401, "Get termios.";
    TCSETS = 0x5402, "Set termios now.";
    TCSETSW = 0x5403, "Set termios after output.";
    TCSETSF = 0x5404, "Set termios after output, flush input.";
    TCGETA = 0x5405, "Get the older, shorter structure.";
    TCSETA = 0x5406, "Set from it now.";
    TCSETAW = 0x5407, "Set from it after output.";
    TCSETAF = 0x5408, "Set from it after output, flush input.";
    TCSBRK = 0x5409, "Send a break, or wait for output.";
    TCXONC = 0x540a, "Stop or start, see TCOOFF.";
    TCFLSH = 0x540b, "Flush, see TCIFLUSH.";
    TIOCEXCL = 0x540c, "No further opens.";
    TIOCNXCL = 0x540d, "Further opens again.";
    TIOCSCTTY = 0x540e, "Make it the controlling terminal.";
    TIOCGPGRP = 0x540f, "Get the foreground process group.";
    TIOCSPGRP = 0x5410, "Set the foreground process group.";
    TIOCOUTQ = 0x5411, "Bytes not yet sent.";
    TIOCSTI = 0x5412, "Pretend that a byte was typed.";
    TIOCGWINSZ = 0x5413, "Get the window's size.";
    TIOCSWINSZ = 0x5414, "Set the window's size.";
    TIOCMGET = 0x5415, "Get the modem lines.";
    TIOCMBIS = 0x5416, "Set some modem lines.";
    TIOCMBIC = 0x5417, "Clear some modem lines.";
    TIOCMSET = 0x5418, "Set and clear the modem lines.";
    TIOCGSOFTCAR = 0x5419, "Get CLOCAL.";
    TIOCSSOFTCAR = 0x541a, "Set CLOCAL.";
    FIONREAD = 0x541b, "Bytes that can be read.";
    TIOCCONS = 0x541d, "Redirect the console.";
    TIOCPKT = 0x5420, "Packet mode of a pty.";
    FIONBIO = 0x5421, "Set or clear O_NONBLOCK.";
    TIOCNOTTY = 0x5422, "Give up the controlling terminal.";
    TIOCSETD = 0x5423, "Set the line discipline.";
    TIOCGETD = 0x5424, "Get the line discipline.";
    TCSBRKP = 0x5425, "Send a break, or wait for output.";
    TIOCSBRK = 0x5427, "Hold the line down.";
    TIOCCBRK = 0x5428, "Let the line go.";
    TIOCGSID = 0x5429, "Get the session.";
    TCGETS2 = 0x802c_542a, "Get termios with speeds.";
    TCSETS2 = 0x402c_542b, "Set termios with speeds now.";
    TCSETSW2 = 0x402c_542c, "Set termios with speeds after output.";
    TCSETSF2 = 0x402c_542d, "Set termios with speeds after output, flush input.";
    TIOCGPTN = 0x8004_5430, "Get the number of a pty.";
    TIOCSPTLCK = 0x4004_5431, "Lock or unlock a pty.";
    TIOCGDEV = 0x8004_5432, "Get the console's real device.";
    TIOCSIG = 0x4004_5436, "Send a signal to the foreground of a pty.";
    TIOCVHANGUP = 0x5437, "Hang up.";
    TIOCGPKT = 0x8004_5438, "Get whether a pty is in packet mode.";
    TIOCGPTLCK = 0x8004_5439, "Get whether a pty is locked.";
    TIOCGEXCL = 0x8004_5440, "Get whether there are no further opens.";
    TIOCGPTPEER = 0x5441, "Open the slave of a pty.";
    TIOCM_DTR = 0x2, "Modem: data terminal ready.";
    TIOCM_RTS = 0x4, "Modem: request to send.";
    TIOCM_CTS = 0x20, "Modem: clear to send.";
    TIOCM_CAR = 0x40, "Modem: carrier.";
    TIOCM_RNG = 0x80, "Modem: ring.";
    TIOCM_DSR = 0x100, "Modem: data set ready.";
    TIOCM_OUT1 = 0x2000, "Modem: output 1.";
    TIOCM_OUT2 = 0x4000, "Modem: output 2.";
    TIOCM_LOOP = 0x8000, "Modem: loop back.";
    FIOASYNC = 0x5452, "Set or clear O_ASYNC.";
    TIOCPKT_DATA = 0, "Packet mode: data follow.";
    TIOCPKT_FLUSHREAD = 1, "Packet mode: input was flushed.";
    TIOCPKT_FLUSHWRITE = 2, "Packet mode: output was flushed.";
    TIOCPKT_STOP = 4, "Packet mode: output is stopped.";
    TIOCPKT_START = 8, "Packet mode: output goes on.";
    TIOCPKT_NOSTOP = 16, "Packet mode: the keys of flow control are not ^S and ^Q.";
    TIOCPKT_DOSTOP = 32, "Packet mode: they are.";
    TIOCPKT_IOCTL = 64, "Packet mode: the settings changed, with EXTPROC.";
    TCOOFF = 0, "TCXONC: stop output.";
    TCOON = 1, "TCXONC: start output.";
    TCIOFF = 2, "TCXONC: send VSTOP.";
    TCION = 3, "TCXONC: send VSTART.";
    TCIFLUSH = 0, "TCFLSH: input.";
    TCOFLUSH = 1, "TCFLSH: output.";
    TCIOFLUSH = 2, "TCFLSH: both.";
}

/// The control characters of a new terminal.
pub const DEFAULT_CC: [u8; NCCS] =
    [3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0xf, 0x17, 0x16, 0, 0, 0];

/// Bits a second by the low four bits of CBAUD: without CBAUDEX, and with it.
pub const SPEEDS: [[u32; 16]; 2] = [
    [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400],
    [
        0, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000,
        2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
    ],
];
