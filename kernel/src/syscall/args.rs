//! Arguments of system calls: types that decode registers, and user memory behind them.
//!
//! Decoding touches no memory: Linux faults late, and an empty read with a bad pointer succeeds.

use alloc::vec::Vec;
use core::marker::PhantomData;

use abi::limits::PATH_MAX;
use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::usermem::{self, Plain};
use nucleus::vfs::{ByteSink, ByteSource};

/// A type that a system call takes.
pub(super) trait FromArg: Sized {
    /// From a register.
    fn from_arg(raw: u64) -> Result<Self>;
    /// As the trace shows it.
    fn show(&self, to: &mut dyn core::fmt::Write);
}

/// What Linux takes of a register for a 32-bit argument, whatever is above.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is meant to go")]
pub(super) const fn low_half(raw: u64) -> u32 {
    raw as u32
}

macro_rules! numbers {
    ($($type:ty = $decode:expr;)*) => {$(
        impl FromArg for $type {
            fn from_arg(raw: u64) -> Result<Self> {
                let decode: fn(u64) -> $type = $decode;
                Ok(decode(raw))
            }

            fn show(&self, to: &mut dyn core::fmt::Write) {
                let _ = write!(to, "{self}");
            }
        }
    )*};
}

numbers! {
    u64 = |raw| raw;
    i64 = u64::cast_signed;
    u32 = low_half;
    i32 = |raw| low_half(raw).cast_signed();
    usize = logic::addr::to_usize;
}

/// A number best read in hexadecimal: flags, addresses.
#[derive(Clone, Copy)]
pub(super) struct Hex(pub(super) u32);

impl FromArg for Hex {
    fn from_arg(raw: u64) -> Result<Self> {
        Ok(Hex(low_half(raw)))
    }

    fn show(&self, to: &mut dyn core::fmt::Write) {
        let _ = write!(to, "{:#x}", self.0);
    }
}

/// An address in user memory of which nothing is known yet.
#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) u64);

impl FromArg for Address {
    fn from_arg(raw: u64) -> Result<Self> {
        Ok(Address(raw))
    }

    fn show(&self, to: &mut dyn core::fmt::Write) {
        let _ = if self.0 == 0 { write!(to, "NULL") } else { write!(to, "{:#x}", self.0) };
    }
}

/// A value in user memory.
pub(super) struct UserPtr<T> {
    address: u64,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> FromArg for UserPtr<T> {
    fn from_arg(raw: u64) -> Result<Self> {
        Ok(UserPtr { address: raw, value: PhantomData })
    }

    fn show(&self, to: &mut dyn core::fmt::Write) {
        Address(self.address).show(to);
    }
}

impl<T: Plain> UserPtr<T> {
    /// At an address.
    pub(super) const fn at(address: u64) -> Self {
        UserPtr { address, value: PhantomData }
    }

    /// Whether there is none.
    pub(super) const fn is_null(self) -> bool {
        self.address == 0
    }

    /// Where it is.
    pub(super) const fn address(self) -> u64 {
        self.address
    }

    /// Reads it.
    pub(super) fn read(self) -> Result<T> {
        usermem::read(self.address)
    }

    /// Reads it if there is one.
    pub(super) fn read_optional(self) -> Result<Option<T>> {
        if self.is_null() { Ok(None) } else { self.read().map(Some) }
    }

    /// Writes it.
    pub(super) fn write(self, value: &T) -> Result<()> {
        usermem::write(self.address, value)
    }

    /// Writes it if it is wanted.
    pub(super) fn write_optional(self, value: &T) -> Result<()> {
        if self.is_null() { Ok(()) } else { self.write(value) }
    }

    /// The `index`th after it.
    pub(super) fn offset(self, index: u64) -> Self {
        UserPtr {
            address: self.address.wrapping_add(index.wrapping_mul(size_of::<T>() as u64)),
            value: PhantomData,
        }
    }
}

/// A path, or another string, in user memory.
#[derive(Clone, Copy)]
pub(super) struct UserString(u64);

impl FromArg for UserString {
    fn from_arg(raw: u64) -> Result<Self> {
        Ok(UserString(raw))
    }

    fn show(&self, to: &mut dyn core::fmt::Write) {
        match self.read() {
            Ok(text) => {
                let _ = write!(to, "{:?}", alloc::string::String::from_utf8_lossy(&text));
            }
            Err(_) => Address(self.0).show(to),
        }
    }
}

impl UserString {
    /// Whether there is none.
    pub(super) const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Its bytes.
    pub(super) fn read(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        usermem::read_string(&mut bytes, self.0, PATH_MAX)?;
        Ok(bytes)
    }
}

/// The most that one read or write moves (Linux's MAX_RW_COUNT).
pub(super) const MAX_TRANSFER: usize = 0x7fff_f000;

/// User memory that a file fills.
pub(super) struct UserSink {
    address: u64,
    room: usize,
}

impl UserSink {
    /// From `address` on.
    pub(super) fn new(address: u64, len: usize) -> Self {
        UserSink { address, room: len.min(MAX_TRANSFER) }
    }

    fn advance(&mut self, count: usize) {
        self.address += count as u64;
        self.room -= count;
    }
}

/// Copies with `copy(bytes)`; if that fails, as much as lies before the page that cannot be used.
fn partial(address: u64, len: usize, mut copy: impl FnMut(usize) -> Result<()>) -> Result<usize> {
    match copy(len) {
        Ok(()) => Ok(len),
        Err(error) => {
            // Again, page by page: how far does it go?
            let page = logic::addr::to_usize(logic::addr::PAGE_SIZE - address % logic::addr::PAGE_SIZE);
            let mut good = page;
            let mut done = 0;
            while good < len && copy(good).is_ok() {
                done = good;
                good += logic::addr::PAGE_LEN;
            }
            if done == 0 { Err(error) } else { Ok(done) }
        }
    }
}

impl ByteSink for UserSink {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        let len = bytes.len().min(self.room);
        let address = self.address;
        let count = partial(address, len, |len| usermem::write_bytes(address, &bytes[..len]))?;
        self.advance(count);
        Ok(count)
    }

    fn put_page(&mut self, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
        let len = len.min(self.room);
        let count = usermem::write_from_page(self.address, page, offset, len)?;
        if count == 0 && len != 0 {
            return Err(Errno::EFAULT);
        }
        self.advance(count);
        Ok(count)
    }
}

/// User memory that a file reads.
pub(super) struct UserSource {
    address: u64,
    left: usize,
}

impl UserSource {
    /// From `address` on.
    pub(super) fn new(address: u64, len: usize) -> Self {
        UserSource { address, left: len.min(MAX_TRANSFER) }
    }

    fn advance(&mut self, count: usize) {
        self.address += count as u64;
        self.left -= count;
    }
}

impl ByteSource for UserSource {
    fn left(&self) -> usize {
        self.left
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize> {
        let len = into.len().min(self.left);
        let address = self.address;
        let count = partial(address, len, |len| usermem::read_bytes(&mut into[..len], address))?;
        self.advance(count);
        Ok(count)
    }

    fn take_to_page(&mut self, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
        let len = len.min(self.left);
        let count = usermem::read_to_page(page, offset, self.address, len)?;
        if count == 0 && len != 0 {
            return Err(Errno::EFAULT);
        }
        self.advance(count);
        Ok(count)
    }
}

/// Pieces of user memory: `struct iovec`s.
pub(super) struct IoVecs {
    pieces: Vec<(u64, usize)>,
    next: usize,
    left: usize,
}

/// Linux's UIO_MAXIOV.
const MAX_PIECES: usize = 1024;

impl IoVecs {
    /// Reads `count` of them.
    ///
    /// # Errors
    /// EINVAL for too many or a length that is none, EFAULT.
    pub(super) fn read(at: Address, count: usize) -> Result<Self> {
        if count > MAX_PIECES {
            return Err(Errno::EINVAL);
        }
        let mut pieces = Vec::new();
        pieces.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        let mut left = 0_usize;
        for index in 0..count as u64 {
            let [address, len] = UserPtr::<[u64; 2]>::at(at.0).offset(index).read()?;
            let len = isize::try_from(len).map_err(|_| Errno::EINVAL)?.unsigned_abs();
            // Linux cuts the rest off.
            let len = len.min(MAX_TRANSFER - left);
            left += len;
            pieces.push((address, len));
        }
        Ok(IoVecs { pieces, next: 0, left })
    }

    /// Calls `work(address, len)` with pieces until one is not used whole.
    fn each(
        &mut self,
        wanted: usize,
        mut work: impl FnMut(u64, usize, usize) -> Result<usize>,
    ) -> Result<usize> {
        let mut done = 0;
        while done < wanted {
            let Some((address, len)) = self.pieces.get_mut(self.next) else { break };
            if *len == 0 {
                self.next += 1;
                continue;
            }
            let part = (*len).min(wanted - done);
            let count = match work(*address, part, done) {
                Ok(count) => count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            *address += count as u64;
            *len -= count;
            self.left -= count;
            done += count;
            if count < part {
                break;
            }
        }
        Ok(done)
    }
}

impl ByteSink for IoVecs {
    fn room(&self) -> usize {
        self.left
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        let wanted = bytes.len().min(self.left);
        self.each(wanted, |address, len, done| UserSink::new(address, len).put(&bytes[done..done + len]))
    }

    fn put_page(&mut self, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
        let wanted = len.min(self.left);
        self.each(wanted, |address, len, done| UserSink::new(address, len).put_page(page, offset + done, len))
    }
}

impl ByteSource for IoVecs {
    fn left(&self) -> usize {
        self.left
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize> {
        let wanted = into.len().min(self.left);
        self.each(wanted, |address, len, done| {
            UserSource::new(address, len).take(&mut into[done..done + len])
        })
    }

    fn take_to_page(&mut self, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
        let wanted = len.min(self.left);
        self.each(wanted, |address, len, done| {
            UserSource::new(address, len).take_to_page(page, offset + done, len)
        })
    }
}

/// What a handler may return.
pub(super) trait IntoResult {
    /// As a register has it.
    fn into_result(self) -> u64;
}

impl IntoResult for usize {
    fn into_result(self) -> u64 {
        self as u64
    }
}

impl IntoResult for u64 {
    fn into_result(self) -> u64 {
        self
    }
}

impl IntoResult for u32 {
    fn into_result(self) -> u64 {
        u64::from(self)
    }
}

impl IntoResult for i32 {
    fn into_result(self) -> u64 {
        i64::from(self).cast_unsigned()
    }
}

impl IntoResult for () {
    fn into_result(self) -> u64 {
        0
    }
}

impl IntoResult for crate::process::Pid {
    fn into_result(self) -> u64 {
        u64::from(self.0)
    }
}
