"""The tokens by which a menu changes a result that the bot cannot reach as its own message.

Such a result is private, or in a channel of which the bot is no member. Only the token of the
press on *More* reaches it, as `@original`, and only for 15 minutes. The menu is another message,
whose presses have tokens of their own, so the first token is held here: in memory, because it
gives access and is worthless after 15 minutes. After a restart, the member presses *More* again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from bot.jobs import TOKEN_LIFE

REMEMBERED = 1000  # presses, the newest ones


@dataclass(frozen=True, slots=True)
class Grant:
    """The access to one message: the one under which *More* was pressed."""

    message_id: int
    application_id: int
    token: str = field(repr=False)
    expires_at: datetime


class MenuTokens:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._grants: dict[tuple[int, int], Grant] = {}  # by member and message, oldest first

    def add(self, user_id: int, message_id: int, application_id: int, token: str) -> None:
        """Remember the token of a member's press on *More* under a message.

        To be called before the menu is sent: its buttons may be pressed before Discord's answer
        arrives.
        """
        now = self._now()
        for expired in [key for key, each in self._grants.items() if each.expires_at <= now]:
            del self._grants[expired]
        key = user_id, message_id
        self._grants.pop(key, None)  # the new one is the newest
        if len(self._grants) >= REMEMBERED:
            del self._grants[next(iter(self._grants))]
        self._grants[key] = Grant(message_id, application_id, token, now + TOKEN_LIFE)

    def find(self, user_id: int, message_id: int) -> Grant | None:
        """Return a member's access to this message, while it lasts."""
        grant = self._grants.get((user_id, message_id))
        return grant if grant and grant.expires_at > self._now() else None
