"""All objects of the stand-in, and the events for their changes."""

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from bot.sandbox.discord import permissions
from bot.sandbox.discord.changes import Changes
from bot.sandbox.discord.command_permissions import CommandPermissions
from bot.sandbox.discord.guilds import Guild, Member, Role
from bot.sandbox.discord.interactions import Interaction
from bot.sandbox.discord.message_body import Draft
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import (
    Channel,
    ChannelKind,
    Snowflakes,
    User,
    iso,
)
from bot.sandbox.discord.request_body import Json, Refusal, as_snowflake
from bot.sandbox.discord.uploads import Attachment, Cdn, Upload

MESSAGE_CONTENT: Final = 1 << 15  # the intent
NONCE_SECONDS: Final = 300.0  # "the past few minutes" in Discord's documentation
UNKNOWN_CHANNEL: Final = (404, 10003, "Unknown Channel")
UNKNOWN_MESSAGE: Final = (404, 10008, "Unknown Message")


class Dispatch(Protocol):
    """The gateway's interface for events.

    `message` is the message of the event, which sessions without the message-content intent may
    only see in part.
    """

    def __call__(
        self, event: str, data: Json, *, guild: Guild | None, message: Message | None = None
    ) -> None: ...


class World:
    """The objects by id, and the rules that all routes share."""

    def __init__(
        self, clock: Callable[[], float], *, token: str, bot_name: str, privileged: int
    ) -> None:
        self.clock = clock
        self.ids = Snowflakes(clock)
        self.cdn = Cdn(clock)
        self.changes = Changes()
        self.privileged_intents = privileged
        # the bot's user has the application's id, as in all applications since 2016
        self.application_id = _id_in(token) or self.ids.next()
        self.bot = User(self.application_id, bot_name, bot=True)
        self.verify_key = secrets.token_hex(32)
        # of the application's profile, such as privacy_policy_url; absent if not entered
        self.application_pages: dict[str, str] = {}
        self.users: dict[int, User] = {self.bot.id: self.bot}
        self.operator = self.add_user("operator")
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.messages: dict[int, Message] = {}
        self.interactions: dict[int, Interaction] = {}
        self.commands: list[Json] = []
        self.commands_arrived = False
        self.command_creates: dict[str | None, list[float]] = {}  # times by scope
        self.command_permissions = CommandPermissions(self.application_id)
        self.typing: list[tuple[int, float]] = []
        self._nonces: dict[tuple[int, str], tuple[float, Message]] = {}
        self.dispatch: Dispatch = _nowhere

    def add_user(self, name: str, *, bot: bool = False) -> User:
        user = User(self.ids.next(), name, bot=bot)
        self.users[user.id] = user
        return user

    @property
    def emoji(self) -> set[int]:
        """Return the ids of custom emoji that the bot may show: those of its own servers."""
        return {key for guild in self.guilds.values() if guild.bot_present for key in guild.emoji}

    def now(self) -> str:
        return iso(self.clock())

    def add_guild(
        self, name: str, owner: User | None, *, bot: bool, shard: tuple[int, int]
    ) -> Guild:
        guild_id = self.ids.next_on(*shard)
        guild = Guild(guild_id, name, owner or self.operator, self.now(), bot_present=bot)
        guild.roles = [Role(guild_id, "@everyone", permissions.EVERYONE)]
        self.guilds[guild.id] = guild
        self.join(guild, guild.owner)
        if bot:
            self.invite(guild)
        return guild

    def invite(self, guild: Guild) -> None:
        """Let the bot join a server, with a role of its own."""
        guild.bot_present = True
        guild.roles = [role for role in guild.roles if role.bot_id != self.bot.id]  # of before
        place = len(guild.roles)
        role = Role(self.ids.next(), self.bot.name, permissions.EVERYONE, place, bot_id=self.bot.id)
        guild.roles.append(role)
        guild.members[self.bot.id] = Member(self.bot, self.now(), [role])
        self.dispatch("GUILD_CREATE", guild.to_gateway(self.bot, joined=True), guild=guild)

    def join(self, guild: Guild, user: User) -> Member:
        if user.id not in guild.members:
            guild.members[user.id] = Member(user, self.now())
        return guild.members[user.id]

    def grant(self, guild: Guild, user: User, granted: int) -> None:
        """Grant a member these permissions by a new role, in addition to those of everyone."""
        role = self.add_role(guild, f"{user.name}'s", granted)
        self.join(guild, user).roles.append(role)

    def add_role(self, guild: Guild, name: str, granted: int) -> Role:
        role = Role(self.ids.next(), name, granted, len(guild.roles))
        guild.roles.append(role)
        data = {"guild_id": str(guild.id), "role": role.to_json()}
        self.dispatch("GUILD_ROLE_CREATE", data, guild=guild)
        return role

    def add_channel(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        if channel.guild is not None:
            channel.guild.channels[channel.id] = channel
            if not channel.is_thread:
                self.dispatch("CHANNEL_CREATE", channel.to_json(), guild=channel.guild)
            elif self.bot_listens(channel):
                data = channel.to_json() | {"newly_created": True}
                self.dispatch("THREAD_CREATE", data, guild=channel.guild)
        return channel

    def remove_channel(self, channel: Channel) -> None:
        """Delete a channel with all messages and threads."""
        channel.deleted = True
        for message in self.messages.values():
            if message.channel is channel:
                message.deleted = True
                for file in message.files:
                    file.gone = True
        if channel.guild is None:
            return
        for thread in [one for one in channel.guild.channels.values() if one.parent is channel]:
            self.remove_channel(thread)
        channel.guild.channels.pop(channel.id, None)
        event = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        self.dispatch(event, channel.to_json(), guild=channel.guild)
        self.changes.notify()

    def guild_for_bot(self, guild_id: int) -> Guild:
        """Return a server that the bot is in, or raise Discord's refusal."""
        guild = self.guilds.get(guild_id)
        if guild is None:
            raise Refusal(404, 10004, "Unknown Guild")
        if not guild.bot_present:
            raise Refusal(403, 50001, "Missing Access")
        return guild

    def direct_channel(self, *people: User) -> Channel:
        """Return the direct messages between these people, who may include the bot."""
        for channel in self.channels.values():
            if channel.guild is None and {*channel.recipients} == {*people}:
                return channel
        kind = ChannelKind.DM if len(people) == 2 else ChannelKind.GROUP_DM
        channel = Channel(self.ids.next(), "", kind, self.now(), bot_id=self.bot.id)
        channel.recipients = list(people)
        return self.add_channel(channel)

    def channel_for_bot(self, channel_id: int, needed: int) -> Channel:
        """Return a channel that the bot can access, or raise Discord's refusal."""
        channel = self.channels.get(channel_id)
        if channel is None or channel.deleted:
            raise Refusal(*UNKNOWN_CHANNEL)
        if channel.guild is None:
            if self.bot not in channel.recipients:
                raise Refusal(*UNKNOWN_CHANNEL)
            return channel
        granted = channel.bot_permissions()
        if not granted & permissions.VIEW_CHANNEL:
            raise Refusal(403, 50001, "Missing Access")
        if needed & ~granted:
            raise Refusal(403, 50013, "Missing Permissions")
        return channel

    def in_channel(self, channel: Channel) -> list[Message]:
        """Return the messages that everybody in the channel sees, oldest first."""
        return [
            message
            for message in self.messages.values()
            if message.channel is channel and not message.deleted and not message.ephemeral_to
        ]

    def message_for_bot(self, channel: Channel, message_id: int) -> Message:
        message = self.messages.get(message_id)
        if (
            message is None
            or message.deleted
            or message.channel is not channel
            or message.ephemeral_to is not None
        ):
            raise Refusal(*UNKNOWN_MESSAGE)
        return message

    def for_bot(self, message: Message) -> Json:
        """Return a message as the bot sees it over REST, by the application's intents."""
        unlimited = self.privileged_intents & MESSAGE_CONTENT
        return message.to_json(reader=None if unlimited else self.bot)

    async def prepare(
        self, channel: Channel, uploads: Mapping[int, Upload], limit: int | None = None
    ) -> dict[int, Attachment]:
        """Return attachments for uploads, not yet stored. Refuse a file over the limit (413), by
        default the channel's."""
        limit = channel.upload_limit if limit is None else limit
        for upload in uploads.values():
            if len(upload.data) > limit:
                raise Refusal(413, 40005, "Request entity too large")
        return {
            number: await self.cdn.prepare(self.ids.next(), channel.id, upload)
            for number, upload in uploads.items()
        }

    def create(self, message: Message, draft: Draft) -> Message:
        """Apply a checked body to a new message and show the message."""
        draft.put_into(message)
        self.store(message, draft)
        self.messages[message.id] = message
        if message.channel.archived and not message.ephemeral_to:
            self.reopen(message.channel)
        if message.ephemeral_to is None:
            message.channel.count(message.id)
            self.dispatch_message("MESSAGE_CREATE", message)
        self.changes.notify()
        return message

    def publish(self, message: Message) -> None:
        """Show a message of Discord's own, which no body describes."""
        self.messages[message.id] = message
        message.channel.count(message.id)
        self.dispatch_message("MESSAGE_CREATE", message)
        self.changes.notify()

    def join_thread(self, thread: Channel, user: User) -> None:
        """Make a user a member of a thread, as a message there does."""
        if user is self.bot:
            thread.bot_in_thread = True
        elif user not in thread.people:
            thread.people.append(user)

    def reopen(self, thread: Channel) -> None:
        """Take a thread out of the archive, as each new message does."""
        thread.archived = False
        if self.bot_listens(thread):
            self.dispatch("THREAD_UPDATE", thread.to_json(), guild=thread.guild)

    def edit(self, message: Message, draft: Draft) -> Message:
        first = message.loading
        gone = [file for file in message.files if file not in draft.files]
        draft.put_into(message)
        self.store(message, draft, edit=not first)
        for file in gone:
            file.gone = True
        message.edited_at = None if first else self.now()
        self.dispatch_message("MESSAGE_UPDATE", message)
        self.changes.notify()
        return message

    def store(self, message: Message, draft: Draft, *, edit: bool = False) -> None:
        for file in draft.files:
            self.cdn.store(file)
        found = draft.pings(message)
        message.mentions = [self.users[user] for user in found.users if user in self.users]
        if not edit:  # an edit shows mentions without pinging
            message.pinged = found

    def delete(self, message: Message) -> None:
        message.deleted = True
        for file in message.files:
            file.gone = True
        if message.ephemeral_to is None:
            if message.id != message.channel.id:
                message.channel.messages = max(message.channel.messages - 1, 0)
            self.dispatch_about(message, "MESSAGE_DELETE", {"id": str(message.id)})
        self.changes.notify()

    def dispatch_about(self, message: Message, event: str, data: Json) -> None:
        """Dispatch an event that names a message by its ids, if the bot can see the channel."""
        channel = message.channel
        data = {**data, "channel_id": str(channel.id)}
        if channel.guild:
            data["guild_id"] = str(channel.guild.id)
        if self.bot_listens(channel):
            self.dispatch(event, data, guild=channel.guild)

    def dispatch_message(self, event: str, message: Message) -> None:
        """Dispatch an event about a message that is not ephemeral and that the bot can see."""
        channel = message.channel
        if message.ephemeral_to is not None or not self.bot_listens(channel):
            return
        data = message.to_json()
        if event == "MESSAGE_CREATE" and message.nonce is not None:
            data["nonce"] = message.nonce
        if channel.guild:
            data["guild_id"] = str(channel.guild.id)
            member = channel.guild.members.get(message.author.id)
            if member is not None:
                data["member"] = member.to_json(with_user=False)
        self.dispatch(event, data, guild=channel.guild, message=message)

    def bot_listens(self, channel: Channel) -> bool:
        if channel.guild is None:
            return self.bot in channel.recipients
        return bool(channel.bot_permissions() & permissions.VIEW_CHANNEL)

    def sent_with_nonce(self, channel: Channel, nonce: str | int) -> Message | None:
        """Return the message that the bot sent here with this nonce in the last minutes."""
        found = self._nonces.get((channel.id, str(nonce)))
        if found is None or self.clock() - found[0] >= NONCE_SECONDS or found[1].deleted:
            return None
        return found[1]

    def remember_nonce(self, message: Message) -> None:
        if message.nonce is not None:
            key = (message.channel.id, str(message.nonce))
            self._nonces[key] = (self.clock(), message)

    def new_message(self, channel: Channel, author: User) -> Message:
        """Return a message that is invisible until `create`."""
        return Message(self.ids.next(), channel, author, self.cdn, self.now())


def _id_in(token: str) -> int | None:
    """Return the bot's id: the first part of a token, in base 64. Some libraries use that id."""
    first = token.split(".")[0]
    try:
        return as_snowflake(base64.b64decode(first + "=" * (-len(first) % 4)).decode())
    except ValueError:
        return None


def _nowhere(
    event: str, data: Json, *, guild: Guild | None, message: Message | None = None
) -> None:
    """Ignore an event while no client is connected."""
