// SPDX-License-Identifier: MIT
// /proc/sys: the kernel's knobs as files, one row each.
#include "fs/proc/proc.h"

#include "init/init.h"
#include "mm/proc_mm.h"
#include "mm/writeback.h"

static int show_int(struct seq_file *m, void *v)
{
    seq_printf(m, "%d\n", *(int *)m->private);
    return 0;
}

static int set_int(const char *text, int *value, s64 lowest, s64 highest)
{
    s64 number;
    int error = kstrtos64(text, 0, &number);
    if (error) {
        return error;
    }
    if (number < lowest || number > highest) {
        return -EINVAL;
    }
    __atomic_store_n(value, (int)number, __ATOMIC_RELAXED);
    return 0;
}

static int write_overcommit_memory(const char *text, size_t len)
{
    return set_int(text, &sysctl_overcommit_memory, 0, 2);
}

static int write_overcommit_ratio(const char *text, size_t len)
{
    return set_int(text, &sysctl_overcommit_ratio, 0, 1 << 20);
}

static int write_max_map_count(const char *text, size_t len)
{
    return set_int(text, &sysctl_max_map_count, 0, 0x7fffffff);
}

static int write_drop_caches(const char *text, size_t len)
{
    s64 what;
    int error = kstrtos64(text, 0, &what);
    if (error || what < 1 || what > 4) {
        return -EINVAL;
    }
    return what == 4 ? 0 : drop_caches((int)what);
}

#define WRITE_DIRTY(name, highest)                                                                 \
    static int write_##name(const char *text, size_t len)                                          \
    {                                                                                              \
        return set_int(text, &sysctl_##name, 0, highest);                                          \
    }
WRITE_DIRTY(dirty_ratio, 100)
WRITE_DIRTY(dirty_background_ratio, 100)
WRITE_DIRTY(dirty_expire_centisecs, 0x7fffffff)
WRITE_DIRTY(dirty_writeback_centisecs, 0x7fffffff)
#define DIRTY_FILE(name)                                                                           \
    proc_register("sys/vm/" #name, 0644, show_int, write_##name, &sysctl_##name)

static int write_pid_max(const char *text, size_t len)
{
    return set_int(text, (int *)&init_pid_ns.pid_max, 301, 4194304);
}

static int show_printk(struct seq_file *m, void *v)
{
    seq_printf(m, "%d\t4\t1\t7\n", log_console_level());
    return 0;
}

static int write_printk(const char *text, size_t len)
{
    int level;
    int error = set_int(text, &level, 0, 8);
    if (!error) {
        log_set_console_level(level);
    }
    return error;
}

// The UTS names of the reader's namespace.
static int show_uts(struct seq_file *m, void *v)
{
    struct uts_namespace *u = current->nsproxy->uts_ns;
    down_read(&u->sem);
    seq_printf(m, "%s\n", (const char *)&u->name + (size_t)m->private);
    up_read(&u->sem);
    return 0;
}

static int write_hostname(const char *text, size_t len)
{
    struct uts_namespace *u = current->nsproxy->uts_ns;
    char name[sizeof(u->name.nodename)] = "";
    size_t n = min_t(size_t, len, sizeof(name) - 1);
    memcpy(name, text, n);
    char *newline = strchr(name, '\n');
    if (newline) {
        *newline = '\0';
    }
    down_write(&u->sem);
    memcpy(u->name.nodename, name, sizeof(name));
    up_write(&u->sem);
    return 0;
}

static int show_constant(struct seq_file *m, void *v)
{
    seq_printf(m, "%s\n", (const char *)m->private);
    return 0;
}

static int show_random_uuid(struct seq_file *m, void *v)
{
    u8 b[16];
    random_bytes(b, sizeof(b));
    b[6] = (u8)((b[6] & 0x0f) | 0x40);
    b[8] = (u8)((b[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < 16; i++) {
        seq_printf(m, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    }
    seq_putc(m, '\n');
    return 0;
}

static void uts_file(const char *path, size_t offset, int (*write)(const char *, size_t))
{
    proc_register(path, write ? 0644 : 0444, show_uts, write, (void *)offset);
}

void proc_sysctl_init(void)
{
    uts_file("sys/kernel/hostname", offset_of(struct linux_new_utsname, nodename), write_hostname);
    uts_file("sys/kernel/osrelease", offset_of(struct linux_new_utsname, release), NULL);
    uts_file("sys/kernel/ostype", offset_of(struct linux_new_utsname, sysname), NULL);
    uts_file("sys/kernel/version", offset_of(struct linux_new_utsname, version), NULL);
    proc_register("sys/kernel/pid_max", 0644, show_int, write_pid_max, &init_pid_ns.pid_max);
    proc_register("sys/kernel/threads-max", 0444, show_int, NULL, &max_threads);
    proc_register("sys/kernel/printk", 0644, show_printk, write_printk, NULL);
    proc_register("sys/kernel/ngroups_max", 0444, show_constant, NULL, "65536");
    proc_register("sys/kernel/cap_last_cap", 0444, show_constant, NULL, "40");
    proc_register("sys/kernel/core_pattern", 0444, show_constant, NULL, "core");
    proc_register("sys/kernel/random/uuid", 0444, show_random_uuid, NULL, NULL);
    proc_register("sys/vm/overcommit_memory", 0644, show_int, write_overcommit_memory,
                  &sysctl_overcommit_memory);
    proc_register("sys/vm/overcommit_ratio", 0644, show_int, write_overcommit_ratio,
                  &sysctl_overcommit_ratio);
    proc_register("sys/vm/max_map_count", 0644, show_int, write_max_map_count,
                  &sysctl_max_map_count);
    DIRTY_FILE(dirty_ratio);
    DIRTY_FILE(dirty_background_ratio);
    DIRTY_FILE(dirty_expire_centisecs);
    DIRTY_FILE(dirty_writeback_centisecs);
    proc_register("sys/vm/drop_caches", 0200, NULL, write_drop_caches, NULL);
    proc_register("sys/fs/pipe-max-size", 0444, show_constant, NULL, "1048576");
}
