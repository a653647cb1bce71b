// SPDX-License-Identifier: MIT
// Identity and environment calls: ids, groups, umask, sysconf, uname fields, hostname limits, getcpu, sysinfo, prctl.
#include "t.h"
#include <grp.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname u;
    show("uname", uname(&u));
    say("%s %s\n", u.sysname, u.machine);
    say("ids %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
    gid_t groups[64] = {3, 4, 5};
    show("setgroups", setgroups(3, groups));
    memset(groups, 0, sizeof(groups));
    show("getgroups count", getgroups(0, NULL));
    show("getgroups", getgroups(64, groups));
    say("%d %d %d\n", groups[0], groups[1], groups[2]);
    show("getgroups small", getgroups(1, groups));
    say("umask %o\n", umask(0777));
    say("umask %o\n", umask(022));
    say("page size %ld clk %ld\n", sysconf(_SC_PAGESIZE), sysconf(_SC_CLK_TCK));
    struct sysinfo info;
    show("sysinfo", sysinfo(&info));
    say("memory %d procs %d\n", info.totalram > 0 && info.freeram < info.totalram, info.procs > 0);
    char name[70];
    memset(name, 'h', sizeof(name));
    show("hostname too long", sethostname(name, 65));
    show("pdeathsig", prctl(PR_SET_PDEATHSIG, SIGTERM));
    int sig = 0;
    prctl(PR_GET_PDEATHSIG, &sig);
    say("is %d\n", sig);
    show("bad prctl", prctl(99999, 0, 0, 0, 0));
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_GET_PDEATHSIG, &sig);
        say("not inherited %d\n", sig);
        show("setresuid", setresuid(1000, 2000, 3000));
        uid_t r, e, s;
        getresuid(&r, &e, &s);
        say("%d %d %d\n", r, e, s);
        show("to saved", seteuid(3000));
        show("to real", seteuid(1000));
        show("to other", seteuid(0));
        show("setreuid", setreuid(-1, 3000));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    pid = fork();
    if (pid == 0) {
        setgroups(0, NULL);
        show("setgid", setgid(1000));
        show("setuid", setuid(1000));
        show("setgid back", setgid(0));
        show("setgroups as user", setgroups(0, NULL));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return 0;
}
