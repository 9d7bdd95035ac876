//! What the kernel's command line says about the root, in Linux's words. Pure.

use alloc::vec::Vec;

use logic::cmdline;

/// Whether the root may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Yes, if the disk allows it: also when neither `rw` nor `ro` is given, since nobody mounts it again later.
    Write,
    /// No.
    Read,
}

/// How a disk is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// By its file in `/dev`.
    Path(Vec<u8>),
    /// By the number its file system carries.
    Uuid([u8; 16]),
    /// By the name its file system carries.
    Label(Vec<u8>),
    /// In a way that is not understood here.
    Unknown(Vec<u8>),
}

/// Where the root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPlan {
    /// The disk.
    pub source: Source,
    /// Whether it may be written.
    pub access: Access,
    /// `rootfstype=`: kinds to try, instead of all.
    pub kinds: Vec<Vec<u8>>,
    /// `rootflags=`.
    pub options: Vec<u8>,
    /// How long to wait for the disk; `None` is for ever (`rootwait`).
    pub wait_ms: Option<u64>,
    /// `init=`.
    pub init: Option<Vec<u8>>,
}

/// How long one waits for a disk if nothing is said.
const WAIT_MS: u64 = 10_000;

impl RootPlan {
    /// Reads the line; `None` if it names no root.
    pub fn parse(line: &[u8]) -> Option<RootPlan> {
        let text = core::str::from_utf8(line).ok()?;
        let mut plan = RootPlan {
            source: Source::Unknown(Vec::new()),
            access: Access::Write,
            kinds: Vec::new(),
            options: Vec::new(),
            wait_ms: Some(WAIT_MS),
            init: None,
        };
        let mut has_root = false;
        for word in cmdline::words(text.trim_end_matches('\n')).take_while(|word| !word.ends_options()) {
            match (word.name, word.value) {
                ("root", Some(value)) => {
                    plan.source = source(value);
                    has_root = true;
                }
                ("rw", None) => plan.access = Access::Write,
                ("ro", None) => plan.access = Access::Read,
                ("rootfstype", Some(value)) => {
                    plan.kinds = value.split(',').map(|kind| kind.into()).collect()
                }
                ("rootflags", Some(value)) => plan.options = value.into(),
                ("rootwait", None) => plan.wait_ms = None,
                ("rootdelay", Some(value)) => {
                    let seconds: u64 = value.parse().unwrap_or(0);
                    plan.wait_ms = plan.wait_ms.map(|wait| wait.max(seconds.saturating_mul(1000)));
                }
                ("init", Some(value)) => plan.init = Some(value.into()),
                _ => {}
            }
        }
        has_root.then_some(plan)
    }
}

fn source(value: &str) -> Source {
    if let Some(text) = value.strip_prefix("UUID=") {
        return uuid(text).map_or_else(|| Source::Unknown(value.into()), Source::Uuid);
    }
    if let Some(label) = value.strip_prefix("LABEL=") {
        return Source::Label(label.into());
    }
    if value.starts_with("/dev/") { Source::Path(value.into()) } else { Source::Unknown(value.into()) }
}

/// The 16 bytes of a UUID in its usual text form.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.chars().filter(|&letter| letter != '-').map(|letter| letter.to_digit(16));
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

/// Bytes from the start of a disk that [`identify`] looks at.
pub const SUPERBLOCK_END: usize = 2048;

/// Number and name of an ext2, ext3 or ext4 file system, from the first bytes of its disk.
pub fn identify(start: &[u8; SUPERBLOCK_END]) -> Option<([u8; 16], &[u8])> {
    let superblock = &start[1024..];
    if superblock[56..58] != [0x53, 0xef] {
        return None;
    }
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&superblock[104..120]);
    let label = superblock[120..136].split(|&byte| byte == 0).next().unwrap_or_default();
    Some((uuid, label))
}

/// The names of disks and partitions in `/proc/partitions`.
pub fn disks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (major, name) = (words.next()?, words.nth(2)?);
        major.iter().all(u8::is_ascii_digit).then_some(name)
    })
}

/// The kinds of file systems in `/proc/filesystems` that are on disks.
pub fn disk_kinds(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"\t"))
        .filter(|kind| !kind.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_in_linuxs_words() {
        let line = b"console=ttyS0 root=/dev/vda1 ro rootfstype=ext4,ext2 rootdelay=20 init=/bin/x -- root=/dev/no\n";
        let plan = RootPlan::parse(line).unwrap();
        assert_eq!(plan.source, Source::Path(b"/dev/vda1".to_vec()));
        assert_eq!((plan.access, plan.kinds.len(), plan.wait_ms), (Access::Read, 2, Some(20_000)));
        assert_eq!(plan.init, Some(b"/bin/x".to_vec()));
        let plan = RootPlan::parse(b"root=LABEL=nacre rootwait").unwrap();
        assert_eq!(
            (plan.source, plan.access, plan.wait_ms),
            (Source::Label(b"nacre".to_vec()), Access::Write, None)
        );
        assert_eq!(RootPlan::parse(b"console=ttyS0 quiet"), None);
    }

    #[test]
    fn uuids_and_what_is_none() {
        let plan = RootPlan::parse(b"root=UUID=01234567-89ab-4def-8123-456789abcdef").unwrap();
        let Source::Uuid(bytes) = plan.source else { panic!("{plan:?}") };
        assert_eq!((bytes[0], bytes[15]), (1, 0xef));
        for value in ["UUID=xyz", "PARTUUID=1234", "801", ""] {
            assert_eq!(source(value), Source::Unknown(value.into()));
        }
    }

    #[test]
    fn a_superblock_names_its_file_system() {
        let mut start = [0; SUPERBLOCK_END];
        assert_eq!(identify(&start), None);
        start[1080..1082].copy_from_slice(&[0x53, 0xef]);
        start[1128..1144].fill(7);
        start[1144..1149].copy_from_slice(b"nacre");
        assert_eq!(identify(&start), Some(([7; 16], &b"nacre"[..])));
    }

    #[test]
    fn tables_of_the_kernel_are_read() {
        let text =
            b"major minor  #blocks  name\n\n 254        0      65536 vda\n   8        1      65535 sda1\n";
        assert_eq!(disks(text).collect::<Vec<_>>(), [&b"vda"[..], b"sda1"]);
        let text = b"nodev\tsysfs\nnodev\ttmpfs\n\text2\n\tvfat\n";
        assert_eq!(disk_kinds(text).collect::<Vec<_>>(), [&b"ext2"[..], b"vfat"]);
    }
}
