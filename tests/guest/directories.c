// SPDX-License-Identifier: MIT
// mkdir, rmdir, rename and link rules, nlink counts, getdents order-free listing with "." and "..".
#include "t.h"
#include <dirent.h>

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, by_name);
    say("%s:", path);
    for (int i = 0; i < n; i++) {
        say(" %s(%d)", names[i]->d_name, names[i]->d_type);
    }
    say("\n");
}

static void nlink_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        say("%s nlink %ld\n", path, (long)st.st_nlink);
    }
}

int main(void)
{
    umask(022);
    show("mkdir", mkdir("d", 0755));
    show("mkdir again", mkdir("d", 0755));
    show("mkdir deep", mkdir("no/such", 0755));
    mkdir("d/sub", 0700);
    close(open("d/file", O_CREAT | O_RDWR, 0644));
    symlink("file", "d/link");
    mkfifo("d/fifo", 0600);
    list("d");
    show("rmdir full", rmdir("d"));
    show("rmdir file", rmdir("d/file"));
    show("unlink dir", unlink("d/sub"));
    show("rmdir dot", rmdir("d/."));
    show("rmdir dotdot", rmdir("d/sub/.."));
    show("link", link("d/file", "hard"));
    nlink_of("hard");
    show("link dir", link("d", "harddir"));
    show("link exists", link("d/file", "hard"));
    show("rename over", rename("hard", "d/file"));
    nlink_of("hard");
    show("rename", rename("d/file", "d/sub/moved"));
    show("rename dir into itself", rename("d", "d/sub/d"));
    show("rename dir over file", rename("d/sub", "d/fifo"));
    close(open("plain", O_CREAT | O_RDWR, 0644));
    show("rename file over dir", rename("plain", "d"));
    mkdir("e", 0755);
    show("rename dir over empty dir", rename("d/sub", "e"));
    list("d");
    list("e");
    show("rename dir over full dir", rename("d", "e"));
    show("rename missing", rename("nothing", "x"));
    show("rename to itself", rename("plain", "plain"));
    show("unlink missing", unlink("nothing"));
    show("unlink trailing slash", unlink("plain/"));
    int fd = open("plain", O_RDWR);
    write(fd, "kept", 4);
    unlink("plain");
    char text[5] = "";
    pread(fd, text, 4, 0);
    struct stat st;
    fstat(fd, &st);
    say("unlinked but open: %s nlink %ld\n", text, (long)st.st_nlink);
    chdir("e");
    rename("../e", "../renamed");
    char cwd[256];
    getcwd(cwd, sizeof(cwd));
    say("cwd ends in %s\n", strrchr(cwd, '/'));
    chdir("..");
    rmdir("renamed");
    unlink("renamed/moved");
    mkdir("gone", 0755);
    chdir("gone");
    rmdir("../gone");
    show("getcwd of a removed dir", getcwd(cwd, sizeof(cwd)) ? 0 : -1);
    show("create in a removed dir", open("x", O_CREAT | O_RDWR, 0600));
    return 0;
}
