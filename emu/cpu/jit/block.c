// SPDX-License-Identifier: MIT
// Blocks: found by page and offset, linked with each other, killed when their code changes. What is
// killed stays in memory until everything is forgotten: somebody may be executing it.
#include "cpu/jit/jit_internal.h"

#include <stdlib.h>

static unsigned slot_of(const struct code_page *page, unsigned offset)
{
    u64 key = (u64)page->rpn << PAGE_SHIFT | offset;
    return (unsigned)(key * UINT64_C(0x9E3779B97F4A7C15) >> 48) & (BLOCK_SLOTS - 1);
}

struct jit_block *block_find(const struct jit *jit, const struct code_page *page, unsigned offset)
{
    struct jit_block *block = jit->slots[slot_of(page, offset)];
    while (block && (block->page != page || block->offset != offset)) {
        block = block->next_in_slot;
    }
    return block;
}

void block_insert(struct jit *jit, struct jit_block *block)
{
    struct jit_block **slot = &jit->slots[slot_of(block->page, block->offset)];
    block->next_in_slot = *slot;
    *slot = block;
    block->next_in_page = block->page->blocks;
    block->page->blocks = block;
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
    struct jit_block **link = &jit->slots[slot_of(block->page, block->offset)];
    while (*link != block) {
        link = &(*link)->next_in_slot;
    }
    *link = block->next_in_slot;
    link = &block->page->blocks;
    while (*link != block) {
        link = &(*link)->next_in_page;
    }
    *link = block->next_in_page;
    close_entry(jit, block);
    block->dead = true;
    block->next_in_page = jit->dead;
    jit->dead = block;
    jit->kills++;
}

void block_flush(struct jit *jit)
{
    for (unsigned i = 0; i < BLOCK_SLOTS; i++) {
        while (jit->slots[i]) {
            block_kill(jit, jit->slots[i]);
        }
    }
    while (jit->dead) {
        struct jit_block *next = jit->dead->next_in_page;
        free(jit->dead->links);
        free(jit->dead);
        jit->dead = next;
    }
    mmu_drop_jumps(jit->mmu);
    jit->used = jit->first;
    jit->flushes++;
    jit->blocks_bytes = 0;
}
