// SPDX-License-Identifier: MIT
// struct iovec of readv(2); addresses are plain numbers.
#pragma once

#include <stdint.h>

struct linux_iovec {
    uint64_t iov_base;
    uint64_t iov_len;
};
#define UIO_MAXIOV 1024
