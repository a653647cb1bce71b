#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Random sequences of file, pipe, signal, mapping and fork operations answer in fern as on the host's Linux.

usage: test_sequences.py [FIRST LAST]      DIFFERENCES names seeds whose difference belongs to the host's version.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "guest"))
import place  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path(__file__).resolve().parent
LAST = {"gate": 100, "default": 1000, "all": 5000}[os.environ.get("VIV_TEST_LEVEL", "default")]
DIFFERENCES = {}  # seed: why


def by_seed(text):
    parts = re.split(r"^seed (\d+)\n", text, flags=re.M)
    return {int(parts[i]): parts[i + 1] for i in range(1, len(parts) - 1, 2)}


def first_difference(a, b):
    a, b = a.splitlines(), b.splitlines()
    for i in range(max(len(a), len(b))):
        left, right = (x[i] if i < len(x) else "<end>" for x in (a, b))
        if left != right:
            before = " / ".join(a[max(0, i - 2):i])
            return f"after '{before}': host '{left}' guest '{right}'"
    return "nothing"


def main():
    first, last = (int(x) for x in sys.argv[1:3]) if len(sys.argv) > 2 else (1, LAST)
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "sequences")
        subprocess.run(["gcc", "-static", "-O1", "-g", "-Wno-unused-result", "-o", program, str(HERE / "sequences.c")], check=True)
        scratch = os.path.join(folder, "scratch")
        os.mkdir(scratch)
        host = subprocess.run([program, str(first), str(last)], cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True)
        image = os.path.join(folder, "rootfs.img")
        subprocess.run([str(TOP / "tools" / "mkrootfs"), image, "--size", "256M", "--add", f"{program}:/sequences"], check=True)
        guest = place.run(image, f"mkdir /var/tmp/s; cd /var/tmp/s; /sequences {first} {last}", 800)
    wanted, seen = by_seed(host.stdout.decode()), by_seed(guest.stdout.decode(errors="replace"))
    bad = [s for s in wanted if seen.get(s) != wanted[s] and s not in DIFFERENCES]
    for seed in bad[:20]:
        print(f"# seed {seed}: {first_difference(wanted[seed], seen[seed]) if seed in seen else 'did not run'}")
    if guest.returncode:
        print(f"# viv exit {guest.returncode}: {guest.stderr.decode(errors='replace')[-500:]}")
    print(f"{'not ok' if bad or guest.returncode else 'ok'} - sequences {first}-{last}: {len(bad)} of {len(wanted)} differ")
    return 1 if bad or guest.returncode else 0


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    sys.exit(main())
