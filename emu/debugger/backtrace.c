// SPDX-License-Identifier: MIT
// Backtraces of CPUs and of tasks that do not run.
#include "debugger/backtrace.h"

#include "base/bits.h"

#include <string.h>

#define KERNEL_HALF (UINT64_C(1) << 63)

// A frame pointer may be anything in code that uses RBP otherwise: what it leads to must be code.
static bool is_believable(const struct walk_space *space, const struct symbol_frame *frame)
{
    struct walk walk;
    walk_linear(space, frame->rip, &walk);
    return frame->how != SYMBOL_UNWIND_FRAME_POINTER || (walk.mapped && walk.executable);
}

unsigned backtrace_from(const struct walk_space *space, struct symbols *symbols,
                        const struct symbol_frame *start, struct backtrace_frame *out,
                        unsigned room)
{
    struct symbol_frame frame = *start;
    struct walk_space copy = *space;
    unsigned count = 0;
    do {
        if (count == room || !is_believable(space, &frame)) {
            break;
        }
        out[count++] = (struct backtrace_frame){frame.rip, frame.gpr[CPU_RSP], frame.gpr[CPU_RBP],
                                                frame.exact, frame.how};
    } while (symbols_unwind(symbols, &frame, walk_read_all, &copy));
    return count;
}

unsigned backtrace_cpu(const struct machine *m, unsigned cpu, struct symbols *symbols,
                       struct backtrace_frame *out, unsigned room)
{
    struct cpu_regs regs;
    struct symbol_frame frame = {.exact = true};
    struct walk_space space = walk_space_of_cpu(m, cpu);
    cpu_get_regs(machine_cpu(m, cpu), &regs);
    memcpy(frame.gpr, regs.gpr, sizeof(frame.gpr));
    frame.rip = regs.rip;
    return backtrace_from(&space, symbols, &frame, out, room);
}

// A task that was switched away goes on behind the exchange of stacks: fern's in switch_stacks(),
// whose unwind table says what lies on its stack there; Linux's where __switch_to_asm was called
// from (struct inactive_task_frame).
static bool saved_frame(struct walk_space *space, struct guest *g, const struct guest_task *task,
                        struct symbols *symbols, struct symbol_frame *frame)
{
    static const u8 saved[] = {15, 14, 13, 12, CPU_RBX, CPU_RBP};
    u64 words[ARRAY_LEN(saved) + 1];
    *frame = (struct symbol_frame){.exact = true};
    frame->gpr[CPU_RSP] = task->kernel_rsp;
    if (!guest_is_linux(g)) {
        return symbols_kernel_address(symbols, "switch_stacks_resume", &frame->rip);
    }
    if (walk_read(space, task->kernel_rsp, words, sizeof(words)) != sizeof(words)) {
        return false;
    }
    for (unsigned i = 0; i < ARRAY_LEN(saved); i++) {
        frame->gpr[saved[i]] = words[i];
    }
    frame->gpr[CPU_RSP] += sizeof(words);
    frame->rip = words[ARRAY_LEN(saved)];
    frame->exact = false;
    return true;
}

unsigned backtrace_task(const struct machine *m, struct guest *g, const struct guest_task *task,
                        struct symbols *symbols, struct backtrace_frame *out, unsigned room)
{
    if (task->cpu >= 0) {
        return backtrace_cpu(m, (unsigned)task->cpu, symbols, out, room);
    }
    struct symbol_frame frame;
    struct walk_space space = guest_space(g, task);
    if (!task->kernel_rsp || !saved_frame(&space, g, task, symbols, &frame)) {
        return 0;
    }
    return backtrace_from(&space, symbols, &frame, out, room);
}

#define INLINES_MAX 16

static void print_place(FILE *out, const char *file, unsigned line)
{
    if (file) {
        fprintf(out, " (%s:%u)", file, line);
    }
    fputc('\n', out);
}

// The function with the line in itself, below it what was inlined there.
static void print_frame(FILE *out, struct symbols *symbols, u64 rip, bool exact)
{
    struct symbol_place place = {0};
    struct symbol_inline inlines[INLINES_MAX];
    // A return address belongs to the call before it.
    bool found = symbols && symbols_place(symbols, rip - !exact, &place);
    if (!found || !place.name) {
        fprintf(out, "??%s%s%s\n", found ? " (" : "", found ? place.object : "", found ? ")" : "");
        return;
    }
    fprintf(out, "%s+0x%llx", place.name, (unsigned long long)(rip - place.start));
    unsigned count = symbols_inlines(symbols, rip - !exact, inlines, INLINES_MAX);
    if (!count) {
        print_place(out, place.file, place.line);
        return;
    }
    print_place(out, inlines[count - 1].file, inlines[count - 1].line);
    for (unsigned i = count - 1; i > 0; i--) {
        const struct symbol_inline *inlined = &inlines[i - 1];
        fprintf(out, "%*sin %s", 24, "", inlined->name ? inlined->name : "?");
        print_place(out, inlined->file, inlined->line);
    }
}

void backtrace_print(FILE *out, struct symbols *symbols, const struct backtrace_frame *frames,
                     unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct backtrace_frame *f = &frames[i];
        if (i > 0 && f->rip < KERNEL_HALF && frames[i - 1].rip >= KERNEL_HALF) {
            fputs("     --- user mode ---\n", out);
        }
        fprintf(out, "#%-3u 0x%016llx ", i, (unsigned long long)f->rip);
        print_frame(out, symbols, f->rip, f->exact);
    }
}
