// SPDX-License-Identifier: MIT
// Reading and changing the flattened device tree with libfdt.
#include "machine/tree.h"

#include "base/bits.h"
#include "base/memory.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define LOW_MAX UINT64_C(0xC0000000)
#define MEM_MAX (UINT64_C(1) << 39)
#define WINDOW_MAX (UINT64_C(1) << 28)
#define WINDOWS_MAX (UINT64_C(1) << 30)
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

// Adds cpu@index below /cpus, with the properties of a node of another tree. A new node becomes the
// first of its parent's.
static int add_cpu(void *tree, int cpus, unsigned index, const void *from, int model)
{
    char name[16];
    snprintf(name, sizeof(name), "cpu@%x", index);
    int node = fdt_add_subnode(tree, cpus, name);
    int property, error = node < 0 ? node : 0;
    fdt_for_each_property_offset(property, from, model)
    {
        const char *key;
        int length;
        const void *value = fdt_getprop_by_offset(from, property, &key, &length);
        if (!error && strcmp(key, "phandle") != 0 && strcmp(key, "reg") != 0) {
            error = fdt_setprop(tree, node, key, value, length);
        }
    }
    fdt32_t cells[2] = {0, cpu_to_fdt32(index)};
    int width = fdt_address_cells(tree, cpus);
    if (!error && (width < 1 || width > 2)) {
        error = -FDT_ERR_BADNCELLS;
    }
    return error ? error : fdt_setprop(tree, node, "reg", cells + 2 - width, 4 * width);
}

// The nodes below /cpus are written anew, in order: each enabled one as it was, further ones as the
// first.
static int set_cpus(void *tree, unsigned count)
{
    int cpus = fdt_path_offset(tree, "/cpus"), node, models[TREE_CPUS_MAX] = {0};
    unsigned had = 0;
    if (cpus < 0) {
        return cpus;
    }
    void *old = xcalloc(1, fdt_totalsize(tree));
    memcpy(old, tree, fdt_totalsize(tree));
    fdt_for_each_subnode(node, old, cpus)
    {
        if (had < TREE_CPUS_MAX && fdt_getprop(old, node, "reg", NULL) &&
            tree_is_enabled(old, node)) {
            models[had++] = node;
        }
    }
    int error = had ? 0 : -FDT_ERR_NOTFOUND;
    while (!error && count != had && (node = fdt_first_subnode(tree, cpus)) >= 0) {
        error = fdt_del_node(tree, node);
    }
    for (unsigned i = count; !error && count != had && i-- > 0;) {
        error = add_cpu(tree, cpus, i, old, models[i < had ? i : 0]);
    }
    free(old);
    return error;
}

static int change(void *tree, const struct tree_changes *c)
{
    int error = c->mem_bytes ? set_memory(tree, c->mem_bytes) : 0;
    error = !error && c->cpus ? set_cpus(tree, c->cpus) : error;
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

u64 tree_window_bytes(const void *tree)
{
    u64 total = 0;
    int depth = 0;
    for (int node = tree_next_enabled(tree, -1, &depth); node >= 0;
         node = tree_next_enabled(tree, node, &depth)) {
        u64 bytes = tree_cell(tree, node, "viv,memory-size", 0, 0) & ~UINT32_C(4095);
        if (bytes <= WINDOW_MAX && total + bytes <= WINDOWS_MAX) {
            total += bytes;
        }
    }
    return total;
}

struct status tree_cpu_count(const void *tree, unsigned *count)
{
    int cpus = fdt_path_offset(tree, "/cpus");
    int node;
    *count = 0;
    if (cpus >= 0) {
        fdt_for_each_subnode(node, tree, cpus)
        {
            int length;
            const fdt32_t *reg = fdt_getprop(tree, node, "reg", &length);
            if (!reg || !tree_is_enabled(tree, node)) {
                continue;
            }
            if (length % 4 || cell_value(reg, length / 4) != *count) {
                return status_error(STATUS_BAD_INPUT,
                                    "device tree: /cpus/%s: its \"reg\" must be %u: CPUs are "
                                    "numbered from 0",
                                    fdt_get_name(tree, node, NULL), *count);
            }
            ++*count;
        }
    }
    if (!*count || *count > TREE_CPUS_MAX) {
        return status_error(STATUS_BAD_INPUT, "device tree: %u CPUs; a machine has 1 to %d", *count,
                            TREE_CPUS_MAX);
    }
    return status_success();
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

u64 tree_seed(const void *tree)
{
    int chosen = fdt_path_offset(tree, "/chosen");
    int length = 0;
    const void *p = chosen < 0 ? NULL : fdt_getprop(tree, chosen, "rng-seed", &length);
    u64 seed = 0;
    if (p) {
        memcpy(&seed, p, length < 8 ? (size_t)length : 8);
    }
    return seed;
}

bool tree_is_enabled(const void *tree, int node)
{
    const char *status = fdt_getprop(tree, node, "status", NULL);
    return !status || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

int tree_next_enabled(const void *tree, int node, int *depth)
{
    node = fdt_next_node(tree, node, depth);
    while (node >= 0 && *depth >= 0 && !tree_is_enabled(tree, node)) {
        int disabled = *depth;
        do {
            node = fdt_next_node(tree, node, depth);
        } while (node >= 0 && *depth > disabled);
    }
    return *depth < 0 ? -FDT_ERR_NOTFOUND : node;
}

int tree_find(const void *tree, const char *compatible)
{
    int depth = 0;
    int node = tree_next_enabled(tree, -1, &depth);
    while (node >= 0 && fdt_node_check_compatible(tree, node, compatible) != 0) {
        node = tree_next_enabled(tree, node, &depth);
    }
    return node;
}

bool tree_reg(const void *tree, int node, unsigned index, u64 *base, u64 *length)
{
    int parent = fdt_parent_offset(tree, node);
    int ac = parent < 0 ? -1 : fdt_address_cells(tree, parent);
    int sc = parent < 0 ? -1 : fdt_size_cells(tree, parent);
    int bytes = 0;
    const fdt32_t *reg = fdt_getprop(tree, node, "reg", &bytes);
    if (!reg || ac < 1 || ac > 2 || sc < 0 || sc > 2 || bytes / (4 * (ac + sc)) <= (int)index) {
        return false;
    }
    reg += (ac + sc) * (int)index;
    *base = cell_value(reg, ac);
    *length = cell_value(reg + ac, sc);
    return true;
}

u32 tree_cell(const void *tree, int node, const char *property, unsigned index, u32 fallback)
{
    int bytes = 0;
    const fdt32_t *cells = node < 0 ? NULL : fdt_getprop(tree, node, property, &bytes);
    return cells && bytes / 4 > (int)index ? fdt32_to_cpu(cells[index]) : fallback;
}

const char *tree_bootargs(const void *tree)
{
    int chosen = fdt_path_offset(tree, "/chosen");
    int length = 0;
    const char *text = chosen < 0 ? NULL : fdt_getprop(tree, chosen, "bootargs", &length);
    return text && length > 0 && text[length - 1] == '\0' ? text : "";
}
