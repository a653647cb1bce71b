// SPDX-License-Identifier: MIT
// Blocks of records and blocks of bytes; both only grow at their end.
#include "replay/input_store.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_PER_BLOCK 1024
#define BYTES_PER_BLOCK 65536

struct input_store {
    struct input_record **blocks;
    size_t block_count;
    u64 count;
    u8 **bytes; // the last one is being filled; those of cut records are freed with the store
    size_t bytes_count, bytes_used;
};

struct input_store *input_store_create(void)
{
    return xcalloc(1, sizeof(struct input_store));
}

void input_store_destroy(struct input_store *store)
{
    if (!store) {
        return;
    }
    for (size_t i = 0; i < store->block_count; i++) {
        free(store->blocks[i]);
    }
    for (size_t i = 0; i < store->bytes_count; i++) {
        free(store->bytes[i]);
    }
    free(store->blocks);
    free(store->bytes);
    free(store);
}

u64 input_store_count(const struct input_store *store)
{
    return store->count;
}

const struct input_record *input_store_get(const struct input_store *store, u64 seq)
{
    CHECK(seq < store->count);
    return &store->blocks[seq / RECORDS_PER_BLOCK][seq % RECORDS_PER_BLOCK];
}

static u8 *new_bytes_block(struct input_store *store, size_t size)
{
    store->bytes = xrealloc(store->bytes, (store->bytes_count + 1) * sizeof(u8 *));
    store->bytes[store->bytes_count] = xcalloc(1, size);
    store->bytes_used = 0;
    return store->bytes[store->bytes_count++];
}

static const u8 *keep_bytes(struct input_store *store, const u8 *bytes, u32 size)
{
    if (!size) {
        return NULL;
    }
    u8 *to;
    if (size > BYTES_PER_BLOCK) {
        to = new_bytes_block(store, size);
        store->bytes_used = BYTES_PER_BLOCK; // full: the next one begins a block
    } else {
        if (!store->bytes_count || BYTES_PER_BLOCK - store->bytes_used < size) {
            new_bytes_block(store, BYTES_PER_BLOCK);
        }
        to = store->bytes[store->bytes_count - 1] + store->bytes_used;
        store->bytes_used += size;
    }
    memcpy(to, bytes, size);
    return to;
}

const struct input_record *input_store_add(struct input_store *store,
                                           const struct input_record *record)
{
    if (store->count == store->block_count * RECORDS_PER_BLOCK) {
        store->blocks =
            xrealloc(store->blocks, (store->block_count + 1) * sizeof(struct input_record *));
        store->blocks[store->block_count++] =
            xcalloc(RECORDS_PER_BLOCK, sizeof(struct input_record));
    }
    u64 seq = store->count++;
    struct input_record *to = &store->blocks[seq / RECORDS_PER_BLOCK][seq % RECORDS_PER_BLOCK];
    *to = *record;
    to->seq = seq;
    to->bytes = keep_bytes(store, record->bytes, record->size);
    return to;
}

void input_store_cut(struct input_store *store, u64 count)
{
    CHECK(count <= store->count);
    store->count = count;
}
