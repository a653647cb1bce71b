// SPDX-License-Identifier: MIT
// The user's terminal: raw mode, and its restoration whatever ends the process.
#ifndef VIV_HOST_POSIX_TERMINAL_H
#define VIV_HOST_POSIX_TERMINAL_H

#include "base/types.h"

// Puts the terminal fd into raw mode (termios(3), cfmakeraw) until posix_terminal_restore(), exit()
// or a fatal signal. One terminal per process. False if fd is no terminal.
bool posix_terminal_raw(int fd);

// Back to the mode it had. Harmless if it never was raw. Async-signal-safe.
void posix_terminal_restore(void);

#endif
