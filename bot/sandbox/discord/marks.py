"""Marks on messages: reactions and pins of members and of the bot, with their events."""

from bot.sandbox.discord.messages import PIN_NOTICE, Message
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.reactions import Face
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.world import World


def react(world: World, message: Message, face: Face, user: User) -> None:
    if not message.reactions.add(face, user):
        return
    data = _reaction(message, face, user) | {"message_author_id": str(message.author.id)}
    guild = message.channel.guild
    if guild is not None and user.id in guild.members:
        data["member"] = guild.members[user.id].to_json()
    world.dispatch_about(message, "MESSAGE_REACTION_ADD", data)
    world.changes.notify()


def unreact(world: World, message: Message, face: Face, user: User) -> None:
    if not message.reactions.remove(face, user):
        return
    world.dispatch_about(message, "MESSAGE_REACTION_REMOVE", _reaction(message, face, user))
    world.changes.notify()


def _reaction(message: Message, face: Face, user: User) -> Json:
    return {
        "user_id": str(user.id),
        "message_id": str(message.id),
        "emoji": face.to_json(),
        "burst": False,
        "type": 0,
    }


def pins(world: World, channel: Channel) -> list[Message]:
    """Return the pinned messages of a channel, last pinned first."""
    found = [one for one in world.in_channel(channel) if one.pinned_at is not None]
    return sorted(found, key=lambda one: one.pinned_at or "", reverse=True)


def pin(world: World, message: Message, user: User) -> None:
    """Pin a message, and say so in the channel."""
    message.pinned_at = message.channel.last_pin = world.now()
    _pins_changed(world, message)
    notice = world.new_message(message.channel, user)
    notice.type, notice.reference = PIN_NOTICE, message
    world.publish(notice)


def unpin(world: World, message: Message) -> None:
    message.pinned_at = None
    _pins_changed(world, message)


def _pins_changed(world: World, message: Message) -> None:
    world.dispatch_message("MESSAGE_UPDATE", message)
    data = {"last_pin_timestamp": message.channel.last_pin}
    world.dispatch_about(message, "CHANNEL_PINS_UPDATE", data)
