/* Signal frames: registers, FPU and AVX state, the alternate stack, leaving by siglongjmp; restarted calls. */
#include "check.h"

#include <linux/futex.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t came;
static void count(int number)
{
    (void)number;
    came++;
}

static void install(int number, void *handler, int flags)
{
    struct sigaction action = {.sa_flags = flags};
    action.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler;
    NEED(sigaction(number, &action, NULL) == 0);
}

static void change_registers(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    (void)number;
    (void)info;
    frame->uc_mcontext.gregs[REG_RBX] = 0x1234;
    frame->uc_mcontext.gregs[REG_R15] += 1;
    frame->uc_mcontext.gregs[REG_RIP] += 2; /* over the ud2 */
    came++;
}

static void a_handler_may_change_registers(void)
{
    unsigned long rbx = 0, r15 = 41, rax = 5;
    install(SIGILL, change_registers, SA_SIGINFO);
    __asm__ volatile("mov %2, %%r15; mov $7, %%rbx; ud2; mov %%rbx, %0; mov %%r15, %1"
                     : "=r"(rbx), "=r"(r15) : "r"(r15), "a"(rax) : "rbx", "r15", "memory");
    CHECK_EQ(rbx, 0x1234);
    CHECK_EQ(r15, 42);
    CHECK_EQ(came, 1);
}

/* Fills all general registers, raises a signal by a system call, and sees them again. */
static void registers_survive(void)
{
    unsigned long good = 0;
    install(SIGUSR1, count, 0);
    pid_t self = getpid();
    __asm__ volatile("push %%rbp\n mov $0x11, %%rbx\n mov $0x22, %%rbp\n mov $0x33, %%r8\n mov $0x44, %%r9\n mov $0x55, %%r10\n"
                     "mov $0x66, %%r12\n mov $0x77, %%r13\n mov $0x88, %%r14\n mov $0x99, %%r15\n mov $0xaa, %%rdx\n std\n"
                     "mov $62, %%eax\n syscall\n" /* kill(self, SIGUSR1) */
                     "pushf\n pop %%rcx\n cld\n xor %%eax, %%eax\n"
                     "bt $10, %%rcx\n adc $0, %%eax\n" /* the direction flag was kept */
                     "cmp $0x11, %%rbx\n jne 1f\n cmp $0x22, %%rbp\n jne 1f\n cmp $0x33, %%r8\n jne 1f\n cmp $0x44, %%r9\n jne 1f\n"
                     "cmp $0x55, %%r10\n jne 1f\n cmp $0x66, %%r12\n jne 1f\n cmp $0x77, %%r13\n jne 1f\n cmp $0x88, %%r14\n jne 1f\n"
                     "cmp $0x99, %%r15\n jne 1f\n cmp $0xaa, %%rdx\n jne 1f\n add $2, %%eax\n 1: pop %%rbp\n"
                     : "=a"(good)
                     : "D"((long)self), "S"((long)SIGUSR1)
                     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
    CHECK_EQ(good, 3);
    CHECK_EQ(came, 1);
}

static void spoil_vectors(int number)
{
    (void)number;
    came++;
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15; fninit; fldz" : : : "xmm0", "xmm7", "xmm15");
    unsigned control = 0x1f80 | 0x6000;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
    if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroall" : : : "memory");
}

static void vector_state_survives(void)
{
    unsigned char before[32] __attribute__((aligned(32))), after[32] __attribute__((aligned(32)));
    unsigned control = 0x1f80 | 0x2000, control_after = 0;
    unsigned short word = 0x37f & ~0x300, word_after = 0;
    double through = 0;
    for (int i = 0; i < 32; i++) before[i] = (unsigned char)(i * 7 + 1);
    install(SIGUSR1, spoil_vectors, 0);
    long self = getpid(), number = SIGUSR1;
    __asm__ volatile("ldmxcsr %3; fldcw %4; fld1; movdqa %5, %%xmm7; movdqa %5, %%xmm15; mov $62, %%eax; syscall;"
                     "fstpl %0; stmxcsr %1; fnstcw %2"
                     : "=m"(through), "=m"(control_after), "=m"(word_after)
                     : "m"(control), "m"(word), "m"(before), "D"(self), "S"(number)
                     : "rax", "rcx", "r11", "memory");
    __asm__ volatile("movdqa %%xmm15, %0" : "=m"(after));
    CHECK(memcmp(before, after, 16) == 0);
    __asm__ volatile("movdqa %%xmm7, %0" : "=m"(after));
    CHECK(memcmp(before, after, 16) == 0);
    CHECK(through == 1.0);
    CHECK_EQ(control_after & 0xe000, 0x2000);
    CHECK_EQ(word_after, word);
    CHECK_EQ(came, 1);
    control = 0x1f80;
    word = 0x37f;
    __asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(control), "m"(word));
    if (!__builtin_cpu_supports("avx")) return;
    memset(after, 0, sizeof after);
    __asm__ volatile("vmovdqa %1, %%ymm3; mov $62, %%eax; syscall; vmovdqa %%ymm3, %0; vzeroupper"
                     : "=m"(after) : "m"(before), "D"(self), "S"(number) : "rax", "rcx", "r11", "memory");
    CHECK(memcmp(before, after, 32) == 0);
}

static void change_vectors(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    (void)number;
    (void)info;
    /* What the handler writes to the saved state is what the program sees. */
    unsigned char *area = (unsigned char *)frame->uc_mcontext.fpregs;
    memset(area + 160 + 16 * 5, 0x5a, 16); /* xmm5 in the FXSAVE layout */
    came++;
}

static void a_handler_may_change_vectors(void)
{
    unsigned char after[16] __attribute__((aligned(16))) = {0};
    install(SIGUSR1, change_vectors, SA_SIGINFO);
    long self = getpid(), number = SIGUSR1;
    __asm__ volatile("pxor %%xmm5, %%xmm5; mov $62, %%eax; syscall; movdqa %%xmm5, %0"
                     : "=m"(after) : "D"(self), "S"(number) : "rax", "rcx", "r11", "memory", "xmm5");
    CHECK(after[0] == 0x5a && after[15] == 0x5a);
}

static void look_at_state(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    unsigned *software = (unsigned *)((char *)frame->uc_mcontext.fpregs + 464);
    (void)number;
    (void)info;
    CHECK_EQ((uintptr_t)frame->uc_mcontext.fpregs % 64, 0);
    if (software[0] == 0x46505853) { /* FP_XSTATE_MAGIC1 */
        unsigned extended = software[1], size = software[4], features = software[2];
        CHECK(size >= 576 && extended >= size + 4);
        CHECK_EQ(*(unsigned *)((char *)software - 464 + size), 0x46505845); /* FP_XSTATE_MAGIC2 */
        CHECK_EQ(features & 3, 3);
    }
    CHECK_EQ(frame->uc_flags & 6, 6); /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
    CHECK(frame->uc_link == NULL);
    came++;
}

static void the_frame_has_linuxs_layout(void)
{
    install(SIGUSR1, look_at_state, SA_SIGINFO);
    raise(SIGUSR1);
    CHECK_EQ(came, 1);
}

static volatile uintptr_t handler_stack;
static volatile int handler_flags;
static void note_stack(int number)
{
    stack_t now;
    (void)number;
    handler_stack = (uintptr_t)&now;
    sigaltstack(NULL, &now);
    handler_flags = now.ss_flags;
    stack_t other = {.ss_flags = SS_DISABLE};
    if (now.ss_flags & SS_ONSTACK) CHECK_ERR(sigaltstack(&other, NULL), EPERM); /* not while standing on it */
    came++;
}

static void the_alternate_stack(void)
{
    char *room = map_pages(16, PROT_READ | PROT_WRITE);
    stack_t stack = {.ss_sp = room, .ss_size = 16 * PAGE}, old;
    CHECK_OK(sigaltstack(NULL, &old));
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    CHECK_OK(sigaltstack(&stack, &old));
    CHECK_OK(sigaltstack(NULL, &old));
    CHECK(old.ss_sp == room && old.ss_size == 16 * PAGE && old.ss_flags == 0);
    install(SIGUSR1, note_stack, 0);
    raise(SIGUSR1);
    CHECK(handler_stack < (uintptr_t)room || handler_stack >= (uintptr_t)room + 16 * PAGE);
    CHECK_EQ(handler_flags, 0);
    install(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK(handler_stack >= (uintptr_t)room && handler_stack < (uintptr_t)room + 16 * PAGE);
    CHECK_EQ(handler_flags, SS_ONSTACK);
    CHECK_EXITED(CHILD_STATUS(sigaltstack(NULL, &old); _exit(old.ss_sp == room ? 0 : 1)), 0); /* fork keeps it */
    stack.ss_flags = 1 << 31; /* SS_AUTODISARM */
    CHECK_OK(sigaltstack(&stack, NULL));
    raise(SIGUSR1);
    CHECK_EQ(handler_flags, SS_DISABLE);
    stack.ss_flags = SS_DISABLE;
    CHECK_OK(sigaltstack(&stack, NULL));
    raise(SIGUSR1);
    CHECK(handler_stack < (uintptr_t)room || handler_stack >= (uintptr_t)room + 16 * PAGE);
    CHECK_EQ(came, 4);
    stack.ss_flags = 0;
    stack.ss_size = 100;
    CHECK_ERR(syscall(SYS_sigaltstack, &stack, NULL), ENOMEM);
    stack.ss_size = 16 * PAGE;
    stack.ss_flags = 77;
    CHECK_ERR(syscall(SYS_sigaltstack, &stack, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_sigaltstack, UNMAPPED_ADDRESS, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_sigaltstack, NULL, UNMAPPED_ADDRESS), EFAULT);
}

static sigjmp_buf way_out;
static void jump(int number) { siglongjmp(way_out, number); }

static void leaving_by_a_jump(void)
{
    volatile int rounds = 0;
    install(SIGSEGV, jump, 0);
    for (volatile int i = 0; i < 20; i++) {
        if (sigsetjmp(way_out, 1) == 0) *(volatile int *)16 = 1;
        else rounds++;
    }
    CHECK_EQ(rounds, 20);
    char *room = map_pages(16, PROT_READ | PROT_WRITE);
    stack_t stack = {.ss_sp = room, .ss_size = 16 * PAGE}, now;
    sigaltstack(&stack, NULL);
    install(SIGSEGV, jump, SA_ONSTACK);
    for (volatile int i = 0; i < 20; i++) {
        if (sigsetjmp(way_out, 1) == 0) *(volatile int *)16 = 1;
        else rounds++;
    }
    CHECK_EQ(rounds, 40);
    sigaltstack(NULL, &now);
    CHECK_EQ(now.ss_flags, 0); /* the stack pointer says where we are, nothing else */
}

static void set_saved_mask(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGHUP);
}

static void the_saved_mask_can_be_changed(void)
{
    sigset_t now;
    install(SIGUSR1, set_saved_mask, SA_SIGINFO);
    raise(SIGUSR1);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK_EQ(sigismember(&now, SIGHUP), 1);
    CHECK_EQ(sigismember(&now, SIGUSR1), 0);
}

static void spoil_frame(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    (void)number;
    (void)info;
    frame->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000;
}

static void spoil_segments(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    (void)number;
    (void)info;
    frame->uc_mcontext.gregs[REG_CSGSFS] = 0x10; /* the kernel's code segment */
}

static void raise_privilege(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    (void)number;
    (void)info;
    frame->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x20000; /* IOPL 3, VM: not for us */
    frame->uc_mcontext.gregs[REG_EFL] &= ~0x200L;          /* interrupts off: neither */
}

static void spoil_fpu(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    (void)number;
    (void)info;
    memset(frame->uc_mcontext.fpregs, 0xff, 512);
}

static void a_spoilt_frame_harms_only_its_owner(void)
{
    CHECK_KILLED(CHILD_STATUS(install(SIGUSR1, spoil_frame, SA_SIGINFO); raise(SIGUSR1)), SIGSEGV);
    int status = CHILD_STATUS(install(SIGUSR1, spoil_segments, SA_SIGINFO); raise(SIGUSR1));
    CHECK(WIFEXITED(status) || WTERMSIG(status) == SIGSEGV);
    CHECK_EXITED(CHILD_STATUS(install(SIGUSR1, raise_privilege, SA_SIGINFO); raise(SIGUSR1); unsigned long flags;
                              __asm__ volatile("pushf; pop %0" : "=r"(flags)); _exit((flags & 0x23200) == 0x200 ? 0 : 1)),
                 0);
    status = CHILD_STATUS(install(SIGUSR1, spoil_fpu, SA_SIGINFO); raise(SIGUSR1));
    CHECK(WIFEXITED(status) || WTERMSIG(status) == SIGSEGV);
    CHECK_KILLED(CHILD_STATUS(__asm__ volatile("mov $15, %%eax; mov $0x1000, %%esp; syscall" : : : "memory")), SIGSEGV); /* sigreturn from nowhere */
    status = CHILD_STATUS(syscall(SYS_rt_sigreturn)); /* without a frame: rubbish is restored */
    CHECK(WIFSIGNALED(status) || WIFEXITED(status));
}

/* An interval timer that goes on until a signal really interrupted something. */
static void tick(bool on)
{
    struct itimerval timer = {{0, on ? 10000 : 0}, {0, on ? 10000 : 0}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* A child that runs the statements 60 ms from now: what a restarted call waits for. */
#define LATER(...) CHILD(sleep_ms(60); __VA_ARGS__)

static void reads_restart_or_not(void)
{
    int ends[2];
    char byte;
    REQUIRE(pipe(ends) == 0);
    install(SIGALRM, count, 0);
    tick(true);
    CHECK_ERR(read(ends[0], &byte, 1), EINTR);
    install(SIGALRM, count, SA_RESTART);
    came = 0;
    pid_t pid = LATER(if (write(ends[1], "r", 1) < 0) _exit(1));
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK(came > 0);
    CHECK_EXITED(status_of(pid), 0);
    pid = LATER(_exit(5));
    CHECK_EXITED(status_of(pid), 5); /* wait4 restarts as well */
    int status, waited = -1;
    pid = LATER(_exit(6));
    waited = waitpid(pid, &status, 0);
    CHECK_EQ(waited, pid);
    tick(false);
}

static void full_pipes_restart_or_not(void)
{
    int ends[2];
    static char bytes[100000];
    REQUIRE(pipe(ends) == 0);
    int size = fcntl(ends[1], F_GETPIPE_SZ);
    CHECK(size >= PAGE);
    install(SIGALRM, count, 0);
    tick(true);
    ssize_t written = write(ends[1], bytes, sizeof bytes); /* something went in, so that is the answer */
    CHECK_EQ(written, size);
    CHECK_ERR(write(ends[1], bytes, 1), EINTR);
    install(SIGALRM, count, SA_RESTART);
    pid_t pid = LATER(char room[PAGE]; if (read(ends[0], room, PAGE) != PAGE) _exit(1));
    CHECK_EQ(write(ends[1], bytes, 1), 1);
    CHECK_EXITED(status_of(pid), 0);
    tick(false);
}

static void these_never_restart(void)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    struct pollfd poller = {ends[0], POLLIN, 0};
    struct timespec second = {20, 0}, left = {0, 0};
    install(SIGALRM, count, SA_RESTART);
    tick(true);
    CHECK_ERR(poll(&poller, 1, 20000), EINTR);
    CHECK_ERR(ppoll(&poller, 1, &second, NULL), EINTR);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    CHECK_ERR(select(ends[0] + 1, &set, NULL, NULL, &(struct timeval){20, 0}), EINTR);
    CHECK_ERR(pause(), EINTR);
    CHECK_ERR(nanosleep(&second, &left), EINTR);
    CHECK(left.tv_sec < 20 && left.tv_sec >= 5 && left.tv_nsec >= 0 && left.tv_nsec < 1000000000);
    left = (struct timespec){77, 77};
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &second, &left), EINTR);
    CHECK(left.tv_sec < 20);
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 20;
    left = (struct timespec){77, 77};
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, &left), EINTR);
    CHECK(left.tv_sec == 77); /* untouched: the time is absolute */
    int word = 0;
    CHECK_ERR(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &second, NULL, 0), EINTR); /* with a timeout it does not restart... */
    sigset_t none;
    sigemptyset(&none);
    CHECK_ERR(sigsuspend(&none), EINTR);
    tick(false);
}

/* ...without one it does, as after a stop everything does that had no handler run. */
static void a_futex_restarts(void)
{
    int *word = map_shared(1);
    install(SIGALRM, count, SA_RESTART);
    tick(true);
    pid_t pid = LATER(*word = 1; syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0));
    long result = syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
    CHECK(result == 0 || errno == EAGAIN); /* restarted after the word changed */
    tick(false);
    CHECK_EXITED(status_of(pid), 0);
}

static void stop_and_continue_are_not_seen(void)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD({
        close(ends[1]);
        char byte;
        _exit(read(ends[0], &byte, 1) == 1 ? byte : 1);
    });
    wait_for_state(pid, 'S');
    for (int i = 0; i < 3; i++) {
        int status;
        kill(pid, SIGSTOP);
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
        kill(pid, SIGCONT);
        CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    }
    CHECK_EQ(write(ends[1], "\7", 1), 1);
    CHECK_EXITED(status_of(pid), 7);
    pid = CHILD({
        long long start = now_ns();
        struct timespec time = {0, 200000000};
        int result = nanosleep(&time, NULL); /* goes on where it was */
        _exit(result == 0 && now_ns() - start >= 200000000 ? 8 : 1);
    });
    wait_for_state(pid, 'S');
    kill(pid, SIGSTOP);
    kill(pid, SIGCONT);
    CHECK_EXITED(status_of(pid), 8);
    pid = CHILD({
        struct pollfd poller = {ends[0], POLLIN, 0};
        _exit(poll(&poller, 1, 200) == 0 ? 9 : 1);
    });
    wait_for_state(pid, 'S');
    kill(pid, SIGSTOP);
    kill(pid, SIGCONT);
    CHECK_EXITED(status_of(pid), 9);
}

static void a_call_that_ends_in_a_handler_that_jumps(void)
{
    int ends[2];
    char byte;
    REQUIRE(pipe(ends) == 0);
    install(SIGALRM, jump, SA_RESTART);
    if (sigsetjmp(way_out, 1) == 0) {
        tick(true);
        if (read(ends[0], &byte, 1) == 1) CHECK(false);
    }
    tick(false);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
}

CASES(CASE(a_handler_may_change_registers), CASE(registers_survive), CASE(vector_state_survives),
      CASE(a_handler_may_change_vectors), CASE(the_frame_has_linuxs_layout), CASE(the_alternate_stack),
      CASE(leaving_by_a_jump), CASE(the_saved_mask_can_be_changed), CASE(a_spoilt_frame_harms_only_its_owner),
      CASE(reads_restart_or_not), CASE(full_pipes_restart_or_not), CASE(these_never_restart), CASE(a_futex_restarts),
      CASE(stop_and_continue_are_not_seen), CASE(a_call_that_ends_in_a_handler_that_jumps))
