// SPDX-License-Identifier: MIT
// Sockets of POSIX.
#include "host/posix_socket.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WRITE_TIMEOUT_MS 10000
#define UNIX_PREFIX "unix:"

struct posix_listener {
    int fd;
    char *name;
    char *unix_path; // to be removed; NULL: TCP
};

// Splits "HOST:PORT" or "PORT"; free() releases *host, which is NULL for the latter.
static bool split(const char *where, char **host, const char **port)
{
    const char *colon = strrchr(where, ':');
    *host = NULL;
    *port = colon ? colon + 1 : where;
    char *end;
    errno = 0;
    unsigned long number = strtoul(*port, &end, 10);
    if (**port < '0' || **port > '9' || *end || errno || number > 65535) {
        return false;
    }
    if (!colon) {
        return true;
    }
    size_t length = (size_t)(colon - where);
    if (length >= 2 && where[0] == '[' && where[length - 1] == ']') {
        where++;
        length -= 2;
    }
    if (length) { // ":PORT" means loopback too
        *host = xasprintf("%.*s", (int)length, where);
    }
    return true;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
    return false;
}

static char *address_name(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[64] = "?", port[16] = "?";
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0) {
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    }
    return xasprintf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static struct status listen_on(struct posix_listener *l, int family, const struct sockaddr *address,
                               socklen_t size, const char *where)
{
    l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    if (l->fd >= 0 && family != AF_UNIX) {
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    if (l->fd < 0 || bind(l->fd, address, size) != 0 || listen(l->fd, 4) != 0) {
        return status_error(STATUS_BAD_INPUT, "cannot listen on %s: %s", where, strerror(errno));
    }
    return status_success();
}

static struct status listen_tcp(struct posix_listener *l, const char *where, bool any)
{
    char *host;
    const char *port;
    if (!split(where, &host, &port)) {
        return status_error(STATUS_USAGE, "%s: PORT, HOST:PORT or unix:PATH expected", where);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host ? host : "127.0.0.1", port, &hints, &list);
    struct status s;
    if (error) {
        s = status_error(STATUS_BAD_INPUT, "cannot listen on %s: %s", where, gai_strerror(error));
    } else if (!any && !is_loopback(list->ai_addr)) {
        s = status_error(STATUS_USAGE,
                         "%s is not a loopback address: anybody who reaches it would control the "
                         "machine; --gdb-any allows that",
                         where);
    } else {
        s = listen_on(l, list->ai_family, list->ai_addr, list->ai_addrlen, where);
    }
    if (list) {
        freeaddrinfo(list);
    }
    free(host);
    l->name = status_ok(&s) ? address_name(l->fd) : NULL;
    return s;
}

// A socket that a dead process left behind refuses connections.
static bool is_abandoned(const char *path, const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 &&
                   connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return refused;
}

static struct status listen_unix(struct posix_listener *l, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof(address.sun_path)) {
        return status_error(STATUS_USAGE, "unix:%s: a path of 1 to %zu bytes expected", path,
                            sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, strlen(path));
    if (is_abandoned(path, &address)) {
        unlink(path);
    }
    mode_t mask = umask(077); // whoever may connect controls the machine
    struct status s =
        listen_on(l, AF_UNIX, (const struct sockaddr *)&address, sizeof(address), path);
    umask(mask);
    if (status_ok(&s)) {
        l->unix_path = xstrdup(path);
        l->name = xstrdup(path);
    }
    return s;
}

struct status posix_listen(struct posix_listener **out, const char *where, bool any)
{
    struct posix_listener *l = xcalloc(1, sizeof(*l));
    l->fd = -1;
    size_t prefix = strlen(UNIX_PREFIX);
    struct status s = strncmp(where, UNIX_PREFIX, prefix) == 0 ? listen_unix(l, where + prefix)
                                                               : listen_tcp(l, where, any);
    if (!status_ok(&s)) {
        posix_listener_close(l);
        l = NULL;
    }
    *out = l;
    return s;
}

void posix_listener_close(struct posix_listener *l)
{
    if (!l) {
        return;
    }
    if (l->fd >= 0) {
        close(l->fd);
    }
    if (l->unix_path) {
        unlink(l->unix_path);
    }
    free(l->unix_path);
    free(l->name);
    free(l);
}

int posix_listener_fd(const struct posix_listener *l)
{
    return l->fd;
}

const char *posix_listener_name(const struct posix_listener *l)
{
    return l->name;
}

bool posix_listener_waiting(const struct posix_listener *l)
{
    struct pollfd fd = {.fd = l->fd, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

int posix_accept(struct posix_listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int one = 1;
    if (fd >= 0 && !l->unix_path) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return fd;
}

long posix_socket_read(int fd, u8 *bytes, size_t room)
{
    ssize_t n = recv(fd, bytes, room, MSG_DONTWAIT);
    if (n > 0) {
        return n;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

bool posix_socket_write(int fd, const u8 *bytes, size_t size)
{
    while (size) {
        ssize_t n = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            if (poll(&wait, 1, WRITE_TIMEOUT_MS) != 1) {
                return false;
            }
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

void posix_socket_close(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}
