"""Balances in the table of notes: the last one of each provider."""

from datetime import UTC, datetime

import pytest

from bot.service_balances import ServiceBalance
from bot.store import service_balances
from bot.store.database import Database, write_note

FOUND = ServiceBalance(1_500_500, datetime(2026, 11, 27, 12, 0, 0, 7, tzinfo=UTC), low=True)


async def test_the_last_balance_of_each_provider_is_stored(database: Database) -> None:
    async with database.transaction() as tx:
        await service_balances.store(tx, {"skills": ServiceBalance(3, FOUND.read_at)})
        await service_balances.store(tx, {"skills": FOUND, "painter": FOUND})
    async with database.reading() as view:
        assert await service_balances.read(view, ["skills", "oxen"]) == {"skills": FOUND}
        assert await service_balances.read(view, []) == {}


@pytest.mark.parametrize("value", ["", "{}", '{"credits": "many"}', "[1]"])
async def test_a_note_that_is_no_balance_is_left_out(database: Database, value: str) -> None:
    async with database.transaction() as tx:
        await write_note(tx, "balance skills", value)
    async with database.reading() as view:
        assert await service_balances.read(view, ["skills"]) == {}
