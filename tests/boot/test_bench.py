#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
"""tools/bench on little work: every row on every machine, equal checksums, and figures that follow from the samples. What the
times are is nobody's concern here."""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import vivtest as t

sys.path.insert(0, str(t.TOP / "bench"))
import machines  # noqa: E402
import rows  # noqa: E402
import table  # noqa: E402


def sample(wall, units=1, checksum="1"):
    return machines.Sample(wall, wall / 2, units, checksum)


def test_ratios_and_verdicts():
    rounds = [{"viv-jit": {"sieve": sample(1, 2), "nbody": sample(0.1)}, "qemu": {"sieve": sample(2, 1), "nbody": sample(1)}},
              {"viv-jit": {"sieve": sample(9, 2), "nbody": sample(0.4)}, "qemu": {"sieve": sample(2, 1), "nbody": sample(1)}},
              {"viv-jit": {"sieve": sample(2, 2), "nbody": sample(0.1)}, "qemu": {"sieve": sample(2, 1), "nbody": sample(1)}}]
    seen = table.Table(rounds, "wall")
    t.expect_equal(seen.ratios("viv-jit", "qemu", "sieve"), [0.25, 2.25, 0.5], "a ratio of each round, per unit")
    t.expect_equal(seen.seconds("viv-jit", "sieve"), rows.BY_NAME["sieve"].units * 1.0, "seconds of as much work as QEMU's")
    verdicts = {what: (value, goal) for what, value, goal in seen.verdicts()}
    t.expect_equal(verdicts["sieve"], (0.5, 1.0))
    t.expect_equal(verdicts["nbody"], (0.1, 0.12))
    mean = verdicts["compute (geometric mean of 2) : qemu"]
    t.expect(math.isclose(mean[0], math.sqrt(0.5 * 0.1)) and mean[1] == 0.45, mean)
    t.expect_equal(seen.checksum_faults(), [])
    rounds[1]["qemu"]["nbody"].checksum = "2"
    t.expect_equal(table.Table(rounds, "wall").checksum_faults(), ["nbody: 1 on qemu viv-jit, 2 on qemu"])


def test_little_work():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.json"
        result = subprocess.run([str(t.TOP / "tools" / "bench"), "--quick", "--json", str(out)], capture_output=True, text=True,
                                timeout=1800)
        t.expect_equal(result.returncode, 0, result.stderr[-2000:])
        seen = json.loads(out.read_text())
    t.expect_equal(list(seen["rows"]), list(rows.BY_NAME), "rows")
    t.expect({"viv-interp", "qemu", "native"} <= set(seen["machines"]), seen["machines"])
    for name, row in seen["rows"].items():
        there = [machine for machine in seen["machines"] if machine != "native" or row["group"] != "boot"]
        sums = {row["samples"][machine][0]["checksum"] for machine in there}
        t.expect(len(sums) == 1 and (sums != {""} or row["group"] == "boot"), f"{name}: {sums}")
        t.expect(all(row["seconds"][machine] > 0 for machine in there if machine != "native"), f"{name}: {row['seconds']}")
    for word in ("mean kernel", "goals, viv", "rows above their goal"):
        t.expect(word in result.stdout, result.stdout)


if __name__ == "__main__":
    t.main(globals())
