"""The choices of a server's managers: settings, rights of roles and members, changed tiers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    String,
    and_,
    bindparam,
    delete,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.quotas import Member
from bot.rights import Policy, Rights, ServerSettings, Subject
from bot.store.dialects import elements, insert, replace_row
from bot.store.identities import ids_of
from bot.store.tables import rights, servers

SETTINGS = select(servers.c.settings).where(servers.c.server_id == bindparam("server"))
STORE_SETTINGS = replace_row(insert(servers), servers)
STORE_RIGHTS = replace_row(insert(rights), rights)
_key = and_(
    rights.c.server_id == bindparam("server"),
    rights.c.subject == bindparam("subject"),
    rights.c.name == bindparam("name"),
)
REMOVE_RIGHTS = delete(rights).where(_key)
RIGHTS_OF = select(rights.c.rights).where(_key)
ALL_RIGHTS = (
    select(rights.c.subject, rights.c.name, rights.c.rights)
    .where(rights.c.server_id == bindparam("server"))
    .order_by(rights.c.subject, rights.c.name)
    .limit(bindparam("limit"))
)


def _of(subject: Subject, names: ColumnElement[bool] | None = None) -> ColumnElement[bool]:
    condition = rights.c.subject == subject
    return condition if names is None else and_(condition, names)


_roles = elements("roles").table_valued("key", "value")
# The settings come with the rights: each request reads both, and each statement takes time.
OF_MEMBER = union_all(
    select(rights.c.subject, rights.c.name, rights.c.rights).where(
        rights.c.server_id == bindparam("server"),
        or_(
            _of(Subject.DEFAULT),
            _of(Subject.TIER),
            _of(Subject.MEMBER, rights.c.name.in_((bindparam("member"), bindparam("pseudonym")))),
            _of(Subject.ROLE, rights.c.name.in_(select(_roles.c.value))),
        ),
    ),
    select(
        literal_column("'settings'", String), literal_column("''", String), servers.c.settings
    ).where(servers.c.server_id == bindparam("server")),
)


class Granted(NamedTuple):
    """The rights of a subject; `name` is an id, the name of a tier, or empty for the default."""

    subject: Subject
    name: str
    rights: Rights


async def settings_of(connection: AsyncConnection, server_id: int) -> ServerSettings:
    """Return a server's settings; those of a server that has chosen nothing are empty."""
    found = (await connection.execute(SETTINGS, {"server": server_id})).scalar_one_or_none()
    return ServerSettings() if found is None else _settings(found)


async def store_settings(tx: AsyncConnection, server_id: int, settings: ServerSettings) -> None:
    values = {"server_id": server_id, "settings": settings.model_dump(mode="json")}
    await tx.execute(STORE_SETTINGS, values)


async def rights_of(
    connection: AsyncConnection, server_id: int, subject: Subject, name: str = ""
) -> Rights:
    """Return the rights that were set for one subject; they are empty for any other."""
    for each in _names(connection, subject, name):
        key = {"server": server_id, "subject": subject, "name": each}
        found = (await connection.execute(RIGHTS_OF, key)).scalar_one_or_none()
        if found is not None:
            return Rights.model_validate(found)
    return Rights()


def _names(connection: AsyncConnection, subject: Subject, name: str) -> list[str]:
    """Return the names that a subject's rights may have: of a member, also the pseudonym."""
    if subject is not Subject.MEMBER:
        return [name]
    return list(dict.fromkeys(str(each) for each in ids_of(connection, int(name)).values()))


async def all_rights(connection: AsyncConnection, server_id: int, limit: int) -> list[Granted]:
    """Return the rights of a server's subjects, at most `limit`, ordered by the subject's kind."""
    rows = await connection.execute(ALL_RIGHTS, {"server": server_id, "limit": limit})
    return [_granted(*row) for row in rows]


async def store_rights(
    tx: AsyncConnection, server_id: int, subject: Subject, name: str, granted: Rights
) -> None:
    """Replace the rights of one subject. Empty rights remove the row, except those of a tier.

    Rights that a member has under the pseudonym are replaced, too.
    """
    key = {"subject": subject, "name": name}
    is_removed = granted.is_empty and subject is not Subject.TIER
    for each in _names(tx, subject, name):
        if is_removed or each != name:
            await tx.execute(REMOVE_RIGHTS, {"server": server_id, **key, "name": each})
    if is_removed:
        return
    # Not without None: that is the amount of an allowance without limit.
    stored = granted.model_dump(mode="json", exclude_defaults=True)
    await tx.execute(STORE_RIGHTS, {"server_id": server_id, **key, "rights": stored})


async def tiers_of(connection: AsyncConnection, server_id: int) -> Mapping[str, Rights]:
    """Return the tiers that a server has changed."""
    tiers = ALL_RIGHTS.where(_of(Subject.TIER))
    rows = await connection.execute(tiers, {"server": server_id, "limit": 100})
    return {name: Rights.model_validate(stored) for _, name, stored in rows}


async def remove_tier(tx: AsyncConnection, server_id: int, name: str) -> None:
    """Let a tier be as it was ready-made."""
    await tx.execute(REMOVE_RIGHTS, {"server": server_id, "subject": Subject.TIER, "name": name})


async def policy_of(connection: AsyncConnection, member: Member) -> Policy:
    """Return the settings of a member's server, and the rights that the member has there."""
    if not member.server_id:
        return Policy()
    found = await _choices(connection, member)
    if not found:
        return Policy()
    rows = _rights_in(found)
    return Policy.of(
        next((_settings(row[2]) for row in found if row[0] == "settings"), ServerSettings()),
        own=_first(rows, Subject.MEMBER),
        default=_first(rows, Subject.DEFAULT),
        roles=[each.rights for each in rows if each.subject is Subject.ROLE],
        tiers={each.name: each.rights for each in rows if each.subject is Subject.TIER},
    )


async def granted_to(connection: AsyncConnection, member: Member) -> list[Granted]:
    """Return all rights from which those of a member follow, and the changed tiers."""
    return _rights_in(await _choices(connection, member))


async def _choices(connection: AsyncConnection, member: Member) -> Sequence[Row[str, str, Any]]:
    own, ids = str(member.user_id), ids_of(connection, member.user_id)
    values = {
        "server": member.server_id,
        "member": own,
        "pseudonym": str(ids["pseudonym"]),
        "roles": json.dumps([str(each) for each in sorted(member.role_ids)]),
    }
    found = (await connection.execute(OF_MEMBER, values)).all()
    if any((row[0], row[1]) == (Subject.MEMBER, own) for row in found):  # those come first
        return [row for row in found if row[0] != Subject.MEMBER or row[1] == own]
    return found


def _rights_in(found: Iterable[Row[str, str, Any]]) -> list[Granted]:
    return [_granted(*row) for row in found if row[0] != "settings"]


def _first(rows: Iterable[Granted], subject: Subject) -> Rights:
    return next((each.rights for each in rows if each.subject is subject), Rights())


def _settings(stored: object) -> ServerSettings:
    return ServerSettings.model_validate(stored)


def _granted(subject: str, name: str, stored: object) -> Granted:
    return Granted(Subject(subject), name, Rights.model_validate(stored))
