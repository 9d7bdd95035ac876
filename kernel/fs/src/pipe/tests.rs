//! Both ends, alone and with threads that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use nucleus::sched::Wait;
use nucleus::vfs::bytes::{Buffer, Slice};

use super::*;
use crate::test_support::{boot, spawn};

const NOW: Transfer = Transfer { position: 0, wait: Wait::NEVER };
const PATIENT: Transfer = Transfer { position: 0, wait: Wait::INTERRUPTIBLE };

fn read(end: &dyn File, len: usize, how: &Transfer) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let count = end.read(how, &mut Buffer::new(&mut bytes))?;
    bytes.truncate(count);
    Ok(bytes)
}

fn write(end: &dyn File, bytes: &[u8]) -> Result<usize> {
    end.write(&NOW, &mut Slice(bytes))
}

fn open(pipe: &Arc<Pipe>, flags: u32, wait: Wait) -> Result<Arc<dyn File>> {
    pipe.clone().open(&Opening { flags, wait })
}

#[test]
fn it_fills_empties_and_ends() {
    let boot = boot();
    let before = boot.machine.free_frames();
    let (reader, writer, attributes) = pair().unwrap();
    assert_eq!(attributes.kind, FileKind::Fifo);
    assert_eq!(read(&*reader, 10, &NOW), Err(Errno::EAGAIN));
    assert_eq!(write(&*writer, b"hello"), Ok(5));
    assert_eq!(read(&*reader, 3, &NOW), Ok(b"hel".to_vec()));
    assert_eq!(read(&*reader, 10, &NOW), Ok(b"lo".to_vec()));
    assert_eq!(write(&*writer, &[1; 70_000]), Ok(65_536));
    assert_eq!(write(&*writer, b"x"), Err(Errno::EAGAIN));
    assert_eq!(read(&*reader, 10, &NOW).unwrap().len(), 10);
    assert_eq!(write(&*writer, &[2; 11]), Err(Errno::EAGAIN), "all of a small write or nothing");
    assert_eq!(write(&*writer, &[2; 4097]), Ok(10));
    assert_eq!(read(&*reader, 100_000, &NOW).unwrap().len(), 65_536);
    assert_eq!(write(&*writer, b""), Ok(0));
    write(&*writer, b"last").unwrap();
    drop(writer);
    assert_eq!(read(&*reader, 10, &NOW), Ok(b"last".to_vec()));
    assert_eq!(read(&*reader, 10, &NOW), Ok(vec![]));
    drop(reader);
    let (reader, writer, _) = pair().unwrap();
    drop(reader);
    assert_eq!(write(&*writer, b"x"), Err(Errno::EPIPE));
    assert_eq!(read(&*writer, 1, &NOW), Err(Errno::EBADF));
    drop(writer);
    assert!(boot.machine.free_frames() + 1 >= before);
}

#[test]
fn poll_is_told_what_is_possible() {
    let _boot = boot();
    let (reader, writer, _) = pair().unwrap();
    let (readable, writable) = (POLLIN | POLLRDNORM, POLLOUT | POLLWRNORM);
    assert_eq!((reader.ready().0, writer.ready().0), (0, writable));
    write(&*writer, &[0; 65_536 - 4095]).unwrap();
    assert_eq!((reader.ready().0, writer.ready().0), (readable, 0));
    read(&*reader, 1, &NOW).unwrap();
    assert_eq!(writer.ready().0, writable);
    drop(writer);
    assert_eq!(reader.ready().0, readable | POLLHUP);
    let (reader, writer, _) = pair().unwrap();
    drop(reader);
    assert_eq!(writer.ready().0, writable | POLLERR);
}

#[test]
fn who_waits_is_woken() {
    let boot = boot();
    let (reader, writer, _) = pair().unwrap();
    let total = Arc::new(AtomicUsize::new(0));
    let sum = total.clone();
    let consumer = spawn("reader", move || {
        loop {
            let bytes = read(&*reader, 3000, &PATIENT).unwrap();
            if bytes.is_empty() {
                return;
            }
            sum.fetch_add(bytes.len(), Ordering::Relaxed);
        }
    });
    let producer = spawn("writer", move || {
        assert_eq!(writer.write(&PATIENT, &mut Slice(&vec![3; 1_000_000])), Ok(1_000_000));
        assert_eq!(writer.write(&PATIENT, &mut Slice(b"small")), Ok(5));
    });
    assert!(boot.run(&[consumer, producer]));
    assert_eq!(total.load(Ordering::Relaxed), 1_000_005);
}

#[test]
fn a_writer_is_told_that_the_last_reader_left() {
    let boot = boot();
    let (reader, writer, _) = pair().unwrap();
    write(&*writer, &[0; 65_536]).unwrap();
    let waiting = spawn("writer", move || {
        assert_eq!(writer.write(&PATIENT, &mut Slice(b"x")), Err(Errno::EPIPE));
    });
    assert!(!boot.run(core::slice::from_ref(&waiting)));
    drop(reader);
    assert!(boot.run(&[waiting]));
}

#[test]
fn fifos_wait_for_the_other_end() {
    let boot = boot();
    let pipe = Arc::new(Pipe::new().unwrap());
    assert_eq!(open(&pipe, O_WRONLY | O_NONBLOCK, Wait::NEVER).err(), Some(Errno::ENXIO));
    let reader = open(&pipe, O_RDONLY | O_NONBLOCK, Wait::NEVER).unwrap();
    assert_eq!(read(&*reader, 1, &NOW), Ok(vec![]), "without a writer there is nothing to wait for");
    assert_eq!(reader.ready().0, 0, "no hang-up before the first writer");
    let writer = open(&pipe, O_WRONLY | O_NONBLOCK, Wait::NEVER).unwrap();
    write(&*writer, b"lost").unwrap();
    drop(writer);
    assert_eq!(reader.ready().0 & POLLHUP, POLLHUP);
    drop(reader);
    let both = open(&pipe, 2, Wait::INTERRUPTIBLE).unwrap();
    assert_eq!(read(&*both, 1, &NOW), Err(Errno::EAGAIN), "what nobody read is gone");
    drop(both);

    let opener = |flags| {
        let pipe = pipe.clone();
        spawn("opener", move || drop(open(&pipe, flags, Wait::INTERRUPTIBLE).unwrap()))
    };
    let reader = opener(O_RDONLY);
    assert!(!boot.run(core::slice::from_ref(&reader)));
    // The writer comes and goes before the reader runs again: that is enough.
    let writer = opener(O_WRONLY);
    assert!(boot.run(&[reader, writer]));
    let writer = opener(O_WRONLY);
    assert!(!boot.run(core::slice::from_ref(&writer)));
    let reader = opener(O_RDONLY);
    assert!(boot.run(&[reader, writer]));
}

#[test]
fn the_capacity_changes_and_the_bytes_stay() {
    let _boot = boot();
    let (reader, writer, _) = pair().unwrap();
    assert_eq!(capacity(&*reader), Some(65_536));
    let bytes: Vec<u8> = (0..65_536u32).map(|number| (number % 249) as u8).collect();
    write(&*writer, &bytes).unwrap();
    read(&*reader, 1000, &NOW).unwrap();
    write(&*writer, &bytes[..1000]).unwrap();
    assert_eq!(set_capacity(&*writer, 4096, 1 << 20), Err(Errno::EBUSY));
    assert_eq!(set_capacity(&*writer, (1 << 20) + 1, 1 << 20), Err(Errno::EPERM));
    assert_eq!(set_capacity(&*writer, 100_000, 1 << 20), Ok(131_072));
    assert_eq!(write(&*writer, &[9; 70_000]), Ok(65_536));
    let mut expected = bytes[1000..].to_vec();
    expected.extend_from_slice(&bytes[..1000]);
    expected.extend_from_slice(&[9; 65_536]);
    assert_eq!(read(&*reader, 200_000, &NOW), Ok(expected));
    assert_eq!(set_capacity(&*reader, 1, 1 << 20), Ok(4096));
    assert_eq!(write(&*writer, &[9; 4097]), Ok(4096));
}
