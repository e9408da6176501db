"""Ids, users and channels, and their form in the API."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.request_body import Json

if TYPE_CHECKING:
    from bot.sandbox.discord.guilds import Guild

EPOCH_MS: Final = 1_420_070_400_000  # the first second of 2015, the epoch of snowflakes
MIB: Final = 1024 * 1024


def iso(seconds: float) -> str:
    """Return a time in the API's format."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


class Snowflakes:
    """A generator of ids that contain the time and always grow, even if the clock does not."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._last = 0

    def next(self) -> int:
        now = max(0, int(self.clock() * 1000) - EPOCH_MS) << 22
        self._last = max(now, self._last + 1)
        return self._last


class ChannelKind(IntEnum):
    """Channel types with Discord's numbers."""

    TEXT = 0
    DM = 1
    VOICE = 2
    GROUP_DM = 3
    ANNOUNCEMENT = 5
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    STAGE = 13


VOCAL: Final = frozenset({ChannelKind.VOICE, ChannelKind.STAGE})
THREADS: Final = frozenset({ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD})


@dataclass(eq=False)
class User:
    """A person, or the bot. `upload_limit` is the limit of the user's own client in bytes."""

    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"
    accepts_dms: bool = True
    upload_limit: int = 10 * MIB

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    def to_json(self) -> Json:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": None if self.bot else self.name,
            "discriminator": "0000" if self.bot else "0",
            "avatar": None,
            "banner": None,
            "accent_color": None,
            "avatar_decoration_data": None,
            "collectibles": None,
            "primary_guild": None,
            "public_flags": 0,
            "flags": 0,
            "bot": self.bot,
        }


@dataclass(eq=False)
class Channel:
    """A channel or thread. `overwrite` replaces the usual permissions of the bot."""

    id: int
    name: str
    kind: ChannelKind
    created_at: str
    guild: "Guild | None" = None
    parent: "Channel | None" = None
    nsfw: bool = False
    bot_id: int = 0
    overwrite: int | None = None
    recipients: list[User] = field(default_factory=list)
    bot_in_thread: bool = True
    archived: bool = False
    locked: bool = False
    deleted: bool = False
    last_message_id: int | None = None

    @property
    def is_thread(self) -> bool:
        return self.kind in THREADS

    @property
    def bot_can_see_thread(self) -> bool:
        return self.kind is not ChannelKind.PRIVATE_THREAD or self.bot_in_thread

    @property
    def context(self) -> int:
        """Return the context of interactions: 0 a server, 1 a direct message, 2 a private
        channel."""
        if self.guild is not None:
            return 0
        with_bot = self.kind is ChannelKind.DM and any(user.bot for user in self.recipients)
        return 1 if with_bot else 2

    @property
    def upload_limit(self) -> int:
        return self.guild.upload_limit if self.guild else 10 * MIB

    def bot_permissions(self) -> int:
        """Return the permissions of the bot here; 0 if the bot is not a member."""
        if self.guild is None:
            return permissions.GUEST if self.context else 0
        if not self.guild.bot_present:
            return 0
        source = self.parent if self.is_thread and self.parent else self
        granted = self.guild.permissions_of(self.guild.members[self.bot_id].user)
        granted = granted if source.overwrite is None else source.overwrite
        if not granted & permissions.MANAGE_THREADS and not self.bot_can_see_thread:
            return granted & ~permissions.VIEW_CHANNEL
        return granted

    def to_json(self) -> Json:
        shown: Json = {
            "id": str(self.id),
            "type": int(self.kind),
            "flags": 0,
            "last_message_id": str(self.last_message_id) if self.last_message_id else None,
        }
        if self.guild is None:
            people = [user.to_json() for user in self.recipients if user.id != self.bot_id]
            return {**shown, "recipients": people}
        shown |= {
            "guild_id": str(self.guild.id),
            "name": self.name,
            "rate_limit_per_user": 0,
            "last_pin_timestamp": None,
            "parent_id": str(self.parent.id) if self.parent else None,
        }
        return shown | (self._thread_json() if self.is_thread else self._text_json(self.guild))

    def _text_json(self, guild: "Guild") -> Json:
        shown: Json = {
            "position": list(guild.channels).index(self.id) if self.id in guild.channels else 0,
            "nsfw": self.nsfw,
            "permission_overwrites": self._overwrites(guild),
        }
        if self.kind in VOCAL:
            return shown | {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
        return shown | {"topic": None, "default_auto_archive_duration": 1440}

    def _overwrites(self, guild: "Guild") -> list[Json]:
        if self.overwrite is None or self.bot_id not in guild.members:
            return []
        usual = guild.permissions_of(guild.members[self.bot_id].user)
        return [
            {
                "id": str(self.bot_id),
                "type": 1,
                "allow": str(self.overwrite & ~usual),
                "deny": str(usual & ~self.overwrite),
            }
        ]

    def _thread_json(self) -> Json:
        return {
            "owner_id": str(self.guild.owner.id) if self.guild else None,
            "message_count": 0,
            "member_count": 2,
            "total_message_sent": 0,
            "thread_metadata": {
                "archived": self.archived,
                "archive_timestamp": self.created_at,
                "auto_archive_duration": 1440,
                "locked": self.locked,
                "invitable": True,
                "create_timestamp": self.created_at,
            },
            **({"member": self._thread_member()} if self.bot_in_thread else {}),
        }

    def _thread_member(self) -> Json:
        return {
            "id": str(self.id),
            "user_id": str(self.bot_id),
            "join_timestamp": self.created_at,
            "flags": 0,
        }
