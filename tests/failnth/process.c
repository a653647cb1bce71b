// SPDX-License-Identifier: MIT
// Scenarios of failing allocations: processes, threads, signals, credentials.
#include "fail_nth.h"

#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

static void reap(long pid)
{
    if (pid > 0) {
        NEED(waitpid((pid_t)pid, NULL, __WALL));
    }
}

static long or_child_ends(long pid)
{
    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

static long do_fork(void)
{
    return or_child_ends(syscall(SYS_fork));
}

// In assembly, for the child returns on the parent's stack and must not spoil it.
static long do_vfork(void)
{
    long pid;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "xor %%edi, %%edi\n"
                     "mov %[exit], %%eax\n"
                     "syscall\n"
                     "1:\n"
                     : "=a"(pid)
                     : "0"((long)SYS_vfork), [exit] "i"(SYS_exit)
                     : "rcx", "r11", "rdi", "memory");
    if (pid < 0) {
        errno = (int)-pid;
        return -1;
    }
    return pid;
}

static long clone_files(void)
{
    return or_child_ends(syscall(
        SYS_clone, CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_VM | CLONE_VFORK | SIGCHLD,
        buffer + sizeof(buffer) - PAGE, NULL, NULL, 0));
}

static long clone_plain(void)
{
    return or_child_ends(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0));
}

static long do_clone3(void)
{
    uint64_t args[8] = {[4] = SIGCHLD};
    return or_child_ends(syscall(SYS_clone3, args, sizeof(args)));
}

static void *thread_main(void *arg)
{
    return arg;
}

static pthread_t thread;
static long create_thread(void)
{
    errno = pthread_create(&thread, NULL, thread_main, NULL);
    return errno ? -1 : 0;
}

static void join_thread(long result)
{
    if (result == 0) {
        pthread_join(thread, NULL);
    }
}

int exec_child(void)
{
    char text[16] = "";
    int fd = open("/proc/self/fail-nth", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 1) {
        return 1; // met the failure
    }
    return atoi(text) ? EXEC_LEFT : 0;
}

static long exec_self(void)
{
    static char *argv[] = {"fail_nth", "--exec-child", NULL}, *envp[] = {"PATH=/bin", NULL};
    return syscall(SYS_execve, "/bin/fail_nth", argv, envp);
}

static long exec_script(void)
{
    static char *argv[] = {"s", NULL}, *envp[] = {NULL};
    return syscall(SYS_execve, "./script", argv, envp);
}

static void write_script(void)
{
    int fd = (int)NEED(open("script", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0700));
    static const char text[] = "#!/bin/fail_nth --exec-child\n";
    NEED(write(fd, text, sizeof(text) - 1));
    close(fd);
}

static void remove_script(long result)
{
    (void)result;
    unlink("script");
}

static long do_exit(void)
{
    syscall(SYS_exit, EXEC_LEFT);
    return -1;
}

static long do_exit_group(void)
{
    syscall(SYS_exit_group, EXEC_LEFT);
    return -1;
}

static pid_t zombie;
static void make_zombie(void)
{
    siginfo_t info;
    zombie = (pid_t)NEED(fork());
    or_child_ends(zombie);
    NEED(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT));
}

static long do_wait4(void)
{
    return wait4(zombie, NULL, 0, NULL);
}

// --- signals

#define SIG (SIGRTMIN + 3)
static sigset_t sig_set;

static void block_sig(void)
{
    sigemptyset(&sig_set);
    sigaddset(&sig_set, SIG);
    sigaddset(&sig_set, SIGALRM);
    NEED(sigprocmask(SIG_BLOCK, &sig_set, NULL));
}

static void consume_sig(long result)
{
    (void)result;
    struct timespec now = {0, 0};
    while (sigtimedwait(&sig_set, NULL, &now) > 0) {
    }
}

static long do_kill(void)
{
    return kill(getpid(), SIG);
}

static long do_tkill(void)
{
    return syscall(SYS_tkill, syscall(SYS_gettid), SIG);
}

static long do_tgkill(void)
{
    return syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIG);
}

static void queue_sig(void)
{
    block_sig();
    NEED(do_kill());
}

static long do_sigtimedwait(void)
{
    struct timespec now = {0, 0};
    return sigtimedwait(&sig_set, NULL, &now);
}

static void nothing(int sig)
{
    (void)sig;
}

static void catch_sig(void)
{
    queue_sig();
    struct sigaction action = {.sa_handler = nothing};
    NEED(sigaction(SIG, &action, NULL));
}

static void forget_sig(long result)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    consume_sig(result);
    NEED(sigaction(SIG, &action, NULL));
}

static long or_interrupted(long result)
{
    return result == -1 && errno == EINTR ? 0 : result;
}

static long do_sigsuspend(void)
{
    sigset_t none;
    sigemptyset(&none);
    return or_interrupted(sigsuspend(&none));
}

// The handler's frame and its way back (rt_sigreturn).
static long handle_sig(void)
{
    long result = sigprocmask(SIG_UNBLOCK, &sig_set, NULL);
    sigprocmask(SIG_BLOCK, &sig_set, NULL);
    return result;
}

static void caught_alarm(void)
{
    struct sigaction action = {.sa_handler = nothing};
    NEED(sigaction(SIGALRM, &action, NULL));
    sigset_t none;
    sigemptyset(&none);
    NEED(sigprocmask(SIG_SETMASK, &none, NULL));
}

static long do_pause(void)
{
    ualarm(2000, 0);
    return or_interrupted(pause());
}

// --- sessions, credentials, root

static long do_setsid(void)
{
    return setsid();
}

static long do_setuid(void)
{
    return syscall(SYS_setuid, 1000);
}

static long do_setgid(void)
{
    return syscall(SYS_setgid, 1000);
}

static long do_setgroups(void)
{
    static gid_t groups[100];
    return syscall(SYS_setgroups, 100, groups);
}

static long do_chroot(void)
{
    return chroot("/tmp");
}

const struct scenario process_scenarios[] = {
    {.calls = "fork", .tolerated = EAGAIN, .call = do_fork, .after = reap},
    {.calls = "vfork", .tolerated = EAGAIN, .call = do_vfork, .after = reap},
    {.calls = "clone", .tolerated = EAGAIN, .call = clone_plain, .after = reap},
    {.calls = "clone", .detail = "VM", .tolerated = EAGAIN, .call = clone_files, .after = reap},
    {.calls = "clone3", .tolerated = EAGAIN, .call = do_clone3, .after = reap},
    {.calls = "clone",
     .detail = "thread",
     .tolerated = EAGAIN,
     .call = create_thread,
     .after = join_thread},
    {.calls = "execve", .child = true, .call = exec_self},
    {.calls = "execve",
     .detail = "script",
     .child = true,
     .before = write_script,
     .call = exec_script,
     .after = remove_script},
    {.calls = "exit", .none = true, .child = true, .call = do_exit},
    {.calls = "exit_group", .none = true, .child = true, .call = do_exit_group},
    {.calls = "wait4", .none = true, .before = make_zombie, .call = do_wait4},
    {.calls = "kill",
     .tolerated = EAGAIN,
     .before = block_sig,
     .call = do_kill,
     .after = consume_sig},
    {.calls = "tkill",
     .tolerated = EAGAIN,
     .before = block_sig,
     .call = do_tkill,
     .after = consume_sig},
    {.calls = "tgkill",
     .tolerated = EAGAIN,
     .before = block_sig,
     .call = do_tgkill,
     .after = consume_sig},
    {.calls = "rt_sigtimedwait",
     .none = true,
     .before = queue_sig,
     .call = do_sigtimedwait,
     .after = consume_sig},
    {.calls = "rt_sigsuspend",
     .none = true,
     .before = catch_sig,
     .call = do_sigsuspend,
     .after = forget_sig},
    {.calls = "rt_sigprocmask rt_sigreturn",
     .none = true,
     .before = catch_sig,
     .call = handle_sig,
     .after = forget_sig},
    {.calls = "pause", .none = true, .child = true, .before = caught_alarm, .call = do_pause},
    {.calls = "setsid", .none = true, .child = true, .call = do_setsid},
    {.calls = "setuid", .tolerated = EAGAIN, .child = true, .call = do_setuid},
    {.calls = "setgid", .child = true, .call = do_setgid},
    {.calls = "setgroups", .child = true, .call = do_setgroups},
    {.calls = "chroot", .child = true, .call = do_chroot},
    {.calls = NULL},
};
