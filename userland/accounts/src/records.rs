//! Who is logged in and who was: utmp, wtmp and lastlog, in Linux's layout (utmp(5), lastlog(8)).
//!
//! A file that is not there is not made: whoever wants records makes them empty, as elsewhere. Records are for information;
//! a program that cannot write one goes on.

use abi::file::{O_APPEND, O_RDWR, O_WRONLY};
use core::ffi::CStr;

use nrlib::file::{self, File};
use nrlib::{Errno, Result, time};

/// Who is logged in.
pub const UTMP: &CStr = c"/var/run/utmp";
/// Who was.
pub const WTMP: &CStr = c"/var/log/wtmp";
/// When each user came last.
pub const LASTLOG: &CStr = c"/var/log/lastlog";

const LINE: core::ops::Range<usize> = 8..40;
const ID: core::ops::Range<usize> = 40..44;
const USER: core::ops::Range<usize> = 44..76;
const HOST: core::ops::Range<usize> = 76..332;

/// Bytes of `struct utmp`.
pub const RECORD_BYTES: usize = 384;
/// Bytes of `struct lastlog`.
pub const LAST_BYTES: usize = 292;

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The system started, or ended (then the user is `shutdown`).
    RunLevel,
    /// When the system was started.
    Boot,
    /// Somebody may log in here.
    Login,
    /// Somebody is logged in.
    User,
    /// He left.
    Dead,
    /// Anything else.
    Other(i16),
}

impl Kind {
    const fn number(self) -> i16 {
        match self {
            Kind::RunLevel => 1,
            Kind::Boot => 2,
            Kind::Login => 6,
            Kind::User => 7,
            Kind::Dead => 8,
            Kind::Other(number) => number,
        }
    }

    const fn of(number: i16) -> Kind {
        match number {
            1 => Kind::RunLevel,
            2 => Kind::Boot,
            6 => Kind::Login,
            7 => Kind::User,
            8 => Kind::Dead,
            number => Kind::Other(number),
        }
    }

    /// Whether records of this kind belong to a terminal and replace each other (pututline(3)).
    const fn is_of_a_process(self) -> bool {
        matches!(self.number(), 5..=8)
    }
}

/// `struct utmp`.
#[derive(Clone, PartialEq, Eq)]
pub struct Record([u8; RECORD_BYTES]);

impl Record {
    /// A record of now; texts are cut to what fits.
    pub fn new(kind: Kind, pid: i32, line: &[u8], user: &[u8]) -> Self {
        let mut record = Self([0; RECORD_BYTES]);
        record.put(0, &kind.number().to_le_bytes());
        record.put(4, &pid.to_le_bytes());
        record.put_text(LINE, line);
        record.put_text(ID, id_of(line));
        record.put_text(USER, user);
        let now = time::now_ns();
        let seconds = u32::try_from(now / 1_000_000_000).unwrap_or(u32::MAX);
        let microseconds = u32::try_from(now / 1000 % 1_000_000).unwrap_or(0);
        record.put(340, &seconds.to_le_bytes());
        record.put(344, &microseconds.to_le_bytes());
        record
    }

    /// The kernel's version belongs into records of starts.
    #[must_use]
    pub fn with_host(mut self, host: &[u8]) -> Self {
        self.put_text(HOST, host);
        self
    }

    /// Records of starts carry `~~`.
    #[must_use]
    pub fn with_id(mut self, id: &[u8]) -> Self {
        self.0[ID].fill(0);
        self.put_text(ID, id);
        self
    }

    /// Reads one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// As it stands in the files.
    pub const fn bytes(&self) -> &[u8; RECORD_BYTES] {
        &self.0
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn put_text(&mut self, place: core::ops::Range<usize>, text: &[u8]) {
        let text = text.get(..place.len()).unwrap_or(text);
        self.put(place.start, text);
    }

    fn text(&self, place: core::ops::Range<usize>) -> &[u8] {
        let field = self.0.get(place).unwrap_or_default();
        field.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// What it tells.
    pub fn kind(&self) -> Kind {
        Kind::of(i16::from_le_bytes([self.0[0], self.0[1]]))
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        i32::from_le_bytes([self.0[4], self.0[5], self.0[6], self.0[7]])
    }

    /// The terminal, without `/dev/`.
    pub fn line(&self) -> &[u8] {
        self.text(LINE)
    }

    /// Short for the terminal.
    pub fn id(&self) -> &[u8] {
        self.text(ID)
    }

    /// The user.
    pub fn user(&self) -> &[u8] {
        self.text(USER)
    }

    /// From where.
    pub fn host(&self) -> &[u8] {
        self.text(HOST)
    }

    /// When, in seconds since 1970.
    pub fn seconds(&self) -> i64 {
        i64::from(u32::from_le_bytes([self.0[340], self.0[341], self.0[342], self.0[343]]))
    }
}

/// Short for a terminal: what follows `tty`, or the end of the name.
fn id_of(line: &[u8]) -> &[u8] {
    let bare = line.strip_prefix(b"tty").filter(|rest| !rest.is_empty()).unwrap_or(line);
    bare.get(bare.len().saturating_sub(4)..).unwrap_or(bare)
}

/// Adds a record to what was (wtmp).
///
/// # Errors
/// Those of files; ENOENT means that nobody wants records.
pub fn append(record: &Record) -> Result<()> {
    let file = File::open(WTMP, O_WRONLY | O_APPEND, 0)?;
    file.lock()?;
    file.write_all(&record.0)
}

/// Calls `visit` with every record of a file.
///
/// # Errors
/// Those of files.
pub fn for_each(path: &CStr, mut visit: impl FnMut(&Record)) -> Result<()> {
    let file = File::open(path, abi::file::O_RDONLY, 0)?;
    let mut bytes = [0; RECORD_BYTES];
    while file.read_full(&mut bytes)? == RECORD_BYTES {
        visit(&Record(bytes));
    }
    Ok(())
}

/// Sets what is now (utmp): the record of the same terminal is replaced.
///
/// # Errors
/// Those of files; ENOENT means that nobody wants records.
pub fn set(record: &Record) -> Result<()> {
    let file = File::open(UTMP, O_RDWR, 0)?;
    file.lock()?;
    let mut bytes = [0; RECORD_BYTES];
    let mut place = 0;
    while file.read_full(&mut bytes)? == RECORD_BYTES {
        let old = Record(bytes);
        let is_same = if record.kind().is_of_a_process() {
            old.kind().is_of_a_process() && old.id() == record.id()
        } else {
            old.kind() == record.kind()
        };
        if is_same {
            break;
        }
        place += RECORD_BYTES as u64;
    }
    file.seek(place)?;
    file.write_all(&record.0)
}

/// The record of a process that has ended becomes that of a terminal where nobody is; in both files.
///
/// # Errors
/// Those of files.
pub fn end(pid: i32) -> Result<()> {
    let mut found = None;
    for_each(UTMP, |record| {
        if record.pid() == pid && matches!(record.kind(), Kind::Login | Kind::User) {
            found = Some(record.clone());
        }
    })?;
    let Some(old) = found else { return Ok(()) };
    let record = Record::new(Kind::Dead, pid, old.line(), b"").with_id(old.id());
    set(&record)?;
    if old.kind() == Kind::User { append(&record) } else { Ok(()) }
}

/// When and where a user came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Seconds since 1970.
    pub seconds: i64,
    line: [u8; 32],
}

impl Last {
    /// The terminal.
    pub fn line(&self) -> &[u8] {
        self.line.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

/// Tells when `user` came last, and notes that he is here now.
///
/// # Errors
/// Those of files; ENOENT means that nobody wants records.
pub fn last_login(user: u32, line: &[u8]) -> Result<Option<Last>> {
    let file = File::open(LASTLOG, O_RDWR, 0)?;
    let place = u64::from(user) * LAST_BYTES as u64;
    file.seek(place)?;
    let mut bytes = [0; LAST_BYTES];
    let count = file.read_full(&mut bytes)?;
    let last = decode_last(&bytes).filter(|_| count == LAST_BYTES);
    let mut fresh = [0; LAST_BYTES];
    let now = u32::try_from(time::now()).unwrap_or(u32::MAX);
    fresh[..4].copy_from_slice(&now.to_le_bytes());
    for (place, &byte) in fresh[4..36].iter_mut().zip(line) {
        *place = byte;
    }
    file.seek(place)?;
    file.write_all(&fresh)?;
    Ok(last)
}

fn decode_last(bytes: &[u8; LAST_BYTES]) -> Option<Last> {
    let seconds = i64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let mut line = [0; 32];
    line.copy_from_slice(&bytes[4..36]);
    (seconds != 0).then_some(Last { seconds, line })
}

/// Makes an empty file for records unless there is one.
///
/// # Errors
/// Those of open(2).
pub fn make(path: &CStr, mode: u32) -> Result<()> {
    if file::exists(path) {
        return Err(Errno::EEXIST);
    }
    let file = File::open(path, O_WRONLY | abi::file::O_CREAT, mode)?;
    file.set_mode(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_laid_out_as_linux_has_it() {
        let record = Record::new(Kind::User, 0x0102_0304, b"ttyS0", b"user").with_host(b"from");
        assert_eq!((record.0[0], record.0[1]), (7, 0));
        assert_eq!(&record.0[4..8], &[4, 3, 2, 1]);
        assert_eq!(&record.0[8..14], b"ttyS0\0");
        assert_eq!(&record.0[40..44], b"S0\0\0");
        assert_eq!(&record.0[44..49], b"user\0");
        assert_eq!(&record.0[76..81], b"from\0");
        assert!((record.seconds() - time::now()).abs() < 5);
        assert_eq!(Record::decode(&record.0).unwrap().user(), b"user");
        assert_eq!(Record::decode(&[0; 3]).map(|record| record.pid()), None);
    }

    #[test]
    fn texts_are_cut_to_their_fields() {
        let record = Record::new(Kind::Dead, 1, &[b'l'; 50], &[b'u'; 50]);
        assert_eq!((record.line().len(), record.user().len(), record.host().len()), (32, 32, 0));
        assert_eq!(id_of(b"pts/10"), b"s/10");
        assert_eq!(id_of(b"tty"), b"tty");
        assert_eq!(id_of(b"tty1"), b"1");
    }

    /// who(1) of this host reads what we write.
    #[test]
    fn this_hosts_who_reads_our_records() {
        let path = std::format!("{}/accounts-utmp-{}", std::env::temp_dir().display(), std::process::id());
        let pid = i32::try_from(std::process::id()).unwrap();
        let boot = Record::new(Kind::Boot, 0, b"~", b"reboot").with_id(b"~~");
        let user = Record::new(Kind::User, pid, b"ttyS0", b"somebody");
        std::fs::write(&path, [boot.0, user.0].concat()).unwrap();
        let output =
            std::process::Command::new("who").args(["-a", &path]).env("LC_ALL", "C").output().unwrap();
        std::fs::remove_file(&path).unwrap();
        let text = std::string::String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("system boot"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("somebody") && line.contains("ttyS0")), "{text}");
    }
}
