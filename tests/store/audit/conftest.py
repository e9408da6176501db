from pathlib import Path

import pytest

from tests.support.books import write_books


@pytest.fixture
async def books(tmp_path: Path) -> Path:
    """A database with a job for every outcome."""
    path = tmp_path / "easel.db"
    await write_books(path)
    return path
