// SPDX-License-Identifier: MIT
// execve: arguments, environment, entry state, #! scripts, errors, comm.
#include "t.h"
#include <sys/auxv.h>
#include <sys/prctl.h>

static void script(const char *name, const char *text, int mode)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    write(fd, text, strlen(text));
    close(fd);
    chmod(name, (mode_t)mode);
}

static void run(const char *path, char *const argv[], char *const envp[])
{
    pid_t pid = fork();
    if (pid == 0) {
        execve(path, argv, envp);
        say("%s: -%s\n", path, errno_name(errno));
        _exit(9);
    }
    int status;
    waitpid(pid, &status, 0);
    show_status(path, status);
}

static int child(int argc, char **argv, char **envp)
{
    for (int i = 0; i < argc; i++) {
        say("argv[%d]=%s\n", i, argv[i]);
    }
    for (int i = 0; envp[i]; i++) {
        say("env %s\n", envp[i]);
    }
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    say("comm %s\n", name);
    say("pagesz %lu random %d secure %lu clktck %lu execfn %s\n", getauxval(AT_PAGESZ), getauxval(AT_RANDOM) != 0,
        getauxval(AT_SECURE), getauxval(AT_CLKTCK), (char *)getauxval(AT_EXECFN));
    return 3;
}

int main(int argc, char **argv, char **envp)
{
    if (argc > 1 && strncmp(argv[1], "child", 5) == 0) {
        return child(argc, argv, envp);
    }
    char self[256] = "";
    readlink("/proc/self/exe", self, sizeof(self) - 1);
    symlink(self, "a-program-with-a-long-name");
    char *args[] = {"zero", "child", "", "two words", NULL};
    char *env[] = {"A=1", "B=", NULL};
    run("a-program-with-a-long-name", args, env);
    script("s1", "#!./a-program-with-a-long-name child\n", 0755);
    char *script_args[] = {"replaced", "x", "y", NULL};
    run("s1", script_args, env);
    script("s2", "#! ./a-program-with-a-long-name   child  with spaces  \n", 0755);
    run("./s2", script_args, env);
    script("s3", "#!./s1\n", 0755);
    run("s3", script_args, env);
    script("empty", "", 0755);
    run("empty", script_args, env);
    script("text", "echo not a script\n", 0755);
    run("text", script_args, env);
    script("noexec", "#!/bin/sh\n", 0644);
    run("noexec", script_args, env);
    script("nointerp", "#!/no/such/interpreter\n", 0755);
    run("nointerp", script_args, env);
    run("missing", script_args, env);
    mkdir("dir", 0755);
    run("dir", script_args, env);
    run("text/x", script_args, env);
    script("badelf", "\177ELF\2\1\1garbage", 0755);
    run("badelf", script_args, env);
    return 0;
}
