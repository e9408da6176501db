"""Reactions of a message, and their emoji as in addresses."""

import re
from dataclasses import dataclass, field
from typing import Final

from bot.sandbox.discord.emoji import is_unicode_emoji
from bot.sandbox.discord.models import User
from bot.sandbox.discord.request_body import Json

MOST: Final = 20  # different emoji on a message
CUSTOM: Final = re.compile(r"(?:a:)?(\w{2,32}):(\d{1,20})", re.ASCII)


@dataclass(frozen=True)
class Face:
    """An emoji as a reaction: a Unicode one by `name`, a custom one by `id`."""

    name: str
    id: int | None = None
    animated: bool = False

    @property
    def key(self) -> str | int:
        return self.name if self.id is None else self.id

    def to_json(self) -> Json:
        shown: Json = {"id": None if self.id is None else str(self.id), "name": self.name}
        return shown | ({"animated": True} if self.animated else {})


def face_of(text: str) -> Face | None:
    """Return the emoji of an address: itself, or `name:id` for a custom one."""
    found = CUSTOM.fullmatch(text)
    if found is not None:
        return Face(found[1], int(found[2]))
    return Face(text) if is_unicode_emoji(text) else None


@dataclass
class Reactions:
    """The users of each emoji, in the order of their reactions."""

    found: dict[str | int, tuple[Face, list[User]]] = field(default_factory=dict)

    def users(self, face: Face) -> list[User]:
        return self.found[face.key][1] if face.key in self.found else []

    def add(self, face: Face, user: User) -> bool:
        """Return whether the user had not reacted with this emoji before."""
        _, users = self.found.setdefault(face.key, (face, []))
        if user in users:
            return False
        users.append(user)
        return True

    def remove(self, face: Face, user: User) -> bool:
        """Return whether the user had reacted with this emoji."""
        users = self.users(face)
        if user not in users:
            return False
        users.remove(user)
        if not users:
            del self.found[face.key]
        return True

    def to_json(self, bot_id: int) -> list[Json]:
        """Return the form that the bot sees."""
        return [
            {
                "emoji": face.to_json(),
                "count": len(users),
                "count_details": {"burst": 0, "normal": len(users)},
                "burst_colors": [],
                "me": any(user.id == bot_id for user in users),
                "me_burst": False,
            }
            for face, users in self.found.values()
        ]
