//! One boot: starts QEMU, reads the figures the guest writes on the serial line, ends QEMU.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::figures::{self, Figure};

const QEMU: &str = "qemu-system-x86_64";
const ERRORS: &str = "build/bench/qemu.log";
/// The copy of the disk that a boot may write to.
const DISK: &str = "build/bench/disk.img";
/// A flush of the guest's need not reach the host's disk: it is not the host that is measured.
const DRIVE: &str = "if=none,id=disk,format=raw,cache=unsafe,file=build/bench/disk.img";

/// Everything that could differ between two runs is fixed. Without ERMS and FSRM both kernels move memory by
/// plain loads and stores: a `rep` string instruction counts once per element in QEMU, on no real CPU.
const MACHINE: [&str; 13] = [
    "-machine",
    "q35",
    "-cpu",
    "max,-erms,-fsrm",
    "-rtc",
    "base=2026-01-01,clock=vm",
    "-seed",
    "1",
    "-nodefaults",
    "-display",
    "none",
    "-no-reboot",
    "-no-user-config",
];

/// A guest that writes nothing for this long has failed, and so has one that takes this long in total.
const SILENCE: Duration = Duration::from_secs(30);
const TOTAL: Duration = Duration::from_secs(300);
/// How Nacre's last words begin when it refuses to boot. It halts then, but with `-icount` QEMU is busy moving
/// the clock of a halted guest on and on, so nothing else tells.
const REFUSAL: &str = "Nacre: cannot boot";
/// A guest that is silent and lets QEMU sleep for this long has halted.
const HALTED_AFTER: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LINES_SHOWN: usize = 3;

/// What a tick of the guest's clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// One instruction, which is one nanosecond of the guest's time.
    Instructions,
    /// The host's time.
    Wall,
}

impl Clock {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Instructions => &["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"],
            Self::Wall => &["-accel", "tcg,thread=multi"],
        }
    }
}

/// A machine to boot.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
    pub(crate) command_line: String,
    pub(crate) memory_mib: u32,
    pub(crate) cpus: u32,
    pub(crate) clock: Clock,
    /// The name of the figure after which the machine is no longer needed.
    pub(crate) until: &'static str,
    /// The image whose copy is the machine's disk.
    pub(crate) disk: Option<PathBuf>,
}

/// What a boot came to.
pub(crate) struct Run {
    pub(crate) figures: Vec<Figure>,
    pub(crate) started: Instant,
    /// Why rows failed, by name.
    failures: BTreeMap<String, String>,
    ending: Ending,
    last_lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Complete,
    Exited,
    Halted,
    Silent,
    TooLong,
}

impl Run {
    const fn new(started: Instant) -> Self {
        Self {
            figures: Vec::new(),
            started,
            failures: BTreeMap::new(),
            ending: Ending::Exited,
            last_lines: Vec::new(),
        }
    }

    /// The first figure of this name.
    ///
    /// Fails with what happened instead.
    pub(crate) fn figure(&self, name: &str) -> Result<&Figure> {
        let found = self.figures.iter().find(|figure| figure.name == name);
        found.ok_or_else(|| match self.failures.get(name) {
            Some(why) => why.clone(),
            None => format!("no line of `{name}`: {self}"),
        })
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.ending == Ending::Complete
    }
}

impl Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.ending {
            Ending::Complete => "the guest reported all it had",
            Ending::Exited => "QEMU ended early",
            Ending::Halted => "the guest halted",
            Ending::Silent => "the guest fell silent",
            Ending::TooLong => "the guest took too long",
        })?;
        write!(out, "; last output: {}", self.last_lines.join(" / "))?;
        match fs::read_to_string(ERRORS).unwrap_or_default().trim() {
            "" => Ok(()),
            errors => write!(out, "; QEMU says: {errors}"),
        }
    }
}

impl Boot {
    /// Boots and waits for the last figure, or until the guest has plainly failed.
    ///
    /// Fails when QEMU cannot be started.
    pub(crate) fn run(&self) -> Result<Run> {
        let errors = File::create(ERRORS).map_err(|error| format!("cannot write {ERRORS}: {error}"))?;
        if let Some(disk) = &self.disk {
            fs::copy(disk, DISK).map_err(|error| format!("cannot copy {}: {error}", disk.display()))?;
        }
        let drive: &[&str] = match self.disk {
            Some(_) => &["-drive", DRIVE, "-device", "virtio-blk-pci,drive=disk"],
            None => &[],
        };
        let started = Instant::now();
        let mut qemu = Command::new(QEMU)
            .args(MACHINE)
            .args(self.clock.arguments())
            .args(["-m", &format!("{}M", self.memory_mib), "-smp", &self.cpus.to_string()])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initramfs)
            .args(["-append", &self.command_line])
            .args(["-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial"])
            .args(drive)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start QEMU ({error}); run: scripts/bootstrap running"))?;
        let lines = qemu.stdout.take().map(read_lines);
        let mut run = Run::new(started);
        if let Some(lines) = lines {
            run.ending = self.watch(&qemu, &lines, &mut run);
        }
        // Both fail only when QEMU has ended already.
        let _ = qemu.kill();
        let _ = qemu.wait();
        Ok(run)
    }

    fn watch(&self, qemu: &Child, lines: &Receiver<(String, Instant)>, run: &mut Run) -> Ending {
        let mut last_output = Instant::now();
        let (mut used, mut last_use) = (None, Instant::now());
        loop {
            match lines.recv_timeout(LOOK_EVERY) {
                Ok((line, arrived)) => {
                    (last_output, last_use) = (arrived, arrived);
                    if let Some(figure) = Figure::parse(&line, arrived) {
                        let is_last = figure.is_end() || figure.name == self.until;
                        run.figures.push(figure);
                        if is_last {
                            return Ending::Complete;
                        }
                    }
                    run.failures.extend(figures::failure(&line));
                    keep(&mut run.last_lines, &line);
                    if line.starts_with(REFUSAL) {
                        return Ending::Halted;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ending::Exited,
                Err(RecvTimeoutError::Timeout) => {
                    let now = cpu_time(qemu);
                    if now != used {
                        (used, last_use) = (now, Instant::now());
                    }
                    if last_use.elapsed() > HALTED_AFTER {
                        return Ending::Halted;
                    }
                }
            }
            if last_output.elapsed() > SILENCE {
                return Ending::Silent;
            }
            if run.started.elapsed() > TOTAL {
                return Ending::TooLong;
            }
        }
    }
}

/// The lines of `output` with the time each arrived; disconnects at its end.
fn read_lines(output: impl Read + Send + 'static) -> Receiver<(String, Instant)> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while let Ok(1..) = output.read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end().to_string();
            if sender.send((text, Instant::now())).is_err() {
                break; // the watcher has seen enough
            }
            line.clear();
        }
    });
    receiver
}

fn keep(last_lines: &mut Vec<String>, line: &str) {
    if !line.is_empty() {
        last_lines.push(line.to_string());
    }
    if last_lines.len() > LINES_SHOWN {
        last_lines.remove(0);
    }
}

/// The processor time QEMU has used, in tenths of a second so that its own housekeeping does not show.
/// Fields 14 and 15 of `/proc/PID/stat`, in hundredths; see proc(5).
fn cpu_time(qemu: &Child) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/stat", qemu.id())).ok()?;
    let (_, fields) = text.rsplit_once(") ")?; // the name may hold anything
    let mut fields = fields.split(' ').skip(11).map_while(|field| field.parse::<u64>().ok());
    Some((fields.next()? + fields.next()?) / 10)
}
