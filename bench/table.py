# SPDX-License-Identifier: MIT
"""tools/bench's table: medians, ratios, geometric means, and a verdict on each goal."""
import math
import statistics

from rows import BY_NAME, FERN_PROMPT_SECONDS, GOALS, ROWS, geometric_mean

PAIRS = (("viv-jit", "qemu"), ("viv-interp", "qemu"), ("viv-jit", "native"), ("viv-interp", "native"), ("qemu", "native"))


class Table:
    """rounds: a list of {machine: {row: Sample}}."""

    def __init__(self, rounds, clock):
        self.rounds, self.clock = rounds, clock
        seen = {machine for one in rounds for machine in one}
        self.machines = [name for name in ("viv-jit", "viv-interp", "qemu", "native") if name in seen]
        self.rows = [row for row in ROWS if any(row.name in samples for one in rounds for samples in one.values())]
        self.judged = "viv-jit" if "viv-jit" in seen else "viv-interp"

    def per_unit(self, machine, row, clock=None):
        """In each round, or None."""
        samples = [one.get(machine, {}).get(row) for one in self.rounds]
        return [sample.per_unit(clock or self.clock) if sample else None for sample in samples]

    def seconds(self, machine, row, clock=None):
        """Median, for as much work as QEMU's."""
        values = [value for value in self.per_unit(machine, row, clock) if value is not None]
        return statistics.median(values) * BY_NAME[row].units if values else math.nan

    def ratios(self, a, b, row, clock=None):
        """One of each round: what disturbs a round disturbs both. By the wall's clock where one has no other."""
        clock = "wall" if "native" in (a, b) and BY_NAME[row].group == "kernel" else clock or self.clock
        pairs = zip(self.per_unit(a, row, clock), self.per_unit(b, row, clock))
        return [x / y for x, y in pairs if x is not None and y]

    def ratio(self, a, b, row):
        values = self.ratios(a, b, row)
        return statistics.median(values) if values else math.nan

    def checksum_faults(self):
        """Rows whose checksum is not the same everywhere."""
        faults = []
        for row in self.rows:
            sums = {}
            for one in self.rounds:
                for machine, samples in one.items():
                    if row.name in samples:
                        sums.setdefault(samples[row.name].checksum, set()).add(machine)
            if len(sums) > 1 or (row.group != "boot" and "" in sums):
                faults.append(f"{row.name}: " + ", ".join(f"{s} on {' '.join(sorted(m))}" for s, m in sorted(sums.items())))
        return faults

    def mean(self, a, b, groups):
        """Geometric mean over the rows of the groups, and how many of them have a ratio."""
        values = [self.ratio(a, b, row.name) for row in self.rows if row.group in groups]
        values = [value for value in values if not math.isnan(value)]
        return geometric_mean(values), len(values)

    def verdicts(self):
        """(what, seen, goal) of everything that has a goal."""
        out = []
        for row in self.rows:
            out.append((row.name, self.ratio(self.judged, "qemu", row.name), row.goal))
        for goal in GOALS:
            mean, count = self.mean(self.judged, goal.against, goal.groups)
            if count:
                out.append((f"{goal.label} (geometric mean of {count}) : {goal.against}", mean, goal.most))
        prompt = self.seconds(self.judged, "boot-fern", "wall")
        if not math.isnan(prompt):
            out.append(("fern's prompt, seconds of wall time", prompt, FERN_PROMPT_SECONDS))
        return [verdict for verdict in out if not math.isnan(verdict[1])]

    def as_json(self):
        rows = {row.name: {
            "group": row.group, "units": row.units,
            "seconds": {machine: self.seconds(machine, row.name) for machine in self.machines},
            "ratios": {f"{a}:{b}": self.ratios(a, b, row.name) for a, b in PAIRS if self.ratios(a, b, row.name)},
            "samples": {machine: [vars(one[machine][row.name]) for one in self.rounds if row.name in one.get(machine, {})]
                        for machine in self.machines}} for row in self.rows}
        return {"clock": self.clock, "judged": self.judged, "machines": self.machines, "rows": rows,
                "verdicts": [{"what": what, "seen": seen, "goal": goal, "met": seen <= goal}
                             for what, seen, goal in self.verdicts()]}

    def __str__(self):
        pairs = [(a, b) for a, b in PAIRS if a in self.machines and b in self.machines and (a, b) != ("viv-interp", "native")]
        pairs = pairs or [(a, b) for a, b in PAIRS if a in self.machines and b in self.machines]
        titles = [f"{name} s" for name in self.machines] + [f"{a}:{b}".replace("viv-", "") for a, b in pairs]
        lines = [f"{'':<12}" + "".join(f"{title:>14}" for title in titles) + "  verdict"]
        for row in self.rows:
            cells = [f"{self.seconds(machine, row.name):.3f}" for machine in self.machines]
            cells += [f"{self.ratio(a, b, row.name):.3f}" for a, b in pairs]
            line = f"{row.name:<12}" + "".join(f"{'-' if cell == 'nan' else cell:>14}" for cell in cells)
            lines.append(line + self.row_verdict(row))
        for groups in (("integer",), ("float",), ("integer", "float"), ("kernel",)):
            means = [self.mean(a, b, groups) for a, b in pairs]
            if any(count for _, count in means):
                lines.append(f"{'mean ' + '+'.join(groups):<{12 + 14 * len(self.machines)}}"
                             + "".join(f"{mean:>14.3f}" if count else f"{'-':>14}" for mean, count in means))
        if self.judged not in self.machines:
            return "\n".join(lines)
        lines += ["", f"goals, {self.judged}" + (" (this viv has no translator)" if self.judged != "viv-jit" else "")]
        lines += [f"  {'met   ' if seen <= goal else 'MISSED'} {seen:7.3f}, goal {goal:.2f}: {what}"
                  for what, seen, goal in self.verdicts() if what not in BY_NAME]
        missed = [what for what, seen, goal in self.verdicts() if what in BY_NAME and seen > goal]
        lines.append(f"  rows above their goal: {', '.join(missed) or 'none'}")
        return "\n".join(lines)

    def row_verdict(self, row):
        """Beside it the least and the greatest ratio, and the median by the other clock."""
        seen = self.ratios(self.judged, "qemu", row.name)
        if not seen:
            return ""
        other = "wall" if self.clock == "cpu" else "cpu"
        beside = statistics.median(self.ratios(self.judged, "qemu", row.name, other))
        verdict = "met   " if statistics.median(seen) <= row.goal else "MISSED"
        return f"  {verdict} {row.goal:.2f} [{min(seen):.2f}..{max(seen):.2f}] {other} {beside:.3f}"
