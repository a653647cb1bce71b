#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: gate all
"""Debian's stock kernels: they boot from their bzImage to a shell and switch off, print the same to the last byte twice, say
nothing at warn level or above that they do not say on QEMU's TCG too, and keep a file system on the AHCI disk."""
import functools
import re
import subprocess
import sys

import debian_kernels
import pictures
import vivtest as t

APPEND = "console=ttyS0 console_msg_format=syslog ignore_loglevel"
SHOW = "echo the banner of init\nuname -a\ncat /proc/cpuinfo /proc/interrupts\n"
DISK_MODULES = ("crc32c_generic", "ahci", "sd_mod", "ext4")


@functools.cache
def kernel(flavour):
    return debian_kernels.fetch(flavour)


def boot(flavour, initrd, *options, append=APPEND):
    result = t.viv("run", "--kernel", kernel(flavour).image, "--initrd", initrd, "--append", append, "--mem", "512M",
                   "--stats", *options, timeout=400)
    text = result.stdout.decode(errors="replace").replace("\r\n", "\n")
    t.expect_equal(result.returncode, 0, f"{flavour} {options}: {text[-3000:]} {result.stderr[-500:]}")
    return text, result


def warnings(text):
    """What came at warn level or above, without times and numbers; the last line of any machine is an emergency."""
    found = re.findall(r"^<(\d+)>\[[^\]]*\] (.*)$", text, re.M)
    lines = {re.sub(r"\d+", "N", line) for level, line in found if int(level) % 8 <= 4}
    return {line for line in lines if "reboot: Power down" not in line}


def on_qemu(flavour, initrd, cpus):
    result = subprocess.run(["qemu-system-x86_64", "-machine", "q35", "-m", "512", "-smp", str(cpus), "-display", "none",
                             "-no-reboot", "-nodefaults", "-serial", "stdio", "-kernel", str(kernel(flavour).image),
                             "-initrd", str(initrd), "-append", APPEND], stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=400)
    return result.stdout.decode(errors="replace").replace("\r\n", "\n")


def check_boot(flavour, cpus):
    with t.Folder() as folder:
        debian_kernels.initramfs(folder / "initramfs", SHOW)
        text, result = boot(flavour, folder / "initramfs", "--smp", str(cpus))
        t.expect("the banner of init\nLinux " in text and "Debian" in text, text[-3000:])
        t.expect_equal(len(re.findall(r"^processor\s*: \d+$", text, re.M)), cpus, "processors in /proc/cpuinfo")
        t.expect(re.search(r"^ *4: .*IO-APIC .*ttyS0$", text, re.M), "the serial port's interrupt")
        figures = t.stats(result)
        print(f"# {flavour} --smp {cpus}: {figures['instructions']} instructions in {figures['wall_seconds']} s")
        ours = warnings(text)
        if ours:
            t.expect_equal(sorted(ours - warnings(on_qemu(flavour, folder / "initramfs", cpus))), [],
                           "lines at warn level that QEMU's boot does not have")


def test_cloud():
    check_boot("cloud-amd64", 1)


def test_cloud_with_four_cpus():
    check_boot("cloud-amd64", 4)


def test_amd64():
    check_boot("amd64", 1)


def test_amd64_with_four_cpus():
    check_boot("amd64", 4)


def test_two_boots_are_one():
    with t.Folder() as folder:
        debian_kernels.initramfs(folder / "initramfs", SHOW + "dmesg | tail -5\n")
        for cpus in ("1", "4"):
            first, one = boot("cloud-amd64", folder / "initramfs", "--smp", cpus)
            second, two = boot("cloud-amd64", folder / "initramfs", "--smp", cpus)
            t.expect(re.search(r"^<\d+>\[ +\d+\.\d{6}\] ", first, re.M), "time stamps")
            t.expect(first == second, f"two consoles differ with {cpus} CPUs")
            t.expect_equal(t.stats(one)["state_hash"], t.stats(two)["state_hash"], f"final hashes with {cpus} CPUs")


def test_pvh():
    """The same kernel, unpacked, by its PVH entry."""
    with t.Folder() as folder:
        debian_kernels.initramfs(folder / "initramfs", SHOW)
        elf = debian_kernels.vmlinux("cloud-amd64")
        result = t.viv("run", "--kernel", elf, "--initrd", folder / "initramfs", "--append", APPEND, timeout=400)
        t.expect_equal(result.returncode, 0, result.stderr[-500:])
        t.expect(b"the banner of init" in result.stdout, result.stdout[-3000:])
        t.expect_equal(sorted(warnings(result.stdout.decode(errors="replace").replace("\r\n", "\n"))), [], "warnings")


def test_xen_by_multiboot():
    """Another system from another loader: it finds its way by the BIOS data area, the multiboot map and ACPI's tables, and
    gives up because its dom0 is none. (There is no BIOS to call: no-real-mode.)"""
    with t.Folder() as folder:
        (folder / "dom0").write_bytes(b"no kernel" + bytes(5000))
        result = t.viv("run", "--kernel", debian_kernels.fetch_xen(), "--initrd", folder / "dom0", "--mem", "512M", "--append",
                       "no-real-mode console=com1 com1=115200,8n1 noreboot", timeout=300)
    text = result.stdout.decode(errors="replace")
    for words in ("Xen version 4", "Multiboot-e820 RAM map", "System RAM: 511MB", "ACPI: RSDP 000F0000", "HPET"):
        t.expect(words in text, f"no {words!r}: {text[-2000:]} {result.stderr[-300:]}")
    t.expect("dom0" in text.lower() and "Panic on CPU 0" in text, text[-1500:])


def test_the_console_on_the_framebuffer():
    """efifb takes the display by screen_info alone; two boots draw the same, to the last pixel."""
    with t.Folder() as folder:
        debian_kernels.initramfs(folder / "initramfs", SHOW)
        drawn = []
        for name in ("first.png", "second.png"):
            text, _ = boot("cloud-amd64", folder / "initramfs", "--screenshot", folder / name,
                           append="console=tty0 console=ttyS0 ignore_loglevel")
            t.expect("fb0: EFI VGA frame buffer device" in text, text[-3000:])
            drawn.append((folder / name).read_bytes())
        t.expect(drawn[0] == drawn[1], "two boots, two pictures")
        width, height, rows = pictures.read_png(folder / "first.png")
        t.expect_equal((width, height), (1024, 768))
        # 48 lines of text, 16 pixels high: nearly all of them have letters, in the console's light grey.
        lines = [b"".join(rows[y:y + 16]) for y in range(0, height, 16)]
        written = sum(line.count(b"\xaa\xaa\xaa") > 100 for line in lines)
        t.expect(written > 40, f"{written} lines of text")


def test_a_reset_boots_again():
    """reboot -f goes by ACPI's reset register, the keyboard controller or a triple fault, as reboot= says; time goes on."""
    with t.Folder() as folder:
        for how in ("acpi", "kbd", "triple"):
            debian_kernels.initramfs(folder / "initramfs",
                                     "read up rest < /proc/uptime\necho up $up\n[ $(date +%s) -lt 1767225602 ] && reboot -f\n")
            text, _ = boot("cloud-amd64", folder / "initramfs", append=f"console=ttyS0 quiet reboot={how}")
            t.expect_equal(len(re.findall(r"^up ", text, re.M)), 2, f"reboot={how}: {text[-2000:]}")


def test_ext4_on_ahci():
    write = ("mount -t ext4 /dev/sda /mnt\ndd if=/dev/urandom of=/mnt/big bs=1M count=64 2>/dev/null\nsync\n"
             "echo 3 > /proc/sys/vm/drop_caches\nmd5sum /mnt/big | tee /mnt/sum\numount /mnt\n")
    read = "mount -t ext4 /dev/sda /mnt\ncat /mnt/sum\nmd5sum /mnt/big\numount /mnt\n"
    with t.Folder() as folder:
        disk = folder / "disk.img"
        with open(disk, "wb") as file:
            file.truncate(160 << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", str(disk)], check=True)
        modules = kernel("amd64").modules(*DISK_MODULES)
        sums = []
        for script in (write, read):
            debian_kernels.initramfs(folder / "initramfs", script, modules)
            text, _ = boot("amd64", folder / "initramfs", "--disk", disk)
            sums += re.findall(r"^([0-9a-f]{32})  /mnt/big$", text, re.M)
            t.expect_equal(sorted(warnings(text)), [], "warnings")
            t.e2fsck_clean(disk)
        t.expect(len(sums) == 3 and len(set(sums)) == 1, sums)


if __name__ == "__main__":
    t.main(globals())
