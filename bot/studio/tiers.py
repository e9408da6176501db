"""Tiers: ready-made rights that the roles of a server, or its default, can take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.errors import UserError
from bot.quotas import Member
from bot.rights import READY_MADE, Rights, Subject
from bot.services import Services
from bot.store import servers
from bot.store.database import Transaction
from bot.store.dialects import lock_quotas
from bot.studio.managers import check_manager
from bot.studio.requests import WRITE_LOCK_TIMEOUT
from bot.studio.setting_changes import store_changed_rights

MOST_SUBJECTS = 300  # whose tiers are read at once


class NoSuchTier(UserError):
    def __init__(self, typed: str) -> None:
        super().__init__(
            "There is no tier {typed}. Choose one of these: {tiers}.",
            typed=typed,
            tiers=tuple(READY_MADE),
        )


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier as a server has it, with the roles that have taken it."""

    name: str
    rights: Rights
    changed: bool  # by the server
    roles: Sequence[int] = ()
    is_default: bool = False  # everybody without a right of a role has it


@dataclass(frozen=True, slots=True)
class TierTaken:
    """The tier of a role or the default, before and now.

    `own` says that the subject has rights of its own, which take precedence.
    """

    before: str | None
    now: str | None
    own: bool


class Tiers:
    """The use cases of `/credits tier`. Each raises ManagersOnly or BotNotInServer for others."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._now = services.now

    async def all(self, manager: Member) -> Sequence[Tier]:
        """Return the tiers of a server."""
        check_manager(manager)
        async with self._database.reading() as view:
            changed: Mapping[str, Rights] = await servers.tiers_of(view, manager.server_id)
            rows = await servers.all_rights(view, manager.server_id, MOST_SUBJECTS)
        return [
            Tier(
                name,
                changed.get(name, rights),
                name in changed,
                tuple(
                    int(each.name)
                    for each in rows
                    if each.subject is Subject.ROLE and each.rights.tier == name
                ),
                any(each.subject is Subject.DEFAULT and each.rights.tier == name for each in rows),
            )
            for name, rights in READY_MADE.items()
        ]

    async def take(self, manager: Member, typed: str, role_id: int | None) -> TierTaken:
        """Give a role the rights of a tier; without a role, the server's default."""
        name = typed.strip().casefold()
        if name not in READY_MADE:
            raise NoSuchTier(typed)
        return await self._set(manager, name, role_id)

    async def drop(self, manager: Member, role_id: int | None) -> TierTaken:
        """Take the tier from a role, or from the server's default."""
        return await self._set(manager, None, role_id)

    async def _set(self, manager: Member, tier: str | None, role_id: int | None) -> TierTaken:
        check_manager(manager)
        subject = Subject.DEFAULT if role_id is None else Subject.ROLE
        name = "" if role_id is None else str(role_id)

        async def change(tx: Transaction) -> TierTaken:
            await lock_quotas(tx)
            changed = {"tier": tier}
            made = await store_changed_rights(tx, manager, subject, name, changed, self._now())
            before = made.before
            own = not before.model_copy(update={"tier": None}).is_empty
            return TierTaken(before.tier, tier, own)

        return await self._database.run(change, timeout=WRITE_LOCK_TIMEOUT)
