// SPDX-License-Identifier: MIT
// Locks, conditions, pipes, epoll and timers between threads that really run side by side: nobody misses a wake-up.
#include "parallel.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define THREADS 4
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long plain;

static void *add(void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds(3000); i++) {
        pthread_mutex_lock(&mutex);
        plain++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

// A ring of threads, each waiting for its turn.
static int turn;

static void *take_turns(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < rounds(150); i++) {
        pthread_mutex_lock(&mutex);
        while (turn % THREADS != me) {
            pthread_cond_wait(&condition, &mutex);
        }
        turn++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

// Bare futexes: each waits for the word to change.
static atomic_int word;

static void *ping_pong(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < rounds(800); i++) {
        int seen;
        while ((seen = atomic_load(&word)) % 2 != me) {
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        }
        atomic_fetch_add(&word, 1);
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return NULL;
}

// Pipes: the sum of what goes in comes out; small and large writes.
static int fds[2];
static atomic_long put_sum, got_sum;

static void *producer_or_consumer(void *arg)
{
    int me = (int)(intptr_t)arg;
    unsigned seed = (unsigned)me + 9;
    unsigned char buf[3000];
    if (me < 2) {
        for (int i = 0; i < rounds(150); i++) {
            size_t n = 1 + next_random(&seed) % sizeof(buf);
            long sum = 0;
            for (size_t k = 0; k < n; k++) {
                sum += buf[k] = (unsigned char)next_random(&seed);
            }
            atomic_fetch_add(&put_sum, sum);
            for (size_t at = 0; at < n;) {
                ssize_t w = write(fds[1], buf + at, n - at);
                CHECK(w > 0);
                at += w > 0 ? (size_t)w : n;
            }
        }
        return NULL;
    }
    ssize_t n;
    while ((n = read(fds[0], buf, sizeof(buf))) > 0) {
        for (ssize_t k = 0; k < n; k++) {
            atomic_fetch_add(&got_sum, buf[k]);
        }
    }
    CHECK(n == 0);
    return NULL;
}

static void *consume(void *arg)
{
    return producer_or_consumer((void *)((intptr_t)arg + 2));
}

static void pipes(void)
{
    pthread_t readers[2];
    CHECK(pipe(fds) == 0);
    for (int i = 0; i < 2; i++) {
        pthread_create(&readers[i], NULL, consume, (void *)(intptr_t)i);
    }
    in_threads(2, producer_or_consumer);
    close(fds[1]);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], NULL);
    }
    close(fds[0]);
    CHECK(atomic_load(&put_sum) == atomic_load(&got_sum));
}

// A token goes round through pipes; every stage sleeps in epoll_wait, poll or read.
static int ring[THREADS][2];

static void *stage(void *arg)
{
    int me = (int)(intptr_t)arg, in = ring[me][0], out = ring[(me + 1) % THREADS][1];
    int ep = epoll_create1(0);
    struct epoll_event e = {.events = me == 1 ? EPOLLIN | EPOLLET : EPOLLIN};
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, in, &e) == 0);
    for (int i = 0; i < rounds(250); i++) {
        char c;
        if (me < 2) {
            CHECK(epoll_wait(ep, &e, 1, 20000) == 1);
        } else if (me == 2) {
            struct pollfd p = {.fd = in, .events = POLLIN};
            CHECK(poll(&p, 1, 20000) == 1);
        }
        CHECK(read(in, &c, 1) == 1);
        CHECK(write(out, &c, 1) == 1);
    }
    close(ep);
    return NULL;
}

static void token_ring(void)
{
    for (int i = 0; i < THREADS; i++) {
        CHECK(pipe(ring[i]) == 0);
    }
    CHECK(write(ring[0][1], "t", 1) == 1);
    in_threads(THREADS, stage);
    char c;
    CHECK(read(ring[0][0], &c, 1) == 1 && c == 't');
}

// Watched descriptors that come and go while another thread waits for them.
static int watch;

static void *come_and_go(void *arg)
{
    int me = (int)(intptr_t)arg;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT};
    for (int i = 0; i < rounds(150); i++) {
        int p[2];
        if (me == 0) {
            struct epoll_event got[8];
            CHECK(epoll_wait(watch, got, 8, 1) >= 0);
            continue;
        }
        CHECK(pipe(p) == 0);
        CHECK(epoll_ctl(watch, EPOLL_CTL_ADD, p[0], &e) == 0);
        CHECK(epoll_ctl(watch, EPOLL_CTL_ADD, p[1], &e) == 0);
        CHECK(write(p[1], "x", 1) == 1);
        if (i % 2) {
            CHECK(epoll_ctl(watch, EPOLL_CTL_DEL, p[0], &e) == 0);
        }
        close(p[0]);
        close(p[1]);
    }
    return NULL;
}

// Sets of watched files that end at the same time as the files.
static void *sets_end(void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds(60); i++) {
        int p[2], ep = epoll_create1(0);
        struct epoll_event e = {.events = EPOLLIN};
        CHECK(pipe(p) == 0);
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(ep);
            _exit(0);
        }
        close(p[0]);
        close(p[1]);
        close(ep);
        CHECK(waitpid(pid, NULL, 0) == pid);
    }
    return NULL;
}

// An interval timer goes on however its signals fall.
static atomic_int ticks;

static void on_alarm(int sig)
{
    (void)sig;
    atomic_fetch_add(&ticks, 1);
}

static void *wait_for_ticks(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000 && atomic_load(&ticks) < 60; i++) {
        sleep_ms(1);
    }
    return NULL;
}

static void interval(void)
{
    struct sigaction a = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &a, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    in_threads(THREADS, wait_for_ticks);
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK(atomic_load(&ticks) >= 60);
}

int main(void)
{
    in_threads(THREADS, add);
    CHECK(plain == (long)THREADS * rounds(3000));
    done("mutex");
    in_threads(THREADS, take_turns);
    done("turns");
    in_threads(2, ping_pong);
    done("futex");
    pipes();
    done("pipes");
    token_ring();
    done("token ring");
    watch = epoll_create1(0);
    in_threads(THREADS, come_and_go);
    done("watched files come and go");
    in_threads(THREADS, sets_end);
    done("sets end");
    interval();
    done("interval timer");
    return 0;
}
