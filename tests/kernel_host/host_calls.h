// SPDX-License-Identifier: MIT
// The host's own system calls for test_fs.c, which cannot include the C library's headers beside the kernel's. Each
// returns the result or -errno; paths are below the directory of host_fresh_dir.
#pragma once

#include <stddef.h>

void host_temp_dir(char *buf, size_t size);
void host_remove_dir(const char *root);
void host_fresh_dir(const char *root); // empties it and goes there
int host_system(const char *command);
int host_open(const char *p, int flags, unsigned mode);
int host_close(int fd);
long host_read(int fd, void *b, size_t n);
long host_write(int fd, const void *b, size_t n);
long host_pread(int fd, void *b, size_t n, long at);
long host_pwrite(int fd, const void *b, size_t n, long at);
long host_ftruncate(int fd, long n);
long host_truncate(const char *p, long n);
long host_fsync(int fd);
long host_fchmod(int fd, unsigned mode);
long host_chmod(const char *p, unsigned mode);
long host_mkdir(const char *p, unsigned mode);
long host_rmdir(const char *p);
long host_unlink(const char *p);
long host_link(const char *p, const char *q);
long host_symlink(const char *p, const char *q);
long host_rename(const char *p, const char *q, unsigned flags);
long host_lstat(const char *p, long *size, long *mode, long *links);
