// SPDX-License-Identifier: MIT
// Character device numbers: registration and opening.
#include "fs/internal.h"
#include "fs/seq_file.h"

static LIST_HEAD(devices);
static DEFINE_SPINLOCK(devices_lock);

int register_chrdev(dev_t first, unsigned count, const char *driver,
                    const struct file_operations *fops)
{
    struct char_device *c = kzalloc(sizeof(*c), GFP_KERNEL);
    if (!c) {
        return -ENOMEM;
    }
    *c = (struct char_device){.dev = first, .count = count, .name = driver, .fops = fops};
    spin_lock(&devices_lock);
    list_add_tail(&c->entry, &devices);
    spin_unlock(&devices_lock);
    return 0;
}

static const struct char_device *find(dev_t dev)
{
    const struct char_device *c, *found = NULL;
    spin_lock(&devices_lock);
    list_for_each_entry(c, &devices, entry) {
        if (dev >= c->dev && dev < c->dev + c->count) {
            found = c;
            break;
        }
    }
    spin_unlock(&devices_lock);
    return found;
}

int chrdev_open(struct inode *i, struct file *f)
{
    const struct char_device *c = find(i->i_rdev);
    if (!c) {
        return -ENXIO;
    }
    f->f_op = c->fops;
    return c->fops->open ? c->fops->open(i, f) : 0;
}

// /proc/devices; devices are never unregistered.
void chrdevs_show(struct seq_file *m)
{
    const struct char_device *c;
    unsigned last = ~0u;
    list_for_each_entry(c, &devices, entry) {
        if (MAJOR(c->dev) != last) {
            seq_printf(m, "%3u %s\n", MAJOR(c->dev), c->name);
        }
        last = MAJOR(c->dev);
    }
}
