//! All settings together, and what init gets.

use super::settings::{Console, Mitigations, RootAccess, Setting, settings};
use super::words::Word;
use core::fmt;

/// Consoles a line may name; Linux's limit.
const MAX_CONSOLES: usize = 8;

/// What the command line sets. Where a word occurs twice the last one counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootOptions<'a> {
    consoles: [Option<Console<'a>>; MAX_CONSOLES],
    /// `root=`
    pub root: Option<&'a str>,
    /// `rootfstype=`, names divided by commas.
    pub root_fs_type: Option<&'a str>,
    /// `rootflags=`
    pub root_flags: Option<&'a str>,
    /// `ro`, `rw`
    pub root_access: RootAccess,
    /// `init=`
    pub init: Option<&'a str>,
    /// `rdinit=`
    pub rdinit: Option<&'a str>,
    /// Messages below this level reach the console.
    pub log_level: u8,
    /// Seconds from panic to reboot; zero waits for ever, less than zero reboots at once.
    pub panic_timeout_s: i32,
    /// CPUs to start, at least one.
    pub max_cpus: u32,
    /// The size of each disk in memory, in KiB.
    pub ram_disk_kib: Option<u64>,
    /// The address RAM is cut at.
    pub memory_limit: Option<u64>,
    /// Whether `nokaslr` was given.
    pub is_kaslr_off: bool,
    /// `mitigations=`
    pub mitigations: Mitigations,
}

impl Default for BootOptions<'_> {
    fn default() -> Self {
        Self {
            consoles: [None; MAX_CONSOLES],
            root: None,
            root_fs_type: None,
            root_flags: None,
            root_access: RootAccess::ReadOnly,
            init: None,
            rdinit: None,
            log_level: 7,
            panic_timeout_s: 0,
            max_cpus: u32::MAX,
            ram_disk_kib: None,
            memory_limit: None,
            is_kaslr_off: false,
            mitigations: Mitigations::Auto,
        }
    }
}

impl<'a> BootOptions<'a> {
    /// Reads a line; what is wrong with it is told by [`remarks`].
    pub fn parse(line: &'a str) -> Self {
        settings(line).fold(Self::default(), Self::with)
    }

    /// The consoles in the order of the line; the last one is `/dev/console`. Naming one again moves it to
    /// the end, and of more than eight the rest is left out.
    pub fn consoles(&self) -> impl DoubleEndedIterator<Item = Console<'a>> + '_ {
        self.consoles.iter().flatten().copied()
    }

    fn with(mut self, setting: Setting<'a>) -> Self {
        match setting {
            Setting::Console(console) => self.add_console(console),
            Setting::Root(root) => self.root = Some(root),
            Setting::RootFsType(names) => self.root_fs_type = Some(names),
            Setting::RootFlags(flags) => self.root_flags = Some(flags),
            Setting::RootAccess(access) => self.root_access = access,
            Setting::Init(path) => self.init = Some(path),
            Setting::RdInit(path) => self.rdinit = Some(path),
            Setting::LogLevel(level) => self.log_level = level,
            Setting::PanicTimeout(seconds) => self.panic_timeout_s = seconds,
            Setting::MaxCpus(count) => self.max_cpus = count,
            Setting::RamDiskKib(kib) => self.ram_disk_kib = Some(kib),
            Setting::MemoryLimit(bytes) => self.memory_limit = Some(bytes),
            Setting::NoKaslr => self.is_kaslr_off = true,
            Setting::Mitigations(mitigations) => self.mitigations = mitigations,
            Setting::Ignored(_)
            | Setting::ModuleParameter(_)
            | Setting::EndOfOptions
            | Setting::InitEnvironment(_)
            | Setting::InitArgument(_)
            | Setting::BadValue(_) => {}
        }
        self
    }

    fn add_console(&mut self, console: Console<'a>) {
        let is_same = |held: &Option<Console<'a>>| held.is_some_and(|held| held.name == console.name);
        if let Some(place) = self.consoles.iter().position(is_same)
            && let Some(rest) = self.consoles.get_mut(place..)
        {
            rest.rotate_left(1);
            self.consoles[MAX_CONSOLES - 1] = None;
        }
        if let Some(slot) = self.consoles.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(console);
        }
    }
}

/// The arguments init gets, its own name not included. `init=` and `rdinit=` drop the words before them, so
/// that a boot loader's words do not reach a shell started by hand; words after `--` always stay.
pub fn init_arguments(line: &str) -> impl Iterator<Item = Word<'_>> + Clone {
    let names_init = |setting: &Setting<'_>| matches!(setting, Setting::Init(_) | Setting::RdInit(_));
    let last = settings(line).enumerate().filter(|(_, setting)| names_init(setting)).last();
    let dropped = last.map_or(0, |(index, _)| index + 1);
    settings(line).skip(dropped).filter_map(|setting| match setting {
        Setting::InitArgument(word) => Some(word),
        _ => None,
    })
}

/// What the line adds to init's environment. Of several words with one name only the last comes out.
pub fn init_environment(line: &str) -> impl Iterator<Item = Word<'_>> + Clone {
    let variables = settings(line).filter_map(|setting| match setting {
        Setting::InitEnvironment(word) => Some(word),
        _ => None,
    });
    let all = variables.clone().enumerate();
    let is_last = move |&(index, word): &(usize, Word<'_>)| {
        variables.clone().skip(index + 1).all(|later| later.name != word.name)
    };
    all.filter(is_last).map(|(_, word)| word)
}

/// Something about the line its author should know. It prints as a sentence for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remark<'a> {
    /// The value makes no sense and the word has no effect.
    BadValue(Word<'a>),
    /// We do not know the word; init gets it as an argument.
    UnknownToInit(Word<'a>),
    /// We do not know the word; init gets it in its environment.
    UnknownToEnvironment(Word<'a>),
}

/// What there is to say about the words of the line up to `--`.
pub fn remarks(line: &str) -> impl Iterator<Item = Remark<'_>> {
    let options = settings(line).take_while(|setting| *setting != Setting::EndOfOptions);
    options.filter_map(|setting| match setting {
        Setting::BadValue(word) => Some(Remark::BadValue(word)),
        Setting::InitArgument(word) => Some(Remark::UnknownToInit(word)),
        Setting::InitEnvironment(word) => Some(Remark::UnknownToEnvironment(word)),
        _ => None,
    })
}

impl<'a> Remark<'a> {
    /// The word it is about.
    pub fn word(&self) -> Word<'a> {
        match *self {
            Self::BadValue(word) | Self::UnknownToInit(word) | Self::UnknownToEnvironment(word) => word,
        }
    }
}

impl fmt::Display for Remark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadValue(word) => write!(f, "`{word}` on the command line: bad value, ignored"),
            Self::UnknownToInit(word) => write!(f, "`{word}` on the command line: unknown, passed to init"),
            Self::UnknownToEnvironment(word) => {
                write!(f, "`{word}` on the command line: unknown, passed to init's environment")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{format, string::String, vec::Vec};

    fn text<'a>(words: impl Iterator<Item = Word<'a>>) -> Vec<String> {
        words.map(|word| format!("{word}")).collect()
    }

    #[test]
    fn the_last_word_counts() {
        let options =
            BootOptions::parse("quiet root=/dev/vda ro root=/dev/vdb rw loglevel=6 mem=1G mem=banana");
        assert_eq!((options.root, options.root_access), (Some("/dev/vdb"), RootAccess::ReadWrite));
        assert_eq!((options.log_level, options.memory_limit), (6, Some(1 << 30)));
        assert_eq!(BootOptions::parse(""), BootOptions::default());
    }

    #[test]
    fn consoles_keep_their_order_and_a_repeated_one_moves_to_the_end() {
        let names =
            |line| BootOptions::parse(line).consoles().map(|console| console.name).collect::<Vec<_>>();
        assert_eq!(names("console=tty0 console=ttyS0,9600"), ["tty0", "ttyS0"]);
        assert_eq!(names("console=tty0 console=ttyS0 console=tty0"), ["ttyS0", "tty0"]);
        let many = (0..12).map(|n| format!("console=ttyS{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(names(&many).len(), MAX_CONSOLES);
    }

    #[test]
    fn init_gets_what_linux_gives_it() {
        let line =
            "BOOT_IMAGE=/vmlinuz early a.b=c init=/bin/sh single TERM=x \"V=two words\" TERM=vt100 -- -x y=z";
        assert_eq!(text(init_arguments(line)), ["single", "-x", "y=z"]);
        assert_eq!(text(init_environment(line)), ["BOOT_IMAGE=/vmlinuz", "V=two words", "TERM=vt100"]);
    }

    #[test]
    fn remarks_are_sentences_that_name_the_word() {
        let said: Vec<_> =
            remarks("mem=banana fast A=b quiet x.y=1 -- more").map(|r| format!("{r}")).collect();
        assert_eq!(
            said,
            [
                "`mem=banana` on the command line: bad value, ignored",
                "`fast` on the command line: unknown, passed to init",
                "`A=b` on the command line: unknown, passed to init's environment",
            ]
        );
        let named: Vec<_> = remarks("mem=banana fast A=b").map(|remark| remark.word().name).collect();
        assert_eq!(named, ["mem", "fast", "A"]);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(console=|init=|mem=|[a-z]|[ \"=.,-]|é){0,60}") {
            BootOptions::parse(&line).consoles().count();
            init_arguments(&line).count();
            init_environment(&line).count();
            remarks(&line).for_each(|remark| { let _ = format!("{remark}"); });
        }
    }
}
