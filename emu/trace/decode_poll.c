// SPDX-License-Identifier: MIT
// What poll, select and epoll take and give back.
#include "trace/decode.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#define N(name) {name, #name}
#define SHOWN_MAX 32
#define READ(v, address, object) (v)->read((v)->ctx, (address), &(object), sizeof(object))

static const struct flag_name epoll_events[] = {
    N(EPOLLIN), N(EPOLLPRI), N(EPOLLOUT), N(EPOLLERR), N(EPOLLHUP), N(EPOLLRDNORM), N(EPOLLRDHUP),
    {1u << 28, "EPOLLEXCLUSIVE"}, N(EPOLLONESHOT), {1u << 31, "EPOLLET"}, {0, NULL}};

static void show_epoll_event(const struct epoll_event *e, struct text *out)
{
    u64 data;
    memcpy(&data, &e->data, sizeof(data));
    text_add(out, "{events=");
    decode_flags(out, epoll_events, e->events, "EPOLL???");
    text_add(out, ", data={u32=%u, u64=%llu}}", (u32)data, (unsigned long long)data);
}

bool decode_epoll(const struct syscall_view *v, u64 address, struct text *out)
{
    struct epoll_event e;
    if (!READ(v, address, e)) {
        return false;
    }
    show_epoll_event(&e, out);
    return true;
}

bool decode_epoll_list(const struct syscall_view *v, u64 address, struct text *out)
{
    struct epoll_event all[SHOWN_MAX];
    size_t count = v->result > 0 ? (size_t)v->result : 0;
    size_t shown = count < SHOWN_MAX ? count : SHOWN_MAX;
    if (!v->read(v->ctx, address, all, shown * sizeof(all[0]))) {
        return false;
    }
    text_char(out, '[');
    for (size_t i = 0; i < shown; i++) {
        text_add(out, i ? ", " : "");
        show_epoll_event(&all[i], out);
    }
    text_add(out, count > shown ? ", ...]" : "]");
    return true;
}

static const struct flag_name poll_events[] = {
    N(POLLIN), N(POLLPRI), N(POLLOUT), N(POLLERR), N(POLLHUP), N(POLLNVAL), N(POLLRDNORM),
    N(POLLRDBAND), N(POLLWRNORM), N(POLLWRBAND), {0x2000, "POLLRDHUP"}, {0, NULL}};

static size_t read_pollfds(const struct syscall_view *v, struct pollfd all[SHOWN_MAX], bool *ok)
{
    size_t count = (u32)v->arg[1];
    size_t shown = count < SHOWN_MAX ? count : SHOWN_MAX;
    *ok = v->read(v->ctx, v->arg[0], all, shown * sizeof(all[0]));
    return shown;
}

bool decode_pollfds(const struct syscall_view *v, u64 address, struct text *out)
{
    struct pollfd all[SHOWN_MAX];
    bool ok;
    size_t shown = read_pollfds(v, all, &ok);
    if (!ok) {
        return false;
    }
    text_char(out, '[');
    for (size_t i = 0; i < shown; i++) {
        text_add(out, "%s{fd=%d", i ? ", " : "", all[i].fd);
        if (all[i].fd >= 0) {
            text_add(out, ", events=");
            decode_flags(out, poll_events, (u16)all[i].events, "POLL???");
        }
        text_char(out, '}');
    }
    text_add(out, (u32)v->arg[1] > shown ? ", ...]" : "]");
    return true;
}

bool decode_poll_results(const struct syscall_view *v, struct text *out)
{
    struct pollfd all[SHOWN_MAX];
    bool ok;
    if (v->result == 0) {
        text_add(out, " (Timeout)");
        return true;
    }
    size_t shown = read_pollfds(v, all, &ok);
    if (!ok) {
        return false;
    }
    const char *comma = "";
    text_add(out, " ([");
    for (size_t i = 0; i < shown; i++) {
        if (all[i].revents) {
            text_add(out, "%s{fd=%d, revents=", comma, all[i].fd);
            decode_flags(out, poll_events, (u16)all[i].revents, "POLL???");
            text_char(out, '}');
            comma = ", ";
        }
    }
    text_add(out, "])");
    return true;
}

bool decode_fdset(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 words[16] = {0};
    size_t bits = (u32)v->arg[0] < 1024 ? (u32)v->arg[0] : 1024;
    if (decode_int(v, 0) < 0 || !v->read(v->ctx, address, words, (bits + 63) / 64 * 8)) {
        return false;
    }
    const char *space = "";
    text_char(out, '[');
    for (size_t fd = 0; fd < bits; fd++) {
        if (words[fd / 64] >> (fd % 64) & 1) {
            text_add(out, "%s%zu", space, fd);
            space = " ";
        }
    }
    text_char(out, ']');
    return true;
}

bool decode_select_results(const struct syscall_view *v, struct text *out)
{
    static const char *const names[] = {"in", "out", "except"};
    if (v->result == 0) {
        text_add(out, " (Timeout)");
        return true;
    }
    const char *comma = "";
    text_add(out, " (");
    for (unsigned i = 0; i < 3; i++) {
        struct text set = {0};
        if (v->arg[i + 1] && decode_fdset(v, v->arg[i + 1], &set) &&
            strcmp(text_get(&set), "[]") != 0) {
            text_add(out, "%s%s %s", comma, names[i], text_get(&set));
            comma = ", ";
        }
        text_free(&set);
    }
    u64 left[2];
    if (v->arg[4] && READ(v, v->arg[4], left)) { // the kernel writes back what is left
        text_add(out, "%sleft {tv_sec=%lld, %s=%lld}", comma, (long long)left[0],
                 v->row->args[4] == KIND_TIMESPEC_IN ? "tv_nsec" : "tv_usec", (long long)left[1]);
    }
    text_char(out, ')');
    return true;
}
