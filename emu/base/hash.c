// SPDX-License-Identifier: MIT
// The state hash over libxxhash.
#include "base/hash.h"

#include "base/check.h"

#include <xxhash.h>

struct hash *hash_create(void)
{
    XXH3_state_t *state = XXH3_createState();
    CHECK(state != NULL);
    XXH3_64bits_reset(state);
    return (struct hash *)state;
}

void hash_destroy(struct hash *h)
{
    XXH3_freeState((XXH3_state_t *)h);
}

void hash_restart(struct hash *h)
{
    XXH3_64bits_reset((XXH3_state_t *)h);
}

void hash_bytes(struct hash *h, const void *bytes, size_t size)
{
    XXH3_64bits_update((XXH3_state_t *)h, bytes, size);
}

void hash_u64(struct hash *h, u64 value)
{
    hash_bytes(h, &value, sizeof(value));
}

u64 hash_value(const struct hash *h)
{
    return XXH3_64bits_digest((const XXH3_state_t *)h);
}

u64 hash_of(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}
