//! From the first instruction to `main`, and what the kernel left on the stack: arguments, environment, auxiliary vector.
//!
//! `_start` finds argc, argv, envp and auxv above the stack pointer (System V ABI, x86-64 supplement, 3.4.1). A program is a
//! static PIE, so it moves its own pointers first (`relocate`); until that is done no table of pointers may be read.
//! Then pages that only relocation wrote become read-only. It calls C's `main`, so the same start serves C programs.

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

static ARGUMENTS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());
static ENVIRONMENT: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());
static AUXILIARY: AtomicPtr<[u64; 2]> = AtomicPtr::new(ptr::null_mut());

/// The texts of a list that ends with null.
#[derive(Clone, Debug)]
pub struct Texts {
    next: *const *const c_char,
}

impl Iterator for Texts {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: the list came from the kernel and ends with null, beyond which `next` never goes.
        let text = unsafe { *self.next };
        if text.is_null() {
            return None;
        }
        self.next = self.next.wrapping_add(1);
        // SAFETY: the kernel put NUL-terminated texts on the stack, which stay there while the program runs.
        Some(unsafe { CStr::from_ptr(text) })
    }
}

/// The arguments, the program's name first.
pub fn arguments() -> Texts {
    Texts { next: ARGUMENTS.load(Ordering::Relaxed) }
}

/// The environment, `NAME=VALUE` each.
pub fn environment() -> Texts {
    Texts { next: ENVIRONMENT.load(Ordering::Relaxed) }
}

/// A value of the auxiliary vector.
pub fn auxiliary(key: u64) -> Option<u64> {
    let mut entry: *const [u64; 2] = AUXILIARY.load(Ordering::Relaxed);
    while !entry.is_null() {
        // SAFETY: the vector came from the kernel and ends with AT_NULL, beyond which `entry` never goes.
        let [found, value] = unsafe { *entry };
        match found {
            abi::auxv::AT_NULL => break,
            _ if found == key => return Some(value),
            _ => entry = entry.wrapping_add(1),
        }
    }
    None
}

#[cfg(target_os = "none")]
mod entry {
    use super::{ARGUMENTS, AUXILIARY, ENVIRONMENT};
    use core::ffi::c_char;
    use core::sync::atomic::Ordering;

    use abi::auxv::{AT_PHDR, AT_PHENT, AT_PHNUM, AT_SECURE};
    use abi::file::O_RDWR;
    use abi::sysno;

    use crate::sys::{calls, numbers, raw};

    core::arch::global_asm!(
        ".globl _start",
        ".type _start,@function",
        ".weak _DYNAMIC",
        ".hidden _DYNAMIC",
        ".hidden __ehdr_start",
        "_start:",
        "xor %ebp, %ebp",
        "mov %rsp, %rdi",
        "lea _DYNAMIC(%rip), %rsi",
        "lea __ehdr_start(%rip), %rdx",
        "and $-16, %rsp",
        "call nrlib_start",
        "ud2",
        options(att_syntax)
    );

    // SAFETY: `program!`, or a C program, defines it with this type.
    unsafe extern "C" {
        fn main(count: i32, arguments: *const *const c_char, environment: *const *const c_char) -> i32;
    }

    /// An entry of the dynamic section: tag and value.
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Dynamic {
        tag: usize,
        value: usize,
    }

    const DT_RELA: usize = 7;
    const DT_RELASZ: usize = 8;
    const DT_RELRSZ: usize = 35;
    const DT_RELR: usize = 36;
    const R_X86_64_RELATIVE: usize = 8;
    const PT_GNU_RELRO: usize = 0x6474_e552;

    #[unsafe(no_mangle)]
    extern "C" fn nrlib_start(stack: *const usize, dynamic: *const Dynamic, base: *mut u8) -> ! {
        // SAFETY: `_start` passes the linker's own symbols, once.
        unsafe { relocate(dynamic, base) };
        // SAFETY: the kernel put argc where the stack pointer was.
        let count = unsafe { *stack };
        let arguments: *const *const c_char = stack.wrapping_add(1).cast();
        let environment = arguments.wrapping_add(count + 1);
        let mut after = environment;
        // SAFETY: the environment ends with null, and the loop there.
        while unsafe { !(*after).is_null() } {
            after = after.wrapping_add(1);
        }
        ARGUMENTS.store(arguments.cast_mut(), Ordering::Relaxed);
        ENVIRONMENT.store(environment.cast_mut(), Ordering::Relaxed);
        AUXILIARY.store(after.wrapping_add(1).cast_mut().cast(), Ordering::Relaxed);
        protect(base.addr());
        if super::auxiliary(AT_SECURE).unwrap_or(0) != 0 {
            occupy_standard_descriptors();
        }
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        // SAFETY: main is what the extern block says.
        calls::exit_group(unsafe { main(count, arguments, environment) })
    }

    /// Moves all pointers by where the program was loaded.
    ///
    /// # Safety
    /// `dynamic` and `base` are the linker's symbols of this program, whose pointers have not been moved yet.
    #[inline(always)]
    unsafe fn relocate(mut dynamic: *const Dynamic, base: *mut u8) {
        let (mut rela, mut rela_bytes, mut relr, mut relr_bytes) = (0, 0, 0, 0);
        // SAFETY: the section ends with tag 0, and the loop there.
        while let entry = unsafe { *dynamic }
            && entry.tag != 0
        {
            match entry.tag {
                DT_RELA => rela = entry.value,
                DT_RELASZ => rela_bytes = entry.value,
                DT_RELR => relr = entry.value,
                DT_RELRSZ => relr_bytes = entry.value,
                _ => {}
            }
            dynamic = dynamic.wrapping_add(1);
        }
        // SAFETY: the linker wrote both tables, and all that they name is in this program and writable.
        unsafe { move_rela(base, rela, rela_bytes) };
        // SAFETY: as above.
        unsafe { move_relr(base, relr, relr_bytes) };
    }

    /// # Safety
    /// As `relocate`.
    #[inline(always)]
    unsafe fn move_rela(base: *mut u8, table: usize, bytes: usize) {
        let mut entry: *const [usize; 3] = base.wrapping_add(table).cast();
        let end = entry.wrapping_byte_add(bytes);
        while entry < end {
            // SAFETY: between the table's bounds.
            let [offset, info, addend] = unsafe { *entry };
            if info == R_X86_64_RELATIVE {
                let place: *mut usize = base.wrapping_add(offset).cast();
                // SAFETY: the linker names words of this program's data.
                unsafe { place.write(addend.wrapping_add(base.addr())) };
            }
            entry = entry.wrapping_add(1);
        }
    }

    /// An even word is an address and a relocation there; an odd one has a bit for each of the 63 words that follow.
    ///
    /// # Safety
    /// As `relocate`.
    #[inline(always)]
    unsafe fn move_relr(base: *mut u8, table: usize, bytes: usize) {
        let mut entry: *const usize = base.wrapping_add(table).cast();
        let end = entry.wrapping_byte_add(bytes);
        let mut place: *mut usize = base.cast();
        while entry < end {
            // SAFETY: between the table's bounds.
            let word = unsafe { *entry };
            if word & 1 == 0 {
                place = base.wrapping_add(word).cast();
                // SAFETY: the linker names words of this program's data.
                unsafe { slide(place, base) };
                place = place.wrapping_add(1);
            } else {
                let mut bits = word >> 1;
                let mut at = place;
                while bits != 0 {
                    if bits & 1 != 0 {
                        // SAFETY: as above.
                        unsafe { slide(at, base) };
                    }
                    bits >>= 1;
                    at = at.wrapping_add(1);
                }
                place = place.wrapping_add(63);
            }
            entry = entry.wrapping_add(1);
        }
    }

    /// # Safety
    /// The linker put a pointer of this program there, which was not moved yet.
    #[inline(always)]
    unsafe fn slide(place: *mut usize, base: *mut u8) {
        // SAFETY: the caller says so.
        let linked = unsafe { *place };
        // SAFETY: as above.
        unsafe { place.write(linked.wrapping_add(base.addr())) };
    }

    /// A program header as words: type and flags, offset, address, physical address, size in the file, size, alignment.
    type Header = [usize; 7];

    /// Makes read-only what only relocation writes (PT_GNU_RELRO).
    fn protect(base: usize) {
        let value = |key| super::auxiliary(key).and_then(|value| usize::try_from(value).ok()).unwrap_or(0);
        if value(AT_PHENT) != size_of::<Header>() {
            return;
        }
        let mut header: *const Header = core::ptr::with_exposed_provenance(value(AT_PHDR));
        for _ in 0..value(AT_PHNUM) {
            // SAFETY: the kernel says where this program's headers are and how many.
            let [kind, _, address, _, _, bytes, _] = unsafe { *header };
            if kind & 0xffff_ffff == PT_GNU_RELRO {
                let start = base.wrapping_add(address) & !0xfff;
                let end = base.wrapping_add(address + bytes) & !0xfff;
                // SAFETY: the linker put nothing there that is written later, and the last page is left out if it is
                // not whole.
                let _ = unsafe { raw::call(sysno::MPROTECT, [start, end - start, numbers::PROT_READ]) };
            }
            header = header.wrapping_add(1);
        }
    }

    /// With rights that its caller does not have, a program must not take a file for its standard output because the
    /// caller closed that descriptor.
    fn occupy_standard_descriptors() {
        for fd in 0..3 {
            if calls::fcntl_number(fd, numbers::F_GETFD, 0).is_err() {
                let _ = calls::openat(abi::file::AT_FDCWD, c"/dev/null", O_RDWR, 0);
            }
        }
    }
}

/// Makes `$run`, a `fn() -> i32`, the program: what it returns is the exit code.
///
/// Built for a host, the program only says that it must be built by scripts/build-userland.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        #[cfg(target_os = "none")]
        #[expect(unsafe_code, reason = "the name of C's main, which start-up calls")]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> i32 {
            $run()
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            let _run: fn() -> i32 = $run;
            let _ = $crate::eprintln!("this program has no start-up for hosts; run: scripts/build-userland");
            $crate::process::exit(1)
        }
    };
}
