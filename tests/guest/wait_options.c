// SPDX-License-Identifier: MIT
// waitid and wait4 in all their options: groups, clone children, threads' children, WCONTINUED,
// WNOWAIT, rusage.
#define _GNU_SOURCE
#include "t.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void info_line(const char *what, long result, const siginfo_t *info, pid_t pid)
{
    if (result < 0) {
        say("%s: -%s\n", what, errno_name(errno));
    } else {
        say("%s: signo %d code %d status %d pid %s uid %d\n", what, info->si_signo, info->si_code,
            info->si_status,
            info->si_pid == pid ? "right"
            : info->si_pid      ? "other"
                                : "0",
            (int)info->si_uid);
    }
}

static long wait_id(const char *what, idtype_t type, id_t id, int options, pid_t pid)
{
    siginfo_t info;
    memset(&info, 0x55, sizeof(info));
    long r = syscall(SYS_waitid, type, id, &info, options, NULL);
    info_line(what, r, &info, pid);
    return r;
}

static pid_t child_that_stops(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        raise(SIGSTOP);
        sleep_ms(100); // the parent asks for the continuation first
        _exit(9);
    }
    setpgid(pid, pid);
    return pid;
}

static void *wait_in_thread(void *arg)
{
    int status = 0;
    (void)arg;
    show("thread, __WNOTHREAD", syscall(SYS_wait4, -1, &status, __WNOTHREAD | __WALL, NULL));
    show("thread, all", syscall(SYS_wait4, -1, &status, __WALL, NULL) > 0);
    show_status("the main thread's child", status);
    return NULL;
}

int main(void)
{
    pid_t pid = child_that_stops();
    wait_id("stopped, kept", P_PID, (id_t)pid, WSTOPPED | WNOWAIT, pid);
    wait_id("stopped", P_PGID, (id_t)pid, WSTOPPED, pid);
    wait_id("stopped again", P_PID, (id_t)pid, WSTOPPED | WNOHANG, pid);
    kill(pid, SIGCONT);
    wait_id("continued", P_ALL, 0, WCONTINUED, pid);
    wait_id("exited, kept", P_PGID, (id_t)pid, WEXITED | WNOWAIT, pid);
    wait_id("exited", P_PID, (id_t)pid, WEXITED, pid);
    wait_id("gone", P_PID, (id_t)pid, WEXITED, pid);
    wait_id("bad pid", P_PID, 0, WEXITED, 0);
    wait_id("bad type", (idtype_t)7, 1, WEXITED, 0);
    wait_id("bad options", P_ALL, 0, WEXITED | 0x100, 0);
    wait_id("negative fd", P_PIDFD, (id_t)-1, WEXITED, 0);
    wait_id("no options", P_ALL, 0, WNOHANG, 0);

    pid = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0) {
        _exit(2);
    }
    int status = 0;
    show("clone child, plain wait", wait(&status));
    show("clone child, __WCLONE", waitpid(-1, &status, __WCLONE) == pid);
    show_status("clone child", status);
    pid = fork();
    if (pid == 0) {
        _exit(3);
    }
    show("plain child, __WCLONE", waitpid(-1, &status, __WCLONE));
    show("plain child, __WALL", waitpid(-1, &status, __WALL) == pid);
    pid = fork();
    if (pid == 0) {
        _exit(4);
    }
    pthread_t t;
    pthread_create(&t, NULL, wait_in_thread, NULL);
    pthread_join(t, NULL);
    pid = fork();
    if (pid == 0) {
        for (volatile long i = 0; i < 30000000; i++) {
        }
        kill(getpid(), SIGUSR1);
    }
    struct rusage r;
    memset(&r, 0x55, sizeof(r));
    show("wait4", wait4(pid, &status, 0, &r) == pid);
    show_status("killed", status);
    say("used some time: %d\n", r.ru_utime.tv_usec + r.ru_utime.tv_sec * 1000000 > 1000);
    struct rusage c;
    getrusage(RUSAGE_CHILDREN, &c);
    say("children's sum is as large: %d\n", c.ru_utime.tv_sec * 1000000 + c.ru_utime.tv_usec >=
                                                r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec);
    show("wait4 bad options", wait4(-1, &status, 0x40, NULL));
    show("wait4 INT_MIN", syscall(SYS_wait4, -2147483647 - 1, &status, 0, NULL));
    show("wait4 nobody", wait4(-1, &status, 0, NULL));
    return 0;
}
