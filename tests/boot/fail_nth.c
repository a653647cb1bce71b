// SPDX-License-Identifier: MIT
// Runs each operation with its n-th allocation failing, n = 1, 2, ... until it gets through without
// a failure: every try ends in success or ENOMEM, and after the first round nothing more is lost.
// Prints one line per operation, then "leaked".
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L
static int knob, data_fd;
static char buffer[65536];

static void arm(int n)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", n);
    if (pwrite(knob, text, (size_t)length, 0) != length) {
        _exit(2);
    }
}

// Allocations that are still to go; 0: the failure has happened. Switches it off.
static int disarm(void)
{
    char text[16] = "";
    if (pread(knob, text, sizeof(text) - 1, 0) < 1) {
        _exit(2);
    }
    int left = atoi(text);
    if (left) {
        arm(0);
    }
    return left;
}

// The operation under test, between arm and disarm: 0 or -1 with errno. What comes before and after
// is not tested.
#define TESTED(n, left, result, call)                                                              \
    arm(n);                                                                                        \
    long result = (call);                                                                          \
    int call_errno = errno;                                                                        \
    int left = disarm();                                                                           \
    errno = call_errno;

struct outcome {
    long result;
    int error, left;
};
#define RUN(n, call)                                                                               \
    ({                                                                                             \
        TESTED(n, left_, result_, call)                                                            \
        (struct outcome){result_, result_ < 0 ? errno : 0, left_};                                 \
    })

static char *map_anon(long pages)
{
    return mmap(NULL, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
}

static struct outcome op_mmap(int n)
{
    struct outcome o = RUN(n, (long)map_anon(16));
    if (o.result != -1) {
        munmap((void *)o.result, 16 * PAGE);
    }
    return o;
}

static struct outcome op_shared(int n)
{
    struct outcome o = RUN(
        n, (long)mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    if (o.result != -1) {
        munmap((void *)o.result, 4 * PAGE);
    }
    return o;
}

static struct outcome op_populate(int n)
{
    struct outcome o = RUN(n, (long)mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    if (o.result != -1) {
        munmap((void *)o.result, 8 * PAGE);
    }
    return o;
}

static long touch(char *p, long pages)
{
    for (long i = 0; i < pages; i++) {
        p[i * PAGE] = 1;
    }
    return 0;
}

static struct outcome op_touch(int n)
{
    char *p = map_anon(8);
    struct outcome o = RUN(n, touch(p, 8));
    munmap(p, 8 * PAGE);
    return o;
}

static struct outcome op_mprotect(int n)
{
    char *p = map_anon(8);
    struct outcome o = RUN(n, mprotect(p + PAGE, PAGE, PROT_READ));
    munmap(p, 8 * PAGE);
    return o;
}

static struct outcome op_munmap(int n)
{
    char *p = map_anon(8);
    struct outcome o = RUN(n, munmap(p + PAGE, PAGE));
    munmap(p, 8 * PAGE);
    return o;
}

static struct outcome op_mremap(int n)
{
    char *p = map_anon(8);
    touch(p, 8);
    struct outcome o = RUN(n, (long)mremap(p, 8 * PAGE, 600 * PAGE, MREMAP_MAYMOVE));
    munmap(o.result == -1 ? p : (void *)o.result, o.result == -1 ? 8 * PAGE : 600 * PAGE);
    return o;
}

static struct outcome op_brk(int n)
{
    char *end = (char *)syscall(SYS_brk, 0);
    struct outcome o = RUN(
        n, syscall(SYS_brk, end + 64 * PAGE) == (long)(end + 64 * PAGE) ? 0 : (errno = ENOMEM, -1));
    syscall(SYS_brk, end);
    return o;
}

static struct outcome op_open(int n)
{
    struct outcome o = RUN(n, open("new", O_RDWR | O_CREAT, 0600));
    if (o.result >= 0) {
        close((int)o.result);
    }
    unlink("new");
    return o;
}

static struct outcome op_write(int n)
{
    struct outcome o = RUN(n, pwrite(data_fd, buffer, sizeof(buffer), 0));
    if (ftruncate(data_fd, 0) < 0) {
        _exit(3);
    }
    return o;
}

static struct outcome op_write_sync(int n)
{
    if (pwrite(data_fd, buffer, sizeof(buffer), 0) < 0) {
        _exit(3);
    }
    struct outcome o = RUN(n, fsync(data_fd));
    if (fsync(data_fd) < 0 || ftruncate(data_fd, 0) < 0) {
        _exit(3);
    }
    return o;
}

static struct outcome op_read_directory(int n)
{
    int fd = open("/proc", O_RDONLY);
    struct outcome o = RUN(n, syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
    close(fd);
    return o;
}

static struct outcome op_read_proc(int n)
{
    int fd = open("/proc/self/maps", O_RDONLY);
    struct outcome o = RUN(n, read(fd, buffer, sizeof(buffer)));
    close(fd);
    return o;
}

static struct outcome op_mkdir(int n)
{
    struct outcome o = RUN(n, mkdir("d", 0700));
    rmdir("d");
    return o;
}

static struct outcome op_symlink(int n)
{
    struct outcome o = RUN(n, symlink("/somewhere/far/away", "l"));
    unlink("l");
    return o;
}

static struct outcome op_rename(int n)
{
    close(open("a", O_CREAT | O_RDWR, 0600));
    struct outcome o = RUN(n, rename("a", "b"));
    unlink("a");
    unlink("b");
    return o;
}

static struct outcome op_stat(int n)
{
    struct stat st;
    return RUN(n, stat("/etc/../etc/passwd", &st));
}

static struct outcome op_pipe(int n)
{
    int fds[2];
    struct outcome o = RUN(n, pipe(fds));
    if (o.result == 0) {
        close(fds[0]);
        close(fds[1]);
    }
    return o;
}

static struct outcome op_pipe_write(int n)
{
    int fds[2];
    if (pipe(fds) < 0) {
        _exit(3);
    }
    struct outcome o = RUN(n, write(fds[1], buffer, 3 * PAGE));
    close(fds[0]);
    close(fds[1]);
    return o;
}

static struct outcome op_epoll(int n)
{
    int e = epoll_create1(0), fds[2];
    struct epoll_event event = {.events = EPOLLIN};
    if (e < 0 || pipe(fds) < 0) {
        _exit(3);
    }
    struct outcome o = RUN(n, epoll_ctl(e, EPOLL_CTL_ADD, fds[0], &event));
    close(fds[0]);
    close(fds[1]);
    close(e);
    return o;
}

static struct outcome op_dup(int n)
{
    struct outcome o = RUN(n, dup2(1, 700));
    close(700);
    return o;
}

static struct outcome op_poll(int n)
{
    struct pollfd p[200];
    for (int i = 0; i < 200; i++) {
        p[i] = (struct pollfd){.fd = 1, .events = POLLOUT};
    }
    return RUN(n, poll(p, 200, 0));
}

static struct outcome op_signal(int n)
{
    return RUN(n, kill(getpid(), SIGUSR1));
}

static struct outcome op_writev(int n)
{
    struct iovec v[40];
    for (int i = 0; i < 40; i++) {
        v[i] = (struct iovec){buffer, 10};
    }
    struct outcome o = RUN(n, pwritev(data_fd, v, 40, 0));
    if (ftruncate(data_fd, 0) < 0) {
        _exit(3);
    }
    return o;
}

static struct outcome op_fork(int n)
{
    struct outcome o = RUN(n, syscall(SYS_fork));
    if (o.result == 0) {
        _exit(0);
    }
    if (o.result > 0) {
        waitpid((pid_t)o.result, NULL, 0);
    }
    return o;
}

static char *true_argv[] = {"/bin/busybox", "true", NULL};

// The child arms its own knob. A failure after the point of no return kills it, as on Linux; one
// that the program's own start meets ends as the program likes.
static struct outcome op_exec(int n)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        knob = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
        arm(n);
        close(2); // what the program says about it
        execv(true_argv[0], true_argv);
        int error = errno;
        _exit(disarm() ? 100 : error == ENOMEM ? 101 : 102);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    bool failed_exec =
        WIFEXITED(status) && (WEXITSTATUS(status) == 100 || WEXITSTATUS(status) == 102);
    if (failed_exec) {
        return (struct outcome){-1, EIO, 0};
    }
    return (struct outcome){status ? -1 : 0, status ? ENOMEM : 0, status == 0 && n > 60};
}

static void *thread_main(void *arg)
{
    return arg;
}

static struct outcome op_thread(int n)
{
    pthread_t t;
    struct outcome o = RUN(n, (long)pthread_create(&t, NULL, thread_main, NULL));
    if (o.result > 0) { // pthread_create turns every failure into EAGAIN
        return (struct outcome){-1, o.result == EAGAIN ? ENOMEM : (int)o.result, o.left};
    }
    pthread_join(t, NULL);
    return o;
}

static const struct {
    const char *name;
    struct outcome (*run)(int n);
} operations[] = {
    {"mmap", op_mmap},
    {"shared mmap", op_shared},
    {"populate", op_populate},
    {"touch", op_touch},
    {"mprotect", op_mprotect},
    {"munmap", op_munmap},
    {"mremap", op_mremap},
    {"brk", op_brk},
    {"open", op_open},
    {"write", op_write},
    {"fsync", op_write_sync},
    {"getdents", op_read_directory},
    {"read maps", op_read_proc},
    {"mkdir", op_mkdir},
    {"symlink", op_symlink},
    {"rename", op_rename},
    {"stat", op_stat},
    {"pipe", op_pipe},
    {"pipe write", op_pipe_write},
    {"epoll", op_epoll},
    {"dup2", op_dup},
    {"poll", op_poll},
    {"kill", op_signal},
    {"pwritev", op_writev},
    {"fork", op_fork},
    {"exec", op_exec},
    {"thread", op_thread},
};

static long free_kb(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[100];
    long free = -1, cached = 0, slab = 0, buffers = 0;
    while (f && fgets(line, sizeof(line), f)) {
        sscanf(line, "MemFree: %ld", &free);
        sscanf(line, "Cached: %ld", &cached);
        sscanf(line, "Buffers: %ld", &buffers);
        sscanf(line, "Slab: %ld", &slab);
    }
    if (f) {
        fclose(f);
    }
    return free + cached + buffers + slab;
}

// All values of n for one operation. Returns how many tries there were; wrong outcomes are counted.
static int all_tries(int index, int *wrong)
{
    int n = 1;
    for (; n < 200; n++) {
        struct outcome o = operations[index].run(n);
        if (o.result < 0 && !(o.error == ENOMEM && o.left == 0)) {
            printf("%s: allocation %d: error %d\n", operations[index].name, n, o.error);
            ++*wrong;
        }
        if (o.left) {
            break;
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    int wrong = 0, count = (int)(sizeof(operations) / sizeof(operations[0]));
    if (argc > 1 && chdir(argv[1]) < 0) {
        return 2;
    }
    knob = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
    data_fd = open("data", O_RDWR | O_CREAT, 0600);
    if (knob < 0 || data_fd < 0) {
        perror("fail_nth");
        return 2;
    }
    signal(SIGUSR1, SIG_IGN);
    for (int i = 0; i < count; i++) {
        int tries = all_tries(i, &wrong);
        printf("%s: %d tries\n", operations[i].name, tries);
        fflush(stdout);
    }
    for (int i = 0; i < count; i++) { // once more fills the caches, then nothing may be lost
        all_tries(i, &wrong);
        long before = free_kb();
        for (int round = 0; round < 6; round++) {
            all_tries(i, &wrong);
        }
        long lost = before - free_kb();
        if (lost > 40) {
            printf("%s: leaked %ld KiB\n", operations[i].name, lost);
            wrong++;
        }
    }
    printf("wrong: %d\n", wrong);
    return wrong != 0;
}
