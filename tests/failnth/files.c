// SPDX-License-Identifier: MIT
// Scenarios of failing allocations: files, directories, file systems, pipes, waiting for
// descriptors.
#include "fail_nth.h"

#include <dirent.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

static int fd = -1, fds[2];

static void close_fd(long result)
{
    (void)result;
    close(fd);
}

static void close_result(long result)
{
    if (result >= 0) {
        close((int)result);
    }
}

static void empty_data(long result)
{
    (void)result;
    NEED(ftruncate(data_fd, 0));
}

static void fill_data(void)
{
    NEED(pwrite(data_fd, buffer, sizeof(buffer), 0));
}

static void rewind_data(void)
{
    fill_data();
    NEED(lseek(data_fd, 0, SEEK_SET));
}

// --- files by descriptor

static long do_read(void)
{
    return read(data_fd, buffer, sizeof(buffer));
}

static long do_pread(void)
{
    return pread(data_fd, buffer, sizeof(buffer), 0);
}

static long do_write(void)
{
    return write(data_fd, buffer, sizeof(buffer));
}

static long do_pwrite(void)
{
    return pwrite(data_fd, buffer, sizeof(buffer), 0);
}

static void to_start(void)
{
    NEED(lseek(data_fd, 0, SEEK_SET));
}

#define MANY_PARTS 40
static struct iovec parts[MANY_PARTS];
static void make_parts(void)
{
    fill_data();
    for (int i = 0; i < MANY_PARTS; i++) {
        parts[i] = (struct iovec){buffer, 10};
    }
    to_start();
}

static long do_readv(void)
{
    return readv(data_fd, parts, MANY_PARTS);
}

static long do_writev(void)
{
    return writev(data_fd, parts, MANY_PARTS);
}

static void open_proc_maps(void)
{
    fd = (int)NEED(open("/proc/self/maps", O_RDONLY));
}

static long read_fd(void)
{
    return read(fd, buffer, sizeof(buffer));
}

static long do_fsync(void)
{
    return fsync(data_fd);
}

static long do_fdatasync(void)
{
    return fdatasync(data_fd);
}

static long do_sync(void)
{
    sync();
    return 0;
}

// A failed write-back leaves its pages dirty: the next one must be able to clean them.
static void sync_and_empty(long result)
{
    NEED(fsync(data_fd));
    empty_data(result);
}

static void fill_sparse(void)
{
    for (long at = 0; at < 32; at++) {
        NEED(pwrite(data_fd, buffer, 1, at * 64 * PAGE));
    }
}

static long shorten(void)
{
    return ftruncate(data_fd, 5);
}

static long do_fallocate(void)
{
    long result = fallocate(data_fd, 0, 0, 16 * PAGE);
    if (result == -1 && errno == EOPNOTSUPP) {
        return 0; // ext2, as on Linux
    }
    return result;
}

static void open_out(void)
{
    rewind_data();
    fd = (int)NEED(open("out", O_RDWR | O_CREAT, 0600));
}

static void remove_out(long result)
{
    close_fd(result);
    NEED(unlink("out"));
    empty_data(result);
}

static long do_sendfile(void)
{
    return sendfile(fd, data_fd, NULL, sizeof(buffer));
}

static void open_proc(void)
{
    fd = (int)NEED(open("/proc", O_RDONLY));
}

static void open_here(void)
{
    fd = (int)NEED(open(".", O_RDONLY));
}

static long do_getdents(void)
{
    return syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
}

static long do_fchmod(void)
{
    return fchmod(data_fd, 0600);
}

static long do_fchown(void)
{
    return fchown(data_fd, 0, 0);
}

// --- names

static long do_open(void)
{
    return open("/etc/../etc/passwd", O_RDONLY);
}

static long do_create(void)
{
    return openat(AT_FDCWD, "new", O_RDWR | O_CREAT, 0600);
}

static void remove_new(long result)
{
    close_result(result);
    unlink("new");
}

static struct stat st;
static long do_stat(void)
{
    return syscall(SYS_stat, "/etc/../etc/passwd", &st);
}

static long do_lstat(void)
{
    return syscall(SYS_lstat, "/etc/passwd", &st);
}

static long do_newfstatat(void)
{
    return syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &st, 0);
}

static long do_statx(void)
{
    static char answer[256];
    return syscall(SYS_statx, AT_FDCWD, "/etc/passwd", 0, 0x17ff, answer);
}

static long do_statfs(void)
{
    struct statfs s;
    return statfs(".", &s);
}

static long do_access(void)
{
    return access("/etc/passwd", R_OK);
}

static void make_link(void)
{
    NEED(symlink("/somewhere/far/away", "l"));
}

static void remove_link(long result)
{
    (void)result;
    unlink("l");
}

static long do_symlink(void)
{
    return symlink("/somewhere/far/away", "l");
}

static long long_symlink(void)
{
    static char target[1000];
    memset(target, 'x', sizeof(target) - 1);
    return symlink(target, "l");
}

static long do_readlink(void)
{
    return readlink("l", buffer, sizeof(buffer));
}

static long readlink_proc(void)
{
    return readlink("/proc/self/exe", buffer, sizeof(buffer));
}

static void make_file(void)
{
    close((int)NEED(open("a", O_CREAT | O_RDWR, 0600)));
}

static void remove_files(long result)
{
    (void)result;
    unlink("a");
    unlink("b");
}

static long do_rename(void)
{
    return rename("a", "b");
}

static long do_link(void)
{
    return link("a", "b");
}

static long do_unlink(void)
{
    return unlink("a");
}

static long do_mkdir(void)
{
    return mkdir("d", 0700);
}

static void make_dir(void)
{
    NEED(mkdir("d", 0700));
}

static void remove_dir(long result)
{
    (void)result;
    rmdir("d");
}

static long do_rmdir(void)
{
    return rmdir("d");
}

static long do_mknod(void)
{
    return mknodat(AT_FDCWD, "a", S_IFIFO | 0600, 0);
}

static long do_chmod(void)
{
    return chmod("data", 0600);
}

static long do_chown(void)
{
    return chown("data", 0, 0);
}

static long do_utimensat(void)
{
    return utimensat(AT_FDCWD, "data", NULL, 0);
}

static long do_getcwd(void)
{
    return syscall(SYS_getcwd, buffer, sizeof(buffer));
}

static long do_chdir(void)
{
    return chdir(".");
}

static long do_mount(void)
{
    return mount("none", "d", "tmpfs", 0, "size=64k");
}

static void unmount_dir(long result)
{
    if (result == 0) {
        NEED(umount2("d", 0));
    }
    remove_dir(result);
}

static void mount_dir(void)
{
    make_dir();
    NEED(do_mount());
}

static long do_umount(void)
{
    return umount2("d", 0);
}

static void unmounted_dir(long result)
{
    if (result == -1) {
        NEED(umount2("d", 0));
    }
    remove_dir(result);
}

// --- descriptors, pipes, waiting

static long do_pipe(void)
{
    return syscall(SYS_pipe, fds);
}

static long do_pipe2(void)
{
    return pipe2(fds, O_CLOEXEC);
}

static void close_pipe(long result)
{
    if (result >= 0) {
        close(fds[0]);
        close(fds[1]);
    }
}

static void open_pipe(void)
{
    NEED(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
}

static void end_pipe(long result)
{
    (void)result;
    close_pipe(0);
}

static long write_pipe(void)
{
    return write(fds[1], buffer, 3 * PAGE);
}

static void fill_pipe(void)
{
    open_pipe();
    NEED(write_pipe());
}

static long read_pipe(void)
{
    return read(fds[0], buffer, sizeof(buffer));
}

static long resize_pipe(void)
{
    return fcntl(fds[0], F_SETPIPE_SZ, 1 << 18);
}

static long lock_record(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    return fcntl(data_fd, F_SETLK, &l);
}

static void lock_all(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    NEED(fcntl(data_fd, F_SETLK, &l));
}

static long unlock_middle(void)
{
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    return fcntl(data_fd, F_SETLK, &l);
}

static void unlock_all(long result)
{
    (void)result;
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    NEED(fcntl(data_fd, F_SETLK, &l));
}

static long dup_far(void)
{
    return dup2(1, 700);
}

static long dup_far3(void)
{
    return dup3(1, 700, O_CLOEXEC);
}

static long dup_far_fcntl(void)
{
    return fcntl(1, F_DUPFD, 700);
}

// The first 64 descriptors are taken, which a table has room for without another allocation.
static void fill_table(void)
{
    while ((int)NEED(fcntl(1, F_DUPFD, 0)) < 63) {
    }
}

static long do_dup(void)
{
    return dup(1);
}

#define MANY_FDS 200
static struct pollfd polled[MANY_FDS];
static void make_polled(void)
{
    open_pipe();
    for (int i = 0; i < MANY_FDS; i++) {
        polled[i] = (struct pollfd){.fd = fds[0], .events = POLLIN};
    }
}

static long do_poll(void)
{
    return poll(polled, MANY_FDS, 1);
}

static fd_set wide;
static void make_wide(void)
{
    open_pipe();
    FD_ZERO(&wide);
    for (int i = 300; i < 400; i++) {
        NEED(dup2(fds[0], i));
        FD_SET(i, &wide);
    }
}

static void end_wide(long result)
{
    for (int i = 300; i < 400; i++) {
        close(i);
    }
    end_pipe(result);
}

static long do_select(void)
{
    fd_set set = wide;
    struct timeval t = {0, 1000};
    return syscall(SYS_select, 400, &set, NULL, NULL, &t);
}

static long do_pselect(void)
{
    fd_set set = wide;
    struct timespec t = {0, 1000000};
    return syscall(SYS_pselect6, 400, &set, NULL, NULL, &t, NULL);
}

static long do_epoll_create(void)
{
    return epoll_create1(0);
}

static void make_epoll(void)
{
    fd = (int)NEED(epoll_create1(0));
    open_pipe();
}

static void end_epoll(long result)
{
    end_pipe(result);
    close(fd);
}

static long do_epoll_add(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &event);
}

const struct scenario file_scenarios[] = {
    {.calls = "read", .cold = true, .before = rewind_data, .call = do_read, .after = empty_data},
    {.calls = "read",
     .detail = "maps",
     .before = open_proc_maps,
     .call = read_fd,
     .after = close_fd},
    {.calls = "read",
     .detail = "pipe",
     .none = true,
     .before = fill_pipe,
     .call = read_pipe,
     .after = end_pipe},
    {.calls = "pread64",
     .disk = true,
     .cold = true,
     .before = fill_data,
     .call = do_pread,
     .after = empty_data},
    {.calls = "write", .before = to_start, .call = do_write, .after = empty_data},
    {.calls = "write",
     .detail = "cold",
     .cold = true,
     .before = to_start,
     .call = do_write,
     .after = empty_data},
    {.calls = "write",
     .detail = "pipe",
     .before = open_pipe,
     .call = write_pipe,
     .after = end_pipe},
    {.calls = "pwrite64", .call = do_pwrite, .after = empty_data},
    {.calls = "readv", .before = make_parts, .call = do_readv, .after = empty_data},
    {.calls = "writev", .before = make_parts, .call = do_writev, .after = empty_data},
    {.calls = "fsync",
     .disk = true,
     .before = fill_data,
     .call = do_fsync,
     .after = sync_and_empty},
    {.calls = "fdatasync",
     .disk = true,
     .before = fill_data,
     .call = do_fdatasync,
     .after = sync_and_empty},
    {.calls = "sync", .before = fill_data, .call = do_sync, .after = sync_and_empty},
    {.calls = "ftruncate",
     .disk = true,
     .cold = true,
     .before = fill_sparse,
     .call = shorten,
     .after = empty_data},
    {.calls = "fallocate", .call = do_fallocate, .after = empty_data},
    {.calls = "sendfile", .before = open_out, .call = do_sendfile, .after = remove_out},
    {.calls = "getdents64",
     .none = true,
     .before = open_proc,
     .call = do_getdents,
     .after = close_fd},
    {.calls = "getdents64",
     .detail = "here",
     .disk = true,
     .cold = true,
     .before = open_here,
     .call = do_getdents,
     .after = close_fd},
    {.calls = "fchmod", .none = true, .cold = true, .call = do_fchmod},
    {.calls = "fchown", .none = true, .cold = true, .call = do_fchown},
    {.calls = "open", .cold = true, .call = do_open, .after = close_result},
    {.calls = "openat", .detail = "new", .cold = true, .call = do_create, .after = remove_new},
    {.calls = "stat", .cold = true, .call = do_stat},
    {.calls = "lstat", .cold = true, .call = do_lstat},
    {.calls = "newfstatat", .call = do_newfstatat},
    {.calls = "statx", .call = do_statx},
    {.calls = "statfs", .call = do_statfs},
    {.calls = "access", .cold = true, .call = do_access},
    {.calls = "symlink", .cold = true, .call = do_symlink, .after = remove_link},
    {.calls = "symlink", .detail = "long", .call = long_symlink, .after = remove_link},
    {.calls = "readlink",
     .cold = true,
     .before = make_link,
     .call = do_readlink,
     .after = remove_link},
    {.calls = "readlink", .detail = "/proc/self/exe", .call = readlink_proc},
    {.calls = "rename",
     .cold = true,
     .before = make_file,
     .call = do_rename,
     .after = remove_files},
    {.calls = "link", .cold = true, .before = make_file, .call = do_link, .after = remove_files},
    {.calls = "unlink",
     .cold = true,
     .before = make_file,
     .call = do_unlink,
     .after = remove_files},
    {.calls = "mkdir", .cold = true, .call = do_mkdir, .after = remove_dir},
    {.calls = "rmdir", .cold = true, .before = make_dir, .call = do_rmdir, .after = remove_dir},
    {.calls = "mknodat", .cold = true, .call = do_mknod, .after = remove_files},
    {.calls = "chmod", .cold = true, .call = do_chmod},
    {.calls = "chown", .cold = true, .call = do_chown},
    {.calls = "utimensat", .cold = true, .call = do_utimensat},
    {.calls = "getcwd", .call = do_getcwd},
    {.calls = "chdir", .call = do_chdir},
    {.calls = "mount", .before = make_dir, .call = do_mount, .after = unmount_dir},
    {.calls = "umount2", .before = mount_dir, .call = do_umount, .after = unmounted_dir},
    {.calls = "pipe", .call = do_pipe, .after = close_pipe},
    {.calls = "pipe2", .call = do_pipe2, .after = close_pipe},
    {.calls = "fcntl",
     .detail = "SETPIPE_SZ",
     .before = open_pipe,
     .call = resize_pipe,
     .after = end_pipe},
    {.calls = "fcntl",
     .detail = "SETLK",
     .tolerated = ENOLCK,
     .call = lock_record,
     .after = unlock_all},
    {.calls = "fcntl",
     .detail = "SETLK splits",
     .tolerated = ENOLCK,
     .before = lock_all,
     .call = unlock_middle,
     .after = unlock_all},
    {.calls = "fcntl", .detail = "DUPFD", .child = true, .call = dup_far_fcntl},
    {.calls = "dup", .child = true, .before = fill_table, .call = do_dup},
    {.calls = "dup2", .child = true, .call = dup_far},
    {.calls = "dup3", .child = true, .call = dup_far3},
    {.calls = "poll", .before = make_polled, .call = do_poll, .after = end_pipe},
    {.calls = "select", .before = make_wide, .call = do_select, .after = end_wide},
    {.calls = "pselect6", .before = make_wide, .call = do_pselect, .after = end_wide},
    {.calls = "epoll_create1", .call = do_epoll_create, .after = close_result},
    {.calls = "epoll_ctl", .before = make_epoll, .call = do_epoll_add, .after = end_epoll},
    {.calls = NULL},
};
