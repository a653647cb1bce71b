// SPDX-License-Identifier: MIT
// Blocks: found by page and offset, linked with each other, killed when their code changes. What is
// killed stays in memory until everything is forgotten: somebody may be executing it.
#include "cpu/jit/jit_internal.h"

#include <stdlib.h>
#include <string.h>

static unsigned slot_of(const struct code_page *page, unsigned offset)
{
    return (unsigned)(block_hash(page, offset) >> (64 - BLOCK_SLOTS_BITS));
}

struct jit_block *block_find(const struct jit *jit, const struct code_page *page, unsigned offset)
{
    unsigned slot = slot_of(page, offset);
    struct jit_block *block = jit->slots[slot].first;
    if (LIKELY(block && jit->slots[slot].key == block_key(page, offset))) {
        return block;
    }
    while (block && (block->page != page || block->offset != offset)) {
        block = block->next_in_slot;
    }
    return block;
}

// With what malloc() adds.
static u64 heap_of(const struct jit_block *block)
{
    return sizeof(*block) + block->insn_count * sizeof(struct insn) +
           block->link_count * sizeof(struct jit_link) + 32;
}

void block_insert(struct jit *jit, struct jit_block *block)
{
    jit->heap += heap_of(block);
    unsigned slot = slot_of(block->page, block->offset);
    block->next_in_slot = jit->slots[slot].first;
    jit->slots[slot].first = block;
    jit->slots[slot].key = block_key(block->page, block->offset);
    block->next_in_page = block->page->blocks;
    block->page->blocks = block;
}

static void remove_from_slot(struct jit *jit, const struct jit_block *block)
{
    unsigned slot = slot_of(block->page, block->offset);
    struct jit_block **link = &jit->slots[slot].first;
    while (*link != block) {
        link = &(*link)->next_in_slot;
    }
    *link = block->next_in_slot;
    const struct jit_block *first = jit->slots[slot].first;
    jit->slots[slot].key = first ? block_key(first->page, first->offset) : 0;
}

void block_link(struct jit *jit, struct jit_link *link, struct jit_block *to)
{
    link->to = to;
    link->prev = NULL;
    link->next = to->incoming;
    if (to->incoming) {
        to->incoming->prev = link;
    }
    to->incoming = link;
    emit_patch(link->site, jit_to_run(jit), to->entry);
}

static void unlink(const struct jit *jit, struct jit_link *link)
{
    *(link->prev ? &link->prev->next : &link->to->incoming) = link->next;
    if (link->next) {
        link->next->prev = link->prev;
    }
    link->to = NULL;
    emit_patch(link->site, jit_to_run(jit), link->stub);
}

// Jump caches may lead to it still: its entry for them becomes a way out.
static void close_entry(const struct jit *jit, const struct jit_block *block)
{
    struct emitter e = {.write = block->external_write,
                        .end = block->external_write + 5,
                        .to_run = jit_to_run(jit)};
    emit_jmp(&e, jit->gates.exit_linear);
}

void block_kill(struct jit *jit, struct jit_block *block)
{
    while (block->incoming) {
        unlink(jit, block->incoming);
    }
    for (unsigned i = 0; i < block->link_count; i++) {
        if (block->links[i].to) {
            unlink(jit, &block->links[i]);
        }
    }
    remove_from_slot(jit, block);
    struct jit_block **link = &block->page->blocks;
    while (*link != block) {
        link = &(*link)->next_in_page;
    }
    *link = block->next_in_page;
    close_entry(jit, block);
    block->dead = true;
    // A repeated instruction that is under way, and may be overwriting itself, sees it (repeat()).
    for (unsigned i = 0; i < block->insn_count; i++) {
        block->insns[i].fn = op_stale;
    }
    block->next_in_page = jit->dead;
    jit->dead = block;
    jit->kills++;
}

void block_flush(struct jit *jit)
{
    for (unsigned i = 0; i < BLOCK_SLOTS; i++) {
        while (jit->slots[i].first) {
            block_kill(jit, jit->slots[i].first);
        }
    }
    while (jit->dead) {
        struct jit_block *next = jit->dead->next_in_page;
        free(jit->dead->links);
        free(jit->dead);
        jit->dead = next;
    }
    mmu_drop_jumps(jit->mmu);
    memset(jit->code_at, 0, sizeof(jit->code_at));
    jit->used = jit->first;
    jit->cold_used = JIT_COLD_OFFSET;
    jit->heap = 0;
    jit->flushes++;
}
