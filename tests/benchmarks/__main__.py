"""Run the benchmarks, print a table, and write `benchmarks.json`: `python -m tests.benchmarks`.

Each runs in a process of its own, after the others. All take about an hour; give the names of some
to run only these. The machine must have nothing else to do.
"""

import argparse
import asyncio
import importlib
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, cast

from tests.benchmarks.figures import Figure, markdown, read, show, write

NAMES = (
    "start",
    "lag",
    "ack",
    "posting",
    "many",
    "ledger",
    "ack_databases",
    "throughput",
    "faults",
    "crash",
    "hostile",
)
RESULT = Path("benchmarks.json")


class Benchmark(Protocol):
    async def figures(self, *, small: bool) -> list[Figure]: ...


def measure(name: str, *, small: bool) -> list[Figure]:
    """Run one benchmark, and print its figures."""
    module = cast(Benchmark, importlib.import_module(f"tests.benchmarks.{name}"))
    found = asyncio.run(module.figures(small=small))
    show(found)
    return found


def measure_apart(name: str, *, small: bool) -> list[Figure]:
    """Run one benchmark in a process of its own."""
    print(f"-- {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        options = ["--output", str(path), *(["--small"] if small else [])]
        subprocess.run([sys.executable, "-m", "tests.benchmarks", name, *options], check=False)
        if not path.exists():
            sys.exit(f"{name} ended without figures")
        return read(path)


def machine() -> dict[str, object]:
    """Describe where the figures were measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": next(models, platform.machine()),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def main(names: Sequence[str], *, small: bool, result: Path) -> int:
    """Return the exit status: 1 if a value to reach is missed."""
    run = measure if len(names) == 1 else measure_apart
    found = list[Figure]()
    for name in names:
        found += run(name, small=small)
        write(result, machine(), found)
    return 1 if any(each.reached is False for each in found) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--small", action="store_true", help="fewer jobs: a trial of some minutes")
    parser.add_argument("--output", type=Path, default=RESULT, help=f"by default {RESULT}")
    parser.add_argument("--markdown", action="store_true", help="print a file of an earlier run")
    arguments = parser.parse_args()
    if arguments.markdown:
        print(markdown(read(arguments.output)))
        sys.exit()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    sys.exit(main(arguments.names or NAMES, small=arguments.small, result=arguments.output))
