#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
"""The suites that run fern on one CPU by themselves, once more on four; test_smp_suites.py [WORD...] only those with a WORD."""
import os
import re
import subprocess
import sys

import vivtest as t

SUITES = ["costs/test_costs.py", "failnth/test_fail_nth.py", "sequences/test_sequences.py",
          *(f"boot/test_{name}.py" for name in ("cli", "console", "determinism", "disk", "exec", "fadvise", "hardship", "panic",
                                                "power_cuts", "qemu", "strace", "syscalls", "tmux", "trace")),
          "replay/test_record.py", "replay/test_diff.py"]
ON_QEMU = ["sequences/test_sequences.py"]  # beside the programs of tests/guest, which test_parallel.py runs there


def run(suite, **where):
    r = subprocess.run([sys.executable, str(t.TOP / "tests" / suite)], capture_output=True, text=True,
                       env={**os.environ, "VIV_TEST_SMP": "4", "VIV_TEST_LEVEL": "default", **where})
    bad = re.findall(r"^(?:not ok|# seed).*$", r.stdout, re.M)
    passed = len(re.findall(r"^ok\b", r.stdout, re.M))
    right = r.returncode == 0 and not bad and passed > 0
    print(f"{'ok' if right else 'not ok'} - {suite} on four CPUs{' of QEMU' if where else ''}: {passed} passed", flush=True)
    if not right:
        print("\n".join(f"# {line[:1500]}" for line in bad or [r.stderr[-1500:]]), flush=True)
    return right


def main():
    def wanted(suite):
        return len(sys.argv) < 2 or any(word in suite for word in sys.argv[1:])
    right = [run(s) for s in SUITES if wanted(s)]
    right += [run(s, VIV_TEST_MACHINE="qemu", VIV_TEST_TIMEOUT="1500") for s in ON_QEMU if wanted(s)]
    return 0 if right and all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
