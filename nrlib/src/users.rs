//! Users and groups: the lines of `/etc/passwd`, `/etc/group` and `/etc/shadow` (passwd(5), group(5), shadow(5)).
//!
//! Pure: everything works on the text of a file. As in other libraries, a line that is none is passed over, and the first
//! line of a name counts. No locks: who changes a file replaces it whole.

use alloc::vec::Vec;

use abi::{Errno, Result};

/// A line of `/etc/passwd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// The name.
    pub name: &'a [u8],
    /// `x` if the hash is in `/etc/shadow`.
    pub password: &'a [u8],
    /// The number.
    pub id: u32,
    /// The number of the user's own group.
    pub group: u32,
    /// The full name and more, separated by commas.
    pub comment: &'a [u8],
    /// The home folder.
    pub home: &'a [u8],
    /// What runs at login; empty is `/bin/sh`.
    pub shell: &'a [u8],
}

/// A line of `/etc/group`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The number.
    pub id: u32,
    /// Who is in it besides those whose own group it is, separated by commas.
    members: &'a [u8],
}

/// A line of `/etc/shadow`. Days are counted from 1970; what is not set is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow<'a> {
    /// The user.
    pub name: &'a [u8],
    /// The hash; one that begins with `!` is locked.
    pub hash: &'a [u8],
    /// The day of the last change; 0 demands one.
    pub changed: Option<i64>,
    /// Days before it may be changed again.
    pub least_days: Option<i64>,
    /// Days after which it must be changed.
    pub most_days: Option<i64>,
    /// Days before that when the user is warned.
    pub warn_days: Option<i64>,
    /// Days after that when it is too late.
    pub grace_days: Option<i64>,
    /// The day from which on the account is closed.
    pub expires: Option<i64>,
    /// For later.
    pub reserved: &'a [u8],
}

/// The fields of a line, if there are exactly `N`.
fn fields<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    let mut fields: [&[u8]; N] = [b""; N];
    let mut parts = line.split(|&byte| byte == b':');
    for field in &mut fields {
        *field = parts.next()?;
    }
    parts.next().is_none().then_some(fields)
}

/// A number without sign or blanks.
fn number(field: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(field).ok()?;
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// A number of days; an empty field and a negative number mean that there is none.
fn days(field: &[u8]) -> Option<Option<i64>> {
    if field.is_empty() {
        return Some(None);
    }
    let text = core::str::from_utf8(field).ok()?;
    if text.starts_with('+') {
        return None;
    }
    let days: i64 = text.parse().ok()?;
    Some((days >= 0).then_some(days))
}

/// A name that a line may have: not empty, and not one of those lines that NIS wants.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !matches!(name[0], b'+' | b'-' | b'#')
}

impl<'a> User<'a> {
    /// Reads a line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let [name, password, id, group, comment, home, shell] = fields(line)?;
        if !is_name(name) {
            return None;
        }
        Some(Self { name, password, id: number(id)?, group: number(group)?, comment, home, shell })
    }

    /// What runs at login.
    pub const fn login_shell(&self) -> &'a [u8] {
        if self.shell.is_empty() { b"/bin/sh" } else { self.shell }
    }
}

impl<'a> Group<'a> {
    /// Reads a line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let [name, _, id, members] = fields(line)?;
        if !is_name(name) {
            return None;
        }
        Some(Self { name, id: number(id)?, members })
    }

    /// Who is in it besides those whose own group it is.
    pub fn members(&self) -> impl Iterator<Item = &'a [u8]> {
        self.members.split(|&byte| byte == b',').filter(|member| !member.is_empty())
    }
}

impl<'a> Shadow<'a> {
    /// Reads a line.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let [name, hash, changed, least, most, warn, grace, expires, reserved] = fields(line)?;
        if !is_name(name) {
            return None;
        }
        Some(Self {
            name,
            hash,
            changed: days(changed)?,
            least_days: days(least)?,
            most_days: days(most)?,
            warn_days: days(warn)?,
            grace_days: days(grace)?,
            expires: days(expires)?,
            reserved,
        })
    }

    /// As a line, without its end.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn line(&self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        line.try_reserve(self.name.len() + self.hash.len() + self.reserved.len() + 6 * 21 + 8)
            .map_err(|_| Errno::ENOMEM)?;
        line.extend_from_slice(self.name);
        line.push(b':');
        line.extend_from_slice(self.hash);
        let numbers =
            [self.changed, self.least_days, self.most_days, self.warn_days, self.grace_days, self.expires];
        for days in numbers {
            line.push(b':');
            if let Some(days) = days {
                line.extend_from_slice(alloc::format!("{days}").as_bytes());
            }
        }
        line.push(b':');
        line.extend_from_slice(self.reserved);
        Ok(line)
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// All users.
pub fn users(text: &[u8]) -> impl Iterator<Item = User<'_>> {
    lines(text).filter_map(User::parse)
}

/// All groups.
pub fn groups(text: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(text).filter_map(Group::parse)
}

/// The user of a name.
pub fn user_by_name<'a>(text: &'a [u8], name: &[u8]) -> Option<User<'a>> {
    users(text).find(|user| user.name == name)
}

/// The user of a number.
pub fn user_by_id(text: &[u8], id: u32) -> Option<User<'_>> {
    users(text).find(|user| user.id == id)
}

/// The group of a name.
pub fn group_by_name<'a>(text: &'a [u8], name: &[u8]) -> Option<Group<'a>> {
    groups(text).find(|group| group.name == name)
}

/// The group of a number.
pub fn group_by_id(text: &[u8], id: u32) -> Option<Group<'_>> {
    groups(text).find(|group| group.id == id)
}

/// The line of a user in `/etc/shadow`.
pub fn shadow_by_name<'a>(text: &'a [u8], name: &[u8]) -> Option<Shadow<'a>> {
    lines(text).filter_map(Shadow::parse).find(|shadow| shadow.name == name)
}

/// The numbers of the groups that a user is in: the own one first, then those that list the name, as initgroups(3).
///
/// # Errors
/// ENOMEM.
pub fn groups_of(text: &[u8], name: &[u8], own: u32) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    let listed =
        groups(text).filter(|group| group.members().any(|member| member == name)).map(|group| group.id);
    for id in core::iter::once(own).chain(listed) {
        if !numbers.contains(&id) {
            numbers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            numbers.push(id);
        }
    }
    Ok(numbers)
}

/// The text of `/etc/shadow` with another line for a user; all else stays as it is, byte for byte.
///
/// # Errors
/// ESRCH if the user has no line; EINVAL if a field of the new one has a colon or ends the line; ENOMEM.
pub fn replace_shadow(text: &[u8], entry: &Shadow<'_>) -> Result<Vec<u8>> {
    let line = entry.line()?;
    if line.contains(&b'\n') || Shadow::parse(&line).as_ref() != Some(entry) {
        return Err(Errno::EINVAL);
    }
    let mut new = Vec::new();
    new.try_reserve(text.len() + line.len()).map_err(|_| Errno::ENOMEM)?;
    let mut is_done = false;
    for old in text.split_inclusive(|&byte| byte == b'\n') {
        let bare = old.strip_suffix(b"\n").unwrap_or(old);
        let is_it = !is_done && Shadow::parse(bare).is_some_and(|found| found.name == entry.name);
        if is_it {
            new.extend_from_slice(&line);
            new.push(b'\n');
            is_done = true;
        } else {
            new.extend_from_slice(old);
        }
    }
    if is_done { Ok(new) } else { Err(Errno::ESRCH) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;
    use std::string::String;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\n\n# no line\nbad:x:1\nuser:x:1000:1000:A User,,,:/home/user:\n\
                            plus:x:+7:0:::\nuser:x:1:1:second:/:/bin/false\n+::::::\n";
    const GROUP: &[u8] = b"root:x:0:\ntty:x:5:user\nusers:x:100:other,user\nuser:x:1000:\nwheel:x:10:other\n";
    const SHADOW: &[u8] =
        b"root:$6$salt$hash:20000:0:99999:7:::\n# kept\nuser:!:::::10:20:\nno newline:*:1:2:3:4:5:6:7";

    #[test]
    fn the_first_line_of_a_name_counts() {
        let user = user_by_name(PASSWD, b"user").unwrap();
        assert_eq!((user.id, user.group, user.home), (1000, 1000, &b"/home/user"[..]));
        assert_eq!(user.login_shell(), b"/bin/sh");
        assert_eq!(users(PASSWD).count(), 3);
        assert_eq!(user_by_id(PASSWD, 0).unwrap().name, b"root");
        assert_eq!(user_by_id(PASSWD, 7), None);
    }

    #[test]
    fn groups_of_a_user() {
        assert_eq!(groups_of(GROUP, b"user", 1000).unwrap(), [1000, 5, 100]);
        assert_eq!(groups_of(GROUP, b"nobody", 9).unwrap(), [9]);
        assert_eq!(group_by_id(GROUP, 5).unwrap().name, b"tty");
        assert_eq!(group_by_name(GROUP, b"wheel").unwrap().id, 10);
    }

    #[test]
    fn a_line_of_shadow_is_replaced_and_nothing_else() {
        let mut entry = shadow_by_name(SHADOW, b"user").unwrap();
        assert_eq!((entry.grace_days, entry.expires), (Some(10), Some(20)));
        entry.hash = b"$6$new$hash";
        entry.changed = Some(20_500);
        let text = replace_shadow(SHADOW, &entry).unwrap();
        let expected = String::from_utf8_lossy(SHADOW).replace("user:!::", "user:$6$new$hash:20500:");
        assert_eq!(String::from_utf8_lossy(&text), expected);
        entry.hash = b"two:fields";
        assert_eq!(replace_shadow(SHADOW, &entry), Err(Errno::EINVAL));
        entry.hash = b"two\nlines";
        assert_eq!(replace_shadow(SHADOW, &entry), Err(Errno::EINVAL));
        entry.name = b"nobody";
        entry.hash = b"x";
        assert_eq!(replace_shadow(SHADOW, &entry), Err(Errno::ESRCH));
    }

    /// getent(1) of this host is the oracle.
    #[test]
    fn this_hosts_files_are_read_as_getent_reads_them() {
        let text = std::fs::read("/etc/passwd").unwrap();
        for user in users(&text) {
            let name = String::from_utf8_lossy(user.name).into_owned();
            let output = Command::new("getent").args(["-s", "files", "passwd", &name]).output().unwrap();
            let expected = User::parse(output.stdout.strip_suffix(b"\n").unwrap()).unwrap();
            assert_eq!(user_by_name(&text, user.name), Some(expected));
        }
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let field = "[a-z0-9:!*$+#\n-]{0,12}";
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            proptest::collection::vec(field, 1..10).prop_map(|fields| fields.join(":").into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_files_hold_is_read(text in proptest::collection::vec(line(), 0..8)) {
            let text = text.join(&b'\n');
            for user in users(&text) {
                prop_assert!(user_by_name(&text, user.name).is_some());
                prop_assert!(!user.name.contains(&b':') && !user.home.contains(&b'\n'));
            }
            for group in groups(&text) {
                prop_assert!(group.members().all(|member| !member.is_empty()));
            }
            prop_assert_eq!(groups_of(&text, b"a", 3).unwrap()[0], 3);
        }

        #[test]
        fn lines_of_shadow_go_round(
            name in "[a-z][a-z0-9]{0,8}", hash in "[!*$./a-zA-Z0-9]{0,40}",
            numbers in proptest::array::uniform6(proptest::option::of(0..100_000_i64)),
        ) {
            let [changed, least_days, most_days, warn_days, grace_days, expires] = numbers;
            let entry = Shadow {
                name: name.as_bytes(), hash: hash.as_bytes(),
                changed, least_days, most_days, warn_days, grace_days, expires, reserved: b"",
            };
            let line = entry.line().unwrap();
            prop_assert_eq!(Shadow::parse(&line), Some(entry));
        }

        #[test]
        fn replacing_keeps_all_other_lines(text in proptest::collection::vec(line(), 0..8)) {
            let text = text.join(&b'\n');
            let Some(mut entry) = lines(&text).find_map(Shadow::parse) else { return Ok(()) };
            entry.hash = b"new";
            let new = replace_shadow(&text, &entry).unwrap();
            prop_assert_eq!(shadow_by_name(&new, entry.name), Some(entry));
            let differing = lines(&text).zip(lines(&new)).filter(|(old, new)| old != new).count();
            prop_assert!(differing <= 1);
        }
    }
}
