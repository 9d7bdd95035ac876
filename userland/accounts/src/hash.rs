//! The hashes of `/etc/shadow` (crypt(5)): `$6$` and `$5$` (SHA-512 and SHA-256), `$y$` (yescrypt). New ones are `$6$`.
//!
//! The crates compare in constant time. Whatever they do not know, such as a locked hash, does not match; then, and for
//! names that do not exist, as much is computed as for one that matches, so that the time tells nothing.

use alloc::string::String;
use alloc::vec::Vec;

use nrlib::{Errno, Result};
use sha_crypt::{CustomizedPasswordHasher, Params, PasswordVerifier, ShaCrypt};
use yescrypt::Yescrypt;

use crate::secret::Secret;

/// What is computed when there is nothing to compare with: a hash of nobody's password.
const NOBODYS: &str = "$6$nobodysnobodysno$\
    1111111111111111111111111111111111111111111111111111111111111111111111111111111111111.";

/// Bytes that make a salt of 16 letters.
pub const SALT_BYTES: usize = 12;

/// Whether the hash is `secret`'s.
pub fn matches(hash: &[u8], secret: &Secret) -> bool {
    let is_known = |prefix: &&str| hash.starts_with(prefix.as_bytes());
    let text = core::str::from_utf8(hash).ok().filter(|_| ["$5$", "$6$", "$y$"].iter().any(is_known));
    let Some(text) = text.filter(|_| !secret.is_too_long()) else {
        let _ = core::hint::black_box(ShaCrypt::SHA512.verify_password(secret.reveal(), NOBODYS));
        return false;
    };
    if text.starts_with("$y$") {
        Yescrypt::default().verify_password(secret.reveal(), text).is_ok()
    } else {
        ShaCrypt::SHA512.verify_password(secret.reveal(), text).is_ok()
    }
}

/// Spends the time that [`matches`] takes, for a name that does not exist.
pub fn waste(secret: &Secret) {
    let _ = matches(b"!", secret);
}

/// Whether nobody can log in with a password: the hash is none, or locked with `!`. An empty one is another thing.
pub fn is_locked(hash: &[u8]) -> bool {
    matches!(hash.first(), Some(b'!' | b'*'))
}

/// The hash of a new password.
///
/// # Errors
/// EINVAL for a password that is too long.
pub fn make(secret: &Secret, salt: &[u8; SALT_BYTES]) -> Result<Vec<u8>> {
    if secret.is_too_long() {
        return Err(Errno::EINVAL);
    }
    let hash =
        ShaCrypt::SHA512.hash_password_customized(secret.reveal(), salt, None, None, Params::RECOMMENDED);
    let hash: String = hash.map_err(|_| Errno::EINVAL)?.as_str().into();
    Ok(hash.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// crypt(3) of this host, by perl.
    fn crypt(password: &str, setting: &str) -> Option<String> {
        let output = Command::new("perl")
            .args(["-e", "print crypt($ARGV[0], $ARGV[1])", password, setting])
            .output()
            .ok()?;
        let hash = String::from_utf8(output.stdout).ok()?;
        hash.starts_with(setting.get(..3)?).then_some(hash)
    }

    #[test]
    fn hashes_of_this_hosts_libcrypt_match() {
        for password in ["", "a", "correct horse battery staple", "pässwörd", &"x".repeat(200)] {
            for setting in [
                "$6$saltstring$",
                "$6$rounds=1400$anotherlongsaltstring$",
                "$5$short$",
                "$y$j9T$Fv3yYK2lVBHCEBqI1Qfmi/$",
            ] {
                let Some(hash) = crypt(password, setting) else {
                    panic!("this host's crypt has no {setting}")
                };
                assert!(matches(hash.as_bytes(), &Secret::of(password.as_bytes())), "{password} {hash}");
                assert!(!matches(hash.as_bytes(), &Secret::of(b"other")), "{hash}");
            }
        }
    }

    #[test]
    fn new_hashes_match_there_and_here() {
        for (round, password) in ["user", "", "a longer one, with blanks: and colons"].into_iter().enumerate()
        {
            let salt = [u8::try_from(round * 40).unwrap(); SALT_BYTES];
            let hash = String::from_utf8(make(&Secret::of(password.as_bytes()), &salt).unwrap()).unwrap();
            assert!(!hash.contains(':') && hash.starts_with("$6$"));
            assert_eq!(crypt(password, &hash).as_ref(), Some(&hash));
            assert!(matches(hash.as_bytes(), &Secret::of(password.as_bytes())));
        }
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        let good = String::from_utf8(make(&Secret::of(b"x"), &[7; SALT_BYTES]).unwrap()).unwrap();
        let locked = std::format!("!{good}");
        let cut = &good[..good.len() - 3];
        for hash in
            ["", "!", "*", "x", "$6$", "$6$$", "$y$", "$y$j9T$", "$1$a$b", "$6$rounds=1$a$b", &locked, cut]
        {
            assert!(!matches(hash.as_bytes(), &Secret::of(b"x")), "{hash}");
        }
        assert!(is_locked(b"!x") && is_locked(b"*") && !is_locked(b"") && !is_locked(good.as_bytes()));
        assert!(NOBODYS.starts_with("$6$") && !matches(NOBODYS.as_bytes(), &Secret::of(b"x")));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(hash in "\\$(6|5)\\$(rounds=[0-9]{1,3}\\$)?[ -~]{0,30}") {
            matches(hash.as_bytes(), &Secret::of(b"x"));
        }
    }
}
