import asyncio
import shutil
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


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows. A copy of it costs a tenth of the migrations."""

    async def write(path: Path) -> None:
        async with Database(path):
            pass

    path = tmp_path_factory.mktemp("migrated") / "easel.db"
    asyncio.run(write(path))
    return path


@pytest.fixture
def empty_file(migrated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(migrated, tmp_path / "easel.db"))


@pytest.fixture
async def database(empty_file: Path) -> AsyncIterator[Database]:
    async with Database(empty_file) as opened:
        yield opened


@pytest.fixture
async def at(empty_file: Path) -> AsyncIterator[Stage]:
    """Discord and the image APIs, ready; a test starts Easel between them itself."""
    async with stage(empty_file.parent) as made:
        yield made
