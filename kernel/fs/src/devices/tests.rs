//! What each device answers.

use nucleus::sched::Wait;
use nucleus::vfs::bytes::{Buffer, Slice};

use super::*;
use crate::test_support::boot;

const NOW: Transfer = Transfer { position: 0, wait: Wait::NEVER };

fn open(minor: u32) -> Arc<dyn File> {
    Devices.open(device_number(MAJOR, minor), 0).unwrap()
}

fn read(file: &dyn File, into: &mut [u8]) -> Result<usize> {
    file.read(&NOW, &mut Buffer::new(into))
}

fn write(file: &dyn File, bytes: &[u8]) -> Result<usize> {
    file.write(&NOW, &mut Slice(bytes))
}

#[test]
fn null_zero_and_full() {
    let _boot = boot();
    let mut bytes = [7; 9000];
    let (null, zero, full) = (open(3), open(5), open(7));
    assert_eq!(read(&*null, &mut bytes), Ok(0));
    assert_eq!(write(&*null, &bytes), Ok(9000));
    assert_eq!(read(&*zero, &mut bytes), Ok(9000));
    assert_eq!(bytes, [0; 9000]);
    assert_eq!(write(&*zero, &bytes), Ok(9000));
    bytes = [7; 9000];
    assert_eq!(read(&*full, &mut bytes), Ok(9000));
    assert_eq!(bytes, [0; 9000]);
    assert_eq!(write(&*full, b"x"), Err(Errno::ENOSPC));
    assert!(is_zero(&*zero) && !is_zero(&*full));
    let pages = zero.pages().unwrap();
    let page = pages.page(1 << 40, nucleus::mm::source::Purpose::Write).unwrap();
    page.write(0, b"shared");
    assert_eq!(pages.cached_page(1 << 40), Some(page));
    assert_eq!(Devices.open(device_number(MAJOR, 99), 0).err(), Some(Errno::ENXIO));
}

#[test]
fn random_bytes_are_random() {
    let _boot = boot();
    random::seed();
    let file = open(9);
    let (mut first, mut second) = ([0; 5000], [0; 5000]);
    assert_eq!(read(&*file, &mut first), Ok(5000));
    assert_eq!(read(&*file, &mut second), Ok(5000));
    assert_ne!(first, second);
    // Each byte value about 20 times in 5,000; none of them is far off.
    let counts = (0..=255u8).map(|value| first.iter().filter(|&&byte| byte == value).count());
    assert!(counts.clone().min() > Some(2) && counts.max() < Some(60));
    assert_eq!(write(&*file, &[1; 100]), Ok(100));
    assert_ne!(random_u64(), random_u64());
}

#[test]
fn the_log_is_read_record_by_record() {
    let _boot = boot();
    let file = open(11);
    let mut bytes = [0; 600];
    while read(&*file, &mut bytes).is_ok() {}
    assert_eq!(file.ready().0 & abi::file::POLLIN, 0);
    assert_eq!(write(&*file, b"<14>program: hello\n"), Ok(19));
    assert_eq!(read(&*file, &mut [0; 10]), Err(Errno::EINVAL), "a record is not cut");
    let count = read(&*file, &mut bytes).unwrap();
    let text = core::str::from_utf8(&bytes[..count]).unwrap();
    assert!(text.starts_with("6,") && text.ends_with(",-;program: hello\n"), "{text}");
    assert_eq!(read(&*file, &mut bytes), Err(Errno::EAGAIN));
    assert_eq!(write(&*file, &[b'x'; 993]), Err(Errno::EINVAL));
}
