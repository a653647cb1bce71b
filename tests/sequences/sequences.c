// SPDX-License-Identifier: MIT
// Random sequences of file, pipe, signal, mapping and fork operations, made from a seed: "sequences FIRST LAST" prints what
// each operation answers. The same seeds on the host's Linux must print the same.
#include "../guest/t.h"

#include <dirent.h>
#include <poll.h>
#include <sys/mman.h>

enum { FDS = 8, MAPS = 4, NAMES = 7, OPS = 40, PAGE = 4096 };

static uint64_t state;
static int fds[FDS];
static struct {
    char *at;
    size_t pages;
    bool readable, writable;
    int file; // fd slot whose file backs it, -1 anonymous
} maps[MAPS];
static int depth;
static volatile int caught[65];

static unsigned pick(unsigned n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % n;
}

static const char *name(void)
{
    static const char *names[NAMES] = {"a", "b", "d", "d/a", "d/b", "e", "e/x"};
    return names[pick(NAMES)];
}

static void answer(const char *what, long result)
{
    if (result < 0) {
        say("%d %s -%s\n", depth, what, errno_name(errno));
    } else {
        say("%d %s %ld\n", depth, what, result);
    }
}

static unsigned sum_of(const char *bytes, long n)
{
    unsigned sum = 0;
    for (long i = 0; i < n; i++) {
        sum = sum * 31 + (unsigned char)bytes[i];
    }
    return sum;
}

static int free_slot(void)
{
    for (int i = 0; i < FDS; i++) {
        if (fds[i] < 0) {
            return i;
        }
    }
    int i = (int)pick(FDS);
    close(fds[i]);
    return i;
}

static void keep(const char *what, int fd)
{
    answer(what, fd < 0 ? -1 : 0);
    if (fd >= 0) {
        fds[free_slot()] = fd;
    }
}

static void op_open(void)
{
    static const int flags[] = {O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_APPEND | O_CREAT,
                                O_RDWR | O_TRUNC, O_RDONLY | O_DIRECTORY, O_RDWR | O_CREAT};
    int flag = flags[pick(8)];
    // A FIFO would block: none is ever made by name.
    keep("open", open(name(), flag | O_CLOEXEC, 0600 | pick(64)));
}

static void op_close(void)
{
    int i = (int)pick(FDS);
    answer("close", fds[i] < 0 ? 0 : close(fds[i]));
    fds[i] = -1;
}

static bool is_pipe(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static void op_read(void)
{
    char buffer[9000];
    int fd = fds[pick(FDS)];
    ssize_t n = read(fd, buffer, pick(sizeof(buffer)));
    answer("read", n);
    if (n > 0) {
        say("  sum %u\n", sum_of(buffer, n));
    }
}

static void op_write(void)
{
    char buffer[9000];
    unsigned n = pick(sizeof(buffer)), first = pick(256);
    for (unsigned i = 0; i < n; i++) {
        buffer[i] = (char)(first + i * 13);
    }
    answer("write", write(fds[pick(FDS)], buffer, n));
}

static void op_pread_pwrite(void)
{
    char buffer[6000] = {0};
    int fd = fds[pick(FDS)];
    unsigned n = pick(sizeof(buffer)), at = pick(70000);
    if (pick(2)) {
        memset(buffer, 'p', n);
        answer("pwrite", pwrite(fd, buffer, n, at));
    } else {
        ssize_t got = pread(fd, buffer, n, at);
        answer("pread", got);
        if (got > 0) {
            say("  sum %u\n", sum_of(buffer, got));
        }
    }
}

// Where the end of a directory is belongs to the file system.
static bool is_directory(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static void op_seek(void)
{
    int fd = fds[pick(FDS)];
    off_t offset = (off_t)pick(30000) - 5000;
    int whence = (int)pick(3);
    if (!is_directory(fd)) {
        answer("lseek", lseek(fd, offset, whence));
    }
}

static void op_truncate(void)
{
    answer("ftruncate", ftruncate(fds[pick(FDS)], pick(50000)));
}

static void op_dup(void)
{
    int from = fds[pick(FDS)];
    keep("dup", from < 0 ? (errno = EBADF, -1) : dup(from));
}

static void op_fcntl(void)
{
    int fd = fds[pick(FDS)];
    if (is_pipe(fd)) {
        answer("getfl pipe", fcntl(fd, F_GETFL));
        return;
    }
    answer("setfl", fcntl(fd, F_SETFL, pick(2) ? O_APPEND : 0));
    long flags = fcntl(fd, F_GETFL);
    answer("getfl", flags < 0 ? -1 : (flags & (O_ACCMODE | O_APPEND)));
}

static void op_stat(void)
{
    struct stat st;
    int result = pick(2) ? lstat(name(), &st) : fstat(fds[pick(FDS)], &st);
    answer("stat", result);
    if (result == 0) {
        bool dir = S_ISDIR(st.st_mode);
        say("  mode %o nlink %ld size %ld\n", st.st_mode, (long)st.st_nlink, dir ? 0 : (long)st.st_size);
    }
}

static void op_names(void)
{
    switch (pick(9)) {
    case 0: answer("mkdir", mkdir(name(), 0755)); break;
    case 1: answer("rmdir", rmdir(name())); break;
    case 2: answer("unlink", unlink(name())); break;
    case 3: { const char *from = name(); answer("rename", rename(from, name())); break; }
    case 4: { const char *from = name(); answer("link", link(from, name())); break; }
    case 5: { const char *to = name(); answer("symlink", symlink(to, name())); break; }
    case 6: answer("chmod", chmod(name(), pick(512))); break;
    case 7: answer("access", access(name(), (int)pick(8))); break;
    default: {
        char target[64];
        answer("readlink", readlink(name(), target, sizeof(target)));
    }
    }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void op_list(void)
{
    struct dirent **entries;
    int n = scandir(pick(2) ? "." : "d", &entries, NULL, by_name);
    answer("list", n);
    for (int i = 0; i < n; i++) {
        say("  %s %d\n", entries[i]->d_name, entries[i]->d_type);
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
}

static void op_pipe(void)
{
    int p[2];
    int result = pipe2(p, O_NONBLOCK | O_CLOEXEC);
    answer("pipe", result);
    if (result == 0) {
        fds[free_slot()] = p[0];
        fds[free_slot()] = p[1];
    }
}

static void op_poll(void)
{
    struct pollfd set[FDS];
    for (int i = 0; i < FDS; i++) {
        set[i] = (struct pollfd){.fd = fds[i], .events = POLLIN | POLLOUT};
    }
    answer("poll", poll(set, FDS, 0));
    for (int i = 0; i < FDS; i++) {
        say(" %x", (unsigned)set[i].revents);
    }
    say("\n");
}

static void op_map(void)
{
    int i = (int)pick(MAPS);
    if (maps[i].at) {
        munmap(maps[i].at, maps[i].pages * PAGE);
        maps[i].at = NULL;
    }
    size_t pages = 1 + pick(6);
    int slot = pick(3) ? -1 : (int)pick(FDS), fd = slot < 0 ? -1 : fds[slot];
    int prot = (pick(4) ? PROT_READ : 0) | (pick(2) ? PROT_READ | PROT_WRITE : 0);
    int flags = (pick(2) ? MAP_SHARED : MAP_PRIVATE) | (slot < 0 ? MAP_ANONYMOUS : 0);
    char *at = mmap(NULL, pages * PAGE, prot, flags, fd, 0);
    answer("mmap", at == MAP_FAILED ? -1 : 0);
    if (at != MAP_FAILED) {
        maps[i].at = at;
        maps[i].pages = pages;
        maps[i].readable = prot & PROT_READ;
        maps[i].writable = prot & PROT_WRITE;
        maps[i].file = slot;
    }
}

// A child touches, so that the signal of a bad access is its status.
static void op_touch(void)
{
    int i = (int)pick(MAPS);
    unsigned page = pick(6), offset = pick(PAGE);
    bool write = pick(2);
    if (!maps[i].at || page >= maps[i].pages) {
        return;
    }
    volatile char *p = maps[i].at + page * PAGE + offset;
    pid_t pid = fork();
    if (pid == 0) {
        char c = write ? (char)(*p = 'w') : *p;
        _exit((unsigned char)c);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    say("%d touch %d %s %d\n", depth, write, WIFSIGNALED(status) ? "signal" : "value",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void op_protect(void)
{
    int i = (int)pick(MAPS);
    if (!maps[i].at) {
        return;
    }
    unsigned first = pick((unsigned)maps[i].pages), count = 1 + pick((unsigned)maps[i].pages - first);
    int prot = pick(3) == 0 ? PROT_NONE : pick(2) ? PROT_READ : PROT_READ | PROT_WRITE;
    switch (pick(3)) {
    case 0: answer("mprotect", mprotect(maps[i].at + first * PAGE, count * PAGE, prot)); break;
    case 1: answer("munmap", munmap(maps[i].at + first * PAGE, count * PAGE)); break;
    default: answer("madvise", madvise(maps[i].at + first * PAGE, count * PAGE, MADV_DONTNEED));
    }
}

static void on_signal(int sig)
{
    caught[sig]++;
}

static const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGWINCH, 40, 41};

static void op_signal(void)
{
    int sig = signals[pick(6)];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    switch (pick(7)) {
    case 0: signal(sig, SIG_IGN); break;
    case 1: signal(sig, SIG_DFL); break;
    case 2: signal(sig, on_signal); break;
    case 3: answer("block", sigprocmask(SIG_BLOCK, &set, NULL)); break;
    case 4: answer("unblock", sigprocmask(SIG_UNBLOCK, &set, NULL)); break;
    case 5: {
        struct timespec zero = {0, 0};
        answer("sigtimedwait", sigtimedwait(&set, NULL, &zero));
        break;
    }
    default:
        say("%d raise %d\n", depth, sig);
        answer("raise", raise(sig));
    }
    sigset_t pending;
    sigpending(&pending);
    say("  caught %d pending %d\n", caught[sig], sigismember(&pending, sig));
}

static void op_random(void);

static void op_fork(void)
{
    if (depth >= 2) {
        return;
    }
    unsigned ops = 1 + pick(8), end = pick(4);
    uint64_t child_seed = state ^ 0x9e3779b97f4a7c15ull;
    pid_t pid = fork();
    if (pid == 0) {
        depth++;
        state = child_seed;
        for (unsigned i = 0; i < ops; i++) {
            op_random();
        }
        if (end == 0) {
            signal(SIGTERM, SIG_DFL);
            raise(SIGTERM);
        }
        _exit((int)ops);
    }
    int status = 0;
    answer("wait", waitpid(pid, &status, 0) == pid);
    show_status("  child", status);
}

static void op_random(void)
{
    static void (*const ops[])(void) = {op_open,  op_open,  op_close, op_read, op_read,  op_write,  op_write,   op_pread_pwrite,
                                        op_seek,  op_truncate, op_dup, op_fcntl, op_stat, op_names, op_names, op_names,
                                        op_list,  op_pipe,  op_poll,  op_map,  op_map,   op_touch,  op_touch, op_protect,
                                        op_signal, op_signal, op_fork};
    ops[pick(sizeof(ops) / sizeof(ops[0]))]();
}

static void run_seed(unsigned seed)
{
    char folder[32];
    snprintf(folder, sizeof(folder), "s%u", seed);
    mkdir(folder, 0755);
    if (chdir(folder) < 0) {
        _exit(2);
    }
    umask(022);
    state = seed * 2654435761u + 12345;
    for (int i = 0; i < FDS; i++) {
        fds[i] = -1;
    }
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 6; i++) {
        signal(signals[i], on_signal);
    }
    for (int i = 0; i < OPS; i++) {
        op_random();
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    unsigned first = argc > 1 ? (unsigned)atoi(argv[1]) : 1, last = argc > 2 ? (unsigned)atoi(argv[2]) : first;
    for (unsigned seed = first; seed <= last; seed++) {
        say("seed %u\n", seed);
        pid_t pid = fork();
        if (pid == 0) {
            run_seed(seed);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        show_status("seed", status);
    }
    return 0;
}
