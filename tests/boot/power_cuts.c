// SPDX-License-Identifier: MIT
// Guest side of test_power_cuts.py: changes files in /mnt and syncs, and says on stdout what each
// step touches before it begins and, when its sync has returned, how many writes the disk had
// completed by then.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define FILES 16
static unsigned long long state = 42;

static unsigned rnd(unsigned n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % n;
}

static long completed(void)
{
    FILE *f = fopen("/proc/diskstats", "r");
    char line[256], name[16];
    long writes = -1, v;
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%*d %*d %15s %*d %*d %*d %*d %ld", name, &v) == 2 &&
            !strcmp(name, "sdb")) {
            writes = v;
        }
    }
    fclose(f);
    return writes;
}

// Every 8 bytes of a file say which one it is and when it was written.
static void fill(int fd, unsigned step, unsigned n, unsigned from, unsigned size)
{
    static char block[65536];
    for (unsigned at = from; at < size;) {
        unsigned k = 0;
        for (; k + 8 <= sizeof(block) && at + k < size; k += 8) {
            char text[9];
            snprintf(text, sizeof(text), "%05u%02u\n", step, n);
            memcpy(block + k, text, 8);
        }
        unsigned want = size - at < k ? size - at : k;
        if (write(fd, block, want) != (ssize_t)want) {
            printf("write failed\n");
        }
        at += want;
    }
}

static void names(unsigned n, char *buf)
{
    snprintf(buf, 64, "/mnt/d%u/f%u", n % 3, n);
}

static void change(unsigned step, unsigned n, unsigned m, unsigned what, unsigned size)
{
    char a[64], b[64];
    int fd;
    names(n, a);
    names(m, b);
    switch (what) {
    case 0:
    case 1:
    case 2: // new contents
        fd = open(a, O_RDWR | O_CREAT | O_TRUNC, 0644);
        fill(fd, step, n, 0, size);
        close(fd);
        break;
    case 3: // longer
        fd = open(a, O_RDWR | O_CREAT | O_APPEND, 0644);
        fill(fd, step, n, 0, size / 4);
        close(fd);
        break;
    case 4:
        unlink(a);
        break;
    case 5:
        rename(a, b);
        break;
    case 6:
        truncate(a, size / 3 & ~7u);
        break;
    case 7: // the way editors save
        fd = open("/mnt/new", O_RDWR | O_CREAT | O_TRUNC, 0644);
        fill(fd, step, n, 0, size);
        fsync(fd);
        close(fd);
        rename("/mnt/new", a);
        break;
    }
}

static void tell(unsigned n)
{
    char path[64];
    struct stat s;
    names(n, path);
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        printf("file %u absent\n", n);
        return;
    }
    fstat(fd, &s);
    unsigned long long sum = 14695981039346656037ULL;
    static unsigned char b[65536];
    for (ssize_t k, got; (got = read(fd, b, sizeof(b))) > 0;) {
        for (k = 0; k < got; k++) {
            sum = (sum ^ b[k]) * 1099511628211ULL;
        }
    }
    close(fd);
    printf("file %u %ld %016llx\n", n, (long)s.st_size, sum);
}

int main(void)
{
    mount("proc", "/proc", "proc", 0, NULL);
    if (mount("/dev/sdb", "/mnt", "ext2", 0, NULL)) {
        printf("no mount\n");
    }
    mkdir("/mnt/d0", 0755);
    mkdir("/mnt/d1", 0755);
    mkdir("/mnt/d2", 0755);
    sync();
    printf("ack 0 %ld\n", completed());
    for (unsigned step = 1; step <= 70; step++) {
        unsigned touched[6], count = 0, changes = 1 + rnd(3);
        struct {
            unsigned n, m, what, size;
        } c[3];
        for (unsigned k = 0; k < changes; k++) {
            c[k].n = rnd(FILES);
            c[k].m = rnd(FILES);
            c[k].what = rnd(8);
            c[k].size = (rnd(3) ? rnd(9000) : rnd(300000)) & ~7u;
            touched[count++] = c[k].n;
            if (c[k].what == 5) {
                touched[count++] = c[k].m;
            }
        }
        printf("step %u", step);
        for (unsigned k = 0; k < count; k++) {
            printf(" %u", touched[k]);
        }
        printf("\n");
        for (unsigned k = 0; k < changes; k++) {
            change(step, c[k].n, c[k].m, c[k].what, c[k].size);
        }
        sync();
        printf("ack %u %ld\n", step, completed());
        for (unsigned k = 0; k < count; k++) {
            tell(touched[k]);
        }
    }
    printf("end\n");
    fflush(stdout);
    tcdrain(1); // reboot(2) does not wait for a terminal: its interrupts may be another CPU's
    reboot(RB_POWER_OFF);
    return 0;
}
