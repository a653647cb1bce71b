# SPDX-License-Identifier: MIT
"""The rows of tools/bench's table: what is run, how much of it, and the goals of issue 5."""
import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Row:
    """Units of bench/workloads on each machine: half a second on QEMU or more, about one second in viv's interpreter; natively
    some rows would be too short. Times are compared per unit and printed for the units of QEMU."""
    name: str
    group: str
    units: int = 1
    interp_units: int = 1
    native_units: int = 0
    goal: float = 1.0

    def units_on(self, machine):
        if machine == "native":
            return self.native_units or self.units
        return self.interp_units if machine == "viv-interp" else self.units


ROWS = (
    Row("integer", "integer", 60, 15, goal=1.05),
    Row("sieve", "integer", 100, 40),
    Row("sort", "integer", 30, 20),
    Row("chase-l1", "integer", 100, 80),
    Row("chase-l2", "integer", 100, 80),
    Row("chase-dram", "integer", 2, 2),
    Row("memcpy", "integer", 240, 240, 1200),
    Row("copy-loop", "integer", 240, 240, 2400),
    Row("hash", "integer", 150, 60, 450),
    Row("lz", "integer", 240, 100),
    Row("indirect", "integer", 50, 25, 100),
    Row("nbody", "float", 60, 30, 600, goal=0.12),
    Row("matmul", "float", 32, 32, 640, goal=0.12),
    Row("getppid", "kernel", 60, 30),
    Row("pipe", "kernel", 10, 10, 40),
    Row("fork", "kernel", 14, 14, 40),
    Row("exec", "kernel", 14, 14, 40),
    Row("touch", "kernel", 40, 40, 120),
    Row("signal", "kernel", 20, 20),
    Row("switch", "kernel", 10, 10, 40),
    Row("boot-debian", "boot", goal=0.8),
    Row("boot-pvh", "boot"),
    Row("boot-fern", "boot"),
)
BY_NAME = {row.name: row for row in ROWS}


@dataclasses.dataclass(frozen=True)
class Goal:
    """A geometric mean of ratios over the rows of some groups, and the most that it may be."""
    label: str
    groups: tuple
    against: str
    most: float


GOALS = (
    Goal("compute", ("integer", "float"), "qemu", 0.45),
    Goal("compute, integer", ("integer",), "qemu", 0.7),
    Goal("nbody and matmul", ("float",), "qemu", 0.12),
    Goal("kernel", ("kernel",), "qemu", 0.7),
    Goal("compute", ("integer", "float"), "native", 2.0),
)
FERN_PROMPT_SECONDS = 0.5


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else math.nan
