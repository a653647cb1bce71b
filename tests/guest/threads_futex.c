// SPDX-License-Identifier: MIT
// Threads over futexes: mutex, condition variable, barrier, semaphore, thread-local data, join values, detached threads.
#include "t.h"
#include <pthread.h>
#include <semaphore.h>

enum { THREADS = 6, ROUNDS = 2000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static long counter, turn, handed;
static __thread long own;

static void *count(void *arg)
{
    long id = (long)arg;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        own++;
        pthread_mutex_unlock(&mutex);
    }
    pthread_barrier_wait(&barrier);
    pthread_mutex_lock(&mutex);
    while (turn != id) {
        pthread_cond_wait(&condition, &mutex);
    }
    say("thread %ld own %ld counter %ld\n", id, own, counter);
    turn++;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    return (void *)(id * 10);
}

static void *consumer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        sem_wait(&semaphore);
        __atomic_add_fetch(&handed, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void *detached(void *arg)
{
    sem_post(arg);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (long i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, count, (void *)i);
    }
    long sum = 0;
    for (int i = 0; i < THREADS; i++) {
        void *value;
        pthread_join(threads[i], &value);
        sum += (long)value;
    }
    say("joined sum %ld counter %ld\n", sum, counter);
    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, consumer, NULL);
    }
    for (int i = 0; i < 300; i++) {
        sem_post(&semaphore);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    say("handed %ld\n", handed);
    sem_t done;
    sem_init(&done, 0, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_create(&threads[0], &attributes, detached, &done);
    sem_wait(&done);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_sec++;
        soon.tv_nsec -= 1000000000;
    }
    int result = sem_timedwait(&done, &soon);
    say("timed wait %s\n", result < 0 ? errno_name(errno) : "0");
    pthread_mutex_lock(&mutex);
    say("timed condition %s\n", errno_name(pthread_cond_timedwait(&condition, &mutex, &soon)));
    pthread_mutex_unlock(&mutex);
    return 0;
}
