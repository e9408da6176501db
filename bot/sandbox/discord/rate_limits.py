"""Rate limits: of the routes, with the headers by which clients avoid a refusal, and of all
requests of one sender."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MESSAGES: Final = 5  # in a window, by every application in each channel
WINDOW_SECONDS: Final = 5.0
LIMITED: Final = ("POST", "/channels/{channel_id}/messages")
# Discord does not publish the limits of the other routes: that of all requests of a bot serves
OTHERS: Final = 50
OTHER_SECONDS: Final = 1.0
# a route's parameters that have a limit of their own each, by Discord's documentation
MAJOR: Final = ("channel_id", "guild_id", "webhook_id", "webhook_token")
UNLIMITED: Final = "/interactions/"  # answers to interactions, without headers
GLOBAL: Final = 50  # requests of one sender in any second
GLOBAL_SECONDS: Final = 1.0
# "The endpoints below are not bound to the application's Global Rate Limit": responses to
# interactions and follow-ups (documentation, Receiving and Responding)
OF_INTERACTIONS: Final = (UNLIMITED, "/webhooks/{webhook_id}/{webhook_token}")
VIA: Final = "1.1 google"  # absent only in answers of a proxy that bans the client


@dataclass(frozen=True, slots=True)
class Allowance:
    """The state of a bucket's window after one request. `remaining` is -1 for a refused one."""

    remaining: int
    reset_after: float  # seconds until the end of the window
    limit: int
    bucket: str

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
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.remaining, 0)),
            "X-RateLimit-Reset": f"{time.time() + self.reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{self.reset_after:.3f}",
            "X-RateLimit-Bucket": self.bucket,
        }
        if self.exceeded:
            shown |= {"Retry-After": f"{self.reset_after:.3f}", "X-RateLimit-Scope": "user"}
        return shown


@dataclass(frozen=True, slots=True)
class Exhausted:
    """A refusal by the global limit."""

    retry_after: float

    @property
    def body(self) -> Mapping[str, object]:
        return {
            "message": "You are being rate limited.",
            "retry_after": round(self.retry_after, 3),
            "global": True,
        }

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "Retry-After": f"{self.retry_after:.3f}",
            "X-RateLimit-Global": "true",
            "X-RateLimit-Scope": "global",
        }


class RateLimits:
    """The windows of all buckets: each begins with the first request after the previous one.

    Real time, because clients sleep in real time. `messages` and `seconds`, the limit of new
    messages in each channel, may be changed while the server runs, and so may `requests`, the
    global limit. Without `enabled`, every request begins a window: clients read the headers and
    never have to wait.
    """

    def __init__(self, *, enabled: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.enabled = enabled
        self.messages, self.seconds = MESSAGES, WINDOW_SECONDS
        self.requests = GLOBAL
        self._clock = clock
        self._senders: dict[str, deque[float]] = {}  # times of the requests that were served
        self._windows: dict[tuple[str, ...], tuple[float, int]] = {}  # begin and requests

    def take_global(self, path: str, sender: str) -> Exhausted | None:
        """Count a request of any kind; return the refusal if the sender has sent too many.

        `sender` is the Authorization: requests without one count for the address, which is one and
        the same here. The last second counts, whenever it began.
        """
        if path.startswith(OF_INTERACTIONS) or not self.enabled:
            return None
        now, served = self._clock(), self._senders.setdefault(sender, deque())
        while served and now - served[0] >= GLOBAL_SECONDS:
            served.popleft()
        if len(served) >= self.requests:
            return Exhausted(served[0] + GLOBAL_SECONDS - now)
        served.append(now)
        return None

    def take(self, method: str, path: str, parameters: Mapping[str, str]) -> Allowance | None:
        """Count a request; return None if no limit concerns requests of this kind."""
        if path.startswith(UNLIMITED):
            return None
        limited = (method, path) == LIMITED and self.enabled
        most, seconds = (self.messages, self.seconds) if limited else (OTHERS, OTHER_SECONDS)
        bucket = _bucket(method, path)
        key = (bucket, *(parameters[name] for name in MAJOR if name in parameters))
        now = self._clock()
        began, used = self._windows.get(key, (now, 0))
        if now - began >= seconds or not self.enabled:
            began, used = now, 0
        used = min(used + 1, most + 1)
        if self.enabled:
            self._windows[key] = began, used
        return Allowance(most - used, began + seconds - now, most, bucket)


def _bucket(method: str, path: str) -> str:
    """Return the opaque name of a limit, the same for all channels."""
    return hashlib.sha256(f"{method} {path}".encode()).hexdigest()[:32]
