//! QEMU's control socket: the QEMU Machine Protocol, and the human monitor through it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// QEMU answers at once unless it hangs itself.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A connection to a running QEMU.
pub struct Qmp {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket at `path` and leaves the negotiation mode.
    ///
    /// # Errors
    /// A sentence when there is no QEMU or it does not answer.
    pub fn connect(path: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(path).map_err(|error| format!("no QEMU control socket: {error}"))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(|error| error.to_string())?;
        let lines = BufReader::new(stream.try_clone().map_err(|error| error.to_string())?);
        let mut qmp = Self { stream, lines };
        qmp.read()?; // the greeting
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and returns what it returns.
    ///
    /// # Errors
    /// QEMU's description of the error, or that it does not answer.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream, "{request}").map_err(|error| format!("QEMU is gone: {error}"))?;
        loop {
            let mut answer = self.read()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(format!("QEMU refuses {command}: {}", error["desc"]));
            }
            // Anything else is an event that nobody asked for.
        }
    }

    /// Runs a command of the human monitor on a CPU and returns its text.
    ///
    /// # Errors
    /// As for [`Self::execute`].
    pub fn monitor(&mut self, command: &str, cpu: u64) -> Result<String, String> {
        let arguments = json!({ "command-line": command, "cpu-index": cpu });
        let text = self.execute("human-monitor-command", &arguments)?;
        Ok(text.as_str().unwrap_or_default().replace('\r', ""))
    }

    fn read(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => Err("QEMU closed its control socket".to_string()),
            Ok(_) => serde_json::from_str(&line).map_err(|error| format!("QEMU says nonsense: {error}")),
            Err(error) => Err(format!("QEMU does not answer: {error}")),
        }
    }
}
