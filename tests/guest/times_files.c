// SPDX-License-Identifier: MIT
// File times: utimensat with NOW and OMIT, what changes mtime and ctime, statx fields.
#define _GNU_SOURCE
#include "t.h"
#include <sys/time.h>

static struct stat previous;

static void changed(const char *what, const char *path)
{
    struct stat st;
    stat(path, &st);
    say("%s: mtime %d ctime %d\n", what,
        st.st_mtim.tv_sec != previous.st_mtim.tv_sec || st.st_mtim.tv_nsec != previous.st_mtim.tv_nsec,
        st.st_ctim.tv_sec != previous.st_ctim.tv_sec || st.st_ctim.tv_nsec != previous.st_ctim.tv_nsec);
    previous = st;
    sleep_ms(1100);
}

int main(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    stat("f", &previous);
    sleep_ms(1100);
    write(fd, "x", 1);
    changed("write", "f");
    chmod("f", 0600);
    changed("chmod", "f");
    rename("f", "g");
    changed("rename", "g");
    link("g", "h");
    changed("link", "g");
    ftruncate(fd, 0);
    changed("truncate", "g");
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    show("utimensat", utimensat(AT_FDCWD, "g", times, 0));
    struct stat st;
    stat("g", &st);
    say("atime %ld mtime %ld\n", (long)st.st_atim.tv_sec, (long)st.st_mtim.tv_sec);
    times[0].tv_nsec = UTIME_OMIT;
    times[1] = (struct timespec){3000, 0};
    show("omit", utimensat(AT_FDCWD, "g", times, 0));
    stat("g", &st);
    say("atime %ld mtime %ld\n", (long)st.st_atim.tv_sec, (long)st.st_mtim.tv_sec);
    show("now", futimens(fd, NULL));
    stat("g", &st);
    say("recent %d\n", st.st_mtim.tv_sec > 1600000000);
    times[1].tv_nsec = 1999999999;
    show("bad nanoseconds", utimensat(AT_FDCWD, "g", times, 0));
    show("missing", utimensat(AT_FDCWD, "no", NULL, 0));
    symlink("g", "l");
    struct timespec link_times[2] = {{50, 0}, {60, 0}};
    show("of the link", utimensat(AT_FDCWD, "l", link_times, AT_SYMLINK_NOFOLLOW));
    lstat("l", &st);
    say("link mtime %ld\n", (long)st.st_mtim.tv_sec);
    return 0;
}
