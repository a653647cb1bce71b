// SPDX-License-Identifier: MIT
// User and group ids: setuid, seteuid, setresuid rules, supplementary groups, who may signal whom,
// inheritance.
#include "t.h"
#include <grp.h>
#include <sys/syscall.h>

static void ids(const char *what)
{
    uid_t r, e, s;
    gid_t rg, eg, sg;
    syscall(SYS_getresuid, &r, &e, &s);
    syscall(SYS_getresgid, &rg, &eg, &sg);
    say("%s: uid %u %u %u gid %u %u %u\n", what, r, e, s, rg, eg, sg);
}

static void in_child(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        fn();
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    show_status("child", status);
}

static void drop_for_good(void)
{
    show("setgid", syscall(SYS_setgid, 20));
    show("setuid", syscall(SYS_setuid, 1000));
    ids("dropped");
    show("setuid back", syscall(SYS_setuid, 0));
    show("setgid back", syscall(SYS_setgid, 0));
    show("setgroups", syscall(SYS_setgroups, 0, NULL));
    show("kill init", kill(1, 0));
    show("kill parent", kill(getppid(), 0));
    show("kill self", kill(getpid(), 0));
    show("sethostname", sethostname("x", 1));
    show("setpriority up", syscall(SYS_setpriority, 0, 0, -5));
}

static void drop_and_return(void)
{
    show("setresuid", syscall(SYS_setresuid, -1, 1000, 0));
    ids("effective only");
    show("setreuid", syscall(SYS_setreuid, 1000, 0));
    ids("swapped");
    show("setresuid 3", syscall(SYS_setresuid, 5, 6, 7));
    ids("three");
    show("to 8", syscall(SYS_setresuid, -1, 8, -1));
    show("to 7", syscall(SYS_setresuid, -1, 7, -1));
    show("to 5 by setuid", syscall(SYS_setuid, 5));
    ids("end");
}

static void by_setreuid(void)
{
    show("setreuid 9 -1", syscall(SYS_setreuid, 9, -1));
    ids("real");
    show("setreuid -1 9", syscall(SYS_setreuid, -1, 9));
    ids("effective");
    show("setreuid -1 0", syscall(SYS_setreuid, -1, 0));
    show("setregid", syscall(SYS_setregid, 1, 2));
    ids("after");
}

static void supplementary(void)
{
    gid_t list[4] = {30, 10, 20, 10}, back[8];
    show("setgroups", syscall(SYS_setgroups, 4, list));
    show("count", syscall(SYS_getgroups, 0, NULL));
    show("too small", syscall(SYS_getgroups, 3, back));
    show("get", syscall(SYS_getgroups, 8, back));
    for (int i = 0; i < 4; i++) {
        say(" %u", back[i]);
    }
    say("\n");
    show("too many", syscall(SYS_setgroups, 65537, list));
    show("negative", syscall(SYS_getgroups, -1, back));
}

static void signal_other_user(void)
{
    pid_t root_child = fork();
    if (root_child == 0) {
        for (;;) {
            pause();
        }
    }
    pid_t pid = fork();
    if (pid == 0) {
        syscall(SYS_setresuid, 1000, 1000, 1000);
        show("to a root process", kill(root_child, SIGTERM));
        show("SIGCONT in the session", kill(root_child, SIGCONT));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    kill(root_child, SIGKILL);
    waitpid(root_child, NULL, 0);
}

int main(void)
{
    ids("start");
    in_child(drop_for_good);
    in_child(drop_and_return);
    in_child(by_setreuid);
    in_child(supplementary);
    in_child(signal_other_user);
    show("setuid -1", syscall(SYS_setuid, -1));
    say("fsuid %ld %ld\n", syscall(SYS_setfsuid, 5), syscall(SYS_setfsuid, -1));
    return 0;
}
