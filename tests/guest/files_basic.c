// SPDX-License-Identifier: MIT
// open flags, read and write, sparse files, truncation, seeks past the end, and their errors.
#include "t.h"

int main(void)
{
    umask(022);
    show("no such", open("none", O_RDONLY));
    int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0666);
    say("created %d\n", fd >= 0);
    show("O_EXCL again", open("f", O_CREAT | O_EXCL, 0666));
    struct stat st;
    fstat(fd, &st);
    say("mode %o nlink %ld size %ld\n", st.st_mode & 07777, (long)st.st_nlink, (long)st.st_size);
    show("write", write(fd, "hello world", 11));
    show("seek", lseek(fd, 100000, SEEK_SET));
    show("write far", write(fd, "!", 1));
    fstat(fd, &st);
    say("size %ld sparse %d\n", (long)st.st_size, st.st_blocks * 512 < st.st_size);
    char buffer[32] = "";
    show("pread hole", pread(fd, buffer, 16, 50000));
    say("hole byte %d\n", buffer[0]);
    show("pread at the end", pread(fd, buffer, 16, 100001));
    show("pread across the end", pread(fd, buffer, 16, 99999));
    show("negative offset", pread(fd, buffer, 1, -1));
    show("seek negative", lseek(fd, -5, SEEK_SET));
    show("seek end", lseek(fd, -1, SEEK_END));
    show("seek cur", lseek(fd, -100000, SEEK_CUR));
    show("bad whence", lseek(fd, 0, 99));
    show("ftruncate", ftruncate(fd, 5));
    show("read", read(fd, buffer, 32));
    say("%.5s\n", buffer);
    show("ftruncate up", ftruncate(fd, 4100));
    show("pread tail", pread(fd, buffer, 4, 4096));
    say("zero %d\n", buffer[0] | buffer[3]);
    show("truncate negative", ftruncate(fd, -1));
    int ro = open("f", O_RDONLY);
    show("write read-only", write(ro, "x", 1));
    show("ftruncate read-only", ftruncate(ro, 0));
    int wo = open("f", O_WRONLY);
    show("read write-only", read(wo, buffer, 1));
    show("open dir for writing", open(".", O_WRONLY));
    int dir = open(".", O_RDONLY | O_DIRECTORY);
    show("read dir", read(dir, buffer, 1));
    show("O_DIRECTORY on a file", open("f", O_RDONLY | O_DIRECTORY));
    show("file as dir", open("f/x", O_RDONLY));
    show("trailing slash", open("f/", O_RDONLY));
    show("create with slash", open("new/", O_RDWR | O_CREAT, 0644));
    show("empty path", open("", O_RDONLY));
    show("bad pointer", open((char *)16, O_RDONLY));
    show("read bad pointer", read(ro, (void *)16, 4));
    show("write zero bytes", write(fd, NULL, 0));
    int trunc = open("f", O_RDWR | O_TRUNC);
    fstat(trunc, &st);
    say("O_TRUNC size %ld\n", (long)st.st_size);
    char longname[300];
    memset(longname, 'n', 299);
    longname[299] = 0;
    show("long name", open(longname, O_CREAT | O_RDWR, 0644));
    longname[255] = 0;
    int named = open(longname, O_CREAT | O_RDWR, 0644);
    say("255 characters %d\n", named >= 0);
    return 0;
}
