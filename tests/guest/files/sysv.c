/* System V IPC: memory, semaphores, messages. */
#include "check.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static key_t some_key(void) { return 0x4e000000 + getpid(); }

static const char *line_of(const char *file, int id)
{
    static char text[1 << 16], line[300];
    char path[60];
    snprintf(path, sizeof path, "/proc/sysvipc/%s", file);
    int proc = open(path, O_RDONLY);
    NEED(proc >= 0);
    ssize_t length = 0, got;
    while ((got = read(proc, text + length, sizeof text - 1 - (size_t)length)) > 0) length += got;
    close(proc);
    text[length] = 0;
    for (char *next = text; next && *next; next = strchr(next, '\n') ? strchr(next, '\n') + 1 : NULL) {
        int key, number;
        if (sscanf(next, "%d %d", &key, &number) == 2 && number == id) {
            snprintf(line, sizeof line, "%.*s", (int)strcspn(next, "\n"), next);
            return line;
        }
    }
    return "";
}

static void as_somebody(void)
{
    if (setgid(1234) != 0 || setuid(1234) != 0) _exit(9);
}

/* ---- Memory ---- */

static void memory_is_shared(void)
{
    int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600);
    REQUIRE(id >= 0);
    char *one = shmat(id, NULL, 0), *two = shmat(id, NULL, SHM_RDONLY);
    REQUIRE(one != (void *)-1 && two != (void *)-1);
    CHECK(one != two && one[0] == 0 && one[12287] == 0); /* whole pages */
    strcpy(one, "hello");
    CHECK(!strcmp(two, "hello"));
    struct shmid_ds facts;
    CHECK_OK(shmctl(id, IPC_STAT, &facts));
    CHECK(facts.shm_segsz == 10000 && facts.shm_nattch == 2 && facts.shm_cpid == getpid() && facts.shm_lpid == getpid());
    CHECK(facts.shm_perm.mode == 0600 && facts.shm_atime != 0 && facts.shm_dtime == 0);
    CHECK_KILLED(CHILD_STATUS(two[0] = 'x'), SIGSEGV);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(shmctl(id, IPC_STAT, &facts));
        CHECK_EQ(facts.shm_nattch, 4); /* inherited */
        strcpy(one + 9000, "child");
        CHECK_OK(shmdt(two));
        CHECK_OK(shmctl(id, IPC_STAT, &facts));
        CHECK(facts.shm_nattch == 3 && facts.shm_lpid == getpid());
    }), 0);
    CHECK(!strcmp(two + 9000, "child"));
    CHECK_OK(shmctl(id, IPC_STAT, &facts));
    CHECK(facts.shm_nattch == 2 && facts.shm_dtime != 0);
    CHECK_OK(munmap(one, PAGE)); /* parts may go by themselves */
    CHECK_OK(shmdt(two));
    CHECK_KILLED(CHILD_STATUS(((volatile char *)two)[0]), SIGSEGV);
    CHECK_ERR(shmdt(two), EINVAL);
    CHECK_OK(shmdt(one)); /* what is left of it */
    CHECK_ERR(shmdt(one), EINVAL);
    CHECK_ERR(shmdt(one + 1), EINVAL);
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

static void removed_while_in_use(void)
{
    key_t key = some_key();
    int id = shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600);
    REQUIRE(id >= 0);
    char *memory = shmat(id, NULL, 0);
    strcpy(memory, "still here");
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
    struct shmid_ds facts;
    CHECK_OK(shmctl(id, IPC_STAT, &facts));
    CHECK_EQ(facts.shm_perm.mode & 01777, SHM_DEST | 0600);
    CHECK_EQ(facts.shm_perm.__key, IPC_PRIVATE);
    CHECK(strstr(line_of("shm", id), " 1600 ") != NULL);
    CHECK_ERR(shmget(key, 0, 0), ENOENT);
    char *again = shmat(id, NULL, 0); /* by its number it can still be had */
    CHECK(again != (void *)-1 && !strcmp(again, "still here"));
    CHECK_OK(shmdt(again));
    CHECK_OK(shmdt(memory));
    CHECK_ERR(shmctl(id, IPC_STAT, &facts), EINVAL);
    CHECK_ERR(shmat(id, NULL, 0), EINVAL);
    CHECK(!strcmp(line_of("shm", id), ""));
}

static void memory_by_key(void)
{
    key_t key = some_key();
    CHECK_ERR(shmget(key, PAGE, 0), ENOENT);
    int id = shmget(key, PAGE, IPC_CREAT | 0640);
    REQUIRE(id >= 0);
    CHECK_EQ(shmget(key, PAGE, IPC_CREAT | 0640), id);
    CHECK_EQ(shmget(key, 0, 0), id);
    CHECK_ERR(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0640), EEXIST);
    CHECK_ERR(shmget(key, PAGE + 1, 0), EINVAL);
    CHECK_EXITED(CHILD_STATUS({
        as_somebody();
        struct shmid_ds facts;
        CHECK_ERR(shmget(key, 0, 0600), EACCES);
        CHECK_EQ(shmget(key, 0, 0), id);
        CHECK_ERR(shmat(id, NULL, 0), EACCES);
        CHECK_ERR(shmat(id, NULL, SHM_RDONLY), EACCES);
        CHECK_ERR(shmctl(id, IPC_STAT, &facts), EACCES);
        CHECK_ERR(shmctl(id, IPC_RMID, NULL), EPERM);
        CHECK_ERR(shmctl(id, IPC_SET, &facts), EPERM);
    }), 0);
    struct shmid_ds facts;
    CHECK_OK(shmctl(id, IPC_STAT, &facts));
    facts.shm_perm.mode = 0604;
    facts.shm_perm.uid = 77;
    CHECK_OK(shmctl(id, IPC_SET, &facts));
    CHECK_OK(shmctl(id, IPC_STAT, &facts));
    CHECK(facts.shm_perm.mode == 0604 && facts.shm_perm.uid == 77 && facts.shm_perm.cuid == getuid() && facts.shm_perm.__key == key);
    CHECK_EXITED(CHILD_STATUS({
        as_somebody();
        CHECK(shmat(id, NULL, SHM_RDONLY) != (void *)-1);
        CHECK_ERR(shmat(id, NULL, 0), EACCES);
    }), 0);
    char expected[200];
    snprintf(expected, sizeof expected, "%10d %10d  %4o %21d %5d ", key, id, 0604, PAGE, getpid());
    CHECK(!strncmp(line_of("shm", id), expected, strlen(expected)));
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

static void where_memory_goes(void)
{
    int id = shmget(IPC_PRIVATE, 3 * PAGE, 0600);
    char *room = map_pages(8, PROT_READ | PROT_WRITE);
    CHECK_ERR(shmat(id, room, 0), EINVAL); /* something is there */
    CHECK_EQ((long)shmat(id, room, SHM_REMAP), (long)room);
    CHECK_OK(shmdt(room));
    CHECK_EQ((long)shmat(id, room, 0), (long)room);
    CHECK_ERR(shmat(id, room + 4 * PAGE + 5, 0), EINVAL);
    CHECK_ERR(shmat(id, room + 4 * PAGE + 5, SHM_RND), EINVAL);
    CHECK_OK(munmap(room + 4 * PAGE, 4 * PAGE));
    CHECK_EQ((long)shmat(id, room + 4 * PAGE + 5, SHM_RND), (long)room + 4 * PAGE);
    CHECK_ERR(shmat(id, NULL, SHM_REMAP), EINVAL);
    CHECK_ERR(shmat(-1, NULL, 0), EINVAL);
    CHECK_ERR(shmat(0x7fffffff, NULL, 0), EINVAL);
    CHECK_ERR(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
    CHECK_ERR(shmget(IPC_PRIVATE, (size_t)-1, 0600), EINVAL);
    CHECK_ERR(shmctl(id, 99, NULL), EINVAL);
    CHECK_ERR(shmctl(-1, IPC_RMID, NULL), EINVAL);
    CHECK_ERR(shmctl(id, IPC_STAT, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(shmctl(id, IPC_SET, UNMAPPED_ADDRESS), EFAULT);
    struct shminfo limits;
    struct shm_info used;
    CHECK(shmctl(0, IPC_INFO, (void *)&limits) >= 0);
    CHECK(limits.shmmin == 1 && limits.shmmni == 4096);
    int highest = shmctl(0, SHM_INFO, (void *)&used);
    CHECK(highest >= 0 && used.used_ids >= 1 && used.shm_tot >= 3);
    struct shmid_ds facts;
    int found = 0;
    for (int place = 0; place <= highest; place++) found += shmctl(place, SHM_STAT, &facts) == id && facts.shm_segsz == 3 * PAGE;
    CHECK_EQ(found, 1);
    CHECK_OK(shmctl(id, SHM_LOCK, NULL));
    CHECK_OK(shmctl(id, IPC_STAT, &facts));
    CHECK_EQ(facts.shm_perm.mode, SHM_LOCKED | 0600);
    CHECK_OK(shmctl(id, SHM_UNLOCK, NULL));
    CHECK_OK(shmctl(id, IPC_RMID, NULL));
}

/* ---- Semaphores ---- */

static int operate(int id, unsigned short index, short change, short flags)
{
    struct sembuf one = {index, change, flags};
    return semop(id, &one, 1);
}

static int value(int id, int index) { return semctl(id, index, GETVAL); }

static void several_operations_at_once(void)
{
    int id = semget(IPC_PRIVATE, 3, 0600);
    REQUIRE(id >= 0);
    unsigned short values[3] = {1, 0, 5}, now[3];
    CHECK_OK(semctl(id, 0, SETALL, (union semun){.array = values}));
    struct sembuf both[] = {{0, -1, IPC_NOWAIT}, {1, -1, IPC_NOWAIT}};
    CHECK_ERR(semop(id, both, 2), EAGAIN);
    CHECK_OK(semctl(id, 0, GETALL, (union semun){.array = now}));
    CHECK(!memcmp(values, now, sizeof now)); /* none of it happened */
    struct sembuf chain[] = {{1, 0, 0}, {1, 3, 0}, {1, -1, 0}, {0, -1, 0}, {0, 0, 0}};
    CHECK_OK(semop(id, chain, 5));
    CHECK(value(id, 0) == 0 && value(id, 1) == 2 && value(id, 2) == 5);
    CHECK_EQ(semctl(id, 1, GETPID), getpid());
    CHECK_ERR(operate(id, 2, 32767, 0), ERANGE);
    CHECK_ERR(operate(id, 3, 1, 0), EFBIG);
    CHECK_ERR(operate(id, 2, 0, IPC_NOWAIT), EAGAIN);
    CHECK_ERR(semop(id, both, 0), EINVAL);
    CHECK_ERR(semop(id, both, 501), E2BIG);
    CHECK_ERR(semop(id, UNMAPPED_ADDRESS, 1), EFAULT);
    CHECK_ERR(operate(-1, 0, 1, 0), EINVAL);
    CHECK_ERR(operate(0x7ffffff0, 0, 1, 0), EINVAL);
    struct semid_ds facts;
    CHECK_OK(semctl(id, 0, IPC_STAT, (union semun){.buf = &facts}));
    CHECK(facts.sem_nsems == 3 && facts.sem_otime != 0 && facts.sem_ctime != 0 && facts.sem_perm.mode == 0600);
    CHECK_OK(semctl(id, 0, IPC_RMID));
    CHECK_ERR(value(id, 0), EINVAL);
}

static void waiting_for_semaphores(void)
{
    int id = semget(IPC_PRIVATE, 2, 0600);
    pid_t more = CHILD(CHECK_OK(operate(id, 0, -2, 0))), zero;
    wait_for_state(more, 'S');
    CHECK_EQ(semctl(id, 0, GETNCNT), 1);
    CHECK_OK(operate(id, 0, 1, 0));
    sleep_ms(10);
    CHECK_EQ(value(id, 0), 1);
    zero = CHILD(CHECK_OK(operate(id, 0, 0, 0)));
    wait_for_state(zero, 'S');
    sleep_ms(10);
    CHECK(semctl(id, 0, GETZCNT) == 1 && semctl(id, 0, GETNCNT) == 1 && semctl(id, 1, GETNCNT) == 0);
    CHECK_OK(operate(id, 0, 1, 0)); /* the first takes two, which lets the second go on */
    CHECK_EXITED(status_of(more), 0);
    CHECK_EXITED(status_of(zero), 0);
    CHECK(semctl(id, 0, GETZCNT) == 0 && semctl(id, 0, GETNCNT) == 0);
    /* Time. */
    struct sembuf one = {0, -1, 0};
    long long before = now_ns();
    CHECK_ERR(semtimedop(id, &one, 1, &(struct timespec){0, 20000000}), EAGAIN);
    CHECK(now_ns() - before >= 20000000);
    CHECK_ERR(semtimedop(id, &one, 1, &(struct timespec){0, 1000000000}), EINVAL);
    CHECK_ERR(semtimedop(id, &one, 1, &(struct timespec){-1, 0}), EINVAL);
    CHECK_ERR(syscall(SYS_semtimedop, id, &one, 1, UNMAPPED_ADDRESS), EFAULT);
    /* Removal. */
    pid_t pid = CHILD(CHECK_ERR(operate(id, 0, -1, 0), EIDRM));
    wait_for_state(pid, 'S');
    CHECK_OK(semctl(id, 0, IPC_RMID));
    CHECK_EXITED(status_of(pid), 0);
}

static void nothing(int number) { (void)number; }

static void signals_end_the_wait(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600), queue = msgget(IPC_PRIVATE, 0600);
    pid_t pid = CHILD({
        long message[2];
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = nothing, .sa_flags = SA_RESTART}, NULL);
        CHECK_ERR(operate(id, 0, -1, 0), EINTR); /* even with SA_RESTART */
        CHECK_ERR(msgrcv(queue, message, 8, 0, 0), EINTR);
    });
    for (int i = 0; i < 2; i++) {
        wait_for_state(pid, 'S');
        sleep_ms(20);
        kill(pid, SIGUSR1);
        sleep_ms(20);
    }
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(semctl(id, 0, GETNCNT), 0);
    CHECK_OK(semctl(id, 0, IPC_RMID));
    CHECK_OK(msgctl(queue, IPC_RMID, NULL));
}

static void the_end_of_a_process_undoes(void)
{
    int id = semget(IPC_PRIVATE, 2, 0600);
    CHECK_OK(operate(id, 0, 5, 0));
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(operate(id, 0, -3, SEM_UNDO));
        CHECK_OK(operate(id, 1, 4, SEM_UNDO));
        CHECK_OK(operate(id, 1, -1, 0));
        CHECK_EQ(value(id, 0), 2);
    }), 0);
    CHECK(value(id, 0) == 5 && value(id, 1) == 0); /* below zero it does not go */
    CHECK_KILLED(CHILD_STATUS(operate(id, 0, -5, SEM_UNDO); kill(getpid(), SIGKILL)), SIGKILL);
    CHECK_EQ(value(id, 0), 5);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(operate(id, 0, -1, SEM_UNDO));
        CHECK_OK(semctl(id, 0, SETVAL, (union semun){.val = 9})); /* forgets what was to be undone */
    }), 0);
    CHECK_EQ(value(id, 0), 9);
    /* The undoing wakes. */
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    pid_t holder = CHILD({
        CHECK_OK(operate(id, 0, -9, SEM_UNDO));
        CHECK_EQ(write(ready[1], "x", 1), 1);
        sleep_ms(20000);
    });
    char byte;
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    pid_t pid = CHILD(CHECK_OK(operate(id, 0, -1, 0)));
    wait_for_state(pid, 'S');
    kill(holder, SIGKILL);
    CHECK_EXITED(status_of(pid), 0);
    status_of(holder);
    CHECK_OK(semctl(id, 0, IPC_RMID));
}

static void sets_by_key(void)
{
    key_t key = some_key();
    CHECK_ERR(semget(key, 1, 0), ENOENT);
    CHECK_ERR(semget(key, 0, IPC_CREAT | 0600), EINVAL);
    CHECK_ERR(semget(key, -1, IPC_CREAT | 0600), EINVAL);
    CHECK_ERR(semget(key, 1 << 20, IPC_CREAT | 0600), EINVAL);
    int id = semget(key, 2, IPC_CREAT | 0604);
    REQUIRE(id >= 0);
    CHECK_EQ(semget(key, 0, 0), id);
    CHECK_ERR(semget(key, 3, 0), EINVAL);
    CHECK_ERR(semget(key, 2, IPC_CREAT | IPC_EXCL), EEXIST);
    CHECK_EXITED(CHILD_STATUS({
        as_somebody();
        CHECK_EQ(value(id, 0), 0);
        CHECK_OK(operate(id, 0, 0, 0));
        CHECK_ERR(operate(id, 0, 1, 0), EACCES);
        CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = 1}), EACCES);
        CHECK_ERR(semctl(id, 0, IPC_RMID), EPERM);
        CHECK_ERR(semget(key, 2, 0606), EACCES);
    }), 0);
    CHECK_ERR(semctl(id, 2, GETVAL), EINVAL);
    CHECK_ERR(semctl(id, -1, GETVAL), EINVAL);
    CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = 32768}), ERANGE);
    CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = -1}), ERANGE);
    unsigned short values[2] = {1, 40000};
    CHECK_ERR(semctl(id, 0, SETALL, (union semun){.array = values}), ERANGE);
    CHECK_ERR(semctl(id, 0, 99), EINVAL);
    CHECK_ERR(semctl(id, 0, IPC_STAT, (union semun){.buf = UNMAPPED_ADDRESS}), EFAULT);
    struct seminfo limits;
    CHECK(semctl(0, 0, IPC_INFO, (union semun){.info = &limits}) >= 0);
    CHECK(limits.semmsl == 32000 && limits.semopm == 500 && limits.semmni == 32000 && limits.semvmx == 32767);
    CHECK(semctl(0, 0, SEM_INFO, (union semun){.info = &limits}) >= 0);
    CHECK(limits.semusz >= 1 && limits.semaem >= 2);
    char expected[100];
    snprintf(expected, sizeof expected, "%10d %10d  %4o %10d ", key, id, 0604, 2);
    CHECK(!strncmp(line_of("sem", id), expected, strlen(expected)));
    CHECK_OK(semctl(id, 0, IPC_RMID));
}

/* ---- Messages ---- */

struct message {
    long type;
    char text[64];
};

static int send(int id, long type, const char *text)
{
    struct message message = {.type = type};
    strcpy(message.text, text);
    return msgsnd(id, &message, strlen(text) + 1, IPC_NOWAIT);
}

static const char *receive(int id, long type, int flags)
{
    static struct message message;
    ssize_t length = msgrcv(id, &message, sizeof message.text, type, flags | IPC_NOWAIT);
    return length < 0 ? "none" : message.text;
}

static void messages_by_type(void)
{
    int id = msgget(IPC_PRIVATE, 0600);
    REQUIRE(id >= 0);
    CHECK_OK(send(id, 5, "five"));
    CHECK_OK(send(id, 3, "three"));
    CHECK_OK(send(id, 7, "seven"));
    CHECK_OK(send(id, 3, "again"));
    struct msqid_ds facts;
    CHECK_OK(msgctl(id, IPC_STAT, &facts));
    CHECK(facts.msg_qnum == 4 && facts.__msg_cbytes == 5 + 6 + 6 + 6 && facts.msg_lspid == getpid() && facts.msg_lrpid == 0);
    CHECK(facts.msg_qbytes == 16384 && facts.msg_stime != 0 && facts.msg_rtime == 0);
    CHECK(!strcmp(receive(id, 7, 0), "seven"));
    CHECK(!strcmp(receive(id, -4, 0), "three"));
    CHECK(!strcmp(receive(id, 3, MSG_EXCEPT), "five"));
    CHECK(!strcmp(receive(id, -2, 0), "none"));
    CHECK(!strcmp(receive(id, 0, 0), "again"));
    CHECK_ERR(msgrcv(id, &facts, 8, 0, IPC_NOWAIT), ENOMSG);
    /* Length. */
    struct message message;
    CHECK_OK(send(id, 1, "0123456789"));
    CHECK_ERR(msgrcv(id, &message, 5, 0, IPC_NOWAIT), E2BIG);
    CHECK_EQ(msgrcv(id, &message, 5, 0, MSG_NOERROR), 5);
    CHECK(message.type == 1 && !memcmp(message.text, "01234", 5));
    CHECK_ERR(msgrcv(id, &message, 5, 0, IPC_NOWAIT), ENOMSG); /* the rest is gone */
    message.type = 4;
    CHECK_OK(msgsnd(id, &message, 0, 0));
    CHECK_EQ(msgrcv(id, &message, 64, 4, 0), 0);
    CHECK_OK(msgctl(id, IPC_RMID, NULL));
    CHECK_ERR(send(id, 1, "x"), EINVAL);
}

static void a_full_queue(void)
{
    int id = msgget(IPC_PRIVATE, 0600);
    struct msqid_ds facts;
    CHECK_OK(msgctl(id, IPC_STAT, &facts));
    facts.msg_qbytes = 20;
    CHECK_OK(msgctl(id, IPC_SET, &facts));
    CHECK_OK(send(id, 1, "123456789"));
    CHECK_OK(send(id, 1, "123456789"));
    CHECK_ERR(send(id, 1, "x"), EAGAIN);
    pid_t pid = CHILD({
        struct message message = {.type = 2, .text = "waited"};
        CHECK_OK(msgsnd(id, &message, 7, 0));
    });
    wait_for_state(pid, 'S');
    CHECK(!strcmp(receive(id, 0, 0), "123456789"));
    CHECK_EXITED(status_of(pid), 0);
    CHECK(!strcmp(receive(id, 2, 0), "waited"));
    /* Waiting for a message. */
    pid = CHILD({
        struct message message;
        CHECK_EQ(msgrcv(id, &message, 64, 9, 0), 5);
        CHECK(!strcmp(message.text, "nine"));
    });
    wait_for_state(pid, 'S');
    CHECK_OK(send(id, 8, "8"));
    sleep_ms(10);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    CHECK(!strcmp(receive(id, 1, 0), "123456789"));
    CHECK_OK(send(id, 9, "nine"));
    CHECK_EXITED(status_of(pid), 0);
    pid = CHILD({
        struct message message;
        CHECK_ERR(msgrcv(id, &message, 64, 100, 0), EIDRM);
    });
    wait_for_state(pid, 'S');
    CHECK_OK(msgctl(id, IPC_RMID, NULL));
    CHECK_EXITED(status_of(pid), 0);
}

static void errors_of_messages(void)
{
    key_t key = some_key();
    CHECK_ERR(msgget(key, 0), ENOENT);
    int id = msgget(key, IPC_CREAT | 0604);
    REQUIRE(id >= 0);
    CHECK_EQ(msgget(key, 0), id);
    CHECK_ERR(msgget(key, IPC_CREAT | IPC_EXCL), EEXIST);
    struct message message = {.type = 0};
    CHECK_ERR(msgsnd(id, &message, 1, 0), EINVAL);
    message.type = -1;
    CHECK_ERR(msgsnd(id, &message, 1, 0), EINVAL);
    message.type = 1;
    CHECK_ERR(msgsnd(id, &message, 8193, 0), EINVAL);
    CHECK_ERR(msgsnd(id, &message, (size_t)-1, 0), EINVAL);
    CHECK_ERR(msgsnd(-1, &message, 1, 0), EINVAL);
    CHECK_ERR(msgsnd(id, UNMAPPED_ADDRESS, 1, 0), EFAULT);
    CHECK_ERR(msgrcv(id, &message, (size_t)-1, 0, 0), EINVAL);
    CHECK_ERR(msgrcv(-1, &message, 1, 0, 0), EINVAL);
    CHECK_OK(send(id, 1, "x"));
    CHECK_ERR(msgrcv(id, UNMAPPED_ADDRESS, 64, 0, 0), EFAULT);
    CHECK_ERR(msgctl(id, 99, NULL), EINVAL);
    CHECK_ERR(msgctl(id, IPC_STAT, UNMAPPED_ADDRESS), EFAULT);
    CHECK_EXITED(CHILD_STATUS({
        as_somebody();
        CHECK_ERR(send(id, 1, "x"), EACCES);
        CHECK_ERR(msgrcv(id, &message, 64, 0, IPC_NOWAIT), ENOMSG);
        CHECK_ERR(msgctl(id, IPC_RMID, NULL), EPERM);
        int own = msgget(IPC_PRIVATE, 0600);
        struct msqid_ds facts;
        CHECK_OK(msgctl(own, IPC_STAT, &facts));
        facts.msg_qbytes = 16385;
        CHECK_ERR(msgctl(own, IPC_SET, &facts), EPERM);
        CHECK_OK(msgctl(own, IPC_RMID, NULL));
    }), 0);
    struct msginfo limits;
    CHECK(msgctl(0, IPC_INFO, (void *)&limits) >= 0);
    CHECK(limits.msgmax == 8192 && limits.msgmnb == 16384);
    CHECK(msgctl(0, MSG_INFO, (void *)&limits) >= 0);
    CHECK(limits.msgpool >= 1);
    char expected[100];
    snprintf(expected, sizeof expected, "%10d %10d  %4o  %10d %10d %5d ", key, id, 0604, 0, 0, getpid());
    check_note(!strncmp(line_of("msg", id), expected, strlen(expected)), CHECK_PLACE, "%s is not %s", line_of("msg", id), expected);
    CHECK_OK(msgctl(id, IPC_RMID, NULL));
}

static void limits_can_be_set(void)
{
    static const char *const names[] = {"shmmax", "shmall", "shmmni", "sem", "msgmax", "msgmnb", "msgmni"};
    char path[60], text[100];
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "/proc/sys/kernel/%s", names[i]);
        int file = open(path, O_RDONLY);
        CHECK(file >= 0 && read(file, text, sizeof text) > 0);
        if (i == 3) CHECK(!strncmp(text, "32000\t1024000000\t500\t32000\n", 27));
        if (i == 2) CHECK(!strncmp(text, "4096\n", 5));
        close(file);
    }
}

CASES(CASE(memory_is_shared), CASE(removed_while_in_use), CASE(memory_by_key), CASE(where_memory_goes), CASE(several_operations_at_once),
      CASE(waiting_for_semaphores), CASE(signals_end_the_wait), CASE(the_end_of_a_process_undoes), CASE(sets_by_key),
      CASE(messages_by_type), CASE(a_full_queue), CASE(errors_of_messages), CASE(limits_can_be_set))
