"""Clients at the stand-in of Discord, without a gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import discord
import pytest

from bot.store.database import Database
from tests.support.ground import Ground, ground
from tests.support.serving import Serving, serving


@pytest.fixture
async def client() -> AsyncIterator[discord.Client]:
    """A client that has not logged in."""
    async with discord.Client(intents=discord.Intents.none()) as made:
        yield made


@pytest.fixture
async def on() -> AsyncIterator[Ground]:
    """A client without Easel; modules may have more on it."""
    async with ground() as made:
        yield made


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Serving]:
    """A client with a studio; modules may have more on it."""
    async with serving(database, tmp_path) as made:
        yield made
