"""The tests of the store run on both kinds of databases."""

from collections.abc import AsyncIterator

import pytest

from bot.store.backends import open_database
from bot.store.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        yield opened
