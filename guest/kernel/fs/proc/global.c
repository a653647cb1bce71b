// SPDX-License-Identifier: MIT
// Files of the whole system in /proc, formats as proc(5) gives them.
#include "fs/proc/proc.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/percpu.h"
#include "fs/block.h"
#include "init/init.h"
#include "lib/math.h"
#include "lib/printf.h"
#include "mm/proc_mm.h"
#include "mm/slab.h"
#include "syscall/syscall.h"

#define USER_HZ 100
#define NS_PER_TICK (1000000000ull / USER_HZ)

static int show_version(struct seq_file *m, void *v)
{
    const struct linux_new_utsname *u = &init_uts_ns.name;
    seq_printf(m, "%s version %s (fern) %s\n", u->sysname, u->release, u->version);
    return 0;
}

static int show_uptime(struct seq_file *m, void *v)
{
    u64 up = ktime_get() / 10000000, idle = sched_idle_ns() / 10000000;
    seq_printf(m, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100),
               (unsigned long long)(up % 100), (unsigned long long)(idle / 100),
               (unsigned long long)(idle % 100));
    return 0;
}

static int show_loadavg(struct seq_file *m, void *v)
{
    u64 load[3];
    sched_loadavg(load);
    for (int i = 0; i < 3; i++) {
        u64 hundredths = (load[i] * 100 + 1024) >> 11;
        seq_printf(m, "%llu.%02llu ", (unsigned long long)(hundredths / 100),
                   (unsigned long long)(hundredths % 100));
    }
    struct task_struct *p;
    pid_t last = 0;
    spin_lock(&tasklist_lock);
    for_each_process(p)
    {
        last = max_t(pid_t, last, task_tgid_vnr(p));
    }
    spin_unlock(&tasklist_lock);
    seq_printf(m, "%lu/%d %d\n", nr_running(), atomic_read(&nr_threads), last);
    return 0;
}

// User, nice and system time of all processes, dead ones included in their parents' children's time
// by nobody: the scheduler's idle time is exact, the rest of the time since boot is divided by what
// the living have used.
static struct cpu_times times_of_one_cpu(void)
{
    struct task_struct *p, *t;
    u64 living = 0;
    struct cpu_times sum = {.idle = sched_idle_ns()};
    spin_lock(&tasklist_lock);
    for_each_process(p)
    {
        for_each_thread(p, t)
        {
            u64 u, s;
            task_cputime(t, &u, &s);
            *(task_nice(t) > 0 ? &sum.nice : &sum.user) += u;
            sum.system += s;
            living += u + s;
        }
    }
    spin_unlock(&tasklist_lock);
    u64 busy = ktime_get() > sum.idle ? ktime_get() - sum.idle : 0;
    sum.system += busy > living ? busy - living : 0;
    return sum;
}

// With several CPUs: each one's ticks say how its time outside idle is shared.
static struct cpu_times times_of(unsigned cpu)
{
    struct cpu_times t;
    sched_cpu_times(cpu, &t);
    u64 ticks = t.user + t.nice + t.system, now = ktime_get(),
        busy = now > t.idle ? now - t.idle : 0;
    if (!ticks) {
        t.system = busy;
        return t;
    }
    t.user = mul_div_u64(busy, t.user, ticks);
    t.nice = mul_div_u64(busy, t.nice, ticks);
    t.system = busy - t.user - t.nice;
    return t;
}

static void put_cpu_line(struct seq_file *m, const char *name, const struct cpu_times *t)
{
    seq_printf(
        m, "%s %llu %llu %llu %llu 0 0 0 0 0 0\n", name,
        (unsigned long long)(t->user / NS_PER_TICK), (unsigned long long)(t->nice / NS_PER_TICK),
        (unsigned long long)(t->system / NS_PER_TICK), (unsigned long long)(t->idle / NS_PER_TICK));
}

static void put_cpu_lines(struct seq_file *m)
{
    struct cpu_times each[NR_CPUS], sum = {0};
    for (unsigned c = 0; c < nr_cpus_online; c++) {
        each[c] = nr_cpus_online == 1 ? times_of_one_cpu() : times_of(c);
        sum.user += each[c].user;
        sum.nice += each[c].nice;
        sum.system += each[c].system;
        sum.idle += each[c].idle;
    }
    put_cpu_line(m, "cpu ", &sum);
    for (unsigned c = 0; c < nr_cpus_online; c++) {
        char name[8];
        scnprintf(name, sizeof(name), "cpu%u", c);
        put_cpu_line(m, name, &each[c]);
    }
}

static int show_stat(struct seq_file *m, void *v)
{
    u64 interrupts = 0, blocked = 0;
    struct irq_source source;
    struct task_struct *p;
    put_cpu_lines(m);
    for (unsigned i = 0; irq_describe(i, &source); i++) {
        interrupts += irq_count(source.vector);
    }
    spin_lock(&tasklist_lock);
    for_each_process(p)
    {
        blocked += task_state_char(p) == 'D';
    }
    spin_unlock(&tasklist_lock);
    seq_printf(
        m,
        "intr %llu\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %lu\nprocs_blocked %llu\n",
        (unsigned long long)interrupts, (unsigned long long)nr_context_switches(),
        (unsigned long long)(ktime_real_offset() / 1000000000), (unsigned long long)total_forks(),
        nr_running(), (unsigned long long)blocked);
    return 0;
}

static void put_brand(struct seq_file *m)
{
    char brand[49] = "";
    if (cpuid(0x80000000, 0).eax >= 0x80000004) {
        for (unsigned i = 0; i < 3; i++) {
            struct cpuid_regs r = cpuid(0x80000002 + i, 0);
            memcpy(brand + i * 16, &r, 16);
        }
    }
    seq_printf(m, "model name\t: %s\n", brand);
}

static void put_flags(struct seq_file *m)
{
    static const char *const edx[32] = {"fpu", "vme",  "de",   "pse",   "tsc", "msr",     "pae",
                                        "mce", "cx8",  "apic", NULL,    "sep", "mtrr",    "pge",
                                        "mca", "cmov", "pat",  "pse36", NULL,  "clflush", NULL,
                                        NULL,  NULL,   "mmx",  "fxsr",  "sse", "sse2"};
    struct cpuid_regs r = cpuid(1, 0);
    seq_puts(m, "flags\t\t:");
    for (unsigned i = 0; i < 32; i++) {
        if (edx[i] && (r.edx >> i & 1)) {
            seq_printf(m, " %s", edx[i]);
        }
    }
    r = cpuid(0x80000001, 0);
    seq_printf(m, "%s%s%s\n", (r.edx >> 11 & 1) ? " syscall" : "", (r.edx >> 20 & 1) ? " nx" : "",
               (r.edx >> 29 & 1) ? " lm" : "");
}

static int show_cpuinfo(struct seq_file *m, void *v)
{
    struct cpuid_regs r = cpuid(0, 0), sig = cpuid(1, 0);
    char vendor[13] = "";
    memcpy(vendor, &r.ebx, 4);
    memcpy(vendor + 4, &r.edx, 4);
    memcpy(vendor + 8, &r.ecx, 4);
    u64 khz = clock_cycles_per_second() / 1000;
    for (unsigned i = 0; i < nr_cpus_online; i++) {
        seq_printf(m, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", i,
                   vendor,
                   (sig.eax >> 8 & 15) + ((sig.eax >> 8 & 15) == 15 ? sig.eax >> 20 & 255 : 0),
                   (sig.eax >> 4 & 15) | (sig.eax >> 12 & 0xf0));
        put_brand(m);
        seq_printf(m, "stepping\t: %u\ncpu MHz\t\t: %llu.%03llu\ncpu cores\t: %u\n", sig.eax & 15,
                   (unsigned long long)(khz / 1000), (unsigned long long)(khz % 1000),
                   nr_cpus_online);
        put_flags(m);
        seq_printf(m, "address sizes\t: %u bits physical, %u bits virtual\n\n",
                   cpuid(0x80000008, 0).eax & 255, cpuid(0x80000008, 0).eax >> 8 & 255);
    }
    return 0;
}

static int show_interrupts(struct seq_file *m, void *v)
{
    struct irq_source source;
    seq_puts(m, "    ");
    for (unsigned c = 0; c < nr_cpus_online; c++) {
        char name[8];
        scnprintf(name, sizeof(name), "CPU%u", c);
        seq_printf(m, "%s%7s   ", c ? " " : "", name);
    }
    seq_puts(m, "\n");
    for (unsigned i = 0; irq_describe(i, &source); i++) {
        if (source.label) {
            seq_printf(m, "%3s:", source.label);
        } else {
            seq_printf(m, "%3u:", source.number);
        }
        for (unsigned c = 0; c < nr_cpus_online; c++) {
            seq_printf(m, " %10llu",
                       (unsigned long long)READ_ONCE(cpus[c].irq_count[source.vector]));
        }
        seq_printf(m, "   %s\n", source.name);
    }
    return 0;
}

static int show_filesystems(struct seq_file *m, void *v)
{
    filesystems_show(m);
    return 0;
}

static int show_devices(struct seq_file *m, void *v)
{
    seq_puts(m, "Character devices:\n");
    chrdevs_show(m);
    seq_puts(m, "\nBlock devices:\n  8 sd\n");
    return 0;
}

static int show_partitions(struct seq_file *m, void *v)
{
    partitions_show(m);
    return 0;
}

static int show_diskstats(struct seq_file *m, void *v)
{
    diskstats_show(m);
    return 0;
}

static int show_cmdline(struct seq_file *m, void *v)
{
    seq_printf(m, "%s\n", boot_info.cmdline);
    return 0;
}

static int show_slabinfo(struct seq_file *m, void *v)
{
    const char *name;
    size_t size;
    u64 in_use, total;
    seq_puts(m, "# name            <active_objs> <num_objs> <objsize>\n");
    for (unsigned i = 0; kmem_cache_describe(i, &name, &size, &in_use, &total); i++) {
        seq_printf(m, "%-17s %6llu %6llu %6zu\n", name, (unsigned long long)in_use,
                   (unsigned long long)total, size);
    }
    return 0;
}

// Which system calls were made, how often, and how often they failed: the coverage report of a run.
static int show_syscalls(struct seq_file *m, void *v)
{
    const char *name;
    bool implemented;
    u64 calls, errors;
    seq_puts(m, "# number name calls errors\n");
    for (unsigned nr = 0; syscall_describe(nr, &name, &implemented, &calls, &errors); nr++) {
        if (name && (implemented || calls)) {
            seq_printf(m, "%u %s %llu %llu%s\n", nr, name, (unsigned long long)calls,
                       (unsigned long long)errors, implemented ? "" : " ENOSYS");
        }
    }
    seq_printf(m, "- unknown %llu %llu ENOSYS\n", (unsigned long long)syscall_unknown_calls(),
               (unsigned long long)syscall_unknown_calls());
    return 0;
}

static void add_link(const char *name, const char *target)
{
    struct proc_entry *e = proc_add(&proc_root, name, S_IFLNK | 0777);
    if (e) {
        e->target = target;
    }
}

void proc_global_init(void)
{
    static const struct {
        const char *path;
        umode_t mode;
        int (*show)(struct seq_file *m, void *v);
    } files[] = {
        {"cmdline", 0444, show_cmdline},
        {"cpuinfo", 0444, show_cpuinfo},
        {"devices", 0444, show_devices},
        {"diskstats", 0444, show_diskstats},
        {"filesystems", 0444, show_filesystems},
        {"interrupts", 0444, show_interrupts},
        {"loadavg", 0444, show_loadavg},
        {"meminfo", 0444, proc_show_meminfo},
        {"partitions", 0444, show_partitions},
        {"slabinfo", 0400, show_slabinfo},
        {"stat", 0444, show_stat},
        {"uptime", 0444, show_uptime},
        {"version", 0444, show_version},
        {"vmstat", 0444, proc_show_vmstat},
        {"fern/syscalls", 0444, show_syscalls},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        proc_register(files[i].path, files[i].mode, files[i].show, NULL, NULL);
    }
    add_link("mounts", "self/mounts");
}
