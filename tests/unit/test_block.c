// SPDX-License-Identifier: MIT
// Translated blocks: found, linked, killed, forgotten. Nothing is executed.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "bus/io_space.h"
#include "cpu/jit/jit_internal.h"

#define RAM_PAGES 4096u
#define ROUNDS 20000

struct fixture {
    struct physmem *mem;
    struct io_space *mmio;
    struct mmu_shared *shared;
    struct code_cache *code;
    struct jit *jit;
};

static u64 seed = 1;

static unsigned any(unsigned below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % below);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct status s = physmem_create(&f->mem, (u64)RAM_PAGES << PAGE_SHIFT);
    assert_true(status_ok(&s));
    f->mmio = io_space_create(UINT64_C(1) << 40);
    f->shared = mmu_shared_create(f->mem, f->mmio, TLB_FULL);
    f->code = code_cache_get(f->mem, f->shared, &(struct decoder_options){0}, false);
    f->jit = code_cache_jit(f->code, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    code_cache_put(f->code);
    mmu_shared_destroy(f->shared);
    io_space_destroy(f->mmio);
    physmem_destroy(f->mem);
    free(f);
    return 0;
}

// A page of code: the pattern again and again.
static struct code_page *page_of(struct fixture *f, u32 rpn, const void *pattern, unsigned size)
{
    for (unsigned at = 0; at + size <= PAGE_SIZE; at += size) {
        physmem_write_page(f->mem, rpn, at, pattern, size);
    }
    return code_cache_page(f->code, rpn, CODE_64);
}

// Run address that a jump's displacement leads to.
static const u8 *leads_to(const struct jit *jit, const u8 *site)
{
    s32 distance;
    memcpy(&distance, site, 4);
    return site + 4 + jit_to_run(jit) + distance;
}

// Jumps to page offset 0x40.
static struct jit_block *jumper(struct fixture *f, struct code_page *page, unsigned offset)
{
    u8 code[] = {0xE9, 0, 0, 0, 0};
    s32 distance = 0x40 - (s32)(offset + sizeof(code));
    memcpy(code + 1, &distance, 4);
    physmem_write_page(f->mem, page->rpn, offset, code, sizeof(code));
    struct jit_block *block = translate(f->jit, page, offset);
    assert_non_null(block);
    assert_int_equal(block->link_count, 1);
    assert_int_equal(block->links[0].offset, 0x40);
    return block;
}

static bool closed(const struct jit *jit, const struct jit_block *block)
{
    return block->external_write[0] == 0xE9 &&
           leads_to(jit, block->external_write + 1) == jit->gates.exit_linear;
}

static void test_links(void **state)
{
    struct fixture *f = *state;
    struct jit *jit = f->jit;
    struct code_page *page = page_of(f, 3, "\xC3", 1);
    struct jit_block *from[4], *to;
    for (unsigned i = 0; i < 4; i++) {
        from[i] = jumper(f, page, 0x100 + i * 0x20);
        assert_ptr_equal(block_find(jit, page, 0x100 + i * 0x20), from[i]);
        assert_ptr_equal(leads_to(jit, from[i]->links[0].site), from[i]->links[0].stub);
    }
    assert_null(block_find(jit, page, 0x101));
    to = translate(jit, page, 0x40);
    assert_false(closed(jit, to));
    for (unsigned i = 0; i < 4; i++) {
        block_link(jit, &from[i]->links[0], to);
        assert_ptr_equal(leads_to(jit, from[i]->links[0].site), to->entry);
    }
    // From the middle, the end, the front: the others stay.
    static const u8 order[] = {1, 0, 3};
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        const struct jit_link *link = &from[order[i]]->links[0];
        block_kill(jit, from[order[i]]);
        assert_ptr_equal(leads_to(jit, link->site), link->stub);
        assert_ptr_equal(leads_to(jit, from[2]->links[0].site), to->entry);
    }
    assert_ptr_equal(to->incoming, &from[2]->links[0]);
    assert_null(to->incoming->next);
    u64 used = jit->used;
    block_kill(jit, to);
    assert_true(to->dead && closed(jit, to));
    assert_null(to->incoming);
    assert_null(block_find(jit, page, 0x40));
    for (unsigned i = 0; i < 4; i++) {
        assert_null(from[i]->links[0].to);
        assert_ptr_equal(leads_to(jit, from[i]->links[0].site), from[i]->links[0].stub);
    }
    assert_int_equal(jit->kills, 4);
    assert_int_equal(jit->used, used); // it may be what runs
    // There may be another one now.
    struct jit_block *again = translate(jit, page, 0x40);
    assert_ptr_not_equal(again, to);
    assert_ptr_equal(block_find(jit, page, 0x40), again);
}

static void test_itself(void **state)
{
    struct fixture *f = *state;
    struct code_page *page = page_of(f, 3, "\xC3", 1);
    struct jit_block *block = jumper(f, page, 0x40);
    block_link(f->jit, &block->links[0], block);
    assert_ptr_equal(leads_to(f->jit, block->links[0].site), block->entry);
    block_kill(f->jit, block);
    assert_null(block->incoming);
    assert_null(page->blocks);
}

// What a store hits, and only that.
static void test_ranges(void **state)
{
    struct fixture *f = *state;
    struct code_page *page = page_of(f, 5, "\x90\x90\x90\xC3", 4);
    for (unsigned i = 0; i < ROUNDS / 10; i++) {
        for (unsigned offset = 0; offset < PAGE_SIZE; offset += 64) {
            if (!block_find(f->jit, page, offset)) {
                assert_int_equal(translate(f->jit, page, offset)->bytes, 4);
            }
        }
        unsigned size = 1 + any(200), first = any((unsigned)PAGE_SIZE - size);
        jit_drop_range(f->jit, page, first, size);
        for (unsigned offset = 0; offset < PAGE_SIZE; offset += 64) {
            bool hit = first < offset + 4 && offset < first + size;
            assert_int_equal(!block_find(f->jit, page, offset), hit);
        }
    }
    jit_drop_page(f->jit, page);
    assert_null(page->blocks);
}

#define PAGES 8

// Against an array. Enough of them that many share a slot.
static void test_random(void **state)
{
    struct fixture *f = *state;
    struct jit_block *(*known)[PAGE_SIZE] = calloc(PAGES, sizeof(*known));
    struct code_page *pages[PAGES];
    for (u32 n = 0; n < PAGES; n++) {
        pages[n] = page_of(f, n * 512, "\xC3", 1);
    }
    unsigned flushes = 0;
    for (unsigned i = 0; i < ROUNDS * 5; i++) {
        unsigned n = any(PAGES), offset = any(PAGE_SIZE);
        struct jit_block *block = block_find(f->jit, pages[n], offset);
        assert_ptr_equal(block, known[n][offset]);
        if (!block) {
            block = known[n][offset] = translate(f->jit, pages[n], offset);
            assert_non_null(block);
            assert_true(block->page == pages[n] && block->offset == offset);
        } else if (any(2)) {
            block_kill(f->jit, block);
            known[n][offset] = NULL;
        }
        if (any(ROUNDS) == 0) {
            block_flush(f->jit);
            memset(known, 0, PAGES * sizeof(*known));
            flushes++;
        }
    }
    assert_int_equal(f->jit->flushes, flushes);
    free(known);
}

static void test_flush(void **state)
{
    struct fixture *f = *state;
    struct jit *jit = f->jit;
    struct code_page *page = page_of(f, 3, "\xC3", 1);
    u64 first = jit->used;
    assert_int_equal(jit->heap, 0);
    struct jit_block *to = translate(jit, page, 0x40);
    block_link(jit, &jumper(f, page, 0x100)->links[0], to);
    block_kill(jit, jumper(f, page, 0x200));
    assert_true(jit->used > first && jit->heap > 3 * sizeof(struct jit_block));
    block_flush(jit);
    assert_null(block_find(jit, page, 0x40));
    assert_null(page->blocks);
    assert_null(jit->dead);
    assert_int_equal(jit->used, first);
    assert_int_equal(jit->heap, 0);
    assert_int_equal(jit->flushes, 1);
    struct jit_block *again = translate(jit, page, 0x40);
    assert_true(again->external >= jit->memory.run + first && again->end <= jit->memory.run + jit->used);
}

// Translates at each offset of page after page, until all is forgotten. Returns how many it took.
static unsigned fill(struct fixture *f, const char *pattern, u64 *heap, u64 *used, u64 *cold)
{
    unsigned blocks = 0, size = (unsigned)strlen(pattern);
    for (u32 rpn = 1; rpn < RAM_PAGES; rpn++) {
        struct code_page *page = page_of(f, rpn, pattern, size);
        for (unsigned offset = 0; offset + size <= PAGE_SIZE; offset += size) {
            *heap = f->jit->heap;
            *used = f->jit->used;
            *cold = f->jit->cold_used;
            if (!translate(f->jit, page, offset)) {
                assert_int_equal(f->jit->flushes, 1);
                assert_true(f->jit->heap == 0 && f->jit->used == f->jit->first);
                assert_true(f->jit->cold_used == JIT_COLD_OFFSET);
                return blocks;
            }
            blocks++;
        }
    }
    fail_msg("never full");
    return 0;
}

static void test_heap_is_bounded(void **state)
{
    u64 heap, used, cold;
    unsigned blocks = fill(*state, "\x90", &heap, &used, &cold); // NOPs
    assert_true(blocks > 1000);
    assert_true(heap > JIT_HEAP_BYTES && heap < JIT_HEAP_BYTES + (64u << 10));
    assert_true(used < JIT_CODE_BYTES / 2);
}

static void test_code_is_bounded(void **state)
{
    u64 heap, used, cold;
    unsigned blocks = fill(*state, "\x48\x83\x07\x01", &heap, &used, &cold); // add qword [rdi], 1
    assert_true(blocks > 1000);
    assert_true(heap <= JIT_HEAP_BYTES);
    assert_true(used <= JIT_COLD_OFFSET - JIT_CODE_SLACK);
    assert_true(cold <= JIT_CODE_BYTES - JIT_CODE_SLACK);
    assert_true(used > JIT_COLD_OFFSET - (64u << 10) || cold > JIT_CODE_BYTES - (64u << 10));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_links), TEST(test_itself),          TEST(test_ranges),          TEST(test_random),
        TEST(test_flush), TEST(test_heap_is_bounded), TEST(test_code_is_bounded),
    };
    return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
