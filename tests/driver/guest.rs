//! A running machine: wait for what it writes, type, judge how it ends.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::hang::{self, Places};
use crate::machine::Machine;
use crate::output::{Output, Waited};
use crate::qmp::Qmp;

/// QEMU's exit status after the guest powered off.
pub const POWERED_OFF: i32 = 0;
/// QEMU's exit status after the guest wrote 0x10, success, to the debug-exit device: 2 * 0x10 + 1.
pub const TEST_SUCCESS: i32 = 33;

const LOG_DIR: &str = "build/test-logs";
const LINES_SHOWN: usize = 40;

/// A machine that was started. Dropping it ends it.
pub struct Guest {
    qemu: Child,
    keyboard: ChildStdin,
    output: Arc<Output>,
    reader: Option<JoinHandle<()>>,
    /// How much of the output has been matched.
    position: usize,
    silence: Duration,
    deadline: Instant,
    places: Places,
    /// The file with what QEMU itself has to say.
    complaints: PathBuf,
}

impl Guest {
    /// Starts `machine`. Output goes to `build/test-logs/NAME.log` as well.
    ///
    /// # Errors
    /// A sentence when QEMU or an image is missing.
    pub fn start(name: &str, machine: &Machine) -> Result<Self, String> {
        let file_name = name.replace('/', "-");
        fs::create_dir_all(LOG_DIR).map_err(|error| format!("cannot make {LOG_DIR}: {error}"))?;
        let log_path = PathBuf::from(format!("{LOG_DIR}/{file_name}.log"));
        let log = File::create(&log_path).map_err(|error| format!("{}: {error}", log_path.display()))?;
        let complaints = log_path.with_extension("qemu");
        let errors =
            File::create(&complaints).map_err(|error| format!("{}: {error}", complaints.display()))?;
        // Socket paths are limited to 107 bytes, so it is not under build/.
        let socket = std::env::temp_dir().join(format!("nacre-{}-{file_name}.qmp", std::process::id()));
        let mut qemu = Command::new("qemu-system-x86_64")
            .args(machine.arguments(name)?)
            .args(["-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start QEMU ({error}); run: scripts/bootstrap running"))?;
        let (Some(keyboard), Some(screen)) = (qemu.stdin.take(), qemu.stdout.take()) else {
            return Err("QEMU has no serial line".to_string());
        };
        let output = Arc::new(Output::default());
        let shared = Arc::clone(&output);
        let picture = machine.has_screen().then(|| PathBuf::from(format!("{LOG_DIR}/{file_name}.png")));
        Ok(Self {
            qemu,
            keyboard,
            output,
            reader: Some(thread::spawn(move || shared.fill_from(screen, log))),
            position: 0,
            silence: machine.silence,
            deadline: Instant::now() + machine.total,
            places: Places { socket, symbols: machine.kernel.with_extension("debug"), picture },
            complaints,
        })
    }

    /// Waits until the guest writes `text`, and returns everything from the last match up to its end.
    ///
    /// # Errors
    /// A report when the guest ends, hangs or takes too long before that.
    pub fn wait_for(&mut self, text: &str) -> Result<String, String> {
        let (waited, position) = self.output.wait_for(text, self.position, self.silence, self.deadline);
        self.position = position;
        match waited {
            Waited::Found(found) => Ok(found),
            Waited::Ended => Err(self.ended_early(text)),
            Waited::Silent => {
                Err(self.hung(&format!("`{text}` did not come: no output for {} s", self.silence.as_secs())))
            }
            Waited::TooLong => Err(self.hung(&format!("`{text}` did not come before the time limit"))),
        }
    }

    /// Types `text` on the serial line.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn type_text(&mut self, text: &str) -> Result<(), String> {
        self.keyboard
            .write_all(text.as_bytes())
            .and_then(|()| self.keyboard.flush())
            .map_err(|error| format!("cannot type `{}`: {error}", text.escape_debug()))
    }

    /// Waits until QEMU ends and checks its exit status: [`POWERED_OFF`], [`TEST_SUCCESS`] or 2v + 1 for a v
    /// written to the debug-exit device. Returns all that the guest wrote.
    ///
    /// # Errors
    /// A report when it hangs or ends otherwise.
    pub fn expect_exit(&mut self, status: i32) -> Result<String, String> {
        match self.output.wait_for_end(self.silence, self.deadline) {
            Waited::Ended => {}
            _ => return Err(self.hung("the machine did not power off")),
        }
        let actual = self.exit_status()?;
        if actual == Some(status) {
            return Ok(self.output.text());
        }
        let actual = actual.map_or("a signal".to_string(), |actual| actual.to_string());
        Err(format!("QEMU ended with {actual} instead of {status}.\n{}", self.tail()))
    }

    /// Writes a picture of the screen to `path`, as PNG.
    ///
    /// # Errors
    /// There is no screen, or QEMU is gone.
    pub fn screenshot(&self, path: &Path) -> Result<(), String> {
        hang::screenshot(&mut self.control()?, path)
    }

    /// A connection to QEMU's control socket.
    ///
    /// # Errors
    /// QEMU is gone.
    pub fn control(&self) -> Result<Qmp, String> {
        Qmp::connect(&self.places.socket)
    }

    /// Everything the guest has written so far.
    pub fn output(&self) -> String {
        self.output.text()
    }

    fn exit_status(&mut self) -> Result<Option<i32>, String> {
        self.qemu.wait().map(|status| status.code()).map_err(|error| format!("QEMU is lost: {error}"))
    }

    fn ended_early(&mut self, text: &str) -> String {
        let status = self.exit_status().ok().flatten();
        let status = status.map_or("a signal".to_string(), |status| format!("status {status}"));
        format!("`{text}` did not come: QEMU ended with {status}.\n{}", self.tail())
    }

    fn hung(&self, reason: &str) -> String {
        format!("{reason}.\n{}\n{}", self.tail(), hang::report(&self.places))
    }

    fn tail(&self) -> String {
        let complaints = fs::read_to_string(&self.complaints).unwrap_or_default();
        let complaints = complaints.trim();
        let heading = if complaints.is_empty() { "" } else { "\nQEMU says:\n" };
        format!("Last output:\n{}{heading}{complaints}", self.output.last_lines(LINES_SHOWN))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when QEMU has ended already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let _ = fs::remove_file(&self.places.socket);
    }
}
