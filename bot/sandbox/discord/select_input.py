"""Choose in a select of a message or of a modal."""

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.command_input import MemberError, Resolved
from bot.sandbox.discord.guilds import Role
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.spelling import Spelling


def choose(
    select: Json, values: list[object], resolved: Resolved, spelling: Spelling = Spelling.VALUE
) -> list[str]:
    """Return the values chosen in a select, or raise `MemberError`."""
    low, high = select["min_values"], select["max_values"]
    if not low <= len(values) <= high or len(set(values)) != len(values):
        raise MemberError(f"{select['custom_id']!r} takes {low} to {high} different values")
    if select["type"] == tree.STRING_SELECT:
        offered = {option["value"]: option["label"] for option in select["options"]}
        if unknown := [value for value in values if value not in offered]:
            raise MemberError(f"{select['custom_id']!r} does not offer {unknown}")
        return [str(spelling.of(value, offered[str(value)])) for value in values]
    return [str(_chosen(select, value, resolved)) for value in values]


def _chosen(select: Json, value: object, resolved: Resolved) -> int:
    """Return the id of an object that this kind of select offers."""
    kind = select["type"]
    if isinstance(value, User) and kind in (tree.USER_SELECT, tree.MENTIONABLE_SELECT):
        resolved.users[value.id] = value
        return value.id
    if isinstance(value, Role) and kind in (tree.ROLE_SELECT, tree.MENTIONABLE_SELECT):
        resolved.roles[value.id] = value
        return value.id
    if isinstance(value, Channel) and kind == tree.CHANNEL_SELECT and not value.deleted:
        types = select.get("channel_types")
        if not types or value.kind in types:
            resolved.channels[value.id] = value
            return value.id
    raise MemberError(f"{select['custom_id']!r} does not take {value}")
