// SPDX-License-Identifier: MIT
// Processes and threads that begin and end side by side: fork, exec, exit, wait, signals between them.
#include "parallel.h"
#include <spawn.h>
#include <sys/syscall.h>

#define PROCESSES 4

extern char **environ;
static const char *me_path;

static void tree(int me)
{
    for (int round = 0; round < rounds(6); round++) {
        pid_t kids[5];
        for (int i = 0; i < 5; i++) {
            kids[i] = fork();
            if (kids[i] == 0) {
                if (i % 2 && fork() == 0) { // an orphan for init
                    _exit(0);
                }
                _exit((me * 5 + i) & 63);
            }
        }
        int seen = 0;
        for (int i = 0; i < 5; i++) {
            int status;
            pid_t pid = wait(&status);
            for (int k = 0; k < 5; k++) {
                if (pid == kids[k]) {
                    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == ((me * 5 + k) & 63));
                    seen |= 1 << k;
                }
            }
        }
        CHECK(seen == 31);
        CHECK(wait(NULL) == -1 && errno == ECHILD);
    }
}

static void exec_many(int me)
{
    for (int round = 0; round < rounds(3); round++) {
        char code[8];
        char *argv[] = {(char *)me_path, "exit", code, NULL};
        snprintf(code, sizeof(code), "%d", me * 16 + round % 16);
        pid_t pid;
        int status;
        CHECK(posix_spawn(&pid, me_path, NULL, NULL, argv, environ) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == me * 16 + round % 16);
    }
}

// Threads of a process that execs, exits or is killed while they run.
static void *spin(void *arg)
{
    (void)arg;
    for (;;) {
        syscall(SYS_getppid);
    }
    return NULL;
}

static void *ends_it(void *arg)
{
    int how = (int)(intptr_t)arg;
    sleep_ms(1);
    if (how == 0) {
        _exit(7);
    }
    if (how == 1) {
        char *argv[] = {(char *)me_path, "exit", "8", NULL};
        execv(me_path, argv);
    }
    kill(getpid(), SIGKILL);
    return NULL;
}

static void group_end(int me)
{
    for (int round = 0; round < rounds(3); round++) {
        int how = (me + round) % 3;
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t t;
            for (int i = 0; i < 3; i++) {
                pthread_create(&t, NULL, spin, NULL);
            }
            pthread_create(&t, NULL, ends_it, (void *)(intptr_t)how);
            pthread_join(t, NULL);
            _exit(99);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(how == 2 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                       : WIFEXITED(status) && WEXITSTATUS(status) == 7 + how);
    }
}

// Queued signals arrive once each, in order.
static atomic_int taken, last[4];

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    int from = info->si_value.sival_int / 1000, nr = info->si_value.sival_int % 1000;
    CHECK(nr == atomic_load(&last[from]) + 1);
    atomic_store(&last[from], nr);
    atomic_fetch_add(&taken, 1);
}

static pid_t target;

static void queue(int me)
{
    for (int i = 1; i <= 50; i++) {
        union sigval v = {.sival_int = me * 1000 + i};
        while (sigqueue(target, SIGRTMIN, v) == -1 && errno == EAGAIN) {
            sleep_ms(1);
        }
    }
}

static void signals(void)
{
    struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN, &a, NULL);
    target = getpid();
    in_processes(4, queue);
    CHECK(atomic_load(&taken) == 200);
}

// Stop and continue as fast as it goes; the child still works.
static void stop_and_continue(int me)
{
    (void)me;
    int fds[2];
    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        close(fds[1]);
        while (read(fds[0], &c, 1) == 1) {
        }
        _exit(5);
    }
    close(fds[0]);
    for (int i = 0; i < rounds(20); i++) {
        int status = 0;
        CHECK(kill(pid, SIGSTOP) == 0);
        CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
        CHECK(write(fds[1], "x", 1) == 1);
        CHECK(kill(pid, SIGCONT) == 0);
        CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    }
    close(fds[1]);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static void *nothing(void *arg)
{
    return arg;
}

static void *thread_makers(void *arg)
{
    for (int i = 0; i < rounds(25); i++) {
        pthread_t t;
        void *result = NULL;
        CHECK(pthread_create(&t, NULL, nothing, arg) == 0);
        CHECK(pthread_join(t, &result) == 0 && result == arg);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        return atoi(argv[2]);
    }
    me_path = argv[0];
    in_processes(PROCESSES, tree);
    done("children");
    in_processes(PROCESSES, exec_many);
    done("programs");
    in_processes(PROCESSES, group_end);
    done("ends of whole groups");
    in_threads(4, thread_makers);
    done("threads");
    signals();
    done("queued signals");
    in_processes(PROCESSES, stop_and_continue);
    done("stop and continue");
    return 0;
}
