// SPDX-License-Identifier: MIT
// The code panel: disassembly around RIP with the source line, and the user's side beside the
// kernel's while it serves a system call or a fault.
#include "frontends/tui_internal.h"

#include "debugger/backtrace.h"

#include <string.h>

#define TWO_SIDES_WIDTH 80
#define USER_TOP UINT64_C(0x0000800000000000)

static bool read_all(void *ctx, u64 linear, void *out, u64 size)
{
    return target_read(ctx, linear, out, size) == size;
}

static unsigned code_bits(const struct cpu_regs *regs, u64 rip)
{
    const struct cpu_segment *cs = &regs->seg[CPU_CS];
    bool long_mode = (regs->efer & 0x400) != 0; // LMA
    return long_mode && ((cs->attributes & 0x2000) || rip >= USER_TOP) ? 64
           : (cs->attributes & 0x4000)                                 ? 32
                                                                      : 16;
}

static int draw_source_line(struct tui *t, struct tui_rect r, u64 rip)
{
    struct symbols *symbols = target_symbols(t->target);
    struct symbol_place place;
    if (!symbols || !symbols_place(symbols, rip, &place) || !place.name) {
        return 0;
    }
    int x = tui_print(&t->cells, r, 0, 0, TUI_NAME, "%s+0x%llx", place.name,
                      (unsigned long long)place.offset);
    if (place.file) {
        tui_print(&t->cells, r, x + 2, 0, TUI_DIM, "%s:%u", place.file, place.line);
    }
    return 1;
}

static void draw_side(struct tui *t, struct tui_rect r, u64 rip, u8 style)
{
    int y = draw_source_line(t, r, rip);
    unsigned bits = code_bits(&t->regs, rip);
    int above = (r.height - y) / 3;
    u64 address = disas_back(t->disas, bits, read_all, t->target, rip, (unsigned)above);
    for (; y < r.height; y++) {
        u8 bytes[15];
        struct disas_insn insn;
        u64 got = target_read(t->target, address, bytes, sizeof(bytes));
        if (!got || !disas_insn(t->disas, bits, address, bytes, got, &insn)) {
            tui_print(&t->cells, r, 0, y, TUI_DIM, "  %16llx  not mapped",
                      (unsigned long long)address);
            return;
        }
        bool current = address == rip;
        if (current) {
            tui_fill(&t->cells, (struct tui_rect){r.x, r.y + y, r.width, 1}, TUI_CURRENT);
        }
        int x = tui_print(&t->cells, r, 0, y, current ? TUI_CURRENT : TUI_ADDRESS, "%s%llx ",
                          current ? "► " : "  ", (unsigned long long)address);
        x = tui_text(&t->cells, r, x + 1, y, current ? TUI_CURRENT : style, insn.text);
        tui_text(&t->cells, r, x + 1, y, current ? TUI_CURRENT : TUI_NAME, insn.comment);
        address += insn.length;
    }
}

u64 tui_user_rip(struct tui *t)
{
    struct backtrace_frame frames[32];
    if (t->regs.cpl == 3 || !target_symbols(t->target)) {
        return 0;
    }
    unsigned count = backtrace_cpu(target_machine(t->target), target_cpu(t->target),
                                   target_symbols(t->target), frames, 32);
    for (unsigned i = 0; i < count; i++) {
        if (frames[i].rip && frames[i].rip < USER_TOP) {
            return frames[i].rip;
        }
    }
    return 0;
}

void tui_draw_code(struct tui *t, struct tui_rect r)
{
    u8 style = t->regs.cpl == 3 ? TUI_PLAIN : TUI_KERNEL;
    u64 user = r.width >= TWO_SIDES_WIDTH && !t->running ? tui_user_rip(t) : 0;
    if (!user) {
        draw_side(t, r, t->regs.rip, style);
        return;
    }
    int half = r.width / 2;
    struct tui_rect left = {r.x, r.y, half - 1, r.height};
    struct tui_rect right = {r.x + half + 1, r.y, r.width - half - 1, r.height};
    draw_side(t, left, user, TUI_USER);
    for (int y = 0; y < r.height; y++) {
        tui_set(&t->cells, r.x + half, r.y + y, 0x2502, TUI_DIM);
    }
    draw_side(t, right, t->regs.rip, style);
}
