"""The figures of an attack beside their bounds, and the meters of memory and disk."""

import asyncio
import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

SAMPLE_SECONDS = 0.05
MB = 1_000_000
SLOWER = 2.0  # times the quiet time, at most
RSS_BOUND = 300.0  # MB
DISK_SLACK = 1.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one attack. Times are in seconds, infinite if given up or refused.

    `longest` is the bound of the attacked time, if that is not a multiple of the quiet one.
    """

    name: str
    quiet: float
    attacked: float
    rss: float  # MB, the peak of the bot and of its children
    disk: float  # MB, the peak of the pictures' folder
    keep_gb: float = 20.0
    longest: float | None = None
    note: str = ""
    violations: Sequence[str] = ()  # requests of the bot that break a rule of an API

    @property
    def ratio(self) -> float:
        return self.attacked / self.quiet

    @property
    def disk_bound(self) -> float:
        return self.keep_gb * 1000 * DISK_SLACK

    @property
    def broken(self) -> list[str]:
        """Return the kinds of bounds that are broken."""
        longest = self.quiet * SLOWER if self.longest is None else self.longest
        found = {
            "time": math.isinf(self.attacked) or self.attacked > longest,
            "RSS": self.rss > RSS_BOUND,
            "disk": self.disk > self.disk_bound,
            "violations": bool(self.violations),
        }
        return [kind for kind, broken in found.items() if broken]


@dataclass
class Meter:
    """The peaks of memory and disk since `reset`."""

    pictures: Path
    rss: float = 0.0
    disk: float = 0.0
    _pid: int | None = None

    def reset(self) -> None:
        self.rss = self.disk = 0.0
        if self._pid is not None:
            with contextlib.suppress(OSError):  # the process has ended
                Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # resets VmHWM

    async def measure(self, pid: int) -> None:
        """Sample until cancelled, or until the process ends.

        The kernel knows the peak of one process, also between two samples.
        """
        self._pid = pid
        for number in count():
            now = sum(resident(each) for each in family(pid))
            if not now:
                return
            self.rss = max(self.rss, now, resident(pid, "VmHWM"))
            if number % 4 == 0:
                self.disk = max(self.disk, await asyncio.to_thread(stored, self.pictures))
            await asyncio.sleep(SAMPLE_SECONDS)


def family(pid: int) -> list[int]:
    """Return the process and its descendants.

    Without children that have just been made and share their parent's memory: they have its
    command line until they execute a program of their own.
    """
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                if command_line(child) != command_line(pid):
                    found += family(child)
    return found


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def resident(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process in MB; 0 if the process has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / MB
    return 0.0


def stored(folder: Path) -> float:
    """Return the size of all files in a folder in MB."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # retention has just removed the file
            total += path.stat().st_size if path.is_file() else 0
    return total / MB
