// SPDX-License-Identifier: MIT
// A listening socket for one peer at a time, on loopback TCP or a UNIX path, and the connections it
// gives.
#ifndef VIV_HOST_POSIX_SOCKET_H
#define VIV_HOST_POSIX_SOCKET_H

#include "base/status.h"

#include <stddef.h>

struct posix_listener;

// where: "PORT" (on 127.0.0.1; 0: any free one), "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Unless
// any, a host that is not loopback is refused (STATUS_USAGE), as is a malformed one; BAD_INPUT: the
// host refuses. A socket file that nobody listens on any more is replaced.
struct status posix_listen(struct posix_listener **out, const char *where, bool any);
void posix_listener_close(struct posix_listener *l); // removes the socket file
int posix_listener_fd(const struct posix_listener *l);
// Where it listens, as one writes it for gdb: "127.0.0.1:1234", a path.
const char *posix_listener_name(const struct posix_listener *l);
// True if somebody waits to be accepted.
bool posix_listener_waiting(const struct posix_listener *l);
// A connection's descriptor, or -1 if nobody waits. Never blocks, nor does reading from it.
int posix_accept(struct posix_listener *l);

// > 0 bytes; 0: none now; < 0: the peer is gone.
long posix_socket_read(int fd, u8 *bytes, size_t room);
// False: the peer is gone, or takes nothing for ten seconds.
bool posix_socket_write(int fd, const u8 *bytes, size_t size);
void posix_socket_close(int fd);

#endif
