// SPDX-License-Identifier: MIT
// Raw mode. A process has one controlling terminal and signal handlers take no context: this is the
// one place in the emulator that keeps state at file scope.
#include "host/posix_terminal.h"

#include "base/bits.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

static struct {
    struct termios cooked;
    int fd;
    volatile sig_atomic_t raw;
    bool prepared;
} posix_terminal_state;

void posix_terminal_restore(void)
{
    if (posix_terminal_state.raw) {
        posix_terminal_state.raw = 0;
        tcsetattr(posix_terminal_state.fd, TCSADRAIN, &posix_terminal_state.cooked);
    }
}

// The signal that ended us, after the terminal is usable again (SA_RESETHAND: the default action
// follows).
static void restore_and_die(int signal_number)
{
    posix_terminal_restore();
    raise(signal_number);
}

static void prepare_exit_paths(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = restore_and_die;
    action.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
        sigaction(fatal[i], &action, NULL);
    }
    atexit(posix_terminal_restore);
}

bool posix_terminal_raw(int fd)
{
    if (posix_terminal_state.raw || tcgetattr(fd, &posix_terminal_state.cooked) != 0) {
        return false;
    }
    if (!posix_terminal_state.prepared) {
        posix_terminal_state.prepared = true;
        prepare_exit_paths();
    }
    struct termios raw = posix_terminal_state.cooked;
    cfmakeraw(&raw);
    posix_terminal_state.fd = fd;
    posix_terminal_state.raw = 1;
    if (tcsetattr(fd, TCSADRAIN, &raw) != 0) {
        posix_terminal_state.raw = 0;
        return false;
    }
    return true;
}
