// SPDX-License-Identifier: MIT
// Files from anywhere: a kernel, a device tree, a disk image. Each is refused with a message, or
// the machine that comes of it runs.
//
// Input: what it is, then the file.
#include "base/check.h"
#include "base/memory.h"
#include "host/posix_block.h"
#include "machine/boot.h"
#include "machine/tree.h"
#include "tests/fuzz/fuzz_machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define STEPS 3000

// The tail of the file serves as the initramfs too.
static void try_kernel(const u8 *file, size_t size)
{
    static struct fuzz_machine *machine, *first;
    if (!machine) {
        machine = fuzz_machine_create();
        first = fuzz_machine_create();
    }
    fuzz_machine_copy(machine, first);
    machine_clear_memory(machine->m);
    struct boot_params params = {
        .kernel = {file, size, "kernel"},
        .tree = {tree_builtin, tree_builtin_size, "tree"},
        .initrd = {file + size / 2, size - size / 2, "initrd"},
        .command_line = "console=ttyS0",
    };
    struct status s = boot_load(machine->m, &params);
    CHECK(status_ok(&s) || s.text[0]);
    if (status_ok(&s)) {
        fuzz_machine_run(machine, STEPS);
    }
}

// A multiboot kernel of three instructions, so that ACPI tables are made of the tree.
static const u8 small_kernel[] = {
    0x02, 0xB0, 0xAD, 0x1B, 0x00, 0x00, 0x01, 0x00, 0xFE, 0x4F, 0x51, 0xE4, // magic, flags, checksum
    0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, // header, load, load_end
    0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x10, 0x00, 0xFA, 0xF4, 0xEB, 0xFD, // bss_end, entry; code
};

static void try_machine(const void *tree)
{
    struct host host = {0};
    struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2"};
    struct machine *m = NULL;
    struct status s = machine_create(&m, &config);
    CHECK(status_ok(&s) ? m != NULL : s.text[0] != 0);
    if (m) {
        struct boot_params params = {
            .kernel = {small_kernel, sizeof(small_kernel), "kernel"},
            .tree = {tree, tree_size(tree), "tree"},
            .command_line = "",
        };
        s = boot_load(m, &params);
        CHECK(status_ok(&s) || s.text[0]);
        machine_run(m, STEPS);
        machine_hash(m);
        machine_destroy(m);
    }
}

static void try_tree(const u8 *file, size_t size)
{
    static const struct tree_changes changes = {
        .mem_bytes = UINT64_C(2) << 20, .bootargs = "quiet", .exec = "true", .exec_tty = true};
    static const struct tree_changes none = {0};
    void *tree = NULL;
    u64 bytes;
    struct status s = tree_prepare(&tree, file, size, "tree", &none);
    if (status_ok(&s)) {
        s = tree_memory_bytes(tree, &bytes);
        CHECK(status_ok(&s) || s.text[0]);
        CHECK(tree_bootargs(tree));
        free(tree);
    }
    s = tree_prepare(&tree, file, size, "tree", &changes);
    CHECK(status_ok(&s) || s.text[0]);
    if (status_ok(&s)) {
        try_machine(tree);
        free(tree);
    }
}

static void try_disk(const u8 *file, size_t size)
{
    int fd = memfd_create("disk", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, file, size) == (ssize_t)size);
    char *path = xasprintf("/proc/self/fd/%d", fd);
    for (unsigned mode = POSIX_BLOCK_WRITE; mode <= POSIX_BLOCK_SNAPSHOT; mode++) {
        struct posix_block *block = NULL;
        struct status s = posix_block_open(&block, path, (enum posix_block_mode)mode);
        CHECK(status_ok(&s) ? block != NULL : s.text[0] != 0);
        if (block) {
            struct host_block disk = posix_block_host(block);
            u8 sector[512] = {1};
            disk.ops->read(disk.ctx, disk.size_bytes - 512, sector, 512);
            CHECK(mode == POSIX_BLOCK_READ || disk.ops->write(disk.ctx, 0, sector, 512));
            posix_block_close(block);
        }
    }
    free(path);
    close(fd);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (!size) {
        return 0;
    }
    // Files are read into memory of their own.
    u8 *file = xcalloc(1, size);
    memcpy(file, data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        try_kernel(file, size - 1);
        break;
    case 1:
        try_tree(file, size - 1);
        break;
    default:
        try_disk(file, size - 1);
        break;
    }
    free(file);
    return 0;
}
