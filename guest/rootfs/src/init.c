// SPDX-License-Identifier: MIT
// /init: process 1 of the bundled guest. Mounts what a shell expects, runs a shell on the console
// or the command that viv run --exec gave, reaps orphans, and takes the machine down in order.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define CHOSEN "/proc/device-tree/chosen/"
#define SERIAL_LINE "/dev/ttyS0"
#define TERMINALS 4 // tty1 to tty4, on the display
#define RESTART_SECONDS 2
#define SERIAL_WAIT_MS 50

static volatile sig_atomic_t wanted_reboot_cmd; // set by busybox's halt, poweroff, reboot

static void complain(const char *what)
{
    fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
}

static void on_request(int sig)
{
    wanted_reboot_cmd = sig == SIGUSR1   ? RB_HALT_SYSTEM
                        : sig == SIGUSR2 ? RB_POWER_OFF
                                         : RB_AUTOBOOT;
}

// Only so that a child's end interrupts poll().
static void on_child(int sig)
{
    (void)sig;
}

static void handle(int sig, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(sig, &action, NULL);
}

static void mount_at(const char *type, const char *where, unsigned long flags, const char *data)
{
    if (mount(type, where, type, flags, data) < 0 && errno != EBUSY) {
        complain(where);
    }
}

// The whole of a property file, NUL-terminated, or NULL if the property does not exist.
static char *read_property(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), CHOSEN "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    size_t size = 0, room = 256;
    char *text = malloc(room);
    for (ssize_t n; text && (n = read(fd, text + size, room - size - 1)) > 0;) {
        size += (size_t)n;
        if (size + 1 == room) {
            text = realloc(text, room *= 2);
        }
    }
    close(fd);
    if (text) {
        text[size] = '\0';
    }
    return text;
}

static void set_hostname(void)
{
    char name[65] = "";
    int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
    if (fd >= 0) {
        close(fd);
    }
    if (n > 0) {
        name[strcspn(name, "\n")] = '\0';
        sethostname(name, strlen(name));
    }
}

// Ends everything, writes everything, then tells the machine. status < 0: by the reboot command
// only.
static _Noreturn void shut_down(int reboot_cmd, int status)
{
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    kill(-1, SIGTERM);
    kill(-1, SIGCONT);
    for (int i = 0; i < 10; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        if (kill(-1, 0) < 0 && errno == ESRCH) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    sync();
    umount2("/tmp", MNT_DETACH);
    mount("", "/", "", MS_REMOUNT | MS_RDONLY, NULL);
    if (status >= 0) {
        int fd = open("/dev/debug-exit", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            dprintf(fd, "%d\n", status);
        }
    }
    reboot(reboot_cmd);
    for (;;) {
        pause.tv_sec = 3600;
        nanosleep(&pause, NULL);
    }
}

static int exit_status_of(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static void set_window_size(int fd)
{
    char *text = read_property("viv,console-size");
    unsigned rows = 24, cols = 80;
    if (text) {
        sscanf(text, "%ux%u", &cols, &rows);
        free(text);
    }
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
    ioctl(fd, TIOCSWINSZ, &size);
}

// The end of the host's input is carrier loss: without CLOCAL it ends the shell's input.
static void follow_carrier(int fd)
{
    struct termios t;
    if (tcgetattr(fd, &t) == 0) {
        t.c_cflag &= ~(tcflag_t)CLOCAL;
        tcsetattr(fd, TCSANOW, &t);
    }
}

static void become_session_on(int fd)
{
    setsid();
    ioctl(fd, TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++) {
        dup2(fd, i);
    }
    if (fd > 2) {
        close(fd);
    }
    if (chdir("/root") < 0) {
        complain("/root");
    }
}

// A session of its own on the serial line.
static pid_t start_on_serial_line(char *const argv[])
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    int fd = open(SERIAL_LINE, O_RDWR | O_NOCTTY);
    if (fd < 0) {
        complain(SERIAL_LINE);
        _exit(126);
    }
    set_window_size(fd);
    follow_carrier(fd);
    become_session_on(fd);
    execv(argv[0], argv);
    complain(argv[0]);
    _exit(127);
}

static int open_raw(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios t;
    if (fd < 0 || tcgetattr(fd, &t) < 0) {
        complain(path);
        return -1;
    }
    cfmakeraw(&t);
    t.c_cflag |= CREAD | CRTSCTS;
    t.c_cflag &= ~(tcflag_t)CLOCAL;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tcsetattr(fd, TCSANOW, &t);
    return fd;
}

static void write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        bytes += n;
        size -= (size_t)n;
    }
}

struct pump {
    int from, to;
    bool to_child; // the last byte is the child's end of file: close both ends
};

// Moves what is there; on end of file closes the pump. The child's pipe never blocks us: the caller
// polled POLLOUT.
static void pump_once(struct pump *p)
{
    static char buffer[4096];
    ssize_t n = read(p->from, buffer, sizeof(buffer));
    if (n > 0) {
        write_all(p->to, buffer, (size_t)n);
        return;
    }
    if (n < 0 && errno == EINTR) {
        return;
    }
    if (p->to_child) {
        close(p->to);
    } else {
        close(p->from);
    }
    p->from = -1;
}

// Polls the three streams until both outputs have ended or the command has, whichever comes first,
// and drains.
static void pump_streams(struct pump pumps[3], pid_t command, int *status)
{
    bool ended = false;
    for (;;) {
        struct pollfd fds[3];
        for (int i = 0; i < 3; i++) {
            fds[i] = (struct pollfd){.fd = pumps[i].from, .events = POLLIN};
        }
        // Input waits until the command's pipe has room: an unread pipe must not block its output.
        struct pollfd room = {.fd = pumps[0].to, .events = POLLOUT};
        if (pumps[0].from >= 0) {
            int ready = poll(&room, 1, 0);
            if (ready > 0 && (room.revents & (POLLERR | POLLHUP))) {
                close(pumps[0].to);
                pumps[0].from = -1;
            }
            fds[0].fd = ready > 0 && (room.revents & POLLOUT) ? pumps[0].from : -1;
        }
        bool input_waits = pumps[0].from >= 0 && fds[0].fd < 0;
        bool had_ended = ended; // only what is polled after the end is the last of the output
        int n = poll(fds, 3, ended ? 0 : input_waits ? 5 : 1000);
        for (int i = 0; n > 0 && i < 3; i++) {
            if (fds[i].fd >= 0 && fds[i].revents) {
                pump_once(&pumps[i]);
            }
        }
        int wait_status;
        for (pid_t pid; !ended && (pid = waitpid(-1, &wait_status, WNOHANG)) > 0;) {
            if (pid == command) {
                *status = exit_status_of(wait_status);
                ended = true;
            }
        }
        bool outputs_idle = n == 0 || (n > 0 && !fds[1].revents && !fds[2].revents);
        if (had_ended && outputs_idle) {
            return;
        }
    }
}

static int run_on_pipes(const char *command)
{
    int in[2], out[2], err[2];
    int main_port = open_raw("/dev/ttyS0"), error_port = open_raw("/dev/ttyS1");
    if (main_port < 0 || error_port < 0 || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
        pipe2(err, O_CLOEXEC) < 0) {
        complain("--exec");
        return 126;
    }
    pid_t pid = fork();
    if (pid < 0) {
        complain("fork");
        return 126;
    }
    if (pid == 0) {
        setsid();
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        complain("/bin/sh");
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    signal(SIGPIPE, SIG_IGN);
    struct pump pumps[3] = {
        {main_port, in[1], true}, {out[0], main_port, false}, {err[0], error_port, false}};
    int status = 126;
    pump_streams(pumps, pid, &status);
    tcdrain(main_port);
    tcdrain(error_port);
    return status;
}

// Nobody types there, nor has typed before: the host's input was at its end from the beginning.
static bool is_serial_line_dead(void)
{
    int fd = open(SERIAL_LINE, O_RDWR | O_NOCTTY | O_CLOEXEC), unread = 0;
    if (fd < 0) {
        return true;
    }
    follow_carrier(fd);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    bool dead = poll(&wait, 1, SERIAL_WAIT_MS) == 1 && (wait.revents & POLLHUP) &&
                ioctl(fd, FIONREAD, &unread) == 0 && !unread;
    close(fd);
    return dead;
}

// --- shells on the display, where the kernel was told to use it (console=tty0)

static struct terminal {
    pid_t pid;
    time_t started;
} terminals[TERMINALS];

static bool is_display_wanted(void)
{
    char line[1024] = "", *rest = line;
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    if (fd >= 0) {
        close(fd);
    }
    line[n > 0 ? n : 0] = '\0';
    for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
        if (strcmp(word, "console=tty0") == 0) {
            return access("/dev/tty1", F_OK) == 0;
        }
    }
    return false;
}

// A login shell; from the second terminal on, when Enter has been pressed there.
static _Noreturn void run_terminal(int number)
{
    char path[16], line[64];
    snprintf(path, sizeof(path), "/dev/tty%d", number);
    int fd = open(path, O_RDWR | O_NOCTTY);
    if (fd < 0) {
        complain(path);
        _exit(126);
    }
    become_session_on(fd);
    if (number > 1) {
        printf("tty%d: press Enter for a shell\n", number);
        fflush(stdout);
        if (read(0, line, sizeof(line)) <= 0) {
            _exit(0);
        }
    }
    setenv("TERM", "linux", 1);
    execl("/bin/sh", "-sh", (char *)NULL);
    complain("/bin/sh");
    _exit(127);
}

static void start_terminal(int i)
{
    bool too_soon = terminals[i].started && time(NULL) - terminals[i].started < RESTART_SECONDS;
    terminals[i].started = time(NULL);
    terminals[i].pid = fork();
    if (terminals[i].pid == 0) {
        if (too_soon) {
            sleep(RESTART_SECONDS);
        }
        run_terminal(i + 1);
    }
}

static void restart_terminal_of(pid_t pid)
{
    for (int i = 0; i < TERMINALS; i++) {
        if (pid > 0 && terminals[i].pid == pid) {
            start_terminal(i);
        }
    }
}

// Waits for one child of ours while reaping everybody else's orphans.
static int wait_for(pid_t pid)
{
    for (;;) {
        int status;
        pid_t who = waitpid(-1, &status, 0);
        if (who == pid) {
            return exit_status_of(status);
        }
        restart_terminal_of(who);
        if (wanted_reboot_cmd) {
            shut_down(wanted_reboot_cmd, wanted_reboot_cmd == RB_AUTOBOOT ? -1 : 0);
        }
        if (who < 0 && errno == ECHILD) {
            return 126;
        }
    }
}

int main(void)
{
    mount_at("proc", "/proc", 0, NULL);
    mount_at("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("devtmpfs", "/dev", 0, NULL);
    mount_at("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
    set_hostname();
    handle(SIGUSR1, on_request);
    handle(SIGUSR2, on_request);
    handle(SIGTERM, on_request);
    handle(SIGINT, on_request);
    handle(SIGCHLD, on_child);
    reboot(RB_DISABLE_CAD); // Ctrl-Alt-Del is to be a SIGINT to this process
    setenv("PATH", "/usr/local/bin:/bin:/sbin:/usr/bin:/usr/sbin", 1);
    setenv("HOME", "/root", 1);
    setenv("USER", "root", 1);
    char *term = read_property("viv,term");
    setenv("TERM", term && *term ? term : "linux", 1);
    if (chdir("/") < 0) {
        complain("/");
    }

    char *command = read_property("viv,exec");
    int status;
    bool display = !command && is_display_wanted();
    for (int i = 0; display && i < TERMINALS; i++) {
        start_terminal(i);
    }
    if (display && is_serial_line_dead()) {
        status = wait_for(0); // who sits at the display decides
    } else if (!command) {
        char *shell[] = {"/bin/sh", "-l", NULL};
        status = wait_for(start_on_serial_line(shell));
    } else if (access(CHOSEN "viv,exec-tty", F_OK) == 0) {
        char *shell[] = {"/bin/sh", "-c", command, NULL};
        status = wait_for(start_on_serial_line(shell));
    } else {
        status = run_on_pipes(command);
    }
    shut_down(RB_POWER_OFF, command ? status : 0);
}
