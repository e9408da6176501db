"""The settings of a server and the rights of its subjects, for its managers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.periods import Period, PeriodKind, current_period
from bot.quotas import WARN_AT, Member
from bot.rights import READY_MADE, Rights, ServerSettings, Subject
from bot.services import Services
from bot.store import changes, servers
from bot.store.balances import used_in_server
from bot.store.changes import NEWEST, Change
from bot.store.database import Transaction
from bot.store.dialects import lock_quotas
from bot.store.servers import Granted
from bot.studio.managers import check_manager
from bot.studio.requests import WRITE_LOCK_TIMEOUT
from bot.studio.setting_changes import (
    Changed,
    rights_changes,
    rights_of,
    store_changed_rights,
    store_changed_settings,
)

MOST_SUBJECTS = 300  # with rights in a server that are read at once
AUDIT_PAGE = 10


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
            own = await rights_of(view, member.server_id, subject, name)
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
            made = await store_changed_settings(tx, member, changed, self._now())
            return made.changes

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
            now = self._now()
            made = await store_changed_rights(tx, member, subject, name, changed, now)
            return made.changes

        return await self._database.run(change, timeout=WRITE_LOCK_TIMEOUT)

    async def reset_tier(self, member: Member, name: str) -> None:
        """Let a tier be as it was ready-made."""
        check_manager(member)

        async def reset(tx: Transaction) -> None:
            await lock_quotas(tx)
            before = await rights_of(tx, member.server_id, Subject.TIER, name)
            await servers.remove_tier(tx, member.server_id, name)
            key = (Subject.TIER, name, before, READY_MADE[name])
            for each in rights_changes(member, self._now(), *key):
                await changes.append(tx, each)

        await self._database.run(reset, timeout=WRITE_LOCK_TIMEOUT)
