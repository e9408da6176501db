"""Allowances, grants and time zones of the server of a test, as managers would set them."""

from bot.ledger import Account, EntryKind, LedgerEntry
from bot.periods import PeriodKind, ZoneChange
from bot.rights import Allowance, Rights, ServerSettings, Subject
from bot.sandbox.discord import User
from bot.store import ledger, servers
from tests.support.easel import Stage


async def allow(at: Stage, credits: float, period: PeriodKind = PeriodKind.WEEK) -> None:
    """Set the allowance that every member of the server has by default."""
    rights = Rights(allowance=Allowance(amount=round(credits * 1000), period=period))
    async with at.database() as database, database.transaction() as tx:
        await servers.store_rights(tx, at.server.id, Subject.DEFAULT, "", rights)


async def grant(at: Stage, credits: float, *, to: User | None = None) -> None:
    """Give a member credits that last until they are used."""
    amount, now = round(credits * 1000), at.clock()
    account = Account((to or at.ada).id, at.server.id)
    entry = LedgerEntry(account, EntryKind.GRANT, amount, now, now, granted=amount)
    async with at.database() as database, database.transaction() as tx:
        await ledger.append(tx, entry)


async def move_to(at: Stage, zone: str) -> None:
    """Set the time zone of the server."""
    settings = ServerSettings(zones=(ZoneChange(at.clock(), zone),))
    async with at.database() as database, database.transaction() as tx:
        await servers.store_settings(tx, at.server.id, settings)
