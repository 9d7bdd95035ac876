//! The meaning of each word.

use super::words::{Word, Words, words};

/// A console to open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Console<'a> {
    /// Its name below `/dev`; empty for no console at all.
    pub name: &'a str,
    /// What follows the comma, such as `115200n8`.
    pub options: Option<&'a str>,
}

/// How the root file system is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RootAccess {
    /// `ro`, the default.
    ReadOnly,
    /// `rw`.
    ReadWrite,
}

/// Whether faults of the CPU are worked around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mitigations {
    /// `off`
    Off,
    /// `auto`, the default.
    Auto,
    /// `auto,nosmt`
    AutoWithoutThreads,
}

/// What one word of the line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting<'a> {
    /// `console=`
    Console(Console<'a>),
    /// `root=`
    Root(&'a str),
    /// `rootfstype=`
    RootFsType(&'a str),
    /// `rootflags=`
    RootFlags(&'a str),
    /// `ro`, `rw`
    RootAccess(RootAccess),
    /// `init=`
    Init(&'a str),
    /// `rdinit=`
    RdInit(&'a str),
    /// `quiet`, `debug`, `loglevel=`: messages below this level reach the console.
    LogLevel(u8),
    /// `panic=`: seconds until reboot; zero waits for ever, less than zero reboots at once.
    PanicTimeout(i32),
    /// `maxcpus=`, `nr_cpus=`, `nosmp`: CPUs to start, at least one.
    MaxCpus(u32),
    /// `ramdisk_size=`: of each disk in memory, in KiB.
    RamDiskKib(u64),
    /// `mem=`: the address RAM is cut at.
    MemoryLimit(u64),
    /// `nokaslr`
    NoKaslr,
    /// `mitigations=`
    Mitigations(Mitigations),
    /// A word of Linux's that has nothing to set here.
    Ignored(Word<'a>),
    /// A word with a dot in its name: for a module.
    ModuleParameter(Word<'a>),
    /// `--`
    EndOfOptions,
    /// An unknown `name=value`: goes into init's environment.
    InitEnvironment(Word<'a>),
    /// Any other unknown word, and each word after `--`: an argument of init.
    InitArgument(Word<'a>),
    /// A known word whose value makes no sense; it has no effect.
    BadValue(Word<'a>),
}

/// What all words of the line say, in their order.
pub fn settings(line: &str) -> Settings<'_> {
    Settings { words: words(line), place: Place::Options }
}

/// Iterator over the settings of a line.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    words: Words<'a>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Options,
    AfterDashes,
}

impl<'a> Iterator for Settings<'a> {
    type Item = Setting<'a>;

    fn next(&mut self) -> Option<Setting<'a>> {
        let word = self.words.next()?;
        if self.place == Place::AfterDashes {
            return Some(Setting::InitArgument(word));
        }
        if word.ends_options() {
            self.place = Place::AfterDashes;
            return Some(Setting::EndOfOptions);
        }
        Some(meaning(word))
    }
}

/// What a word takes.
enum Takes {
    /// No value.
    Nothing(Setting<'static>),
    /// A value, which may make no sense.
    Value(for<'a> fn(&'a str) -> Option<Setting<'a>>),
}

/// The words we know. A known name of the other form (`root` alone, `ro=1`) is an unknown word, as on Linux.
const KNOWN: &[(&str, Takes)] = &[
    ("console", Takes::Value(|value| Some(Setting::Console(console(value))))),
    ("root", Takes::Value(|value| Some(Setting::Root(value)))),
    ("rootfstype", Takes::Value(|value| Some(Setting::RootFsType(value)))),
    ("rootflags", Takes::Value(|value| Some(Setting::RootFlags(value)))),
    ("ro", Takes::Nothing(Setting::RootAccess(RootAccess::ReadOnly))),
    ("rw", Takes::Nothing(Setting::RootAccess(RootAccess::ReadWrite))),
    ("init", Takes::Value(|value| Some(Setting::Init(value)))),
    ("rdinit", Takes::Value(|value| Some(Setting::RdInit(value)))),
    ("quiet", Takes::Nothing(Setting::LogLevel(4))),
    ("debug", Takes::Nothing(Setting::LogLevel(10))),
    ("ignore_loglevel", Takes::Nothing(Setting::LogLevel(15))),
    ("loglevel", Takes::Value(|value| value.parse().ok().map(Setting::LogLevel))),
    ("panic", Takes::Value(|value| value.parse().ok().map(Setting::PanicTimeout))),
    ("maxcpus", Takes::Value(cpu_count)),
    ("nr_cpus", Takes::Value(cpu_count)),
    ("nosmp", Takes::Nothing(Setting::MaxCpus(1))),
    ("ramdisk_size", Takes::Value(|value| value.parse().ok().map(Setting::RamDiskKib))),
    ("mem", Takes::Value(memory_limit)),
    ("nokaslr", Takes::Nothing(Setting::NoKaslr)),
    ("mitigations", Takes::Value(mitigations)),
];

/// Words of Linux's that people and boot loaders write and that set nothing here. They are listed so that
/// init does not get them as arguments.
const IGNORED: &str = "\
    acpi apic clocksource earlycon earlyprintk edd hpet initrd intel_iommu iommu kaslr lapic lpj \
    log_buf_len no_timer_check noapic noefi nofb nohpet nolapic nomodeset nomodules nopti norandmaps \
    noreplace-smp noresume nosmap nosmep nospectre_v2 nowatchdog pci pcie_aspm printk pti random reboot \
    resume rootdelay rootwait spectre_v2 swiotlb tsc vga video vt";

fn meaning(word: Word<'_>) -> Setting<'_> {
    for (name, takes) in KNOWN {
        if !word.is_named(name) {
            continue;
        }
        match (takes, word.value) {
            (Takes::Nothing(setting), None) => return *setting,
            (Takes::Value(parse), Some(value)) => return parse(value).unwrap_or(Setting::BadValue(word)),
            _ => break,
        }
    }
    if word.name.contains('.') {
        return Setting::ModuleParameter(word);
    }
    if IGNORED.split(' ').any(|name| word.is_named(name)) {
        return Setting::Ignored(word);
    }
    if word.value.is_some() { Setting::InitEnvironment(word) } else { Setting::InitArgument(word) }
}

fn console(value: &str) -> Console<'_> {
    let value = if value == "null" { "" } else { value };
    match value.split_once(',') {
        Some((name, options)) => Console { name, options: Some(options) },
        None => Console { name: value, options: None },
    }
}

/// Zero means no second CPU on Linux, which is one in all.
fn cpu_count(value: &str) -> Option<Setting<'_>> {
    value.parse().ok().map(|count: u32| Setting::MaxCpus(count.max(1)))
}

fn memory_limit(value: &str) -> Option<Setting<'_>> {
    size(value).filter(|&bytes| bytes != 0).map(Setting::MemoryLimit)
}

fn mitigations(value: &str) -> Option<Setting<'_>> {
    let mitigations = match value {
        "off" => Mitigations::Off,
        "auto" => Mitigations::Auto,
        "auto,nosmt" => Mitigations::AutoWithoutThreads,
        _ => return None,
    };
    Some(Setting::Mitigations(mitigations))
}

/// A number of bytes as Linux's `memparse` reads it: decimal, octal with `0`, hexadecimal with `0x`, and one
/// of the suffixes K, M, G, T, P, E. Unlike there, trailing garbage and overflow are errors.
fn size(text: &str) -> Option<u64> {
    let shift = match text.chars().next_back()?.to_ascii_lowercase() {
        'k' => 10,
        'm' => 20,
        'g' => 30,
        't' => 40,
        'p' => 50,
        // `0x..e` ends in a digit.
        'e' if !text.starts_with("0x") => 60,
        _ => 0,
    };
    let digits = text.get(..text.len() - usize::from(shift != 0))?;
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Setting<'_> {
        settings(line).next().unwrap()
    }

    #[test]
    fn sizes_are_read_as_memparse_does() {
        assert_eq!(size("64M"), Some(64 << 20));
        assert_eq!(size("0x10k"), Some(16 << 10));
        assert_eq!(size("0x1e"), Some(30));
        assert_eq!(size("010"), Some(8));
        assert_eq!(size("2g"), Some(2 << 30));
        for bad in ["", "M", "banana", "64MM", "16E", "-1", "+1", "0x", "é"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn words_mean_what_linux_says() {
        let console = Console { name: "ttyS0", options: Some("115200n8") };
        assert_eq!(one("console=ttyS0,115200n8"), Setting::Console(console));
        assert_eq!(one("console=null"), Setting::Console(Console { name: "", options: None }));
        assert_eq!(one("maxcpus=0"), Setting::MaxCpus(1));
        assert_eq!(one("nr-cpus=3"), Setting::MaxCpus(3));
        assert_eq!(one("panic=-1"), Setting::PanicTimeout(-1));
        assert_eq!(one("mitigations=auto,nosmt"), Setting::Mitigations(Mitigations::AutoWithoutThreads));
        assert_eq!(one("root=\"LABEL=my disk\""), Setting::Root("LABEL=my disk"));
    }

    #[test]
    fn bad_values_and_unknown_words_are_told_apart() {
        assert!(matches!(one("mem=banana"), Setting::BadValue(word) if word.name == "mem"));
        assert!(matches!(one("mem=0"), Setting::BadValue(_)));
        assert!(matches!(one("loglevel=256"), Setting::BadValue(_)));
        assert!(matches!(one("noapic"), Setting::Ignored(_)));
        assert!(matches!(one("virtio_blk.poll=1"), Setting::ModuleParameter(_)));
        assert!(matches!(one("BOOT_IMAGE=/boot/a.b"), Setting::InitEnvironment(_)));
        assert!(matches!(one("single"), Setting::InitArgument(_)));
        assert!(matches!(one("root"), Setting::InitArgument(_)));
        assert!(matches!(one("ro=1"), Setting::InitEnvironment(_)));
    }

    #[test]
    fn after_the_dashes_all_belongs_to_init() {
        let mut after = settings("quiet -- quiet a.b=c").skip(1);
        assert_eq!(after.next(), Some(Setting::EndOfOptions));
        assert!(after.all(|setting| matches!(setting, Setting::InitArgument(_))));
    }

    proptest! {
        #[test]
        fn no_value_panics(known in 0..KNOWN.len(), value in ".{0,12}") {
            settings(&std::format!("{}={value}", KNOWN[known].0)).count();
        }
    }
}
