// SPDX-License-Identifier: MIT
// Process groups and sessions: setpgid rules, setsid, group kill, stop and continue, orphaned groups get HUP and CONT.
#include "t.h"

static volatile int hups, conts;

static void on_hup(int sig)
{
    if (sig == SIGHUP) {
        hups++;
    } else {
        conts++;
    }
}

static void stop_and_continue(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    int status;
    kill(pid, SIGSTOP);
    show("stopped", waitpid(pid, &status, WUNTRACED) == pid);
    show_status("child", status);
    kill(pid, SIGTERM);
    sleep_ms(20);
    show("TERM waits while stopped", waitpid(pid, &status, WNOHANG));
    kill(pid, SIGCONT);
    show("then ends", waitpid(pid, &status, 0) == pid);
    show_status("child", status);
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(pid, &status, WUNTRACED);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    show_status("KILL ends a stopped one", status);
}

static void orphaned_group(void)
{
    int p[2];
    pipe(p);
    pid_t middle = fork();
    if (middle == 0) {
        pid_t child = fork();
        if (child == 0) {
            setpgid(0, 0);
            signal(SIGHUP, on_hup);
            signal(SIGCONT, on_hup);
            raise(SIGSTOP);
            sleep_ms(20);
            char result[2] = {(char)hups, (char)conts};
            write(p[1], result, 2);
            _exit(0);
        }
        int status;
        waitpid(child, &status, WUNTRACED);
        _exit(0);
    }
    waitpid(middle, NULL, 0);
    close(p[1]);
    char result[2] = {9, 9};
    read(p[0], result, 2);
    say("orphaned group got HUP %d CONT %d\n", result[0], result[1]);
}

int main(void)
{
    show("setpgid of nobody", setpgid(999999, 0));
    show("setpgid negative", setpgid(0, -1));
    show("getpgid of nobody", getpgid(999999));
    pid_t leader = fork();
    if (leader == 0) {
        show("setsid", setsid() == getpid());
        show("setsid again", setsid());
        show("setpgid of a session leader", setpgid(0, 0));
        say("sid %d pgrp %d\n", getsid(0) == getpid(), getpgrp() == getpid());
        pid_t child = fork();
        if (child == 0) {
            say("child inherits %d %d\n", getsid(0) == getppid(), getpgrp() == getppid());
            show("own group", setpgid(0, 0));
            say("group %d\n", getpgrp() == getpid());
            show("setsid as group leader", setsid());
            _exit(0);
        }
        waitpid(child, NULL, 0);
        int open_device = open("/dev/tty", O_RDWR);
        show("/dev/tty without terminal", open_device);
        _exit(0);
    }
    waitpid(leader, NULL, 0);
    pid_t pids[3], group = 0;
    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            for (;;) {
                pause();
            }
        }
        setpgid(pids[i], group);
        group = group ? group : pids[0];
    }
    show("kill group", kill(-group, SIGUSR1));
    for (int i = 0; i < 3; i++) {
        int status;
        show("wait group", waitpid(-group, &status, 0) > 0);
        show_status("member", status);
    }
    show("group is gone", kill(-group, 0));
    stop_and_continue();
    orphaned_group();
    return 0;
}
