//! Whether an account may be used today, and whether a new password is good enough. Pure.
//!
//! The rules of dates are those of pam_unix(8) for shadow(5).

use nrlib::users::Shadow;

/// What the dates of an account mean today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Come in.
    Good,
    /// The password must be changed in so many days.
    Warn(i64),
    /// The password must be changed now.
    MustChange,
    /// It should have been changed earlier: nobody comes in.
    TooLate,
    /// The account is closed.
    Closed,
}

/// Looks at the dates; `today` is a number of days since 1970.
pub fn of(shadow: &Shadow<'_>, today: i64) -> Standing {
    if shadow.expires.is_some_and(|day| today >= day) {
        return Standing::Closed;
    }
    let Some(changed) = shadow.changed else { return Standing::Good };
    if changed == 0 {
        return Standing::MustChange;
    }
    // A change in the future: the clock is wrong, which is no reason to keep anybody out.
    let age = today.saturating_sub(changed);
    let Some(most) = shadow.most_days.filter(|_| age >= 0) else { return Standing::Good };
    if age > most {
        let is_too_late = shadow.grace_days.is_some_and(|grace| age > most.saturating_add(grace));
        return if is_too_late { Standing::TooLate } else { Standing::MustChange };
    }
    match shadow.warn_days {
        Some(warn) if age > most.saturating_sub(warn) => Standing::Warn(most - age),
        _ => Standing::Good,
    }
}

/// Days before the password may be changed again; 0 for now.
pub fn days_to_wait(shadow: &Shadow<'_>, today: i64) -> i64 {
    let (Some(changed), Some(least)) = (shadow.changed, shadow.least_days) else { return 0 };
    if changed == 0 {
        return 0;
    }
    changed.saturating_add(least).saturating_sub(today).max(0)
}

/// The fewest bytes of a password that a user chooses.
pub const FEWEST_BYTES: usize = 6;

/// What is wrong with a new password that a user chose; root may choose any.
pub fn objection(new: &[u8], old: &[u8], name: &[u8]) -> Option<&'static str> {
    let contains_name =
        !name.is_empty() && new.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name));
    if new.len() < FEWEST_BYTES {
        Some("it is too short: at least 6 characters are needed")
    } else if new == old {
        Some("it is the old one")
    } else if contains_name {
        Some("it contains the user's name")
    } else if new.iter().eq(new.iter().rev()) {
        Some("it is the same backwards")
    } else if new.iter().any(u8::is_ascii_control) {
        Some("it contains control characters")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadow(numbers: [i64; 6]) -> Shadow<'static> {
        let [changed, least_days, most_days, warn_days, grace_days, expires] =
            numbers.map(|number| (number >= 0).then_some(number));
        Shadow {
            name: b"user",
            hash: b"x",
            changed,
            least_days,
            most_days,
            warn_days,
            grace_days,
            expires,
            reserved: b"",
        }
    }

    #[test]
    fn dates_decide_as_pam_unix_does() {
        let cases = [
            ([-1, -1, -1, -1, -1, -1], Standing::Good),
            ([0, -1, -1, -1, -1, -1], Standing::MustChange),
            ([100, 0, 99_999, 7, -1, -1], Standing::Good),
            ([990, -1, 10, -1, -1, -1], Standing::Good),
            ([989, -1, 10, -1, -1, -1], Standing::MustChange),
            ([989, -1, 10, -1, 1, -1], Standing::MustChange),
            ([988, -1, 10, -1, 1, -1], Standing::TooLate),
            ([993, -1, 10, 3, -1, -1], Standing::Good),
            ([992, -1, 10, 3, -1, -1], Standing::Warn(2)),
            ([990, -1, 10, 7, -1, -1], Standing::Warn(0)),
            ([990, -1, 99, -1, -1, 1000], Standing::Closed),
            ([990, -1, 99, -1, -1, 1001], Standing::Good),
            ([0, -1, -1, -1, -1, 5], Standing::Closed),
            ([2000, -1, 10, 7, 1, -1], Standing::Good),
        ];
        for (numbers, expected) in cases {
            assert_eq!(of(&shadow(numbers), 1000), expected, "{numbers:?}");
        }
    }

    #[test]
    fn a_password_is_kept_for_its_least_days() {
        assert_eq!(days_to_wait(&shadow([998, 5, -1, -1, -1, -1]), 1000), 3);
        assert_eq!(days_to_wait(&shadow([900, 5, -1, -1, -1, -1]), 1000), 0);
        assert_eq!(days_to_wait(&shadow([0, 5, -1, -1, -1, -1]), 1), 0);
    }

    #[test]
    fn bad_passwords_are_named() {
        for bad in ["short", "old-password", "xxUSERxx", "abccba", "new\tline"] {
            assert!(objection(bad.as_bytes(), b"old-password", b"user").is_some(), "{bad}");
        }
        assert_eq!(objection(b"a-good-one", b"old-password", b"user"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_dates_make_it_panic(numbers: [i64; 6], today: i64) {
            let shadow = shadow(numbers);
            of(&shadow, today);
            proptest::prop_assert!(days_to_wait(&shadow, today) >= 0);
        }
    }
}
