"""The rows of the audit: read without the tables' types, since any value may have been edited."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Column, Label, Row, type_coerce
from sqlalchemy.types import NullType

from bot.jobs import SETTLED, JobStatus
from bot.ledger import Account
from bot.store.tables import generations, job_pictures, jobs, ledger

STATUSES = frozenset(JobStatus)
LARGEST = Decimal(10**12)  # more than any figure of a provider
ESTIMATED = {"estimated": "yes"}  # the details of a cost that the provider did not report


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference; `about` names a job, an entry, another row, an account or the file."""

    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


@dataclass(frozen=True, slots=True)
class JobLine:
    """The columns of a job that the audit compares; amounts in thousandths of a credit."""

    id: str
    status: str
    account: Account
    provider: str
    count: int
    price: int
    cost: int | None
    estimated: bool
    reason: str | None
    created_at: datetime
    running_at: datetime | None = None
    settled_at: datetime | None = None
    delivered_at: datetime | None = None
    overdue_at: datetime | None = None
    guild_id: int | None = None
    granted: int = 0

    @property
    def settled(self) -> bool:
        return self.status in SETTLED

    @property
    def expected(self) -> int:
        """The correct sum of the job's entries."""
        return -(self.cost or 0) if self.settled else -self.price


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry. `details` are None if they cannot be read; the figures are in them."""

    id: int
    job_id: str | None
    account: Account
    kind: str
    amount: int
    counted_at: datetime
    created_at: datetime
    provider: str = ""
    granted: int = 0
    reason: str = ""
    details: Mapping[str, str] | None = field(default_factory=dict)

    @property
    def figures(self) -> Mapping[str, Decimal] | None:
        """The provider's figures; None if one of them is no number."""
        if self.details is None:
            return None
        try:
            found = {name: Decimal(text) for name, text in self.details.items()}
        except InvalidOperation:
            return None
        sane = all(each.is_finite() and abs(each) < LARGEST for each in found.values())
        return found if sane else None


@dataclass(frozen=True, slots=True)
class GenerationLine:
    id: int
    provider: str
    remote_id: str
    state: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A job with its rows in the other tables. `outputs` are positions of its pictures."""

    job: JobLine
    entries: Sequence[EntryLine] = ()
    generations: Sequence[GenerationLine] = ()
    outputs: Sequence[int] = ()

    @property
    def made(self) -> Sequence[GenerationLine]:
        return [each for each in self.generations if each.state == JobStatus.SUCCEEDED]


def raw(column: Column[Any]) -> Label[Any]:
    """Return a column for a SELECT, without the conversion of its type."""
    return type_coerce(column, NullType()).label(column.name)


JOB_COLUMNS = tuple(
    raw(column)
    for column in (
        jobs.c.id,
        jobs.c.status,
        jobs.c.user_id,
        jobs.c.account_server_id,
        jobs.c.guild_id,
        jobs.c.provider,
        jobs.c.options,
        jobs.c.price,
        jobs.c.cost,
        jobs.c.estimated,
        jobs.c.reason,
        jobs.c.created_at,
        jobs.c.running_at,
        jobs.c.settled_at,
        jobs.c.delivered_at,
        jobs.c.overdue_at,
        jobs.c.granted,
    )
)
ENTRY_COLUMNS = tuple(raw(column) for column in ledger.c)
GENERATION_COLUMNS = tuple(raw(column) for column in generations.c)
OUTPUT_COLUMNS = (raw(job_pictures.c.job_id), raw(job_pictures.c.position))


def job_line(row: Row[Any]) -> JobLine | None:
    """Return a job; None if a value cannot be read."""
    try:
        return JobLine(
            id=_text(row.id),
            status=_text(row.status),
            account=Account(_whole(row.user_id), _whole(row.account_server_id)),
            provider=_text(row.provider),
            count=_whole(_json(row.options).get("count", 1)),
            price=_whole(row.price),
            cost=row.cost if row.cost is None else _whole(row.cost),
            estimated=bool(_whole(row.estimated)),
            reason=row.reason if row.reason is None else _text(row.reason),
            created_at=_time(row.created_at),
            running_at=_maybe_time(row.running_at),
            settled_at=_maybe_time(row.settled_at),
            delivered_at=_maybe_time(row.delivered_at),
            overdue_at=_maybe_time(row.overdue_at),
            guild_id=row.guild_id if row.guild_id is None else _whole(row.guild_id),
            granted=_whole(row.granted),
        )
    except (TypeError, ValueError, AttributeError):
        return None


def entry_line(row: Row[Any]) -> EntryLine | None:
    """Return an entry; None if a value cannot be read."""
    try:
        return EntryLine(
            id=_whole(row.id),
            job_id=row.job_id if row.job_id is None else _text(row.job_id),
            account=Account(_whole(row.user_id), _whole(row.server_id)),
            kind=_text(row.kind),
            amount=_whole(row.amount),
            counted_at=_time(row.counted_at),
            created_at=_time(row.created_at),
            provider=_text(row.provider),
            granted=_whole(row.granted),
            reason=_text(row.reason),
            details=_details(row.details),
        )
    except (TypeError, ValueError):
        return None


def generation_line(row: Row[Any]) -> GenerationLine:
    return GenerationLine(row.id, str(row.provider), str(row.remote_id), row.state)


def _whole(value: object) -> int:
    if isinstance(value, int):
        return value
    raise TypeError


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _time(value: object) -> datetime:
    if isinstance(value, datetime):  # PostgreSQL's
        return value.astimezone(UTC)
    return datetime.fromisoformat(_text(value)).replace(tzinfo=UTC)


def _maybe_time(value: object) -> datetime | None:
    return None if value is None else _time(value)


def _json(value: object) -> Any:  # noqa: ANN401  # may be anything
    return value if isinstance(value, dict) else json.loads(_text(value))


def _details(value: object) -> Mapping[str, str] | None:
    try:
        found = _json(value)
    except ValueError:
        return None
    if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()):
        return found
    return None
