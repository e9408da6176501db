import asyncio
import shutil
from pathlib import Path

import pytest

from bot.store.sqlite import SQLiteDatabase
from tests.support.books import write_books


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("books") / "easel.db"
    asyncio.run(write_books(SQLiteDatabase(path)))
    return path


@pytest.fixture
def books(written: Path, tmp_path: Path) -> Path:
    """A database with a job for every outcome."""
    return Path(shutil.copyfile(written, tmp_path / "easel.db"))
