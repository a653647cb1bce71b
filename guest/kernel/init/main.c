// SPDX-License-Identifier: MIT
// Order of initialisation, and the first process: mounts the root file system and starts init.
#include "abi/fcntl.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/smp.h"
#include "drivers/driver.h"
#include "drivers/input/input.h"
#include "fs/block.h"
#include "fs/file.h"
#include "fs/namei.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "lib/xarray.h"
#include "mm/page_cache.h"
#include "mm/vmalloc.h"
#include "proc/exec.h"
#include "proc/futex.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "sched/kthread.h"
#include "syscall/syscall.h"
#include "tty/tty.h"

extern char boot_stack[];

bool cmdline_get(const char *name, char *buf, size_t size)
{
    size_t n = strlen(name);
    bool found = false;
    for (const char *p = boot_info.cmdline; *p;) {
        while (*p == ' ')
            p++;
        const char *end = p;
        for (bool quoted = false; *end && (quoted || *end != ' '); end++)
            quoted ^= *end == '"';
        if ((size_t)(end - p) >= n && !strncmp(p, name, n) && (p[n] == '=' || p + n == end)) {
            const char *v = p + n + (p[n] == '=');
            size_t len = (size_t)(end - v);
            if (len >= 2 && v[0] == '"' && v[len - 1] == '"')
                v++, len -= 2;
            kstrlcpy(buf, v, min(size, len + 1)); // the last one counts
            found = true;
        }
        p = end;
    }
    return found;
}

bool cmdline_has(const char *name, const char *value)
{
    size_t n = strlen(name), len = strlen(value);
    for (const char *p = boot_info.cmdline; *p;) {
        if (!strncmp(p, name, n) && p[n] == '=' && !strncmp(p + n + 1, value, len) &&
            (p[n + 1 + len] == ' ' || !p[n + 1 + len]))
            return true;
        while (*p && *p != ' ')
            p++;
        while (*p == ' ')
            p++;
    }
    return false;
}

static void mount_root(void)
{
    char root[64], type[16] = "ext2";
    bool given = cmdline_get("root", root, sizeof(root));
    cmdline_get("rootfstype", type, sizeof(type));
    if (!given && boot_info.initrd_size) {
        int err = initramfs_unpack(__va(boot_info.initrd_start), boot_info.initrd_size);
        if (err)
            panic("initramfs: error %d", err);
        page_alloc_release(boot_info.initrd_start, boot_info.initrd_start + boot_info.initrd_size);
        kern_mkdir("/dev", 0755);
        kern_mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
        return;
    }
    if (!given)
        kstrlcpy(root, "/dev/sda", sizeof(root));
    char flag[4];
    unsigned flags = cmdline_get("ro", flag, sizeof(flag)) ? MS_RDONLY : 0;
    kern_mkdir("/dev", 0755);
    kern_mkdir("/root", 0700);
    int err = kern_mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    if (!err)
        err = kern_mount(root, "/root", type, flags, NULL);
    if (err)
        panic("cannot mount the root file system %s (%s): error %d", root, type, err);
    pr_info("root: %s (%s) mounted %s", root, type, flags & MS_RDONLY ? "read-only" : "read-write");
    err = kern_mount("devtmpfs", "/root/dev", "devtmpfs", 0, NULL);
    if (err)
        pr_warn("root: no /dev on the root file system (error %d)", err);
    kern_chdir("/root");
    err = kern_mount(".", "/", NULL, MS_MOVE, NULL);
    if (!err)
        err = kern_chroot(".");
    if (err)
        panic("cannot move to the root file system: error %d", err);
    kern_chdir("/");
}

static void open_console(void)
{
    struct file *f = filp_open("/dev/console", O_RDWR, 0);
    if (IS_ERR(f)) {
        pr_warn("no /dev/console: error %ld", PTR_ERR(f));
        return;
    }
    for (int i = 0; i < 3; i++) {
        int fd = get_unused_fd_flags(0);
        if (fd >= 0)
            fd_install((unsigned)fd, get_file(f));
    }
    fput(f);
}

static int try_init(const char *path)
{
    const char *argv[] = {path, NULL};
    const char *envp[] = {"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL};
    int err = kernel_execve(path, argv, envp);
    if (!err)
        pr_info("init: %s", path);
    return err;
}

static int start_init(void)
{
    char path[128];
    if (cmdline_get("init", path, sizeof(path))) {
        int err = try_init(path);
        if (err)
            panic("cannot start init=%s: error %d", path, err);
        return 0;
    }
    static const char *const names[] = {"/init", "/sbin/init", "/bin/init", "/bin/sh"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (!try_init(names[i]))
            return 0;
    panic("no init found: tried /init, /sbin/init, /bin/init, /bin/sh");
}

static int kernel_init(void *unused)
{
    (void)unused;
    char value[8];
    kthread_init();
    if (cmdline_get("selftest", value, sizeof(value)))
        kthread_selftest(value);
    fs_init();
    block_init();
    tty_init();
    input_init();
    drivers_init();
    chardev_init();
    sysrq_init();
    power_button_init();
    sched_show_init();
    mm_late_init();
    vmalloc_late_init();
    mount_root();
    open_console();
    return start_init();
}

static void log_options(void)
{
    char value[16];
    u64 level;
    if (cmdline_get("quiet", value, sizeof(value)))
        log_set_console_level(LOG_WARNING + 1);
    if (cmdline_get("loglevel", value, sizeof(value)) && !kstrtou64(value, 10, &level))
        log_set_console_level((int)level);
}

void kernel_main(void)
{
    log_options();
    pr_notice("fern: a kernel for viv and for q35, %s", boot_info.cmdline);
    init_task.stack = boot_stack;
    timer_init();
    sched_init();
    ioapic_init();
    apic_init();
    dt_build();
    local_irq_enable();
    mm_init();
    if (!xarray_init())
        panic("no memory for index nodes");
    page_cache_init();
    pid_init();
    fork_init();
    signal_init();
    futex_init();
    syscall_init();
    smp_init();
#ifdef FERN_DEBUG_LOCKS
    scheduler_running = true;
#endif
    pid_t pid = kernel_process(kernel_init, NULL);
    struct task_struct *daemon = kthreadd_create();
    if (IS_ERR(daemon))
        panic("cannot make kthreadd: error %ld", PTR_ERR(daemon));
    wake_up_new_task(daemon);
    if (pid < 0)
        panic("cannot make the first process: error %d", pid);
    cpu_idle_loop();
}
