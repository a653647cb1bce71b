// SPDX-License-Identifier: MIT
// The terminal debugger's cells and the small terminal of its console panel.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontends/tui_cells.h"
#include "frontends/tui_vt.h"

static char *screen_of(const struct tui_cells *c)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    tui_cells_print(c, out);
    fclose(out);
    return text;
}

// What a terminal of 20 by 5 shows after the bytes.
static void expect(const char *bytes, const char *screen)
{
    struct tui_vt *vt = tui_vt_create(20, 5);
    struct tui_cells c = {0};
    tui_cells_resize(&c, 20, 5);
    tui_vt_feed(vt, (const u8 *)bytes, strlen(bytes));
    tui_vt_draw(vt, &c, (struct tui_rect){0, 0, 20, 5}, 0, true);
    char *seen = screen_of(&c);
    assert_string_equal(seen, screen);
    free(seen);
    tui_cells_free(&c);
    tui_vt_destroy(vt);
}

static void test_text(void **state)
{
    expect("one\r\ntwo\tx\r\nab\bc", "one\ntwo     x\nac\n\n\n");
    expect("12345678901234567890ab", "12345678901234567890\nab\n\n\n\n");
    expect("12345678901234567890\r\nb", "12345678901234567890\nb\n\n\n\n");
    expect("1\r\n2\r\n3\r\n4\r\n5\r\n6", "2\n3\n4\n5\n6\n");
    expect("gr\xc3\xbc\xc3\x9f \xe2\x82\xac\xff!", "grüß €\xef\xbf\xbd!\n\n\n\n\n");
}

static void test_cursor(void **state)
{
    expect("abc\033[2Dx\033[3;5Hy\033[Hz", "zxc\n\n    y\n\n\n");
    expect("abc\033[99;99Hq", "abc\n\n\n\n                   q\n");
    expect("abc\r\033[2Cz\033[A\033[Bw", "abz\n   w\n\n\n\n");
}

static void test_erase(void **state)
{
    expect("abcdef\r\033[3C\033[K", "abc\n\n\n\n\n");
    expect("abcdef\r\033[3C\033[1K", "    ef\n\n\n\n\n");
    expect("a\r\nb\r\nc\033[2J\033[Hz", "z\n\n\n\n\n");
    expect("a\r\nb\r\nc\033[2;1H\033[J", "a\n\n\n\n\n");
    expect("abcdef\r\033[2P", "cdef\n\n\n\n\n");
    expect("abcdef\r\033[2@", "  abcdef\n\n\n\n\n");
}

static void test_region(void **state)
{
    expect("1\r\n2\r\n3\r\n4\r\n5\033[2;4r\033[4;1H\n", "1\n3\n4\n\n5\n");
    expect("1\r\n2\r\n3\r\n4\r\n5\033[2;1H\033[L", "1\n\n2\n3\n4\n");
    expect("1\r\n2\r\n3\r\n4\r\n5\033[2;1H\033[M", "1\n3\n4\n5\n\n");
    expect("1\r\n2\033[H\033M0", "0\n1\n2\n\n\n");
}

// What is not known is swallowed whole.
static void test_unknown(void **state)
{
    expect("a\033[?1049hb\033]0;title\007c\033(Bd\033[38;5;12me\033[>0cf", "abcdef\n\n\n\n\n");
}

static void test_answers(void **state)
{
    struct tui_vt *vt = tui_vt_create(20, 5);
    u8 answer[20] = {0};
    tui_vt_feed(vt, (const u8 *)"ab\r\ncd\033[6n", 10);
    assert_int_equal(tui_vt_take_answer(vt, answer, sizeof(answer)), 6);
    assert_string_equal((char *)answer, "\033[2;3R");
    assert_int_equal(tui_vt_take_answer(vt, answer, sizeof(answer)), 0);
    tui_vt_destroy(vt);
}

static void test_history(void **state)
{
    struct tui_vt *vt = tui_vt_create(20, 5);
    struct tui_cells c = {0};
    for (int i = 0; i < 5000; i++) {
        char line[20];
        snprintf(line, sizeof(line), "%d\r\n", i);
        tui_vt_feed(vt, (const u8 *)line, strlen(line));
    }
    assert_int_equal(tui_vt_history(vt), 2000);
    tui_cells_resize(&c, 20, 5);
    tui_vt_draw(vt, &c, (struct tui_rect){0, 0, 20, 5}, 10, true);
    char *seen = screen_of(&c);
    assert_string_equal(seen, "4986\n4987\n4988\n4989\n4990\n");
    free(seen);
    tui_cells_free(&c);
    tui_vt_destroy(vt);
}

// Nothing that a guest writes leaves the cells.
static void test_garbage(void **state)
{
    struct tui_vt *vt = tui_vt_create(20, 5);
    struct tui_cells c = {0};
    u64 random = 88172645463325252u;
    tui_cells_resize(&c, 15, 3);
    for (int i = 0; i < 200000; i++) {
        static const char likely[] = "\033\033[[;;0129ABCDHJKLMPST@hlmnr\n\r\t\b";
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        u8 byte = random & 1 ? (u8)(random >> 8) : (u8)likely[(random >> 8) % (sizeof(likely) - 1)];
        tui_vt_feed(vt, &byte, 1);
        if (i % 1000 == 0) {
            tui_vt_draw(vt, &c, (struct tui_rect){-2, -1, 30, 9}, (int)(random % 50), true);
        }
    }
    tui_cells_free(&c);
    tui_vt_destroy(vt);
}

static void test_clipping(void **state)
{
    struct tui_cells c = {0};
    tui_cells_resize(&c, 8, 2);
    tui_text(&c, (struct tui_rect){2, 0, 4, 1}, 0, 0, TUI_PLAIN, "abcdefgh");
    tui_text(&c, (struct tui_rect){0, 0, 8, 2}, 0, 1, TUI_PLAIN, "a\tb\033c");
    tui_text(&c, (struct tui_rect){0, 0, 8, 2}, 0, 2, TUI_PLAIN, "below");
    char *seen = screen_of(&c);
    assert_string_equal(seen, "  abcd\na.b.c\n");
    free(seen);
    tui_cells_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_erase),   cmocka_unit_test(test_region),
        cmocka_unit_test(test_unknown), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_history), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_clipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
