"""Ids, users and channels, and their form in the API."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.overwrites import MEMBER, Overwrite, granted_in
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

    def next_on(self, shard: int, count: int) -> int:
        """Return an id that belongs to a shard: its time is some milliseconds ahead."""
        found = self.next()
        self._last = found + ((shard - (found >> 22)) % count << 22)
        return self._last


class ChannelKind(IntEnum):
    """Channel types with Discord's numbers."""

    TEXT = 0
    DM = 1
    VOICE = 2
    GROUP_DM = 3
    ANNOUNCEMENT = 5
    ANNOUNCEMENT_THREAD = 10
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    STAGE = 13
    FORUM = 15
    MEDIA = 16


THREADS: Final = frozenset(
    {ChannelKind.ANNOUNCEMENT_THREAD, ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD}
)
FORUMS: Final = frozenset({ChannelKind.FORUM, ChannelKind.MEDIA})
VOICES: Final = frozenset({ChannelKind.VOICE, ChannelKind.STAGE})
REQUIRE_TAG: Final = 1 << 4  # a flag of forums


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
class Tag:
    """A tag of a forum. Only moderators set a `moderated` one."""

    id: int
    name: str
    moderated: bool = False

    def to_json(self) -> Json:
        shown: Json = {"id": str(self.id), "name": self.name, "moderated": self.moderated}
        return shown | {"emoji_id": None, "emoji_name": None}


@dataclass(eq=False)
class Channel:
    """A channel or thread. `overwrite` replaces the usual permissions of the bot.

    `overwrites` are those of roles and members by id, `people` the members of a thread without the
    bot. `messages` and `total_messages` count those of a thread but the first; `tags` are offered
    by a forum, or chosen for a post.
    """

    id: int
    name: str
    kind: ChannelKind
    created_at: str
    guild: "Guild | None" = None
    parent: "Channel | None" = None
    nsfw: bool = False
    bot_id: int = 0
    overwrite: int | None = None
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    people: list[User] = field(default_factory=list)
    recipients: list[User] = field(default_factory=list)
    bot_in_thread: bool = True
    archived: bool = False
    locked: bool = False
    deleted: bool = False
    last_message_id: int | None = None
    last_pin: str | None = None
    flags: int = 0
    tags: list[Tag] = field(default_factory=list)
    starter: User | None = None
    archive_minutes: int = 1440
    slowmode: int = 0
    invitable: bool = True
    messages: int = 0
    total_messages: int = 0

    @property
    def is_thread(self) -> bool:
        return self.kind in THREADS

    def count(self, message_id: int) -> None:
        """Count a new message; the first one of a post has the id of its thread."""
        self.last_message_id = message_id
        if message_id != self.id:
            self.messages += 1
            self.total_messages += 1

    @property
    def in_forum(self) -> bool:
        return self.parent is not None and self.parent.kind in FORUMS

    @property
    def bot_can_see_thread(self) -> bool:
        return self.kind is not ChannelKind.PRIVATE_THREAD or self.bot_in_thread

    @property
    def context(self) -> int:
        """Return the context of interactions: 0 a server, 1 a direct message, 2 a private
        channel."""
        if self.guild is not None:
            return 0
        with_bot = self.kind is ChannelKind.DM and any(
            user.id == self.bot_id for user in self.recipients
        )
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
        source = self._source
        granted = granted_in(self.guild, self.guild.members[self.bot_id].user, source.overwrites)
        granted = granted if source.overwrite is None else source.overwrite
        if not granted & permissions.MANAGE_THREADS and not self.bot_can_see_thread:
            return granted & ~permissions.VIEW_CHANNEL
        return granted

    @property
    def _source(self) -> "Channel":
        """Return the channel whose permissions hold here: the parent of a thread."""
        return self.parent if self.is_thread and self.parent else self

    def permissions_of(self, user: User) -> int:
        """Return the permissions of a member or the bot here; everything in direct messages."""
        if self.guild is None:
            return permissions.EVERY
        if user.id == self.bot_id:
            return self.bot_permissions()
        return granted_in(self.guild, user, self._source.overwrites)

    def to_json(self) -> Json:
        shown: Json = {
            "id": str(self.id),
            "type": int(self.kind),
            "flags": self.flags,
            "last_message_id": str(self.last_message_id) if self.last_message_id else None,
        }
        if self.guild is None:
            people = [user.to_json() for user in self.recipients if user.id != self.bot_id]
            return {**shown, "recipients": people}
        shown |= {
            "guild_id": str(self.guild.id),
            "name": self.name,
            "rate_limit_per_user": self.slowmode,
            "last_pin_timestamp": self.last_pin,
            "parent_id": str(self.parent.id) if self.parent else None,
        }
        return shown | (self._thread_json() if self.is_thread else self._text_json(self.guild))

    def _text_json(self, guild: "Guild") -> Json:
        more = VOICE_DEFAULTS if self.kind in VOICES else TEXT_DEFAULTS
        if self.kind in FORUMS:
            tags = [tag.to_json() for tag in self.tags]
            more = TEXT_DEFAULTS | FORUM_DEFAULTS | {"available_tags": tags}
        return {
            **more,
            "position": list(guild.channels).index(self.id) if self.id in guild.channels else 0,
            "nsfw": self.nsfw,
            "permission_overwrites": self._overwrites(guild),
        }

    def _overwrites(self, guild: "Guild") -> list[Json]:
        found = dict(self.overwrites)
        if self.overwrite is not None and self.bot_id in guild.members:
            usual = guild.permissions_of(guild.members[self.bot_id].user)
            allow, deny = self.overwrite & ~usual, usual & ~self.overwrite
            found[self.bot_id] = Overwrite(MEMBER, allow, deny)
        return [each.to_json(target) for target, each in found.items()]

    def _thread_json(self) -> Json:
        return {
            "owner_id": str((self.starter or self.guild.owner).id) if self.guild else None,
            "message_count": self.messages,
            "member_count": len(self.people) + self.bot_in_thread,
            "total_message_sent": self.total_messages,
            **({"applied_tags": [str(tag.id) for tag in self.tags]} if self.in_forum else {}),
            "thread_metadata": {
                "archived": self.archived,
                "archive_timestamp": self.created_at,
                "auto_archive_duration": self.archive_minutes,
                "locked": self.locked,
                "invitable": self.invitable,
                "create_timestamp": self.created_at,
            },
            **({"member": self._thread_member(self.bot_id)} if self.bot_in_thread else {}),
        }

    def members_json(self) -> list[Json]:
        """Return the members of a thread."""
        ids = [self.bot_id] * self.bot_in_thread + [user.id for user in self.people]
        return [self._thread_member(number) for number in ids]

    def _thread_member(self, user_id: int) -> Json:
        return {
            "id": str(self.id),
            "user_id": str(user_id),
            "join_timestamp": self.created_at,
            "flags": 0,
        }


TEXT_DEFAULTS: Final[Json] = {"topic": None, "default_auto_archive_duration": 1440}
FORUM_DEFAULTS: Final[Json] = {
    "default_reaction_emoji": None,
    "default_sort_order": None,
    "default_forum_layout": 0,
    "default_thread_rate_limit_per_user": 0,
}
VOICE_DEFAULTS: Final[Json] = {
    "bitrate": 64_000,
    "user_limit": 0,
    "rtc_region": None,
    "video_quality_mode": 1,
}
