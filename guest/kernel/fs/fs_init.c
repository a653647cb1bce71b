// SPDX-License-Identifier: MIT
// Order of initialisation of the file systems.
#include "fs/block.h"
#include "fs/internal.h"

void fs_init(void)
{
    namei_init();
    dcache_init();
    inode_init();
    locks_init();
    files_init();
    tmpfs_init();
    mount_init();
    devtmpfs_init();
    mem_devices_init();
    buffer_init();
    eventpoll_init();
    ext2_init();
    proc_init();
    sysfs_init();
}
