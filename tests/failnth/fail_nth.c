// SPDX-License-Identifier: MIT
// Runs each scenario with its n-th allocation failing, n = 1, 2, ... until it gets through without
// a failure: every try ends in success or in an error that means no memory. Then twice more, with
// the objects of every slab cache and the free memory counted in between: nothing may be lost.
// usage: fail_nth FOLDER [NAME]    or    fail_nth --list    or    fail_nth --exec-child
#include "fail_nth.h"

#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_TRIES 400
#define MAX_CACHES 64
#define LOOKS 4

char buffer[65536];
int data_fd;
static int knob, drop;
static bool on_memory; // the folder is on a tmpfs

// What a try ended in; in memory that a child shares.
static struct outcome {
    long result;
    int error, left;
} * outcome;

void give_up(const char *what)
{
    printf("fail_nth: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(2);
}

static void arm(int n)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", n);
    if (pwrite(knob, text, (size_t)length, 0) != length) {
        give_up("arm");
    }
}

// Allocations that are still to go; 0: the failure has happened. Switches it off.
static int disarm(void)
{
    char text[16] = "";
    if (pread(knob, text, sizeof(text) - 1, 0) < 1) {
        return 1; // the read itself met it
    }
    int left = atoi(text);
    if (left) {
        arm(0);
    }
    return left;
}

static void open_knob(void)
{
    knob = (int)NEED(open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC));
    disarm(); // its buffer is there from now on
}

static void attempt(const struct scenario *s, int n)
{
    arm(n);
    errno = 0;
    long result = s->call();
    int error = errno;
    int left = disarm();
    *outcome = (struct outcome){result, result == -1 ? error : 0, left};
}

static void drop_caches(void)
{
    sync();
    NEED(pwrite(drop, "3", 1, 0));
}

static void wait_for_child(pid_t pid)
{
    int status = 0;
    NEED(waitpid(pid, &status, 0));
    if (outcome->left >= 0) {
        return; // it told
    }
    // It did not come back from the call: an exit or a program of its own.
    bool exec_failed = WIFEXITED(status) && WEXITSTATUS(status) == 2;
    outcome->result = exec_failed ? -1 : 0;
    outcome->error = EIO;
    outcome->left = WIFEXITED(status) && WEXITSTATUS(status) == EXEC_LEFT;
}

static void one_try(const struct scenario *s, int n)
{
    outcome->left = -1;
    if (!s->child) {
        if (s->before) {
            s->before();
        }
        if (s->cold) {
            drop_caches();
        }
        attempt(s, n);
        if (s->after) {
            s->after(outcome->result);
        }
        return;
    }
    fflush(stdout);
    pid_t pid = (pid_t)NEED(fork());
    if (pid == 0) {
        open_knob();
        if (s->before) {
            s->before();
        }
        attempt(s, n);
        _exit(0);
    }
    wait_for_child(pid);
    if (s->after) {
        s->after(outcome->result);
    }
}

static const char *label(const struct scenario *s)
{
    static char text[120];
    snprintf(text, sizeof(text), "%s%s%s", s->calls, s->detail ? ", " : "",
             s->detail ? s->detail : "");
    return text;
}

// All values of n. Returns how many tries there were; adds wrong outcomes to *wrong.
static int all_tries(const struct scenario *s, int *wrong)
{
    int n = 1;
    for (; n < MAX_TRIES; n++) {
        one_try(s, n);
        bool no_memory =
            outcome->error == ENOMEM || (s->tolerated && outcome->error == s->tolerated);
        if (outcome->result == -1 && !(no_memory && outcome->left == 0)) {
            printf("%s: allocation %d: error %d, %d left\n", label(s), n, outcome->error,
                   outcome->left);
            ++*wrong;
        }
        if (outcome->left) {
            break;
        }
    }
    return n;
}

// --- counting

struct census {
    int caches;
    char names[MAX_CACHES][20];
    long active[MAX_CACHES];
    long used_kb; // memory outside slabs: pages, page tables, stacks
};

static char *read_proc(const char *path)
{
    int fd = (int)NEED(open(path, O_RDONLY));
    size_t length = 0;
    for (;;) {
        long n = NEED(read(fd, buffer + length, sizeof(buffer) - 1 - length));
        if (n == 0) {
            break;
        }
        length += (size_t)n;
    }
    buffer[length] = '\0';
    close(fd);
    return buffer;
}

static long meminfo(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? atol(at + strlen(name)) : 0;
}

// After what is only cached has gone and what is freed later has been freed.
static void count(struct census *c)
{
    struct timespec pause = {0, 30000000};
    nanosleep(&pause, NULL);
    drop_caches();
    nanosleep(&pause, NULL);
    c->caches = 0;
    char *text = read_proc("/proc/slabinfo"), *rest, *line;
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] != '#' && c->caches < MAX_CACHES &&
            sscanf(line, "%19s %ld", c->names[c->caches], &c->active[c->caches]) == 2) {
            c->caches++;
        }
    }
    text = read_proc("/proc/meminfo");
    c->used_kb = meminfo(text, "MemTotal:") - meminfo(text, "MemFree:") - meminfo(text, "\nSlab:");
}

// What `after` has more of than `before`, one line each, in text.
static void compare(const struct scenario *s, const struct census *before,
                    const struct census *after, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < after->caches; i++) {
        long more = after->active[i] - (i < before->caches ? before->active[i] : 0);
        if (more > 0 && at < size) {
            at += (size_t)snprintf(text + at, size - at, "%s: leaked %ld of %s\n", label(s), more,
                                   after->names[i]);
        }
    }
    if (after->used_kb > before->used_kb && at < size) {
        snprintf(text + at, size - at, "%s: leaked %ld KiB of pages\n", label(s),
                 after->used_kb - before->used_kb);
    }
}

// What is lost is so every time one looks; what another CPU is still writing back or freeing is not.
static int lost_since(const struct scenario *s, const struct census *before)
{
    static struct census after;
    static char text[1024];
    for (int look = 0; look < LOOKS; look++) {
        count(&after);
        compare(s, before, &after, text, sizeof(text));
        if (!text[0]) {
            return 0;
        }
    }
    fputs(text, stdout);
    return 1;
}

// Returns how many things were wrong.
static int run_scenario(const struct scenario *s)
{
    static struct census before;
    int wrong = 0;
    int tries = all_tries(s, &wrong);
    printf("%s: %d tries\n", label(s), tries);
    if (tries == MAX_TRIES || (!(s->disk && on_memory) && s->none != (tries == 1))) {
        printf("%s: %s allocations expected\n", label(s), s->none ? "no" : "some");
        wrong++;
    }
    all_tries(s, &wrong);
    count(&before);
    all_tries(s, &wrong);
    wrong += lost_since(s, &before);
    fflush(stdout);
    return wrong;
}

static const struct scenario *const groups[] = {file_scenarios, memory_scenarios, process_scenarios,
                                                plain_scenarios};
#define NR_GROUPS (sizeof(groups) / sizeof(groups[0]))

static int list_calls(void)
{
    for (size_t g = 0; g < NR_GROUPS; g++) {
        for (const struct scenario *s = groups[g]; s->calls; s++) {
            printf("%s %s\n", s->none ? "none" : "some", s->calls);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--list")) {
        return list_calls();
    }
    if (argc > 1 && !strcmp(argv[1], "--exec-child")) {
        return exec_child();
    }
    if (argc < 2) {
        return 2;
    }
    NEED(chdir(argv[1]));
    outcome = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    outcome->left = 0;
    drop = (int)NEED(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
    struct statfs fs;
    NEED(statfs(".", &fs));
    on_memory = fs.f_type == 0x01021994; // TMPFS_MAGIC
    data_fd = (int)NEED(open("data", O_RDWR | O_CREAT, 0600));
    open_knob();
    int wrong = 0;
    for (size_t g = 0; g < NR_GROUPS; g++) {
        for (const struct scenario *s = groups[g]; s->calls; s++) {
            if (argc < 3 || strstr(s->calls, argv[2])) {
                wrong += run_scenario(s);
            }
        }
    }
    printf("wrong: %d\n", wrong);
    return wrong != 0;
}
