"""The settings of a server, the rights of its subjects, and the changes that managers make.

A change names the settings that the manager has changed, and is applied to the stored row as it is
then: two managers who change different settings at once both have what they wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.errors import UserError
from bot.ledger import credits_text
from bot.periods import Period, PeriodKind, ZoneChange, current_period, reached
from bot.quotas import WARN_AT, Member
from bot.rights import (
    ALL_MODELS,
    READY_MADE,
    RIGHTS,
    Allowance,
    Rights,
    ServerSettings,
    Subject,
)
from bot.services import Services
from bot.store import changes, servers
from bot.store.balances import used_in_server
from bot.store.changes import NEWEST, Change
from bot.store.database import Connection, Transaction
from bot.store.dialects import lock_quotas
from bot.store.servers import Granted
from bot.studio.requests import WRITE_LOCK_TIMEOUT
from bot.studio.setting_input import UNLIMITED, Limit

ZONES_REACH = timedelta(days=31)  # before now: a job's period is that of its request
MOST_ZONES = 20  # changes of the time zone that are stored
MOST_SUBJECTS = 300  # with rights in a server that are read at once
AUDIT_PAGE = 10

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
NOT_SET = "not set"
# By the name of a setting as it is changed; `amount` and `period` are those of an allowance.
Changed = Mapping[str, Any]


class ManagersOnly(UserError):
    def __init__(self) -> None:
        super().__init__(
            "You may not manage this server. Ask a member with the permission Manage Server."
        )


class BotNotInServer(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The bot itself is not in this server, so there is nothing to set. Add the bot to the "
            "server first."
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """The settings of a server, and the use of its budget in the current period.

    `ends` says when the current day, week and month of the server end.
    """

    settings: ServerSettings
    used: int
    period: Period
    ends: Mapping[PeriodKind, datetime]

    @property
    def limit(self) -> int | None:
        return None if self.settings.budget is None else self.settings.budget.amount

    @property
    def is_used_up(self) -> bool:
        return self.limit is not None and self.used >= self.limit

    @property
    def is_nearly_used_up(self) -> bool:
        return self.limit is not None and self.used * 100 >= self.limit * WARN_AT


@dataclass(frozen=True, slots=True)
class SubjectRights:
    """The rights of a subject: its own, and those of its tier where it has none of its own."""

    subject: Subject
    name: str
    own: Rights
    whole: Rights
    changed: bool = False  # true for a tier that the server has changed


class Servers:
    """The use cases of managers. Each raises ManagersOnly or BotNotInServer for others."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now

    async def settings(self, member: Member) -> ServerSettings:
        check_manager(member)
        return await self.settings_of(member.server_id)

    async def settings_of(self, server_id: int) -> ServerSettings:
        """Return the settings of a server, whoever asks."""
        async with self._database.reading() as view:
            return await servers.settings_of(view, server_id)

    async def budget(self, member: Member) -> Budget:
        check_manager(member)
        now = self._now()
        async with self._database.reading() as view:
            settings = await servers.settings_of(view, member.server_id)
            kind = settings.budget.period if settings.budget else PeriodKind.MONTH
            period = current_period(kind, settings.zones, now)
            used = await used_in_server(view, member.server_id, period, now)
        ends = {each: current_period(each, settings.zones, now).end for each in PeriodKind}
        return Budget(settings, used, period, ends)

    async def rights(self, member: Member, subject: Subject, name: str = "") -> SubjectRights:
        """Return the rights of the default, a tier, a role or a member."""
        check_manager(member)
        async with self._database.reading() as view:
            own = await _rights_of(view, member.server_id, subject, name)
            tiers = await servers.tiers_of(view, member.server_id)
        tier = {**READY_MADE, **tiers}.get(own.tier or "", Rights())
        return SubjectRights(subject, name, own, own.over(tier), name in tiers)

    async def granted(self, member: Member) -> Sequence[Granted]:
        """Return every subject of the server for which rights were set."""
        check_manager(member)
        async with self._database.reading() as view:
            return await servers.all_rights(view, member.server_id, MOST_SUBJECTS)

    async def audit(self, member: Member, before_id: int = NEWEST) -> Sequence[Change]:
        """Return a page of changes, newest first, and one more if there is another page."""
        check_manager(member)
        async with self._database.reading() as view:
            return await changes.of_server(
                view, member.server_id, AUDIT_PAGE + 1, before_id=before_id
            )

    async def change_settings(self, member: Member, changed: Changed) -> Sequence[Change]:
        """Change some of `amount`, `period`, `zone`, `channels`, `roles` and `notices`.

        Return what is different afterwards.
        """
        check_manager(member)

        async def change(tx: Transaction) -> Sequence[Change]:
            await lock_quotas(tx)
            before, now = await servers.settings_of(tx, member.server_id), self._now()
            after = changed_settings(before, changed, now)
            found = settings_changes(member, now, before, after)
            if found:
                await servers.store_settings(tx, member.server_id, after)
            for each in found:
                await changes.append(tx, each)
            return found

        return await self._database.run(change, timeout=WRITE_LOCK_TIMEOUT)

    async def change_rights(
        self, member: Member, subject: Subject, name: str, changed: Changed
    ) -> Sequence[Change]:
        """Change some rights of a subject, by their names, or by `amount` and `period`.

        Return what is different afterwards.
        """
        check_manager(member)

        async def change(tx: Transaction) -> Sequence[Change]:
            await lock_quotas(tx)
            before = await _rights_of(tx, member.server_id, subject, name)
            after = changed_rights(before, changed)
            found = rights_changes(member, self._now(), subject, name, before, after)
            if found:
                await servers.store_rights(tx, member.server_id, subject, name, after)
            for each in found:
                await changes.append(tx, each)
            return found

        return await self._database.run(change, timeout=WRITE_LOCK_TIMEOUT)

    async def reset_tier(self, member: Member, name: str) -> None:
        """Let a tier be as it was ready-made."""
        check_manager(member)

        async def reset(tx: Transaction) -> None:
            await lock_quotas(tx)
            before = await _rights_of(tx, member.server_id, Subject.TIER, name)
            await servers.remove_tier(tx, member.server_id, name)
            key = (Subject.TIER, name, before, READY_MADE[name])
            for each in rights_changes(member, self._now(), *key):
                await changes.append(tx, each)

        await self._database.run(reset, timeout=WRITE_LOCK_TIMEOUT)


def check_manager(member: Member) -> None:
    """Raise BotNotInServer or ManagersOnly for a member who may not set anything here."""
    if not member.server_id:
        raise BotNotInServer
    if not member.may_manage:
        raise ManagersOnly


def limit_of(allowance: Allowance | None) -> Limit:
    """Return the amount of an allowance or a budget, as managers type it."""
    if allowance is None:
        return None
    return UNLIMITED if allowance.amount is None else allowance.amount


def changed_allowance(before: Allowance | None, changed: Changed) -> Allowance | None:
    """Return an allowance after a change of `amount`, `period` or both."""
    limit: Limit = changed.get("amount", limit_of(before))
    kind = changed.get("period", PeriodKind.MONTH if before is None else before.period)
    if limit is None:
        return None
    return Allowance(amount=None if limit == UNLIMITED else limit, period=kind)


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
    member: Member, now: datetime, before: ServerSettings, after: ServerSettings
) -> list[Change]:
    """Return one change for each setting that is different."""
    names = ("budget", "channels", "roles", "notices", "zone")
    return [
        _change(member, now, SETTINGS[name], name, getattr(before, name), getattr(after, name))
        for name in names
        if getattr(before, name) != getattr(after, name)
    ]


def rights_changes(
    member: Member, now: datetime, subject: Subject, name: str, before: Rights, after: Rights
) -> list[Change]:
    """Return one change for each right of a subject that is different."""
    of = subject_text(subject, name)
    return [
        _change(
            *(member, now, f"{of}: {SETTINGS[right]}", right),
            *(getattr(before, right), getattr(after, right)),
        )
        for right in ("tier", *RIGHTS)
        if getattr(before, right) != getattr(after, right)
    ]


def subject_text(subject: Subject, name: str) -> str:
    """Return the name of a subject in the audit: a role or a member as a mention."""
    match subject:
        case Subject.ROLE:
            return f"role <@&{name}>"
        case Subject.MEMBER:
            return f"member <@{name}>"
        case Subject.TIER:
            return f"tier {name}"
        case Subject.DEFAULT:
            return "default rights"


def setting_text(name: str, value: object) -> str:
    """Return the value of a setting or a right for people; channels and roles as mentions."""
    match name, value:
        case (("channels" | "roles"), frozenset()):
            mark = "#" if name == "channels" else "@&"
            return ", ".join(f"<{mark}{each}>" for each in sorted(value)) or "all"
        case _, None:
            return "unlimited" if name == "budget" else NOT_SET
        case _, Allowance(amount=None):
            return UNLIMITED
        case _, Allowance(amount=amount, period=period):
            return f"{credits_text(amount or 0)} credits a {period}"
        case "notices", _:
            return f"<#{value}>"
        case "models", frozenset():
            return "all" if value >= ALL_MODELS else ", ".join(sorted(value)) or "none"
        case _, bool():
            return "allowed" if value else "not allowed"
        case "cooldown", int():
            return f"{value} s" if value else "none"
    return str(value)


def _change(
    member: Member, now: datetime, subject: str, name: str, before: object, after: object
) -> Change:
    return Change(
        server_id=member.server_id,
        user_id=member.user_id,
        created_at=now,
        subject=subject,
        before=setting_text(name, before),
        after=setting_text(name, after),
    )


async def _rights_of(view: Connection, server_id: int, subject: Subject, name: str) -> Rights:
    """Return the rights set for a subject; those of a tier that is as it was ready-made."""
    if subject is Subject.TIER:
        return (await servers.tiers_of(view, server_id)).get(name, READY_MADE[name])
    return await servers.rights_of(view, server_id, subject, name)
