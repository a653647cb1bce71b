// SPDX-License-Identifier: MIT
// The VFS and ext2 against the host's own file system: the same random system calls go to fern's
// bodies and to the host's kernel, results and contents must agree, e2fsck must find nothing, and
// nothing may leak. Then the same with allocations that fail.
#include "fs_shim.h"

#undef __printf
#undef fallthrough
#undef min
#undef max
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/namei.h"
#include "host_calls.h"

#define IMAGE_SIZE (8 << 20)
#define FDS 5

static char *image;
static u64 state;

static unsigned rnd(unsigned n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % n;
}

#define CALL(name, ...) sys_##name(&(struct sys_args){.arg = {__VA_ARGS__}})
#define P(x) (u64)(x)

static int fds[FDS], host_fds[FDS];
static bool compare; // off while allocations fail
static char host_root[64];

static void agree(const char *what, long ours, long theirs)
{
    if (compare && ours != theirs) {
        fail_msg("%s: fern %ld, host %ld", what, ours, theirs);
    }
}

static const char *path(char *buf)
{
    static const char *const dirs[] = {"", "d0/", "d1/", "d0/e/", "l0/"};
    snprintf(buf, 64, "%sn%u%s", dirs[rnd(5)], rnd(9), rnd(40) ? "" : "/");
    if (rnd(14) == 0) {
        snprintf(buf, 64, "%s", rnd(2) ? "d0" : rnd(2) ? "d1" : "d0/e");
    }
    return buf;
}

static void open_one(void)
{
    static const int flags[] = {0, 2, 1, 0102, 0302, 01002, 02102, 0200000, 0400102, 01102};
    char p[64];
    unsigned slot = rnd(FDS), mode = 0600 + rnd(0200);
    int f = flags[rnd(10)];
    if (fds[slot] >= 0) {
        agree("close", CALL(close, (u64)fds[slot]), host_close(host_fds[slot]));
        fds[slot] = -1;
    }
    path(p);
    long ours = CALL(open, P(p), (u64)f, mode);
    int theirs = host_open(p, f, mode);
    agree("open", ours < 0 ? ours : 0, theirs < 0 ? theirs : 0);
    fds[slot] = (int)ours;
    host_fds[slot] = theirs;
    if (!compare && (ours < 0 || theirs < 0)) { // allocations fail: keep both or none
        if (ours >= 0) {
            CALL(close, (u64)ours);
        }
        if (theirs >= 0) {
            host_close(theirs);
        }
        fds[slot] = -1;
    }
}

static void io_one(unsigned slot)
{
    static char a[9000], b[9000];
    u64 fd = (u64)fds[slot];
    int h = host_fds[slot];
    size_t n = rnd(4) ? rnd(300) : rnd(sizeof(a));
    long at = (long)(rnd(3) ? rnd(5000) : rnd(300000));
    memset(a, 'a' + (int)rnd(26), sizeof(a));
    memcpy(b, a, sizeof(b));
    switch (rnd(7)) {
    case 0:
        agree("read", CALL(read, fd, P(a), n), host_read(h, b, n));
        break;
    case 1:
        agree("write", CALL(write, fd, P(a), n), host_write(h, b, n));
        break;
    case 2:
        agree("pread", CALL(pread64, fd, P(a), n, (u64)at), host_pread(h, b, n, at));
        break;
    case 3:
        agree("pwrite", CALL(pwrite64, fd, P(a), n, (u64)at), host_pwrite(h, b, n, at));
        break;
    case 4:
        agree("ftruncate", CALL(ftruncate, fd, (u64)at), host_ftruncate(h, at));
        break;
    case 5:
        agree("fsync", CALL(fsync, fd), host_fsync(h));
        break;
    case 6: {
        unsigned mode = rnd(010000);
        agree("fchmod", CALL(fchmod, fd, mode), host_fchmod(h, mode));
        break;
    }
    }
    if (compare && memcmp(a, b, sizeof(a))) {
        fail_msg("contents differ");
    }
}

static void attributes(const char *p)
{
    struct linux_stat s;
    long size, mode, links;
    long ours = CALL(lstat, P(p), P(&s));
    long theirs = host_lstat(p, &size, &mode, &links);
    agree("lstat", ours, theirs);
    if (compare && !ours) {
        agree("mode", s.st_mode, mode);
        agree("links", (long)s.st_nlink, links);
        if (!S_ISDIR(s.st_mode)) {
            agree("size", s.st_size, size);
        }
    }
}

static void path_one(void)
{
    char p[64], q[64];
    unsigned n = rnd(11), v;
    path(p);
    path(q);
    switch (n) {
    case 0:
        agree("mkdir", CALL(mkdir, P(p), 0777), host_mkdir(p, 0777));
        break;
    case 1:
        agree("rmdir", CALL(rmdir, P(p)), host_rmdir(p));
        break;
    case 2:
    case 3:
        agree("unlink", CALL(unlink, P(p)), host_unlink(p));
        break;
    case 4:
        agree("link", CALL(link, P(p), P(q)), host_link(p, q));
        break;
    case 5:
        agree("symlink", CALL(symlink, P(p), P(q)), host_symlink(p, q));
        break;
    case 6:
        agree("rename", CALL(rename, P(p), P(q)), host_rename(p, q, 0));
        break;
    case 7:
        v = 1 + rnd(2);
        agree("renameat2", CALL(renameat2, (u64)AT_FDCWD, P(p), (u64)AT_FDCWD, P(q), v),
              host_rename(p, q, v));
        break;
    case 8:
        attributes(p);
        break;
    case 9:
        v = rnd(200000);
        agree("truncate", CALL(truncate, P(p), v), host_truncate(p, v));
        break;
    case 10:
        v = rnd(010000);
        agree("chmod", CALL(chmod, P(p), v), host_chmod(p, v));
        break;
    }
}

static void make_image(unsigned block_size)
{
    char command[400], name[80];
    snprintf(name, sizeof(name), "%s.img", host_root);
    snprintf(
        command, sizeof(command),
        "PATH=$PATH:/sbin:/usr/sbin; rm -f %s; truncate -s %d %s; mke2fs -q -t ext2 -b %u -F %s",
        name, IMAGE_SIZE, name, block_size, name);
    assert_int_equal(host_system(command), 0);
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    assert_int_equal(fread(image, 1, IMAGE_SIZE, f), IMAGE_SIZE);
    fclose(f);
}

static void check_image(void)
{
    char command[400], name[80];
    snprintf(name, sizeof(name), "%s.img", host_root);
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(image, 1, IMAGE_SIZE, f), IMAGE_SIZE);
    fclose(f);
    snprintf(command, sizeof(command),
             "PATH=$PATH:/sbin:/usr/sbin; e2fsck -fn %s >%s.out 2>&1 || { cat %s.out; exit 1; }",
             name, name, name);
    assert_int_equal(host_system(command), 0);
}

static void mount_it(void)
{
    assert_int_equal(kern_mount("/dev/sda", "/mnt", "ext2", 0, NULL), 0);
    assert_int_equal(kern_chdir("/mnt"), 0);
}

static void unmount_it(void)
{
    assert_int_equal(kern_chdir("/"), 0);
    assert_int_equal(CALL(umount2, P("/mnt"), 0), 0);
}

static void sequence(unsigned seed, unsigned steps, bool failing)
{
    state = seed;
    host_fresh_dir(host_root);
    compare = true;
    char *dirs[] = {"d0", "d1", "d0/e"};
    for (int i = 0; i < 3; i++) {
        agree("mkdir", CALL(mkdir, P(dirs[i]), 0755), host_mkdir(dirs[i], 0755));
    }
    agree("symlink", CALL(symlink, P("d1"), P("l0")), host_symlink("d1", "l0"));
    for (int i = 0; i < FDS; i++) {
        fds[i] = -1;
    }
    compare = !failing;
    for (unsigned i = 0; i < steps; i++) {
        unsigned slot = rnd(FDS), kind = rnd(10);
        shim_fail_nth = failing ? 1 + (long)rnd(12) : 0;
        if (kind < 3) {
            open_one();
        } else if (kind < 7 && fds[slot] >= 0) {
            io_one(slot);
        } else {
            path_one();
        }
        shim_fail_nth = 0;
    }
    for (int i = 0; i < FDS; i++) {
        if (fds[i] >= 0) {
            CALL(close, (u64)fds[i]);
            host_close(host_fds[i]);
        }
    }
}

// Several runs on one image, an unmount and a check after each.
static void run(unsigned block_size, unsigned first, unsigned count, bool failing)
{
    make_image(block_size);
    mount_it();
    unmount_it();
    unsigned long objects = shim_objects(), pages = shim_pages();
    for (unsigned seed = first; seed < first + count; seed++) {
        char name[16];
        mount_it();
        snprintf(name, sizeof(name), "s%u", seed);
        assert_int_equal(CALL(mkdir, P(name), 0755), 0);
        assert_int_equal(CALL(chdir, P(name)), 0);
        sequence(seed, 250, failing);
        unmount_it();
        check_image();
        // Fewer is fine: failing allocations shrink the dentry cache, the root's negative names
        // too.
        if (shim_objects() > objects || shim_pages() > pages) {
            fail_msg("seed %u: %ld objects and %ld pages leaked", seed,
                     (long)(shim_objects() - objects), (long)(shim_pages() - pages));
        }
    }
}

static void test_4096(void **unused)
{
    run(4096, 1, 40, false);
}
static void test_1024(void **unused)
{
    run(1024, 100, 40, false);
}
static void test_failing_allocations(void **unused)
{
    run(1024, 200, 20, true);
    run(4096, 300, 20, true);
}

// A byte that matters: of the inodes in use, of directories and indirect blocks behind the table, of bitmaps, of the
// descriptor, of the super block.
static unsigned damage_at(const char *disk)
{
    const unsigned *group = (const unsigned *)(disk + 2048);
    unsigned table = group[2] * 1024;
    switch (rnd(8)) {
    case 0:
        return 1024 + rnd(120);
    case 1:
        return 2048 + rnd(32);
    case 2:
        return group[rnd(2)] * 1024 + rnd(128);
    case 3:
    case 4:
        return table + (256 << 10) + rnd(64 << 10);
    default:
        return table + 128 + rnd(60 * 256);
    }
}

// A damaged disk: whatever the calls say, the kernel stays whole.
static void test_broken_images(void **unused)
{
    make_image(1024);
    mount_it();
    assert_int_equal(CALL(mkdir, P("s"), 0755), 0);
    assert_int_equal(CALL(chdir, P("s")), 0);
    sequence(7, 250, false);
    unmount_it();
    char *good = malloc(IMAGE_SIZE);
    memcpy(good, image, IMAGE_SIZE);
    for (unsigned seed = 1; seed <= 400; seed++) {
        memcpy(image, good, IMAGE_SIZE);
        state = seed;
        for (unsigned n = 1 + rnd(30); n; n--) {
            unsigned at = damage_at(good);
            image[at] = (char)(rnd(3) ? rnd(256) : (unsigned)image[at] ^ 1u << rnd(8));
        }
        if (kern_mount("/dev/sda", "/mnt", "ext2", 0, NULL)) {
            continue;
        }
        if (!kern_chdir("/mnt/s")) {
            for (int i = 0; i < FDS; i++) {
                fds[i] = -1;
            }
            host_fresh_dir(host_root);
            compare = false;
            for (unsigned i = 0; i < 150; i++) {
                unsigned slot = rnd(FDS), kind = rnd(10);
                if (kind < 3) {
                    open_one();
                } else if (kind < 7 && fds[slot] >= 0) {
                    io_one(slot);
                } else {
                    path_one();
                }
            }
            for (int i = 0; i < FDS; i++) {
                if (fds[i] >= 0) {
                    CALL(close, (u64)fds[i]);
                    host_close(host_fds[i]);
                }
            }
        }
        unmount_it();
    }
    free(good);
}

int main(void)
{
    host_temp_dir(host_root, sizeof(host_root));
    image = calloc(1, IMAGE_SIZE);
    fs_shim_init(image, IMAGE_SIZE);
    if (kern_mkdir("/mnt", 0755)) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_4096),
        cmocka_unit_test(test_1024),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_broken_images),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    host_remove_dir(host_root);
    return failed;
}
