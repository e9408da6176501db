"""Choose in a select of a message or of a modal."""

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.command_input import MemberError, Resolved
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.request_body import Json


def choose(select: Json, values: list[object], resolved: Resolved) -> list[str]:
    """Return the values chosen in a select, or raise `MemberError`."""
    low, high = select["min_values"], select["max_values"]
    if not low <= len(values) <= high or len(set(values)) != len(values):
        raise MemberError(f"{select['custom_id']!r} takes {low} to {high} different values")
    if select["type"] == tree.STRING_SELECT:
        offered = {option["value"] for option in select["options"]}
        if unknown := [value for value in values if value not in offered]:
            raise MemberError(f"{select['custom_id']!r} does not offer {unknown}")
        return [str(value) for value in values]
    if select["type"] in (tree.USER_SELECT, tree.MENTIONABLE_SELECT):
        users = [value for value in values if isinstance(value, User)]
        resolved.users |= {user.id: user for user in users}
        if len(users) == len(values):
            return [str(user.id) for user in users]
    if select["type"] == tree.CHANNEL_SELECT:
        channels = [value for value in values if isinstance(value, Channel)]
        resolved.channels |= {channel.id: channel for channel in channels}
        if len(channels) == len(values):
            return [str(channel.id) for channel in channels]
    raise MemberError(f"{select['custom_id']!r} does not take {values}")
