// SPDX-License-Identifier: MIT
// Names, descriptors and file contents changed side by side.
#include "parallel.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/mman.h>

#define WORKERS 4

// A file of each worker wanders between two directories; nobody's gets lost, and only one name is there at a time.
static void wander(int me)
{
    char a[40], b[40];
    snprintf(a, sizeof(a), "d1/f%d", me);
    snprintf(b, sizeof(b), "d2/f%d", me);
    int fd = open(a, O_CREAT | O_RDWR, 0644);
    CHECK(fd >= 0);
    for (int i = 0; i < rounds(60); i++) {
        struct stat st;
        CHECK(rename(i % 2 ? b : a, i % 2 ? a : b) == 0);
        CHECK(stat(i % 2 ? a : b, &st) == 0 && st.st_nlink == 1);
        CHECK(stat(i % 2 ? b : a, &st) == -1 && errno == ENOENT);
    }
    close(fd);
}

static int entries(const char *name)
{
    int n = 0;
    DIR *d = opendir(name);
    CHECK(d != NULL);
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

// Everybody makes and removes the same few names: each call succeeds or has the one right reason not to.
static void fight(int me)
{
    unsigned seed = (unsigned)me * 31 + 5;
    for (int i = 0; i < rounds(150); i++) {
        char name[40], other[40];
        snprintf(name, sizeof(name), "fight/%u", next_random(&seed) % 4);
        snprintf(other, sizeof(other), "fight/%u", next_random(&seed) % 4);
        int fd;
        switch (next_random(&seed) % 6) {
        case 0:
            fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
            CHECK(fd >= 0 || errno == EEXIST);
            close(fd);
            break;
        case 1:
            CHECK(unlink(name) == 0 || errno == ENOENT || errno == EISDIR);
            break;
        case 2:
            CHECK(rename(name, other) == 0 || errno == ENOENT || errno == EISDIR || errno == ENOTDIR ||
                  errno == ENOTEMPTY);
            break;
        case 3:
            CHECK(link(name, other) == 0 || errno == ENOENT || errno == EEXIST || errno == EPERM);
            break;
        case 4:
            CHECK(mkdir(name, 0755) == 0 || errno == EEXIST);
            break;
        default:
            CHECK(rmdir(name) == 0 || errno == ENOENT || errno == ENOTDIR);
        }
    }
}

// Directories that move into each other: no cycle, no deadlock.
static void move_directories(int me)
{
    unsigned seed = (unsigned)me * 17 + 3;
    for (int i = 0; i < rounds(100); i++) {
        unsigned from = next_random(&seed) % 4, to = next_random(&seed) % 4;
        char a[40], b[60];
        snprintf(a, sizeof(a), "tree/%u", from);
        snprintf(b, sizeof(b), "tree/%u/%u", to, from);
        if (rename(a, b) == 0) {
            CHECK(rename(b, a) == 0 || errno == ENOENT);
        } else {
            CHECK(errno == ENOENT || errno == EINVAL || errno == ENOTEMPTY);
        }
    }
}

static int count_tree(const char *name)
{
    int n = 1;
    for (unsigned i = 0; i < 4; i++) {
        char child[512];
        struct stat st;
        snprintf(child, sizeof(child), "%s/%u", name, i);
        if (stat(child, &st) == 0) {
            n += count_tree(child);
        }
    }
    return n;
}

// Appended records stay whole.
static void append(int me)
{
    int fd = open("log", O_WRONLY | O_APPEND | O_CREAT, 0644);
    char record[100];
    memset(record, 'a' + me, sizeof(record));
    for (int i = 0; i < rounds(100); i++) {
        CHECK(write(fd, record, sizeof(record)) == sizeof(record));
    }
    close(fd);
}

static void check_log(void)
{
    char record[100];
    int fd = open("log", O_RDONLY), seen[WORKERS] = {0};
    while (read(fd, record, sizeof(record)) == sizeof(record)) {
        for (size_t i = 1; i < sizeof(record); i++) {
            CHECK(record[i] == record[0]);
        }
        CHECK(record[0] >= 'a' && record[0] < 'a' + WORKERS);
        seen[(record[0] - 'a') & 3]++;
    }
    for (int i = 0; i < WORKERS; i++) {
        CHECK(seen[i] == rounds(100));
    }
    close(fd);
}

// A counter in a file, by record locks of processes.
static void locked_count(int me)
{
    (void)me;
    int fd = open("counter", O_RDWR | O_CREAT, 0644);
    for (int i = 0; i < rounds(60); i++) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 8};
        long n = 0;
        CHECK(fcntl(fd, F_SETLKW, &l) == 0);
        CHECK(pread(fd, &n, sizeof(n), 0) >= 0);
        n++;
        CHECK(pwrite(fd, &n, sizeof(n), 0) == sizeof(n));
        l.l_type = F_UNLCK;
        CHECK(fcntl(fd, F_SETLK, &l) == 0);
    }
    close(fd);
}

// One table of descriptors, many hands: an open descriptor is the file that its opener meant, until it closes it.
static void *descriptors(void *arg)
{
    int me = (int)(intptr_t)arg;
    char name[40];
    struct stat mine, st;
    snprintf(name, sizeof(name), "own%d", me);
    int keep = open(name, O_CREAT | O_RDWR, 0644);
    CHECK(fstat(keep, &mine) == 0);
    for (int i = 0; i < rounds(150); i++) {
        int fd = open(name, O_RDONLY), copy = dup(fd);
        CHECK(fd >= 0 && copy >= 0 && fd != copy);
        CHECK(fstat(copy, &st) == 0 && st.st_ino == mine.st_ino);
        CHECK(dup2(keep, 100 + me * 40 + i % 40) >= 0);
        close(fd);
        CHECK(fstat(copy, &st) == 0 && st.st_ino == mine.st_ino);
        close(copy);
        if (i % 30 == 0) {
            pid_t pid = fork();
            if (pid == 0) {
                _exit(fstat(keep, &st) == 0 && st.st_ino == mine.st_ino ? 0 : 1);
            }
            int status;
            CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        }
    }
    return NULL;
}

// A shared mapping, written through memory and through write(2), truncated and extended meanwhile.
static void shared_file(int me)
{
    int fd = open("shared", O_RDWR | O_CREAT, 0644);
    CHECK(ftruncate(fd, 16 * 4096) == 0);
    volatile unsigned char *p = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (int i = 0; i < rounds(80); i++) {
        unsigned char c = 0, mark = (unsigned char)(i + 1);
        off_t at = (off_t)(i % 12) * 4096 + me;
        if (i % 2) {
            p[at] = mark;
            CHECK(pread(fd, &c, 1, at) == 1 && c == mark);
        } else {
            CHECK(pwrite(fd, &mark, 1, at) == 1);
            CHECK(p[at] == mark);
        }
        if (me == 0 && i % 8 == 0) { // beyond what the others look at
            CHECK(ftruncate(fd, 13 * 4096) == 0);
            CHECK(ftruncate(fd, 16 * 4096) == 0);
            CHECK(p[14 * 4096] == 0);
            p[14 * 4096] = 1;
        }
        if (i % 20 == 0) {
            CHECK(fsync(fd) == 0);
        }
    }
    munmap((void *)p, 16 * 4096);
    close(fd);
}

int main(void)
{
    CHECK(mkdir("d1", 0755) == 0 && mkdir("d2", 0755) == 0 && mkdir("fight", 0755) == 0 && mkdir("tree", 0755) == 0);
    in_processes(WORKERS, wander);
    CHECK(entries("d1") + entries("d2") == WORKERS + 4);
    done("renames");
    in_processes(WORKERS, fight);
    done("the same names");
    for (unsigned i = 0; i < 4; i++) {
        char name[40];
        snprintf(name, sizeof(name), "tree/%u", i);
        CHECK(mkdir(name, 0755) == 0);
    }
    in_processes(WORKERS, move_directories);
    CHECK(count_tree("tree") == 5);
    done("moving directories");
    in_processes(WORKERS, append);
    check_log();
    done("appending");
    in_processes(WORKERS, locked_count);
    long n = 0;
    int fd = open("counter", O_RDONLY);
    CHECK(read(fd, &n, sizeof(n)) == sizeof(n) && n == (long)WORKERS * rounds(60));
    close(fd);
    done("record locks");
    in_threads(WORKERS, descriptors);
    done("descriptors");
    in_processes(WORKERS, shared_file);
    done("a shared file");
    return 0;
}
