//! What a row of the tables is: a name, permissions, and what is behind it.

use abi::{Errno, Result};
use logic::proc_text::Text;

use super::Procfs;
use super::source::{ProcessSource, SystemSource, Target, Who};

/// A question that a function of a row answers.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) proc: &'a Procfs,
    /// About whom; nobody for files of the system.
    pub(super) who: Who,
}

/// Writes a text.
pub(super) type Show = fn(&Question<'_>, &mut Text) -> Result<()>;
/// Takes what a program wrote.
pub(super) type Store = fn(&Question<'_>, &[u8]) -> Result<()>;
/// Says where a link leads.
pub(super) type Lead = fn(&Question<'_>) -> Result<Target>;

/// What is behind a name.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// A text.
    Text(Show),
    /// A text that can be written to.
    Setting(Show, Store),
    /// A link that leads to a file itself.
    Link(Lead),
    /// A link that is a path.
    Path(Lead),
    /// A directory of rows.
    Directory(&'static [Row]),
    /// The root: rows, and a directory for each process.
    Root(&'static [Row]),
    /// A directory for each thread of a process.
    Threads,
    /// A link for each open file.
    Descriptors,
    /// A text about each open file.
    DescriptorTexts,
}

/// A name and what is behind it.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) permissions: u32,
    pub(super) what: What,
}

/// A text that everybody may read.
pub(super) const fn text(name: &'static str, show: Show) -> Row {
    Row { name, permissions: 0o444, what: What::Text(show) }
}

/// A text that only the owner may read.
pub(super) const fn private(name: &'static str, show: Show) -> Row {
    Row { name, permissions: 0o400, what: What::Text(show) }
}

/// A text that everybody may read, and the owner write.
pub(super) const fn setting(name: &'static str, show: Show, store: Store) -> Row {
    Row { name, permissions: 0o644, what: What::Setting(show, store) }
}

/// A link that leads to a file itself.
pub(super) const fn link(name: &'static str, lead: Lead) -> Row {
    Row { name, permissions: 0o777, what: What::Link(lead) }
}

/// A directory.
pub(super) const fn directory(name: &'static str, permissions: u32, what: What) -> Row {
    Row { name, permissions, what }
}

impl Question<'_> {
    pub(super) fn processes(&self) -> &'static dyn ProcessSource {
        self.proc.processes
    }

    pub(super) fn system(&self) -> &'static dyn SystemSource {
        self.proc.system
    }
}

/// Appends formatted text.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => { $text.put(format_args!($($argument)*)) };
}
pub(super) use put;

/// A number that a program wrote, with white space around it.
pub(super) fn number<T: core::str::FromStr>(bytes: &[u8]) -> Result<T> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    text.trim_matches(|letter: char| letter.is_ascii_whitespace() || letter == '\0')
        .parse()
        .map_err(|_| Errno::EINVAL)
}
