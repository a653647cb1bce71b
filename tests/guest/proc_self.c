// SPDX-License-Identifier: MIT
// What /proc says of a process to itself: status, stat, cmdline, maps, fd, exe, cwd, comm, limits.
#include "t.h"
#include <dirent.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static void lines_with(const char *path, const char *const *keys)
{
    char line[512];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        for (int i = 0; keys[i]; i++) {
            if (strncmp(line, keys[i], strlen(keys[i])) == 0) {
                say("%s", line);
            }
        }
    }
    if (file) {
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    prctl(PR_SET_NAME, "renamed-by-prctl");
    lines_with("/proc/self/status", (const char *[]){"Name:", "State:", "Uid:", "Gid:", "Threads:", NULL});
    char text[4096] = "", link[256] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text));
    say("cmdline ends in NUL %d is argv[0] %d\n", n > 0 && text[n - 1] == 0, strcmp(text, argv[0]) == 0);
    close(fd);
    fd = open("/proc/self/comm", O_RDWR);
    write(fd, "by-file", 7);
    memset(text, 0, sizeof(text));
    pread(fd, text, 100, 0);
    say("comm %s", text);
    close(fd);
    fd = open("/dev/null", O_RDONLY);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
    n = readlink(text, link, sizeof(link) - 1);
    say("fd link %.*s\n", (int)n, link);
    int again = open(text, O_RDONLY);
    say("reopened %d\n", again >= 0);
    mkdir("deleted", 0755);
    chdir("deleted");
    n = readlink("/proc/self/cwd", link, sizeof(link) - 1);
    char cwd[256];
    getcwd(cwd, sizeof(cwd));
    say("cwd link right %d\n", n == (ssize_t)strlen(cwd) && memcmp(link, cwd, (size_t)n) == 0);
    chdir("..");
    int ids = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(dir));) {
        ids += entry->d_name[0] != '.';
    }
    closedir(dir);
    say("descriptors %d\n", ids);
    char *area = mmap((void *)0x10000000, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mprotect(area + 4096, 4096, PROT_READ);
    lines_with("/proc/self/maps", (const char *[]){"1000", NULL});
    FILE *maps = fopen("/proc/self/maps", "r");
    int stack = 0, heap = 0;
    free(malloc(100000));
    while (maps && fgets(text, sizeof(text), maps)) {
        stack += strstr(text, "[stack]") != NULL;
        heap += strstr(text, "[heap]") != NULL;
    }
    say("stack %d heap %d\n", stack, heap);
    struct stat st;
    say("self is a link %d task dir %d\n", lstat("/proc/self", &st) == 0 && S_ISLNK(st.st_mode), access("/proc/self/task", F_OK) == 0);
    snprintf(text, sizeof(text), "/proc/%d/stat", getpid());
    fd = open(text, O_RDONLY);
    n = read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = 0;
    int fields = 0;
    char *rest = strrchr(text, ')');
    for (char *p = rest ? rest : text; (p = strchr(p, ' ')); p++) {
        fields++;
    }
    int pid = 0, ppid = 0, pgrp = 0;
    char state = '?';
    sscanf(text, "%d", &pid);
    sscanf(rest ? rest + 2 : "", "%c %d %d", &state, &ppid, &pgrp);
    say("stat: pid %d state %c ppid %d pgrp %d fields %d\n", pid == getpid(), state, ppid == getppid(), pgrp == getpgrp(), fields + 2);
    show("no such pid", open("/proc/999999/stat", O_RDONLY));
    show("create in proc", open("/proc/newfile", O_CREAT | O_RDWR, 0600));
    return 0;
}
