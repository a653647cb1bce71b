// SPDX-License-Identifier: MIT
// Disk images in files and block devices. Read and written, never mapped: a truncated image is a
// media error to the guest, not a SIGBUS to us.
#ifndef VIV_HOST_POSIX_BLOCK_H
#define VIV_HOST_POSIX_BLOCK_H

#include "host/host.h"

enum posix_block_mode {
    POSIX_BLOCK_WRITE,    // writes go to the image; nobody else may use it
    POSIX_BLOCK_READ,     // the guest sees a read-only disk
    POSIX_BLOCK_SNAPSHOT, // writes go to memory and are forgotten
};

struct overlay;
struct posix_block;

// Opens a raw image. Refused with one line: missing, empty, not a multiple of 512 bytes, qcow2, in
// use.
struct status posix_block_open(struct posix_block **out, const char *path,
                               enum posix_block_mode mode);
// Flushes, unlocks and closes.
void posix_block_close(struct posix_block *block);

struct host_block posix_block_host(struct posix_block *block);

// What a snapshot's writes go to; NULL in the other modes. The block's own.
struct overlay *posix_block_overlay(const struct posix_block *block);

// Reads the image itself, whatever a snapshot has written since.
bool posix_block_read_base(struct posix_block *block, u64 offset, void *bytes, size_t size);

#endif
