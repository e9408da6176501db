"""Reports of the providers' event streams, which this process or another one follows."""

from datetime import datetime, timedelta

SILENCE = timedelta(seconds=45)  # three missed keep-alives (apis.md, Oxen: events)
REMEMBERED = 2000  # ends of generations that may be those of jobs not watched yet


class StreamHealth:
    def __init__(self) -> None:
        self._alive: dict[str, datetime] = {}  # the last sign of life, by provider
        self._since: dict[str, datetime] = {}  # the first one since the last gap
        self._heard: dict[str, datetime] = {}  # by remote id; the newest is last

    def lives(self, provider: str, now: datetime) -> bool:
        """Note a sign of life; return whether the stream was not followed before."""
        is_new = not self.is_followed(provider, now)
        self._alive[provider] = now
        if is_new:
            self._since[provider] = now
        return is_new

    def end(self, provider: str) -> bool:
        """Note the end of a stream; return whether the stream had given a sign of life."""
        self._since.pop(provider, None)
        return self._alive.pop(provider, None) is not None

    def is_followed(self, provider: str, now: datetime) -> bool:
        """Return whether the ends of a provider's generations are reported now."""
        alive = self._alive.get(provider)
        return alive is not None and now - alive <= SILENCE

    def may_have_missed(self, provider: str, since: datetime) -> bool:
        """Return whether an end after `since` may have come before the stream was followed."""
        followed_since = self._since.get(provider)
        return followed_since is None or followed_since > since

    def hear(self, remote_id: str, now: datetime) -> None:
        """Remember the report of an end."""
        self._heard.pop(remote_id, None)
        self._heard[remote_id] = now
        if len(self._heard) > REMEMBERED:
            del self._heard[next(iter(self._heard))]

    def heard(self, remote_id: str) -> datetime | None:
        """Return when the end of a generation was reported; None if it was not."""
        return self._heard.get(remote_id)
