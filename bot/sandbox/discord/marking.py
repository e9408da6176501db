"""Actions of members beside commands: react, pin, delete, and set who may use a command."""

from bot.sandbox.discord import permissions
from bot.sandbox.discord.command_input import MemberError
from bot.sandbox.discord.command_permissions import Target
from bot.sandbox.discord.guilds import Emoji, Guild
from bot.sandbox.discord.marks import pin, react, unpin, unreact
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import User
from bot.sandbox.discord.reactions import Face, face_of
from bot.sandbox.discord.world import World


class Marking:
    """The part of `FakeDiscord` in which members and moderators act on messages and commands.

    An action that Discord would not allow raises `MemberError`.
    """

    world: World

    def react(self, user: User, message: Message, emoji: str | Emoji) -> None:
        face = _face(emoji)
        needed = permissions.READ_MESSAGE_HISTORY
        if not message.reactions.users(face):
            needed |= permissions.ADD_REACTIONS
        self._may(user, message, needed)
        react(self.world, message, face, user)

    def unreact(self, user: User, message: Message, emoji: str | Emoji) -> None:
        self._may(user, message, permissions.VIEW_CHANNEL)
        unreact(self.world, message, _face(emoji), user)

    def pin(self, user: User, message: Message) -> None:
        self._may(user, message, permissions.PIN_MESSAGES)
        pin(self.world, message, user)

    def unpin(self, user: User, message: Message) -> None:
        self._may(user, message, permissions.PIN_MESSAGES)
        unpin(self.world, message)

    def delete(self, user: User, message: Message) -> None:
        """Delete a message as its author, or as a moderator."""
        own = message.author is user
        self._may(user, message, permissions.VIEW_CHANNEL if own else permissions.MANAGE_MESSAGES)
        if not own and message.channel.guild is None:
            raise MemberError("only the author deletes a direct message")
        self.world.delete(message)

    def set_command_permissions(
        self, guild: Guild, name: str | None, given: dict[Target, bool]
    ) -> None:
        """Set who may use a command, as a manager; `name` None is for all commands of the app."""
        world = self.world
        ids = [int(each["id"]) for each in world.commands if each["name"] == name]
        if name is not None and not ids:
            raise MemberError(f"there is no command {name!r}")
        for number in ids or [world.application_id]:
            data = world.command_permissions.set(guild, number, given)
            world.dispatch("APPLICATION_COMMAND_PERMISSIONS_UPDATE", data, guild=guild)
        world.changes.notify()

    def _may(self, user: User, message: Message, needed: int) -> None:
        channel = message.channel
        if message.deleted or message.ephemeral_to is not None:
            raise MemberError("there is no such message for everybody")
        if channel.archived:
            raise MemberError("the thread is archived")
        if channel.guild is None:
            if user not in channel.recipients:
                raise MemberError("these are the direct messages of others")
            return
        self.world.join(channel.guild, user)
        if (needed | permissions.VIEW_CHANNEL) & ~channel.permissions_of(user):
            raise MemberError("this member may not do that")


def _face(emoji: str | Emoji) -> Face:
    if isinstance(emoji, Emoji):
        return Face(emoji.name, emoji.id, emoji.animated)
    face = face_of(emoji)
    if face is None:
        raise MemberError(f"{emoji!r} is no emoji")
    return face
