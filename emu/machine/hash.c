// SPDX-License-Identifier: MIT
// The state hash. RAM is a sum of page hashes, so that only pages of a newer epoch are hashed
// again; pages of zeros count nothing, touched or not.
#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "machine/machine_internal.h"

#include <stdlib.h>
#include <string.h>

struct ram_hash {
    u64 *pages; // hash of each page as of done_epoch; 0: all zeros
    u64 sum;
    u64 done_epoch;
};

struct ram_hash *ram_hash_create(u64 ram_bytes)
{
    struct ram_hash *h = xcalloc(1, sizeof(*h));
    h->pages = xcalloc(ram_bytes >> PAGE_SHIFT, sizeof(u64));
    return h;
}

void ram_hash_destroy(struct ram_hash *h)
{
    if (h) {
        free(h->pages);
        free(h);
    }
}

static bool is_zero(const u8 *page)
{
    u64 first;
    memcpy(&first, page, sizeof(first));
    return !first && memcmp(page, page + sizeof(first), PAGE_SIZE - sizeof(first)) == 0;
}

// Depends on content and place; never 0 for a page that is not all zeros.
static u64 page_hash(const u8 *page, u32 rpn)
{
    if (is_zero(page)) {
        return 0;
    }
    u64 pair[2] = {hash_of(page, PAGE_SIZE), rpn};
    return hash_of(pair, sizeof(pair)) | 1;
}

u64 ram_hash_value(struct ram_hash *h, struct physmem *mem)
{
    u64 ended = physmem_next_epoch(mem);
    u64 count = mem->ram_bytes >> PAGE_SHIFT;
    for (u32 rpn = 0; rpn < count; rpn++) {
        if (mem->page_epoch[rpn] > h->done_epoch) {
            u64 now = page_hash(physmem_page(mem, rpn), rpn);
            h->sum += now - h->pages[rpn];
            h->pages[rpn] = now;
        }
    }
    h->done_epoch = ended;
    return h->sum;
}

static u64 pci_hash(const struct machine *m)
{
    size_t size = pci_state_size(m->pci);
    u8 *bytes = xcalloc(1, size);
    pci_state_save(m->pci, bytes);
    u64 value = hash_of(bytes, size);
    free(bytes);
    return value;
}

static u64 time_hash(const struct machine *m)
{
    u64 words[] = {m->clock.step, m->clock.idle_ns, m->clock.step_ps, m->schedule.current,
                   m->schedule.quantum_left};
    return hash_of(words, sizeof(words));
}

static void hash_small_parts(struct machine *m, void (*cb)(void *ctx, const char *part, u64 hash),
                             void *ctx)
{
    struct hash *h = hash_create();
    for (unsigned i = 0; i < m->cpu_count; i++) {
        char *name = xasprintf("cpu%u", i);
        hash_restart(h);
        cpu_hash(m->cpus[i], h);
        cb(ctx, name, hash_value(h));
        free(name);
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        hash_restart(h);
        fields_hash(h, m->devices[i]->class->fields, m->devices[i]->state);
        cb(ctx, m->devices[i]->path, hash_value(h));
    }
    hash_destroy(h);
    cb(ctx, "pci", pci_hash(m));
    cb(ctx, "time", time_hash(m));
}

void machine_hash_parts(struct machine *m, void (*cb)(void *ctx, const char *part, u64 hash),
                        void *ctx)
{
    hash_small_parts(m, cb, ctx);
    cb(ctx, "ram", ram_hash_value(m->ram_hash, m->mem));
}

static void add_part(void *ctx, const char *part, u64 hash)
{
    hash_u64(ctx, hash);
}

u64 machine_hash_small(struct machine *m)
{
    struct hash *h = hash_create();
    hash_small_parts(m, add_part, h);
    u64 value = hash_value(h);
    hash_destroy(h);
    return value;
}

u64 machine_hash_ram(struct machine *m)
{
    return ram_hash_value(m->ram_hash, m->mem);
}

u64 machine_hash(struct machine *m)
{
    struct hash *h = hash_create();
    machine_hash_parts(m, add_part, h);
    u64 value = hash_value(h);
    hash_destroy(h);
    return value;
}
