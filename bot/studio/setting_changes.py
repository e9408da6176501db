"""Changes of a server's settings and of its subjects' rights, and their texts for the audit.

A change names the values that a manager has changed, and is applied to the stored row as it is
then: two managers who change different values at once both have what they wanted.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bot.ledger import AmountText
from bot.periods import PeriodKind, ZoneChange, reached
from bot.quotas import Member
from bot.rights import ALL_MODELS, READY_MADE, RIGHTS, Allowance, Rights, ServerSettings, Subject
from bot.store import changes, servers
from bot.store.changes import Change
from bot.store.database import Connection, Transaction
from bot.studio.managers import change_by, subject_text
from bot.studio.setting_input import Limit, Word, allowance_of, limit_of

ZONES_REACH = timedelta(days=31)  # before now: a job's period is that of its request
MOST_ZONES = 20  # changes of the time zone that are stored

SETTINGS: Mapping[str, str] = {
    "budget": "server budget",
    "channels": "allowed channels",
    "roles": "allowed roles",
    "notices": "channel for notices",
    "zone": "time zone",
    "tier": "tier",
    "allowance": "allowance",
    "models": "models",
    "pictures": "pictures at once",
    "private": "private pictures",
    "edit": "editing pictures",
    "jobs": "jobs at once",
    "cooldown": "cooldown",
}
# By the name of a value as it is changed; `amount` (a Limit) and `period` are those of an allowance
# or a budget.
Changed = Mapping[str, Any]


class ChangedSettings(NamedTuple):
    before: ServerSettings
    after: ServerSettings
    changes: Sequence[Change]


class ChangedRights(NamedTuple):
    before: Rights
    after: Rights
    changes: Sequence[Change]


async def store_changed_settings(
    tx: Transaction, manager: Member, changed: Changed, now: datetime
) -> ChangedSettings:
    """Change some of `amount`, `period`, `zone`, `channels`, `roles` and `notices`."""
    before = await servers.settings_of(tx, manager.server_id)
    after = changed_settings(before, changed, now)
    found = settings_changes(manager, now, before, after)
    if found:
        await servers.store_settings(tx, manager.server_id, after)
    for each in found:
        await changes.append(tx, each)
    return ChangedSettings(before, after, found)


async def store_changed_rights(
    tx: Transaction, manager: Member, subject: Subject, name: str, changed: Changed, now: datetime
) -> ChangedRights:
    """Change some rights of a subject by their names, or by `amount` and `period`."""
    before = await rights_of(tx, manager.server_id, subject, name)
    after = changed_rights(before, changed)
    found = rights_changes(manager, now, subject, name, before, after)
    if found:
        await servers.store_rights(tx, manager.server_id, subject, name, after)
    for each in found:
        await changes.append(tx, each)
    return ChangedRights(before, after, found)


async def rights_of(view: Connection, server_id: int, subject: Subject, name: str) -> Rights:
    """Return the rights set for a subject; those of a tier that is as it was ready-made."""
    if subject is Subject.TIER:
        return (await servers.tiers_of(view, server_id)).get(name, READY_MADE[name])
    return await servers.rights_of(view, server_id, subject, name)


def changed_allowance(before: Allowance | None, changed: Changed) -> Allowance | None:
    """Return an allowance after a change of `amount`, `period` or both."""
    limit: Limit = changed.get("amount", limit_of(before))
    kind = changed.get("period", PeriodKind.MONTH if before is None else before.period)
    return allowance_of(limit, kind)


def changed_settings(before: ServerSettings, changed: Changed, now: datetime) -> ServerSettings:
    """Return the settings after a change. A new time zone is added to the changes of zones."""
    values: dict[str, Any] = {
        name: changed[name] for name in ("channels", "roles", "notices") if name in changed
    }
    budget = changed_allowance(before.budget, changed)
    values["budget"] = None if budget is None or budget.amount is None else budget
    if changed.get("zone", before.zone) != before.zone:
        # The clock may have been set back, or the last change have come by another process.
        since = max([now, *(each.since for each in before.zones)])
        zones = reached((*before.zones, ZoneChange(since, changed["zone"])), now - ZONES_REACH)
        values["zones"] = zones[-MOST_ZONES:]
    return before.model_copy(update=values)


def changed_rights(before: Rights, changed: Changed) -> Rights:
    values = {name: changed[name] for name in ("tier", *RIGHTS) if name in changed}
    return before.model_copy(
        update={**values, "allowance": changed_allowance(before.allowance, changed)}
    )


def settings_changes(
    manager: Member, now: datetime, before: ServerSettings, after: ServerSettings
) -> list[Change]:
    """Return one change for each setting that is different."""
    names = ("budget", "channels", "roles", "notices", "zone")
    return _differences(manager, now, "", names, before, after)


def rights_changes(
    manager: Member, now: datetime, subject: Subject, name: str, before: Rights, after: Rights
) -> list[Change]:
    """Return one change for each right of a subject that is different."""
    whose = f"{subject_text(subject, name)}: "
    return _differences(manager, now, whose, ("tier", *RIGHTS), before, after)


def _differences(
    manager: Member,
    now: datetime,
    whose: str,
    names: Sequence[str],
    before: ServerSettings | Rights,
    after: ServerSettings | Rights,
) -> list[Change]:
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    return [
        change_by(
            *(manager, now, whose + SETTINGS[name]),
            *(setting_text(name, old), setting_text(name, new)),
        )
        for name, old, new in pairs
        if old != new
    ]


def setting_text(name: str, value: object) -> str:
    """Return the value of a setting or a right for the audit; channels and roles as mentions."""
    match name, value:
        case (("channels" | "roles"), frozenset()):
            mark = "#" if name == "channels" else "@&"
            return ", ".join(f"<{mark}{each}>" for each in sorted(value)) or "all"
        case _, None:
            return "unlimited" if name == "budget" else "not set"
        case _, Allowance(amount=None):
            return Word.UNLIMITED.value
        case _, Allowance(amount=int(amount), period=period):
            return f"{AmountText(amount)} a {period}"
        case "notices", _:
            return f"<#{value}>"
        case "models", frozenset():
            return "all" if value >= ALL_MODELS else ", ".join(sorted(value)) or "none"
        case _, bool():
            return "allowed" if value else "not allowed"
        case "cooldown", int():
            return f"{value} s" if value else "none"
    return str(value)
