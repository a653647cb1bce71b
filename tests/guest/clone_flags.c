// SPDX-License-Identifier: MIT
// clone: what CLONE_VM, FILES, FS and SIGHAND share, the tid flags, invalid combinations, a thread's ids.
#define _GNU_SOURCE
#include <sched.h>
#include "t.h"
#include <sys/syscall.h>

enum { FUTEX_WAIT };

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared;
static int child_tid;

static int body(void *arg)
{
    shared = 42;
    close((int)(long)arg);
    chdir("/");
    _exit(0);
}

static void run(const char *what, int flags)
{
    mkdir("here", 0755);
    chdir("here");
    char before[256], after[256];
    getcwd(before, sizeof(before));
    shared = 0;
    int fd = open("/dev/null", O_RDONLY);
    pid_t pid = clone(body, stack + sizeof(stack), flags | SIGCHLD, (void *)(long)fd);
    waitpid(pid, NULL, 0);
    getcwd(after, sizeof(after));
    say("%s: memory %d fd closed %d cwd moved %d\n", what, shared, fcntl(fd, F_GETFD) < 0, strcmp(before, after) != 0);
    chdir(before);
    chdir("..");
    close(fd);
}

static int thread_body(void *arg)
{
    (void)arg;
    shared = getpid() == (int)syscall(SYS_getppid) ? -1 : getpid();
    syscall(SYS_exit, 0);
    return 0;
}

int main(void)
{
    run("nothing shared", 0);
    run("CLONE_VM", CLONE_VM);
    run("CLONE_FILES", CLONE_FILES);
    run("CLONE_FS", CLONE_FS);
    show("SIGHAND without VM", clone(body, stack + sizeof(stack), CLONE_SIGHAND | SIGCHLD, NULL));
    show("THREAD without SIGHAND", clone(body, stack + sizeof(stack), CLONE_THREAD | CLONE_VM, NULL));
    int tid = 0;
    child_tid = -1;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    child_tid = 1;
    int result = clone(thread_body, stack + sizeof(stack), flags, NULL, &tid, NULL, &child_tid);
    say("thread made %d tid told %d\n", result > 0, tid == result);
    while (__atomic_load_n(&child_tid, __ATOMIC_SEQ_CST) != 0) {
        syscall(SYS_futex, &child_tid, FUTEX_WAIT, 1, NULL, NULL, 0);
    }
    say("cleared %d same pid %d tid differs %d\n", child_tid, shared == getpid(), tid != getpid());
    show("wait finds no thread", waitpid(-1, NULL, __WALL | WNOHANG));
    show("tgkill wrong group", syscall(SYS_tgkill, getppid(), getpid(), 0) == -1 && errno == ESRCH);
    show("clone3 size 0", syscall(SYS_clone3, NULL, 0));
    return 0;
}
