// SPDX-License-Identifier: MIT
// /proc/device-tree: nodes as directories, properties as files of raw bytes, as Linux shows a
// device tree.
#include "fs/proc/proc.h"

#include "init/init.h"

static int show_property(struct seq_file *m, void *v)
{
    const struct dt_prop *p = m->private;
    seq_write(m, p->data, p->len);
    return 0;
}

// A property that has the name of a child node is left out: a directory cannot hold both.
static bool is_child_name(const struct dt_node *node, const char *name)
{
    for (const struct dt_node *c = node->child; c; c = c->next) {
        if (!strcmp(c->name, name)) {
            return true;
        }
    }
    return false;
}

static void add_node(struct proc_entry *dir, const struct dt_node *node)
{
    for (const struct dt_prop *p = node->props; p; p = p->next) {
        struct proc_entry *e =
            is_child_name(node, p->name) ? NULL : proc_add(dir, p->name, S_IFREG | 0444);
        if (e) {
            e->show = show_property;
            e->priv = (void *)(uintptr_t)p;
        }
    }
    for (const struct dt_node *c = node->child; c; c = c->next) {
        struct proc_entry *e = proc_add(dir, c->name, S_IFDIR | 0555);
        if (e) {
            add_node(e, c);
        }
    }
}

void proc_tree_init(void)
{
    if (dt_root) {
        struct proc_entry *dir = proc_mkdir(&proc_root, "device-tree");
        if (dir) {
            add_node(dir, dt_root);
        }
    }
}
