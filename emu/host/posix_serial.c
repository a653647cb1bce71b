// SPDX-License-Identifier: MIT
// Serial lines on descriptors: the terminal with its escape key, synchronous pipes and files.
#include "base/check.h"
#include "base/memory.h"
#include "host/posix_door_internal.h"
#include "host/posix_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define ESCAPE_KEY 1 // Ctrl-A
// Keys typed ahead of the guest; a terminal that pastes more waits.
#define KEYS_MAX (1u << 20)
#define READ_AHEAD 4096

// Writes everything, waiting where the descriptor does not block.
static void write_all(struct posix_line *line, const u8 *bytes, size_t size)
{
    while (size && line->out_fd >= 0) {
        ssize_t n = write(line->out_fd, bytes, size);
        if (n >= 0) {
            bytes += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd fd = {.fd = line->out_fd, .events = POLLOUT};
            poll(&fd, 1, 1000);
            if (posix_door_check(line->door)) {
                return;
            }
        } else if (errno != EINTR) {
            posix_door_finish(line->door,
                              errno == EPIPE ? POSIX_DOOR_OUTPUT_CLOSED : POSIX_DOOR_OUTPUT_FAILED,
                              errno);
            return;
        }
    }
}

void posix_line_flush(struct posix_line *line)
{
    size_t used = line->out_used;
    line->out_used = 0;
    if (used) {
        write_all(line, line->out, used);
    }
}

static void line_write(void *ctx, const u8 *bytes, size_t size)
{
    struct posix_line *line = ctx;
    for (unsigned i = 0; i < line->door->line_count; i++) { // keep the order between lines
        if (line->door->lines[i] != line) {
            posix_line_flush(line->door->lines[i]);
        }
    }
    while (size) {
        size_t room = sizeof(line->out) - line->out_used;
        size_t part = size < room ? size : room;
        memcpy(line->out + line->out_used, bytes, part);
        line->out_used += part;
        bytes += part;
        size -= part;
        if (line->out_used == sizeof(line->out)) {
            posix_line_flush(line);
        }
    }
}

static void line_set_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
    struct posix_line *line = ctx;
    line->ready = ready;
    line->ready_dev = dev;
}

static void add_key(struct posix_line *line, u8 key)
{
    if (line->keys_used == line->keys_room) {
        line->keys_room = line->keys_room ? line->keys_room * 2 : 256;
        line->keys = xrealloc(line->keys, line->keys_room);
    }
    line->keys[line->keys_used++] = key;
}

static void help(struct posix_line *line)
{
    static const char text[] = "\r\nC-a h    this help\r\nC-a x    quit viv\r\n"
                               "C-a C-a  send C-a to the guest\r\n";
    posix_line_flush(line);
    write_all(line, (const u8 *)text, sizeof(text) - 1);
}

static void take_key(struct posix_line *line, u8 key)
{
    if (!line->raw || (!line->escape && key != ESCAPE_KEY)) {
        add_key(line, key);
        return;
    }
    if (!line->escape) {
        line->escape = true;
        return;
    }
    line->escape = false;
    switch (key) {
    case 'x':
    case 'X':
        posix_door_finish(line->door, POSIX_DOOR_QUIT, 0);
        break;
    case 'h':
    case 'H':
    case '?':
        help(line);
        break;
    case ESCAPE_KEY:
        add_key(line, key);
        break;
    default: // not ours: the guest gets both
        add_key(line, ESCAPE_KEY);
        add_key(line, key);
        break;
    }
}

bool posix_line_wants(const struct posix_line *line)
{
    bool begun = line->started || !line->waits_for_guest;
    return begun && !line->eof && line->keys_used - line->keys_taken < KEYS_MAX;
}

bool posix_line_pump(struct posix_line *line)
{
    struct pollfd fd = {.fd = line->in_fd, .events = POLLIN};
    bool came = false;
    while (posix_line_wants(line) && poll(&fd, 1, 0) == 1) {
        u8 bytes[256];
        ssize_t n = read(line->in_fd, bytes, sizeof(bytes));
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            break;
        }
        came = true;
        if (n <= 0) {
            line->eof = true;
        }
        for (ssize_t i = 0; i < n; i++) {
            take_key(line, bytes[i]);
        }
    }
    if (came && line->ready) {
        line->ready(line->ready_dev);
    }
    return came;
}

// Moves up to room bytes of what was read ahead; returns how many.
static size_t take_keys(struct posix_line *line, u8 *bytes, size_t room)
{
    size_t have = line->keys_used - line->keys_taken;
    size_t part = have < room ? have : room;
    if (part) {
        memcpy(bytes, line->keys + line->keys_taken, part);
        line->keys_taken += part;
    }
    if (line->keys_taken == line->keys_used) {
        line->keys_taken = line->keys_used = 0;
    } else if (line->keys_taken > KEYS_MAX) { // a long stream that never quite runs dry
        line->keys_used -= line->keys_taken;
        memmove(line->keys, line->keys + line->keys_taken, line->keys_used);
        line->keys_taken = 0;
    }
    return part;
}

static long terminal_read(void *ctx, u8 *bytes, size_t room)
{
    struct posix_line *line = ctx;
    size_t got = take_keys(line, bytes, room);
    return got ? (long)got : line->eof ? -1 : 0;
}

// Bytes that came before anybody cares for them would be echoed, or lost.
static long async_read(void *ctx, u8 *bytes, size_t room)
{
    struct posix_line *line = ctx;
    line->asked = true;
    return line->started ? terminal_read(ctx, bytes, room) : 0;
}

bool posix_line_start(struct posix_line *line)
{
    if (!line->asked || line->started) {
        return false;
    }
    line->started = true;
    if (line->ready) {
        line->ready(line->ready_dev);
    }
    return true;
}

// Waits for bytes of the descriptor; false at end of file, or if the run is to end.
static bool fill_keys(struct posix_line *line)
{
    posix_door_flush(line->door);
    while (!line->eof && !posix_door_check(line->door)) {
        struct pollfd fds[3] = {{.fd = line->in_fd, .events = POLLIN},
                                {.fd = line->door->signal_fd, .events = POLLIN},
                                {.fd = line->door->timer_fd, .events = POLLIN}};
        if (poll(fds, 3, -1) < 0 || !fds[0].revents) {
            continue;
        }
        u8 bytes[READ_AHEAD];
        ssize_t n = read(line->in_fd, bytes, sizeof(bytes));
        for (ssize_t i = 0; i < n; i++) {
            add_key(line, bytes[i]);
        }
        if (n > 0) {
            return true;
        }
        line->eof = n == 0 || (errno != EINTR && errno != EAGAIN);
    }
    return false;
}

// Once begun, blocks the host until there is input, end of file, or a reason to end the run: when
// bytes arrive in host time makes no difference to the guest. Before, a guest that does not care
// for its input is not held up by it.
static long stream_read(void *ctx, u8 *bytes, size_t room)
{
    struct posix_line *line = ctx;
    if (line->never_ends) {
        return 0;
    }
    line->asked = true;
    if (!line->started) {
        return 0;
    }
    size_t got = take_keys(line, bytes, room);
    while (got < room &&
           fill_keys(line)) { // never less than asked for: where host reads end must not show
        got += take_keys(line, bytes + got, room - got);
    }
    return got ? (long)got : line->eof ? -1 : 0;
}

static const struct host_serial_ops terminal_ops = {
    .write = line_write, .read = terminal_read, .set_ready = line_set_ready};
static const struct host_serial_ops async_ops = {
    .write = line_write, .read = async_read, .set_ready = line_set_ready};
static const struct host_serial_ops stream_ops = {
    .write = line_write, .read = stream_read, .set_ready = line_set_ready};

static struct posix_line *add_line(struct posix_door *door, int in_fd, int out_fd)
{
    CHECK(door->line_count < POSIX_LINES_MAX);
    struct posix_line *line = xcalloc(1, sizeof(*line));
    line->door = door;
    line->in_fd = in_fd;
    line->out_fd = out_fd;
    door->lines[door->line_count++] = line;
    return line;
}

struct host_serial posix_serial_terminal(struct posix_door *door, bool raw)
{
    struct posix_line *line = add_line(door, STDIN_FILENO, STDOUT_FILENO);
    line->raw = raw && posix_terminal_raw(STDIN_FILENO);
    door->terminal = line;
    return (struct host_serial){.ops = &terminal_ops, .ctx = line};
}

struct host_serial posix_serial_stream(struct posix_door *door, int in_fd, int out_fd)
{
    struct posix_line *line = add_line(door, in_fd, out_fd);
    line->never_ends = in_fd < 0;
    return (struct host_serial){.ops = &stream_ops, .ctx = line};
}

struct host_serial posix_serial_async(struct posix_door *door, int in_fd, int out_fd)
{
    door->terminal = add_line(door, in_fd, out_fd);
    door->terminal->waits_for_guest = true;
    return (struct host_serial){.ops = &async_ops, .ctx = door->terminal};
}

struct status posix_serial_file(struct posix_door *door, const char *path, struct host_serial *out)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, strerror(errno));
    }
    *out = posix_serial_stream(door, -1, fd);
    door->lines[door->line_count - 1]->owns_out = true;
    return status_success();
}
