"""Coordination of the processes that share one database; a SQLite file has one process alone."""

import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol


class Duty(StrEnum):
    """Work of which all processes together need just one at a time."""

    RETENTION = "retention"
    AFTERCARE = "aftercare"  # of settled jobs: overdue results, late costs; and failover
    PROBES = "probes"  # of providers that are down


class Coordination(Protocol):
    """The other processes as this one sees them, a few seconds old."""

    process: str  # the id of this one

    @property
    def workers(self) -> int:
        """The live processes that advance jobs, this one included; at least 1."""

    @property
    def processes(self) -> int:
        """All live processes, which share Discord's limit of requests; at least 1."""

    def has(self, duty: str) -> bool:
        """Return whether this process has a duty now; exactly one process may have it."""

    async def announce(self, news: str, text: str = "") -> None:
        """Inform all processes, this one included. A hint: it may be lost."""

    def listen(self, news: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with the text of each announcement of these news."""


class Alone:
    """The coordination of a process that nobody shares the database with."""

    workers = processes = 1

    def __init__(self) -> None:
        self.process = new_process_id()
        self._listeners: dict[str, list[Callable[[str], None]]] = {}

    def has(self, duty: str) -> bool:
        return True

    async def announce(self, news: str, text: str = "") -> None:
        for heard in self._listeners.get(news, ()):
            heard(text)

    def listen(self, news: str, heard: Callable[[str], None]) -> None:
        self._listeners.setdefault(news, []).append(heard)


def new_process_id() -> str:
    """Return a random id, which no process had before."""
    return secrets.token_hex(8)
