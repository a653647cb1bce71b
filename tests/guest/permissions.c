// SPDX-License-Identifier: MIT
// Modes, umask, chmod, chown, sticky directories, access against effective ids, set-id bits cleared by writing.
#include "t.h"
#include <grp.h>

static void mode_of(const char *what, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        say("%s: %o %d:%d\n", what, st.st_mode & 07777, (int)st.st_uid, (int)st.st_gid);
    }
}

static void as_user(void)
{
    setgroups(0, NULL);
    setgid(1000);
    setuid(1000);
    show("open 0600 of root", open("root-only", O_RDONLY));
    show("read 0644", open("readable", O_RDONLY) >= 0);
    show("write 0644", open("readable", O_WRONLY));
    show("create in 0755", open("new", O_CREAT | O_RDWR, 0644));
    show("create in 1777", open("sticky/mine", O_CREAT | O_RDWR, 0644) >= 0);
    show("remove another's in 1777", unlink("sticky/roots"));
    show("remove own in 1777", unlink("sticky/mine"));
    show("search without x", open("closed/inside", O_RDONLY));
    show("list without r", open("closed", O_RDONLY));
    show("chmod another's", chmod("readable", 0777));
    show("chown", chown("readable", 1000, 1000));
    show("access R", access("readable", R_OK));
    show("access W", access("readable", W_OK));
    show("setuid 0", setuid(0));
    show("chroot", chroot("."));
    show("mknod", mknod("dev", S_IFCHR | 0600, 0x103));
    show("kill init", kill(1, 0));
    show("sethostname", sethostname("x", 1));
}

int main(void)
{
    umask(0);
    chmod(".", 0755);
    umask(027);
    close(open("masked", O_CREAT | O_RDWR, 0666));
    mode_of("masked", "masked");
    mkdir("maskeddir", 0777);
    mode_of("maskeddir", "maskeddir");
    say("umask was %o\n", umask(0));
    close(open("root-only", O_CREAT | O_RDWR, 0600));
    close(open("readable", O_CREAT | O_RDWR, 0644));
    mkdir("sticky", 01777);
    chmod("sticky", 01777);
    mode_of("sticky", "sticky");
    close(open("sticky/roots", O_CREAT | O_RDWR, 0666));
    mkdir("closed", 0600);
    close(open("closed/inside", O_CREAT | O_RDWR, 0666));
    show("chmod", chmod("readable", 04755));
    mode_of("setuid", "readable");
    show("chown clears", chown("readable", 5, 6));
    mode_of("after chown", "readable");
    show("chown keep", chown("readable", -1, 7));
    mode_of("after chown -1", "readable");
    show("chown back", chown("readable", 0, 0));
    chmod("readable", 0644);
    mkdir("setgid", 0755);
    chown("setgid", 0, 42);
    chmod("setgid", 02755);
    close(open("setgid/child", O_CREAT | O_RDWR, 0644));
    mode_of("group from directory", "setgid/child");
    mkdir("setgid/dir", 0755);
    mode_of("setgid inherited", "setgid/dir");
    pid_t pid = fork();
    if (pid == 0) {
        as_user();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    chmod("masked", 06777);
    chown("masked", 1000, 1000);
    chmod("masked", 06777);
    pid = fork();
    if (pid == 0) {
        setgroups(0, NULL);
        setgid(1000);
        setuid(1000);
        int fd = open("masked", O_WRONLY);
        write(fd, "x", 1);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    mode_of("set-id after a user's write", "masked");
    return 0;
}
