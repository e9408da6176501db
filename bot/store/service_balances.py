"""The balances at the services as the processes share them: one note for each provider."""

from collections.abc import Iterable, Mapping

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.service_balances import ServiceBalance
from bot.store.database import write_note
from bot.store.tables import notes

PREFIX = "balance "
NOTES = select(notes.c.name, notes.c.value).where(
    notes.c.name.in_(bindparam("names", expanding=True))
)
STORED = TypeAdapter(ServiceBalance)


async def read(connection: AsyncConnection, providers: Iterable[str]) -> dict[str, ServiceBalance]:
    """Return the last balance of each provider that has one."""
    names = [PREFIX + each for each in providers]
    found = {}
    for name, value in await connection.execute(NOTES, {"names": names}):
        try:
            found[name.removeprefix(PREFIX)] = STORED.validate_json(value)
        except ValidationError:  # by another version, or edited: the next reading replaces it
            continue
    return found


async def store(tx: AsyncConnection, balances: Mapping[str, ServiceBalance]) -> None:
    for provider, balance in balances.items():
        await write_note(tx, PREFIX + provider, STORED.dump_json(balance).decode())
