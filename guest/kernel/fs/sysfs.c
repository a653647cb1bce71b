// SPDX-License-Identifier: MIT
// sysfs, as far as programs need it to count CPUs: /sys/devices/system/cpu (Linux:
// Documentation/ABI/testing/sysfs-devices-system-cpu). Entries and inodes are procfs's.
#include "fs/proc/proc.h"

#include "arch/x86_64/io.h"
#include "arch/x86_64/smp.h"

#define SYSFS_MAGIC 0x62656572
#define CPU_MASK(n) (BIT(n) - 1)

static struct proc_entry sys_root = {
    .name = "/sys", .mode = S_IFDIR | 0555, .ino = 1, .parent = &sys_root};
static struct {
    unsigned thread_bits, package_bits; // of an APIC ID: threads of a core; all of a package
} topology;

// --- files

static int file_open(struct inode *i, struct file *f)
{
    const struct proc_entry *e = proc_i(i)->entry;
    return f->f_mode & FMODE_WRITE ? -EACCES : single_open(f, e->show, e->priv);
}

static const struct file_operations file_fops = {
    .open = file_open, .read = seq_read, .llseek = seq_lseek, .release = seq_release};

static struct proc_entry *add_file(struct proc_entry *dir, const char *name,
                                   int (*show)(struct seq_file *m, void *v), void *priv)
{
    struct proc_entry *e = dir ? proc_add(dir, name, S_IFREG | 0444) : NULL;
    if (e) {
        e->show = show;
        e->priv = priv;
        e->fops = &file_fops;
        e->size = PAGE_SIZE;
    }
    return e;
}

int sysfs_register(const char *path, int (*show)(struct seq_file *m, void *v), void *priv)
{
    struct proc_entry *dir = &sys_root;
    char *names = kstrndup(path, 256, GFP_KERNEL), *slash; // entries keep pointing into it
    if (!names) {
        return -ENOMEM;
    }
    while (dir && (slash = strchr(names, '/')) != NULL) {
        *slash = '\0';
        dir = proc_mkdir(dir, names);
        names = slash + 1;
    }
    return add_file(dir, names, show, priv) ? 0 : -ENOMEM;
}

// --- sets of CPUs

static int show_list(struct seq_file *m, void *v)
{
    seq_bit_list(m, (u64)m->private);
    seq_putc(m, '\n');
    return 0;
}

// A digit for four possible CPUs.
static int show_mask(struct seq_file *m, void *v)
{
    seq_printf(m, "%0*llx\n", (int)(nr_cpus_possible + 3) / 4, (unsigned long long)m->private);
    return 0;
}

static int show_number(struct seq_file *m, void *v)
{
    seq_printf(m, "%lu\n", (u64)m->private);
    return 0;
}

// --- topology

// SDM 2A, CPUID leaf 0BH; without it the package has as many IDs as leaf 1 says, of one thread a
// core.
static void read_topology(void)
{
    if (cpuid(0, 0).eax >= 0xb && (cpuid(0xb, 0).ebx & 0xffff)) {
        topology.thread_bits = cpuid(0xb, 0).eax & 31;
        topology.package_bits = max(cpuid(0xb, 1).eax & 31, topology.thread_bits);
        return;
    }
    struct cpuid_regs r = cpuid(1, 0);
    unsigned ids = r.edx & BIT(28) ? r.ebx >> 16 & 0xff : 1;
    while ((1u << topology.package_bits) < ids) {
        topology.package_bits++;
    }
}

// The online CPUs whose APIC IDs differ from this one's in the low bits only.
static u64 siblings(unsigned cpu, unsigned bits)
{
    u64 mask = 0;
    for (unsigned c = 0; c < nr_cpus_online; c++) {
        mask |= cpus[c].apic_id >> bits == cpus[cpu].apic_id >> bits ? BIT(c) : 0;
    }
    return mask;
}

static void add_siblings(struct proc_entry *dir, unsigned cpu, const char *mask_name,
                         const char *list_name, unsigned bits)
{
    void *mask = (void *)siblings(cpu, bits);
    add_file(dir, mask_name, show_mask, mask);
    add_file(dir, list_name, show_list, mask);
}

static void add_topology(struct proc_entry *dir, unsigned cpu)
{
    u64 id = cpus[cpu].apic_id;
    u64 core = (id & CPU_MASK(topology.package_bits)) >> topology.thread_bits;
    add_file(dir, "physical_package_id", show_number, (void *)(id >> topology.package_bits));
    add_file(dir, "die_id", show_number, NULL);
    add_file(dir, "core_id", show_number, (void *)core);
    add_siblings(dir, cpu, "core_cpus", "core_cpus_list", topology.thread_bits);
    add_siblings(dir, cpu, "thread_siblings", "thread_siblings_list", topology.thread_bits);
    add_siblings(dir, cpu, "core_siblings", "core_siblings_list", topology.package_bits);
    add_siblings(dir, cpu, "die_cpus", "die_cpus_list", topology.package_bits);
    add_siblings(dir, cpu, "package_cpus", "package_cpus_list", topology.package_bits);
}

// CPUs that did not come up have no topology, as on Linux.
static void add_cpu(struct proc_entry *dir, unsigned cpu)
{
    char text[16];
    scnprintf(text, sizeof(text), "cpu%u", cpu);
    char *name = kstrndup(text, sizeof(text), GFP_KERNEL);
    struct proc_entry *e = name ? proc_add(dir, name, S_IFDIR | 0555) : NULL;
    struct proc_entry *t = e && cpu < nr_cpus_online ? proc_mkdir(e, "topology") : NULL;
    if (t) {
        add_topology(t, cpu);
    }
}

static void add_cpus(struct proc_entry *dir)
{
    u64 possible = CPU_MASK(nr_cpus_possible), online = cpu_online_mask();
    for (unsigned cpu = 0; cpu < nr_cpus_possible; cpu++) {
        add_cpu(dir, cpu);
    }
    add_file(dir, "isolated", show_list, NULL);
    add_file(dir, "kernel_max", show_number, (void *)(u64)(NR_CPUS - 1));
    add_file(dir, "offline", show_list, (void *)(possible & ~online));
    add_file(dir, "online", show_list, (void *)online);
    add_file(dir, "possible", show_list, (void *)possible);
    add_file(dir, "present", show_list, (void *)possible);
}

// --- mounting

static int fill_super(struct super_block *sb, const char *data, bool silent)
{
    sb->s_op = &proc_sops;
    sb->s_magic = SYSFS_MAGIC;
    struct inode *root = proc_entry_inode(sb, &sys_root);
    sb->s_root = root ? d_make_root(root) : NULL;
    return sb->s_root ? 0 : -ENOMEM;
}

static struct dentry *sysfs_mount(struct file_system_type *t, unsigned flags, const char *source,
                                  const char *data)
{
    return mount_nodev(t, flags, data, fill_super);
}

static struct file_system_type sysfs_type = {
    .name = "sysfs", .mount = sysfs_mount, .kill_sb = kill_anon_super};

// The CPUs that run are known: they start before file systems do.
void sysfs_init(void)
{
    struct proc_entry *dir = &sys_root;
    const char *const path[] = {"devices", "system", "cpu"};
    for (unsigned i = 0; dir && i < ARRAY_SIZE(path); i++) {
        dir = proc_mkdir(dir, path[i]);
    }
    read_topology();
    if (dir) {
        add_cpus(dir);
    }
    register_filesystem(&sysfs_type);
}
