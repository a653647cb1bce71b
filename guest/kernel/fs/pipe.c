// SPDX-License-Identifier: MIT
// Pipes and FIFOs (pipe(7)): a ring of pages; writes up to a page are atomic.
#include "fs/pipe.h"

#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "fs/poll.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

#define DEFAULT_SLOTS 16U
#define FIONREAD 0x541B

struct pipe_slot {
    struct page *page;
    unsigned offset, len;
    bool packet; // O_DIRECT: one write, one read
};
struct pipe_inode_info {
    struct mutex lock;
    wait_queue_head_t read_wait, write_wait;
    unsigned head, tail, slots_max;   // slots [tail, head) are full; slots_max is a power of two
    unsigned readers, writers, files; // files: lock of the inode
    unsigned reader_opens, writer_opens;
    struct page *spare[2];
    struct pipe_slot *slots;
};
unsigned pipe_max_size = 1U << 20; // /proc/sys/fs/pipe-max-size

static bool is_empty(const struct pipe_inode_info *p)
{
    return READ_ONCE(p->head) == READ_ONCE(p->tail);
}

static bool is_full(const struct pipe_inode_info *p)
{
    return READ_ONCE(p->head) - READ_ONCE(p->tail) >= READ_ONCE(p->slots_max);
}

static struct pipe_slot *slot(struct pipe_inode_info *p, unsigned n)
{
    return &p->slots[n & (p->slots_max - 1)];
}

static struct pipe_inode_info *pipe_alloc(void)
{
    struct pipe_inode_info *p = kzalloc(sizeof(*p), GFP_KERNEL);
    if (!p) {
        return NULL;
    }
    p->slots = kcalloc(DEFAULT_SLOTS, sizeof(*p->slots), GFP_KERNEL);
    if (!p->slots) {
        kfree(p);
        return NULL;
    }
    p->slots_max = DEFAULT_SLOTS;
    mutex_init(&p->lock);
    init_waitqueue_head(&p->read_wait);
    init_waitqueue_head(&p->write_wait);
    return p;
}

static void pipe_free(struct pipe_inode_info *p)
{
    for (; p->tail != p->head; p->tail++) {
        put_page(slot(p, p->tail)->page);
    }
    for (int k = 0; k < 2; k++) {
        if (p->spare[k]) {
            put_page(p->spare[k]);
        }
    }
    kfree(p->slots);
    kfree(p);
}

static struct page *take_page(struct pipe_inode_info *p)
{
    for (int k = 0; k < 2; k++) {
        if (p->spare[k]) {
            struct page *page = p->spare[k];
            p->spare[k] = NULL;
            return page;
        }
    }
    return alloc_page(GFP_KERNEL);
}

static void give_page(struct pipe_inode_info *p, struct page *page)
{
    for (int k = 0; k < 2; k++) {
        if (!p->spare[k]) {
            p->spare[k] = page;
            return;
        }
    }
    put_page(page);
}

static void wake_readers(struct pipe_inode_info *p)
{
    if (waitqueue_active(&p->read_wait)) {
        __wake_up(&p->read_wait, TASK_INTERRUPTIBLE, 0, (void *)(u64)(POLLIN | POLLRDNORM));
    }
}

static void wake_writers(struct pipe_inode_info *p)
{
    if (waitqueue_active(&p->write_wait)) {
        __wake_up(&p->write_wait, TASK_INTERRUPTIBLE, 0, (void *)(u64)(POLLOUT | POLLWRNORM));
    }
}

// Takes what is there, without waiting. Lock held. *error: a fault.
static size_t drain(struct pipe_inode_info *p, struct iov_iter *to, int *error)
{
    size_t done = 0;
    while (!is_empty(p) && iov_iter_count(to)) {
        struct pipe_slot *s = slot(p, p->tail);
        size_t want = min((size_t)s->len, iov_iter_count(to));
        size_t got = copy_page_to_iter(s->page, s->offset, want, to);
        done += got;
        s->offset += (unsigned)got;
        s->len -= (unsigned)got;
        if (got < want) {
            *error = -EFAULT;
            break;
        }
        bool packet = s->packet;
        if (packet) {
            s->len = 0;
        }
        if (!s->len) {
            give_page(p, s->page);
            s->page = NULL;
            WRITE_ONCE(p->tail, p->tail + 1);
        }
        if (packet) {
            break;
        }
    }
    return done;
}

static ssize_t pipe_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct pipe_inode_info *p = f->private_data;
    int error = 0;
    if (!iov_iter_count(to)) {
        return 0;
    }
    mutex_lock(&p->lock);
    for (;;) {
        bool was_full = is_full(p);
        size_t n = drain(p, to, &error);
        bool room = was_full && !is_full(p);
        if (n || error || !p->writers || (f->f_flags & O_NONBLOCK)) {
            if (!n && !error && p->writers) {
                error = -EAGAIN;
            }
            mutex_unlock(&p->lock);
            if (room || n) {
                wake_writers(p);
            }
            return n ? (ssize_t)n : error;
        }
        mutex_unlock(&p->lock);
        error = wait_event_interruptible(p->read_wait, !is_empty(p) || !READ_ONCE(p->writers));
        if (error) {
            return error;
        }
        mutex_lock(&p->lock);
    }
}

// A tail that does not fill a page joins the last slot if all of it fits there. Lock held; bytes,
// or -EFAULT.
static ssize_t merge(struct pipe_inode_info *p, struct iov_iter *from)
{
    size_t tail = iov_iter_count(from) & (PAGE_SIZE - 1);
    if (!tail || is_empty(p)) {
        return 0;
    }
    struct pipe_slot *s = slot(p, p->head - 1);
    unsigned end = s->offset + s->len;
    if (s->packet || end + tail > PAGE_SIZE) {
        return 0;
    }
    size_t got = copy_from_iter((char *)page_address(s->page) + end, tail, from);
    if (got < tail) {
        iov_iter_revert(from, got);
        return -EFAULT;
    }
    s->len += (unsigned)got;
    return (ssize_t)got;
}

// One fresh slot. Lock held, not full. Bytes, -ENOMEM or -EFAULT.
static ssize_t append(struct pipe_inode_info *p, struct iov_iter *from, bool packet)
{
    struct page *page = take_page(p);
    if (!page) {
        return -ENOMEM;
    }
    size_t want = min(iov_iter_count(from), PAGE_SIZE);
    size_t got = copy_from_iter(page_address(page), want, from);
    if (!got) {
        give_page(p, page);
        return -EFAULT;
    }
    *slot(p, p->head) = (struct pipe_slot){page, 0, (unsigned)got, packet};
    WRITE_ONCE(p->head, p->head + 1);
    return (ssize_t)got;
}

static int broken_pipe(void)
{
    send_sig(SIGPIPE, current, 0);
    return -EPIPE;
}

static ssize_t pipe_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    struct pipe_inode_info *p = f->private_data;
    ssize_t done = 0, error = 0;
    if (!iov_iter_count(from)) {
        return 0;
    }
    mutex_lock(&p->lock);
    if (p->readers) {
        done = merge(p, from);
        error = done < 0 ? done : 0;
        done = done < 0 ? 0 : done;
    }
    while (!error && iov_iter_count(from)) {
        if (!p->readers) {
            error = broken_pipe();
        } else if (!is_full(p)) {
            ssize_t n = append(p, from, f->f_flags & O_DIRECT);
            if (n < 0) {
                error = n;
            } else {
                done += n;
            }
        } else if (f->f_flags & O_NONBLOCK) {
            error = -EAGAIN;
        } else {
            mutex_unlock(&p->lock);
            wake_readers(p);
            error = wait_event_interruptible(p->write_wait, !is_full(p) || !READ_ONCE(p->readers));
            mutex_lock(&p->lock);
        }
    }
    mutex_unlock(&p->lock);
    if (done) {
        wake_readers(p);
    }
    return done ? done : error;
}

static poll_t pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe_inode_info *p = f->private_data;
    poll_t mask = 0;
    if (f->f_mode & FMODE_READ) {
        poll_wait(f, &p->read_wait, pt);
    }
    if (f->f_mode & FMODE_WRITE) {
        poll_wait(f, &p->write_wait, pt);
    }
    if (f->f_mode & FMODE_READ) {
        if (!is_empty(p)) {
            mask |= POLLIN | POLLRDNORM;
        }
        // A FIFO whose writer has not come yet is not hung up: f_pos remembers the count at open.
        if (!READ_ONCE(p->writers) && (unsigned)f->f_pos != p->writer_opens) {
            mask |= POLLHUP;
        }
    }
    if (f->f_mode & FMODE_WRITE) {
        if (!is_full(p)) {
            mask |= POLLOUT | POLLWRNORM;
        }
        if (!READ_ONCE(p->readers)) {
            mask |= POLLERR;
        }
    }
    return mask;
}

static long pipe_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct pipe_inode_info *p = f->private_data;
    if (cmd != FIONREAD) {
        return -ENOTTY;
    }
    int count = 0;
    mutex_lock(&p->lock);
    for (unsigned n = p->tail; n != p->head; n++) {
        count += (int)slot(p, n)->len;
    }
    mutex_unlock(&p->lock);
    return put_user(count, (int __user *)arg);
}

static void put_pipe(struct inode *i, struct pipe_inode_info *p)
{
    spin_lock(&i->i_lock);
    bool last = --p->files == 0;
    if (last) {
        i->i_pipe = NULL;
    }
    spin_unlock(&i->i_lock);
    if (last) {
        pipe_free(p);
    }
}

static void leave(struct pipe_inode_info *p, struct file *f)
{
    mutex_lock(&p->lock);
    if (f->f_mode & FMODE_READ) {
        p->readers--;
    }
    if (f->f_mode & FMODE_WRITE) {
        p->writers--;
    }
    bool half_open = !p->readers != !p->writers;
    mutex_unlock(&p->lock);
    if (half_open) {
        __wake_up(&p->read_wait, TASK_INTERRUPTIBLE, 0,
                  (void *)(u64)(POLLIN | POLLRDNORM | POLLERR | POLLHUP));
        __wake_up(&p->write_wait, TASK_INTERRUPTIBLE, 0,
                  (void *)(u64)(POLLOUT | POLLWRNORM | POLLERR | POLLHUP));
    }
}

static int pipe_release(struct inode *i, struct file *f)
{
    struct pipe_inode_info *p = f->private_data;
    leave(p, f);
    put_pipe(i, p);
    return 0;
}

// The inode's pipe with one more file, made if it has none.
static struct pipe_inode_info *get_pipe(struct inode *i)
{
    struct pipe_inode_info *fresh = NULL;
    for (;;) {
        spin_lock(&i->i_lock);
        struct pipe_inode_info *p = i->i_pipe;
        if (!p && fresh) {
            p = i->i_pipe = fresh;
            fresh = NULL;
        }
        if (p) {
            p->files++;
        }
        spin_unlock(&i->i_lock);
        if (p) {
            if (fresh) {
                pipe_free(fresh);
            }
            return p;
        }
        fresh = pipe_alloc();
        if (!fresh) {
            return NULL;
        }
    }
}

// Waits until *count moves; lock held on entry and exit. 0 or -ERESTARTSYS.
static int wait_for_partner(struct pipe_inode_info *p, unsigned *count)
{
    unsigned seen = *count;
    mutex_unlock(&p->lock);
    int error = wait_event_interruptible(p->read_wait, READ_ONCE(*count) != seen);
    mutex_lock(&p->lock);
    return *count != seen ? 0 : error;
}

static int fifo_join(struct pipe_inode_info *p, struct file *f, bool fifo)
{
    bool nonblock = f->f_flags & O_NONBLOCK;
    switch (f->f_mode & (FMODE_READ | FMODE_WRITE)) {
    case FMODE_READ:
        p->reader_opens++;
        if (p->readers++ == 0) {
            wake_up_all(&p->read_wait);
        }
        if (fifo && !p->writers) {
            if (nonblock) {
                f->f_pos = p->writer_opens;
            } else if (wait_for_partner(p, &p->writer_opens)) {
                return -ERESTARTSYS;
            }
        }
        return 0;
    case FMODE_WRITE:
        if (fifo && nonblock && !p->readers) {
            return -ENXIO;
        }
        p->writer_opens++;
        if (p->writers++ == 0) {
            wake_up_all(&p->read_wait);
        }
        if (fifo && !p->readers && wait_for_partner(p, &p->reader_opens)) {
            return -ERESTARTSYS;
        }
        return 0;
    default:
        p->readers++;
        p->writers++;
        p->reader_opens++;
        p->writer_opens++;
        wake_up_all(&p->read_wait);
        return 0;
    }
}

static int fifo_open(struct inode *i, struct file *f)
{
    struct pipe_inode_info *p = get_pipe(i);
    if (!p) {
        return -ENOMEM;
    }
    f->private_data = p;
    f->f_pos = 0;
    mutex_lock(&p->lock);
    int error = fifo_join(p, f, i->i_sb->s_magic != ANON_INODE_FS_MAGIC);
    mutex_unlock(&p->lock);
    if (error == -ERESTARTSYS) {
        leave(p, f); // it had joined
    }
    if (error) {
        put_pipe(i, p);
    }
    return error;
}

const struct file_operations fifo_fops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .open = fifo_open,
    .release = pipe_release,
    .stream = true,
};

int create_pipe_files(struct file *files[2], int flags)
{
    struct path path;
    int error = anon_path("pipe", S_IFIFO | 0600, &path);
    if (error) {
        return error;
    }
    struct inode *i = path.dentry->d_inode;
    struct pipe_inode_info *p = get_pipe(i);
    if (!p) {
        path_put(&path);
        return -ENOMEM;
    }
    i->i_fop = &fifo_fops;
    unsigned more = (unsigned)flags & (O_NONBLOCK | O_DIRECT);
    files[0] = alloc_file(&path, O_RDONLY | (more & O_NONBLOCK), &fifo_fops);
    if (IS_ERR(files[0])) {
        put_pipe(i, p);
        path_put(&path);
        return (int)PTR_ERR(files[0]);
    }
    files[0]->private_data = p;
    p->readers = p->reader_opens = 1;
    files[1] = alloc_file(&path, O_WRONLY | more, &fifo_fops);
    if (IS_ERR(files[1])) {
        error = (int)PTR_ERR(files[1]);
        fput_now(files[0]); // takes path and pipe with it
        return error;
    }
    path_get(&path);
    files[1]->private_data = p;
    p->files++;
    p->writers = p->writer_opens = 1;
    return 0;
}

static long do_pipe(int __user *ufds, int flags)
{
    struct file *files[2];
    int fds[2];
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) {
        return -EINVAL;
    }
    int error = create_pipe_files(files, flags);
    if (error) {
        return error;
    }
    fds[0] = get_unused_fd_flags((unsigned)flags);
    fds[1] = fds[0] < 0 ? fds[0] : get_unused_fd_flags((unsigned)flags);
    error = fds[1] < 0 ? fds[1] : copy_to_user(ufds, fds, sizeof(fds)) ? -EFAULT : 0;
    if (!error) {
        fd_install((unsigned)fds[0], files[0]);
        fd_install((unsigned)fds[1], files[1]);
        return 0;
    }
    if (fds[0] >= 0) {
        put_unused_fd((unsigned)fds[0]);
    }
    if (fds[0] >= 0 && fds[1] >= 0) {
        put_unused_fd((unsigned)fds[1]);
    }
    fput_now(files[0]);
    fput_now(files[1]);
    return error;
}

SYSCALL_DEFINE(pipe)
{
    return do_pipe(ARG_PTR(0), 0);
}
SYSCALL_DEFINE(pipe2)
{
    return do_pipe(ARG_PTR(0), ARG_INT(1));
}

// Lock held.
static long resize(struct pipe_inode_info *p, unsigned long bytes)
{
    unsigned want = 1;
    while ((unsigned long)want * PAGE_SIZE < bytes) {
        want *= 2;
    }
    unsigned used = p->head - p->tail;
    if (want < used) {
        return -EBUSY;
    }
    struct pipe_slot *slots = kcalloc(want, sizeof(*slots), GFP_KERNEL);
    if (!slots) {
        return -ENOMEM;
    }
    for (unsigned n = 0; n < used; n++) {
        slots[n] = *slot(p, p->tail + n);
    }
    kfree(p->slots);
    p->slots = slots;
    p->tail = 0;
    p->head = used;
    p->slots_max = want;
    return (long)want * (long)PAGE_SIZE;
}

long pipe_fcntl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct pipe_inode_info *p = f->private_data;
    if (f->f_op != &fifo_fops) {
        return -EBADF;
    }
    if (cmd == F_GETPIPE_SZ) {
        return (long)p->slots_max * (long)PAGE_SIZE;
    }
    if (!arg || arg > 1UL << 31) {
        return -EINVAL;
    }
    if (arg > pipe_max_size && arg > p->slots_max * PAGE_SIZE && !capable(CAP_SYS_RESOURCE)) {
        return -EPERM;
    }
    mutex_lock(&p->lock);
    long result = resize(p, arg);
    mutex_unlock(&p->lock);
    if (result > 0) {
        wake_writers(p);
    }
    return result;
}
