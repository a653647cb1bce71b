// SPDX-License-Identifier: MIT
// The decode cache: runs of struct insn by physical page, dropped by the stores that overlap them.
#include "cpu/interp/code_cache.h"
#include "cpu/interp/vector_unit.h"
#include "cpu/jit/jit.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

#define RUN_MAX 64
#define INSN_BYTES_MAX 15
#define CACHE_BYTES_MAX (UINT64_C(32) << 20)
#define PAGE_INSNS_MAX 20000 // overwritten ones included: then the page is begun anew
#define IDLE_STORES_MAX 256  // stores without a lookup: the page is data now
#define LOOSE_ENTRIES 256

struct loose_insn {
    struct insn insn;
    u8 bytes[INSN_BYTES_MAX];
};

struct code_cache {
    struct physmem *mem;
    struct mmu_shared *mmu;
    struct decoder *decoder;
    struct vector_unit *vector;
    struct jit *jit; // NULL: nobody translates
    unsigned users;
    bool counted;             // op_counted stands for every handler
    u64 bytes;                // of all pages and their instructions
    struct code_page *first;  // all pages
    struct code_page **pages; // by rpn
    struct loose_insn loose[LOOSE_ENTRIES];
    u64 watched[PAGE_SIZE / 64]; // bit n: page offset
};

static void code_cache_store(void *ctx, u32 rpn, u32 offset, const u8 *bytes, u32 size);

struct code_cache *code_cache_get(struct physmem *mem, struct mmu_shared *mmu,
                                  const struct decoder_options *options, bool counted)
{
    struct code_cache *cache = mem->on_store.code_ctx;
    if (!cache) {
        cache = xcalloc(1, sizeof(*cache));
        cache->mem = mem;
        cache->mmu = mmu;
        cache->decoder = decoder_create(options);
        cache->vector = vector_unit_create();
        cache->counted = counted;
        cache->pages = xcalloc(mem->ram_bytes >> PAGE_SHIFT, sizeof(*cache->pages));
        mem->on_store.code = code_cache_store;
        mem->on_store.code_ctx = cache;
    }
    cache->users++;
    return cache;
}

struct code_page **code_cache_pages(struct code_cache *cache)
{
    return cache->pages;
}

struct jit *code_cache_jit(struct code_cache *cache, unsigned cpu_count)
{
    if (!cache->jit) {
        cache->jit = jit_create(cache->mem, cache->mmu, cache, cpu_count);
    }
    return cache->jit;
}

static void page_free(struct code_cache *cache, struct code_page *page)
{
    if (page->blocks) {
        jit_drop_page(cache->jit, page);
    }
    struct code_page **link = &cache->pages[page->rpn];
    while (*link != page) {
        link = &(*link)->next_size;
    }
    *link = page->next_size;
    *(page->previous ? &page->previous->next : &cache->first) = page->next;
    if (page->next) {
        page->next->previous = page->previous;
    }
    if (!cache->pages[page->rpn]) {
        cache->mem->page_flags[page->rpn] &= (u8)~PHYSMEM_PAGE_CODE;
    }
    cache->bytes -= sizeof(*page) + page->capacity * sizeof(struct insn);
    free(page->insns);
    free(page);
}

static void free_all(struct code_cache *cache)
{
    while (cache->first) {
        page_free(cache, cache->first);
    }
}

void code_cache_put(struct code_cache *cache)
{
    if (--cache->users) {
        return;
    }
    free_all(cache);
    jit_destroy(cache->jit);
    cache->mem->on_store.code = NULL;
    cache->mem->on_store.code_ctx = NULL;
    decoder_destroy(cache->decoder);
    vector_unit_destroy(cache->vector);
    free(cache->pages);
    free(cache);
}

static struct code_page *page_create(struct code_cache *cache, u32 rpn, enum insn_code_size code)
{
    struct code_page *page = xcalloc(1, sizeof(*page));
    page->rpn = rpn;
    page->code = (u8)code;
    page->next_size = cache->pages[rpn];
    cache->pages[rpn] = page;
    page->next = cache->first;
    if (cache->first) {
        cache->first->previous = page;
    }
    cache->first = page;
    cache->bytes += sizeof(*page);
    return page;
}

struct code_page *code_cache_page(struct code_cache *cache, u32 rpn, enum insn_code_size code)
{
    if (UNLIKELY(cache->bytes > CACHE_BYTES_MAX)) {
        free_all(cache);
    }
    struct code_page *page = cache->pages[rpn];
    while (page && page->code != code) {
        page = page->next_size;
    }
    if (page && UNLIKELY(page->doomed)) {
        page_free(cache, page);
        page = NULL;
    }
    if (!page) {
        page = page_create(cache, rpn, code);
    }
    page->stores = 0;
    return page;
}

// From now on stores to the page are seen.
static void watch(struct code_cache *cache, u32 rpn)
{
    u8 *flags = &cache->mem->page_flags[rpn];
    if (!(*flags & PHYSMEM_PAGE_CODE)) {
        *flags |= PHYSMEM_PAGE_CODE;
        mmu_drop_page_writes(cache->mmu, rpn);
    }
}

static u64 line_mask(unsigned offset, unsigned size)
{
    unsigned first = offset >> 6, last = (offset + size - 1) >> 6;
    return (last >= 63 ? UINT64_MAX : BIT(last + 1) - 1) & ~(BIT(first) - 1);
}

// Marks what is too long in reg, which it does not use.
#define REG_TOO_LONG 0xFF

static enum decode_result decode_and_bind(struct code_cache *cache, enum insn_code_size code,
                                          const u8 *bytes, size_t available, unsigned offset,
                                          struct insn *out)
{
    enum decode_result result = insn_decode(cache->decoder, code, bytes, available, offset, out);
    out->fn = result == DECODE_TOO_LONG ? op_too_long : interp_bind(out);
    out->reg = result == DECODE_TOO_LONG ? REG_TOO_LONG : out->reg;
    if (x86_op_info[out->op].attributes & A_VECTOR) {
        // From here on imm is the operation's trampoline.
        const struct vector_op *op =
            vector_unit_find(cache->vector, (union vector_key){.bits = out->imm});
        out->imm = (u64)(uintptr_t)op;
        out->fn = op ? out->fn : op_undefined;
    }
    out->fn = UNLIKELY(cache->counted) ? op_counted : out->fn;
    out->remaining = 1;
    return result;
}

insn_fn code_cache_handler(const struct insn *insn)
{
    if (insn->op == OP_INVALID) {
        return insn->reg == REG_TOO_LONG ? op_too_long : op_undefined;
    }
    if (!(x86_op_info[insn->op].attributes & A_VECTOR)) {
        return interp_bind(insn);
    }
    const struct vector_op *op = (const struct vector_op *)(uintptr_t)insn->imm;
    struct insn decoded = *insn;
    decoded.imm = op ? op->key.bits : 0;
    return op ? interp_bind(&decoded) : op_undefined;
}

static bool is_watched(const struct code_cache *cache, unsigned offset)
{
    return cache->watched[offset / 64] & BIT(offset % 64);
}

void code_cache_watch(struct code_cache *cache, const u64 *linear, unsigned count)
{
    u64 changed[ARRAY_LEN(cache->watched)];
    memcpy(changed, cache->watched, sizeof(changed));
    memset(cache->watched, 0, sizeof(cache->watched));
    for (unsigned i = 0; i < count; i++) {
        unsigned offset = linear[i] & PAGE_MASK;
        cache->watched[offset / 64] |= BIT(offset % 64);
    }
    for (unsigned word = 0; word < ARRAY_LEN(changed); word++) {
        for (u64 left = changed[word] ^ cache->watched[word]; left; left &= left - 1) {
            unsigned offset = word * 64 + (unsigned)__builtin_ctzll(left);
            for (struct code_page *page = cache->first; page; page = page->next) {
                if (page->index[offset]) {
                    if (page->blocks) {
                        jit_drop_range(cache->jit, page, offset, 1);
                    }
                    struct insn *insn = &page->insns[page->index[offset] - 1];
                    insn->fn = is_watched(cache, offset) ? op_watched
                               : cache->counted          ? op_counted
                                                         : code_cache_handler(insn);
                }
            }
        }
    }
}

// Decodes from offset to the end of a run. Returns the number of instructions, 0 if the first
// crosses the page.
static unsigned decode_run(struct code_cache *cache, const struct code_page *page, unsigned offset,
                           struct insn run[RUN_MAX])
{
    const u8 *bytes = physmem_page(cache->mem, page->rpn);
    unsigned n = 0;
    while (n < RUN_MAX && offset < PAGE_SIZE && !page->index[offset]) {
        enum decode_result result =
            decode_and_bind(cache, (enum insn_code_size)page->code, bytes + offset,
                            PAGE_SIZE - offset, offset, &run[n]);
        if (result == DECODE_SHORT || (n && (run[n].flags & INSN_END))) {
            break;
        }
        offset += run[n].length;
        bool falls = x86_op_info[run[n].op].attributes & A_CONDITIONAL;
        bool ends =
            ((run[n].flags & (INSN_END | INSN_SETS_RIP)) && !falls) || run[n].op == OP_INVALID;
        n++;
        if (ends) {
            break;
        }
    }
    return n;
}

static void append(struct code_cache *cache, struct code_page *page, const struct insn *run,
                   unsigned n)
{
    if (page->count + n > page->capacity) {
        u32 capacity = page->capacity ? page->capacity * 2 : RUN_MAX;
        page->insns = xrealloc(page->insns, capacity * sizeof(struct insn));
        cache->bytes += (capacity - page->capacity) * sizeof(struct insn);
        page->capacity = capacity;
    }
    for (unsigned i = 0; i < n; i++) {
        struct insn *insn = &page->insns[page->count++];
        *insn = run[i];
        insn->remaining = (u8)(n - i);
        insn->fn = UNLIKELY(is_watched(cache, insn->offset)) ? op_watched : insn->fn;
        page->index[insn->offset] = (u16)page->count;
        page->lines |= line_mask(insn->offset, insn->length);
    }
    page->live += n;
    page->doomed = page->count > PAGE_INSNS_MAX;
}

const struct insn *code_cache_at(struct code_cache *cache, struct code_page *page, unsigned offset)
{
    unsigned from_end = (unsigned)PAGE_SIZE - 1 - offset;
    if (from_end < INSN_BYTES_MAX && (page->crossing & BIT(from_end))) {
        return NULL;
    }
    if (!page->index[offset]) {
        struct insn run[RUN_MAX];
        watch(cache, page->rpn);
        unsigned n = decode_run(cache, page, offset, run);
        if (n == 0) {
            page->crossing |= (u16)BIT(from_end);
            page->lines |= BIT(63);
            return NULL;
        }
        append(cache, page, run, n);
    }
    return &page->insns[page->index[offset] - 1];
}

const struct insn *code_cache_loose(struct code_cache *cache, enum insn_code_size code,
                                    unsigned offset, const u8 *bytes, unsigned size)
{
    struct loose_insn *entry = &cache->loose[(offset * 31u + bytes[0] * 7u) % LOOSE_ENTRIES];
    unsigned length = entry->insn.length, known = length < size ? length : size;
    if (entry->insn.fn && entry->insn.code == code && entry->insn.offset == offset &&
        memcmp(entry->bytes, bytes, known) == 0) {
        return length <= size ? &entry->insn : NULL; // these bytes did not suffice then either
    }
    struct insn insn;
    if (decode_and_bind(cache, code, bytes, size, offset, &insn) == DECODE_SHORT) {
        return NULL;
    }
    entry->insn = insn;
    memcpy(entry->bytes, bytes, size);
    return &entry->insn;
}

// An overwritten instruction stays in its run as a stop: the loop looks again when it comes there.
static void kill_insn(struct code_page *page, unsigned offset)
{
    page->insns[page->index[offset] - 1].fn = op_stale;
    page->index[offset] = 0;
    page->live--;
}

static void kill_range(struct code_cache *cache, struct code_page *page, u32 offset, u32 size)
{
    if (page->blocks && jit_drop_range(cache->jit, page, offset, size)) {
        page->rewrites++;
    }
    if (offset + size > PAGE_SIZE - INSN_BYTES_MAX) {
        page->crossing = 0;
    }
    u32 first = offset < INSN_BYTES_MAX ? 0 : offset - (INSN_BYTES_MAX - 1);
    for (u32 o = first; o < offset + size; o++) {
        unsigned position = page->index[o];
        if (position && o + page->insns[position - 1].length > offset) {
            kill_insn(page, o);
        }
    }
}

static void code_cache_store(void *ctx, u32 rpn, u32 offset, const u8 *bytes, u32 size)
{
    struct code_cache *cache = ctx;
    bool live = false;
    bool same = memcmp(physmem_page(cache->mem, rpn) + offset, bytes, size) == 0;
    for (struct code_page *page = cache->pages[rpn]; page; page = page->next_size) {
        if (++page->stores > IDLE_STORES_MAX) {
            kill_range(cache, page, 0, PAGE_SIZE);
        } else if (!same && (page->lines & line_mask(offset, size))) {
            kill_range(cache, page, offset, size);
        }
        if (page->live == 0) {
            page->lines = 0;
            page->crossing = 0;
            page->doomed = true;
        }
        live |= page->live != 0;
    }
    if (!live) {
        cache->mem->page_flags[rpn] &= (u8)~PHYSMEM_PAGE_CODE;
    }
}
