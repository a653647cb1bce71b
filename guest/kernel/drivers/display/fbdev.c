// SPDX-License-Identifier: MIT
// /dev/fb0: the display's memory and modes for programs, as Linux's fbdev (its fb.h; fb(4)); what
// /proc/fb and /sys/class/graphics/fb0 say of it.
#include "abi/errno.h"
#include "abi/fb.h"
#include "arch/x86_64/uaccess.h"
#include "drivers/display/display.h"
#include "fs/fs.h"
#include "fs/seq_file.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "sched/timer.h"
#include "tty/vt.h"

#define FB_MAJOR 29
#define REFRESH_HZ 60
#define DOTS_PER_MM 4 // some size has to be told

static struct display *display;
static atomic_t users;

bool fbdev_in_use(void)
{
    return atomic_read(&users) != 0;
}

static int fb_open(struct inode *i, struct file *f)
{
    (void)i, (void)f;
    int err = display_activate(display);
    if (err)
        return err;
    if (atomic_add_return(1, &users) == 1)
        vt_stop_panning();
    return 0;
}

static int fb_release(struct inode *i, struct file *f)
{
    (void)i, (void)f;
    atomic_dec(&users);
    return 0;
}

// --- memory

static ssize_t fb_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    (void)f;
    if (*pos < 0 || (size_t)*pos >= display->memory_size)
        return 0;
    size_t n = min(iov_iter_count(to), display->memory_size - (size_t)*pos);
    size_t done = copy_to_iter(display->pixels + *pos, n, to);
    *pos += (loff_t)done;
    return done || !n ? (ssize_t)done : -EFAULT;
}

static ssize_t fb_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    (void)f;
    if (*pos < 0 || (size_t)*pos > display->memory_size)
        return -EFBIG;
    size_t want = iov_iter_count(from), n = min(want, display->memory_size - (size_t)*pos);
    if (want && !n)
        return -ENOSPC;
    size_t done = copy_from_iter(display->pixels + *pos, n, from);
    *pos += (loff_t)done;
    return done || !n ? (ssize_t)done : -EFAULT;
}

static loff_t fb_llseek(struct file *f, loff_t off, int whence)
{
    loff_t base = whence == SEEK_CUR   ? f->f_pos
                  : whence == SEEK_END ? (loff_t)display->memory_size
                                       : 0;
    if (whence > SEEK_END || base + off < 0)
        return -EINVAL;
    return f->f_pos = base + off;
}

static vm_fault_t fb_fault(struct vm_fault *vmf)
{
    return vm_map_device(vmf, display->memory >> PAGE_SHIFT);
}

static const struct vm_operations_struct fb_vm_ops = {.fault = fb_fault};

// Shared mappings only: a private page of device memory has no use.
static int fb_mmap(struct file *f, struct vm_area_struct *vma)
{
    (void)f;
    u64 pages = (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
    u64 have = display->memory_size >> PAGE_SHIFT;
    if (vma->vm_pgoff > have || pages > have - vma->vm_pgoff)
        return -EINVAL;
    if (!(vma->vm_flags & VM_SHARED))
        return -EINVAL;
    vma->vm_flags |= VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
    vma->vm_ops = &fb_vm_ops;
    return 0;
}

// --- modes

static struct linux_fb_var_screeninfo variable_info(void)
{
    const struct display *d = display;
    return (struct linux_fb_var_screeninfo){
        .xres = d->width,
        .yres = d->height,
        .xres_virtual = d->width,
        .yres_virtual = d->virtual_height,
        .yoffset = d->pan_y,
        .bits_per_pixel = 32,
        .red = {16, 8, 0},
        .green = {8, 8, 0},
        .blue = {0, 8, 0},
        .width = d->width / DOTS_PER_MM,
        .height = d->height / DOTS_PER_MM,
        .pixclock = (u32)(1000000000000UL / ((u64)d->width * d->height * REFRESH_HZ)), // ps
    };
}

static long get_fixed(void __user *p)
{
    struct linux_fb_fix_screeninfo fix = {
        .smem_start = display->memory,
        .smem_len = (u32)display->memory_size,
        .type = FB_TYPE_PACKED_PIXELS,
        .visual = FB_VISUAL_TRUECOLOR,
        .ypanstep = 1,
        .line_length = (u32)display->pitch,
    };
    kstrlcpy(fix.id, display->name, sizeof(fix.id));
    return copy_to_user(p, &fix, sizeof(fix)) ? -EFAULT : 0;
}

// What is not possible is rounded to what is, if it is nearby, as Linux's drivers do.
static long put_variable(void __user *p)
{
    struct linux_fb_var_screeninfo var;
    if (copy_from_user(&var, p, sizeof(var)))
        return -EFAULT;
    unsigned width = ALIGN_UP(var.xres, 8u), height = var.yres;
    if (var.bits_per_pixel > 32 || var.xoffset || width < var.xres)
        return -EINVAL;
    int err = 0;
    bool test = (var.activate & FB_ACTIVATE_MASK) == FB_ACTIVATE_TEST;
    if (test)
        err = display_mode_possible(display, width, height) ? 0 : -EINVAL;
    else if (width != display->width || height != display->height)
        err = display_set_mode(display, width, height);
    if (!err && !test)
        err = display_pan(display, var.yoffset);
    if (err)
        return err;
    struct linux_fb_var_screeninfo now = variable_info();
    if (test) {
        now.xres = now.xres_virtual = width;
        now.yres = height;
    }
    now.activate = var.activate;
    return copy_to_user(p, &now, sizeof(now)) ? -EFAULT : 0;
}

static long get_variable(void __user *p)
{
    struct linux_fb_var_screeninfo var = variable_info();
    return copy_to_user(p, &var, sizeof(var)) ? -EFAULT : 0;
}

static long pan(void __user *p)
{
    struct linux_fb_var_screeninfo var;
    if (copy_from_user(&var, p, sizeof(var)))
        return -EFAULT;
    if (var.xoffset)
        return -EINVAL;
    int err = display_pan(display, var.yoffset);
    return err ? err : get_variable(p);
}

// There is no interrupt for it: a picture begins every 60th of a second of the monotonic clock.
static long wait_for_vsync(void)
{
    u64 period = NSEC_PER_SEC / REFRESH_HZ;
    set_current_state(TASK_INTERRUPTIBLE);
    schedule_deadline((ktime_get() / period + 1) * period);
    return signal_pending(current) ? -ERESTARTSYS : 0;
}

static long fb_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    (void)f;
    void __user *p = (void *)arg;
    switch (cmd) {
    case FBIOGET_VSCREENINFO:
        return get_variable(p);
    case FBIOPUT_VSCREENINFO:
        return put_variable(p);
    case FBIOGET_FSCREENINFO:
        return get_fixed(p);
    case FBIOPAN_DISPLAY:
        return pan(p);
    case FBIOBLANK:
        if (arg > FB_BLANK_POWERDOWN)
            return -EINVAL;
        display_blank(display, arg != FB_BLANK_UNBLANK);
        return 0;
    case FBIO_WAITFORVSYNC:
        return wait_for_vsync();
    default:
        return -ENOTTY;
    }
}

static const struct file_operations fb_fops = {
    .open = fb_open,
    .release = fb_release,
    .read = fb_read,
    .write = fb_write,
    .llseek = fb_llseek,
    .mmap = fb_mmap,
    .ioctl = fb_ioctl,
};

// --- /proc/fb, /sys/class/graphics/fb0

static int show_proc(struct seq_file *m, void *v)
{
    (void)v;
    seq_printf(m, "0 %s\n", display->name);
    return 0;
}

enum { NAME, MODES, SIZE, BITS, STRIDE, PAN, DEV };

static int show_attribute(struct seq_file *m, void *v)
{
    (void)v;
    const struct display *d = display;
    switch ((u64)m->private) {
    case NAME:
        seq_printf(m, "%s\n", d->name);
        break;
    case MODES:
        seq_printf(m, "U:%ux%up-%u\n", d->width, d->height, REFRESH_HZ);
        break;
    case SIZE:
        seq_printf(m, "%u,%u\n", d->width, d->virtual_height);
        break;
    case BITS:
        seq_printf(m, "32\n");
        break;
    case STRIDE:
        seq_printf(m, "%lu\n", d->pitch);
        break;
    case PAN:
        seq_printf(m, "0,%u\n", d->pan_y);
        break;
    case DEV:
        seq_printf(m, "%u:0\n", FB_MAJOR);
        break;
    }
    return 0;
}

#define SYSFS "class/graphics/fb0/"

static int add_attributes(void)
{
    static const struct {
        const char *path;
        u64 which;
    } files[] = {{SYSFS "name", NAME},
                 {SYSFS "modes", MODES},
                 {SYSFS "virtual_size", SIZE},
                 {SYSFS "bits_per_pixel", BITS},
                 {SYSFS "stride", STRIDE},
                 {SYSFS "pan", PAN},
                 {SYSFS "dev", DEV}};
    int err = 0;
    for (unsigned i = 0; !err && i < ARRAY_SIZE(files); i++)
        err = sysfs_register(files[i].path, show_attribute, (void *)files[i].which);
    return err;
}

int fbdev_register(struct display *d)
{
    display = d;
    dev_t dev = MKDEV(FB_MAJOR, 0);
    int err = register_chrdev(dev, 1, "fb", &fb_fops);
    if (!err)
        err = devtmpfs_create("fb0", S_IFCHR | 0660, dev);
    if (!err)
        err = proc_register("fb", 0444, show_proc, NULL, NULL);
    return err ? err : add_attributes();
}
