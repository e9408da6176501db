"""The rate limits of channels, by the headers of Discord's responses.

discord.py waits for a rate limit inside the request, before the request or after the one that used
the limit up. So a delivery to such a channel does not begin, and one that has begun, or that falls
back to such a channel, says that it waits: others go on meanwhile.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace

import aiohttp

from bot.http_headers import parse_retry_after
from cogs.delivery.timeouts import MAX_RATE_LIMIT_WAIT

MESSAGES = re.compile(r".*/channels/(\d+)/messages")  # posts, and searches for posts
LIMITED = 429

Waits = Callable[[], None]
Posting = Callable[[int], AbstractContextManager[None]]  # to this channel, during the block


class RateLimits:
    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._until: dict[int, float] = {}  # by channel
        self._posts: defaultdict[int, list[Waits]] = defaultdict(list)

    def add_to(self, trace: aiohttp.TraceConfig) -> None:
        """Note the headers of every response that the trace sees."""

        async def answered(
            _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams
        ) -> None:
            self.note(end.url.path, end.response.status, end.response.headers)

        trace.on_request_end.append(answered)

    def channels(self) -> dict[int, float]:
        """Return the channels that take no message now, with the seconds until they do."""
        now = self._seconds()
        self._until = {channel: end for channel, end in self._until.items() if end > now}
        return {channel: end - now for channel, end in self._until.items()}

    @contextmanager
    def posting(self, channel_id: int, waits: Waits) -> Iterator[None]:
        """Call `waits` if the channel has a rate limit, or reaches it before the block ends."""
        if channel_id in self.channels():  # of a destination after the first
            waits()
        self._posts[channel_id].append(waits)
        try:
            yield
        finally:
            self._posts[channel_id].remove(waits)
            if not self._posts[channel_id]:
                del self._posts[channel_id]

    def note(self, path: str, status: int, headers: Mapping[str, str]) -> None:
        """Note a response: did the request use up the limit of a channel's messages?"""
        matched = MESSAGES.fullmatch(path)
        wait = _wait_after(status, headers)
        if matched is None or not wait:
            return
        channel_id = int(matched[1])
        self._until[channel_id] = self._seconds() + wait
        for waits in self._posts.get(channel_id, ()):
            waits()


def _wait_after(status: int, headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds discord.py sends no such request; None if it sends the next."""
    wait: float | None = None
    if status == LIMITED and "Via" in headers:  # without, discord.py raises an error
        wait = parse_retry_after(headers.get("Retry-After")) or 1.0
    elif status != LIMITED and headers.get("X-RateLimit-Remaining") == "0":
        wait = parse_retry_after(headers.get("X-RateLimit-Reset-After"))
    # For a longer wait, discord.py raises an error, and the worker postpones the one job.
    return wait if wait is not None and wait <= MAX_RATE_LIMIT_WAIT else None
