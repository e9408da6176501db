"""Servers with roles and members, and their form in the API."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.models import MIB, Channel, User
from bot.sandbox.discord.request_body import Json

if TYPE_CHECKING:
    from bot.sandbox.discord.auto_mod import KeywordRule


@dataclass(eq=False)
class Role:
    id: int
    name: str
    permissions: int
    position: int = 0
    bot_id: int | None = None

    def to_json(self) -> Json:
        shown: Json = {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(self.permissions),
            "position": self.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": self.bot_id is not None,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        if self.bot_id is not None:
            shown["tags"] = {"bot_id": str(self.bot_id)}
        return shown


@dataclass(eq=False)
class Emoji:
    """A custom emoji of a server."""

    id: int
    name: str
    animated: bool = False

    @property
    def mention(self) -> str:
        return f"<{'a' if self.animated else ''}:{self.name}:{self.id}>"

    def to_json(self) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "roles": [],
            "require_colons": True,
            "managed": False,
            "animated": self.animated,
            "available": True,
        }


@dataclass(eq=False)
class Member:
    user: User
    joined_at: str
    roles: list[Role] = field(default_factory=list)

    def to_json(self, *, with_user: bool = True) -> Json:
        shown: Json = {
            "roles": [str(role.id) for role in self.roles],
            "joined_at": self.joined_at,
            "nick": None,
            "avatar": None,
            "banner": None,
            "premium_since": None,
            "communication_disabled_until": None,
            "pending": False,
            "deaf": False,
            "mute": False,
            "flags": 0,
        }
        if with_user:
            shown["user"] = self.user.to_json()
        return shown


@dataclass(eq=False)
class Guild:
    """A server. `upload_limit` is the largest file in bytes, by boost tier."""

    id: int
    name: str
    owner: User
    joined_at: str
    locale: str = "en-US"
    bot_present: bool = True
    upload_limit: int = 10 * MIB
    roles: list[Role] = field(default_factory=list)
    members: dict[int, Member] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    emoji: dict[int, Emoji] = field(default_factory=dict)
    auto_mod: list["KeywordRule"] = field(default_factory=list)

    @property
    def premium_tier(self) -> int:
        return {50 * MIB: 2, 100 * MIB: 3}.get(self.upload_limit, 0)

    def permissions_of(self, user: User) -> int:
        """Return the permissions of a member in the whole server."""
        if user is self.owner:
            return permissions.EVERY
        member = self.members.get(user.id)
        granted = self.roles[0].permissions
        for role in member.roles if member else ():
            granted |= role.permissions
        return permissions.EVERY if granted & permissions.ADMINISTRATOR else granted

    def partial(self) -> Json:
        return {"id": str(self.id), "locale": self.locale, "features": []}

    def to_json(self) -> Json:
        return {
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner.id),
            "preferred_locale": self.locale,
            "premium_tier": self.premium_tier,
            "premium_subscription_count": 0,
            "roles": [role.to_json() for role in self.roles],
            **GUILD_DEFAULTS,
            "emojis": [emoji.to_json() for emoji in self.emoji.values()],
        }

    def to_gateway(self, bot: User, *, joined: bool = False) -> Json:
        """Return the data of GUILD_CREATE: channels, threads, and the members always sent.

        `unavailable` is false in the servers that READY named, and absent from a server that the
        bot has just `joined`; by this, clients tell the two events apart.
        """
        shown = [self.members[user.id] for user in (bot, self.owner) if user.id in self.members]
        open_ones = [channel for channel in self.channels.values() if not channel.archived]
        return {
            **self.to_json(),
            "joined_at": self.joined_at,
            "large": False,
            **({} if joined else {"unavailable": False}),
            "member_count": len(self.members),
            "members": [member.to_json() for member in shown],
            "channels": [one.to_json() for one in open_ones if not one.is_thread],
            "threads": [
                one.to_json() for one in open_ones if one.is_thread and one.bot_can_see_thread
            ],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }


GUILD_DEFAULTS: Final[Json] = {
    "icon": None,
    "description": None,
    "home_header": None,
    "splash": None,
    "discovery_splash": None,
    "features": [],
    "banner": None,
    "application_id": None,
    "region": "us-west",
    "afk_channel_id": None,
    "afk_timeout": 300,
    "system_channel_id": None,
    "system_channel_flags": 0,
    "widget_enabled": False,
    "widget_channel_id": None,
    "verification_level": 0,
    "default_message_notifications": 0,
    "mfa_level": 0,
    "explicit_content_filter": 0,
    "max_presences": None,
    "max_members": 500_000,
    "max_stage_video_channel_users": 50,
    "max_video_channel_users": 25,
    "vanity_url_code": None,
    "rules_channel_id": None,
    "safety_alerts_channel_id": None,
    "public_updates_channel_id": None,
    "premium_progress_bar_enabled": False,
    "nsfw": False,
    "nsfw_level": 0,
    "stickers": [],
    "incidents_data": None,
}
