// SPDX-License-Identifier: MIT
// Symbolic links: following, O_NOFOLLOW, loops, dangling, trailing slashes, readlink truncation, lstat sizes.
#include "t.h"

int main(void)
{
    char buffer[64] = "";
    mkdir("d", 0755);
    close(open("d/file", O_CREAT | O_RDWR, 0644));
    show("symlink", symlink("d/file", "l"));
    show("symlink exists", symlink("x", "l"));
    show("empty target", symlink("", "empty"));
    show("readlink", readlink("l", buffer, sizeof(buffer)));
    say("%s\n", buffer);
    show("readlink short", readlink("l", buffer, 3));
    show("readlink file", readlink("d/file", buffer, 64));
    show("readlink zero", readlink("l", buffer, 0));
    struct stat st;
    lstat("l", &st);
    say("link %d size %ld mode %o\n", S_ISLNK(st.st_mode), (long)st.st_size, st.st_mode & 0777);
    stat("l", &st);
    say("regular %d\n", S_ISREG(st.st_mode));
    show("O_NOFOLLOW", open("l", O_RDONLY | O_NOFOLLOW));
    int path = open("l", O_PATH | O_NOFOLLOW);
    fstat(path, &st);
    say("O_PATH sees the link %d\n", S_ISLNK(st.st_mode));
    show("read O_PATH", read(path, buffer, 1));
    symlink("dangling-target", "dangling");
    show("open dangling", open("dangling", O_RDONLY));
    int made = open("dangling", O_RDWR | O_CREAT, 0644);
    say("creating through it %d %d\n", made >= 0, access("dangling-target", F_OK));
    show("O_EXCL through a link", open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644));
    symlink("loop2", "loop1");
    symlink("loop1", "loop2");
    show("loop", open("loop1", O_RDONLY));
    show("stat loop", stat("loop1", &st));
    symlink("d", "dirlink");
    show("through a dir link", access("dirlink/file", F_OK));
    show("dir link with slash", lstat("dirlink/", &st));
    say("is the directory %d\n", S_ISDIR(st.st_mode));
    show("rmdir link", rmdir("dirlink"));
    show("rmdir link with slash", rmdir("dirlink/"));
    show("unlink link with slash", unlink("dirlink/"));
    show("mkdir over dangling", mkdir("loop1", 0755));
    char name[40] = "chain0", next[40];
    close(open("chain0", O_CREAT | O_RDWR, 0644));
    for (int i = 1; i <= 41; i++) {
        snprintf(next, sizeof(next), "chain%d", i);
        symlink(name, next);
        strcpy(name, next);
    }
    int forty = open("chain40", O_RDONLY);
    say("40 links %d\n", forty >= 0);
    show("41 links", open("chain41", O_RDONLY));
    char longtarget[200];
    memset(longtarget, 't', 199);
    longtarget[199] = 0;
    symlink(longtarget, "long");
    lstat("long", &st);
    say("long link %ld\n", (long)st.st_size);
    show("rename link", rename("l", "l2"));
    show("link does not follow", link("l2", "l3"));
    lstat("l3", &st);
    say("hard link to a symlink %d\n", S_ISLNK(st.st_mode));
    return 0;
}
