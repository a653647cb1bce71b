// SPDX-License-Identifier: MIT
// The index of who-wrote against a list of all writes.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "debugger/write_index.h"

#define WRITES 400
#define STEPS 1000
#define PAGES 3

struct write {
    u64 step;
    u32 rpn;
    s64 offset;
    u64 size;
};

static u64 next_random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

// Whether a write touches one of the words of the range: the index knows no less than words.
static bool touches(const struct write *w, u64 offset, u64 size)
{
    s64 first = (s64)(offset & ~7u), end = (s64)((offset + size + 7) & ~7u);
    return w->offset < end && w->offset + (s64)w->size > first;
}

static bool written(const struct write *list, u32 rpn, u64 offset, u64 size, u64 from, u64 to)
{
    for (unsigned i = 0; i < WRITES; i++) {
        if (list[i].rpn == rpn && list[i].step >= from && list[i].step < to &&
            touches(&list[i], offset, size)) {
            return true;
        }
    }
    return false;
}

static void learn(struct write_index *x, const struct write *list, u32 rpn, u64 from, u64 to)
{
    struct write_words words = {0};
    for (unsigned i = 0; i < WRITES; i++) {
        if (list[i].rpn == rpn && list[i].step >= from && list[i].step < to) {
            write_words_mark(&words, list[i].offset, list[i].size);
        }
    }
    write_index_add(x, rpn, from, to, &words);
}

static void test_model(void **state)
{
    u64 random = 88172645463325252u;
    unsigned clean = 0, unknown = 0;
    for (unsigned game = 0; game < 200; game++) {
        struct write list[WRITES];
        struct write_index *x = write_index_create();
        u64 known[PAGES] = {0}; // steps [0, known) are learned, but for a hole
        for (unsigned i = 0; i < WRITES; i++) {
            list[i] = (struct write){next_random(&random) % STEPS,
                                     (u32)(next_random(&random) % PAGES),
                                     (s64)(next_random(&random) % 4200) - 60,
                                     1 + next_random(&random) % 64};
        }
        for (u32 rpn = 0; rpn < PAGES; rpn++) {
            while (known[rpn] < 800) {
                u64 to = known[rpn] + 1 + next_random(&random) % 200;
                learn(x, list, rpn, known[rpn], to);
                known[rpn] = to;
            }
        }
        u64 cut = next_random(&random) % STEPS;
        write_index_cut(x, cut);
        for (unsigned i = 0; i < 500; i++) {
            u32 rpn = (u32)(next_random(&random) % PAGES);
            u64 offset = next_random(&random) % 4096, size = 1 + next_random(&random) % 16;
            u64 from = next_random(&random) % STEPS, to = from + 1 + next_random(&random) % 100;
            size = offset + size > 4096 ? 4096 - offset : size;
            bool says = write_index_clean(x, rpn, offset, size, from, to);
            bool truth = written(list, rpn, offset, size, from, to);
            assert_false(says && truth);                       // never skips an answer
            assert_false(says && (to > known[rpn] || to > cut)); // nor what it does not know
            clean += says;
            unknown += !says && !truth;
        }
        write_index_destroy(x);
    }
    assert_true(clean > unknown / 4); // and is of use
}

static void test_words(void **state)
{
    struct write_words w = {0};
    write_words_mark(&w, -3, 4); // byte 0
    write_words_mark(&w, 4095, 8);
    write_words_mark(&w, 4096, 8);
    write_words_mark(&w, 7 * 8 + 7, 2);
    assert_int_equal(w.bits[0], 1 | 1 << 7 | 1 << 8);
    assert_true(w.bits[7] == UINT64_C(1) << 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
