// SPDX-License-Identifier: MIT
// What the keys of the terminal debugger do.
#include "frontends/tui_internal.h"

#include <stdlib.h>
#include <string.h>

#define CTRL(c) ((c)&31)

struct movement {
    char key;
    enum target_direction direction;
    enum target_unit unit;
};

static const struct movement movements[] = {
    {'s', TARGET_FORWARD, TARGET_INSTRUCTION}, {'S', TARGET_BACK, TARGET_INSTRUCTION},
    {'n', TARGET_FORWARD, TARGET_NEXT},        {'N', TARGET_BACK, TARGET_NEXT},
    {'l', TARGET_FORWARD, TARGET_NEXT_LINE},   {'L', TARGET_BACK, TARGET_NEXT_LINE},
    {'f', TARGET_FORWARD, TARGET_FINISH},      {'F', TARGET_BACK, TARGET_FINISH},
    {']', TARGET_FORWARD, TARGET_TRANSITION},  {'[', TARGET_BACK, TARGET_TRANSITION},
    {'}', TARGET_FORWARD, TARGET_SYSCALL},     {'{', TARGET_BACK, TARGET_SYSCALL},
    {')', TARGET_FORWARD, TARGET_FAULT},       {'(', TARGET_BACK, TARGET_FAULT},
    {'>', TARGET_FORWARD, TARGET_SWITCH},      {'<', TARGET_BACK, TARGET_SWITCH},
    {'u', TARGET_FORWARD, TARGET_USER},        {'U', TARGET_BACK, TARGET_USER},
};

static const char help[] =
    "forward   back\n"
    "  s         S     one instruction (deliveries of interrupts and faults count as steps)\n"
    "  n         N     the same, over calls, system calls and interrupts\n"
    "  l         L     one source line\n"
    "  f         F     out of this function; back to its call\n"
    "  c         C     go on, to a breakpoint, watchpoint or catch\n"
    "  ]         [     next, previous privilege transition\n"
    "  }         {     system call\n"
    "  )         (     page fault\n"
    "  >         <     context switch\n"
    "  u         U     user mode\n"
    "Space  run and pause            Enter  repeats the last movement\n"
    "t  go to a step                 g  memory at an address (of the memory and page walk panels)\n"
    "b  breakpoint (address, name)   B  bookmark\n"
    "w  who wrote this byte          m  when was this address mapped\n"
    "y  this system call, step by step, as a report\n"
    "k  the next CPU, where there are several\n"
    "1-9, Tab  panel                 arrows, PgUp, PgDn, Home, End  scroll it\n"
    "In the timeline: up and down select, Enter goes there in time.\n"
    "i  type to the guest            Ctrl-A  ends that\n"
    ":  command (help lists them)    /  search in a command's output\n"
    "?  this help                    q  quit\n";

static const struct movement *movement_of(int key)
{
    for (size_t i = 0; i < sizeof(movements) / sizeof(movements[0]); i++) {
        if (movements[i].key == key) {
            return &movements[i];
        }
    }
    return NULL;
}

static void moved(struct tui *t)
{
    t->busy = false;
    t->paused_by_user = false;
    tui_stopped(t);
    *t->message = '\0';
}

static bool move(struct tui *t, int key)
{
    const struct movement *m = movement_of(key);
    if (!m && key != 'C') {
        return false;
    }
    t->busy = true;
    if (m) {
        target_move(t->target, m->direction, m->unit, 1);
    } else {
        target_continue(t->target, TARGET_BACK);
    }
    moved(t);
    t->last_key = key;
    return true;
}

static void start_running(struct tui *t)
{
    t->running = true;
    t->paused_by_user = false;
    t->selected = -1;
    t->scroll = 0;
    tui_say(t, "Space pauses");
}

static void pause(struct tui *t)
{
    t->running = false;
    t->paused_by_user = true;
    tui_stopped(t);
    *t->message = '\0';
}

static void begin_prompt(struct tui *t, enum tui_prompt prompt)
{
    t->prompt = prompt;
    t->line_used = 0;
    t->line[0] = '\0';
    t->history_at = t->history_count;
}

static void search_down(struct tui *t)
{
    struct tui_pager *p = t->pager.text ? &t->pager : &t->panel_text;
    int *top = t->pager.text ? &t->pager.top : &t->scroll;
    for (int i = *top + 1; *t->found && i < p->count; i++) {
        if (strstr(p->lines[i], t->found)) {
            *top = i;
            return;
        }
    }
    tui_say(t, "not found below: %s", t->found);
}

static void remember(struct tui *t)
{
    if (t->history_count == TUI_HISTORY) {
        memmove(t->history[0], t->history[1], sizeof(t->history) - sizeof(t->history[0]));
        t->history_count--;
    }
    snprintf(t->history[t->history_count++], TUI_LINE_MAX, "%s", t->line);
}

static void set_memory(struct tui *t)
{
    char *text = NULL, command[TUI_LINE_MAX + 16];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    snprintf(command, sizeof(command), "print /x %s", t->line);
    bool good = target_command(t->target, command, out);
    fclose(out);
    const char *hex = good ? strstr(text, "0x") : NULL;
    if (hex) {
        t->memory_address = strtoull(hex, NULL, 16);
        t->memory_chosen = true;
        t->scroll = 0;
        t->panel = t->panel == TUI_PANEL_walk ? TUI_PANEL_walk : TUI_PANEL_memory;
    } else {
        tui_say(t, "%s", text);
    }
    free(text);
}

static void end_prompt(struct tui *t)
{
    static const char *const commands[] = {[TUI_SEEK] = "seek",
                                           [TUI_WHO_WROTE] = "who-wrote",
                                           [TUI_WHEN_MAPPED] = "when-mapped",
                                           [TUI_BREAK] = "break",
                                           [TUI_BOOKMARK] = "bookmark"};
    enum tui_prompt prompt = t->prompt;
    t->prompt = TUI_NO_PROMPT;
    if (!*t->line && prompt != TUI_BOOKMARK) {
        return;
    }
    if (prompt == TUI_SEARCH) {
        snprintf(t->found, sizeof(t->found), "%s", t->line);
        search_down(t);
    } else if (prompt == TUI_MEMORY) {
        set_memory(t);
    } else if (prompt == TUI_COMMAND) {
        remember(t);
        if (strcmp(t->line, "q") == 0 || strcmp(t->line, "quit") == 0) {
            t->quit = true;
            return;
        }
        tui_run_command(t, t->line);
    } else {
        char command[TUI_LINE_MAX + 16];
        snprintf(command, sizeof(command), "%s %s", commands[prompt], t->line);
        tui_run_command(t, command);
    }
}

static void recall(struct tui *t, int by)
{
    if ((by < 0 && t->history_at == 0) || (by > 0 && t->history_at >= t->history_count)) {
        return;
    }
    t->history_at += (unsigned)by;
    snprintf(t->line, sizeof(t->line), "%s",
             t->history_at < t->history_count ? t->history[t->history_at] : "");
    t->line_used = strlen(t->line);
}

// Completes the last word: as far as all candidates agree.
static void complete(struct tui *t)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    target_complete(t->target, t->line, out);
    fclose(out);
    size_t common = strcspn(text, "\n");
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n"), same = 0;
        while (same < common && same < length && line[same] == text[same]) {
            same++;
        }
        common = same;
        line += length + (line[length] != '\0');
    }
    char *word = strrchr(t->line, ' ');
    size_t begin = word ? (size_t)(word + 1 - t->line) : 0;
    if (common && begin + common < sizeof(t->line) - 1) {
        memcpy(t->line + begin, text, common);
        t->line_used = begin + common;
        t->line[t->line_used] = '\0';
    }
    free(text);
}

static void prompt_key(struct tui *t, int key)
{
    if (key == '\r' || key == '\n') {
        end_prompt(t);
    } else if (key == 27 || key == CTRL('c')) {
        t->prompt = TUI_NO_PROMPT;
    } else if (key == TUI_KEY_BACKSPACE || key == 8) {
        if (!t->line_used) {
            t->prompt = TUI_NO_PROMPT;
            return;
        }
        t->line[--t->line_used] = '\0';
    } else if (key == CTRL('u')) {
        t->line[t->line_used = 0] = '\0';
    } else if (key == TUI_KEY_UP || key == TUI_KEY_DOWN) {
        recall(t, key == TUI_KEY_UP ? -1 : 1);
    } else if (key == '\t') {
        complete(t);
    } else if (key >= ' ' && key < 0x7F && t->line_used + 1 < sizeof(t->line)) {
        t->line[t->line_used++] = (char)key;
        t->line[t->line_used] = '\0';
    }
}

static void pager_key(struct tui *t, int key)
{
    int page = t->cells.height - 4;
    switch (key) {
    case TUI_KEY_UP:
        t->pager.top--;
        break;
    case TUI_KEY_DOWN:
        t->pager.top++;
        break;
    case TUI_KEY_PAGE_UP:
        t->pager.top -= page;
        break;
    case ' ':
    case TUI_KEY_PAGE_DOWN:
        t->pager.top += page;
        break;
    case TUI_KEY_HOME:
        t->pager.top = 0;
        break;
    case TUI_KEY_END:
        t->pager.top = t->pager.count - page;
        break;
    case '/':
        begin_prompt(t, TUI_SEARCH);
        break;
    default:
        tui_pager_free(&t->pager);
        *t->message = '\0';
        break;
    }
}

// A key as the guest's terminal line expects it.
static void type_key(struct tui *t, int key)
{
    static const struct {
        int key;
        const char *bytes;
    } sequences[] = {{TUI_KEY_UP, "\033[A"},       {TUI_KEY_DOWN, "\033[B"},
                     {TUI_KEY_RIGHT, "\033[C"},    {TUI_KEY_LEFT, "\033[D"},
                     {TUI_KEY_HOME, "\033[H"},     {TUI_KEY_END, "\033[F"},
                     {TUI_KEY_INSERT, "\033[2~"},  {TUI_KEY_DELETE, "\033[3~"},
                     {TUI_KEY_PAGE_UP, "\033[5~"}, {TUI_KEY_PAGE_DOWN, "\033[6~"},
                     {TUI_KEY_BACKSPACE, "\177"},  {TUI_KEY_BACK_TAB, "\033[Z"}};
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        if (sequences[i].key == key) {
            tui_door_type(t->config.door, (const u8 *)sequences[i].bytes,
                          strlen(sequences[i].bytes));
            return;
        }
    }
    u8 bytes[4];
    size_t size = 0;
    if (key < 0x80) {
        bytes[size++] = (u8)key;
    } else if (key < 0x800) {
        bytes[size++] = (u8)(0xC0 | key >> 6);
        bytes[size++] = (u8)(0x80 | (key & 0x3F));
    } else if (key < 0x10000) {
        bytes[size++] = (u8)(0xE0 | key >> 12);
        bytes[size++] = (u8)(0x80 | (key >> 6 & 0x3F));
        bytes[size++] = (u8)(0x80 | (key & 0x3F));
    }
    tui_door_type(t->config.door, bytes, size);
}

static void typing_key(struct tui *t, int key)
{
    if (!t->escape && key == CTRL('a')) {
        t->typing = false;
        t->escape = true;
        return;
    }
    type_key(t, key);
}

static void begin_typing(struct tui *t)
{
    if (!t->config.can_type) {
        tui_say(t, "a recording takes no keys; viv debug without --replay does");
        return;
    }
    if (timeline_step(target_timeline(t->target)) < timeline_end(target_timeline(t->target))) {
        tui_say(t, "this is the past, its keys are typed already; c runs to the present");
        return;
    }
    t->panel = TUI_PANEL_console;
    t->typing = true;
    start_running(t);
}

static void scroll_key(struct tui *t, int key)
{
    int page = t->cells.height / 2 > 2 ? t->cells.height / 2 : 2;
    int rows = key == TUI_KEY_UP          ? -1
               : key == TUI_KEY_DOWN      ? 1
               : key == TUI_KEY_PAGE_UP   ? -page
               : key == TUI_KEY_PAGE_DOWN ? page
               : key == TUI_KEY_HOME      ? -1000000000
                                          : 1000000000;
    if (t->panel == TUI_PANEL_timeline) {
        tui_timeline_move(t, rows);
    } else if (key == TUI_KEY_HOME || key == TUI_KEY_END) {
        t->scroll = t->panel == TUI_PANEL_stack || t->panel == TUI_PANEL_memory ? 0
                    : (key == TUI_KEY_HOME) == (t->panel == TUI_PANEL_console)  ? 100000
                                                                                : 0;
    } else {
        t->scroll += t->panel == TUI_PANEL_console ? -rows : rows;
        bool both_ways = t->panel == TUI_PANEL_stack || t->panel == TUI_PANEL_memory;
        t->scroll = t->scroll < 0 && !both_ways ? 0 : t->scroll;
    }
}

static void choose_panel(struct tui *t, int panel)
{
    t->panel = (enum tui_panel)((panel + TUI_PANEL_COUNT) % TUI_PANEL_COUNT);
    t->scroll = 0;
}

static void show_help(struct tui *t)
{
    tui_pager_set(&t->pager, strdup(help));
    t->pager.top = 0;
}

static void next_cpu(struct tui *t)
{
    unsigned cpus = machine_cpu_count(target_machine(t->target));
    target_select_cpu(t->target, (target_cpu(t->target) + 1) % cpus);
    tui_stopped(t);
    tui_say(t, cpus > 1 ? "CPU chosen" : "there is one CPU");
}

// Keys that need the guest to stand still, and those that do not care.
static void stopped_key(struct tui *t, int key)
{
    static const struct {
        char key;
        enum tui_prompt prompt;
    } prompts[] = {{'t', TUI_SEEK}, {'w', TUI_WHO_WROTE}, {'m', TUI_WHEN_MAPPED}, {'b', TUI_BREAK},
                   {'B', TUI_BOOKMARK}, {':', TUI_COMMAND}, {'/', TUI_SEARCH}, {'g', TUI_MEMORY}};
    for (size_t i = 0; i < sizeof(prompts) / sizeof(prompts[0]); i++) {
        if (prompts[i].key == key) {
            begin_prompt(t, prompts[i].prompt);
            return;
        }
    }
    if (key == 'c') {
        t->last_key = key;
        start_running(t);
    } else if (key == 'y') {
        tui_run_command(t, "syscall");
    } else if (key == 'k') {
        next_cpu(t);
    } else if (key == '\r' || key == '\n') {
        if (t->panel == TUI_PANEL_timeline && t->selected >= 0) {
            t->busy = true;
            tui_timeline_seek(t);
            moved(t);
        } else if (t->last_key == 'c') {
            start_running(t);
        } else if (t->last_key) {
            move(t, t->last_key);
        }
    } else if (!move(t, key)) {
        tui_say(t, "? shows the keys");
    }
}

// True if it was for the frame, whether the guest runs or not.
static bool common_key(struct tui *t, int key)
{
    if (key >= '1' && key < '1' + TUI_PANEL_COUNT) {
        choose_panel(t, key - '1');
    } else if (key == '\t' || key == TUI_KEY_BACK_TAB) {
        choose_panel(t, (int)t->panel + (key == '\t' ? 1 : -1));
    } else if (key >= TUI_KEY_UP && key <= TUI_KEY_END && key != TUI_KEY_LEFT &&
               key != TUI_KEY_RIGHT) {
        scroll_key(t, key);
    } else if (key == 'i') {
        begin_typing(t);
    } else if (key == 'q') {
        t->quit = true;
    } else if (key == '?' || key == 'h') {
        show_help(t);
    } else if (key == CTRL('l')) {
        *t->message = '\0';
    } else {
        return false;
    }
    return true;
}

bool tui_handle_key(struct tui *t, int key)
{
    if (t->escape) {
        t->escape = false;
        if (key == CTRL('a')) {
            t->typing = true;
            type_key(t, key);
            return true;
        }
        if (key == 'x') {
            t->quit = true;
            return false;
        }
    }
    if (t->prompt) {
        prompt_key(t, key);
    } else if (t->pager.text) {
        pager_key(t, key);
    } else if (t->typing) {
        typing_key(t, key);
    } else if (common_key(t, key)) {
        return !t->quit;
    } else if (key == ' ' || (key == CTRL('c') && t->running)) {
        if (t->running) {
            pause(t);
        } else {
            start_running(t);
        }
    } else if (key == CTRL('c')) {
        tui_say(t, "q quits");
    } else if (t->running) { // any movement pauses first
        pause(t);
        stopped_key(t, key);
    } else {
        stopped_key(t, key);
    }
    return !t->quit;
}
