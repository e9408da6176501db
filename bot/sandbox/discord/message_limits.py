"""Discord's rate limit for messages in a channel, with the headers that announce the limit."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

POSTS = re.compile(r"/api/v\d+/channels/(\d+)/messages")


@dataclass(slots=True)
class Window:
    """The posts to one channel since the first of them; a new window begins after the end."""

    end: float
    left: int


class MessageLimits:
    """Allow `count` posts in `seconds` to each channel, in real time; without limit until set."""

    def __init__(self) -> None:
        self._count = 0
        self._seconds = 0.0
        self._windows: dict[str, Window] = {}

    def set(self, count: int, seconds: float) -> None:
        self._count, self._seconds = count, seconds
        self._windows.clear()

    @web.middleware
    async def middleware(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        posted = POSTS.fullmatch(request.path)
        if posted is None or request.method != "POST" or not self._count:
            return await handler(request)
        window = self._window(posted[1])
        if window.left == 0:
            await request.read()  # else a client that is still sending would see a reset
            return self._refusal(window)
        window.left -= 1
        response = await handler(request)
        response.headers.update(self._headers(window))
        return response

    def _window(self, channel: str) -> Window:
        now = time.monotonic()
        window = self._windows.get(channel)
        if window is None or window.end <= now:
            window = self._windows[channel] = Window(now + self._seconds, self._count)
        return window

    def _refusal(self, window: Window) -> web.Response:
        wait = round(window.end - time.monotonic(), 3)
        body = {"message": "You are being rate limited.", "retry_after": wait, "global": False}
        refusal = web.json_response(body, status=429)
        # discord.py takes a charset parameter for plain text, and a 429 without Via for a proxy's.
        refusal.headers["Content-Type"] = "application/json"
        refusal.headers.update({**self._headers(window), "Via": "1.1 google"})
        refusal.headers["Retry-After"] = str(wait)
        return refusal

    def _headers(self, window: Window) -> dict[str, str]:
        return {
            "X-RateLimit-Bucket": "messages",
            "X-RateLimit-Limit": str(self._count),
            "X-RateLimit-Remaining": str(window.left),
            "X-RateLimit-Reset-After": f"{max(window.end - time.monotonic(), 0):.3f}",
        }
