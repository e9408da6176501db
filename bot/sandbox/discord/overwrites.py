"""Overwrites of a channel: permissions that a role or a member has there and not elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.request_body import Json

if TYPE_CHECKING:
    from bot.sandbox.discord.guilds import Guild
    from bot.sandbox.discord.models import User

ROLE, MEMBER = 0, 1
NOTHING: Final = (0, 0)


@dataclass(frozen=True)
class Overwrite:
    """The permissions that a channel allows and denies to one role or member (`kind`)."""

    kind: int
    allow: int = 0
    deny: int = 0

    def to_json(self, target: int) -> Json:
        return {
            "id": str(target),
            "type": self.kind,
            "allow": str(self.allow),
            "deny": str(self.deny),
        }


def granted_in(guild: "Guild", user: "User", overwrites: Mapping[int, Overwrite]) -> int:
    """Return a member's permissions in a channel, by the order in Discord's documentation.

    The overwrite of @everyone comes first, then those of all roles together, then the member's own.
    The owner and administrators have every permission.
    """
    granted = guild.permissions_of(user)
    if granted & permissions.ADMINISTRATOR:
        return granted
    member = guild.members.get(user.id)
    roles = (
        [overwrites[role.id] for role in member.roles if role.id in overwrites] if member else []
    )
    allow = deny = 0
    for overwrite in roles:
        allow, deny = allow | overwrite.allow, deny | overwrite.deny
    for allowed, denied in (_of(overwrites, guild.id), (allow, deny), _of(overwrites, user.id)):
        granted = granted & ~denied | allowed
    return granted


def _of(overwrites: Mapping[int, Overwrite], target: int) -> tuple[int, int]:
    found = overwrites.get(target)
    return (found.allow, found.deny) if found else NOTHING
