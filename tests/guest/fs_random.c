// SPDX-License-Identifier: MIT
// Seeded random sequences of file operations in a small tree: results, contents and attributes as
// one checksum per seed. With an argument, that seed alone and every step of it.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMES 12
#define FDS 6
#define STEPS 220

static unsigned long long state, sum;
static int verbose;
static int fds[FDS];

static unsigned rnd(unsigned n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % n;
}

static void add(const char *what, long long v)
{
    if (v < 0 && v >= -4095) {
        v = -errno;
    }
    sum = (sum ^ (unsigned long long)v) * 1099511628211ULL;
    if (verbose) {
        printf("  %s %lld\n", what, v);
    }
}

static const char *name(char *buf)
{
    static const char *const dirs[] = {"", "d0/", "d1/", "d0/e/", "d1/../", "l0/"};
    snprintf(buf, 64, "%sn%u%s", dirs[rnd(6)], rnd(NAMES), rnd(40) ? "" : "/");
    if (rnd(12) == 0) {
        snprintf(buf, 64, "%s", rnd(2) ? "d0" : rnd(2) ? "d1" : "d0/e");
    }
    return buf;
}

static void content(int fd)
{
    static unsigned char b[70000];
    ssize_t n = pread(fd, b, sizeof(b), 0);
    for (ssize_t i = 0; i < n; i++) {
        sum = (sum ^ b[i]) * 1099511628211ULL;
    }
    add("content", n);
}

static void show(const char *path)
{
    struct stat s;
    int r = lstat(path, &s);
    add("lstat", r);
    if (r == 0) {
        add("mode", s.st_mode);
        add("nlink", s.st_nlink);
        add("size", S_ISDIR(s.st_mode) ? 0 : s.st_size);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
    DIR *d = opendir(path);
    add("opendir", d ? 0 : -1);
    if (!d) {
        return;
    }
    char *names[200];
    int n = 0;
    struct dirent *e;
    while ((e = readdir(d)) && n < 200) {
        names[n++] = strdup(e->d_name);
    }
    closedir(d);
    qsort(names, (size_t)n, sizeof(*names), by_name);
    for (int i = 0; i < n; i++) {
        for (const char *c = names[i]; *c; c++) {
            sum = (sum ^ (unsigned char)*c) * 1099511628211ULL;
        }
        free(names[i]);
    }
    add("entries", n);
}

static void do_open(void)
{
    static const int flags[] = {O_RDONLY,
                                O_RDWR,
                                O_WRONLY,
                                O_RDWR | O_CREAT,
                                O_RDWR | O_CREAT | O_EXCL,
                                O_RDWR | O_TRUNC,
                                O_RDWR | O_APPEND | O_CREAT,
                                O_RDONLY | O_DIRECTORY,
                                O_RDWR | O_NOFOLLOW | O_CREAT,
                                O_RDWR | O_CREAT | O_TRUNC};
    char p[64];
    int slot = (int)rnd(FDS), f = (int)rnd(10);
    if (fds[slot] >= 0) {
        add("close", close(fds[slot]));
    }
    fds[slot] = open(name(p), flags[f], 0600 + rnd(0200));
    add("open", fds[slot] < 0 ? -1 : 0);
}

static void do_io(int fd)
{
    static char b[9000];
    memset(b, 'a' + (int)rnd(26), sizeof(b));
    size_t n = rnd(4) ? rnd(300) : rnd(sizeof(b));
    off_t at = rnd(3) ? rnd(5000) : rnd(60000);
    switch (rnd(11)) {
    case 0:
        add("read", read(fd, b, n));
        break;
    case 1:
        add("write", write(fd, b, n));
        break;
    case 2:
        add("pread", pread(fd, b, n, at));
        break;
    case 3:
        add("pwrite", pwrite(fd, b, n, at));
        break;
    case 4: { // where a directory ends is its file system's affair
        struct stat s;
        int whence = (int)rnd(3);
        if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode)) {
            add("lseek", lseek(fd, (off_t)at - 1000, whence));
        }
        break;
    }
    case 5:
        add("ftruncate", ftruncate(fd, at));
        break;
    case 6:
        content(fd);
        break;
    case 7:
        add("fsync", fsync(fd));
        break;
    case 8:
        add("fchmod", fchmod(fd, rnd(010000)));
        break;
    case 9:
        add("flags", fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND));
        break;
    case 10: {
        struct stat s;
        if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0) {
            char *m = mmap(NULL, (size_t)s.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            add("mmap", m == MAP_FAILED ? -1 : 0);
            if (m != MAP_FAILED) {
                m[rnd((unsigned)s.st_size)] = 'M';
                munmap(m, (size_t)s.st_size);
            }
        }
        break;
    }
    }
}

static void do_path(void)
{
    char p[64], q[64];
    switch (rnd(14)) {
    case 0:
        add("mkdir", mkdir(name(p), 0777));
        break;
    case 1:
        add("rmdir", rmdir(name(p)));
        break;
    case 2:
    case 3:
        add("unlink", unlink(name(p)));
        break;
    case 4:
        add("link", link(name(p), name(q)));
        break;
    case 5:
        add("symlink", symlink(name(p), name(q)));
        break;
    case 6:
    case 7:
        add("rename", rename(name(p), name(q)));
        break;
    case 8:
        add("renameat2", syscall(SYS_renameat2, AT_FDCWD, name(p), AT_FDCWD, name(q), 1 + rnd(2)));
        break;
    case 9:
        show(name(p));
        break;
    case 10:
        list(rnd(2) ? "." : rnd(2) ? "d0" : "d1");
        break;
    case 11:
        add("truncate", truncate(name(p), rnd(20000)));
        break;
    case 12:
        add("chmod", chmod(name(p), rnd(010000)));
        break;
    case 13: {
        ssize_t n = readlink(name(p), q, sizeof(q));
        add("readlink", n);
        break;
    }
    }
}

static void run(unsigned seed)
{
    char dir[32];
    state = seed;
    sum = 14695981039346656037ULL;
    snprintf(dir, sizeof(dir), "s%u", seed);
    if (mkdir(dir, 0755) || chdir(dir)) {
        printf("no directory\n");
        exit(1);
    }
    mkdir("d0", 0755);
    mkdir("d1", 0755);
    mkdir("d0/e", 0755);
    symlink("d1", "l0");
    for (int i = 0; i < FDS; i++) {
        fds[i] = -1;
    }
    for (int i = 0; i < STEPS; i++) {
        int fd = fds[rnd(FDS)];
        unsigned kind = rnd(10);
        if (verbose) {
            printf("step %d\n", i);
        }
        if (kind < 3) {
            do_open();
        } else if (kind < 7 && fd >= 0) {
            do_io(fd);
        } else {
            do_path();
        }
    }
    for (int i = 0; i < FDS; i++) {
        if (fds[i] >= 0) {
            content(fds[i]);
            close(fds[i]);
        }
    }
    list(".");
    list("d0");
    list("d1");
    chdir("..");
    printf("seed %u: %016llx\n", seed, sum);
}

int main(int argc, char **argv)
{
    umask(022);
    verbose = argc > 1;
    for (unsigned seed = verbose ? (unsigned)atoi(argv[1]) : 1;
         seed <= (verbose ? (unsigned)atoi(argv[1]) : 120); seed++) {
        run(seed);
    }
    return 0;
}
