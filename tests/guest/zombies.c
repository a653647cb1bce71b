// SPDX-License-Identifier: MIT
// Zombies, orphans adopted by process 1 (or a subreaper), wait options and their errors, SIGCHLD ignored.
#include "t.h"
#include <sys/prctl.h>
#include <sys/syscall.h>

static int status;
static int p[2]; // what children wait for, or say

static void a_zombie(void)
{
    show("no children", wait(&status));
    pid_t pid = fork();
    if (pid == 0) {
        _exit(300);
    }
    await_state(pid, 'Z');
    say("state %c\n", state_of(pid));
    show("kill zombie", kill(pid, 9));
    show("WNOHANG reaps", waitpid(pid, &status, WNOHANG) == pid);
    show_status("child", status);
    say("state %c\n", state_of(pid));
    show("again", waitpid(pid, &status, 0));
}

static void options(void)
{
    char c;
    pid_t pid = fork();
    if (pid == 0) {
        read(p[0], &c, 1);
        _exit(0);
    }
    show("WNOHANG too early", waitpid(pid, &status, WNOHANG));
    write(p[1], "x", 1);
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    show("waitid WNOWAIT", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    say("signo %d code %d status %d pid right %d\n", info.si_signo, info.si_code, info.si_status, info.si_pid == pid);
    show("still there", waitpid(pid, &status, 0) == pid);
    show("waitid no options", waitid(P_ALL, 0, &info, 0));
    show("waitpid bad options", waitpid(-1, &status, 0x10000000));
}

static void an_orphan(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t me = getpid();
        if (fork() == 0) {
            while (getppid() == me) {
                sleep_ms(5);
            }
            char adopted = getppid() != me;
            write(p[1], &adopted, 1);
            _exit(5);
        }
        _exit(4);
    }
    waitpid(pid, &status, 0);
    show_status("middle", status);
    char c = 0;
    read(p[0], &c, 1);
    say("adopted %d\n", c);
    wait(&status);
    show_status("grandchild", status);
}

static void nobody_wants_it(void)
{
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(1);
    }
    show("ignored: wait", waitpid(pid, &status, 0));
    signal(SIGCHLD, SIG_DFL);
}

static void stopped_and_continued(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        raise(SIGSTOP);
        read(p[0], &c, 1); // the end is for later: a zombie is no longer reported as continued
        syscall(SYS_exit, 7);
    }
    waitpid(pid, &status, WUNTRACED);
    show_status("untraced", status);
    say("state %c\n", state_of(pid));
    kill(pid, SIGCONT);
    waitpid(pid, &status, WCONTINUED);
    show_status("continued", status);
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    show_status("untraced", status);
    kill(pid, SIGCONT);
    write(p[1], "x", 1);
    siginfo_t info;
    show("zombie", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    show("waitid continued, a zombie", waitid(P_PID, (id_t)pid, &info, WCONTINUED));
    show("wait4 continued, a zombie", waitpid(pid, &status, WCONTINUED) == pid);
    show_status("end", status);
}

int main(void)
{
    pipe(p);
    a_zombie();
    options();
    an_orphan();
    nobody_wants_it();
    stopped_and_continued();
    return 0;
}
