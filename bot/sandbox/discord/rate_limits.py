"""The limit of new messages in a channel, with the headers by which clients avoid a refusal."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MESSAGES: Final = 5  # in a window, by every application in each channel
WINDOW_SECONDS: Final = 5.0
LIMITED: Final = ("POST", "/channels/{channel_id}/messages")
BUCKET: Final = "80c17d2f203122d936070c88c8d10f33"  # opaque to clients, one for each limit
VIA: Final = "1.1 google"  # absent only in answers of a proxy that bans the client


@dataclass(frozen=True, slots=True)
class Allowance:
    """The state of a channel's window after one request. `remaining` is -1 for a refused one."""

    remaining: int
    reset_after: float  # seconds until the end of the window
    limit: int = MESSAGES

    @property
    def exceeded(self) -> bool:
        return self.remaining < 0

    @property
    def body(self) -> Mapping[str, object]:
        """Return the body of the refusal."""
        return {
            "message": "You are being rate limited.",
            "retry_after": round(self.reset_after, 3),
            "global": False,
        }

    @property
    def headers(self) -> Mapping[str, str]:
        shown = {
            "Via": VIA,
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.remaining, 0)),
            "X-RateLimit-Reset": f"{time.time() + self.reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{self.reset_after:.3f}",
            "X-RateLimit-Bucket": BUCKET,
        }
        if self.exceeded:
            shown |= {"Retry-After": f"{self.reset_after:.3f}", "X-RateLimit-Scope": "user"}
        return shown


class RateLimits:
    """The windows of all channels: each begins with the first request after the previous one.

    Real time, because clients sleep in real time. `messages` and `seconds` may be changed while
    the server runs.
    """

    def __init__(self, *, enabled: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.enabled = enabled
        self.messages, self.seconds = MESSAGES, WINDOW_SECONDS
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}  # begin and requests, by channel

    def take(self, method: str, path: str, parameters: Mapping[str, str]) -> Allowance | None:
        """Count a request; return None if no limit concerns requests of this kind."""
        if not self.enabled or (method, path) != LIMITED:
            return None
        channel, now = parameters["channel_id"], self._clock()
        began, used = self._windows.get(channel, (now, 0))
        if now - began >= self.seconds:
            began, used = now, 0
        used = min(used + 1, self.messages + 1)
        self._windows[channel] = began, used
        return Allowance(self.messages - used, began + self.seconds - now, self.messages)
