// SPDX-License-Identifier: MIT
// rename and renameat2, link, unlink and rmdir on every pair of kinds, with trailing slashes, dots and flags.
#include "t.h"
#include <sys/syscall.h>

static const char *const kinds[] = {"file", "dir", "full", "link", "none"};

static void make(const char *kind, const char *name)
{
    char inside[32];
    if (!strcmp(kind, "file")) {
        close(open(name, O_CREAT | O_WRONLY, 0600));
    } else if (!strcmp(kind, "dir") || !strcmp(kind, "full")) {
        mkdir(name, 0700);
    } else if (!strcmp(kind, "link")) {
        symlink("nowhere", name);
    }
    if (!strcmp(kind, "full")) {
        snprintf(inside, sizeof(inside), "%s/x", name);
        mkdir(inside, 0700);
    }
}

static void drop(const char *name)
{
    char inside[32];
    snprintf(inside, sizeof(inside), "%s/x", name);
    rmdir(inside);
    if (unlink(name) < 0) {
        rmdir(name);
    }
}

static char kind_of(const char *name)
{
    struct stat s;
    if (lstat(name, &s) < 0) {
        return '-';
    }
    return S_ISDIR(s.st_mode) ? 'd' : S_ISLNK(s.st_mode) ? 'l' : 'f';
}

static void pair(const char *a, const char *b, const char *from, const char *to, int flags)
{
    make(a, "a");
    make(b, "b");
    long r = flags < 0 ? rename(from, to) : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    say("%s->%s %s %s %d: %s %c%c\n", a, b, from, to, flags, r ? errno_name(errno) : "ok", kind_of("a"), kind_of("b"));
    drop("a");
    drop("b");
}

int main(void)
{
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 5; k++) {
            pair(kinds[i], kinds[k], "a", "b", -1);
            pair(kinds[i], kinds[k], "a", "b", 1);
            pair(kinds[i], kinds[k], "a", "b", 2);
        }
        pair(kinds[i], "none", "a/", "b", -1);
        pair(kinds[i], "none", "a", "b/", -1);
        pair(kinds[i], "none", "a/", "b/", -1);
        pair(kinds[i], "none", "a", "a", -1);
        pair(kinds[i], "none", "a", "a/y", -1);
        pair(kinds[i], "none", "a/.", "b", -1);
        pair(kinds[i], "none", "a/..", "b", -1);
        pair(kinds[i], "dir", "a", "b/.", -1);
        pair(kinds[i], "full", "a", "b/x", -1);
        pair("full", kinds[i], "a/x", "b", -1);
        pair("full", kinds[i], "a/x", "a", -1);
        pair("full", kinds[i], "b", "a/x/..", -1);
        make(kinds[i], "a");
        say("%s: unlink %s ", kinds[i], unlink("a/") ? errno_name(errno) : "ok");
        say("unlink %s ", unlink("a") ? errno_name(errno) : "ok");
        say("rmdir dot %s ", rmdir("a/.") ? errno_name(errno) : "ok");
        say("rmdir dots %s ", rmdir("a/..") ? errno_name(errno) : "ok");
        say("rmdir %s ", rmdir("a/") ? errno_name(errno) : "ok");
        say("link %s ", link("a", "b") ? errno_name(errno) : "ok");
        say("mkdir %s ", mkdir("a/", 0700) ? errno_name(errno) : "ok");
        say("open %s\n", open("b/", O_CREAT | O_WRONLY, 0600) < 0 ? errno_name(errno) : "ok");
        drop("a");
        drop("b");
    }
    pair("file", "file", "a", "b", 3);
    pair("file", "file", "a", "b", 8);
    make("full", "a");
    struct stat s, t;
    stat("a", &s);
    rename("a/x", "b");
    stat("a", &t);
    say("links %d %d\n", (int)s.st_nlink, (int)t.st_nlink);
    chdir("b");
    rmdir("../b");
    show("in a removed directory", open("f", O_CREAT | O_WRONLY, 0600));
    show("mkdir there", mkdir("d", 0700));
    char where[100];
    say("getcwd %s\n", getcwd(where, sizeof(where)) ? "ok" : errno_name(errno));
    show("leave", chdir(".."));
    return 0;
}
