"""The creating request to skills.video: by an event stream, else without one.

Both requests create (apis.md, skills.video: events), so that only one that was surely not taken is
followed by the other.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from urllib.parse import quote

from bot.clock import elapsed
from bot.errors import ProviderError, Reason, Taken
from bot.providers.api_client import DATA_LIMIT, Api, NotServed
from bot.providers.base import Running, Submission, Submitted, Waiting
from bot.providers.byte_stream import ByteStream
from bot.providers.error_mapping import has_error
from bot.providers.skills.model import SkillsSettings
from bot.providers.skills.rows import Reader, id_of, row_of
from bot.providers.skills.stream import GenerationStream

log = logging.getLogger(__name__)

SUBMIT_TIMEOUT = 60.0  # seconds until the answer, or until the first event with an id
SILENCE = 120.0  # seconds between events, as in the vendor's helper (apis.md, skills.video: events)
# Without streams after an unknown outcome: a proxy may hold back events, or an account lack them.
PAUSE = 600.0  # seconds

Body = Mapping[str, object]


class Creator:
    """Sends creating requests, and counts the open streams of this process by member."""

    def __init__(self, api: Api, reader: Reader, settings: SkillsSettings) -> None:
        self._api = api
        self._reader = reader
        self._model = quote(settings.model, safe="/")
        self._most = 0 if settings.stream == "off" else settings.stream_max
        self._open: Counter[int] = Counter()
        self._served = True
        self._paused_until = 0.0  # by `elapsed`

    async def create(self, body: Body, member: int) -> Submission:
        """Create a generation once; `taken` of a ProviderError says whether the API did so."""
        paused = elapsed() < self._paused_until
        if paused or not self._served or not self._may_open(member):
            return await self._plain(body)
        try:
            return await self._streamed(body, member)
        except NotServed as error:  # surely not taken
            return await self._unserved(body, error)
        except ProviderError as error:
            if error.taken is Taken.DOUBTFUL:
                self._paused_until = elapsed() + PAUSE
                log.info("event stream of skills.video failed, none is opened for 10 minutes")
            raise

    def _may_open(self, member: int) -> bool:
        """Return whether a member has fewer open streams than are free.

        One member therefore has at most half of all streams. Members with many jobs have equal
        shares in the end, and a share as large stays free for the next member.
        """
        return self._open[member] < self._most - self._open.total()

    async def _plain(self, body: Body) -> Submission:
        answer = await self._api.request(
            "POST",
            f"/generation/{self._model}",
            json=body,
            timeout=SUBMIT_TIMEOUT,
            limit=DATA_LIMIT,  # the answer may have the pictures already
        )
        return Submission((self._submitted(answer),))

    async def _unserved(self, body: Body, refusal: NotServed) -> Submission:
        """Create without a stream, because the API has none, or does not have the model."""
        self._served = False
        try:
            return await self._plain(body)
        except ProviderError as error:
            # An unknown model is refused alike at both addresses, and says nothing about streams.
            self._served = error.taken is Taken.REFUSED and error.reason is Reason.NOT_FOUND
            raise
        finally:
            if not self._served:
                log.info("no event streams at skills.video, polling until a restart: %s", refusal)

    async def _streamed(self, body: Body, member: int) -> Submission:
        self._open[member] += 1
        resources = ExitStack()
        resources.callback(self._count_closed, member)
        with ExitStack() as unless_kept:
            unless_kept.callback(resources.close)
            with self._api.observing("POST"):
                answer, stream = await self._first(body, resources)
            submitted = self._submitted(answer)
            if stream is None or not isinstance(submitted.update, Waiting | Running):
                return Submission((submitted,))
            unless_kept.pop_all()
            return Submission((submitted,), stream)

    async def _first(
        self, body: Body, resources: ExitStack
    ) -> tuple[object, GenerationStream | None]:
        """Return the first event of the stream, or an answer that is no stream."""
        try:
            async with asyncio.timeout(SUBMIT_TIMEOUT):
                answer = await self._api.create(
                    f"/generation/sse/{self._model}",
                    json=body,
                    timeout=SUBMIT_TIMEOUT,
                    limit=DATA_LIMIT,
                    silence=SILENCE,
                )
                if not isinstance(answer, ByteStream):
                    return answer, None
                resources.callback(answer.close)
                stream = GenerationStream(answer, self._reader, resources.close)
                return await stream.first(), stream
        except TimeoutError:
            detail = f"no event within {SUBMIT_TIMEOUT:.0f} s"
            raise ProviderError(Reason.TIMEOUT, detail, Taken.DOUBTFUL) from None

    def _submitted(self, answer: object) -> Submitted:
        row = row_of(answer)
        remote_id = id_of(row)
        if remote_id is not None:
            return Submitted(remote_id, self._reader.first_update(row))
        if has_error(answer):
            raise self._api.refused(answer)
        raise ProviderError(Reason.MALFORMED, "no id in the answer", Taken.DOUBTFUL)

    def _count_closed(self, member: int) -> None:
        self._open[member] -= 1
        if not self._open[member]:
            del self._open[member]
