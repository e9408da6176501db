"""Both stores of pictures, for tests that hold for each."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.jobs import Picture
from bot.pictures import FileStore, PictureStore
from bot.pictures.store import name_of
from tests.support.bucket import Bucket


@dataclass
class Shelf:
    """A store with the means to make its pictures older; `bucket` is None for files."""

    store: PictureStore
    folder: Path
    bucket: Bucket | None = None

    async def holds(self, made: Picture) -> bool:
        return await self.store.find(name_of(made)) is not None

    def age(self, made: Picture, age: timedelta) -> None:
        """Let a picture be stored `age` ago, which was stored just now."""
        if self.bucket is not None:
            self.bucket.age(made, age)
            return
        assert isinstance(self.store, FileStore)
        then = (datetime.now(UTC) - age).timestamp()
        os.utime(self.store.path(made), (then, then))

    def another(self) -> PictureStore:
        """Return the store of another process."""
        if self.bucket is not None:
            return self.bucket.store(self.folder)
        return FileStore(self.folder / "pictures", shared=True)
