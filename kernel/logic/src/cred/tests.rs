//! Who may do what, as Linux decides it.

use super::*;

fn run(cred: &Cred, gains: Gains) -> Cred {
    cred.after_exec(gains, Gaining::Allowed).unwrap().cred
}

fn user(id: u32, group: u32) -> Cred {
    let none = Capabilities { effective: 0, permitted: 0, ..Cred::root().capabilities };
    Cred { user: Ids::all(id), group: Ids::all(group), capabilities: none, ..Cred::root() }
}

fn file(mode: u32) -> Owner {
    Owner { user: 1000, group: 100, mode: abi::file::S_IFREG | mode }
}

#[test]
fn the_first_class_that_fits_decides() {
    let read = Access::READ;
    assert!(user(1000, 1).may(read, file(0o400)));
    // The owner is not helped by what others may.
    assert!(!user(1000, 100).may(read, file(0o077)));
    assert!(user(1, 100).may(read, file(0o040)));
    assert!(!user(1, 100).may(read, file(0o404)));
    assert!(user(1, 1).may(read, file(0o004)));
    let mut member = user(1, 1);
    member.groups = Arc::new(std::vec![7, 100]);
    assert!(member.may(read, file(0o040)));
    assert!(!user(1, 1).may(Access::READ.and(Access::WRITE), file(0o004)));
}

#[test]
fn root_may_all_but_run_what_nobody_runs() {
    let root = Cred::root();
    assert!(root.may(Access::READ.and(Access::WRITE), file(0)));
    assert!(!root.may(Access::EXECUTE, file(0o666)));
    assert!(root.may(Access::EXECUTE, file(0o001)));
    let directory = Owner { mode: abi::file::S_IFDIR, ..file(0) };
    assert!(root.may(Access::EXECUTE, directory));
}

#[test]
fn sticky_directories_protect_files() {
    let directory = Owner { user: 0, group: 0, mode: abi::file::S_IFDIR | 0o1777 };
    assert!(user(1000, 1).may_remove(directory, file(0o600)));
    assert!(!user(1001, 1).may_remove(directory, file(0o666)));
    assert!(Cred::root().may_remove(directory, file(0)));
    assert!(user(1001, 1).may_remove(Owner { mode: 0o777, ..directory }, file(0)));
}

#[test]
fn who_keeps_capabilities_keeps_the_permitted_ones() {
    let mut cred = Cred::root();
    cred.capabilities.inheritable = 1;
    cred.raise_ambient(0).unwrap();
    assert_eq!(cred.raise_ambient(1), Err(Errno::EPERM));
    assert_eq!(cred.raise_ambient(41), Err(Errno::EINVAL));
    cred.set_keeps_capabilities(true).unwrap();
    cred.change_user(Ids::all(7));
    let sets = cred.capabilities;
    assert_eq!((sets.permitted, sets.effective, sets.ambient), (ALL_CAPABILITIES, 0, 0));
    let next = run(&cred, Gains::default());
    assert!(!next.secure.keeps_capabilities());
    assert_eq!(next.capabilities.permitted, 0);
}

#[test]
fn ambient_capabilities_outlive_exec_but_not_setuid_files() {
    let mut cred = Cred::root();
    cred.capabilities.inheritable = 2;
    cred.raise_ambient(1).unwrap();
    cred.user = Ids::all(7);
    assert_eq!(run(&cred, Gains::default()).capabilities.effective, 2);
    assert_eq!(run(&cred, Gains { user: Some(8), ..Gains::default() }).capabilities.effective, 0);
}

#[test]
fn locked_secure_bits_stay() {
    let mut cred = Cred::root();
    assert_eq!(cred.set_secure_bits(1 << 8), Err(Errno::EPERM));
    cred.set_secure_bits(0b11).unwrap();
    assert_eq!(cred.set_secure_bits(0b10), Err(Errno::EPERM));
    assert_eq!(cred.set_secure_bits(0b01), Err(Errno::EPERM));
    cred.set_secure_bits(0b11 | 1 << 5).unwrap();
    assert_eq!(cred.set_keeps_capabilities(true), Err(Errno::EPERM));
    // Root is nobody special now.
    assert_eq!(run(&cred, Gains::default()).capabilities.permitted, 0);
    cred.capabilities.effective = 0;
    assert_eq!(cred.set_secure_bits(cred.secure.bits()), Err(Errno::EPERM));
    assert_eq!(cred.drop_bounding(0), Err(Errno::EPERM));
}

#[test]
fn signals_go_to_the_own_user() {
    let (a, b) = (user(1, 1), user(2, 2));
    assert!(a.may_signal(&a) && !a.may_signal(&b) && Cred::root().may_signal(&a));
    let mut changed = user(2, 2);
    changed.user.saved = 1;
    assert!(a.may_signal(&changed));
}

/// Revision 2 of the attribute.
fn given(permitted: u64, inheritable: u64, in_force: u32) -> Gains {
    let low = |set: u64| u32::try_from(set & 0xffff_ffff).unwrap();
    let high = |set: u64| u32::try_from(set >> 32).unwrap();
    let words =
        [0x0200_0000 | in_force, low(permitted), low(inheritable), high(permitted), high(inheritable)];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Gains { capabilities: Some(FileCapabilities::parse(&bytes).unwrap()), ..Gains::default() }
}

#[test]
fn files_give_capabilities() {
    let mut somebody = user(7, 7);
    somebody.capabilities.inheritable = 0b100;
    let next = run(&somebody, given(0b1, 0b110, 0));
    assert_eq!((next.capabilities.permitted, next.capabilities.effective), (0b101, 0));
    let all = somebody.after_exec(given(0b1, 0b110, 1), Gaining::Allowed).unwrap();
    assert_eq!((all.cred.capabilities.effective, all.is_secure), (0b101, true));
    // What is out of bounds is not given; put in force it is demanded.
    somebody.capabilities.bounding = 0b10;
    assert_eq!(run(&somebody, given(0b11, 0, 0)).capabilities.permitted, 0b10);
    assert_eq!(somebody.after_exec(given(0b11, 0, 1), Gaining::Allowed), Err(Errno::EPERM));
    // Whoever may gain nothing keeps at most what it had.
    let none = somebody.after_exec(given(0b10, 0, 1), Gaining::Forbidden).unwrap();
    assert_eq!(none.cred.capabilities.permitted, 0);
}

#[test]
fn setuid_root_with_capabilities_has_only_these() {
    let gains = Gains { user: Some(0), ..given(0b1, 0, 1) };
    let next = run(&user(7, 7), gains);
    assert_eq!((next.user.effective, next.capabilities.effective), (0, 0b1));
    // Root itself is root.
    assert_eq!(run(&Cred::root(), given(0b1, 0, 0)).capabilities.effective, ALL_CAPABILITIES);
}

#[test]
fn damaged_attributes_are_refused() {
    for len in 0..30 {
        for revision in 0..5 {
            let mut bytes = std::vec![0; len];
            if let Some(last) = bytes.get_mut(3) {
                *last = revision;
            }
            let is_good = matches!((revision, len), (1, 12) | (2, 20) | (3, 24));
            assert_eq!(FileCapabilities::parse(&bytes).is_ok(), is_good, "{revision} {len}");
        }
    }
}

#[test]
fn capset_gives_nothing_new() {
    let mut cred = Cred::root();
    cred.set_capabilities(1, 3, 3).unwrap();
    assert_eq!(cred.set_capabilities(4, 4, 0), Err(Errno::EPERM));
    assert_eq!(cred.set_capabilities(2, 1, 0), Err(Errno::EPERM));
    assert_eq!(cred.set_capabilities(0, 0, 4), Err(Errno::EPERM));
    cred.capabilities.bounding = 0;
    // What is out of bounds can be kept inheritable, not become so.
    cred.set_capabilities(0, 3, 1).unwrap();
    assert_eq!(cred.set_capabilities(0, 3, 3), Err(Errno::EPERM));
}
