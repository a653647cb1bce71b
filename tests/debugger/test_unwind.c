// SPDX-License-Identifier: MIT
// test_unwind FERN ROOTFS: backtraces from thousands of moments of a boot. Each goes up to user
// mode or an outermost function of the kernel, and has every return address that the chain of frame
// pointers has, in order.
#include "boot.h"

#include "debugger/backtrace.h"

#include <stdlib.h>
#include <string.h>

#define STRIDE 499
#define BOOT_STEPS 6000000

static unsigned samples, kernel_samples, through_to_user, bad_ends, bad_chains, by_frame_pointer;

// Return addresses by following RBP as long as it stays in the kernel.
static unsigned frame_chain(const struct walk_space *space, u64 rbp, u64 *out, unsigned room)
{
    unsigned count = 0;
    u64 pair[2];
    while (count < room && (s64)rbp < 0 && walk_read(space, rbp, pair, 16) == 16 &&
           (s64)pair[1] < 0) {
        out[count++] = pair[1];
        if (pair[0] <= rbp) {
            break;
        }
        rbp = pair[0];
    }
    return count;
}

static bool chain_is_part(const u64 *chain, unsigned chain_count,
                          const struct backtrace_frame *frames, unsigned count)
{
    unsigned at = 0;
    for (unsigned i = 0; i < count && at < chain_count; i++) {
        at += frames[i].rip == chain[at];
    }
    return at == chain_count;
}

static bool is_outermost(struct boot *b, const struct backtrace_frame *frame)
{
    static const char *const names[] = {"ret_from_fork", "higher_half", "pvh_start",
                                        "pvh_start_phys"};
    struct symbol_place place;
    if (frame->rip < UINT64_C(1) << 63) {
        return true;
    }
    if (!symbols_name(b->symbols, frame->rip, &place) || !place.name) {
        return false;
    }
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(place.name, names[i])) {
            return true;
        }
    }
    return false;
}

static void complain(struct boot *b, const char *what, const struct backtrace_frame *frames,
                     unsigned count)
{
    printf("# %s at step %llu:\n", what, (unsigned long long)boot_step(b));
    backtrace_print(stdout, b->symbols, frames, count);
}

static void sample(struct boot *b)
{
    struct backtrace_frame frames[BACKTRACE_MAX];
    struct walk_space space = walk_space_of_cpu(b->m, 0);
    u64 chain[BACKTRACE_MAX];
    samples++;
    unsigned count = backtrace_cpu(b->m, 0, b->symbols, frames, BACKTRACE_MAX);
    if ((s64)frames[0].rip >= 0) {
        return;
    }
    kernel_samples++;
    through_to_user += (s64)frames[count - 1].rip >= 0;
    for (unsigned i = 1; i < count; i++) {
        by_frame_pointer +=
            (s64)frames[i - 1].rip < 0 && frames[i].how == SYMBOL_UNWIND_FRAME_POINTER;
    }
    if (!is_outermost(b, &frames[count - 1]) && bad_ends++ < 5) {
        complain(b, "the chain ends early", frames, count);
    }
    struct symbol_place place;
    if (!symbols_place(b->symbols, frames[0].rip, &place) || !place.file) {
        return; // libfdt, which uses RBP for other things
    }
    if (place.name && !strcmp(place.name, "switch_stacks_resume")) {
        return; // RBP is still the task's that was switched away
    }
    unsigned chain_count = frame_chain(&space, frames[0].rbp, chain, BACKTRACE_MAX);
    if (!chain_is_part(chain, chain_count, frames, count) && bad_chains++ < 5) {
        complain(b, "a return address of the frame pointers is missing", frames, count);
        for (unsigned i = 0; i < chain_count; i++) {
            printf("#   %#llx\n", (unsigned long long)chain[i]);
        }
    }
}

// A task that waits is unwound from where it was switched away.
static void sleeping_tasks(struct boot *b)
{
    struct guest *g = guest_create(b->m, b->symbols);
    struct guest_task tasks[64];
    unsigned seen = 0, whole = 0, count = g ? guest_tasks(g, tasks, 64) : 0;
    for (unsigned i = 0; i < count; i++) {
        struct backtrace_frame frames[BACKTRACE_MAX];
        unsigned n = backtrace_task(b->m, g, &tasks[i], b->symbols, frames, BACKTRACE_MAX);
        if (tasks[i].cpu >= 0 || tasks[i].state == 'Z') {
            continue;
        }
        seen++;
        bool ok = n > 1 && is_outermost(b, &frames[n - 1]);
        whole += ok;
        if (!ok) {
            complain(b, tasks[i].comm, frames, n);
        }
    }
    tap(seen > 3 && whole == seen, "%u of %u waiting tasks unwind to their start", whole, seen);
    guest_destroy(g);
}

int main(int argc, char **argv)
{
    struct boot b;
    if (argc != 3) {
        return 2;
    }
    boot_open(&b, argv[1], argv[2], "sleep 1 & ls -l /etc | wc -l; ps");
    bool tasks_done = false;
    while (boot_step(&b) < BOOT_STEPS && boot_run(&b, STRIDE)) {
        sample(&b);
        if (!tasks_done && b.output_size) {
            tasks_done = true;
            sleeping_tasks(&b);
        }
    }
    tap(kernel_samples > 1000, "%u moments, %u in the kernel", samples, kernel_samples);
    tap(bad_ends == 0, "all but %u reach user mode (%u) or an outermost function", bad_ends,
        through_to_user);
    tap(bad_chains == 0, "all but %u have the frame pointers' return addresses", bad_chains);
    tap(by_frame_pointer == 0, "%u kernel frames had no unwind table", by_frame_pointer);
    tap(tasks_done, "the command ran");
    boot_close(&b);
    return tap_end();
}
