//! ext2 disks under a busybox shell: full ones, such as cannot be written or have bad sectors, many names, deep trees, huge
//! files, and the power going off. `e2fsck -fn` finds nothing after each power-off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Stop, Test, TestResult};

use crate::ext2;
use crate::programs::{INITRAMFS, run};

/// Commands, each of which must end with 0, on `/mnt`.
type Commands = &'static [&'static str];

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let mut add = |name: &str, run: Box<dyn Fn(&str) -> TestResult + Send + Sync>| {
        tests.push((format!("storage/{name}"), run));
    };
    add("full-disk", Box::new(|name| commands(name, 1, 8 << 20, FULL)));
    for cpus in [1, 4] {
        add(&format!("many-names-{cpus}"), Box::new(move |name| commands(name, cpus, 300 << 20, MANY)));
        add(&format!("deep-and-long-{cpus}"), Box::new(move |name| commands(name, cpus, 64 << 20, DEEP)));
        add(&format!("sparse-{cpus}"), Box::new(move |name| commands(name, cpus, 64 << 20, SPARSE)));
        add(&format!("archive-{cpus}"), Box::new(move |name| commands(name, cpus, 64 << 20, ARCHIVE)));
    }
    add("read-only-mount", Box::new(|name| commands(name, 1, 8 << 20, READ_ONLY)));
    add("read-only-disk", Box::new(read_only_disk));
    add("bad-data", Box::new(bad_data));
    add("bad-inodes", Box::new(bad_inodes));
    add("bad-writes", Box::new(bad_writes));
    for acknowledged in [3, 10, 25] {
        add(&format!("power-cut-{acknowledged}"), Box::new(move |name| power_cut(name, acknowledged)));
    }
    add("sqlite", Box::new(sqlite));
    add("ram-disk", Box::new(ram_disk));
    add("kept-back", Box::new(kept_back));
    tests
}

const FULL: Commands = &[
    "seq 1 20000 > kept; md5sum kept > sum; sync",
    "dd if=/dev/zero of=big bs=4k 2>&1 | grep 'No space'",
    "if echo more > small; then false; fi; if mkdir d; then false; fi",
    "md5sum -c sum",
    "rm -f big small; sync",
    "dd if=/dev/zero of=big bs=1k count=6000 && rm big",
    "for i in $(seq 1 3); do dd if=/dev/zero of=big bs=64k 2>/dev/null; rm big; done",
    "dd if=/dev/zero of=big bs=1k count=6000 && md5sum -c sum",
];

const MANY: Commands = &[
    "mkdir d && cd d && seq 1 100000 | xargs touch && cd ..",
    "test $(ls d | wc -l) = 100000",
    "test -e d/1 && test -e d/99999 && test ! -e d/100001",
    "echo 3 > /proc/sys/vm/drop_caches; test -e d/50000 && test ! -e d/x",
    "ls d | sort -n | uniq | wc -l | grep -x 100000",
    "rm -r d && mkdir d && test -z \"$(ls d)\"",
];

const DEEP: Commands = &[
    "name=$(printf 'n%.0s' $(seq 1 255)); mkdir $name && echo text > $name/$name && test $(cat $name/$name) = text",
    "if touch ${name}n; then false; fi",
    "i=0; while [ $i -lt 1000 ]; do mkdir d && cd d || break; i=$((i + 1)); done; echo bottom > f; test $i = 1000",
    "test $(pwd | wc -c) = 2005; cd /mnt; test $(find d -type d | wc -l) = 1000",
    "test \"$(find d -name f -exec cat {} \\;)\" = bottom",
    "rm -r d $name; test ! -e d",
];

const SPARSE: Commands = &[
    "dd if=/dev/zero of=big bs=1 count=1 seek=4294967295 && test $(stat -c %s big) = 4294967296",
    "echo middle | dd of=big bs=1 seek=3000000000 conv=notrunc; test $(stat -c %b big) -lt 200",
    "dd if=big bs=1 skip=3000000000 count=6 2>/dev/null | grep -x middle",
    "sync; echo 3 > /proc/sys/vm/drop_caches; dd if=big bs=1 skip=3000000000 count=6 2>/dev/null | grep -x middle",
    "truncate -s 3000000003 big; truncate -s 4294967296 big; dd if=big bs=1 skip=3000000000 count=6 | od -c | grep 'm   i   d  .0  .0  .0'",
];

const ARCHIVE: Commands = &[
    "mkdir from; i=0; while [ $i -lt 500 ]; do echo text $i > from/f$i; i=$((i + 1)); done; ln from/f1 from/hard; ln -s f2 from/soft",
    "chmod 4711 from/f3; chown 12:34 from/f4; touch -d '2001-02-03 04:05:06' from/f5; mkfifo from/pipe",
    "cp -a from copy; tar cf a.tar from; mkdir out; tar xf a.tar -C out; test $(find out | wc -l) = $(($(find from | wc -l) + 1))",
    "diff -r from/f7 copy/f7; for n in f3 f4 f5 f6; do a=$(stat -c '%a %u %g %Y %s' from/$n); test \"$a\" = \"$(stat -c '%a %u %g %Y %s' copy/$n)\" && test \"$a\" = \"$(stat -c '%a %u %g %Y %s' out/from/$n)\" || break; done; test $n = f6",
    "test $(stat -c %h out/from/hard) = 2 && test $(readlink out/from/soft) = f2 && test -p copy/pipe",
    "cat from/f* | md5sum > one; cat out/from/f* | md5sum > two; cmp one two",
    "mount -o remount,ro /mnt; if touch x; then false; fi; mount -o remount,rw /mnt; rm -r from copy out",
    "mkdir b; mount -o bind /mnt/b /tmp; touch /tmp/x; test -e b/x; umount /tmp; grep -q ' /mnt ext2 rw' /proc/mounts",
];

const READ_ONLY: Commands = &[
    "echo text > f; cd /; umount /mnt; mount -o ro -t ext2 /dev/vda /mnt; cd /mnt",
    "if echo x > g; then false; fi; if rm -f f; then false; fi; if mkdir d; then false; fi; if chmod 600 f; then false; fi",
    "test $(cat f) = text; grep -q ' /mnt ext2 ro' /proc/mounts",
];

/// What a disk in memory is given keeps its contents until it is discarded, and costs memory only where it is written.
const RAM_DISK: Commands = &[
    "test $(blockdev --getsize64 /dev/ram0) = 33554432",
    "free=$(awk '/MemFree/ { print $2 }' /proc/meminfo)",
    "seq 1 300000 > /tmp/numbers; dd if=/tmp/numbers of=/dev/ram0 bs=10000 seek=1 2>/dev/null; sync",
    "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/ram0 bs=10000 skip=1 2>/dev/null | head -c $(stat -c %s /tmp/numbers) | cmp - /tmp/numbers",
    "dd if=/dev/ram0 bs=10000 count=1 2>/dev/null | tr -d '\\0' | wc -c | grep -x 0",
    "rm /tmp/numbers; echo 3 > /proc/sys/vm/drop_caches; test $(awk '/MemFree/ { print $2 }' /proc/meminfo) -gt $((free - 4000))",
    "mke2fs -q /dev/ram1 && mount -t ext2 /dev/ram1 /mnt && echo text > /mnt/f && umount /mnt && mount -t ext2 /dev/ram1 /mnt && grep -x text /mnt/f",
    "umount /mnt; grep -q ram1 /proc/partitions; if dd if=/dev/zero of=/dev/ram2 bs=1k seek=32768 count=1 2>/dev/null; then false; fi",
];

/// A fifth of the disk is kept back for root: others find it full, and root goes on.
const KEPT_BACK: Commands = &[
    "echo u:x:1000:1000::/:/bin/sh >> /etc/passwd; echo u:x:1000: >> /etc/group",
    "mke2fs -q -m 20 /dev/ram0 > /dev/null && mount -t ext2 /dev/ram0 /mnt && chmod 777 /mnt && cd /mnt",
    "start-stop-daemon -S -c u -x /bin/dd -- if=/dev/zero of=theirs bs=1k; test $(stat -c %u theirs) = 1000",
    "sync; test $(stat -f -c %a .) = 0; free=$(stat -f -c %f .); test $free -gt 3000",
    "dd if=/dev/zero of=mine bs=1k count=2000 && sync && test $(stat -f -c %f .) -lt $((free - 1990))",
    "start-stop-daemon -S -c u -x /bin/sh -- -c 'if echo x >> theirs; then touch /tmp/could; fi'; test ! -e /tmp/could",
    "cd /; umount /mnt",
];

fn kept_back(name: &str) -> TestResult {
    let mut guest = shell(name, &machine(1))?;
    for command in KEPT_BACK {
        run(&mut guest, command).map_err(|error| format!("`{command}`: {error}"))?;
    }
    power_off(guest)?;
    Ok(())
}

fn ram_disk(name: &str) -> TestResult {
    let command_line = "console=ttyS0 ramdisk_size=32768".to_string();
    let mut guest = shell(name, &Machine { command_line, ..machine(1) })?;
    for command in RAM_DISK {
        run(&mut guest, command).map_err(|error| format!("`{command}`: {error}"))?;
    }
    power_off(guest)?;
    Ok(())
}

fn machine(cpus: u32) -> Machine {
    Machine {
        initramfs: Some(PathBuf::from(INITRAMFS)),
        memory_mib: 512,
        cpus,
        silence: Duration::from_secs(240),
        total: Duration::from_secs(900),
        ..Machine::new(Boot::Kernel(Board::Q35))
    }
}

/// A shell in a guest.
fn shell(name: &str, machine: &Machine) -> Result<Guest, Stop> {
    if !Path::new(INITRAMFS).exists() {
        return Err(Stop::Skipped(format!("no {INITRAMFS}; run: scripts/build-process-images")));
    }
    let mut guest = Guest::start(name, machine)?;
    guest.wait_for("rcS: ready")?;
    guest.wait_for("# ")?;
    run(&mut guest, "mkdir /mnt")?;
    Ok(guest)
}

/// The same with `/dev/vda` on `/mnt`.
fn mounted(name: &str, machine: &Machine) -> Result<Guest, Stop> {
    let mut guest = shell(name, machine)?;
    run(&mut guest, "mount -t ext2 /dev/vda /mnt && cd /mnt")?;
    Ok(guest)
}

fn power_off(mut guest: Guest) -> Result<String, Stop> {
    guest.type_text("poweroff -f\n")?;
    Ok(guest.expect_exit(POWERED_OFF)?)
}

fn commands(name: &str, cpus: u32, bytes: u64, commands: Commands) -> TestResult {
    let options: &[&str] = if bytes > 100 << 20 { &["-N", "110000"] } else { &[] };
    let image = ext2::image(name, bytes, options)?;
    let mut guest = mounted(name, &ext2::attached(machine(cpus), &image, ""))?;
    for command in commands {
        run(&mut guest, command).map_err(|error| format!("`{command}`: {error}"))?;
    }
    power_off(guest)?;
    ext2::check(&image)
}

fn read_only_disk(name: &str) -> TestResult {
    let image = ext2::image(name, 8 << 20, &[])?;
    let before = fs::read(&image).map_err(|error| error.to_string())?;
    let mut guest = shell(name, &ext2::attached(machine(1), &image, ",readonly=on"))?;
    run(&mut guest, "if mount -t ext2 -o rw /dev/vda /mnt && touch /mnt/x; then false; fi")?;
    run(&mut guest, "mount -t ext2 -o ro /dev/vda /mnt || grep -q ' /mnt ext2 ro' /proc/mounts")?;
    run(&mut guest, "ls /mnt | grep -x lost+found")?;
    power_off(guest)?;
    let after = fs::read(&image).map_err(|error| error.to_string())?;
    if before == after { Ok(()) } else { Err(Stop::Failed("the disk was written".to_string())) }
}

/// An image with a file of 64 KiB, `good`, and one that starts at a sector that is told, `bad`.
fn with_files(name: &str) -> Result<PathBuf, Stop> {
    let folder = PathBuf::from(format!("build/test-images/{}.files", name.replace('/', "-")));
    let filled = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("good"), [b'g'; 65536]))
        .and_then(|()| fs::write(folder.join("bad"), [b'b'; 65536]));
    filled.map_err(|error| format!("{}: {error}", folder.display()))?;
    ext2::image(name, 16 << 20, &["-b", "1024", "-I", "128", "-d", &folder.display().to_string()])
}

/// What debugfs answers.
fn ask(image: &Path, question: &str) -> Result<String, String> {
    let output = Command::new("/sbin/debugfs").args(["-R", question]).arg(image).output();
    let output = output.map_err(|error| format!("debugfs: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// The machine whose disk fails as a rule of QEMU's blkdebug says.
fn failing(image: &Path, rule: &str) -> Result<Machine, String> {
    let path = image.with_extension("blkdebug");
    fs::write(&path, rule).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = PathBuf::from(format!("blkdebug:{}:{}", path.display(), image.display()));
    let mut machine = ext2::attached(machine(2), &file, "");
    if let Some(device) = machine.more_arguments.iter_mut().rfind(|word| word.contains("drive=vda")) {
        device.push_str(",rerror=report,werror=report");
    }
    Ok(machine)
}

fn bad_sector(event: &str, sector: u64) -> String {
    format!("[inject-error]\nevent = \"{event}\"\nerrno = \"5\"\nsector = \"{sector}\"\n")
}

/// A block of a file.
fn block_of(image: &Path, file: &str, place: usize) -> Result<u64, String> {
    let blocks = ask(image, &format!("blocks {file}"))?;
    let number = blocks.split_whitespace().nth(place).and_then(|number| number.parse().ok());
    number.ok_or(format!("debugfs says of the blocks of {file}: {blocks}"))
}

/// A sector of a file's data: who reads it gets EIO, everybody else goes on.
fn bad_data(name: &str) -> TestResult {
    let image = with_files(name)?;
    let block = block_of(&image, "/bad", 5)?;
    let mut guest = mounted(name, &failing(&image, &bad_sector("read_aio", block * 2))?)?;
    run(&mut guest, "cat bad 2>&1 >/dev/null | grep 'put/output error'")?;
    run(&mut guest, "test $(dd if=bad bs=4096 count=1 2>/dev/null | wc -c) = 4096")?;
    run(&mut guest, "test $(dd if=bad bs=4096 skip=3 2>/dev/null | wc -c) = 53248")?;
    run(&mut guest, "test $(cat good | wc -c) = 65536 && echo new > new && sync && test $(cat new) = new")?;
    power_off(guest)?;
    ext2::check(&image)
}

/// A sector with inodes that are not the first: files there cannot be looked at, others can.
fn bad_inodes(name: &str) -> TestResult {
    let image = with_files(name)?;
    // Inodes of 128 bytes in blocks of 1024: 9 to 16 are read together, lost+found among them, the root is before.
    let found = ask(&image, "imap <13>")?;
    let block = found.split("at block ").nth(1).and_then(|rest| rest.split([',', ' ', '\n']).next());
    let offset = found.split("offset 0x").nth(1).and_then(|rest| rest.split_whitespace().next());
    let number = block.and_then(|block| block.trim().parse::<u64>().ok());
    let offset = offset.and_then(|offset| u64::from_str_radix(offset.trim(), 16).ok());
    let (Some(block), Some(offset)) = (number, offset) else {
        return Err(Stop::Failed(format!("debugfs says of inode 13: {found}")));
    };
    let rule = bad_sector("read_aio", block * 2 + offset / 512);
    let mut guest = mounted(name, &failing(&image, &rule)?)?;
    run(&mut guest, "if cat good > /dev/null; then false; fi; if cat bad > /dev/null; then false; fi")?;
    run(&mut guest, "cat good 2>&1 | grep 'put/output error'; ls -d /mnt")?;
    run(&mut guest, "ls /proc/self > /dev/null")?;
    power_off(guest)?;
    ext2::check(&image)
}

/// Blocks that cannot be written: fsync(2) tells of it, once for each open file; other files reach the disk.
fn bad_writes(name: &str) -> TestResult {
    let image = with_files(name)?;
    let block = block_of(&image, "/bad", 8)?;
    let mut guest = mounted(name, &failing(&image, &bad_sector("write_aio", block * 2))?)?;
    let write = "dd if=/dev/zero of=bad bs=64k count=1 conv=notrunc,fsync 2>&1 | grep 'put/output error'";
    run(&mut guest, write)?;
    run(&mut guest, "echo fine > fine && dd if=/dev/zero of=other bs=4k count=4 conv=fsync")?;
    run(&mut guest, "sync; test $(cat fine) = fine")?;
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    ext2::check(&image)?;
    if ask(&image, "cat /fine")? == "fine" { Ok(()) } else { Err(Stop::Failed("/fine is lost".to_string())) }
}

/// QEMU is killed while files are made, written, fsynced and renamed: what was acknowledged is there.
fn power_cut(name: &str, acknowledged: u32) -> TestResult {
    let image = ext2::image(name, 32 << 20, &["-b", "1024"])?;
    // The host's cache outlives QEMU: what the guest's disk acknowledged is in the image.
    let mut guest = mounted(name, &ext2::attached(machine(2), &image, ""))?;
    let work = "i=0; while true; do i=$((i + 1)); seq $i $((i + 3000)) > t; dd if=t of=s conv=fsync 2>/dev/null; \
                mv s f$i; sync; rm -rf d$((i - 2)); mkdir d$i; cp f$i d$i; echo done-$i.; done\n";
    guest.type_text(work)?;
    guest.wait_for(&format!("done-{acknowledged}."))?;
    drop(guest);
    ext2::repair(&image)?;
    ext2::check(&image)?;
    for number in 1..=acknowledged {
        let expected: Vec<String> = (number..=number + 3000).map(|line| line.to_string()).collect();
        if ask(&image, &format!("cat /f{number}"))? != expected.join("\n") {
            return Err(Stop::Failed(format!("/f{number} was acknowledged and is not as it was written")));
        }
    }
    Ok(())
}

/// Boots that SQLite works in, each until so many transactions more are committed; then the power goes off.
const SQLITE_BOOTS: u32 = 4;
const SQLITE_STEP: u32 = 500;

/// SQLite through thousands of transactions: killed in between, then with the machine.
fn sqlite(name: &str) -> TestResult {
    let image = ext2::image(name, 32 << 20, &[])?;
    let mut acknowledged = 0;
    for _ in 0..SQLITE_BOOTS {
        let mut guest = mounted(name, &ext2::attached(machine(2), &image, ""))?;
        for _ in 0..3 {
            run(
                &mut guest,
                "(/tests/sqlite-transactions work db > log & sleep 1; kill -9 $!; wait) 2>/dev/null",
            )?;
            run(&mut guest, &format!("/tests/sqlite-transactions check db {acknowledged}"))?;
        }
        let output = run(&mut guest, "/tests/sqlite-transactions check db")?;
        acknowledged = number_behind(&output, "check ok ").max(acknowledged) + SQLITE_STEP;
        acknowledged -= acknowledged % 50;
        guest.type_text("/tests/sqlite-transactions work db\n")?;
        guest.wait_for(&format!("done {acknowledged}."))?;
        drop(guest);
        ext2::repair(&image)?;
        ext2::check(&image)?;
    }
    let mut guest = mounted(name, &ext2::attached(machine(2), &image, ""))?;
    run(&mut guest, &format!("/tests/sqlite-transactions check db {acknowledged}"))?;
    power_off(guest)?;
    ext2::check(&image)
}

fn number_behind(text: &str, mark: &str) -> u32 {
    let rest = text.rsplit(mark).next().unwrap_or_default();
    rest.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
