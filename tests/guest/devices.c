// SPDX-License-Identifier: MIT
// The memory devices: null, zero, full, random; seek, poll, mapping /dev/zero; getrandom.
#include "t.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

static void identity(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        say("%s char %d %u:%u\n", path, S_ISCHR(st.st_mode), major(st.st_rdev), minor(st.st_rdev));
    } else {
        say("%s %s\n", path, errno_name(errno));
    }
}

int main(void)
{
    identity("/dev/null");
    identity("/dev/zero");
    identity("/dev/full");
    identity("/dev/random");
    identity("/dev/urandom");
    identity("/dev/tty");
    char buffer[64];
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
    show("read null", read(null, buffer, 10));
    show("write null", write(null, buffer, 10));
    memset(buffer, 1, sizeof(buffer));
    show("read zero", read(zero, buffer, 10));
    say("%d %d\n", buffer[9], buffer[10]);
    show("write zero", write(zero, buffer, 10));
    show("write full", write(full, buffer, 10));
    show("read full", read(full, buffer, 10));
    show("seek null", lseek(null, 100, SEEK_SET));
    show("truncate null", ftruncate(null, 0));
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    say("mapped zero %d %d\n", map != MAP_FAILED, map != MAP_FAILED ? map[5000] : -1);
    unsigned char a[32] = {0}, b[32] = {0};
    show("getrandom", getrandom(a, sizeof(a), GRND_NONBLOCK));
    show("getrandom again", getrandom(b, sizeof(b), 0));
    say("differ %d\n", memcmp(a, b, sizeof(a)) != 0);
    show("getrandom bad flags", getrandom(a, 1, 0x100));
    int random = open("/dev/urandom", O_RDONLY);
    show("read urandom", read(random, a, 32));
    say("differ %d\n", memcmp(a, b, sizeof(a)) != 0);
    show("O_TRUNC on a device", open("/dev/null", O_WRONLY | O_TRUNC) >= 0);
    show("ioctl on null", ioctl(null, 0x5401, buffer));
    return 0;
}
