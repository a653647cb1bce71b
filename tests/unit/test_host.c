// SPDX-License-Identifier: MIT
// Disks: the overlay against a model, images in files.
#include "base/memory.h"
#include "host/overlay.h"
#include "host/posix_block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECTORS 1003 // no multiple of the overlay's block
#define SIZE (SECTORS * 512)

struct memory_disk {
    u8 bytes[SIZE];
    unsigned writes;
    u64 bad_offset; // reads that touch it fail
};

static bool memory_read(void *ctx, u64 offset, void *bytes, size_t size)
{
    struct memory_disk *d = ctx;
    if (offset + size > SIZE || (d->bad_offset >= offset && d->bad_offset < offset + size)) {
        return false;
    }
    memcpy(bytes, d->bytes + offset, size);
    return true;
}

static bool memory_write(void *ctx, u64 offset, const void *bytes, size_t size)
{
    struct memory_disk *d = ctx;
    d->writes++;
    return true;
}

static const struct host_block_ops memory_ops = {.read = memory_read, .write = memory_write};

static struct memory_disk *new_disk(void)
{
    struct memory_disk *d = xcalloc(1, sizeof(*d));
    for (size_t i = 0; i < SIZE; i++) {
        d->bytes[i] = (u8)(i * 7 + i / 512);
    }
    d->bad_offset = UINT64_MAX;
    return d;
}

static void compare(const struct host_block *disk, const u8 *model)
{
    u8 *all = xcalloc(1, SIZE);
    assert_true(disk->ops->read(disk->ctx, 0, all, SIZE));
    assert_memory_equal(all, model, SIZE);
    free(all);
}

static void random_writes(const struct host_block *disk, u8 *model, int count)
{
    u8 bytes[64 * 512];
    for (int i = 0; i < count; i++) {
        u64 sector = (u64)rand() % SECTORS;
        u64 sectors = 1 + (u64)rand() % 64;
        sectors = sector + sectors > SECTORS ? SECTORS - sector : sectors;
        memset(bytes, rand(), sectors * 512);
        assert_true(disk->ops->write(disk->ctx, sector * 512, bytes, sectors * 512));
        memcpy(model + sector * 512, bytes, sectors * 512);
    }
}

static void test_overlay(void **state)
{
    struct memory_disk *base = new_disk();
    struct host_block below = {.ops = &memory_ops, .ctx = base, .size_bytes = SIZE};
    struct overlay *o = overlay_create(&below);
    struct host_block disk = overlay_host(o);
    u8 *model = xcalloc(1, SIZE);
    memcpy(model, base->bytes, SIZE);
    assert_int_equal(disk.size_bytes, SIZE);
    assert_false(disk.read_only);
    compare(&disk, model);
    assert_int_equal(overlay_bytes(o), 0);
    srand(1);
    random_writes(&disk, model, 50);
    compare(&disk, model);
    struct overlay_copy *copy = overlay_save(o);
    u8 *then = xcalloc(1, SIZE);
    memcpy(then, model, SIZE);
    random_writes(&disk, model, 200);
    compare(&disk, model);
    overlay_restore(o, copy);
    compare(&disk, then);
    random_writes(&disk, then, 200);
    compare(&disk, then);
    assert_int_equal(base->writes, 0);
    u8 sector[512];
    assert_false(disk.ops->write(disk.ctx, SIZE, sector, 512));
    assert_false(disk.ops->read(disk.ctx, SIZE - 256, sector, 512));
    assert_false(disk.ops->read(disk.ctx, UINT64_MAX - 100, sector, 512));
    overlay_copy_free(copy);
    overlay_destroy(o);
    free(model);
    free(then);
    free(base);
}

// Many copies at once, restored in any order and freed in any order, hold each their own past.
static void test_overlay_copies(void **state)
{
    enum { COPIES = 12 };
    struct memory_disk *base = new_disk();
    struct host_block below = {.ops = &memory_ops, .ctx = base, .size_bytes = SIZE};
    struct overlay *o = overlay_create(&below);
    struct host_block disk = overlay_host(o);
    struct overlay_copy *copies[COPIES];
    u8 *models[COPIES], *model = xcalloc(1, SIZE);
    memcpy(model, base->bytes, SIZE);
    srand(2);
    for (int i = 0; i < COPIES; i++) {
        random_writes(&disk, model, 1);
        copies[i] = overlay_save(o);
        models[i] = xcalloc(1, SIZE);
        memcpy(models[i], model, SIZE);
    }
    struct overlay_copy *again = overlay_save(o);
    assert_ptr_equal(again, copies[COPIES - 1]); // nothing was written in between
    overlay_copy_free(again);
    assert_true(overlay_held_bytes(o) < (u64)COPIES * overlay_bytes(o)); // they share
    for (int n = 0; n < 200; n++) {
        int i = rand() % COPIES;
        overlay_restore(o, copies[i]);
        compare(&disk, models[i]);
        memcpy(model, models[i], SIZE);
        random_writes(&disk, model, n % 3);
        compare(&disk, model);
    }
    struct overlay *other = overlay_create(&below);
    struct host_block other_disk = overlay_host(other);
    for (int i = 0; i < COPIES; i += 2) {
        overlay_restore(other, copies[i]);
        overlay_copy_free(copies[i]);
        compare(&other_disk, models[i]);
        overlay_restore(o, copies[i + 1]);
        overlay_copy_free(copies[i + 1]);
        compare(&disk, models[i + 1]);
    }
    assert_true(overlay_held_bytes(o) <= overlay_bytes(o) * 2);
    overlay_destroy(other);
    overlay_destroy(o);
    for (int i = 0; i < COPIES; i++) {
        free(models[i]);
    }
    free(model);
    free(base);
}

static void note_change(void *ctx, u64 number, const u8 *bytes)
{
    u8 *model = ctx;
    u64 at = number * OVERLAY_BLOCK;
    memcpy(model + at, bytes, SIZE - at < OVERLAY_BLOCK ? SIZE - at : OVERLAY_BLOCK);
}

// What changed between two copies is all that changed.
static void test_overlay_changes(void **state)
{
    struct memory_disk *base = new_disk();
    struct host_block below = {.ops = &memory_ops, .ctx = base, .size_bytes = SIZE};
    struct overlay *o = overlay_create(&below);
    struct host_block disk = overlay_host(o);
    u8 *model = xcalloc(1, SIZE), *followed = xcalloc(1, SIZE);
    memcpy(model, base->bytes, SIZE);
    memcpy(followed, base->bytes, SIZE);
    struct overlay_copy *last = NULL;
    srand(3);
    for (int n = 0; n < 30; n++) {
        random_writes(&disk, model, n % 4);
        struct overlay_copy *now = overlay_save(o);
        overlay_copy_changes(last, now, note_change, followed);
        assert_memory_equal(followed, model, SIZE);
        overlay_copy_free(last);
        last = now;
    }
    overlay_copy_free(last);
    overlay_destroy(o);
    free(model);
    free(followed);
    free(base);
}

// A block that cannot be read cannot be written in part, but as a whole.
static void test_overlay_on_a_bad_disk(void **state)
{
    struct memory_disk *base = new_disk();
    base->bad_offset = 8192;
    struct host_block below = {.ops = &memory_ops, .ctx = base, .size_bytes = SIZE};
    struct overlay *o = overlay_create(&below);
    struct host_block disk = overlay_host(o);
    u8 bytes[4096] = {1};
    assert_false(disk.ops->read(disk.ctx, 8192, bytes, 512));
    assert_false(disk.ops->write(disk.ctx, 8192, bytes, 512));
    assert_true(disk.ops->write(disk.ctx, 8192, bytes, 4096));
    assert_true(disk.ops->read(disk.ctx, 8192, bytes, 4096));
    overlay_destroy(o);
    free(base);
}

static char *new_image(size_t size)
{
    char *path = xstrdup("/tmp/viv-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
    return path;
}

static void test_image(void **state)
{
    char *path = new_image(8192);
    struct posix_block *block;
    u8 sector[512] = "hello", seen[512];
    struct status s = posix_block_open(&block, path, POSIX_BLOCK_WRITE);
    assert_true(status_ok(&s));
    struct host_block disk = posix_block_host(block);
    assert_int_equal(disk.size_bytes, 8192);
    assert_true(disk.ops->write(disk.ctx, 512, sector, 512));
    assert_true(disk.ops->flush(disk.ctx));
    assert_false(disk.ops->write(disk.ctx, 8192, sector, 512)); // an image never grows
    struct posix_block *second;
    s = posix_block_open(&second, path, POSIX_BLOCK_SNAPSHOT);
    assert_int_equal(s.code, STATUS_BAD_INPUT);
    assert_int_equal(truncate(path, 4096), 0); // while it is used: a media error
    assert_false(disk.ops->read(disk.ctx, 4096, seen, 512));
    assert_true(disk.ops->read(disk.ctx, 512, seen, 512));
    assert_memory_equal(seen, sector, 512);
    posix_block_close(block);

    s = posix_block_open(&block, path, POSIX_BLOCK_SNAPSHOT);
    assert_true(status_ok(&s));
    s = posix_block_open(&second, path, POSIX_BLOCK_READ); // readers share
    assert_true(status_ok(&s));
    struct host_block snapshot = posix_block_host(block), reader = posix_block_host(second);
    assert_true(reader.read_only);
    sector[0] = 'j';
    assert_true(snapshot.ops->write(snapshot.ctx, 512, sector, 512));
    assert_true(snapshot.ops->read(snapshot.ctx, 512, seen, 512));
    assert_int_equal(seen[0], 'j');
    assert_true(reader.ops->read(reader.ctx, 512, seen, 512));
    assert_int_equal(seen[0], 'h');
    posix_block_close(block);
    posix_block_close(second);
    unlink(path);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_overlay_copies),
        cmocka_unit_test(test_overlay_changes),
        cmocka_unit_test(test_overlay_on_a_bad_disk),
        cmocka_unit_test(test_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
