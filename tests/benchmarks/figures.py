"""The figures that benchmarks report: `python -m tests.benchmarks` gathers them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    `at_most` and `at_least` are the values to reach, in the same unit. `beside` holds what was
    measured in the same run for comparison, such as the same command of a bare bot.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Return whether the value to reach is reached; None if there is none."""
        if self.at_most is not None and self.value > self.at_most:
            return False
        if self.at_least is not None and self.value < self.at_least:
            return False
        return None if self.at_most is self.at_least is None else True

    def cells(self) -> tuple[str, ...]:
        """Return the name, the value, the value to reach, and what stands beside."""
        bound = ""
        if self.at_most is not None:
            bound = f"at most {digits(self.at_most)}"
        elif self.at_least is not None:
            bound = f"at least {digits(self.at_least)}"
        missed = " MISSED" if self.reached is False else ""
        beside = ", ".join(f"{name} {digits(value)}" for name, value in self.beside.items())
        return self.name, f"{digits(self.value)} {self.unit}".strip(), bound + missed, beside

    def line(self) -> str:
        name, value, bound, beside = self.cells()
        return f"{name:<66} {value:>15}  {bound:<22} {beside}".rstrip()


def digits(value: float) -> str:
    """Return a number with three digits, or all digits of a whole number that has more."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def show(figures: Sequence[Figure]) -> None:
    for each in figures:
        print(each.line(), flush=True)


def markdown(figures: Sequence[Figure]) -> str:
    """Return the figures that have a value to reach, as the table of the README."""
    head = ("Figure", "Measured", "To reach", "In the same run")
    judged = [each.cells() for each in figures if each.reached is not None]
    rows = [head, ("---",) * len(head), *judged]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(path: Path, machine: Mapping[str, object], figures: Sequence[Figure]) -> None:
    """Write the figures as JSON, with a description of the machine."""
    rows = [{**asdict(each), "reached": each.reached} for each in figures]
    path.write_text(json.dumps({"machine": dict(machine), "figures": rows}, indent=2) + "\n")


def read(path: Path) -> list[Figure]:
    """Return the figures that `write` has stored."""
    rows = json.loads(path.read_text())["figures"]
    return [Figure(**{name: row[name] for name in row if name != "reached"}) for row in rows]
