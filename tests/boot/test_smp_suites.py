#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
"""The suites that run fern on one CPU by themselves, once more on four."""
import os
import re
import subprocess
import sys

import vivtest as t

SUITES = ["costs/test_costs.py", "failnth/test_fail_nth.py", "sequences/test_sequences.py",
          *(f"boot/test_{name}.py" for name in ("cli", "console", "determinism", "disk", "exec", "fadvise", "hardship", "panic",
                                                "power_cuts", "qemu", "strace", "syscalls", "tmux", "trace"))]


def run(suite):
    r = subprocess.run([sys.executable, str(t.TOP / "tests" / suite)], capture_output=True, text=True,
                       env={**os.environ, "VIV_TEST_SMP": "4", "VIV_TEST_LEVEL": "default"})
    bad = re.findall(r"^(?:not ok|# seed).*$", r.stdout, re.M)
    passed = len(re.findall(r"^ok\b", r.stdout, re.M))
    right = r.returncode == 0 and not bad and passed > 0
    print(f"{'ok' if right else 'not ok'} - {suite} on four CPUs: {passed} passed", flush=True)
    if not right:
        print("\n".join(f"# {line[:1500]}" for line in bad or [r.stderr[-1500:]]), flush=True)
    return right


if __name__ == "__main__":
    chosen = [s for s in SUITES if len(sys.argv) < 2 or any(word in s for word in sys.argv[1:])]
    sys.exit(0 if all([run(s) for s in chosen]) else 1)
