"""The event stream of one generation at skills.video (apis.md, skills.video: events)."""

import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from bot.errors import ProviderError, Reason, Taken
from bot.providers.base import Canceled, Failed, Finished
from bot.providers.byte_stream import ByteStream
from bot.providers.error_mapping import has_error
from bot.providers.parsing import JsonObject
from bot.providers.skills.rows import Reader, id_of, row_of, status_of
from bot.providers.sse import Decoder, Event

log = logging.getLogger(__name__)


class GenerationStream:
    """Implements bot.providers.base.Stream."""

    def __init__(self, body: ByteStream, reader: Reader, close: Callable[[], None]) -> None:
        """`close` closes the body, and may be called more than once."""
        self._body = body
        self._reader = reader
        self._close = close
        self._decoder = Decoder()
        self._rows = deque[JsonObject]()
        self._remote_id: str | None = None

    async def first(self) -> JsonObject:
        """Return the first event with an id, or with an error; later ones are for `ends`.

        ProviderError if the stream ends before: the generation may exist.
        """
        try:
            while (row := await self._next()) is not None:
                self._remote_id = id_of(row)
                if self._remote_id is not None or has_error(row):
                    return row
        except ProviderError as error:
            raise ProviderError(error.reason, error.detail, Taken.DOUBTFUL) from None
        raise ProviderError(Reason.MALFORMED, "a stream without an id", Taken.DOUBTFUL)

    async def ends(self) -> AsyncIterator[str]:
        try:
            while (row := await self._next()) is not None:
                if self._remote_id is not None and self._is_end(row):
                    yield self._remote_id
                    return
        except ProviderError as error:
            log.info("event stream of %s broke, polling: %s", self._remote_id, error)
        else:
            log.info("event stream of %s ended early, polling", self._remote_id)

    def close(self) -> None:
        self._close()

    async def _next(self) -> JsonObject | None:
        """Return the next event that is a JSON object; None at the end of the stream."""
        while not self._rows:
            piece = await self._body.read()
            if not piece:
                return None
            self._rows.extend(row for event in self._decoder.feed(piece) if (row := _row(event)))
        return self._rows.popleft()

    def _is_end(self, row: JsonObject) -> bool:
        """Return whether an event says that this generation has ended."""
        if id_of(row) != self._remote_id or status_of(row) is None:
            return False
        return isinstance(self._reader.update(row), Finished | Failed | Canceled)


def _row(event: Event) -> JsonObject:
    """Return the generation in an event, empty if there is none."""
    try:
        return row_of(json.loads(event.data))
    except (ValueError, RecursionError):
        return {}
