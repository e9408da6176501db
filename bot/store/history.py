"""The settled jobs of one member, page by page and by filters. Statements are built once.

A page begins after a job, by its time and id: the index on member and time finds it, however many
jobs come before (design.md, Storage).
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Integer,
    Row,
    Select,
    String,
    Text,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import SETTLED, Job, Picture
from bot.store.job_rows import job_of
from bot.store.pictures import Role, picture_of
from bot.store.tables import Utc, favourites, job_pictures, jobs, pictures

BATCH = 200  # jobs whose prompts are compared at once
BATCHES = 50  # of one page
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of a history: jobs that have all of them.

    `text` is part of the prompt, in any case. `since` is the first moment, `until` the first one
    that is too late.
    """

    text: str = ""
    model: str = ""
    favourites: bool = False
    since: datetime = FIRST
    until: datetime = LAST


@dataclass(frozen=True, slots=True)
class Place:
    """The job before which, or after which, a page begins. The job may be gone."""

    created_at: datetime
    job_id: str


def _statement(*, newer: bool, favourite: bool) -> Select[Any]:
    limit = bindparam("limit", type_=Integer)
    at, job_id = bindparam("at", type_=Utc), bindparam("job_id", type_=String)
    created, key = jobs.c.created_at, jobs.c.id
    model = bindparam("model", type_=String)
    statement = select(jobs).where(
        jobs.c.user_id == bindparam("user"),
        jobs.c.status.in_(SETTLED),
        or_(model == "", jobs.c.model == model),
        func.lower(jobs.c.prompt).like(bindparam("pattern", type_=Text), escape="\\"),
    )
    if favourite:
        own = and_(favourites.c.user_id == jobs.c.user_id, favourites.c.job_id == key)
        statement = statement.where(exists().where(own))
    if newer:
        until = bindparam("bound", type_=Utc)
        statement = statement.where(created >= at, created < until, or_(created > at, key > job_id))
        return statement.order_by(created, key).limit(limit)
    since = bindparam("bound", type_=Utc)
    statement = statement.where(created <= at, created >= since, or_(created < at, key < job_id))
    return statement.order_by(created.desc(), key.desc()).limit(limit)


STATEMENTS = {
    (newer, favourite): _statement(newer=newer, favourite=favourite)
    for newer in (False, True)
    for favourite in (False, True)
}
# To compare many prompts: the other columns take most of the time.
NARROW = {
    key: statement.with_only_columns(jobs.c.id, jobs.c.created_at, jobs.c.prompt)
    for key, statement in STATEMENTS.items()
}
BY_ID = select(jobs)
FIRST_PICTURES = (
    select(job_pictures.c.job_id, *pictures.c)
    .join(pictures, pictures.c.sha256 == job_pictures.c.sha256)
    .where(job_pictures.c.role == Role.OUTPUT, job_pictures.c.position == 0)
)


async def older(
    view: AsyncConnection, user_id: int, wanted: Wanted, after: Place | None, limit: int
) -> list[Job]:
    """Return the jobs that follow a place, newest first; without a place, the newest ones."""
    begin = after if after and after.created_at < wanted.until else Place(wanted.until, "")
    return await _page(view, user_id, wanted, begin, limit, newer=False)


async def newer(
    view: AsyncConnection, user_id: int, wanted: Wanted, before: Place, limit: int
) -> list[Job]:
    """Return the jobs before a place, newest first."""
    found = await _page(view, user_id, wanted, before, limit, newer=True)
    return found[::-1]


async def _page(
    view: AsyncConnection, user_id: int, wanted: Wanted, place: Place, limit: int, *, newer: bool
) -> list[Job]:
    """Return the next jobs in one direction, nearest first.

    The database knows no letter's other case but those of ASCII, so that others are compared
    here, among at most BATCH * BATCHES jobs.
    """
    text = _folded(wanted.text)
    pattern, exact = _pattern(text)
    statement = (STATEMENTS if exact else NARROW)[newer, wanted.favourites]
    batch = limit if exact else BATCH
    found: list[Row[Any]] = []
    for _ in range(BATCHES):
        values = {
            "user": user_id,
            "model": wanted.model,
            "pattern": pattern,
            "at": place.created_at,
            "job_id": place.job_id,
            "bound": wanted.until if newer else wanted.since,
            "limit": batch,
        }
        read = (await view.execute(statement, values)).all()
        found += [row for row in read if text in _folded(row.prompt)]
        if len(found) >= limit or len(read) < batch:
            break
        place = Place(read[-1].created_at, read[-1].id)
    if not exact:
        ids = [row.id for row in found[:limit]]
        rows = {row.id: row for row in await view.execute(BY_ID.where(jobs.c.id.in_(ids)))}
        found = [rows[id] for id in ids]
    return [job_of(row) for row in found[:limit]]


async def first_pictures(view: AsyncConnection, job_ids: Iterable[str]) -> dict[str, Picture]:
    """Return the first result picture of each of a few jobs, stored or not any more."""
    statement = FIRST_PICTURES.where(job_pictures.c.job_id.in_([*job_ids]))
    return {row.job_id: picture_of(row) for row in await view.execute(statement)}


async def favourites_among(
    view: AsyncConnection, user_id: int, job_ids: Iterable[str]
) -> frozenset[str]:
    """Return those of a few jobs that are a member's favourites."""
    statement = select(favourites.c.job_id).where(
        favourites.c.user_id == user_id, favourites.c.job_id.in_([*job_ids])
    )
    return frozenset((await view.execute(statement)).scalars())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()


def _pattern(text: str) -> tuple[str, bool]:
    """Return a LIKE pattern of all prompts that may have a text, and whether no other fits.

    `%` stands for a letter that the database may not find in its other case.
    """
    letters: list[str] = []
    exact = True
    for letter in text:
        if not letter.isascii() and letter != letter.upper():
            letters.append("%")
            exact = False
        else:
            letters.append(f"\\{letter}" if letter in "%_\\" else letter)
    return f"%{''.join(letters)}%", exact
