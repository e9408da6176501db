"""The choices of a server's managers, stored by the functions of the store."""

from datetime import datetime
from typing import Any

from bot.ledger import Account, EntryKind, LedgerEntry
from bot.periods import PeriodKind
from bot.rights import Allowance, Rights, ServerSettings, Subject
from bot.sandbox.discord import Role, User
from bot.store import ledger, servers
from bot.store.database import Transaction
from tests.support.easel import Stage


def credits(amount: float | None, period: PeriodKind = PeriodKind.MONTH) -> Allowance:
    """Return an allowance or a budget of whole or half credits; None is no limit."""
    return Allowance(amount=None if amount is None else round(amount * 1000), period=period)


async def allow(at: Stage, to: User | Role | None = None, **rights: Any) -> None:  # noqa: ANN401
    """Set the rights of a member, of a role, or the default of the server."""
    subject, name = Subject.DEFAULT, ""
    if to is not None:
        subject, name = (Subject.MEMBER if isinstance(to, User) else Subject.ROLE), str(to.id)
    async with at.database() as database, database.transaction() as tx:
        await servers.store_rights(tx, at.server.id, subject, name, Rights(**rights))


async def choose(at: Stage, **settings: Any) -> None:  # noqa: ANN401
    """Replace the settings of the server."""
    async with at.database() as database, database.transaction() as tx:
        await servers.store_settings(tx, at.server.id, ServerSettings(**settings))


async def grant(at: Stage, amount: int, to: User | None = None) -> None:
    async with at.database() as database, database.transaction() as tx:
        account = Account((to or at.ada).id, at.server.id)
        await add_grant(tx, account, amount * 1000, at.clock())


async def add_grant(tx: Transaction, account: Account, amount: int, now: datetime) -> None:
    """Append a grant of so many thousandths of a credit."""
    entry = LedgerEntry(
        account, EntryKind.GRANT, amount, counted_at=now, created_at=now, granted=amount
    )
    await ledger.append(tx, entry)


async def grants_left(at: Stage, of: User | None = None) -> float:
    async with at.database() as database, database.reading() as view:
        account = Account((of or at.ada).id, at.server.id)
        return await ledger.grants_left(view, account) / 1000
