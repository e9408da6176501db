from pathlib import Path

import pytest

from bot.services import Services
from bot.store.database import Database
from tests.support.services import services_on
from tests.support.studio import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(database: Database, tmp_path: Path, clock: Clock) -> Services:
    """Services with one model, at Oxen.ai, on a database without rows."""
    return services_on(database, tmp_path / "pictures", clock)
