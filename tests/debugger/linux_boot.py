# SPDX-License-Identifier: MIT
"""Debian's kernel with an initramfs whose /init is a test's own, and the same files as a folder for the host."""
import os
import pathlib
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import debian_kernels as debian  # noqa: E402

APPEND = "console=ttyS0 quiet"
NAMES = ("sh", "cat", "echo", "ls", "mount", "poweroff", "uname", "true", "ps", "sleep", "wc", "mkdir")


def kernel(flavour="cloud-amd64"):
    return debian.fetch(flavour).image


def rows(init):
    """Name, mode, contents; a symbolic link's are its target."""
    busybox = debian.BUSYBOX.read_bytes()
    return [*((name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "dev", "proc", "sys", "root", "tmp")),
            ("dev/console", stat.S_IFCHR | 0o600, (5, 1)), ("dev/null", stat.S_IFCHR | 0o666, (1, 3)),
            ("bin/busybox", stat.S_IFREG | 0o755, busybox), ("init", stat.S_IFREG | 0o755, init.encode()),
            *((f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox") for name in NAMES)]


def initramfs(path, init):
    pathlib.Path(path).write_bytes(debian.cpio(rows(init)))


def folder(path, init):
    for name, mode, content in rows(init):
        target = pathlib.Path(path) / name
        if stat.S_ISDIR(mode):
            target.mkdir(parents=True)
        elif stat.S_ISLNK(mode):
            target.symlink_to(content.decode())
        elif stat.S_ISCHR(mode):
            os.mknod(target, mode, os.makedev(*content))
        else:
            target.write_bytes(content)
            target.chmod(mode & 0o777)


def machine(initrd):
    return ["--kernel", kernel(), "--initrd", initrd, "--append", APPEND]
