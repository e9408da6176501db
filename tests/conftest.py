from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from bot.store.database import Database
from tests.support.easel import Stage, stage

# No test depends on how fast the machine is.
hypothesis.settings.register_profile(
    "easel", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("easel")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "easel.db") as opened:
        yield opened


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Stage]:
    """Discord and the image APIs, ready; a test starts Easel between them itself."""
    async with stage(tmp_path) as made:
        yield made
