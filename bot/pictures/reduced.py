"""ReducedCopies: copies that fit an upload limit, stored beside the originals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bot.errors import NotNow, ProviderError, Reason
from bot.jobs import Picture, PictureKind
from bot.pictures.decoder import Decoder, Undecodable
from bot.pictures.marks import Mark, packet_for_copy
from bot.pictures.retention import Retention
from bot.pictures.store import PictureStore, StoredFile, name_of


@dataclass(frozen=True, slots=True)
class Fitted:
    """A local file within an upload limit, for reading while it is lent."""

    path: Path
    kind: str
    size: int


class ReducedCopies:
    def __init__(self, store: PictureStore, decoder: Decoder, retention: Retention) -> None:
        self._store = store
        self._decoder = decoder
        self._retention = retention

    @asynccontextmanager
    async def fit(
        self, picture: Picture, limit: int, *, member: int, mark: Mark | None = None
    ) -> AsyncIterator[Fitted]:
        """Lend a file of at most `limit` bytes: the original, or a copy, made once for a limit.

        A copy has the original's mark, or `mark` if the original has none in XMP, such as one with
        C2PA data, which are lost in the copy.

        Raises FileNotFoundError if retention has removed the picture, ProviderError(MALFORMED) if
        there can be no such copy, NotDecoded or PicturesUnavailable if there is none now.
        """
        original = await self._store.find(name_of(picture))
        if original is None:
            raise FileNotFoundError(name_of(picture))
        fitting = original
        if picture.size > limit:
            fitting = await self._copy_of(picture, original, limit, member, mark)
        async with self._store.local(fitting) as path:
            yield Fitted(path, fitting.name.rpartition(".")[2], fitting.size)

    async def _copy_of(
        self, picture: Picture, original: StoredFile, limit: int, member: int, mark: Mark | None
    ) -> StoredFile:
        for kind in (PictureKind.JPEG, PictureKind.WEBP):
            if copy := await self._store.find(_name(picture, limit, kind)):
                return copy
        return await self._make(picture, original, limit, member, mark)

    async def _make(
        self, picture: Picture, original: StoredFile, limit: int, member: int, mark: Mark | None
    ) -> StoredFile:
        unfinished = await asyncio.to_thread(self._store.temporary, picture)
        try:
            async with self._store.local(original) as path:
                xmp = await asyncio.to_thread(packet_for_copy, path, mark, limit)
                kind = await self._decoder.shrink(
                    path, unfinished, limit, picture, member=member, xmp=xmp
                )
            size = (await asyncio.to_thread(unfinished.stat)).st_size
            name = _name(picture, limit, kind)
            with suppress(NotNow):  # a result that nobody recognises later is posted all the same
                await self._retention.note_copy(unfinished, picture)
            async with self._retention.room(size):
                await self._store.add(unfinished, name)
            return StoredFile(name, size, original.touched)
        except Undecodable as error:
            raise ProviderError(Reason.MALFORMED, str(error)) from error
        finally:
            unfinished.unlink(missing_ok=True)


def _name(picture: Picture, limit: int, kind: PictureKind) -> str:
    return f"{picture.sha256}-{limit}.{kind}"
