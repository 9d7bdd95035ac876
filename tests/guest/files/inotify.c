/* inotify(7): what happens to files, to read. */
#include "check.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <utime.h>

static char log_text[1 << 16];
static uint32_t last_cookie;

static const char *name_of(uint32_t mask)
{
    static char text[100];
    static const char *const names[] = {"ACCESS", "MODIFY", "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN", "MOVED_FROM", "MOVED_TO",
                                        "CREATE", "DELETE", "DELETE_SELF", "MOVE_SELF", "?", "UNMOUNT", "Q_OVERFLOW", "IGNORED"};
    text[0] = 0;
    for (int bit = 0; bit < 16; bit++) {
        if (mask & 1u << bit) strcat(strcat(text, text[0] ? "|" : ""), names[bit]);
    }
    if (mask & IN_ISDIR) strcat(text, "|ISDIR");
    return text;
}

/* All events so far, as `watch:mask:name` with spaces between. Cookies are checked: a move's halves share one. */
static const char *events(int file)
{
    static char buffer[1 << 16] __attribute__((aligned(8)));
    log_text[0] = 0;
    for (;;) {
        ssize_t length = read(file, buffer, sizeof buffer);
        if (length <= 0) break;
        for (ssize_t at = 0; at < length;) {
            struct inotify_event *event = (void *)(buffer + at);
            char one[400];
            snprintf(one, sizeof one, "%s%d:%s:%s", log_text[0] ? " " : "", event->wd, name_of(event->mask),
                     event->len ? event->name : "");
            strcat(log_text, one);
            if (event->mask & IN_MOVED_FROM) last_cookie = event->cookie;
            if (event->mask & IN_MOVED_TO) CHECK(event->cookie != 0 && event->cookie == last_cookie);
            if (!(event->mask & (IN_MOVED_FROM | IN_MOVED_TO))) CHECK_EQ(event->cookie, 0);
            if (event->len) CHECK(event->len % 16 == 0 && event->len > strlen(event->name));
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    return log_text;
}

#define CHECK_EVENTS(file, expected)                                                                      \
    do {                                                                                                  \
        const char *seen_ = events(file);                                                                 \
        check_note(!strcmp(seen_, expected), CHECK_PLACE, "events: %s, expected %s", seen_, expected);    \
    } while (0)

static int instance(void)
{
    int file = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    NEED(file >= 0);
    return file;
}

static void a_file_in_a_directory(void)
{
    char byte;
    int watcher = instance();
    CHECK_OK(mkdir("d", 0755));
    CHECK_EQ(inotify_add_watch(watcher, "d", IN_ALL_EVENTS), 1);
    CHECK_EVENTS(watcher, "");
    int file = open("d/f", O_CREAT | O_RDWR, 0644);
    CHECK_EVENTS(watcher, "1:CREATE:f 1:OPEN:f");
    CHECK_EQ(write(file, "abc", 3), 3);
    CHECK_EQ(pwrite(file, "abc", 3, 0), 3); /* the same again is not told again */
    CHECK_EVENTS(watcher, "1:MODIFY:f");
    CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(read(file, &byte, 1), 1);
    CHECK_EQ(write(file, "", 0), 0);
    CHECK_EVENTS(watcher, "1:ACCESS:f");
    close(dup(file));
    CHECK_EVENTS(watcher, "");
    close(file);
    CHECK_EVENTS(watcher, "1:CLOSE_WRITE:f");
    close(open("d/f", O_RDONLY));
    CHECK_EVENTS(watcher, "1:OPEN:f 1:CLOSE_NOWRITE:f");
    close(open("d/f", O_PATH));
    CHECK_EVENTS(watcher, "");
    CHECK_OK(chmod("d/f", 0600));
    CHECK_EVENTS(watcher, "1:ATTRIB:f");
    CHECK_OK(chown("d/f", 5, 5));
    CHECK_OK(utime("d/f", NULL));
    CHECK_EVENTS(watcher, "1:ATTRIB:f");
    CHECK_OK(truncate("d/f", 1));
    CHECK_EVENTS(watcher, "1:MODIFY:f");
    close(open("d/f", O_WRONLY | O_TRUNC));
    const char *seen = events(watcher); /* which comes first depends on Linux's version */
    CHECK(!strcmp(seen, "1:MODIFY:f 1:OPEN:f 1:CLOSE_WRITE:f") || !strcmp(seen, "1:OPEN:f 1:MODIFY:f 1:CLOSE_WRITE:f"));
    CHECK_OK(link("d/f", "d/g"));
    CHECK_EVENTS(watcher, "1:CREATE:g");
    CHECK_OK(symlink("f", "d/s"));
    CHECK_EVENTS(watcher, "1:CREATE:s");
    CHECK_OK(mkfifo("d/p", 0644));
    CHECK_EVENTS(watcher, "1:CREATE:p");
    CHECK_OK(unlink("d/g"));
    CHECK_OK(unlink("d/s"));
    CHECK_OK(unlink("d/p"));
    CHECK_OK(unlink("d/f"));
    CHECK_EVENTS(watcher, "1:DELETE:g 1:DELETE:s 1:DELETE:p 1:DELETE:f");
    CHECK_ERR(unlink("d/f"), ENOENT);
    CHECK_EVENTS(watcher, "");
}

static void directories(void)
{
    int watcher = instance();
    char buffer[1024];
    CHECK_OK(mkdir("d", 0755));
    CHECK_EQ(inotify_add_watch(watcher, "d", IN_ALL_EVENTS), 1);
    CHECK_OK(mkdir("d/e", 0755));
    CHECK_EVENTS(watcher, "1:CREATE|ISDIR:e");
    int folder = open("d/e", O_RDONLY);
    CHECK_EVENTS(watcher, "1:OPEN|ISDIR:e");
    CHECK(syscall(SYS_getdents64, folder, buffer, sizeof buffer) > 0);
    CHECK_EVENTS(watcher, "1:ACCESS|ISDIR:e");
    close(folder);
    CHECK_EVENTS(watcher, "1:CLOSE_NOWRITE|ISDIR:e");
    CHECK_OK(chmod("d/e", 0700));
    CHECK_EVENTS(watcher, "1:ATTRIB|ISDIR:e");
    close(open("d/e/deep", O_CREAT | O_WRONLY, 0644)); /* not one level further */
    CHECK_EVENTS(watcher, "");
    CHECK_OK(unlink("d/e/deep"));
    CHECK_OK(rmdir("d/e"));
    CHECK_EVENTS(watcher, "1:DELETE|ISDIR:e");
    CHECK_OK(chmod("d", 0700));
    CHECK_EVENTS(watcher, "1:ATTRIB|ISDIR:"); /* itself, without a name */
    close(open("d", O_RDONLY));
    CHECK_EVENTS(watcher, "1:OPEN|ISDIR: 1:CLOSE_NOWRITE|ISDIR:");
    CHECK_OK(rmdir("d"));
    CHECK_EVENTS(watcher, "1:DELETE_SELF: 1:IGNORED:");
    CHECK_ERR(inotify_rm_watch(watcher, 1), EINVAL);
}

static void renaming(void)
{
    int watcher = instance();
    CHECK_OK(mkdir("a", 0755));
    CHECK_OK(mkdir("b", 0755));
    write_file("a/f", "x", 0644);
    CHECK_EQ(inotify_add_watch(watcher, "a", IN_ALL_EVENTS), 1);
    CHECK_EQ(inotify_add_watch(watcher, "b", IN_ALL_EVENTS), 2);
    CHECK_EQ(inotify_add_watch(watcher, "a/f", IN_ALL_EVENTS), 3);
    CHECK_OK(rename("a/f", "a/g"));
    CHECK_EVENTS(watcher, "1:MOVED_FROM:f 1:MOVED_TO:g 3:MOVE_SELF:");
    CHECK_OK(rename("a/g", "b/h"));
    CHECK_EVENTS(watcher, "1:MOVED_FROM:g 2:MOVED_TO:h 3:MOVE_SELF:");
    CHECK_OK(mkdir("a/dir", 0755));
    CHECK_OK(rename("a/dir", "b/dir"));
    CHECK_EVENTS(watcher, "1:CREATE|ISDIR:dir 1:MOVED_FROM|ISDIR:dir 2:MOVED_TO|ISDIR:dir");
    write_file("b/new", "y", 0644);
    events(watcher);
    CHECK_OK(rename("b/new", "b/h")); /* over what is watched */
    CHECK_EVENTS(watcher, "2:MOVED_FROM:new 2:MOVED_TO:h 3:ATTRIB: 3:DELETE_SELF: 3:IGNORED:");
    write_file("a/one", "1", 0644);
    events(watcher);
    CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "a/one", AT_FDCWD, "b/h", 2)); /* exchange */
    CHECK_EVENTS(watcher, "1:MOVED_FROM:one 2:MOVED_TO:h 2:MOVED_FROM:h 1:MOVED_TO:one");
    CHECK_OK(rename("a/one", "a/one")); /* nothing happens */
    CHECK_EVENTS(watcher, "");
}

static void the_end_of_a_file(void)
{
    int watcher = instance();
    write_file("f", "x", 0644);
    CHECK_EQ(inotify_add_watch(watcher, "f", IN_ALL_EVENTS), 1);
    CHECK_OK(link("f", "g"));
    CHECK_EVENTS(watcher, "1:ATTRIB:");
    CHECK_OK(unlink("f"));
    CHECK_EVENTS(watcher, "1:ATTRIB:");
    int file = open("g", O_RDWR);
    CHECK_OK(unlink("g"));
    CHECK_EVENTS(watcher, "1:OPEN: 1:ATTRIB:"); /* it is open: it goes on */
    CHECK_EQ(write(file, "y", 1), 1);
    CHECK_EVENTS(watcher, "1:MODIFY:");
    close(file);
    CHECK_EVENTS(watcher, "1:CLOSE_WRITE: 1:DELETE_SELF: 1:IGNORED:");
    write_file("h", "x", 0644);
    CHECK_EQ(inotify_add_watch(watcher, "h", IN_DELETE_SELF), 2); /* numbers are not used again */
    CHECK_OK(unlink("h"));
    CHECK_EVENTS(watcher, "2:DELETE_SELF: 2:IGNORED:");
}

static void masks(void)
{
    int watcher = instance();
    write_file("f", "x", 0644);
    CHECK_EQ(inotify_add_watch(watcher, "f", IN_OPEN), 1);
    close(open("f", O_RDONLY));
    CHECK_EVENTS(watcher, "1:OPEN:");
    CHECK_EQ(inotify_add_watch(watcher, "f", IN_CLOSE_NOWRITE), 1); /* instead */
    close(open("f", O_RDONLY));
    CHECK_EVENTS(watcher, "1:CLOSE_NOWRITE:");
    CHECK_EQ(inotify_add_watch(watcher, "f", IN_OPEN | IN_MASK_ADD), 1);
    close(open("f", O_RDONLY));
    CHECK_EVENTS(watcher, "1:OPEN: 1:CLOSE_NOWRITE:");
    CHECK_ERR(inotify_add_watch(watcher, "f", IN_OPEN | IN_MASK_CREATE), EEXIST);
    CHECK_ERR(inotify_add_watch(watcher, "f", IN_OPEN | IN_MASK_CREATE | IN_MASK_ADD), EINVAL);
    CHECK_EQ(inotify_add_watch(watcher, "f", IN_OPEN | IN_ONESHOT), 1);
    close(open("f", O_RDONLY));
    close(open("f", O_RDONLY));
    CHECK_EVENTS(watcher, "1:OPEN: 1:IGNORED:");
    CHECK_EQ(inotify_add_watch(watcher, "f", IN_OPEN | IN_MASK_CREATE), 2);
    CHECK_OK(inotify_rm_watch(watcher, 2));
    close(open("f", O_RDONLY));
    CHECK_EVENTS(watcher, "2:IGNORED:");
    CHECK_ERR(inotify_rm_watch(watcher, 2), EINVAL);
    /* Links, directories. */
    CHECK_OK(symlink("f", "s"));
    CHECK_ERR(inotify_add_watch(watcher, "f", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    int link_watch = inotify_add_watch(watcher, "s", IN_ALL_EVENTS | IN_DONT_FOLLOW);
    CHECK_EQ(link_watch, 3);
    CHECK_EQ(inotify_add_watch(watcher, "s", IN_OPEN), 4);
    close(open("s", O_RDONLY));
    CHECK_EVENTS(watcher, "4:OPEN:");
    CHECK_OK(unlink("s"));
    CHECK_EVENTS(watcher, "3:ATTRIB: 3:DELETE_SELF: 3:IGNORED:");
}

static void names_that_are_gone(void)
{
    int watcher = instance(), other = instance();
    CHECK_OK(mkdir("d", 0755));
    CHECK_EQ(inotify_add_watch(watcher, "d", IN_MODIFY | IN_CLOSE_WRITE | IN_EXCL_UNLINK), 1);
    CHECK_EQ(inotify_add_watch(other, "d", IN_MODIFY | IN_CLOSE_WRITE), 1);
    int file = open("d/f", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(write(file, "x", 1), 1);
    CHECK_OK(unlink("d/f"));
    CHECK_EVENTS(watcher, "1:MODIFY:f");
    CHECK_EVENTS(other, "1:MODIFY:f");
    CHECK_EQ(write(file, "x", 1), 1);
    close(file);
    CHECK_EVENTS(watcher, "");
    CHECK_EVENTS(other, "1:MODIFY:f 1:CLOSE_WRITE:f");
}

static void several_watchers(void)
{
    int one = instance(), two = instance();
    CHECK_OK(mkdir("d", 0755));
    write_file("d/f", "x", 0644);
    CHECK_EQ(inotify_add_watch(one, "d", IN_OPEN), 1);
    CHECK_EQ(inotify_add_watch(one, "d/f", IN_OPEN), 2);
    CHECK_EQ(inotify_add_watch(two, "d/f", IN_OPEN | IN_DELETE_SELF), 1);
    close(open("d/f", O_RDONLY));
    CHECK_EVENTS(one, "1:OPEN:f 2:OPEN:");
    CHECK_EVENTS(two, "1:OPEN:");
    close(one);
    close(open("d/f", O_RDONLY));
    CHECK_EVENTS(two, "1:OPEN:");
    CHECK_OK(unlink("d/f"));
    CHECK_EVENTS(two, "1:DELETE_SELF: 1:IGNORED:");
}

static void reading(void)
{
    char buffer[256] __attribute__((aligned(8)));
    int watcher = instance(), size;
    CHECK_EQ(inotify_add_watch(watcher, ".", IN_CREATE), 1);
    CHECK_ERR(read(watcher, buffer, sizeof buffer), EAGAIN);
    struct pollfd poller = {watcher, POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&poller, 1, 0), 0);
    CHECK_OK(ioctl(watcher, FIONREAD, &size));
    CHECK_EQ(size, 0);
    CHECK_OK(mknod("a", S_IFREG | 0644, 0));
    CHECK_OK(mknod("sixteen-letters!", S_IFREG | 0644, 0));
    CHECK_EQ(poll(&poller, 1, 0), 1);
    CHECK_EQ(poller.revents, POLLIN);
    CHECK_OK(ioctl(watcher, FIONREAD, &size));
    CHECK_EQ(size, 32 + 48);
    CHECK_ERR(read(watcher, buffer, 31), EINVAL); /* not even one fits */
    CHECK_EQ(read(watcher, buffer, 79), 32);      /* only whole ones */
    CHECK_EQ(read(watcher, buffer, sizeof buffer), 48);
    struct inotify_event *event = (void *)buffer;
    CHECK(event->len == 32 && !strcmp(event->name, "sixteen-letters!"));
    CHECK_EQ(poll(&poller, 1, 0), 0);
    /* Waiting. */
    CHECK_OK(fcntl(watcher, F_SETFL, 0));
    pid_t parent = getpid();
    pid_t pid = CHILD(wait_for_state(parent, 'S'); sleep_ms(10); CHECK_OK(mknod("b", S_IFREG | 0644, 0)));
    CHECK_EQ(read(watcher, buffer, sizeof buffer), 32);
    CHECK_EXITED(status_of(pid), 0);
    int waiter = epoll_create1(0);
    struct epoll_event wanted = {EPOLLIN, {.u64 = 5}}, got;
    CHECK_OK(epoll_ctl(waiter, EPOLL_CTL_ADD, watcher, &wanted));
    CHECK_EQ(epoll_wait(waiter, &got, 1, 0), 0);
    pid = CHILD(sleep_ms(10); CHECK_OK(mknod("c", S_IFREG | 0644, 0)));
    CHECK_EQ(epoll_wait(waiter, &got, 1, 20000), 1);
    CHECK_EXITED(status_of(pid), 0);
    char path[40], text[60] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", watcher);
    CHECK(readlink(path, text, sizeof text - 1) > 0);
    CHECK(!strcmp(text, "anon_inode:inotify"));
}

static int read_limit(const char *name)
{
    char path[80], text[20] = "";
    snprintf(path, sizeof path, "/proc/sys/fs/inotify/%s", name);
    int file = open(path, O_RDONLY);
    NEED(file >= 0);
    NEED(read(file, text, sizeof text - 1) > 0);
    close(file);
    return atoi(text);
}

static void too_many_events(void)
{
    static char buffer[1 << 20] __attribute__((aligned(8)));
    int watcher = instance(), most = read_limit("max_queued_events"), count = 0, lost = 0;
    CHECK(most >= 1);
    CHECK_EQ(inotify_add_watch(watcher, ".", IN_CREATE | IN_DELETE), 1);
    for (int i = 0; i < most / 2 + 5; i++) {
        int bad = mknod("x", S_IFREG | 0644, 0) != 0;
        if (bad || unlink("x") != 0) REQUIRE(!"made and removed");
    }
    for (;;) {
        ssize_t length = read(watcher, buffer, sizeof buffer);
        if (length <= 0) break;
        for (ssize_t at = 0; at < length;) {
            struct inotify_event *event = (void *)(buffer + at);
            if (event->mask & IN_Q_OVERFLOW) {
                CHECK(event->wd == -1 && event->len == 0);
                CHECK_EQ(count, most); /* it comes last */
                lost++;
            }
            count++;
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    CHECK_EQ(lost, 1);
    CHECK_EQ(count, most + 1);
}

static void too_many_instances(void)
{
    int most = read_limit("max_user_instances"), made = 0;
    CHECK(most >= 1 && read_limit("max_user_watches") >= 1);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(setgid(31234));
        CHECK_OK(setuid(31234));
        while (made < most && inotify_init1(0) >= 0) made++;
        CHECK_ERR(inotify_init1(0), EMFILE);
        CHECK_EQ(made, most);
    }), 0);
}

static void a_file_system_goes(void)
{
    int watcher = instance();
    CHECK_OK(mkdir("m", 0755));
    if (mount("none", "m", "tmpfs", 0, NULL) != 0) return; /* not allowed in a container */
    write_file("m/f", "x", 0644);
    CHECK_EQ(inotify_add_watch(watcher, "m/f", IN_OPEN), 1);
    CHECK_OK(umount("m"));
    CHECK_EVENTS(watcher, "1:UNMOUNT: 1:IGNORED:");
}

static void errors(void)
{
    int watcher = instance(), null = open("/dev/null", O_RDWR);
    CHECK_ERR(inotify_init1(1), EINVAL);
    CHECK_ERR(inotify_add_watch(watcher, ".", 0), EINVAL);
    CHECK_ERR(inotify_add_watch(watcher, ".", 0x1000), EINVAL);
    CHECK_ERR(inotify_add_watch(777, ".", IN_OPEN), EBADF);
    CHECK_ERR(inotify_add_watch(null, ".", IN_OPEN), EINVAL);
    CHECK_ERR(inotify_add_watch(watcher, "nothing", IN_OPEN), ENOENT);
    CHECK_ERR(inotify_add_watch(watcher, "", IN_OPEN), ENOENT);
    CHECK_ERR(inotify_add_watch(watcher, "nothing/more", IN_OPEN), ENOENT);
    CHECK_ERR(inotify_add_watch(watcher, UNMAPPED_ADDRESS, IN_OPEN), EFAULT);
    CHECK_ERR(inotify_rm_watch(watcher, 1), EINVAL);
    CHECK_ERR(inotify_rm_watch(watcher, -1), EINVAL);
    CHECK_ERR(inotify_rm_watch(777, 1), EBADF);
    CHECK_ERR(inotify_rm_watch(null, 1), EINVAL);
    CHECK_ERR(write(watcher, "x", 1), EBADF);
    CHECK_EQ(inotify_add_watch(watcher, ".", IN_ALL_EVENTS), 1);
    CHECK_OK(mknod("f", S_IFREG, 0));
    CHECK_ERR(read(watcher, UNMAPPED_ADDRESS, 100), EFAULT);
    write_file("secret", "x", 0600);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(setgid(1000));
        CHECK_OK(setuid(1000));
        CHECK_ERR(inotify_add_watch(watcher, "secret", IN_OPEN), EACCES);
    }), 0);
    int old = (int)syscall(SYS_inotify_init);
    CHECK(old >= 0 && (fcntl(old, F_GETFL) & O_NONBLOCK) == 0);
}

CASES(CASE(a_file_in_a_directory), CASE(directories), CASE(renaming), CASE(the_end_of_a_file), CASE(masks), CASE(names_that_are_gone),
      CASE(several_watchers), CASE(reading), CASE(too_many_events), CASE(too_many_instances), CASE(a_file_system_goes), CASE(errors))
