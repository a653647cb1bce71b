// SPDX-License-Identifier: MIT
// Registers, stack, memory, and panels that are a command's output.
#include "frontends/tui_internal.h"

#include "mmu/fault.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const gpr_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static void draw_flags(struct tui *t, struct tui_rect r, int x, int y)
{
    static const struct {
        u8 bit;
        char name;
    } flags[] = {{11, 'O'}, {10, 'D'}, {9, 'I'}, {8, 'T'}, {7, 'S'},
                 {6, 'Z'},  {4, 'A'},  {2, 'P'}, {0, 'C'}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        u64 mask = UINT64_C(1) << flags[i].bit;
        bool on = t->regs.rflags & mask;
        u8 style = (t->regs.rflags ^ t->before.rflags) & mask ? TUI_CHANGED
                   : on                                       ? TUI_PLAIN
                                                              : TUI_DIM;
        char text[2] = {(char)(on ? flags[i].name : tolower(flags[i].name)), '\0'};
        x = tui_text(&t->cells, r, x, y, style, text);
    }
}

static void draw_register(struct tui *t, struct tui_rect r, int x, int y, const char *name, u64 now,
                          u64 before)
{
    tui_print(&t->cells, r, x, y, TUI_DIM, "%-4s", name);
    tui_print(&t->cells, r, x + 4, y, now != before ? TUI_CHANGED : TUI_PLAIN, "%016llx",
              (unsigned long long)now);
}

void tui_draw_registers(struct tui *t, struct tui_rect r)
{
    const struct cpu_regs *a = &t->regs, *b = &t->before;
    int columns = r.width >= 43 ? 2 : 1, rows = 16 / columns;
    for (int i = 0; i < 16; i++) {
        draw_register(t, r, 22 * (i / rows), i % rows, gpr_names[i], a->gpr[i], b->gpr[i]);
    }
    int y = rows;
    draw_register(t, r, 0, y, "rip", a->rip, b->rip);
    if (columns == 2) {
        draw_register(t, r, 22, y, "cr2", a->cr2, b->cr2);
        draw_register(t, r, 0, y + 1, "cr3", a->cr3, b->cr3);
    }
    draw_flags(t, r, columns == 2 ? 26 : 4, y + 1);
}

void tui_draw_stack(struct tui *t, struct tui_rect r)
{
    u64 rsp = t->regs.gpr[CPU_RSP] + (u64)t->scroll * 8;
    for (int y = 0; y < r.height; y++) {
        u64 address = rsp + 8 * (u64)y, value;
        char place[100];
        int x = tui_print(&t->cells, r, 0, y, TUI_ADDRESS, "%016llx +%-4llx",
                          (unsigned long long)address,
                          (unsigned long long)(address - t->regs.gpr[CPU_RSP]));
        if (target_read(t->target, address, &value, 8) != 8) {
            tui_text(&t->cells, r, x + 1, y, TUI_DIM, "not mapped");
            continue;
        }
        x = tui_print(&t->cells, r, x + 1, y,
                      value == t->regs.gpr[CPU_RBP] ? TUI_CHANGED : TUI_PLAIN, "%016llx",
                      (unsigned long long)value);
        tui_place(t, value, place, sizeof(place));
        tui_text(&t->cells, r, x + 2, y, TUI_NAME, place);
    }
}

void tui_draw_memory(struct tui *t, struct tui_rect r)
{
    u64 start = t->memory_chosen ? t->memory_address : t->regs.gpr[CPU_RSP] & ~UINT64_C(15);
    start += (u64)((s64)t->scroll * 16);
    for (int y = 0; y < r.height; y++) {
        u8 bytes[16];
        u64 address = start + 16 * (u64)y;
        u64 got = target_read(t->target, address, bytes, sizeof(bytes));
        int x = tui_print(&t->cells, r, 0, y, TUI_ADDRESS, "%016llx ", (unsigned long long)address);
        for (unsigned i = 0; i < 16; i++) {
            x += i == 8;
            x = i < got ? tui_print(&t->cells, r, x + 1, y, bytes[i] ? TUI_PLAIN : TUI_DIM, "%02x",
                                    bytes[i])
                        : tui_text(&t->cells, r, x + 1, y, TUI_DIM, "--");
        }
        x++;
        for (unsigned i = 0; i < got; i++) {
            char text[2] = {isprint(bytes[i]) ? (char)bytes[i] : '.', '\0'};
            x = tui_text(&t->cells, r, x, y, TUI_NAME, text);
        }
    }
}

void tui_pager_free(struct tui_pager *p)
{
    free(p->text);
    free(p->lines);
    *p = (struct tui_pager){0};
}

void tui_pager_set(struct tui_pager *p, char *text)
{
    tui_pager_free(p);
    p->text = text;
    for (char *c = text; *c; c++) {
        p->count += *c == '\n';
    }
    p->lines = calloc((size_t)p->count + 2, sizeof(char *));
    p->count = 0;
    for (char *line = text; line && *line;) {
        p->lines[p->count++] = line;
        line = strchr(line, '\n');
        if (line) {
            *line++ = '\0';
        }
    }
}

// The commands' output, one after the other; they are separated by semicolons.
static char *output_of(struct tui *t, const char *commands)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    while (*commands) {
        char command[TUI_LINE_MAX];
        size_t length = strcspn(commands, ";");
        snprintf(command, sizeof(command), "%.*s", (int)length, commands);
        target_command(t->target, command, out);
        commands += length + (commands[length] == ';');
    }
    fclose(out);
    return text;
}

void tui_draw_command(struct tui *t, struct tui_rect r, const char *commands)
{
    u64 step = target_step(t->target);
    if (strcmp(commands, t->panel_command) != 0 || step != t->panel_step) {
        tui_pager_set(&t->panel_text, output_of(t, commands));
        snprintf(t->panel_command, sizeof(t->panel_command), "%s", commands);
        t->panel_step = step;
    }
    int most = t->panel_text.count - r.height;
    t->scroll = t->scroll > most ? most : t->scroll;
    t->scroll = t->scroll < 0 ? 0 : t->scroll;
    for (int y = 0; y < r.height && t->scroll + y < t->panel_text.count; y++) {
        tui_text(&t->cells, r, 0, y, TUI_PLAIN, t->panel_text.lines[t->scroll + y]);
    }
}

// The address chosen, else that of the last page fault, with its access.
void tui_draw_walk(struct tui *t, struct tui_rect r)
{
    char command[TUI_LINE_MAX];
    const struct events *events = target_events(t->target);
    u64 i = events_before(events, target_step(t->target) + 1);
    while (i > 0 && events_get(events, i - 1)->event.kind != PROBE_page_fault) {
        i--;
    }
    if (t->memory_chosen || i == 0) {
        snprintf(command, sizeof(command), "walk 0x%llx",
                 (unsigned long long)(t->memory_chosen ? t->memory_address : t->regs.cr2));
    } else {
        const struct probe_event *e = &events_get(events, i - 1)->event;
        snprintf(command, sizeof(command), "walk 0x%llx %s%s", (unsigned long long)e->address,
                 e->error_code & PF_FETCH   ? "x"
                 : e->error_code & PF_WRITE ? "w"
                                            : "r",
                 e->from_cpl == 3 ? " user" : "");
    }
    tui_draw_command(t, r, command);
}
