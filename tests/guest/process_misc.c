// SPDX-License-Identifier: MIT
// Small process and system calls: prctl settings, personality, getcpu, sysinfo, uname sizes,
// getrandom, sleep errors.
#define _GNU_SOURCE
#include "t.h"
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

static void prctls(void)
{
    show("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    show("set 0", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    show("set 1", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    show("is set", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    show("dumpable", prctl(PR_GET_DUMPABLE));
    show("set dumpable 0", prctl(PR_SET_DUMPABLE, 0));
    show("dumpable", prctl(PR_GET_DUMPABLE));
    show("set dumpable 5", prctl(PR_SET_DUMPABLE, 5));
    show("pdeathsig 65", prctl(PR_SET_PDEATHSIG, 65));
    show("slack", prctl(PR_GET_TIMERSLACK));
    show("set slack", prctl(PR_SET_TIMERSLACK, 1234));
    show("slack", prctl(PR_GET_TIMERSLACK));
    int on = 7;
    show("subreaper", prctl(PR_GET_CHILD_SUBREAPER, &on));
    say("on %d\n", on);
    show("unknown", prctl(123456));
    show("cap bound", prctl(PR_CAPBSET_READ, 0));
    show("cap bound 99", prctl(PR_CAPBSET_READ, 99));
    show("name fault", prctl(PR_SET_NAME, 8));
}

static void parent_death(void)
{
    int p[2];
    pipe(p);
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            close(p[0]);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            write(p[1], "r", 1);
            sleep_ms(3000);
            write(p[1], "x", 1);
            _exit(0);
        }
        char c;
        read(p[0], &c, 1);
        _exit(0);
    }
    close(p[1]);
    waitpid(middle, NULL, 0);
    char c;
    say("parent's death: read %zd\n", read(p[0], &c, 1));
}

int main(void)
{
    prctls();
    parent_death();
    show("personality", personality(0xffffffff) & 0xff);
    unsigned cpu = 99, node = 99;
    show("getcpu", syscall(SYS_getcpu, &cpu, &node, NULL));
    say("node %u\n", node);
    struct sysinfo s;
    show("sysinfo", sysinfo(&s));
    say("ram %d procs %d unit %u\n", s.totalram > s.freeram, s.procs > 0, s.mem_unit);
    char buf[32] = "", zero[32] = "";
    show("getrandom", syscall(SYS_getrandom, buf, 16, 0));
    say("random %d tail %d\n", memcmp(buf, zero, 16) != 0, memcmp(buf + 16, zero, 16) == 0);
    show("getrandom nonblock", syscall(SYS_getrandom, buf, 8, 1));
    show("getrandom bad flag", syscall(SYS_getrandom, buf, 8, 8));
    show("getrandom fault", syscall(SYS_getrandom, (void *)8, 8, 0));
    show("getrandom none", syscall(SYS_getrandom, buf, 0, 0));
    struct timespec bad = {0, -1}, big = {0, 1000000000}, neg = {-1, 0}, rest = {5, 5};
    show("nanosleep nsec -1", syscall(SYS_nanosleep, &bad, NULL));
    show("nanosleep nsec 1e9", syscall(SYS_nanosleep, &big, NULL));
    show("nanosleep negative", syscall(SYS_nanosleep, &neg, &rest));
    say("rest untouched %ld\n", (long)rest.tv_sec);
    show("clock 99", syscall(SYS_clock_gettime, 99, &rest));
    show("clock fault", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8));
    show("sleep on thread clock",
         syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &bad, NULL));
    show("set_robust_list", syscall(SYS_set_robust_list, NULL, 1));
    show("hostname too long", syscall(SYS_sethostname, buf, 65));
    show("hostname negative", syscall(SYS_sethostname, buf, -1));
    show("reboot magic", syscall(SYS_reboot, 1, 2, 3, 0));
    show("syslog type", syscall(SYS_syslog, 99, NULL, 0));
    show("unknown call", syscall(999));
    show("negative call", syscall(-1));
    return 0;
}
