// SPDX-License-Identifier: MIT
// /proc/sysrq-trigger and Alt-SysRq, by Linux's letters (Documentation of the magic SysRq key):
// b c f o s; and n for a jump to address 0, x for a stack overflow.
#include "drivers/power.h"
#include "fs/seq_file.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/oom.h"

#define FRAME_BYTES 512

static volatile u64 depth_limit = ~0UL;
static int (*volatile nowhere)(void);

static __noinline u64 overflow(u64 depth)
{
    volatile u8 frame[FRAME_BYTES];
    memset((void *)frame, (int)depth, sizeof(frame));
    return depth < depth_limit ? overflow(depth + 1) + frame[depth % FRAME_BYTES] : 0;
}

int sysrq_command(char letter)
{
    switch (letter) {
    case 'b':
        machine_restart();
    case 'c':
        panic("sysrq triggered crash");
    case 'f':
        out_of_memory(GFP_KERNEL, 0);
        return 0;
    case 'n':
        return nowhere();
    case 'o':
        machine_power_off();
    case 's':
        sync_filesystems(true);
        return 0;
    case 'x':
        return (int)overflow(0);
    default:
        pr_notice("sysrq: restart (b), crash (c), kill for memory (f), power off (o), sync (s)");
        return -EINVAL;
    }
}

static int trigger(const char *text, size_t len)
{
    return sysrq_command(len ? text[0] : 0);
}

void sysrq_init(void)
{
    int err = proc_register("sysrq-trigger", 0200, NULL, trigger, NULL);
    if (err)
        pr_warn("no /proc/sysrq-trigger: error %d", err);
}
