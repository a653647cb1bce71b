// SPDX-License-Identifier: MIT
// The device tree: read once at boot with libfdt into nodes of our own. Debian's libfdt.a was built
// for programs: it reads a stack-protector canary at %fs:0x28, so FS points at a block while it
// runs; its SSE registers belong to nobody yet.
#include <libfdt.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"

#define MSR_FS_BASE 0xc0000100
#define MAX_DEPTH 32

struct dt_node *dt_root;
static const u64 canary_block[8];

void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    panic("libfdt: stack smashed");
}

static struct dt_node *node_new(const char *name, struct dt_node *parent)
{
    struct dt_node *n = kzalloc(sizeof(*n), GFP_KERNEL);
    if (!n || !(n->name = kstrdup(name, GFP_KERNEL)))
        panic("device tree: no memory");
    n->parent = parent;
    if (parent) {
        struct dt_node **at = &parent->child;
        while (*at)
            at = &(*at)->next;
        *at = n;
    }
    return n;
}

static void props_read(const void *blob, int offset, struct dt_node *n)
{
    struct dt_prop **at = &n->props;
    int p;
    fdt_for_each_property_offset(p, blob, offset)
    {
        const char *name;
        int len;
        const void *data = fdt_getprop_by_offset(blob, p, &name, &len);
        if (!data || len < 0)
            continue;
        struct dt_prop *prop = kzalloc(sizeof(*prop), GFP_KERNEL);
        if (!prop)
            panic("device tree: no memory");
        prop->name = kstrdup(name, GFP_KERNEL);
        prop->data = kmemdup(data, (size_t)len + 1, GFP_KERNEL);
        prop->len = (u32)len;
        if (!prop->name || !prop->data)
            panic("device tree: no memory");
        *at = prop;
        at = &prop->next;
    }
}

static void tree_read(const void *blob)
{
    struct dt_node *stack[MAX_DEPTH] = {NULL};
    int depth = 0;
    for (int offset = 0; offset >= 0 && depth >= 0; offset = fdt_next_node(blob, offset, &depth)) {
        if (depth >= MAX_DEPTH)
            continue;
        const char *name = fdt_get_name(blob, offset, NULL);
        struct dt_node *n = node_new(name ? name : "", depth ? stack[depth - 1] : NULL);
        stack[depth] = n;
        if (!depth)
            dt_root = n;
        props_read(blob, offset, n);
    }
}

struct dt_node *dt_find(const char *path)
{
    struct dt_node *n = dt_root;
    while (n && *path) {
        while (*path == '/')
            path++;
        size_t len = strchr(path, '/') ? (size_t)(strchr(path, '/') - path) : strlen(path);
        if (!len)
            break;
        for (n = n->child; n && (strncmp(n->name, path, len) || n->name[len]); n = n->next)
            ;
        path += len;
    }
    return n;
}

const struct dt_prop *dt_prop_get(const struct dt_node *n, const char *name)
{
    for (const struct dt_prop *p = n ? n->props : NULL; p; p = p->next)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

bool dt_compatible(const struct dt_node *n, const char *compatible)
{
    const struct dt_prop *p = dt_prop_get(n, "compatible");
    for (u32 at = 0; p && at < p->len;
         at += (u32)strnlen((const char *)p->data + at, p->len - at) + 1)
        if (!strncmp((const char *)p->data + at, compatible, p->len - at))
            return true;
    return false;
}

static void seed_read(void)
{
    const struct dt_prop *p = dt_prop_get(dt_find("/chosen"), "rng-seed");
    if (p && p->len >= 8)
        memcpy(&boot_info.rng_seed, p->data, 8);
    random_mix(&boot_info.rng_seed, 8);
}

void dt_build(void)
{
    if (boot_info.dtb_size) {
        const void *blob = __va(boot_info.dtb_start);
        wrmsr(MSR_FS_BASE, (u64)canary_block);
        int err = fdt_check_header(blob);
        if (!err && fdt_totalsize(blob) > boot_info.dtb_size)
            err = -FDT_ERR_TRUNCATED;
        if (!err)
            err = fdt_check_full(blob, boot_info.dtb_size);
        if (err)
            pr_err("device tree: refused, libfdt error %d", err);
        else
            tree_read(blob);
        wrmsr(MSR_FS_BASE, 0);
    }
    seed_read();
}
