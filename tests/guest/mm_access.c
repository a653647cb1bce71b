// SPDX-License-Identifier: MIT
// Which accesses each protection allows, through the CPU and through system calls; faults at the
// edges of mappings.
#include "t.h"
#include <setjmp.h>
#include <sys/mman.h>

#define PAGE 4096L
static sigjmp_buf escape;
static volatile int sig_seen, code_seen;
static char *volatile address_seen;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    sig_seen = sig;
    code_seen = info->si_code;
    address_seen = info->si_addr;
    siglongjmp(escape, 1);
}

static void try(const char *what, char *p, int how)
{
    sig_seen = 0;
    if (!sigsetjmp(escape, 1)) {
        if (how == 0) {
            (void)*(volatile char *)p;
        } else if (how == 1) {
            *(volatile char *)p = 1;
        } else {
            ((void (*)(void))p)();
        }
    }
    say("%s: %s\n", what,
        !sig_seen                  ? "allowed"
        : sig_seen == SIGBUS       ? "SIGBUS"
        : code_seen == SEGV_MAPERR ? "MAPERR"
                                   : "ACCERR");
    if (sig_seen) {
        say("  address right %d\n", address_seen == p);
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 0xc3, 16 * PAGE); // ret
    static const int prots[] = {PROT_NONE,
                                PROT_READ,
                                PROT_WRITE,
                                PROT_READ | PROT_WRITE,
                                PROT_READ | PROT_EXEC,
                                PROT_READ | PROT_WRITE | PROT_EXEC};
    static const char *const names[] = {"none", "r", "w", "rw", "rx", "rwx"};
    static const char *const kinds[] = {"read", "write", "execute"};
    for (int i = 0; i < 6; i++) {
        mprotect(p + i * PAGE, PAGE, prots[i]);
        for (int how = 0; how < 3; how += 1) {
            char what[40];
            if (how == 2) {
                mprotect(p + i * PAGE, PAGE, PROT_READ | PROT_WRITE);
                p[i * PAGE] = (char)0xc3;
                mprotect(p + i * PAGE, PAGE, prots[i]);
            }
            snprintf(what, sizeof(what), "%s of %s", kinds[how], names[i]);
            try(what, p + i * PAGE, how);
        }
    }
    try("null", NULL, 0);
    try("kernel address", (char *)0xffffffff81000000, 0);
    munmap(p + 8 * PAGE, PAGE);
    try("hole", p + 8 * PAGE + 5, 1);

    int fd = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    show("read into r", read(fd, p + PAGE, 10));
    show("read into none", read(fd, p, 10));
    show("read across into a hole", read(fd, p + 8 * PAGE - 10, 20));
    int pipe_fd[2];
    if (pipe(pipe_fd) < 0) {
        return 1;
    }
    show("write from none", write(pipe_fd[1], p, 10));
    show("write from a hole", write(pipe_fd[1], p + 8 * PAGE, 10));
    show("write to null from a hole", write(null, p + 8 * PAGE, 10));
    show("write from a kernel address", write(pipe_fd[1], (char *)0xffffffff81000000, 10));
    show("write from an address that is no address",
         write(pipe_fd[1], (char *)0x8000000000000000, 10));
    show("open with a bad name", open((char *)8, O_RDONLY));
    show("name that ends in a hole", open(memset(p + 8 * PAGE - 4, 'a', 4), O_RDONLY));

    char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[0] = 1;
    pid_t pid = fork();
    if (pid == 0) {
        shared[1] = 2;
        mprotect(shared, PAGE, PROT_READ);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    try("shared after the child's mprotect", shared + 2, 1);
    say("shared %d %d %d\n", shared[0], shared[1], shared[2]);

    int rofd = open("/proc/self/exe", O_RDONLY);
    char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rofd, 0);
    show("making a shared read-only mapping writable", mprotect(ro, PAGE, PROT_READ | PROT_WRITE));
    char *priv = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, rofd, 0);
    show("making a private one writable", mprotect(priv, PAGE, PROT_READ | PROT_WRITE));
    priv[0] = 1;
    say("private copy %d, file %d\n", priv[0], ro[0]);
    return 0;
}
