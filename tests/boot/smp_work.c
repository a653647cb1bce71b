// SPDX-License-Identifier: MIT
// Work for several CPUs that checks itself: placement, affinity, parallel run time, TLB shoot-down,
// then threads and processes at mmap, fork, exec, futexes, pipes and files together.
// usage: smp_work CPUS [MS [shared]]; busy loops run for MS; shared: the CPUs are threads of a busy
// host, so that shares of time are not judged. Prints a line for each part, exit status 0 if all is well.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CPUS = 8, PAGE = 4096 };
static int cpus, run_ms, shared, bad;
static char *self;

static double now_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(int good, const char *what)
{
    static double last;
    double now = now_ms(CLOCK_MONOTONIC);
    printf("%s - %s (%.0f ms)\n", good ? "ok" : "not ok", what, last ? now - last : 0);
    last = now;
    fflush(stdout);
    bad |= !good;
}

static int pin(pid_t pid, int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(pid, sizeof(set), &set);
}

static int here(void)
{
    unsigned cpu = 99;
    syscall(SYS_getcpu, &cpu, NULL, NULL);
    return (int)cpu;
}

// Field 39 of /proc/PID/stat.
static int cpu_of(pid_t pid)
{
    char path[64], text[1024], *at;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    at = strrchr(text, ')');
    for (int field = 2; at && field < 39; field++)
        at = strchr(at + 1, ' ');
    return at ? atoi(at) : -1;
}

static void part_affinity(void)
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof(set), &set);
    check(CPU_COUNT(&set) == cpus && sysconf(_SC_NPROCESSORS_ONLN) == cpus, "number of CPUs");
    int right = 1;
    for (int round = 0; round < 50; round++) {
        int cpu = (round * 3 + 1) % cpus;
        right &= !pin(0, cpu) && here() == cpu;
    }
    check(right, "a thread runs where it is pinned");
    sched_setaffinity(0, sizeof(set), &set);

    pid_t child = fork();
    if (!child)
        for (;;)
            ;
    right = 1;
    for (int cpu = 0; cpu < cpus; cpu++)
        right &= !pin(child, cpu) && cpu_of(child) == cpu;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check(right, "a running process follows its affinity");
    CPU_ZERO(&set);
    CPU_SET(63, &set);
    check(sched_setaffinity(0, sizeof(set), &set) == -1 && errno == EINVAL, "no such CPU");
}

// As many loops as CPUs: each has a CPU of its own nearly all the time.
static void part_parallel(void)
{
    pid_t pids[MAX_CPUS];
    double *used = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < cpus; i++) {
        pids[i] = fork();
        if (pids[i])
            continue;
        double start = now_ms(CLOCK_MONOTONIC);
        while (now_ms(CLOCK_MONOTONIC) - start < run_ms)
            ;
        used[i] = now_ms(CLOCK_PROCESS_CPUTIME_ID) / (now_ms(CLOCK_MONOTONIC) - start);
        _exit(0);
    }
    unsigned seen = 0, all = (1u << cpus) - 1;
    for (int look = 0; look < 9 && seen != all; look++) {
        usleep((unsigned)run_ms * 100);
        seen = 0;
        for (int i = 0; i < cpus; i++)
            seen |= 1u << cpu_of(pids[i]);
    }
    double least = 1;
    for (int i = 0; i < cpus; i++) {
        waitpid(pids[i], NULL, 0);
        if (used[i] < least)
            least = used[i];
    }
    check(seen == all, "busy loops are spread over all CPUs");
    check(shared || least > 0.8, "each has had one to itself");
    munmap(used, PAGE);
}

// Real-time loops find CPUs that run nothing more important, and give way to what is.
static void part_realtime(void)
{
    pid_t pids[MAX_CPUS];
    double *used = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < cpus; i++) { // one more than there are CPUs for them
        pids[i] = fork();
        if (pids[i])
            continue;
        cpu_set_t set;
        CPU_ZERO(&set);
        for (int cpu = 1; cpu < cpus; cpu++)
            CPU_SET(cpu, &set);
        struct sched_param param = {.sched_priority = 10 + i};
        syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param); // musl has it not
        sched_setaffinity(0, sizeof(set), &set);
        double start = now_ms(CLOCK_MONOTONIC);
        while (now_ms(CLOCK_MONOTONIC) - start < run_ms)
            used[i] = now_ms(CLOCK_PROCESS_CPUTIME_ID) / run_ms;
        _exit(0);
    }
    usleep((unsigned)run_ms * 700);
    // When the others are through, the last one has its turn: what it used until here is what counts.
    double first = used[0], least = 1;
    for (int i = 1; i < cpus; i++)
        if (used[i] < least)
            least = used[i];
    for (int i = 0; i < cpus; i++)
        waitpid(pids[i], NULL, 0);
    check(least > 0.5 && first < 0.2, "the more important real-time loops have the CPUs");
    munmap(used, PAGE);
}

// --- a page that turns read-only under threads that write to it

static _Atomic unsigned long *target;
static _Atomic int open_for_writes, stop;

static void wait_until_open(int sig)
{
    (void)sig;
    while (!atomic_load(&open_for_writes) && !atomic_load(&stop))
        sched_yield();
}

static void *scribble(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop))
        atomic_fetch_add(target, 1);
    return NULL;
}

static void part_shootdown(void)
{
    pthread_t threads[MAX_CPUS];
    struct sigaction sa = {.sa_handler = wait_until_open};
    sigaction(SIGSEGV, &sa, NULL);
    target = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    atomic_store(&stop, 0);
    atomic_store(&open_for_writes, 1);
    for (int i = 0; i < cpus - 1; i++)
        pthread_create(&threads[i], NULL, scribble, NULL);
    int still = 1, moved = 0;
    for (int round = 0; round < 40; round++) {
        atomic_store(&open_for_writes, 0);
        mprotect((void *)target, PAGE, PROT_READ);
        unsigned long first = atomic_load(target);
        for (volatile int spin = 0; spin < 3000; spin++)
            ;
        still &= atomic_load(target) == first;
        mprotect((void *)target, PAGE, PROT_READ | PROT_WRITE);
        atomic_store(&open_for_writes, 1);
        double until = now_ms(CLOCK_MONOTONIC) + 4;
        while (atomic_load(target) == first && now_ms(CLOCK_MONOTONIC) < until)
            ;
        moved += atomic_load(target) != first;
    }
    mprotect((void *)target, PAGE, PROT_READ | PROT_WRITE);
    atomic_store(&stop, 1);
    for (int i = 0; i < cpus - 1; i++)
        pthread_join(threads[i], NULL);
    check(still, "nobody writes to a page that has become read-only");
    check(moved > 10, "but they did before");
    munmap((void *)target, PAGE);
    signal(SIGSEGV, SIG_DFL);
}

// --- everything at once

enum { THREADS = 8, ROUNDS = 80 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static _Atomic int wrong;
static int ring[THREADS][2];

static void expect(int good, int code)
{
    int none = 0;
    if (!good)
        atomic_compare_exchange_strong(&wrong, &none, code);
}

static void map_and_unmap(int id, int round)
{
    size_t size = PAGE * (size_t)(1 + (id + round) % 40);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(p != MAP_FAILED, 1);
    for (size_t at = 0; at < size; at += PAGE)
        *(int *)(p + at) = id * 1000 + round;
    if (round % 5 == 0)
        mprotect(p, size, PROT_READ);
    for (size_t at = 0; at < size; at += PAGE)
        expect(*(int *)(p + at) == id * 1000 + round && *(int *)(p + at + 8) == 0, 2);
    expect(munmap(p, size) == 0, 3);
}

static void fork_and_exec(int id, int round)
{
    int status = 0;
    pid_t pid = fork();
    if (!pid) {
        if (round % 2)
            execl(self, self, "exit", (char *)NULL);
        _exit(7);
    }
    expect(pid > 0 && waitpid(pid, &status, 0) == pid, 4);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 7, 5);
    (void)id;
}

static void use_files(int id, int round)
{
    char name[32], other[64], text[64], back[64] = "";
    snprintf(name, sizeof(name), "%s/f%d", round % 2 ? "/tmp" : "/root", id);
    snprintf(other, sizeof(other), "%s.new", name);
    int n = snprintf(text, sizeof(text), "thread %d round %d\n", id, round);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    expect(fd >= 0 && write(fd, text, (size_t)n) == n, 6);
    close(fd);
    expect(rename(name, other) == 0, 7);
    fd = open(other, O_RDONLY);
    expect(fd >= 0 && read(fd, back, sizeof(back) - 1) == n && !strcmp(text, back), 8);
    close(fd);
    expect(unlink(other) == 0, 9);
}

// A token around the ring of threads.
static void pass_token(int id, int round)
{
    int token = -1;
    if (id == 0)
        expect(write(ring[1 % THREADS][1], &round, sizeof(round)) == sizeof(round), 10);
    expect(read(ring[id][0], &token, sizeof(token)) == sizeof(token) && token == round, 11);
    if (id)
        expect(write(ring[(id + 1) % THREADS][1], &token, sizeof(token)) == sizeof(token), 12);
}

static void *worker(void *arg)
{
    int id = (int)(long)arg;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 20; i++) {
            pthread_mutex_lock(&mutex);
            counter++;
            pthread_mutex_unlock(&mutex);
        }
        map_and_unmap(id, round);
        if (round % 10 == id % 10)
            fork_and_exec(id, round);
        use_files(id, round);
        pass_token(id, round);
    }
    return NULL;
}

static void part_stress(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pipe(ring[i]))
            exit(2);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, worker, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (wrong)
        printf("# first thing wrong: %d\n", wrong);
    check(!wrong, "threads at memory, processes, files and pipes");
    check(counter == 20L * ROUNDS * THREADS, "a counter under a mutex");
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "exit"))
        return 7;
    cpus = argc > 1 ? atoi(argv[1]) : 4;
    run_ms = argc > 2 ? atoi(argv[2]) : 300;
    shared = argc > 3;
    self = argv[0];
    part_affinity();
    part_parallel();
    if (!shared)
        part_realtime();
    part_shootdown();
    part_stress();
    printf("smp_work: %s\n", bad ? "failed" : "passed");
    return bad;
}
