//! Somebody sits down at it: logins, wrong and right, su, passwd, init. First on this host's Linux in a small system of its
//! own, then in Nacre.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use driver::guest::{Guest, POWERED_OFF};
use driver::jail::{Console, Jail};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Test, TestResult};

use crate::ext2;

const INITRAMFS: &str = "build/initramfs.cpio";
const ROOT_DISK: &str = "build/rootfs.img";
const PROMPT: &str = "nacre login: ";
const ASKED: &str = "Password: ";
const WELCOME: &str = "Welcome to Nacre.";
/// The ends of the shell's prompts.
const USER: &str = "user@nacre:~$ ";
const ROOT: &str = "# ";
/// What reboot(2) does to process 1 of a small system.
const SIGINT: i32 = 2;
const SIGHUP: i32 = 1;

type Script = fn(&mut dyn Console) -> Result<(), String>;

/// Scripts that run here and there.
const BOTH: [(&str, Script); 4] =
    [("session", session), ("getty-comes-back", getty_comes_back), ("su", su_rules), ("timeout", timeout)];

/// Scripts for this host alone: what is different about their system, and what happens.
const HERE: [(&str, &str, Script); 10] = [
    ("passwd", "", passwd),
    ("locked", "sed -i 's/^user:/user:!/' etc/shadow", locked),
    ("missing-shell", "sed -i 's|/home/user:/bin/sh|/home/user:/bin/none|' etc/passwd", missing_shell),
    ("missing-home", "rmdir home/user", missing_home),
    ("closed", "sed -i '/^user:/s/:::$/::100:/' etc/shadow", closed),
    ("expired", "sed -i '/^user:/s/:20000:/:0:/' etc/shadow", expired),
    ("no-password", "sed -i 's/^user:[^:]*:/user::/' etc/shadow", no_password),
    ("nologin", "echo 'Back at noon.' >etc/nologin", nologin),
    ("nothing-to-run", "rm etc/init/*", nothing_to_run),
    (
        "services",
        "printf 'exec /bin/sleep 1000\\n' >etc/init/extra; printf 'exec /bin/none\\n' >etc/init/broken; \
         printf 'start /x\\n' >etc/init/wrong",
        services,
    ),
];

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let here = BOTH.map(|(name, script)| (name, "", script)).into_iter().chain(HERE);
    for (name, changes, script) in here {
        let run = move |name: &str| on_host(name, changes, script);
        tests.push((format!("host-login/{name}"), Box::new(run)));
    }
    tests.push(("host-userland/hello".to_string(), Box::new(hello)));
    tests.push(("host-userland/panic".to_string(), Box::new(panics)));
    tests.push(("host-login/reboot".to_string(), Box::new(reboots_on_host)));
    for (name, script) in BOTH {
        tests.push((format!("login/{name}"), Box::new(move |name| on_nacre(name, script))));
    }
    tests.push(("login/root-disk".to_string(), Box::new(root_disk)));
    tests.push(("login/no-initramfs".to_string(), Box::new(no_initramfs)));
    tests.push(("login/read-only-disk".to_string(), Box::new(read_only_disk)));
    tests.push(("login/missing-disk".to_string(), Box::new(missing_disk)));
    tests
}

fn on_host(name: &str, changes: &str, script: Script) -> TestResult {
    let mut jail = Jail::start(name, INITRAMFS, changes)?;
    script(&mut jail)?;
    power_off(&mut jail)?;
    jail.expect_end(SIGINT)?;
    Ok(())
}

fn reboots_on_host(name: &str) -> TestResult {
    let mut jail = Jail::start(name, INITRAMFS, "")?;
    root(&mut jail)?;
    jail.type_text("/sbin/reboot\n")?;
    jail.wait_for("init: starting again")?;
    jail.expect_end(SIGHUP)?;
    Ok(())
}

/// What a stripped hello world may take (issue 6).
const HELLO_BYTES: u64 = 24 << 10;

fn hello(_name: &str) -> TestResult {
    let path = "build/userland/hello";
    let size = fs::metadata(path).map_err(|error| format!("{path}: {error}"))?.len();
    let output = Command::new(path).output().map_err(|error| format!("{path}: {error}"))?;
    if output.status.success() && output.stdout == b"hello, world\n" && size < HELLO_BYTES {
        return Ok(());
    }
    Err(format!("{path} has {size} bytes and ends so: {output:?}").into())
}

fn panics(_name: &str) -> TestResult {
    let path = "build/userland/panics";
    let output = Command::new(path).output().map_err(|error| format!("{path}: {error}"))?;
    let message = String::from_utf8_lossy(&output.stderr);
    let says = message.starts_with("panics: panicked at userland/hello/src/panics.rs:")
        && message.ends_with("1 arguments are too few\n");
    if output.status.code() == Some(134) && says {
        return Ok(());
    }
    Err(format!("{path} ends with {} and says {message}", output.status).into())
}

fn machine() -> Machine {
    Machine {
        initramfs: Some(PathBuf::from(INITRAMFS)),
        cpus: 2,
        silence: std::time::Duration::from_secs(60),
        ..Machine::new(Boot::Kernel(Board::Q35))
    }
}

fn on_nacre(name: &str, script: Script) -> TestResult {
    let mut guest = Guest::start(name, &machine())?;
    script(&mut guest)?;
    power_off(&mut guest)?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// Leaves with a root shell in front, or gets one, and switches off in order.
fn power_off(console: &mut dyn Console) -> Result<(), String> {
    console.type_text("/sbin/poweroff\n")?;
    console.wait_for("init: asking all processes to end")?;
    console.wait_for("init: switching off")?;
    Ok(())
}

fn log_in(console: &mut dyn Console, name: &str, password: &str) -> Result<String, String> {
    console.wait_for(PROMPT)?;
    console.type_text(&format!("{name}\n"))?;
    console.wait_for(ASKED)?;
    console.type_text(&format!("{password}\n"))?;
    // The end of the line is shown, what was typed is not.
    console.wait_for("\n")
}

fn user(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "user", "user")?;
    console.wait_for(WELCOME)?;
    console.wait_for(USER)?;
    Ok(())
}

fn root(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "root", "nacre")?;
    console.wait_for(WELCOME)?;
    console.wait_for(ROOT)?;
    Ok(())
}

/// What commands end with: it writes `rc=`, which its echo does not hold.
const MARK: &str = "; echo \"r\"c=$?.";

/// Types a command and expects a text before the next prompt.
fn says(console: &mut dyn Console, command: &str, expected: &str, prompt: &str) -> Result<(), String> {
    console.type_text(&format!("{command}{MARK}\n"))?;
    let output = console.wait_for("rc=")?;
    console.wait_for(prompt)?;
    // What comes first is the echo of the typing, unless it was too long for a line.
    let start = output.find(MARK).map_or(0, |at| at + MARK.len());
    let output = output.get(start..).unwrap_or_default();
    if output.contains(expected) {
        Ok(())
    } else {
        Err(format!("`{command}` does not say `{expected}`: {output}"))
    }
}

fn log_out(console: &mut dyn Console) -> Result<(), String> {
    console.type_text("exit\n")
}

/// What a user must not do, and the sentence he gets.
const FORBIDDEN: [(&str, &str); 14] = [
    ("cat /etc/shadow", "Permission denied"),
    ("echo x >>/etc/passwd", "Permission denied"),
    ("echo x >/etc/init/mine", "Permission denied"),
    ("echo poweroff >/run/init.control", "Permission denied"),
    ("rm -f /bin/su", "Permission denied"),
    ("ls /root", "Permission denied"),
    ("chown root /home/user", "Operation not permitted"),
    ("mount -t tmpfs x /mnt", "permission denied"),
    ("umount /tmp", "Operation not permitted"),
    ("kill -9 1", "Operation not permitted"),
    ("/sbin/poweroff", "Operation not permitted"),
    ("/sbin/reboot -f", "Operation not permitted"),
    ("hostname other", "Operation not permitted"),
    ("/bin/login root", "only root can"),
];

fn session(console: &mut dyn Console) -> Result<(), String> {
    console.wait_for("Nacre 0.1 on ttyS0")?;
    for (name, password) in [("user", "wrong"), ("nobody", ""), ("stranger", "user")] {
        let shown = log_in(console, name, password)?;
        if !password.is_empty() && shown.contains(password) {
            return Err(format!("the password is shown: {shown}"));
        }
        console.wait_for("Login incorrect\n")?;
    }
    user(console)?;
    says(console, "/usr/bin/id", "uid=1000(user) gid=1000(user) groups=1000(user),100(users)\n", USER)?;
    says(console, "/usr/bin/who", "user     ttyS0 ", USER)?;
    says(console, "tty", "/dev/ttyS0\n", USER)?;
    says(console, "echo $HOME:$SHELL:$USER:$LOGNAME:$TERM", "/home/user:/bin/sh:user:user:vt220\n", USER)?;
    says(console, "ls -l /dev/ttyS0", "crw--w----    1 user     tty ", USER)?;
    says(console, "echo mine >file && cat file", "mine\n", USER)?;
    for (command, sentence) in FORBIDDEN {
        says(console, command, sentence, USER)?;
    }
    console.type_text("/bin/su\n")?;
    console.wait_for(ASKED)?;
    console.type_text("user\n")?;
    console.wait_for("su: Authentication failure")?;
    console.type_text("/bin/su\n")?;
    console.wait_for(ASKED)?;
    console.type_text("nacre\n")?;
    console.wait_for(ROOT)?;
    says(console, "/usr/bin/id", "uid=0(root) gid=0(root) groups=0(root)\n", ROOT)?;
    console.type_text("exit\n")?;
    console.wait_for(USER)?;
    log_out(console)?;
    // A second login tells of the first.
    log_in(console, "user", "user")?;
    console.wait_for("Last login: ")?;
    console.wait_for(" on ttyS0")?;
    console.wait_for(USER)?;
    log_out(console)?;
    root(console)?;
    says(console, "tr -d '\\0\\n' </var/log/wtmp | grep -c ttyS0", "1", ROOT)
}

fn getty_comes_back(console: &mut dyn Console) -> Result<(), String> {
    root(console)?;
    console.type_text(
        "setsid sh -c 'while ! pidof getty; do sleep 1; done; sleep 2; kill -9 $(pidof getty)' & exit\n",
    )?;
    console.wait_for(PROMPT)?;
    console.wait_for("init: ttyS0 was killed by signal 9; it is started again")?;
    root(console)
}

/// The alarm comes early: nobody wants to wait a minute.
fn timeout(console: &mut dyn Console) -> Result<(), String> {
    root(console)?;
    console.type_text(
        "setsid sh -c 'while ! pidof login; do sleep 1; done; sleep 2; kill -ALRM $(pidof login)' & exit\n",
    )?;
    console.wait_for(PROMPT)?;
    console.type_text("user\n")?;
    console.wait_for(ASKED)?;
    console.wait_for("Login timed out after 60 seconds.")?;
    root(console)
}

fn su_rules(console: &mut dyn Console) -> Result<(), String> {
    user(console)?;
    // Nobody's account is locked, and its shell is not one that may be chosen.
    console.type_text("/bin/su -s /bin/sh nobody\n")?;
    console.wait_for(ASKED)?;
    console.type_text("x\n")?;
    console.wait_for("su: Authentication failure")?;
    console.type_text("/bin/su stranger\n")?;
    console.wait_for(ASKED)?;
    console.type_text("x\n")?;
    console.wait_for("su: Authentication failure")?;
    // What the caller set does not reach the other's shell.
    console.type_text(
        "HOME=/tmp ENV=/tmp/trap IFS=x /bin/su root -c 'echo home=$HOME env=$ENV path=$PATH.'\n",
    )?;
    console.wait_for(ASKED)?;
    console.type_text("nacre\n")?;
    console.wait_for("home=/root env= path=/usr/local/sbin:")?;
    // Ctrl-C at the question leaves the terminal with its echo.
    console.type_text("/bin/su\n")?;
    console.wait_for(ASKED)?;
    console.type_text("\u{3}")?;
    says(console, "echo visible", "visible\n", USER)?;
    says(console, "stty | grep -c -e '-echo '", "0\n", USER)?;
    console.type_text("/bin/su -\n")?;
    console.wait_for(ASKED)?;
    console.type_text("nacre\n")?;
    console.wait_for("root@nacre:~# ")?;
    // Root is not asked.
    says(console, "/bin/su user -c '/usr/bin/id -un; pwd'", "user\n", ROOT)?;
    says(
        console,
        "/bin/su -s /bin/sh nobody -c '/usr/bin/id'",
        "uid=65534(nobody) gid=65534(nogroup)",
        ROOT,
    )?;
    says(console, "/bin/su nobody || echo refused", "refused\n", ROOT)?;
    says(console, "/bin/su - user -c 'pwd; echo $USER'", "/home/user\nuser\n", ROOT)?;
    says(console, "/bin/su stranger", "there is no user stranger", ROOT)
}

fn passwd(console: &mut dyn Console) -> Result<(), String> {
    user(console)?;
    let answer = |console: &mut dyn Console, question: &str, text: &str| {
        console.wait_for(question)?;
        console.type_text(&format!("{text}\n"))
    };
    console.type_text("/usr/bin/passwd\n")?;
    answer(console, "Current password: ", "wrong")?;
    console.wait_for("passwd: Authentication failure")?;
    console.type_text("/usr/bin/passwd root\n")?;
    console.wait_for("you may not change the password of root")?;
    console.type_text("/usr/bin/passwd -d\n")?;
    console.wait_for("only root may do that")?;
    console.type_text("/usr/bin/passwd\n")?;
    answer(console, "Current password: ", "user")?;
    answer(console, "New password: ", "abc")?;
    console.wait_for("Bad password: it is too short")?;
    answer(console, "New password: ", "a-new-one")?;
    answer(console, "Retype new password: ", "another-one")?;
    console.wait_for("differ")?;
    answer(console, "New password: ", "a-new-one")?;
    answer(console, "Retype new password: ", "a-new-one")?;
    console.wait_for("The password of user is changed.")?;
    console.wait_for(USER)?;
    says(console, "/usr/bin/passwd -S", "user P 20", USER)?;
    log_out(console)?;
    log_in(console, "user", "user")?;
    console.wait_for("Login incorrect\n")?;
    log_in(console, "user", "a-new-one")?;
    console.wait_for(WELCOME)?;
    log_out(console)?;
    root(console)?;
    says(console, "ls -l /etc/shadow; ls /etc/shadow.new", "-rw-r-----    1 root     root ", ROOT)?;
    console.type_text("/usr/bin/passwd user\n")?;
    answer(console, "New password: ", "user")?;
    answer(console, "Retype new password: ", "user")?;
    console.wait_for("The password of user is changed.")?;
    says(console, "/usr/bin/passwd -l user; /usr/bin/passwd -S user", "user L 20", ROOT)?;
    log_out(console)?;
    log_in(console, "user", "user")?;
    console.wait_for("Login incorrect\n")?;
    root(console)?;
    says(console, "/usr/bin/passwd -u user; /usr/bin/passwd -S user", "user P 20", ROOT)?;
    log_out(console)?;
    user(console)?;
    log_out(console)?;
    root(console)
}

fn locked(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "user", "user")?;
    console.wait_for("Login incorrect\n")?;
    root(console)
}

fn missing_shell(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "user", "user")?;
    console.wait_for("login: cannot run the shell /bin/none: No such file or directory")?;
    root(console)
}

fn missing_home(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "user", "user")?;
    console.wait_for("No directory /home/user, logging in with HOME=/")?;
    console.wait_for("$ ")?;
    says(console, "pwd; echo $HOME", "/\n/\n", "$ ")?;
    log_out(console)?;
    root(console)
}

fn closed(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "user", "user")?;
    console.wait_for("login: your account has expired")?;
    root(console)
}

fn expired(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "user", "user")?;
    console.wait_for("You must change your password now.")?;
    for question in ["New password: ", "Retype new password: "] {
        console.wait_for(question)?;
        console.type_text("better-now\n")?;
    }
    console.wait_for(WELCOME)?;
    log_out(console)?;
    log_in(console, "user", "better-now")?;
    console.wait_for(WELCOME)?;
    log_out(console)?;
    root(console)
}

fn no_password(console: &mut dyn Console) -> Result<(), String> {
    console.wait_for(PROMPT)?;
    console.type_text("user\n")?;
    let output = console.wait_for(WELCOME)?;
    if output.contains(ASKED) {
        return Err("a password was asked for".to_string());
    }
    log_out(console)?;
    root(console)
}

fn nologin(console: &mut dyn Console) -> Result<(), String> {
    log_in(console, "user", "user")?;
    console.wait_for("Back at noon.")?;
    root(console)
}

fn nothing_to_run(console: &mut dyn Console) -> Result<(), String> {
    console.wait_for("init: nothing is left to run: here is a root shell")?;
    console.wait_for(ROOT)?;
    says(console, "echo alive as $(/usr/bin/id -u)", "alive as 0\n", ROOT)
}

fn services(console: &mut dyn Console) -> Result<(), String> {
    console.wait_for("init: /etc/init/wrong: line 1: `start` means nothing here")?;
    root(console)?;
    let status = "echo status >/run/init.control; sleep 1; cat /run/init.status";
    // Its messages come between others.
    says(console, status, "broken waiting\n", ROOT)?;
    says(console, "echo stop broken >/run/init.control", "", ROOT)?;
    says(console, status, "broken down\n", ROOT)?;
    says(console, status, "extra running ", ROOT)?;
    says(console, "echo stop extra >/run/init.control; sleep 1; pidof sleep || echo none", "none\n", ROOT)?;
    says(console, status, "extra down\n", ROOT)?;
    says(console, "echo start extra >/run/init.control; sleep 1; pidof sleep || echo none", "\n", ROOT)?;
    says(console, status, "extra running ", ROOT)?;
    console.type_text("echo dance >/run/init.control\n")?;
    console.wait_for("init: `dance` is no command")?;
    // Orphans do not stay zombies.
    says(console, "sh -c 'sh -c \"exit 3\" & exec sleep 1'; sleep 1; ps -o stat | grep -c Z", "0\n", ROOT)
}

fn with_disk(name: &str, options: &str) -> Result<(PathBuf, Machine), String> {
    let image = PathBuf::from(format!("build/test-images/{}.img", name.replace('/', "-")));
    fs::create_dir_all("build/test-images")
        .and_then(|()| fs::copy(ROOT_DISK, &image))
        .map_err(|error| format!("{ROOT_DISK}: {error}; run: make rootfs"))?;
    let drive = format!("file={},format=raw,if=none,id=root{options}", image.display());
    let machine = Machine {
        command_line: "console=ttyS0 root=LABEL=nacre".to_string(),
        more_arguments: ["-drive", &drive, "-device", "virtio-blk-pci,drive=root"].map(String::from).to_vec(),
        ..machine()
    };
    Ok((image, machine))
}

/// From the initramfs to the root on a disk, where what is written stays.
fn root_disk(name: &str) -> TestResult {
    let (image, machine) = with_disk(name, "")?;
    for (round, seen) in [("one", ""), ("two", "one\n")] {
        let mut guest = Guest::start(name, &machine)?;
        root(&mut guest)?;
        says(&mut guest, "grep ' / ' /proc/mounts", "/dev/vda / ext2 rw", ROOT)?;
        says(&mut guest, "cat /root/kept", seen, ROOT)?;
        says(&mut guest, &format!("echo {round} >/root/kept"), "", ROOT)?;
        power_off(&mut guest)?;
        guest.expect_exit(POWERED_OFF)?;
        ext2::check(&image)?;
    }
    Ok(())
}

/// The kernel mounts the disk, whose init finds itself at home.
fn no_initramfs(name: &str) -> TestResult {
    let (image, machine) = with_disk(name, "")?;
    let command_line = "console=ttyS0 root=/dev/vda rw".to_string();
    let mut guest = Guest::start(name, &Machine { initramfs: None, command_line, ..machine })?;
    root(&mut guest)?;
    power_off(&mut guest)?;
    guest.expect_exit(POWERED_OFF)?;
    ext2::check(&image)
}

fn read_only_disk(name: &str) -> TestResult {
    let (image, machine) = with_disk(name, ",readonly=on")?;
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("init: /dev/vda cannot be written")?;
    guest.wait_for("it is mounted read-only")?;
    root(&mut guest)?;
    power_off(&mut guest)?;
    guest.expect_exit(POWERED_OFF)?;
    ext2::check(&image)
}

/// A sentence and a shell, not a hang.
fn missing_disk(name: &str) -> TestResult {
    let machine = Machine { command_line: "console=ttyS0 root=/dev/vdz".to_string(), ..machine() };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("init: the root disk did not come")?;
    guest.wait_for("init: nothing is left to run: here is a root shell")?;
    guest.wait_for(ROOT)?;
    power_off(&mut guest)?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}
