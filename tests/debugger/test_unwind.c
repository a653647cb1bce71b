// SPDX-License-Identifier: MIT
// test_unwind FERN ROOTFS PROGRAM: backtraces from thousands of moments of a boot. Each goes up to
// user mode or an outermost function of the kernel, and has every return address that the chain of
// frame pointers has, in order. ROOTFS has PROGRAM as /lines.
#include "boot.h"

#include "debugger/backtrace.h"

#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__ // gcc; a tenth as fast
#define STRIDE 4993
#else
#define STRIDE 499
#endif
#define KERNEL_STACK_SIZE 16384
#define BOOT_STEPS 9000000

static unsigned samples, kernel_samples, through_to_user, bad_ends, bad_chains, by_frame_pointer;
static unsigned user_registers, bad_user_registers, user_samples, user_through_main;

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

static bool is_in(struct boot *b, const struct backtrace_frame *frame, const char *const *names)
{
    struct symbol_place place;
    bool known = symbols_name(b->symbols, frame->rip, &place) && place.name;
    for (; known && *names; names++) {
        if (!strcmp(place.name, *names)) {
            return true;
        }
    }
    return false;
}

// User mode, the first functions of the boot and of kernel threads, or the entry while execve has
// wiped the old program's registers and not yet written the new one's.
static bool is_outermost(struct boot *b, const struct backtrace_frame *frames, unsigned count)
{
    static const char *const first[] = {"ret_from_fork", "higher_half", "pvh_start",
                                        "pvh_start_phys", NULL};
    static const char *const execve[] = {"start_thread", NULL};
    const struct backtrace_frame *last = &frames[count - 1];
    for (unsigned i = 0; i < count; i++) {
        if (is_in(b, &frames[i], execve)) {
            return true;
        }
    }
    return last->rip < UINT64_C(1) << 63 || is_in(b, last, first);
}

static void complain(struct boot *b, const char *what, const struct backtrace_frame *frames,
                     unsigned count)
{
    printf("# %s at step %llu:\n", what, (unsigned long long)boot_step(b));
    backtrace_print(stdout, b->symbols, frames, count);
}

// The program's registers at the end of the kernel's frames are those that the entry saved at the
// top of the kernel stack.
static void check_user_registers(struct boot *b, struct guest *g,
                                 const struct backtrace_frame *frames, unsigned count)
{
    static const char *const names[3] = {"ip", "sp", "bp"};
    struct walk_space space = walk_space_of_cpu(b->m, 0);
    struct symbol_place place;
    struct guest_task task;
    u64 size = 0, saved[3] = {0, 0, 0};
    unsigned user = 0;
    while (user < count && (s64)frames[user].rip < 0) {
        user++;
    }
    bool in_entry = symbols_place(b->symbols, frames[0].rip, &place) && place.file &&
                    !strcmp(place.file, "x86_64/entry.S");
    if (in_entry || user == count || !guest_current(g, 0, &task) ||
        frames[0].rsp - task.kernel_stack >= KERNEL_STACK_SIZE ||
        !symbols_struct_size(b->symbols, "pt_regs", &size)) {
        return; // the frame is being made or taken apart, or the task is being switched
    }
    for (unsigned i = 0; i < 3; i++) {
        struct symbol_member m;
        symbols_member(b->symbols, "pt_regs", names[i], &m);
        walk_read(&space, task.kernel_stack + KERNEL_STACK_SIZE - size + m.offset, &saved[i], 8);
    }
    user_registers++;
    const struct backtrace_frame *f = &frames[user];
    if ((f->rip != saved[0] || f->rsp != saved[1] || f->rbp != saved[2]) &&
        bad_user_registers++ < 5) {
        complain(b, "other registers than the entry saved", frames, count);
    }
}

static void sample(struct boot *b, struct guest *g)
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
    check_user_registers(b, g, frames, count);
    for (unsigned i = 1; i < count; i++) {
        by_frame_pointer +=
            (s64)frames[i - 1].rip < 0 && frames[i].how == SYMBOL_UNWIND_FRAME_POINTER;
    }
    if (!is_outermost(b, frames, count) && bad_ends++ < 5) {
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
static void sleeping_tasks(struct boot *b, struct guest *g)
{
    struct guest_task tasks[64];
    unsigned seen = 0, whole = 0, count = guest_tasks(g, tasks, 64);
    for (unsigned i = 0; i < count; i++) {
        struct backtrace_frame frames[BACKTRACE_MAX];
        unsigned n = backtrace_task(b->m, g, &tasks[i], b->symbols, frames, BACKTRACE_MAX);
        if (tasks[i].cpu >= 0 || tasks[i].state == 'Z') {
            continue;
        }
        seen++;
        bool ok = n > 1 && is_outermost(b, frames, n);
        whole += ok;
        if (!ok) {
            complain(b, tasks[i].comm, frames, n);
        }
    }
    tap(seen > 3 && whole == seen, "%u of %u waiting tasks unwind to their start", whole, seen);
}

// A program with symbols and unwind tables: every backtrace out of its functions, and out of the
// kernel that serves it, goes through main().
static void program(const char *fern, const char *rootfs, const char *path)
{
    struct boot b;
    boot_open(&b, fern, rootfs, "/lines");
    struct status status = symbols_add(b.symbols, path, 0, false);
    struct guest *g = guest_create(b.m, b.symbols);
    u64 main_address = 0;
    symbols_address(b.symbols, "main", &main_address);
    while (status_ok(&status) && boot_step(&b) < BOOT_STEPS && boot_run(&b, 97)) {
        struct guest_task task;
        struct backtrace_frame frames[BACKTRACE_MAX];
        if (!guest_current(g, 0, &task) || strcmp(task.comm, "lines")) {
            continue;
        }
        guest_follow(g, &task);
        unsigned n = backtrace_cpu(b.m, 0, b.symbols, frames, BACKTRACE_MAX), in_main = 0;
        bool in_leaf = false;
        for (unsigned i = 0; i < n; i++) {
            struct symbol_place place = {0};
            symbols_name(b.symbols, frames[i].rip - !frames[i].exact, &place);
            in_leaf |=
                place.name && (!strcmp(place.name, "lines_middle") ||
                               !strcmp(place.name, "_IO_printf") || !strcmp(place.name, "printf"));
            in_main += place.name && place.start == main_address;
        }
        user_samples += in_leaf;
        user_through_main += in_leaf && in_main;
        if (in_leaf && !in_main) {
            complain(&b, "main is not above", frames, n);
        }
    }
    tap(user_samples > 10 && user_through_main == user_samples,
        "%u of %u backtraces of a program go through main()", user_through_main, user_samples);
    guest_destroy(g);
    boot_close(&b);
}

int main(int argc, char **argv)
{
    struct boot b;
    if (argc != 4) {
        return 2;
    }
    boot_open(&b, argv[1], argv[2], "sleep 1 & ls -l /etc | wc -l; ps");
    struct guest *g = guest_create(b.m, b.symbols);
    bool tasks_done = false;
    while (g && boot_step(&b) < BOOT_STEPS && boot_run(&b, STRIDE)) {
        sample(&b, g);
        if (!tasks_done && b.output_size) {
            tasks_done = true;
            sleeping_tasks(&b, g);
        }
    }
    tap(kernel_samples > 500, "%u moments, %u in the kernel", samples, kernel_samples);
    tap(bad_ends == 0, "all but %u reach user mode (%u) or an outermost function", bad_ends,
        through_to_user);
    tap(bad_chains == 0, "all but %u have the frame pointers' return addresses", bad_chains);
    tap(by_frame_pointer == 0, "%u kernel frames had no unwind table", by_frame_pointer);
    tap(user_registers > 100 && bad_user_registers == 0,
        "the user's registers are found %u times, all but %u right", user_registers,
        bad_user_registers);
    tap(tasks_done, "the command ran");
    guest_destroy(g);
    boot_close(&b);
    program(argv[1], argv[2], argv[3]);
    return tap_end();
}
