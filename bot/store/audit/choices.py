"""The audit of settings and rights of servers: each row can be read.

A row that cannot be read would refuse every request of its server.
"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from zoneinfo import available_timezones

from pydantic import ValidationError
from sqlalchemy import Row, Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.rights import Rights, ServerSettings, Stored, Subject
from bot.store.audit.columns import about
from bot.store.audit.lines import Finding, raw
from bot.store.tables import rights, servers

PAGE = 1000


async def check_choices(view: AsyncConnection) -> AsyncIterator[Finding]:
    """Yield the findings about the settings and rights of all servers."""
    async for row in _rows(view, servers):
        found = _read(ServerSettings, row.settings)
        if not isinstance(found, ServerSettings):
            yield Finding(about(servers, [row.server_id]), "has settings that cannot be read")
        elif strange := {each.zone for each in found.zones} - available_timezones():
            text = f"has the time zone “{min(strange)}”, which does not exist"
            yield Finding(about(servers, [row.server_id]), text)
        elif [*found.zones] != sorted(found.zones, key=lambda each: each.since):
            yield Finding(about(servers, [row.server_id]), "has time zones in disorder")
    async for row in _rows(view, rights):
        name = about(rights, [row.server_id, row.subject, row.name])
        if _read(Rights, row.rights) is None:
            yield Finding(name, "has rights that cannot be read")
        if row.subject not in [*Subject]:
            yield Finding(name, f"“{row.subject}” is no kind of subject")
        elif not _is_named(row.subject, str(row.name)):
            yield Finding(name, f"“{row.name}” is not the name of a {row.subject}")


def _is_named(subject: str, name: str) -> bool:
    if subject == Subject.DEFAULT:
        return not name
    if subject == Subject.MEMBER:
        name = name.removeprefix("-")  # of a pseudonym
    return bool(name) if subject == Subject.TIER else name.isdecimal()


def _read(model: type[Stored], value: object) -> Stored | None:
    """Return the stored value; None if it cannot be read."""
    try:
        return model.model_validate(json.loads(value) if isinstance(value, str) else value)
    except (ValidationError, ValueError):
        return None


async def _rows(view: AsyncConnection, table: Table) -> AsyncIterator[Row[Any]]:
    keys = list(table.primary_key)
    statement = select(*(raw(column) for column in table.c)).order_by(*keys).limit(PAGE)
    page: Sequence[Row[Any]] = (await view.execute(statement)).all()
    while page:
        for row in page:
            yield row
        last = tuple_(*keys) > tuple(getattr(page[-1], key.name) for key in keys)
        page = (await view.execute(statement.where(last))).all()
