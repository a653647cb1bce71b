// SPDX-License-Identifier: MIT
// Reading and changing the flattened device tree with libfdt.
#include "machine/tree.h"

#include "base/bits.h"
#include "base/memory.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define LOW_MAX UINT64_C(0xC0000000)
#define MEM_MAX (UINT64_C(1) << 39)
#define ROOM_FOR_CHANGES 65536

static int find_chosen(void *tree)
{
    int node = fdt_path_offset(tree, "/chosen");
    return node >= 0 ? node : fdt_add_subnode(tree, 0, "chosen");
}

static int find_memory(const void *tree)
{
    int node;
    fdt_for_each_subnode(node, tree, 0)
    {
        const char *type = fdt_getprop(tree, node, "device_type", NULL);
        if (type && strcmp(type, "memory") == 0) {
            return node;
        }
    }
    return fdt_path_offset(tree, "/memory");
}

// Two cells each for address and size: low memory, then the rest above 4 GiB.
static int set_memory(void *tree, u64 bytes)
{
    u64 low = bytes < LOW_MAX ? bytes : LOW_MAX;
    fdt64_t reg[4] = {0, cpu_to_fdt64(low), cpu_to_fdt64(UINT64_C(1) << 32),
                      cpu_to_fdt64(bytes - low)};
    int node = find_memory(tree);
    if (node < 0 || fdt_address_cells(tree, 0) != 2 || fdt_size_cells(tree, 0) != 2) {
        return -FDT_ERR_NOTFOUND;
    }
    return fdt_setprop(tree, node, "reg", reg, bytes > low ? 32 : 16);
}

static int set_bootargs(void *tree, int chosen, const char *text)
{
    const char *old = tree_bootargs(tree);
    char *all = xasprintf("%s%s%s", old, *old && *text ? " " : "", text);
    int error = fdt_setprop_string(tree, chosen, "bootargs", all);
    free(all);
    return error;
}

static int change(void *tree, const struct tree_changes *c)
{
    int error = c->mem_bytes ? set_memory(tree, c->mem_bytes) : 0;
    int chosen = error ? error : find_chosen(tree);
    if (chosen < 0) {
        return chosen;
    }
    fdt64_t seed = (fdt64_t)c->seed; // the host's byte order is the guest's: little-endian
    error = fdt_setprop(tree, chosen, "rng-seed", &seed, sizeof(seed));
    if (!error && c->bootargs) {
        error = set_bootargs(tree, chosen, c->bootargs);
    }
    if (!error && c->exec) {
        error = fdt_setprop_string(tree, chosen, "viv,exec", c->exec);
    }
    if (!error && c->exec_tty) {
        error = fdt_setprop(tree, chosen, "viv,exec-tty", NULL, 0);
    }
    return error;
}

struct status tree_prepare(void **out, const void *blob, size_t size, const char *name,
                           const struct tree_changes *changes)
{
    int error = size > INT32_MAX / 2 ? -FDT_ERR_TRUNCATED : fdt_check_full(blob, size);
    if (error) {
        return status_error(STATUS_BAD_INPUT, "%s is no device tree blob: %s", name,
                            fdt_strerror(error));
    }
    size_t room = fdt_totalsize(blob) + ROOM_FOR_CHANGES;
    room += changes->bootargs ? strlen(changes->bootargs) * 2 : 0;
    room += changes->exec ? strlen(changes->exec) : 0;
    void *tree = xcalloc(1, room);
    error = fdt_open_into(blob, tree, (int)room);
    error = error ? error : change(tree, changes);
    error = error ? error : fdt_pack(tree);
    if (error) {
        free(tree);
        return status_error(
            STATUS_BAD_INPUT,
            "%s cannot be changed for this run: %s (it needs /memory and two address and "
            "size cells)",
            name, fdt_strerror(error));
    }
    *out = tree;
    return status_success();
}

size_t tree_size(const void *tree)
{
    return fdt_totalsize(tree);
}

static u64 cell_value(const fdt32_t *p, int cells)
{
    u64 value = 0;
    for (int i = 0; i < cells; i++) {
        value = value << 32 | fdt32_to_cpu(p[i]);
    }
    return value;
}

struct status tree_memory_bytes(const void *tree, u64 *bytes)
{
    int node = find_memory(tree);
    int length = 0;
    const fdt32_t *reg = node < 0 ? NULL : fdt_getprop(tree, node, "reg", &length);
    int ac = fdt_address_cells(tree, 0), sc = fdt_size_cells(tree, 0);
    if (!reg || ac < 1 || ac > 2 || sc < 1 || sc > 2 || length < 4 * (ac + sc)) {
        return status_error(STATUS_BAD_INPUT, "device tree: /memory has no usable \"reg\"");
    }
    u64 total = 0;
    for (int i = 0; i + ac + sc <= length / 4; i += ac + sc) {
        u64 part = cell_value(reg + i + ac, sc);
        total = part > MEM_MAX || total > MEM_MAX ? MEM_MAX + 1 : total + part;
    }
    if (cell_value(reg, ac) != 0 || total < MIB || total % MIB || total > MEM_MAX) {
        return status_error(
            STATUS_BAD_INPUT,
            "device tree: /memory must start at 0 and have 1 MiB to 512 GiB in whole MiB");
    }
    *bytes = total;
    return status_success();
}

unsigned tree_cpu_count(const void *tree)
{
    unsigned count = 0;
    int cpus = fdt_path_offset(tree, "/cpus");
    int node;
    if (cpus >= 0) {
        fdt_for_each_subnode(node, tree, cpus)
        {
            const char *status = fdt_getprop(tree, node, "status", NULL);
            if (fdt_getprop(tree, node, "reg", NULL) && (!status || strcmp(status, "disabled"))) {
                count++;
            }
        }
    }
    return count;
}

u64 tree_cpu_hz(const void *tree, const char *property, u64 fallback)
{
    int cpus = fdt_path_offset(tree, "/cpus");
    int node = cpus < 0 ? cpus : fdt_first_subnode(tree, cpus);
    for (int i = 0; i < 2; i++) { // on the cpu node, or on /cpus for all of them
        int where = i ? cpus : node;
        int length = 0;
        const fdt32_t *p = where < 0 ? NULL : fdt_getprop(tree, where, property, &length);
        if (p && (length == 4 || length == 8)) {
            return cell_value(p, length / 4);
        }
    }
    return fallback;
}

const char *tree_bootargs(const void *tree)
{
    int chosen = fdt_path_offset(tree, "/chosen");
    int length = 0;
    const char *text = chosen < 0 ? NULL : fdt_getprop(tree, chosen, "bootargs", &length);
    return text && length > 0 && text[length - 1] == '\0' ? text : "";
}
