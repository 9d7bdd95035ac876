//! Someone sits at the machine: keys are pressed, and the picture is compared with what it should be, pixel by pixel.
//!
//! The expected picture is drawn here, from the text that should be there. Both lie in `build/test-images` afterwards.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Test, TestResult};
use logic::screen::Screen;
use logic::screen::font::{HEIGHT, WIDTH};
use logic::screen::paint::{Canvas, Painter, text_cell};
use serde_json::json;

const INITRAMFS: &str = "build/programs.cpio";
const ROWS: u16 = 48;
const COLUMNS: u16 = 128;
/// How long a picture may take to become what it should be.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between a key and the next: QEMU holds it for a tenth of a second.
const KEY: Duration = Duration::from_millis(120);

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("consoles/keyboard-and-screen".to_string(), Box::new(keyboard_and_screen)),
        ("consoles/framebuffer-and-panic".to_string(), Box::new(framebuffer_and_panic)),
        ("consoles/text-mode".to_string(), Box::new(text_mode)),
        ("consoles/power-button".to_string(), Box::new(power_button)),
        ("consoles/printer-and-clock".to_string(), Box::new(printer_and_clock)),
    ]
}

/// A shell on the serial line, a display, and tty1 with nothing on it.
fn start(name: &str, display: &str) -> Result<Guest, String> {
    start_with(name, &["-vga", display])
}

fn start_with(name: &str, arguments: &[&str]) -> Result<Guest, String> {
    let machine = Machine {
        initramfs: Some(PathBuf::from(INITRAMFS)),
        command_line: "console=ttyS0 vt.keymap=de".to_string(),
        memory_mib: 256,
        cpus: 2,
        silence: Duration::from_secs(120),
        // A panic would end QEMU, and its picture.
        has_debug_exit: false,
        more_arguments: arguments.iter().map(ToString::to_string).collect(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("rcS: ready")?;
    guest.wait_for("# ")?;
    Ok(guest)
}

/// Types a command on the serial line and waits for its exit code, which must be 0.
fn run(guest: &mut Guest, command: &str) -> Result<(), String> {
    guest.type_text(&format!("{command}; echo rc=$?.\n"))?;
    guest.wait_for("rc=0.").map(|_| ())
}

/// Presses keys, named as QEMU does; those joined by `+` together.
fn press(guest: &Guest, keys: &str) -> Result<(), String> {
    let mut control = guest.control()?;
    for chord in keys.split_whitespace() {
        let codes: Vec<_> = chord.split('+').map(|code| json!({ "type": "qcode", "data": code })).collect();
        control.execute("send-key", &json!({ "keys": codes }))?;
        thread::sleep(KEY);
    }
    Ok(())
}

/// A picture, line by line.
#[derive(Clone, PartialEq)]
struct Picture {
    width: usize,
    pixels: Vec<u32>,
}

impl Canvas for Picture {
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        let start = y * self.width + x;
        self.pixels[start..start + pixels.len()].copy_from_slice(pixels);
    }
}

/// What a console shows after this output.
fn expected(output: &str) -> Result<Picture, String> {
    let failed = |error| format!("no screen: {error:?}");
    let mut screen = Screen::try_new(ROWS, COLUMNS, 10).map_err(failed)?;
    let mut painter = Painter::try_new(ROWS, COLUMNS).map_err(failed)?;
    let width = usize::from(COLUMNS) * WIDTH;
    let mut picture = Picture { width, pixels: vec![0; width * usize::from(ROWS) * HEIGHT] };
    screen.feed(output.as_bytes());
    painter.paint(&mut screen, &mut picture);
    Ok(picture)
}

/// What QEMU shows.
fn shown(guest: &Guest, name: &str) -> Result<Picture, String> {
    let folder = std::path::absolute("build/test-images").map_err(|error| error.to_string())?;
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = folder.join(format!("{}.ppm", name.replace('/', "-")));
    guest.control()?.execute("screendump", &json!({ "filename": file }))?;
    let bytes = fs::read(&file).map_err(|error| error.to_string())?;
    // P6, width and height, the most a colour has, each on a line of its own.
    let mut lines = bytes.splitn(4, |&byte| byte == b'\n');
    let size = lines.nth(1).and_then(|line| std::str::from_utf8(line).ok()).ok_or("no picture")?;
    let width = size.split(' ').next().and_then(|width| width.parse().ok()).ok_or("no width")?;
    let body = lines.nth(1).ok_or("no pixels")?;
    let pixels = body.chunks_exact(3).map(|rgb| u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]])).collect();
    Ok(Picture { width, pixels })
}

/// Waits until the picture is the one that the output makes.
fn expect_picture(guest: &Guest, name: &str, output: &str) -> Result<(), String> {
    let wanted = expected(output)?;
    let end = Instant::now() + PATIENCE;
    loop {
        let found = shown(guest, name)?;
        if found == wanted {
            return guest
                .screenshot(&PathBuf::from(format!("build/test-images/{}.png", name.replace('/', "-"))));
        }
        if Instant::now() > end {
            let place = found.pixels.iter().zip(&wanted.pixels).position(|(one, other)| one != other);
            return Err(match place {
                Some(place) => format!(
                    "the picture {name} differs at {}, {}, in line {} of text; see build/test-images",
                    place % wanted.width,
                    place / wanted.width,
                    place / wanted.width / HEIGHT
                ),
                None => {
                    format!("the picture {name} is {} pixels wide, of {}", found.width, found.pixels.len())
                }
            });
        }
        thread::sleep(Duration::from_millis(300));
    }
}

fn keyboard_and_screen(name: &str) -> TestResult {
    const CLEAR: &str = "\x1b[2J\x1b[H";
    const COLOURS: &str = "\x1b[1;33;44mNacre\x1b[0m \x1b[38;5;208m│äß░█\x1b[0m \x1b[4;3mx\x1b[m\r\n";
    let mut guest = start(name, "std")?;
    run(
        &mut guest,
        r"printf '\033[2J\033[H\033[1;33;44mNacre\033[0m \033[38;5;208m│äß░█\033[0m \033[4;3mx\033[m\n' >/dev/tty1",
    )?;
    expect_picture(&guest, &format!("{name}-colours"), &format!("{CLEAR}{COLOURS}"))?;
    // The layout is German: y and z are exchanged, the minus key is an ß, and a dead accent waits for its letter.
    run(&mut guest, "(read line; echo \"$line\" >/tmp/typed) </dev/tty1 & true")?;
    press(&guest, "shift+h a l l o spc y minus equal e backspace equal e alt_r+q ret")?;
    run(&mut guest, "wait; grep -qx 'Hallo zßé@' /tmp/typed")?;
    let typed = format!("{CLEAR}{COLOURS}Hallo zßé@\r\n");
    expect_picture(&guest, &format!("{name}-typed"), &typed)?;
    press(&guest, "alt+f2")?;
    run(&mut guest, "printf 'two' >/dev/tty2")?;
    expect_picture(&guest, &format!("{name}-second"), "two")?;
    run(&mut guest, "chvt 1")?;
    expect_picture(&guest, &format!("{name}-first"), &typed)?;
    // What left the screen comes back with Shift and Page Up.
    run(&mut guest, "clear >/dev/tty1; seq 100 >/dev/tty1")?;
    let numbers = |range: std::ops::RangeInclusive<u32>| {
        range.map(|number| format!("{number}\r\n")).collect::<String>()
    };
    expect_picture(&guest, &format!("{name}-scrolled"), &numbers(1..=100))?;
    press(&guest, "shift+pgup")?;
    let back = format!("\x1b[?25l{}77", numbers(30..=76));
    expect_picture(&guest, &format!("{name}-back"), &back)?;
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

fn framebuffer_and_panic(name: &str) -> TestResult {
    let mut guest = start(name, "std")?;
    run(
        &mut guest,
        "tr '\\0' '\\377' </dev/zero | dd of=/dev/fb0 bs=4096 count=768 iflag=fullblock 2>/dev/null",
    )?;
    let white = |picture: &Picture| {
        picture.pixels.iter().skip(picture.width * HEIGHT).all(|&pixel| pixel == 0xff_ffff)
    };
    wait_for(&guest, &format!("{name}-white"), white)?;
    press(&guest, "alt+sysrq+c")?;
    guest.wait_for("sysrq: asked to crash")?;
    guest.wait_for("What to do")?;
    // The words stand on blue, and begin at the top.
    let blue = |picture: &Picture| picture.pixels.get(picture.width * HEIGHT - 1) == Some(&0x00_0080);
    wait_for(&guest, &format!("{name}-panic"), blue)?;
    guest.screenshot(&PathBuf::from("build/test-images/consoles-panic.png"))?;
    Ok(())
}

fn wait_for(guest: &Guest, name: &str, is_so: impl Fn(&Picture) -> bool) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while !is_so(&shown(guest, name)?) {
        if Instant::now() > end {
            return Err(format!("the picture {name} is not what it should be; see build/test-images"));
        }
        thread::sleep(Duration::from_millis(300));
    }
    Ok(())
}

fn text_mode(name: &str) -> TestResult {
    const TEXT: &str = "\x1b[2J\x1b[H\x1b[1;33;44mText\x1b[0m ü│";
    let mut guest = start(name, "cirrus")?;
    run(&mut guest, r"printf '\033[2J\033[H\033[1;33;44mText\033[0m ü│' >/dev/tty1")?;
    let mut screen = Screen::try_new(25, 80, 0).map_err(|error| format!("no screen: {error:?}"))?;
    screen.feed(TEXT.as_bytes());
    let wanted: Vec<String> =
        screen.line(0).iter().take(8).map(|cell| format!("0x{:04x}", text_cell(cell, &screen))).collect();
    let end = Instant::now() + PATIENCE;
    loop {
        let memory = guest.control()?.monitor("xp/8hx 0xb8000", 0)?;
        let found: Vec<&str> = memory.split_whitespace().filter(|word| word.starts_with("0x")).collect();
        if found == wanted {
            break;
        }
        if Instant::now() > end {
            return Err(format!("the screen's memory holds {memory}, not {wanted:?}").into());
        }
        thread::sleep(Duration::from_millis(300));
    }
    guest.screenshot(&PathBuf::from("build/test-images/consoles-text-mode.png"))?;
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// Without a display too, the button is a key.
fn power_button(name: &str) -> TestResult {
    let mut guest = start(name, "none")?;
    // Twice: the interrupt comes again.
    for _ in 0..2 {
        run(&mut guest, "head -c 24 /dev/input/event2 | hexdump -C >/tmp/key & sleep 0.3")?;
        guest.control()?.execute("system_powerdown", &json!({}))?;
        run(&mut guest, "wait; grep -q '01 00 74 00 01 00 00 00' /tmp/key")?;
    }
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

fn printer_and_clock(name: &str) -> TestResult {
    const LINES: usize = 500;
    let paper = std::path::absolute("build/test-images/paper").map_err(|error| error.to_string())?;
    fs::create_dir_all("build/test-images").map_err(|error| error.to_string())?;
    let port = format!("file:{}", paper.display());
    let mut guest =
        start_with(name, &["-vga", "none", "-parallel", &port, "-rtc", "base=2031-05-06T07:08:00"])?;
    run(&mut guest, &format!("seq {LINES} >/dev/lp0"))?;
    let wanted: String = (1..=LINES).map(|number| format!("{number}\n")).collect();
    let printed = fs::read_to_string(&paper).map_err(|error| error.to_string())?;
    if printed != wanted {
        return Err(format!("{} bytes were printed, not {}", printed.len(), wanted.len()).into());
    }
    run(&mut guest, "hwclock -u -r | grep -q 'May  6 07:08.* 2031'")?;
    run(
        &mut guest,
        "date -u -s '2028-02-29 23:50:00' && hwclock -u -w && hwclock -u -r | grep -q 'Feb 29 23:5.* 2028'",
    )?;
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}
