"""Check a member's command input as Discord's own client does before sending."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.sandbox.discord import command_options as kinds
from bot.sandbox.discord.command_permissions import CommandPermissions
from bot.sandbox.discord.guilds import Role
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.permissions import (
    ADMINISTRATOR,
    USE_APPLICATION_COMMANDS,
    VIEW_CHANNEL,
)
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.spelling import Spelling
from bot.sandbox.discord.uploads import Attachment, Upload

LONGEST: Final = 6000


class MemberError(Exception):
    """Discord would not allow this action; the application receives nothing."""


@dataclass
class Resolved:
    """The objects behind the ids in an interaction's data."""

    users: dict[int, User] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    roles: dict[int, Role] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    attachments: dict[int, Attachment] = field(default_factory=dict)

    def to_json(self, where: Channel, user: User, show: Callable[[Attachment], Json]) -> Json:
        """Return the API's form: channels with the permissions of `user`, who acts, and members
        with their own in the channel of the interaction."""
        guild = where.guild
        found: Json = {
            "users": {str(key): each.to_json() for key, each in self.users.items()},
            "channels": {str(key): _shown(item, user) for key, item in self.channels.items()},
            "roles": {str(key): role.to_json() for key, role in self.roles.items()},
            "messages": {str(key): item.to_json() for key, item in self.messages.items()},
            "attachments": {str(key): show(item) for key, item in self.attachments.items()},
        }
        if guild is not None:
            found["members"] = {
                str(key): {
                    **guild.members[key].to_json(with_user=False),
                    "permissions": str(where.permissions_of(each)),
                }
                for key, each in self.users.items()
                if key in guild.members
            }
        return {name: items for name, items in found.items() if items}


def _shown(channel: Channel, user: User) -> Json:
    return {**channel.to_json(), "permissions": str(channel.permissions_of(user))}


def find_command(
    commands: list[Json],
    name: str,
    kind: int,
    user: User,
    channel: Channel,
    settings: CommandPermissions,
    *,
    guest: bool,
) -> Json:
    """Return the command that this member sees in this channel."""
    guild = channel.guild
    for command in commands:
        if command["name"] != name or command["type"] != kind:
            continue
        if "guild_id" in command and (guild is None or command["guild_id"] != str(guild.id)):
            continue
        _check_context(command, user, channel, settings, guest=guest)
        return command
    raise MemberError(f"There is no command {name!r} here")


def _check_context(
    command: Json, user: User, channel: Channel, settings: CommandPermissions, *, guest: bool
) -> None:
    name = command["name"]
    if int(guest) not in command["integration_types"]:
        raise MemberError(f"{name!r} is not for this kind of install")
    contexts = command["contexts"]
    if contexts is not None and channel.context not in contexts:
        raise MemberError(f"{name!r} is not available in this kind of channel")
    if contexts is None and channel.guild is None and not command["dm_permission"]:
        raise MemberError(f"{name!r} is not for direct messages")
    if channel.context == 2 and not guest:
        raise MemberError("the app is not in this conversation")
    if command["nsfw"] and channel.guild and not (channel.parent or channel).nsfw:
        raise MemberError(f"{name!r} is only for age-restricted channels")
    if channel.guild is None or guest:
        return
    if not channel.guild.bot_present:
        raise MemberError("the app is not in this server")
    granted = channel.permissions_of(user)
    needed = command["default_member_permissions"]
    if not granted & VIEW_CHANNEL:
        raise MemberError("this member does not see the channel")
    if not granted & USE_APPLICATION_COMMANDS:
        raise MemberError("this member may not use commands")
    if granted & ADMINISTRATOR:
        return
    decided = settings.decide(int(command["id"]), user, channel)
    if decided is False:
        raise MemberError(f"the server's settings forbid {name!r} to this member here")
    if needed is None or decided:
        return
    if int(needed) & ~granted or int(needed) == 0:  # 0: for administrators only
        raise MemberError(f"this member may not use {name!r}")


def find_options(command: Json, path: list[str]) -> tuple[list[Json], list[tuple[int, str]]]:
    """Return the options under "group subcommand", and the path to them as (type, name)."""
    options: list[Json] = command.get("options", [])
    way: list[tuple[int, str]] = []
    for name in path:
        inner = next((item for item in options if item["name"] == name), None)
        if inner is None or inner["type"] not in (kinds.SUBCOMMAND, kinds.GROUP):
            raise MemberError(f"{command['name']!r} has no subcommand {name!r}")
        way.append((inner["type"], name))
        options = inner["options"]
    if any(item["type"] in (kinds.SUBCOMMAND, kinds.GROUP) for item in options):
        raise MemberError(f"{command['name']!r} needs a subcommand")
    return options, way


def nest(options: list[Json], way: list[tuple[int, str]]) -> list[Json]:
    """Return the entered options inside their subcommand, as Discord sends them."""
    for kind, name in reversed(way):
        options = [{"type": kind, "name": name, "options": options}]
    return options


@dataclass
class Entry:
    """Input for the options of one command or the components of one modal.

    `store` stores a file that a member attaches, `find` returns the user, role or channel of an id,
    and `spelling` is how chosen values are sent.
    """

    user: User
    resolved: Resolved
    store: Callable[[Upload], Attachment]
    find: Callable[[int], object]
    spelling: Spelling = Spelling.VALUE

    def all(self, options: list[Json], given: Mapping[str, object]) -> list[Json]:
        """Return every given option, typed and in range. Raise `MemberError`."""
        known = {option["name"] for option in options}
        if unknown := set(given) - known:
            raise MemberError(f"there is no option {sorted(unknown)}")
        missing = [item["name"] for item in options if item["required"]]
        if missing := [name for name in missing if given.get(name) is None]:
            raise MemberError(f"the options {missing} are required")
        return [
            self.one(option, given[option["name"]])
            for option in options
            if given.get(option["name"]) is not None
        ]

    def some(self, options: list[Json], given: Mapping[str, object], focused: str) -> list[Json]:
        """Return the options while a member is still typing.

        Nothing is required, and the focused value is the text so far.
        """
        target = next((item for item in options if item["name"] == focused), None)
        if target is None or not target.get("autocomplete"):
            raise MemberError(f"{focused!r} does not complete itself")
        others = [option for option in options if option is not target]
        filled = self.all(
            [{**option, "required": False} for option in others],
            {name: value for name, value in given.items() if name != focused},
        )
        typed = {
            "type": target["type"],
            "name": focused,
            "value": str(given.get(focused, "")),
            "focused": True,
        }
        return [*filled, typed]

    def one(self, option: Json, value: object) -> Json:
        kind: int = option["type"]
        read = self._readers()[kind](option, value)
        for choice in option.get("choices") or ():
            if choice["value"] == read:
                read = self.spelling.of(read, choice["name"])
                break
        return {"type": kind, "name": option["name"], "value": read}

    def _readers(self) -> dict[int, Callable[[Json, Any], object]]:
        return {
            kinds.STRING: _text,
            kinds.INTEGER: _integer,
            kinds.NUMBER: _number,
            kinds.BOOLEAN: _boolean,
            kinds.USER: self._user,
            kinds.CHANNEL: self._channel,
            kinds.ROLE: self._role,
            kinds.MENTIONABLE: self._mentionable,
            kinds.ATTACHMENT: self._file,
        }

    def _user(self, option: Json, value: object) -> str:
        if not isinstance(value, User):
            raise MemberError(f"{option['name']} takes a user")
        self.resolved.users[value.id] = value
        return str(value.id)

    def _channel(self, option: Json, value: object) -> str:
        if not isinstance(value, Channel) or value.deleted:
            raise MemberError(f"{option['name']} takes a channel")
        types = option.get("channel_types")
        if types and value.kind not in types:
            raise MemberError(f"{option['name']} takes another kind of channel")
        self.resolved.channels[value.id] = value
        return str(value.id)

    def _role(self, option: Json, value: object) -> str:
        if not isinstance(value, Role):
            raise MemberError(f"{option['name']} takes a role")
        self.resolved.roles[value.id] = value
        return str(value.id)

    def _mentionable(self, option: Json, value: object) -> str:
        if isinstance(value, User):
            return self._user(option, value)
        return self._role(option, value)

    def _file(self, option: Json, value: object) -> str:
        if not isinstance(value, Upload):
            raise MemberError(f"{option['name']} takes a file")
        attachment = self.take(value)
        return str(attachment.id)

    def take(self, upload: Upload) -> Attachment:
        if len(upload.data) > self.user.upload_limit:
            raise MemberError("Your files are too powerful")
        attachment = self.store(upload)
        self.resolved.attachments[attachment.id] = attachment
        return attachment


def _among_choices(option: Json, value: object) -> None:
    choices = option.get("choices")
    if choices and value not in [choice["value"] for choice in choices]:
        raise MemberError(f"{value!r} is not a choice of {option['name']}")


def _text(option: Json, value: Any) -> str:  # noqa: ANN401 - as a member gives it
    if not isinstance(value, str):
        raise MemberError(f"{option['name']} takes text")
    if not value.strip():
        raise MemberError(f"{option['name']} must not be blank")
    low, high = option.get("min_length", 0), option.get("max_length", LONGEST)
    if not low <= len(value) <= high:
        raise MemberError(f"{option['name']} takes {low} to {high} characters")
    _among_choices(option, value)
    return value


def _integer(option: Json, value: Any) -> int:  # noqa: ANN401 - as a member gives it
    if not isinstance(value, int) or isinstance(value, bool):
        raise MemberError(f"{option['name']} takes a whole number")
    if abs(value) > kinds.SAFE_INTEGER:
        raise MemberError(f"{option['name']} takes no number as large as that")
    _in_range(option, value)
    return value


def _number(option: Json, value: Any) -> float:  # noqa: ANN401 - as a member gives it
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MemberError(f"{option['name']} takes a number")
    _in_range(option, value)
    return value


def _in_range(option: Json, value: float) -> None:
    low, high = option.get("min_value"), option.get("max_value")
    if (low is not None and value < low) or (high is not None and value > high):
        raise MemberError(f"{option['name']} takes {low} to {high}")
    _among_choices(option, value)


def _boolean(option: Json, value: Any) -> bool:  # noqa: ANN401 - as a member gives it
    if not isinstance(value, bool):
        raise MemberError(f"{option['name']} takes true or false")
    return value
