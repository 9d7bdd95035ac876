//! A small system on this host's Linux: our initramfs with processes, mounts and names of its own, and a pseudo-terminal as
//! its serial line. What runs in Nacre runs here first.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nrlib::file::Descriptor;
use nrlib::terminal;

use crate::guest::Guest;
use crate::output::{Output, Waited};
use crate::runner::Stop;

/// Somebody who types at a system and reads what it writes.
pub trait Console {
    /// Waits for `text`, and returns everything from the last match up to its end.
    ///
    /// # Errors
    /// A report when it does not come.
    fn wait_for(&mut self, text: &str) -> Result<String, String>;

    /// Types.
    ///
    /// # Errors
    /// The system is gone.
    fn type_text(&mut self, text: &str) -> Result<(), String>;
}

impl Console for Guest {
    fn wait_for(&mut self, text: &str) -> Result<String, String> {
        Guest::wait_for(self, text)
    }

    fn type_text(&mut self, text: &str) -> Result<(), String> {
        Guest::type_text(self, text)
    }
}

/// A small system. Dropping it ends it.
pub struct Jail {
    process: Child,
    terminal: File,
    /// Kept open: without it the terminal hangs up when a program closes its last descriptor.
    other_side: Option<File>,
    output: Arc<Output>,
    reader: Option<JoinHandle<()>>,
    position: usize,
    root: PathBuf,
    deadline: Instant,
}

const SILENCE: Duration = Duration::from_secs(20);
const TOTAL: Duration = Duration::from_secs(240);
const LOG_DIR: &str = "build/test-logs";

impl Jail {
    /// Starts the initramfs `archive` after `changes`, shell commands in its root.
    ///
    /// # Errors
    /// A sentence; skipped without the rights for it.
    pub fn start(name: &str, archive: &str, changes: &str) -> Result<Self, Stop> {
        if nrlib::process::effective_user() != 0 {
            return Err(Stop::Skipped("only root can make a small system on this host".to_string()));
        }
        let say = |what: &str| {
            let what = what.to_string();
            move |error: std::io::Error| format!("{what}: {error}")
        };
        let file_name = name.replace('/', "-");
        fs::create_dir_all(LOG_DIR).map_err(say(LOG_DIR))?;
        let log = File::create(format!("{LOG_DIR}/{file_name}.log")).map_err(say("the log"))?;
        let root = std::env::temp_dir().join(format!("nacre-{}-{file_name}", std::process::id()));
        fs::create_dir_all(&root).map_err(say("the root"))?;
        let open = |path: &str| OpenOptions::new().read(true).write(true).custom_flags(0o400).open(path);
        let terminal = open("/dev/ptmx").map_err(say("/dev/ptmx"))?;
        let number = terminal::unlock(Descriptor(terminal.as_raw_fd())).map_err(|error| error.to_string())?;
        let path = format!("/dev/pts/{number}");
        let other_side = open(&path).map_err(say(&path))?;
        let reading = terminal.try_clone().map_err(say("the terminal"))?;
        let process = Command::new("unshare")
            .args(["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "sh"])
            .arg("tests/guest/userland/enter.sh")
            .arg(&root)
            .arg(fs::canonicalize(archive).map_err(say(archive))?)
            .args([&path, changes])
            .stdin(Stdio::null())
            .spawn()
            .map_err(say("unshare"))?;
        let output = Arc::new(Output::default());
        let shared = Arc::clone(&output);
        Ok(Self {
            process,
            terminal,
            other_side: Some(other_side),
            output,
            reader: Some(thread::spawn(move || shared.fill_from(reading, log))),
            position: 0,
            root,
            deadline: Instant::now() + TOTAL,
        })
    }

    /// Waits until process 1 is gone, and which signal told why: reboot(2) in a space of processes of its own kills it with
    /// SIGINT for power-off and with SIGHUP for a restart.
    ///
    /// # Errors
    /// A sentence when it stays.
    pub fn expect_end(&mut self, signal: i32) -> Result<(), String> {
        let end = Instant::now() + SILENCE;
        while Instant::now() < end {
            match self.process.try_wait() {
                Ok(Some(status)) if status.signal() == Some(signal) => return Ok(()),
                Ok(Some(status)) => {
                    return Err(format!("ended with {status} instead of signal {signal}.\n{}", self.tail()));
                }
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(format!("the small system is lost: {error}")),
            }
        }
        Err(format!("the small system did not end.\n{}", self.tail()))
    }

    fn tail(&self) -> String {
        format!("Last output:\n{}", self.output.last_lines(40))
    }
}

impl Console for Jail {
    fn wait_for(&mut self, text: &str) -> Result<String, String> {
        let (waited, position) = self.output.wait_for(text, self.position, SILENCE, self.deadline);
        self.position = position;
        match waited {
            Waited::Found(found) => Ok(found),
            _ => Err(format!("`{text}` did not come.\n{}", self.tail())),
        }
    }

    fn type_text(&mut self, text: &str) -> Result<(), String> {
        self.terminal.write_all(text.as_bytes()).map_err(|error| format!("cannot type `{text}`: {error}"))
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        // Both fail only when it has ended already. Its process 1 goes with it (--kill-child), and all others with that.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.other_side = None;
        // Once nobody has the other side open, reading ends.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let _ = fs::remove_dir(&self.root);
    }
}
