// SPDX-License-Identifier: MIT
// The parts of the terminal debugger.
#ifndef VIV_FRONTENDS_TUI_INTERNAL_H
#define VIV_FRONTENDS_TUI_INTERNAL_H

#include "debugger/disas.h"
#include "debugger/events.h"
#include "debugger/guest.h"
#include "frontends/tui.h"
#include "frontends/tui_cells.h"
#include "frontends/tui_screen.h"

#define TUI_LINE_MAX 200
#define TUI_HISTORY 50

enum tui_panel {
#define PANEL(name, title) TUI_PANEL_##name,
#include "frontends/tui_panels.def"
#undef PANEL
    TUI_PANEL_COUNT
};

// Text by lines, as commands print it.
struct tui_pager {
    char *text;
    char **lines;
    int count, top;
};

// What a typed line is for.
enum tui_prompt { TUI_NO_PROMPT, TUI_COMMAND, TUI_SEARCH, TUI_SEEK, TUI_WHO_WROTE, TUI_WHEN_MAPPED,
                  TUI_BREAK, TUI_BOOKMARK, TUI_MEMORY };

struct tui {
    struct tui_config config;
    struct target *target;
    struct disas *disas;
    struct tui_cells cells;

    enum tui_panel panel;  // in the lower half
    bool typing;           // keys go to the guest
    bool escape;           // Ctrl-A was typed
    bool running;          // the guest runs while we draw
    bool paused_by_user;
    bool quit, on_terminal;
    bool busy;             // inside a movement: only cancelling is listened to
    u64 busy_drawn_ns;

    struct cpu_regs regs, before; // now, and at the stop before
    u64 regs_step;
    u64 memory_address;    // of the memory and walk panels
    bool memory_chosen;    // by the user; else it follows the stack or the last fault
    int scroll;            // of the lower panel: rows back (timeline, console) or down (the rest)
    s64 selected;          // the timeline's row, -1: none (it follows)
    s64 first_drawn;       // the timeline's first row as drawn

    enum tui_prompt prompt;
    char line[TUI_LINE_MAX];
    size_t line_used;
    char history[TUI_HISTORY][TUI_LINE_MAX];
    unsigned history_count, history_at;
    char found[TUI_LINE_MAX]; // the last search
    char message[TUI_LINE_MAX];
    int last_key;             // the last movement, repeated by Enter

    struct tui_pager pager;   // output of a command, over everything
    struct tui_pager panel_text;
    char panel_command[TUI_LINE_MAX];
    u64 panel_step;
};

// tui_panels.c
void tui_draw_registers(struct tui *t, struct tui_rect r);
void tui_draw_stack(struct tui *t, struct tui_rect r);
void tui_draw_memory(struct tui *t, struct tui_rect r);
void tui_draw_walk(struct tui *t, struct tui_rect r);
// The output of commands ("a;b"), kept as long as the machine stands where they were asked.
void tui_draw_command(struct tui *t, struct tui_rect r, const char *commands);

// tui_code.c: disassembly; with two sides while a system call is served: the user's and the
// kernel's.
void tui_draw_code(struct tui *t, struct tui_rect r);
u64 tui_user_rip(struct tui *t); // of the current task while the kernel runs; 0: none

// tui_timeline.c
void tui_draw_timeline(struct tui *t, struct tui_rect r);
void tui_draw_syscalls(struct tui *t, struct tui_rect r);
void tui_timeline_move(struct tui *t, int rows);
bool tui_timeline_seek(struct tui *t); // to the selected row

// tui_keys.c
bool tui_handle_key(struct tui *t, int key);

// tui.c
void tui_show(struct tui *t);
void tui_stopped(struct tui *t);
void tui_say(struct tui *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tui_run_command(struct tui *t, const char *line); // output: a message, or the pager
void tui_pager_set(struct tui_pager *p, char *text);   // takes malloc'ed text
void tui_pager_free(struct tui_pager *p);
// "sys_openat+0x12", or "" for what has no name.
void tui_place(struct tui *t, u64 address, char *out, size_t size);

#endif
