// SPDX-License-Identifier: MIT
// exec in a threaded process ends the other threads and the survivor becomes the leader; exit_group ends all.
#include "t.h"
#include <pthread.h>
#include <sys/syscall.h>

static pid_t leader;

static void *forever(void *arg)
{
    for (;;) {
        pause();
    }
    return arg;
}

static void *execer(void *arg)
{
    char text[32];
    snprintf(text, sizeof(text), "%d", (int)leader);
    execl("/proc/self/exe", arg, text, (char *)NULL);
    say("exec failed %s\n", errno_name(errno));
    return NULL;
}

static void *ender(void *arg)
{
    (void)arg;
    exit(9);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        int threads = 0;
        char line[128];
        FILE *status = fopen("/proc/self/status", "r");
        while (status && fgets(line, sizeof(line), status)) {
            sscanf(line, "Threads: %d", &threads);
        }
        say("after exec: pid kept %d tid is pid %d threads %d\n", getpid() == atoi(argv[1]),
            syscall(SYS_gettid) == getpid(), threads);
        return 4;
    }
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        leader = getpid();
        pthread_t t;
        pthread_create(&t, NULL, forever, NULL);
        pthread_create(&t, NULL, execer, argv[0]);
        for (;;) {
            pause();
        }
    }
    waitpid(pid, &status, 0);
    show_status("exec from a thread", status);
    pid = fork();
    if (pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, forever, NULL);
        pthread_create(&t, NULL, ender, NULL);
        for (;;) {
            pause();
        }
    }
    waitpid(pid, &status, 0);
    show_status("exit from a thread", status);
    pid = fork();
    if (pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, forever, NULL);
        pthread_kill(t, SIGTERM);
        for (;;) {
            pause();
        }
    }
    waitpid(pid, &status, 0);
    show_status("signal to a thread", status);
    return 0;
}
