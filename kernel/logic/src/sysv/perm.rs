//! Who may do what with an object: `struct ipc_perm`.

use abi::{Errno, Result};

use crate::cred::{Capability, Cred};

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Perm {
    /// What it is found by; 0 for those that are not.
    pub key: i32,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Who made it.
    pub maker: u32,
    /// The maker's group.
    pub maker_group: u32,
    /// Nine bits of permissions.
    pub mode: u32,
}

impl Perm {
    /// Of an object that `cred` makes.
    pub fn new(key: i32, mode: u32, cred: &Cred) -> Self {
        let (user, group) = (cred.user.effective, cred.group.effective);
        Perm { key, user, group, maker: user, maker_group: group, mode: mode & 0o777 }
    }

    /// Whether `cred` may do all that `wanted` says: permission bits, in any or all of the three places.
    ///
    /// # Errors
    /// EACCES.
    pub fn check(&self, cred: &Cred, wanted: u32) -> Result<()> {
        let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
        let in_group = |group: u32| cred.group.effective == group || cred.groups.contains(&group);
        let granted = if cred.user.effective == self.user || cred.user.effective == self.maker {
            self.mode >> 6
        } else if in_group(self.group) || in_group(self.maker_group) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted == 0 || cred.has(Capability::IpcOwner) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether `cred` may change or remove it.
    ///
    /// # Errors
    /// EPERM.
    pub fn check_owner(&self, cred: &Cred) -> Result<()> {
        let is_owner = cred.user.effective == self.user || cred.user.effective == self.maker;
        if is_owner || cred.has(Capability::SysAdmin) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// `struct ipc64_perm`, as words.
    pub fn encode(&self, number: i32, flags: u32) -> [u64; 6] {
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let sequence = number.cast_unsigned() >> 15;
        [
            pair(self.key.cast_unsigned(), self.user),
            pair(self.group, self.maker),
            pair(self.maker_group, self.mode | flags),
            u64::from(sequence),
            0,
            0,
        ]
    }

    /// Takes owner, group and permissions from a `struct ipc64_perm`.
    pub fn set_from(&mut self, words: [u64; 3]) {
        let half = |word: u64, high: bool| {
            let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
            u32::from_le_bytes(if high { [e, f, g, h] } else { [a, b, c, d] })
        };
        self.user = half(words[0], true);
        self.group = half(words[1], false);
        self.mode = half(words[2], true) & 0o777;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cred::Ids;

    fn user(id: u32) -> Cred {
        let mut cred = Cred::root();
        (cred.group, cred.capabilities.effective) = (Ids::all(id), 0);
        cred.user = Ids::all(id);
        cred
    }

    #[test]
    fn the_first_that_fits_decides() {
        let perm = Perm::new(7, 0o642, &user(5));
        let may = |id, wanted| perm.check(&user(id), wanted).is_ok();
        assert!(may(5, 0o600) && may(5, 0o444) && may(5, 0o222));
        assert!(!may(6, 0o400) && may(6, 0o222));
        assert!(perm.check(&Cred::root(), 0o600).is_ok());
        let mut given = perm;
        given.group = 6;
        assert!(given.check(&user(6), 0o444).is_ok() && given.check(&user(6), 0o222).is_err());
        assert!(perm.check_owner(&user(5)).is_ok() && perm.check_owner(&user(6)).is_err());
    }

    #[test]
    fn it_is_encoded_as_c_programs_have_it() {
        let perm = Perm { key: 0x1234, user: 1, group: 2, maker: 3, maker_group: 4, mode: 0o640 };
        let words = perm.encode(3 << 15 | 2, 0o1000);
        assert_eq!(words, [1 << 32 | 0x1234, 3 << 32 | 2, 0o1640 << 32 | 4, 3, 0, 0]);
        let mut other = Perm { user: 9, group: 9, mode: 0, ..perm };
        other.set_from([words[0], words[1], words[2]]);
        assert_eq!(other, perm);
    }
}
