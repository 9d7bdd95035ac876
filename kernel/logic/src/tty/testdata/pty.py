"""Answers what Linux's line discipline does: reads a request a line, writes an answer a line.

    new             a new pty                         -> ok, or why it is not possible
    type HEX        bytes typed one by one            -> SIGNAL:HEX of the echo, for each byte
    read COUNT      a read that does not wait         -> HEX, or "again"
    write HEX       a write that does not wait        -> COUNT:HEX of what came out
    set HEX         TCSETS with this structure        -> HEX of what came out
    flush           TCIFLUSH                          -> HEX of what came out
    ask             FIONREAD and poll                 -> COUNT:0 or COUNT:1
"""
import fcntl, os, select, signal, struct, sys, termios

SIGNALS = [signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP]
master = slave = None


def new():
    global master, slave
    for descriptor in (master, slave):
        if descriptor is not None:
            os.close(descriptor)
    master, slave = os.openpty()
    for descriptor in (master, slave):
        os.set_blocking(descriptor, False)
    try:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        fcntl.ioctl(slave, termios.TIOCSTI, b"\n")
    except OSError as error:
        return str(error)
    os.read(slave, 9)
    fcntl.ioctl(slave, termios.TIOCSTI, b"\r")
    os.read(slave, 9)
    came_out()
    return "ok"


def came_out():
    result = b""
    try:
        while piece := os.read(master, 4096):
            result += piece
    except BlockingIOError:
        pass
    return result.hex()


def type_bytes(text):
    answers = []
    for byte in bytes.fromhex(text):
        # TIOCSTI acts at once; bytes written to the master go through a work queue and are echoed in batches.
        fcntl.ioctl(slave, termios.TIOCSTI, bytes([byte]))
        sent = signal.sigtimedwait(SIGNALS, 0)
        answers.append(f"{sent.si_signo if sent else 0}:{came_out()}")
    return ",".join(answers)


def read(count):
    try:
        return os.read(slave, int(count)).hex()
    except BlockingIOError:
        return "again"


def write(text):
    try:
        count = os.write(slave, bytes.fromhex(text))
    except BlockingIOError:
        count = 0
    return f"{count}:{came_out()}"


def set_termios(structure):
    fcntl.ioctl(slave, termios.TCSETS, bytes.fromhex(structure))
    return came_out()


def flush():
    termios.tcflush(slave, termios.TCIFLUSH)
    return came_out()


def ask():
    count = struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, b"\0" * 4))[0]
    poll = select.poll()
    poll.register(slave, select.POLLIN)
    return f"{count}:{len(poll.poll(0))}"


REQUESTS = {"new": new, "type": type_bytes, "read": read, "write": write,
            "set": set_termios, "flush": flush, "ask": ask}

os.setsid()
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
for line in sys.stdin:
    request, *arguments = line.split()
    print(REQUESTS[request](*arguments), flush=True)
