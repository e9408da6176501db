"""ReducedCopies: copies that fit an upload limit, stored beside the originals."""

import asyncio
from pathlib import Path

from bot.errors import ProviderError, Reason
from bot.jobs import Picture, PictureKind
from bot.pictures.decoder import Decoder, Undecodable
from bot.pictures.files import PictureStore
from bot.pictures.retention import Retention


class ReducedCopies:
    def __init__(self, store: PictureStore, decoder: Decoder, retention: Retention) -> None:
        self._store = store
        self._decoder = decoder
        self._retention = retention

    async def fit(self, picture: Picture, limit: int, *, member: int) -> Path:
        """Return a file of at most `limit` bytes: the original, or a copy, made once for a limit.

        Raises FileNotFoundError if retention has removed the picture, ProviderError(MALFORMED) if
        there can be no such copy, NotDecoded if there is none now.
        """
        if not await asyncio.to_thread(self._store.path(picture).exists):
            raise FileNotFoundError(self._store.path(picture))
        if picture.size <= limit:
            return self._store.path(picture)
        copies = [self._copy(picture, limit, kind) for kind in (PictureKind.JPEG, PictureKind.WEBP)]
        for copy in copies:
            if await asyncio.to_thread(copy.exists):
                return copy
        return await self._make(picture, limit, member)

    async def _make(self, picture: Picture, limit: int, member: int) -> Path:
        original = self._store.path(picture)
        unfinished = await asyncio.to_thread(self._store.temporary, picture)
        try:
            kind = await self._decoder.shrink(original, unfinished, limit, picture, member=member)
            size = (await asyncio.to_thread(unfinished.stat)).st_size
            async with self._retention.room(size):
                copy = self._copy(picture, limit, kind)
                return await asyncio.to_thread(unfinished.replace, copy)
        except Undecodable as error:
            raise ProviderError(Reason.MALFORMED, str(error)) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _copy(self, picture: Picture, limit: int, kind: PictureKind) -> Path:
        return self._store.named(picture, f"-{limit}.{kind}")
