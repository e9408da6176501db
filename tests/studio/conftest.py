from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.services import Services
from bot.store.database import Database
from bot.studio.results import Results
from tests.support.clock import Moment
from tests.support.services import services_on


@pytest.fixture
def clock() -> Moment:
    return Moment()


@pytest.fixture
async def services(database: Database, tmp_path: Path, clock: Moment) -> AsyncIterator[Services]:
    """Services with one model, at Oxen.ai, on a database without rows."""
    opened = services_on(database, tmp_path / "pictures", clock)
    async with opened.decoder:
        yield opened


@pytest.fixture
def results(services: Services) -> Results:
    return Results(services)
