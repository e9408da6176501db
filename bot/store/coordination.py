"""Coordination of the processes that share one database; a SQLite file has one process alone."""

import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """The part of the work that a process has."""

    ALL = "run"
    GATEWAY = "gateway"  # interactions and their replies
    WORKER = "worker"  # submits, polls, settles and delivers


ADVANCING = frozenset({Role.ALL, Role.WORKER})  # the roles that advance jobs


class Duty(StrEnum):
    """Work that just one of all processes does at a time, one of those that advance jobs."""

    RETENTION = "retention"
    AFTERCARE = "aftercare"  # of settled jobs, as overdue results and late costs; failover; places
    PROBES = "probes"  # of providers that are down, and the balances at all
    EVENTS = "events"  # the streams of the providers


class News(StrEnum):
    """Hints between processes. Each may be lost: the rows are read every two seconds."""

    ROWS = "rows"  # rows have changed that concern a worker; the text may be CANCELS
    CREDITS = "credits"  # the provider in the text has refused a job for missing credits
    STREAM_LIVES = "stream lives"  # that of the provider in the text
    STREAM_ENDED = "stream ended"
    ENDED = "ended"  # a provider's stream reported the end of the generation in the text


CANCELS = "cancels"  # a member wants a job stopped


class Coordination(Protocol):
    """The other processes as this one sees them, a few seconds old."""

    process: str  # the id of this one

    @property
    def workers(self) -> int:
        """The live processes that advance jobs, this one included; at least 1."""

    @property
    def processes(self) -> int:
        """All live processes, which share Discord's limit of requests; at least 1."""

    def has(self, duty: Duty) -> bool:
        """Return whether this process has a duty now; at most one process has it."""

    def announce(self, news: News, text: str = "") -> None:
        """Inform all processes soon, this one included."""

    def listen(self, news: News, heard: Callable[[str], None]) -> None:
        """Call `heard` with the text of each announcement of these news."""

    async def run(self) -> None:
        """Take part until cancelled."""

    async def joined(self) -> None:
        """Wait until `run` has seen the other processes, or cannot: a few seconds at most."""


class Alone:
    """The coordination of a process that nobody shares the database with."""

    workers = processes = 1

    def __init__(self) -> None:
        self.process = new_process_id()
        self._listeners: dict[News, list[Callable[[str], None]]] = {}

    def has(self, duty: Duty) -> bool:
        return True

    def announce(self, news: News, text: str = "") -> None:
        for heard in self._listeners.get(news, ()):
            heard(text)

    def listen(self, news: News, heard: Callable[[str], None]) -> None:
        self._listeners.setdefault(news, []).append(heard)

    async def run(self) -> None:
        """Return at once: there is nobody to take part with."""

    async def joined(self) -> None:
        """Return at once."""


def new_process_id() -> str:
    """Return a random id, which no process had before."""
    return secrets.token_hex(8)
