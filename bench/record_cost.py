#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What recording and replaying cost, in CPU time: fern's boot and a minute of shell work, plain, recorded and replayed, in
alternating pairs; QEMU's record/replay mode with the same kernel and image beside it.

usage: bench/record_cost.py [--pairs N] [--qemu-pairs N] [--work N]

Medians of the pairs' ratios, with the order-statistic confidence interval that is nearest to 95 % from above.
"""
import argparse
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
VIV, FERN = TOP / "build" / "viv", TOP / "build" / "fern"
# A minute of the guest's time: what people type, with the pauses in which they think.
INIT = """#!/bin/sh
/bin/mount -t proc proc /proc
/bin/mount -t tmpfs tmpfs /tmp
export PATH=/bin:/usr/bin:/sbin
n=0
while [ $n -lt {work} ]; do
    n=$((n+1))
    ls -lR /etc /bin > /tmp/list
    sort /tmp/list | uniq -c | sort -rn | head -5
    grep -c root /tmp/list
    i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo $i
    mkdir -p /root/d$n; cp -r /etc /root/d$n; du -s /root/d$n; rm -r /root/d$n
    dd if=/dev/zero of=/root/z bs=64k count=16 2>/dev/null; md5sum /root/z; sync
    find / -name '*s*' 2>/dev/null | wc -l
    ps > /dev/null; sed 's/r/R/g' /tmp/list | tail -1
    sleep 1
done
echo bench-over
/sbin/poweroff -f
"""


def make_image(folder, work):
    init = folder / "bench-init"
    init.write_text(INIT.format(work=work))
    init.chmod(0o755)
    image = folder / "bench.img"
    subprocess.run([str(TOP / "tools" / "mkrootfs"), str(image), "--add", f"{init}:/bench-init"], check=True)
    return image


def cpu_seconds(command):
    """User and system time of the command; it must print the mark."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        text = out.read()
    if b"bench-over" not in text:
        sys.exit(f"record_cost: {' '.join(map(str, command))} ended with {status}: {text[-2000:].decode(errors='replace')}")
    return usage.ru_utime + usage.ru_stime


def median_interval(values):
    """(median, low, high, coverage): ranks k and n+1-k hold the median with 1 - 2 P(Binomial(n, 1/2) < k)."""
    ordered, n = sorted(values), len(values)
    best = 1
    for k in range(1, n // 2 + 1):
        if 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n >= 0.95:
            best = k
    coverage = 1 - 2 * sum(math.comb(n, i) for i in range(best)) / 2**n
    return statistics.median(ordered), ordered[best - 1], ordered[-best], coverage


def report(name, seconds, base):
    values = [a / b for a, b in zip(seconds, base)]
    median, low, high, coverage = median_interval(values)
    print(f"{name:<28} {statistics.median(seconds):8.2f} s   {median:6.3f}   [{low:.3f}, {high:.3f}] ({coverage:.1%} of {len(values)} pairs)",
          flush=True)


def viv_commands(folder, image):
    machine = ["--kernel", FERN, "--disk", f"{image},snapshot", "--append", "root=/dev/sda init=/bench-init quiet"]
    trace = folder / "viv.trace"
    return trace, [VIV, "run", *machine], [VIV, "run", *machine, "--record", trace], [VIV, "replay", trace]


def qemu_commands(folder, image):
    disk = folder / "bench.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "raw", str(disk)], check=True)
    qemu = ["qemu-system-x86_64", "-machine", "q35", "-m", "256", "-display", "none", "-serial", "stdio", "-no-reboot", "-net", "none",
            "-kernel", FERN, "-append", "root=/dev/sda init=/bench-init quiet"]
    plain = ["-drive", f"file={disk},if=none,snapshot=on,id=d", "-device", "ide-hd,drive=d,bus=ide.0"]
    replayed = ["-drive", f"file={disk},if=none,snapshot=on,id=direct", "-drive", "driver=blkreplay,if=none,image=direct,id=d",
                "-device", "ide-hd,drive=d,bus=ide.0"]
    trace = folder / "qemu.trace"
    icount = [[f"-icount", f"shift=auto,rr={mode},rrfile={trace}"] for mode in ("record", "replay")]
    return trace, [*qemu, *plain], [*qemu, *replayed, *icount[0]], [*qemu, *replayed, *icount[1]]


def compare(name, commands, pairs):
    trace, plain, record, replay = commands
    seconds = {"plain": [], "recorded": [], "replayed": []}
    for number in range(pairs):
        order = [("plain", plain), ("recorded", record)]
        for what, command in order if number % 2 == 0 else order[::-1]:
            seconds[what].append(cpu_seconds(command))
        seconds["replayed"].append(cpu_seconds(replay))
    print(f"{name + ' plain':<28} {statistics.median(seconds['plain']):8.2f} s")
    report(f"{name} recorded : plain", seconds["recorded"], seconds["plain"])
    report(f"{name} replayed : recorded", seconds["replayed"], seconds["recorded"])
    print(f"{name + ' recording':<28} {trace.stat().st_size / 1024:8.0f} KiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--qemu-pairs", type=int, default=5)
    parser.add_argument("--work", type=int, default=48, help="rounds of shell work")
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        image = make_image(folder, options.work)
        compare("viv", viv_commands(folder, image), options.pairs)
        if options.qemu_pairs:
            compare("QEMU rr", qemu_commands(folder, image), options.qemu_pairs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
