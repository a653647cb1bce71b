// SPDX-License-Identifier: MIT
// From a recording's header to what its machine is made of. Images come out of the recording if it
// holds them, else from where they were, else from beside viv; and must be the same bytes.
#include "frontends/session_internal.h"

#include "base/memory.h"
#include "frontends/file.h"
#include "machine/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KERNEL_MAX (512u << 20)

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Where the image lies now; free() it.
static char *find_image(const struct recording_image *image)
{
    if (access(image->path, R_OK) == 0) {
        return xstrdup(image->path);
    }
    char *beside = file_beside_executable(base_name(image->path));
    if (access(beside, R_OK) == 0) {
        return beside;
    }
    free(beside);
    return xstrdup(image->path);
}

static struct status compare(const struct session *s, const struct recording_image *image,
                             const char *path, u64 size_bytes, const u8 *found)
{
    if (memcmp(found, image->sha256, RECORDING_SHA256_BYTES) == 0) {
        return status_success();
    }
    char recorded_text[65], found_text[65];
    recording_sha256_text(image->sha256, recorded_text);
    recording_sha256_text(found, found_text);
    return status_error(STATUS_BAD_INPUT,
                        "%s is not the file that %s was made with: SHA-256 %s (%llu bytes), "
                        "recorded %s",
                        path, base_name(log_reader_path(s->reader)), found_text,
                        (unsigned long long)size_bytes, recorded_text);
}

// The whole image in memory.
static struct status load_image(const struct session *s, const struct recording_image *image,
                                u8 **bytes, size_t *size)
{
    if (image->embedded) {
        *size = (size_t)image->size_bytes;
        return log_reader_image(s->reader, image, bytes);
    }
    char *path = find_image(image);
    struct status result = file_read("recorded image", path, KERNEL_MAX, bytes, size);
    if (status_ok(&result)) {
        u8 sha256[RECORDING_SHA256_BYTES];
        recording_sha256(*bytes, *size, sha256);
        result = compare(s, image, path, *size, sha256);
    }
    free(path);
    return result;
}

// An embedded disk becomes a file without a name.
static struct status open_embedded(struct session *s, const struct recording_image *image,
                                   struct host *host, enum posix_block_mode mode)
{
    u8 *bytes = NULL;
    struct status result = log_reader_image(s->reader, image, &bytes);
    if (!status_ok(&result)) {
        return result;
    }
    int fd = memfd_create("viv-image", MFD_CLOEXEC);
    u64 done = 0;
    while (fd >= 0 && done < image->size_bytes) {
        ssize_t n = write(fd, bytes + done, (size_t)(image->size_bytes - done));
        if (n <= 0 && errno != EINTR) {
            break;
        }
        done += n > 0 ? (u64)n : 0;
    }
    free(bytes);
    if (done < image->size_bytes) {
        result = status_error(STATUS_BAD_INPUT, "no memory for the embedded %s: %s", image->path,
                              strerror(errno));
    } else {
        char *path = xasprintf("/proc/self/fd/%d", fd);
        result = session_open_disk(s, host, image->index, path, mode);
        free(path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

static struct status open_file(struct session *s, const struct recording_image *image,
                               struct host *host, enum posix_block_mode mode)
{
    char *path = find_image(image);
    struct status result = session_open_disk(s, host, image->index, path, mode);
    if (status_ok(&result)) {
        const struct host_block *disk = &host->disk[image->index];
        u8 sha256[RECORDING_SHA256_BYTES];
        if (recording_sha256_of(disk->ops->read, disk->ctx, disk->size_bytes, sha256)) {
            result = compare(s, image, path, disk->size_bytes, sha256);
        } else {
            result = status_error(STATUS_BAD_INPUT, "cannot read %s: %s", path, strerror(errno));
        }
    }
    free(path);
    return result;
}

static struct status plan_image(struct session *s, const struct recording_image *image,
                                struct host *host)
{
    struct session_boot *b = &s->boot;
    switch (image->role) {
    case RECORDING_KERNEL:
        if (b->kernel) {
            break;
        }
        b->kernel_path = xstrdup(image->path);
        return load_image(s, image, &b->kernel, &b->kernel_size);
    case RECORDING_INITRD:
        if (b->initrd) {
            break;
        }
        b->initrd_path = xstrdup(image->path);
        return load_image(s, image, &b->initrd, &b->initrd_size);
    default:
        if (s->disks[image->index]) {
            break;
        }
        enum posix_block_mode mode = image->read_only ? POSIX_BLOCK_READ : POSIX_BLOCK_SNAPSHOT;
        return image->embedded ? open_embedded(s, image, host, mode)
                               : open_file(s, image, host, mode);
    }
    return status_error(STATUS_BAD_INPUT, "%s: an image stands in its header twice",
                        log_reader_path(s->reader));
}

// The recording's description becomes the session's own.
static void describe(struct session *s)
{
    struct bytes header = {0};
    size_t size;
    recording_put_header(log_reader_recording(s->reader), &header);
    recording_get_header(&s->recording, log_reader_path(s->reader), header.data, header.size,
                         &size);
    bytes_free(&header);
}

static struct status check_tree(struct session *s)
{
    const struct recording *r = log_reader_recording(s->reader);
    struct tree_changes none = {.seed = r->seed};
    void *tree = NULL;
    struct status result =
        tree_prepare(&tree, r->tree, r->tree_size, log_reader_path(s->reader), &none);
    if (!status_ok(&result)) {
        return result;
    }
    free(tree); // it was only to be checked: the machine gets the recorded bytes
    s->boot.tree_size = r->tree_size;
    s->boot.tree = xcalloc(1, r->tree_size);
    memcpy(s->boot.tree, r->tree, r->tree_size);
    return result;
}

struct status session_plan_replay(struct session *s, struct host *host)
{
    describe(s);
    struct status result = check_tree(s);
    const struct recording *r = log_reader_recording(s->reader);
    for (unsigned i = 0; status_ok(&result) && i < r->image_count; i++) {
        result = plan_image(s, &r->images[i], host);
    }
    if (status_ok(&result) && !s->boot.kernel) {
        result = status_error(STATUS_BAD_INPUT, "%s: no kernel stands in its header",
                              log_reader_path(s->reader));
    }
    return result;
}
