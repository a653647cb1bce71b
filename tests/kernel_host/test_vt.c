// SPDX-License-Identifier: MIT
// Virtual terminals: what output does to the grid of cells, and that what is drawn bit by bit is
// what would be drawn at once. console_codes(4), ECMA-48, the VT102's manual.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tty/font/font.h"
#include "tty/vt_paint.h"
#include "vt_host.h"

#define FUZZ_ROUNDS 300

static struct vt_screen *screen;

static int setup(void **state)
{
    (void)state;
    screen = vt_host_new(20, 6, 10);
    vt_host_answer();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vt_host_free(screen);
    return 0;
}

static void feed(const char *text)
{
    vt_host_write(screen, text);
}

// Rows from the top; those that are not given are empty.
static void expect_rows(const char *const rows[6])
{
    for (unsigned y = 0; y < 6; y++)
        assert_string_equal(vt_host_row(screen, 0, y), rows[y] ? rows[y] : "");
}
#define EXPECT(...) expect_rows((const char *const[6]){__VA_ARGS__})

static void expect_cursor(unsigned x, unsigned y)
{
    assert_int_equal(screen->at.x, x);
    assert_int_equal(screen->at.y, y);
}

static unsigned fg_at(unsigned x, unsigned y)
{
    return screen->line[y][x] >> VT_FG_SHIFT & 0xff;
}

static unsigned bg_at(unsigned x, unsigned y)
{
    return screen->line[y][x] >> VT_BG_SHIFT & 0xff;
}

static void test_text(void **state)
{
    (void)state;
    feed("one\r\ntwo\ttab\r\n\nback\b\bXY\rB");
    EXPECT("one", "two     tab", "", "BaXY");
    expect_cursor(1, 3);
}

static void test_wrapping_waits_for_the_next_character(void **state)
{
    (void)state;
    feed("01234567890123456789");
    expect_cursor(19, 0);
    feed("\r\nx\033[1;1H01234567890123456789y");
    EXPECT("01234567890123456789", "y");
    feed("\033[3;1H\033[?7lABCDEFGHIJKLMNOPQRSTuvw\033[?7h");
    EXPECT("01234567890123456789", "y", "ABCDEFGHIJKLMNOPQRSw");
}

static void test_scrolling_keeps_a_history(void **state)
{
    (void)state;
    feed("1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8");
    EXPECT("3", "4", "5", "6", "7", "8");
    assert_int_equal(screen->scrolled, 2);
    assert_int_equal(screen->history_count, 2);
    assert_string_equal(vt_host_row(screen, 2, 0), "1");
    assert_string_equal(vt_host_row(screen, 2, 1), "2");
    assert_string_equal(vt_host_row(screen, 2, 2), "3");
    assert_string_equal(vt_host_row(screen, 1, 0), "2");
    for (int i = 0; i < 20; i++)
        feed("\r\nmore");
    assert_int_equal(screen->history_count, 10);
    feed("\033[3J");
    assert_int_equal(screen->history_count, 0);
}

static void test_regions(void **state)
{
    (void)state;
    feed("1\r\n2\r\n3\r\n4\r\n5\r\n6\033[2;4r");
    expect_cursor(0, 0);
    feed("\033[4;1H\n");
    EXPECT("1", "3", "4", "", "5", "6");
    feed("\033[2;1H\033M");
    EXPECT("1", "", "3", "4", "5", "6");
    assert_int_equal(screen->history_count, 0);
    feed("\033[?6h\033[2;3Hx"); // relative to the region
    EXPECT("1", "", "3 x", "4", "5", "6");
    feed("\033[99;1Hy\033[?6l");
    EXPECT("1", "", "3 x", "y", "5", "6");
    feed("\033[4;1H\033[99A");
    expect_cursor(0, 1); // stops at the region's edge
    feed("\033[r\033[6;1H\n");
    EXPECT("", "3 x", "y", "5", "6", "");
}

static void test_lines_and_characters_come_and_go(void **state)
{
    (void)state;
    feed("abcdef\r\n2\r\n3\033[1;3H\033[2@XY");
    EXPECT("abXYcdef", "2", "3");
    feed("\033[3P");
    EXPECT("abXYf", "2", "3");
    feed("\033[2;1H\033[Lnew\033[M");
    EXPECT("abXYf", "2", "3");
    feed("\033[1;2H\033[2Xq\033[4hins\033[4l");
    EXPECT("aqins Yf", "2", "3");
    feed("\033[1;20H\033[5@z");
    EXPECT("aqins Yf           z", "2", "3");
}

static void test_erasing(void **state)
{
    (void)state;
    feed("aaaa\r\nbbbb\r\ncccc\r\ndddd\033[2;3H\033[1J");
    EXPECT("", "   b", "cccc", "dddd");
    feed("\033[3;2H\033[K");
    EXPECT("", "   b", "c", "dddd");
    feed("\033[44m\033[J");
    EXPECT("", "   b", "c");
    assert_int_equal(bg_at(5, 3), 4); // erasing keeps the background
    assert_int_equal(fg_at(5, 3), 7);
    feed("\033[0m\033[2J");
    EXPECT("");
    assert_int_equal(bg_at(5, 3), 0);
}

static void test_colors(void **state)
{
    (void)state;
    feed("\033[1;31;42ma\033[22;39;49mb\033[7;4;95;104mc\033[0md");
    assert_int_equal(fg_at(0, 0), 1);
    assert_int_equal(bg_at(0, 0), 2);
    assert_true(screen->line[0][0] & VT_BOLD);
    assert_true(screen->line[0][1] == (VT_ATTR_DEFAULT | 'b'));
    assert_int_equal(fg_at(2, 0), 13);
    assert_int_equal(bg_at(2, 0), 12);
    assert_true(screen->line[0][2] & VT_REVERSE && screen->line[0][2] & VT_UNDERLINE);
    assert_true(screen->line[0][3] == (VT_ATTR_DEFAULT | 'd'));
    feed("\r\033[38;5;196mR\033[48;2;0;0;255mB\033[38:2:128:128:128mG\033[38;5mx");
    assert_int_equal(vt_palette_color(screen, fg_at(0, 0)), 0xff0000);
    assert_int_equal(vt_palette_color(screen, bg_at(1, 0)), 0x0000ff);
    assert_int_equal(vt_palette_color(screen, fg_at(2, 0)), 0x808080);
    feed("\033]P1123456");
    assert_int_equal(vt_palette_color(screen, 1), 0x123456);
    feed("\033]R");
    assert_int_equal(vt_palette_color(screen, 1), 0xaa0000);
    assert_int_equal(vt_palette_color(screen, 3), 0xaa5500);
}

static void test_utf8_and_charsets(void **state)
{
    (void)state;
    feed("a\xc3\xa4\xe2\x82\xac\xe2\x94\x80z");
    EXPECT("aä€─z");
    expect_cursor(5, 0);
    feed("\r\n\xff\xc3(\xe2\x82Z\xc0\xaf\xed\xa0\x80.");
    EXPECT("aä€─z", "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbdZ\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.");
    feed("\r\n\033(0lqk\033(Bq\033)0\016x\017x");
    EXPECT("aä€─z", "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbdZ\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.",
           "┌─┐q│x");
    feed("\r\n\033[11m\xcd\033[10m\xc2\xa7\033%@\xe9\033%G\xc3\xa9");
    assert_string_equal(vt_host_row(screen, 0, 3), "═§éé");
    feed("\r\n\xe4\xb8\xad-e\xcc\x81!"); // wide: two columns; combining: none
    assert_string_equal(vt_host_row(screen, 0, 4), "中 -e!");
}

static void test_tabs_saving_reports(void **state)
{
    (void)state;
    feed("\033[3g\033[1;5H\033H\r\tx\033[1;15H\033H\r\t\ty");
    EXPECT("    x         y");
    feed("\033[2;3H\0337\033[31m\033[5;5Hz\0338w");
    EXPECT("    x         y", "  w", "", "", "    z");
    assert_int_equal(fg_at(2, 1), 7);
    feed("\033[6n\033[5n\033[c\033Z\033[3;4r\033[?6h\033[6n");
    assert_string_equal(vt_host_answer(), "\033[2;4R\033[0n\033[?6c\033[?6c\033[1;1R");
    feed("\033#8");
    for (unsigned y = 0; y < 6; y++)
        assert_string_equal(vt_host_row(screen, 0, y), "EEEEEEEEEEEEEEEEEEEE");
    feed("\033c");
    EXPECT("");
    assert_int_equal(screen->top, 0);
}

static void test_what_is_swallowed(void **state)
{
    (void)state;
    feed("a\033]0;title\007b\033Pq#0\033\\c\033[?1049hd\033[>4;2me\033[[Af\033[9;10]g\033[2 qh");
    EXPECT("abcdefgh");
    feed("\r\033[1\r;5Hi\033[3\030j"); // CR acts within a sequence; CAN ends it
    EXPECT("abcdijgh");
    feed("\033[?1h\033=\033[20h");
    assert_true(screen->modes.application_cursor && screen->modes.application_keypad &&
                screen->modes.newline);
}

static void test_taking_over_another_size(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++)
        feed("0123456789\r\nx\r\n");
    feed("last\033[31m");
    struct vt_screen *small = vt_host_new(8, 3, 10), *big = vt_host_new(40, 12, 10);
    vt_screen_take_over(small, screen);
    assert_string_equal(vt_host_row(small, 0, 2), "last");
    assert_string_equal(vt_host_row(small, 0, 1), "x");
    assert_string_equal(vt_host_row(small, 0, 0), "01234567");
    assert_string_equal(vt_host_row(small, 1, 0), "x");
    assert_int_equal(small->at.y, 2);
    vt_screen_take_over(big, small);
    assert_string_equal(vt_host_row(big, 0, 11), "last"); // nine lines came back
    assert_string_equal(vt_host_row(big, 0, 2), "x");
    assert_string_equal(vt_host_row(big, 1, 0), "01234567");
    assert_int_equal(big->history_count, 1);
    vt_host_write(big, "!");
    assert_string_equal(vt_host_row(big, 0, 11), "last!");
    assert_int_equal(big->line[11][4] >> VT_FG_SHIFT & 0xff, 1);
    vt_host_free(small);
    vt_host_free(big);
}

// --- drawing

#define WIDTH (20 * FONT_WIDTH)
#define HEIGHT (6 * FONT_HEIGHT + 5)
#define MEMORY_HEIGHT (HEIGHT + 3 * FONT_HEIGHT)

struct picture {
    struct vt_painter painter;
    u32 pixels[WIDTH * MEMORY_HEIGHT];
    vt_cell cells[20 * 6];
};

static struct picture *picture_new(void)
{
    struct picture *p = calloc(1, sizeof(*p));
    memset(p->pixels, 0x5a, sizeof(p->pixels));
    vt_painter_init(&p->painter, (u8 *)p->pixels, WIDTH, HEIGHT, MEMORY_HEIGHT, p->cells);
    return p;
}

static const u32 *visible(const struct picture *p)
{
    return p->pixels + p->painter.pan * WIDTH;
}

// The same screen, drawn from nothing.
static void expect_as_if_fresh(const struct picture *seen, unsigned back)
{
    struct picture *fresh = picture_new();
    struct vt_screen copy = *screen;
    vt_paint(&fresh->painter, &copy, back, false);
    assert_memory_equal(visible(seen), visible(fresh), WIDTH * HEIGHT * sizeof(u32));
    free(fresh);
}

static void test_pixels(void **state)
{
    (void)state;
    struct picture *p = picture_new();
    feed("A\033[31;44m_\033[?25l");
    vt_paint(&p->painter, screen, 0, true);
    for (unsigned y = 0; y < FONT_HEIGHT; y++)
        for (unsigned x = 0; x < FONT_WIDTH; x++) {
            bool a = font_rows['A' - 32][y] >> (7 - x) & 1,
                 line = font_rows['_' - 32][y] >> (7 - x) & 1;
            assert_int_equal(p->pixels[y * WIDTH + x], a ? 0xaaaaaa : 0);
            assert_int_equal(p->pixels[y * WIDTH + 8 + x], line ? 0xaa0000 : 0x0000aa);
        }
    assert_int_equal(p->pixels[(HEIGHT - 1) * WIDTH], 0); // below the last line
    u64 before = p->painter.painted;
    feed("\033[0m\033[1;1HB");
    vt_paint(&p->painter, screen, 0, true);
    assert_int_equal(p->painter.painted - before, 1);
    free(p);
}

static void test_scrolling_moves_the_picture(void **state)
{
    (void)state;
    struct picture *p = picture_new();
    feed("1\r\n2\r\n3\r\n4\r\n5\r\n6");
    vt_paint(&p->painter, screen, 0, true);
    u64 before = p->painter.painted;
    unsigned pan = 0;
    for (int i = 0; i < 12; i++) {
        feed("\r\nnext");
        vt_paint(&p->painter, screen, 0, true);
        pan = pan + FONT_HEIGHT + HEIGHT > MEMORY_HEIGHT ? 0 : pan + FONT_HEIGHT;
        assert_int_equal(p->painter.pan, pan);
        expect_as_if_fresh(p, 0);
    }
    assert_true(p->painter.painted - before <= 12 * (20 + 2)); // a new line and the cursors
    vt_paint(&p->painter, screen, 0, false);
    assert_int_equal(p->painter.pan, 0);
    expect_as_if_fresh(p, 0);
    free(p);
}

// --- random bytes

static u64 seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(seed >> 33) % n;
}

static size_t random_bytes(u8 *to, size_t room)
{
    static const char *const pieces[] = {
        "\033[",        "\033",      "\033[?",    ";",         "\r\n",     "\n",
        "\n\n\n",       "\033]P",    "\033[3r",   "\033[2;5r", "\033[r",   "text and more ",
        "\xe2\x94\x80", "\033[7m",   "\033[44m",  "\t",        "\033[2J",  "\033[L",
        "\033[M",       "\033[4h",   "\033[5@",   "\033[3P",   "\033(0",   "\033[H",
        "\033[?5h",     "\033[?25l", "\033[?25h", "\033M",     "\033[?2c", "\033[?7l",
        "\033[11m",     "\033[10m"};
    size_t n = 0, wanted = random_below(60);
    while (n < wanted && n + 20 < room) {
        unsigned kind = random_below(4);
        if (kind == 0) {
            to[n++] = (u8)random_below(256);
        } else if (kind == 1) {
            to[n++] = (u8)(0x20 + random_below(0x5f));
        } else {
            const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
            memcpy(to + n, piece, strlen(piece));
            n += strlen(piece);
        }
    }
    return n;
}

static void check_screen(void)
{
    assert_true(screen->at.x < screen->cols && screen->at.y < screen->rows);
    assert_true(screen->top < screen->bottom && screen->bottom < screen->rows);
    assert_true(screen->history_count <= screen->history_size);
}

static void test_random_bytes_drawn_bit_by_bit(void **state)
{
    (void)state;
    u8 bytes[100];
    for (seed = 1; seed <= 5;) {
        u64 this_seed = seed;
        struct picture *p = picture_new();
        feed("\033c");
        for (int i = 0; i < FUZZ_ROUNDS; i++) {
            vt_screen_write(screen, bytes, random_bytes(bytes, sizeof(bytes)));
            check_screen();
            if (random_below(3))
                continue;
            unsigned back = random_below(4) ? 0 : random_below(screen->history_count + 1);
            vt_paint(&p->painter, screen, back, random_below(5) != 0);
            expect_as_if_fresh(p, back);
        }
        free(p);
        seed = this_seed + 1;
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text),
        TEST(test_wrapping_waits_for_the_next_character),
        TEST(test_scrolling_keeps_a_history),
        TEST(test_regions),
        TEST(test_lines_and_characters_come_and_go),
        TEST(test_erasing),
        TEST(test_colors),
        TEST(test_utf8_and_charsets),
        TEST(test_tabs_saving_reports),
        TEST(test_what_is_swallowed),
        TEST(test_taking_over_another_size),
        TEST(test_pixels),
        TEST(test_scrolling_moves_the_picture),
        TEST(test_random_bytes_drawn_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
