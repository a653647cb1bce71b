// SPDX-License-Identifier: MIT
// time_travel KERNEL DISK [STEPS [COMMAND]]: what going back costs in a fern session of so many
// steps: the run with and without a timeline, cold and warm steps back, a search through half of
// history. All times are of the CPU, so that other work on the host does not count; nothing here
// waits.
#include "../tests/replay/guest.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND                                                                                    \
    "while :; do ls -lR / >/tmp/list; sort /tmp/list | md5sum; gzip </tmp/list >/root/z; "         \
    "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; ps >/dev/null; done"
#define COLD_PLACES 12
#define WARM_STEPS 5000

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// The same run cut in turns between one machine with a timeline and one without, so that what
// disturbs the host disturbs both.
static void cost_of_checkpoints(const struct guest_files *files, const char *command, u64 steps)
{
    struct guest with, without;
    guest_open(&with, files, TLB_FULL, command, NULL);
    guest_open(&without, files, TLB_FULL, command, NULL);
    guest_begin_time(&with, TIMELINE_MEMORY_DEFAULT);
    double spent_with = 0, spent_without = 0;
    for (u64 until = steps / 64; until <= steps; until += steps / 64) {
        double begin = cpu_seconds();
        timeline_run(with.time, until);
        double middle = cpu_seconds();
        machine_run(without.m, until);
        spent_with += middle - begin;
        spent_without += cpu_seconds() - middle;
    }
    printf("checkpoints while running %llu M steps: %.2f s with, %.2f s without: %.3f\n",
           (unsigned long long)(steps / 1000000), spent_with, spent_without,
           spent_with / spent_without);
    guest_close(&with);
    guest_close(&without);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *what, double *times, unsigned count)
{
    double sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += times[i];
    }
    qsort(times, count, sizeof(times[0]), by_value);
    printf("%s: mean %.3f ms, median %.3f, 99%% %.3f, max %.3f\n", what, sum / count * 1e3,
           times[count / 2] * 1e3, times[(u64)count * 99 / 100] * 1e3, times[count - 1] * 1e3);
}

static void steps_back(struct guest *g, u64 steps)
{
    double cold[COLD_PLACES], *warm = xcalloc(WARM_STEPS, sizeof(double));
    for (unsigned i = 0; i < COLD_PLACES; i++) {
        // Arrive by running, as at a breakpoint: no dense checkpoints lie before it.
        u64 place = steps / (COLD_PLACES + 1) * (i + 1) + 12345 * i;
        timeline_seek(g->time, timeline_checkpoint_before(g->time, place), NULL, NULL);
        timeline_run(g->time, place);
        double begin = cpu_seconds();
        timeline_seek(g->time, place - 1, NULL, NULL);
        cold[i] = cpu_seconds() - begin;
    }
    for (unsigned i = 0; i < WARM_STEPS; i++) {
        double begin = cpu_seconds();
        timeline_seek(g->time, timeline_step(g->time) - 1, NULL, NULL);
        warm[i] = cpu_seconds() - begin;
    }
    print_times("reverse step, cold", cold, COLD_PLACES);
    print_times("reverse step, warm", warm, WARM_STEPS);
    free(warm);
}

static void far_seeks(struct guest *g, u64 steps)
{
    double times[40];
    u64 x = 12345;
    for (unsigned i = 0; i < ARRAY_LEN(times); i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        double begin = cpu_seconds();
        timeline_seek(g->time, (x >> 20) % steps, NULL, NULL);
        times[i] = cpu_seconds() - begin;
    }
    print_times("seek anywhere", times, ARRAY_LEN(times));
}

// As reverse-continue does that finds nothing: interval by interval, last one first.
static void search_back(struct guest *g, u64 from, u64 length)
{
    timeline_seek(g->time, from, NULL, NULL);
    double begin = cpu_seconds();
    unsigned intervals = 0;
    u64 end = from;
    while (end > from - length) {
        u64 start = timeline_checkpoint_before(g->time, end - 1);
        timeline_seek(g->time, start, NULL, NULL);
        timeline_scan(g->time, end);
        end = start;
        intervals++;
    }
    printf("search back over %llu M steps in %u intervals: %.2f s\n",
           (unsigned long long)((from - end) / 1000000), intervals, cpu_seconds() - begin);
}

int main(int argc, char **argv)
{
    struct guest_files files;
    guest_read_files(&files, argv[1], argv[2]);
    u64 steps = argc > 3 ? strtoull(argv[3], NULL, 0) : UINT64_C(2000000000);
    const char *command = argc > 4 ? argv[4] : COMMAND;
    cost_of_checkpoints(&files, command, steps / 2);
    struct guest g;
    guest_open(&g, &files, TLB_FULL, command, NULL);
    guest_begin_time(&g, TIMELINE_MEMORY_DEFAULT);
    timeline_run(g.time, steps);
    steps = timeline_step(g.time);
    printf("history of %llu M steps: %u checkpoints, %llu MiB\n",
           (unsigned long long)(steps / 1000000), timeline_checkpoint_count(g.time),
           (unsigned long long)(timeline_checkpoint_bytes(g.time) >> 20));
    steps_back(&g, steps);
    far_seeks(&g, steps);
    search_back(&g, steps, steps / 2);
    printf("afterwards: %u checkpoints, %llu MiB\n", timeline_checkpoint_count(g.time),
           (unsigned long long)(timeline_checkpoint_bytes(g.time) >> 20));
    guest_close(&g);
    guest_free_files(&files);
    return 0;
}
