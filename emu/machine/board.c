// SPDX-License-Identifier: MIT
// Device tree -> devices: every enabled node whose compatible list names a class becomes a device,
// in tree order.
#include "base/memory.h"
#include "machine/machine_internal.h"
#include "machine/tree.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

// Nodes that structure the tree or describe what is no device.
static bool is_structure(const void *tree, int node)
{
    static const char *const known[] = {"simple-bus", "isa", "viv,pc", "viv,isa"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (fdt_node_check_compatible(tree, node, known[i]) == 0) {
            return true;
        }
    }
    const char *type = fdt_getprop(tree, node, "device_type", NULL);
    return type && (strcmp(type, "cpu") == 0 || strcmp(type, "memory") == 0);
}

static struct device *add_device(struct machine *m, const struct device_class *class,
                                 const char *path)
{
    struct device *dev = xcalloc(1, sizeof(*dev));
    dev->class = class;
    dev->bus = &m->bus;
    dev->path = xstrdup(path);
    dev->state = xcalloc(1, class->state_size);
    if (m->device_count == m->device_room) {
        m->device_room = m->device_room ? m->device_room * 2 : 16;
        m->devices = xrealloc(m->devices, m->device_room * sizeof(struct device *));
    }
    m->devices[m->device_count++] = dev;
    return dev;
}

static struct status create_node(struct machine *m, const void *tree, int node)
{
    const char *compatible = fdt_getprop(tree, node, "compatible", NULL);
    if (!compatible || is_structure(tree, node)) {
        return status_success();
    }
    char path[256];
    if (fdt_get_path(tree, node, path, sizeof(path)) != 0) {
        return status_error(STATUS_BAD_INPUT, "device tree: a node's path is too long");
    }
    const struct device_class *class = device_class_find(tree, node);
    if (!class) {
        return status_error(
            STATUS_BAD_INPUT,
            "device tree: %s: no such device as \"%s\"; give it status = \"disabled\"", path,
            compatible);
    }
    struct device *dev = add_device(m, class, path);
    return class->create(dev, tree, node);
}

struct status board_create(struct machine *m, const void *tree)
{
    int depth = 0;
    for (int node = tree_next_enabled(tree, -1, &depth); node >= 0;
         node = tree_next_enabled(tree, node, &depth)) {
        struct status s = create_node(m, tree, node);
        if (!status_ok(&s)) {
            return s;
        }
    }
    return status_success();
}
