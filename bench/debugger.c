// SPDX-License-Identifier: MIT
// debugger KERNEL DISK [STEPS]: what the debugger's questions cost in a fern session of so many
// steps. CPU time: it is all computing, and other loads on the host are not meant.
#include "../tests/replay/guest.h"

#include "base/bits.h"
#include "debugger/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COMMAND                                                                                    \
    "while :; do ls -lR / >/tmp/list; sort /tmp/list | md5sum; gzip </tmp/list >/root/z; "         \
    "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; ps >/dev/null; done"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, double begin, struct target *t)
{
    double spent = seconds() - begin;
    printf("%-58s %10.3f ms  %s\n", what, spent * 1e3, t ? target_last_stop(t)->text : "");
    fflush(stdout);
}

static void steps_back(struct target *t, u64 end)
{
    double begin, worst = 0, sum = 0;
    for (unsigned i = 1; i <= 8; i++) {
        target_seek(t, end / 9 * i);
        target_move(t, TARGET_FORWARD, TARGET_INSTRUCTION, 10000000); // arrive by running
        begin = seconds();
        target_move(t, TARGET_BACK, TARGET_INSTRUCTION, 1);
        double spent = seconds() - begin;
        worst = spent > worst ? spent : worst;
        sum += spent;
    }
    printf("%-58s %10.3f ms  (worst %.3f)\n", "reverse-stepi, cold, mean of 8", sum / 8 * 1e3,
           worst * 1e3);
    begin = seconds();
    for (unsigned i = 0; i < 1000; i++) {
        target_move(t, TARGET_BACK, TARGET_INSTRUCTION, 1);
    }
    report("reverse-stepi, warm, 1000 of them", begin, NULL);
    begin = seconds();
    for (unsigned i = 0; i < 100; i++) {
        target_move(t, TARGET_BACK, TARGET_NEXT, 1);
    }
    report("reverse-nexti, 100 of them", begin, NULL);
}

static void back_to(struct target *t, u64 end, const char *what, struct target_point *point)
{
    int number = 0;
    target_seek(t, end / 2);
    target_move(t, TARGET_FORWARD, TARGET_INSTRUCTION, 1000);
    point->enabled = true;
    point->selector = -1;
    if (point->kind != TARGET_POINT_BREAK || point->address) {
        target_point_add(t, point, &number);
    }
    double begin = seconds();
    target_continue(t, TARGET_BACK);
    report(what, begin, t);
    target_point_remove(t, number);
}

static void queries(struct target *t, u64 end)
{
    struct cpu_regs regs;
    struct target_writer w;
    target_seek(t, end);
    target_get_regs(t, 0, &regs);
    u64 per_cpu = regs.cpl ? regs.kernel_gs_base : regs.seg[CPU_GS].base;
    for (u64 offset = 0; offset < 64; offset += 16) {
        double start = seconds();
        w = target_who_wrote(t, per_cpu + offset, 8, false);
        report(offset ? "who-wrote once indexed (goal 4000 ms)"
                      : "who-wrote of a word of the per-CPU page, not indexed yet",
               start, NULL);
        printf("    %s, step %llu\n", w.found ? "found" : "never", (unsigned long long)w.step);
    }
    double begin = seconds();
    w = target_who_wrote(t, 0x300, 8, true);
    report("who-wrote of a byte that nobody wrote", begin, NULL);
    begin = seconds();
    w = target_who_wrote(t, 0x200000, 8, true);
    report("who-wrote of the kernel's first byte", begin, NULL);
    struct target_writer mapped[4];
    begin = seconds();
    target_when_mapped(t, regs.rip, mapped);
    report("when-mapped of RIP", begin, NULL);
    begin = seconds();
    target_ledger(t);
    report("events around here", begin, NULL);
}

int main(int argc, char **argv)
{
    struct guest_files files;
    struct guest g;
    u64 steps = argc > 3 ? strtoull(argv[3], NULL, 0) : UINT64_C(2000000000), never = 0;
    guest_read_files(&files, argv[1], argv[2]);
    guest_open(&g, &files, TLB_FULL, COMMAND, NULL);
    guest_begin_time(&g, TIMELINE_MEMORY_DEFAULT);
    struct symbols *symbols = symbols_create();
    symbols_add(symbols, argv[1], 0, true);
    struct target_config config = {.timeline = g.time, .symbols = symbols};
    struct target *t = target_create(&config);
    double begin = seconds();
    target_move(t, TARGET_FORWARD, TARGET_INSTRUCTION, steps);
    report("the run itself", begin, t);
    steps_back(t, steps);
    symbols_address(symbols, "panic", &never);
    struct target_point nothing = {.kind = TARGET_POINT_BREAK};
    struct target_point function = {.kind = TARGET_POINT_BREAK, .address = never};
    struct target_point kernel = {
        .kind = TARGET_POINT_WATCH_WRITE, .address = 0xffffffff80200000, .size = 8};
    struct target_point user = {
        .kind = TARGET_POINT_WATCH_WRITE, .address = 0x700000000000, .size = 8};
    struct target_point caught = {.kind = TARGET_POINT_CATCH, .catches = TARGET_CATCH_SYSCALL};
    snprintf(caught.condition, sizeof(caught.condition), "$step < 3000000");
    back_to(t, steps, "reverse-continue over half, no points", &nothing);
    back_to(t, steps, "reverse-continue over half, breakpoint at panic", &function);
    back_to(t, steps, "reverse-continue over half, kernel watchpoint", &kernel);
    back_to(t, steps, "reverse-continue over half, user watchpoint", &user);
    back_to(t, steps, "reverse-continue over half, syscalls with a condition", &caught);
    queries(t, steps);
    target_destroy(t);
    symbols_destroy(symbols);
    guest_close(&g);
    guest_free_files(&files);
    return 0;
}
