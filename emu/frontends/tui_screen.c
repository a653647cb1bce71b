// SPDX-License-Identifier: MIT
// ncursesw: 256 colours, 8, or none.
#define _XOPEN_SOURCE_EXTENDED 1
#include "frontends/tui_screen.h"

#include <curses.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

struct look {
    short color256, background256; // -1: the terminal's own
    short color8, background8;
    attr_t attributes;
};

static const struct look looks[TUI_STYLE_COUNT] = {
    [TUI_PLAIN] = {-1, -1, -1, -1, A_NORMAL},
    [TUI_DIM] = {245, -1, -1, -1, A_DIM},
    [TUI_BAR] = {255, 238, COLOR_WHITE, COLOR_BLUE, A_NORMAL},
    [TUI_FRAME] = {250, 236, COLOR_WHITE, -1, A_UNDERLINE},
    [TUI_FOCUS] = {231, 25, COLOR_WHITE, COLOR_BLUE, A_BOLD},
    [TUI_CHANGED] = {215, -1, COLOR_YELLOW, -1, A_BOLD},
    [TUI_CURRENT] = {231, 24, COLOR_WHITE, COLOR_BLUE, A_BOLD},
    [TUI_USER] = {114, -1, COLOR_GREEN, -1, A_NORMAL},
    [TUI_KERNEL] = {210, -1, COLOR_RED, -1, A_NORMAL},
    [TUI_FAULT] = {220, -1, COLOR_YELLOW, -1, A_NORMAL},
    [TUI_IRQ] = {111, -1, COLOR_CYAN, -1, A_NORMAL},
    [TUI_ADDRESS] = {109, -1, COLOR_CYAN, -1, A_NORMAL},
    [TUI_NAME] = {180, -1, COLOR_YELLOW, -1, A_NORMAL},
    [TUI_ALERT] = {231, 88, COLOR_WHITE, COLOR_RED, A_BOLD},
};

static void start_colors(void)
{
    if (!has_colors()) {
        return;
    }
    start_color();
    use_default_colors();
    for (short i = 0; i < TUI_STYLE_COUNT; i++) {
        const struct look *l = &looks[i];
        init_pair((short)(i + 1), COLORS >= 256 ? l->color256 : l->color8,
                  COLORS >= 256 ? l->background256 : l->background8);
    }
}

struct status tui_screen_open(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return status_error(STATUS_USAGE,
                            "the terminal debugger needs a terminal on standard input "
                            "and output; --script FILE and --gdb PORT do not");
    }
    int error = 0;
    const char *term = getenv("TERM");
    if (setupterm(term, STDOUT_FILENO, &error) != OK) {
        return status_error(
            STATUS_USAGE, "the terminal type %s is not known here; set TERM, for example to xterm",
            term ? term : "(TERM is not set)");
    }
    setlocale(LC_CTYPE, "");
    initscr();
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    leaveok(stdscr, FALSE);
    start_colors();
    return status_success();
}

void tui_screen_close(void)
{
    if (!isendwin()) {
        endwin();
    }
}

void tui_screen_size(int *width, int *height)
{
    *width = COLS;
    *height = LINES;
}

static void set_look(u8 style)
{
    unsigned index = style & TUI_STYLE_MASK;
    attr_t attributes = has_colors() && COLORS >= 256 ? looks[index].attributes & A_BOLD
                                                      : looks[index].attributes;
    if (!has_colors() && (index == TUI_CURRENT || index == TUI_FOCUS || index == TUI_BAR)) {
        attributes |= A_REVERSE;
    }
    attributes |= style & TUI_BOLD ? A_BOLD : 0;
    attributes |= style & TUI_REVERSE ? A_REVERSE : 0;
    attr_set(attributes, has_colors() ? (short)(index + 1) : 0, NULL);
}

void tui_screen_show(const struct tui_cells *c)
{
    u8 style = 255;
    for (int y = 0; y < c->height && y < LINES; y++) {
        for (int x = 0; x < c->width && x < COLS; x++) {
            const struct tui_cell *cell = &c->cells[y * c->width + x];
            if (cell->style != style) {
                style = cell->style;
                set_look(style);
            }
            wchar_t wide[2] = {(wchar_t)cell->character, 0};
            mvaddnwstr(y, x, wide, 1);
        }
    }
    if (c->cursor_x >= 0) {
        curs_set(1);
        move(c->cursor_y, c->cursor_x);
    } else {
        curs_set(0);
    }
    refresh();
}

static int special(wint_t key)
{
    switch (key) {
    case KEY_UP:
        return TUI_KEY_UP;
    case KEY_DOWN:
        return TUI_KEY_DOWN;
    case KEY_LEFT:
        return TUI_KEY_LEFT;
    case KEY_RIGHT:
        return TUI_KEY_RIGHT;
    case KEY_PPAGE:
        return TUI_KEY_PAGE_UP;
    case KEY_NPAGE:
        return TUI_KEY_PAGE_DOWN;
    case KEY_HOME:
        return TUI_KEY_HOME;
    case KEY_END:
        return TUI_KEY_END;
    case KEY_IC:
        return TUI_KEY_INSERT;
    case KEY_DC:
        return TUI_KEY_DELETE;
    case KEY_BACKSPACE:
        return TUI_KEY_BACKSPACE;
    case KEY_BTAB:
        return TUI_KEY_BACK_TAB;
    case KEY_RESIZE:
        return TUI_KEY_RESIZE;
    case KEY_ENTER:
        return '\r';
    default:
        return TUI_KEY_NONE;
    }
}

int tui_screen_key(int timeout_ms)
{
    wint_t key;
    timeout(timeout_ms);
    int how = get_wch(&key);
    if (how == ERR) {
        return TUI_KEY_NONE;
    }
    if (how == KEY_CODE_YES) {
        return special(key);
    }
    return key == 0x7F ? TUI_KEY_BACKSPACE : (int)key;
}
