// SPDX-License-Identifier: MIT
// sendfile, readv and writev, pread/pwrite vectors, fallocate, and their limits.
#include "t.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

int main(void)
{
    int from = open("from", O_RDWR | O_CREAT, 0644), to = open("to", O_RDWR | O_CREAT, 0644);
    static char block[10000], back[10000];
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (char)(i * 31);
    }
    write(from, block, sizeof(block));
    off_t offset = 100;
    show("sendfile", sendfile(to, from, &offset, 5000));
    say("offset %ld position %ld\n", (long)offset, (long)lseek(from, 0, SEEK_CUR));
    lseek(from, 9000, SEEK_SET);
    show("sendfile from position", sendfile(to, from, NULL, 5000));
    show("at the end", sendfile(to, from, NULL, 5000));
    show("pread", pread(to, back, 6000, 0));
    say("right %d %d\n", memcmp(back, block + 100, 5000) == 0, memcmp(back + 5000, block + 9000, 1000) == 0);
    int p[2];
    pipe(p);
    offset = 0;
    show("to a pipe", sendfile(p[1], from, &offset, 3000));
    show("from a pipe", sendfile(to, p[0], NULL, 10));
    show("read the pipe", read(p[0], back, sizeof(back)));
    struct iovec v[3] = {{"one ", 4}, {"", 0}, {"two\n", 4}};
    show("writev", writev(to, v, 3));
    char x[3], y[10];
    struct iovec r[2] = {{x, 3}, {y, 10}};
    lseek(to, 6000, SEEK_SET);
    show("readv", readv(to, r, 2));
    say("%.3s|%.5s", x, y);
    show("iov count 0", writev(to, v, 0));
    show("iov count negative", writev(to, v, -1));
    static struct iovec many[2000];
    show("iov count huge", writev(to, many, 2000));
    v[1].iov_len = (size_t)-1;
    show("iov length negative", writev(to, v, 3));
    struct iovec bad[2] = {{"ok", 2}, {(void *)16, 5}};
    show("second bad", writev(to, bad, 2));
    show("fallocate", fallocate(to, 0, 0, 20000));
    struct stat st;
    fstat(to, &st);
    say("size %ld\n", (long)st.st_size);
    show("fallocate keep size", fallocate(to, FALLOC_FL_KEEP_SIZE, 0, 50000));
    fstat(to, &st);
    say("size %ld\n", (long)st.st_size);
    show("fallocate zero", fallocate(to, 0, 0, 0));
    show("fallocate pipe", fallocate(p[0], 0, 0, 100));
    return 0;
}
