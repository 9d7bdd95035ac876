//! A static Rust program on std: threads, channels, locks, unwinding, files, child processes.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

static CHECKS: AtomicUsize = AtomicUsize::new(0);
static FAILURES: AtomicUsize = AtomicUsize::new(0);

fn check(good: bool, what: &str) {
    CHECKS.fetch_add(1, Ordering::SeqCst);
    if !good {
        FAILURES.fetch_add(1, Ordering::SeqCst);
        println!("FAIL others-rust: {what}");
    }
}

fn threads() {
    let total = Arc::new(Mutex::new(0_u64));
    let handles: Vec<_> = (0..16)
        .map(|i| {
            let total = Arc::clone(&total);
            thread::spawn(move || (0..500).for_each(|_| *total.lock().unwrap() += i))
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    check(*total.lock().unwrap() == 500 * 120, "sixteen threads under one lock");
    let barrier = Barrier::new(8);
    let leaders = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| leaders.fetch_add(usize::from(barrier.wait().is_leader()), Ordering::SeqCst));
        }
    });
    check(leaders.load(Ordering::SeqCst) == 1, "a barrier has one leader");
    let named = thread::Builder::new().name("worker".into()).spawn(|| thread::current().name().map(String::from));
    check(named.unwrap().join().unwrap().as_deref() == Some("worker"), "a thread's name");
}

fn channels() {
    let (sender, receiver) = mpsc::sync_channel(4);
    for i in 0..8_u32 {
        let sender = sender.clone();
        thread::spawn(move || (0..100).for_each(|j| sender.send(i * 100 + j).unwrap()));
    }
    drop(sender);
    let mut all: Vec<u32> = receiver.iter().collect();
    all.sort_unstable();
    check(all == (0..800).collect::<Vec<_>>(), "what was sent arrived");
}

fn waiting() {
    let pair = (Mutex::new(false), Condvar::new());
    let start = Instant::now();
    let (guard, timeout) = pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_millis(10)).unwrap();
    check(timeout.timed_out() && start.elapsed() >= Duration::from_millis(10), "a condition times out");
    drop(guard);
    thread::park_timeout(Duration::from_millis(5));
    thread::sleep(Duration::from_millis(5));
    check(start.elapsed() >= Duration::from_millis(15), "sleeping takes time");
}

fn unwinding() {
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(|| {
        let list: Vec<u32> = Vec::new();
        list[3]
    });
    check(result.is_err(), "a panic is caught");
    check(thread::spawn(|| panic!("in a thread")).join().is_err(), "a thread's panic reaches join");
    let _ = std::panic::take_hook();
}

fn files() {
    let folder = std::env::temp_dir().join(format!("others-rust.{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("file");
    std::fs::write(&path, "line one\nline two\n").unwrap();
    check(std::fs::read_to_string(&path).unwrap().lines().count() == 2, "a file is read back");
    check(std::fs::metadata(&path).unwrap().len() == 18, "its length");
    check(std::fs::read_dir(&folder).unwrap().count() == 1, "the folder's entries");
    let missing = std::fs::read(folder.join("missing"));
    check(missing.unwrap_err().kind() == std::io::ErrorKind::NotFound, "a missing file");
    std::fs::remove_dir_all(&folder).unwrap();
    check(!folder.exists(), "all is removed");
}

fn children() {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(&own).arg("child").env("WORD", "value").output().unwrap();
    check(output.stdout == b"child value\n" && output.status.success(), "a child's output");
    check(Command::new(&own).arg("fail").status().unwrap().code() == Some(3), "a child's exit code");
    check(Command::new("/no/such/program").spawn().is_err(), "a missing program");
    let mut echo = Command::new(&own).arg("echo").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    echo.stdin.take().unwrap().write_all(b"through two pipes").unwrap();
    let mut text = String::new();
    echo.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    check(text == "through two pipes" && echo.wait().unwrap().success(), "two pipes");
    let mut sleeper = Command::new(&own).arg("sleep").spawn().unwrap();
    sleeper.kill().unwrap();
    check(sleeper.wait().unwrap().code().is_none(), "a killed child has no code");
}

fn maps() {
    let mut map = HashMap::new(); // its keys are random: getrandom
    (0..1000).for_each(|i| *map.entry(i % 37).or_insert(0) += i);
    check(map.len() == 37 && map.values().sum::<i32>() == 499_500, "a hash map");
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("child") => println!("child {}", std::env::var("WORD").unwrap_or_default()),
        Some("fail") => return ExitCode::from(3),
        Some("echo") => drop(std::io::copy(&mut std::io::stdin(), &mut std::io::stdout())),
        Some("sleep") => thread::sleep(Duration::from_secs(100)),
        _ => {
            [threads, channels, waiting, unwinding, files, children, maps].iter().for_each(|test| test());
            let (checks, failures) = (CHECKS.load(Ordering::SeqCst), FAILURES.load(Ordering::SeqCst));
            if failures > 0 {
                println!("FAIL others-rust: {failures} of {checks} checks failed");
                return ExitCode::FAILURE;
            }
            println!("ok others-rust {checks} checks");
        }
    }
    ExitCode::SUCCESS
}
