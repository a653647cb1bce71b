// SPDX-License-Identifier: MIT
// mremap: shrink, grow in place or by moving, fixed, errors; contents follow.
#include "t.h"
#include <sys/mman.h>

int main(void)
{
    char *area = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *p = mmap(area, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    for (int i = 0; i < 4; i++) {
        memset(p + i * 4096, '0' + i, 4096);
    }
    say("shrink in place %d\n", mremap(p, 4 * 4096, 3 * 4096, 0) == p);
    show("grow into something, not allowed to move", (long)mremap(p, 3 * 4096, 8 * 4096, 0));
    munmap(area + 3 * 4096, 61 * 4096);
    say("grow in place %d\n", mremap(p, 3 * 4096, 6 * 4096, 0) == p);
    say("%c %c %c %d\n", p[0], p[4096], p[2 * 4096], p[3 * 4096]);
    char *wall = mmap(p + 6 * 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    char *q = mremap(p, 6 * 4096, 12 * 4096, MREMAP_MAYMOVE);
    say("moved %d: %c %c %d\n", q != p && wall != MAP_FAILED, q[0], q[4096], q[11 * 4096]);
    q[11 * 4096] = 'w';
    char *target = mmap(NULL, 20 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *r = mremap(q, 12 * 4096, 12 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    say("fixed %d: %c %c\n", r == target, r[0], r[11 * 4096]);
    show("old one is gone", (long)mremap(q, 4096, 8192, MREMAP_MAYMOVE));
    show("unaligned", (long)mremap(r + 1, 4096, 8192, MREMAP_MAYMOVE));
    show("new size 0", (long)mremap(r, 4096, 0, MREMAP_MAYMOVE));
    show("bad flags", (long)mremap(r, 4096, 4096, 64));
    show("fixed without maymove", (long)mremap(r, 4096, 4096, MREMAP_FIXED, q));
    show("overlap", (long)mremap(r, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, r + 4096));
    return 0;
}
