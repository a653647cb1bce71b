// SPDX-License-Identifier: MIT
// "diff": what differs between two states of one history.
#include "debugger/commands.h"

#include "base/bits.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 64
#define PAGES_SHOWN 16

struct state {
    struct cpu_regs regs;
    u64 parts[PARTS_MAX];
    char names[PARTS_MAX][80];
    unsigned part_count;
    u64 *pages; // a hash of each page of RAM
};

static void add_part(void *ctx, const char *part, u64 hash)
{
    struct state *s = ctx;
    if (s->part_count < PARTS_MAX) {
        snprintf(s->names[s->part_count], sizeof(s->names[0]), "%s", part);
        s->parts[s->part_count++] = hash;
    }
}

static u64 page_count(struct target *t)
{
    return machine_memory(t->m)->ram_bytes >> PAGE_SHIFT;
}

// Enough to see that a page differs: FNV-1a over its words. 0: the page is zero.
static u64 page_sum(const u8 *page)
{
    u64 sum = UINT64_C(14695981039346656037), any = 0;
    for (u64 i = 0; i < PAGE_SIZE; i += sizeof(u64)) {
        u64 word;
        memcpy(&word, page + i, sizeof(word));
        any |= word;
        sum = (sum ^ word) * UINT64_C(1099511628211);
    }
    return any ? sum : 0;
}

static void take_state(struct target *t, struct state *s)
{
    const struct physmem *mem = machine_memory(t->m);
    target_regs(t, &s->regs);
    machine_hash_parts(t->m, add_part, s);
    s->pages = xcalloc(page_count(t), sizeof(u64));
    for (u32 rpn = 0; rpn < page_count(t); rpn++) {
        if (mem->page_epoch[rpn]) { // else never written
            s->pages[rpn] = page_sum(physmem_page(mem, rpn));
        }
    }
}

static void diff_number(const char *name, u64 then, u64 now, FILE *out)
{
    if (then != now) {
        fprintf(out, "%-10s 0x%016llx -> 0x%016llx\n", name, (unsigned long long)then,
                (unsigned long long)now);
    }
}

static void diff_regs(const struct cpu_regs *then, const struct cpu_regs *now, FILE *out)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        diff_number(names[i], then->gpr[i], now->gpr[i], out);
    }
    diff_number("rip", then->rip, now->rip, out);
    diff_number("rflags", then->rflags, now->rflags, out);
    diff_number("ring", then->cpl, now->cpl, out);
    diff_number("cr2", then->cr2, now->cr2, out);
    diff_number("cr3", then->cr3, now->cr3, out);
    diff_number("fs_base", then->seg[CPU_FS].base, now->seg[CPU_FS].base, out);
    diff_number("gs_base", then->seg[CPU_GS].base, now->seg[CPU_GS].base, out);
    diff_number("k_gs_base", then->kernel_gs_base, now->kernel_gs_base, out);
}

static void diff_parts(const struct state *then, const struct state *now, FILE *out)
{
    const char *separator = "also differ: ";
    for (unsigned i = 0; i < now->part_count && i < then->part_count; i++) {
        if (now->parts[i] != then->parts[i]) {
            fprintf(out, "%s%s", separator, now->names[i]);
            separator = ", ";
        }
    }
    fputs(*separator == ',' ? "\n" : "", out);
}

static void diff_pages(struct target *t, const struct state *then, const struct state *now,
                       FILE *out)
{
    unsigned count = 0;
    for (u32 rpn = 0; rpn < page_count(t); rpn++) {
        if (then->pages[rpn] == now->pages[rpn]) {
            continue;
        }
        if (count++ < PAGES_SHOWN) {
            fprintf(out, "%s0x%llx", count == 1 ? "pages: " : " ",
                    (unsigned long long)physmem_gpa(machine_memory(t->m), rpn));
        }
    }
    if (count > PAGES_SHOWN) {
        fprintf(out, " and %u more", count - PAGES_SHOWN);
    }
    fputs(count ? "\n" : "", out);
}

static void free_state(struct state *s)
{
    free(s->pages);
    free(s);
}

bool cmd_state_diff(struct target *t, const char *args, FILE *out)
{
    u64 step, here = timeline_step(t->timeline);
    if (args_end(args)) {
        return command_usage("diff", out);
    }
    if (!args_step(t, args, &step, out)) {
        return false;
    }
    if (step == here) {
        fputs("the same state\n", out);
        return true;
    }
    if (step > timeline_end(t->timeline)) {
        fputs("history does not reach that far\n", out);
        return false;
    }
    struct state *now = xcalloc(1, sizeof(*now)), *then = xcalloc(1, sizeof(*then));
    take_state(t, now);
    timeline_checkpoint(t->timeline);
    bool done = engine_seek(t, step);
    if (done) {
        take_state(t, then);
        diff_regs(&then->regs, &now->regs, out);
        diff_parts(then, now, out);
        diff_pages(t, then, now, out);
    } else {
        fputs("cancelled\n", out);
    }
    engine_return(t, here);
    free_state(now);
    free_state(then);
    return done;
}
