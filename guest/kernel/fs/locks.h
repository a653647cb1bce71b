// SPDX-License-Identifier: MIT
// Record locks and flock.
#pragma once

#include "fs/fs.h"

long fcntl_lock(unsigned fd, struct file *f, unsigned cmd, void __user *arg);
