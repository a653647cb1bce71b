// SPDX-License-Identifier: MIT
// Writing what a session is, and what came to it, to a recording.
#include "frontends/session.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct image_source {
    bool (*read)(void *ctx, u64 offset, void *bytes, size_t size);
    void *ctx;
};

struct memory_image {
    const u8 *bytes;
    size_t size;
};

static bool read_memory(void *ctx, u64 offset, void *bytes, size_t size)
{
    const struct memory_image *m = ctx;
    if (offset > m->size || size > m->size - offset) {
        return false;
    }
    memcpy(bytes, m->bytes + offset, size);
    return true;
}

static bool read_base(void *ctx, u64 offset, void *bytes, size_t size)
{
    return posix_block_read_base(ctx, offset, bytes, size);
}

// Where an image's bytes come from. memory holds what the result refers to.
static struct image_source source_of(struct session *s, const struct recording_image *image,
                                     struct memory_image *memory)
{
    if (image->role == RECORDING_DISK) {
        return (struct image_source){read_base, s->disks[image->index]};
    }
    bool kernel = image->role == RECORDING_KERNEL;
    *memory = (struct memory_image){kernel ? s->boot.kernel : s->boot.initrd,
                                    kernel ? s->boot.kernel_size : s->boot.initrd_size};
    return (struct image_source){read_memory, memory};
}

static struct status hash_images(struct session *s)
{
    struct status result = status_success();
    for (unsigned i = 0; status_ok(&result) && i < s->recording.image_count; i++) {
        struct recording_image *image = &s->recording.images[i];
        struct memory_image memory;
        struct image_source from = source_of(s, image, &memory);
        if (!recording_sha256_of(from.read, from.ctx, image->size_bytes, image->sha256)) {
            result =
                status_error(STATUS_BAD_INPUT, "cannot read %s: %s", image->path, strerror(errno));
        }
    }
    return result;
}

static void choose_embedded(struct session *s, bool self_contained)
{
    for (unsigned i = 0; i < s->recording.image_count; i++) {
        struct recording_image *image = &s->recording.images[i];
        image->embedded = self_contained && image->size_bytes <= SESSION_EMBED_MAX;
        if (self_contained && !image->embedded) {
            fprintf(stderr,
                    "viv: %s is too large to be embedded: the recording needs it beside it\n",
                    image->path);
        }
    }
}

struct status session_begin_recording(struct session *s, const char *path, bool self_contained,
                                      struct log_writer **out)
{
    choose_embedded(s, self_contained);
    struct status result = hash_images(s);
    if (status_ok(&result)) {
        result = log_writer_create(out, path, &s->recording);
    }
    for (unsigned i = 0; status_ok(&result) && i < s->recording.image_count; i++) {
        const struct recording_image *image = &s->recording.images[i];
        if (image->embedded) {
            struct memory_image memory;
            struct image_source from = source_of(s, image, &memory);
            log_writer_image(*out, image, from.read, from.ctx);
        }
    }
    return result;
}
