//! The last words of a program that panics: `NAME: panicked at FILE:LINE: WHY`, and exit code 134, as after abort(3).

use core::panic::PanicInfo;

use crate::io::Text;
use crate::sys::{calls, successor};
use crate::{env, eprintln};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = eprintln!("{}: {info}", Text(env::program_name()));
    if let Some(program) = successor::successor() {
        let _ = calls::execve(program, &[program], &[c"PATH=/sbin:/usr/sbin:/bin:/usr/bin"]);
    }
    calls::exit_group(134)
}
