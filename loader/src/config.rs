//! The file nacre.conf: what to boot and with which words.
//!
//! Lines of `word=value`; empty lines and lines that start with `#` say nothing. Every word is optional, and
//! so is the file.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Which protocol the kernel is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The Limine boot protocol.
    Limine,
    /// None: the kernel is mapped and entered, and no request is answered. For the test that a kernel booted
    /// by no protocol it knows says so.
    None,
}

/// What nacre.conf says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The kernel's command line.
    pub cmdline: String,
    /// Path of the kernel on the loader's disk.
    pub kernel: String,
    /// Paths of modules that must be there. None given means [`DEFAULT_MODULE`], if it is there.
    pub modules: Vec<String>,
    /// How the kernel is started.
    pub protocol: Protocol,
}

/// The module that is loaded when nacre.conf names none.
pub const DEFAULT_MODULE: &str = "\\initramfs.cpio";

impl Default for Config {
    fn default() -> Self {
        Self {
            cmdline: String::new(),
            kernel: "\\nacre.elf".to_string(),
            modules: Vec::new(),
            protocol: Protocol::Limine,
        }
    }
}

/// A line of nacre.conf that says nothing sensible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Line number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "\\nacre.conf, line {}, is not understood: `{}`. Lines are cmdline=WORDS, kernel=PATH, module=PATH, \
             protocol=limine or protocol=none.",
            self.line, self.text
        )
    }
}

/// Reads the text of nacre.conf.
///
/// # Errors
/// The first line with an unknown word or value.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        apply(&mut config, line).ok_or_else(|| ConfigError { line: index + 1, text: line.to_string() })?;
    }
    Ok(config)
}

fn apply(config: &mut Config, line: &str) -> Option<()> {
    let (word, value) = line.split_once('=')?;
    let value = value.trim();
    match word.trim() {
        "cmdline" => config.cmdline = value.to_string(),
        "kernel" => config.kernel = path(value),
        "module" => config.modules.push(path(value)),
        "protocol" => config.protocol = protocol(value)?,
        _ => return None,
    }
    Some(())
}

fn protocol(value: &str) -> Option<Protocol> {
    match value {
        "limine" => Some(Protocol::Limine),
        "none" => Some(Protocol::None),
        _ => None,
    }
}

/// UEFI wants backslashes and a path from the root; people write slashes.
fn path(value: &str) -> String {
    let path = value.replace('/', "\\");
    if path.starts_with('\\') { path } else { alloc::format!("\\{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        let text = "# comment\r\n\ncmdline = console=ttyS0 root=/dev/vda\r\nkernel=boot/a.elf\nmodule=/b\nmodule=c\n\
                    protocol=none";
        let config = parse(text).unwrap();
        assert_eq!(config.cmdline, "console=ttyS0 root=/dev/vda");
        assert_eq!(config.kernel, "\\boot\\a.elf");
        assert_eq!(config.modules, ["\\b", "\\c"]);
        assert_eq!(config.protocol, Protocol::None);
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn errors_name_the_line() {
        for text in ["\nkernl=x", "\ncmdline", "\nprotocol=grub"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.to_string().contains(text.trim()), "{error}");
        }
    }
}
