//! The report on a guest that hangs: where each CPU is, and what is on the screen.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::qmp::Qmp;
use crate::symbols::{PROBE_LEN, Symbols};

/// More frames than any sane call chain has.
const MOST_FRAMES: usize = 32;
/// Where the upper half of addresses begins. Stacks of the kernel are there; firmware's are not walked.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// Where the report finds things.
pub struct Places {
    /// QEMU's control socket.
    pub socket: PathBuf,
    /// The kernel with all symbols.
    pub symbols: PathBuf,
    /// Where to put a picture of the screen, if there is one.
    pub picture: Option<PathBuf>,
}

/// Stops the machine and describes it. Never fails: what cannot be found out is said in its place.
pub fn report(places: &Places) -> String {
    let mut text = String::new();
    if let Err(problem) = try_report(places, &mut text) {
        let _ = writeln!(text, "({problem})");
    }
    text
}

fn try_report(places: &Places, text: &mut String) -> Result<(), String> {
    let mut qmp = Qmp::connect(&places.socket)?;
    qmp.execute("stop", &json!({}))?;
    let symbols = Symbols::open(&places.symbols);
    let cpus = qmp.execute("query-cpus-fast", &json!({}))?;
    for index in 0..cpus.as_array().map_or(0, Vec::len) as u64 {
        let addresses = call_chain(&mut qmp, index)?;
        let _ = writeln!(text, "CPU {index}:");
        for line in describe(&mut qmp, index, &addresses, &symbols) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if let Some(picture) = &places.picture {
        screenshot(&mut qmp, picture)?;
        let _ = writeln!(text, "The screen is in {}.", picture.display());
    }
    Ok(())
}

/// Writes a picture of the screen to `path`, as PNG.
///
/// # Errors
/// QEMU cannot.
pub fn screenshot(qmp: &mut Qmp, path: &Path) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    qmp.execute("screendump", &json!({ "filename": path, "format": "png" })).map(|_| ())
}

/// The instruction pointer and the return addresses that the frame pointers lead to.
fn call_chain(qmp: &mut Qmp, cpu: u64) -> Result<Vec<u64>, String> {
    let registers = qmp.monitor("info registers", cpu)?;
    let pointer = register(&registers, "RIP").or_else(|| register(&registers, "EIP"));
    let pointer = pointer.ok_or("QEMU does not show the instruction pointer")?;
    let mut frame = register(&registers, "RBP").or_else(|| register(&registers, "EBP")).unwrap_or(0);
    let mut addresses = vec![pointer];
    while addresses.len() < MOST_FRAMES && frame >= KERNEL_HALF {
        let words = words(&qmp.monitor(&format!("x/2gx {frame:#x}"), cpu)?);
        let [next, return_address] = words[..] else { break };
        if return_address == 0 {
            break;
        }
        addresses.push(return_address);
        if next <= frame {
            break; // frames of callers are higher; anything else is not a frame
        }
        frame = next;
    }
    Ok(addresses)
}

fn describe(qmp: &mut Qmp, cpu: u64, addresses: &[u64], symbols: &Result<Symbols, String>) -> Vec<String> {
    let plain = || addresses.iter().map(|address| format!("{address:#x}")).collect();
    let Ok(symbols) = symbols else { return plain() };
    let mut slide_at = |&address: &u64| {
        let code = qmp.monitor(&format!("x/{PROBE_LEN}xb {address:#x}"), cpu).ok()?;
        let probe: Vec<u8> = words(&code).into_iter().filter_map(|byte| u8::try_from(byte).ok()).collect();
        symbols.slide_from(address, &probe)
    };
    let Some(slide) = addresses.iter().find_map(&mut slide_at) else { return plain() };
    // A return address is behind its call; one less is inside, also where the call is the last instruction.
    let linked: Vec<u64> = addresses
        .iter()
        .enumerate()
        .map(|(index, &address)| symbols.linked(address, slide) - u64::from(index > 0))
        .collect();
    let names = symbols.describe(&linked);
    addresses.iter().zip(names).map(|(address, name)| format!("{address:#x} {name}")).collect()
}

/// The value of a register in the text of `info registers`, where it stands as `RIP=0123`.
fn register(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(&format!("{name}="))?;
    let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(digits, 16).ok()
}

/// The values in the text of the monitor's `x` command: lines of `address: 0x… 0x…`.
fn words(text: &str) -> Vec<u64> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(_, values)| values.split_whitespace())
        .filter_map(|value| u64::from_str_radix(value.strip_prefix("0x")?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_and_memory_are_read_from_the_monitors_text() {
        let text = "RSI=0000000000000000 RBP=ffffffff80204ea0\nRIP=ffffffff80201234 RFL=00000046\n";
        assert_eq!(register(text, "RIP"), Some(0xffff_ffff_8020_1234));
        assert_eq!(register(text, "RBP"), Some(0xffff_ffff_8020_4ea0));
        assert_eq!(register(text, "CR9"), None);
        let memory = "ffffffff80204ea0: 0xffffffff80204eb0 0x0000000000000001\n";
        assert_eq!(words(memory), [0xffff_ffff_8020_4eb0, 1]);
        assert!(words("Cannot access memory\n").is_empty());
    }
}
