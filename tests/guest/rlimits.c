// SPDX-License-Identifier: MIT
// Resource limits: descriptors, file size with SIGXFSZ, address space, core, CPU time with SIGXCPU, raising the hard limit.
#include "t.h"
#include <sys/mman.h>
#include <sys/resource.h>

static void limit(int what, rlim_t soft, rlim_t hard)
{
    struct rlimit r = {soft, hard};
    show("setrlimit", setrlimit(what, &r));
}

int main(void)
{
    struct rlimit r;
    show("bad resource", getrlimit(99, &r));
    r = (struct rlimit){10, 5};
    show("soft over hard", setrlimit(RLIMIT_NOFILE, &r));
    limit(RLIMIT_NOFILE, 8, 100);
    int fd = -1, last = -1;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
        last = fd;
    }
    say("last fd %d then %s\n", last, errno_name(errno));
    show("dup2 beyond", dup2(0, 50));
    show("F_DUPFD beyond", fcntl(0, F_DUPFD, 50));
    limit(RLIMIT_NOFILE, 100, 100);
    show("now", dup2(0, 50));
    pid_t pid = fork();
    if (pid == 0) {
        limit(RLIMIT_FSIZE, 1000, 1000);
        int file = open("f", O_RDWR | O_CREAT, 0600);
        char block[600] = {0};
        show("write", write(file, block, 600));
        show("write over", write(file, block, 600));
        signal(SIGXFSZ, SIG_IGN);
        show("write at limit", write(file, block, 600));
        signal(SIGXFSZ, SIG_DFL);
        limit(RLIMIT_CORE, 0, 0);
        write(file, block, 600);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    show_status("file size", status);
    pid = fork();
    if (pid == 0) {
        limit(RLIMIT_AS, 64 << 20, 64 << 20);
        say("mmap too large %s\n",
            mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno_name(errno) : "mapped");
        say("malloc too large %d\n", malloc(128 << 20) == NULL);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    pid = fork();
    if (pid == 0) {
        limit(RLIMIT_CORE, 0, 0);
        limit(RLIMIT_CPU, 1, 2);
        for (volatile long i = 0;; i++) {
        }
    }
    waitpid(pid, &status, 0);
    show_status("cpu time", status);
    pid = fork();
    if (pid == 0) {
        limit(RLIMIT_NPROC, 0, 0);
        if (setgid(1000) || setuid(1000)) {
            _exit(1);
        }
        show("fork over NPROC", fork());
        r = (struct rlimit){5, 1000};
        show("raise hard as user", setrlimit(RLIMIT_NOFILE, &r));
        _exit(0);
    }
    waitpid(pid, &status, 0);
    show_status("nproc", status);
    return 0;
}
