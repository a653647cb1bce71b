// SPDX-License-Identifier: MIT
// A large directory: hundreds of names, listing without loss or repetition while some are removed, deep paths.
#include "t.h"
#include <dirent.h>

enum { COUNT = 700 };

int main(void)
{
    char name[64];
    mkdir("many", 0755);
    chdir("many");
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "a-rather-long-file-name-%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    static int seen[COUNT];
    DIR *dir = opendir(".");
    int dots = 0, repeated = 0, n = 0, i;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (sscanf(entry->d_name, "a-rather-long-file-name-%d", &i) == 1) {
            repeated += seen[i]++;
            if (++n % 3 == 0) {
                unlink(entry->d_name);
            }
        } else {
            dots++;
        }
    }
    closedir(dir);
    int missing = 0;
    for (i = 0; i < COUNT; i++) {
        missing += !seen[i];
    }
    say("dots %d seen %d repeated %d missing %d\n", dots, n, repeated, missing);
    int left = 0;
    dir = opendir(".");
    while (readdir(dir)) {
        left++;
    }
    rewinddir(dir);
    int again = 0;
    while (readdir(dir)) {
        again++;
    }
    closedir(dir);
    say("left %d again %d\n", left, again);
    chdir("..");
    char path[4096] = "deep";
    mkdir(path, 0755);
    for (i = 0; i < 60; i++) {
        strcat(path, "/component-of-a-path");
        if (mkdir(path, 0755) < 0) {
            say("mkdir %d: %s\n", i, errno_name(errno));
        }
    }
    struct stat st;
    say("length %zu exists %d\n", strlen(path), stat(path, &st) == 0);
    memset(path, 'x', sizeof(path) - 1);
    for (i = 10; i < 4090; i += 10) {
        path[i] = '/';
    }
    path[4095] = 0;
    show("PATH_MAX", stat(path, &st));
    return 0;
}
