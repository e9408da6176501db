"""Routes of channels: the messages that the bot's own user reads and writes."""

from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord import auto_mod, permissions
from bot.sandbox.discord.message_body import CREATE_KEYS, Draft, read_draft
from bot.sandbox.discord.messages import REPLY, SYSTEM, Message
from bot.sandbox.discord.models import FORUMS, Channel
from bot.sandbox.discord.request_body import Refusal, invalid
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.world import World

MESSAGES: Final = "/channels/{channel_id}/messages"
MESSAGE: Final = MESSAGES + "/{message_id}"
READ: Final = permissions.VIEW_CHANNEL | permissions.READ_MESSAGE_HISTORY


@dataclass
class ChannelRoutes:
    world: World

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/channels/{channel_id}", self.get_channel),
            Route("POST", "/channels/{channel_id}/typing", self.type),
            Route("GET", MESSAGES, self.get_messages),
            Route("POST", MESSAGES, self.create_message),
            Route("GET", MESSAGE, self.get_message),
            Route("PATCH", MESSAGE, self.edit_message),
            Route("DELETE", MESSAGE, self.delete_message),
        ]

    async def get_channel(self, call: Call) -> Reply:
        channel = self.world.channel_for_bot(call.id("channel_id"), permissions.VIEW_CHANNEL)
        return Reply(200, channel.to_json())

    async def type(self, call: Call) -> Reply:
        channel = self._writable(call, 0)
        self.world.typing.append((channel.id, self.world.clock()))
        return Reply(204)

    def _writable(self, call: Call, more: int) -> Channel:
        """Return the channel if the bot may write there."""
        channel = self.world.channels.get(call.id("channel_id"))
        threaded = channel is not None and channel.is_thread
        needed = permissions.SEND_MESSAGES_IN_THREADS if threaded else permissions.SEND_MESSAGES
        found = self.world.channel_for_bot(call.id("channel_id"), needed | more)
        if found.kind in FORUMS:
            raise Refusal(400, 50008, "Cannot send messages in a non-text channel")
        if found.guild is None and not all(user.accepts_dms for user in found.recipients):
            raise Refusal(403, 50007, "Cannot send messages to this user")
        if found.locked and not found.bot_permissions() & permissions.MANAGE_THREADS:
            raise Refusal(403, 160005, "Thread is locked")
        return found

    async def get_messages(self, call: Call) -> Reply:
        channel = self.world.channel_for_bot(call.id("channel_id"), permissions.VIEW_CHANNEL)
        limit = _number(call, "limit", 50)
        if not 1 <= limit <= 100:
            raise invalid(("limit",), "NUMBER_TYPE_MAX", "Must be between 1 and 100.")
        given = [name for name in ("before", "after", "around") if name in call.query]
        if len(given) > 1:
            raise invalid((given[1],), "QUERY_EXCLUSIVE", "before, after and around exclude it.")
        if channel.guild and not channel.bot_permissions() & permissions.READ_MESSAGE_HISTORY:
            return Reply(200, [])
        found = self.world.in_channel(channel)
        if given:
            found = _part(found, given[0], _number(call, given[0], 0), limit)
        else:
            found = found[-limit:]
        return Reply(200, [self._shown(message) for message in reversed(found)])

    def _shown(self, message: Message) -> object:
        return self.world.for_bot(message)

    async def get_message(self, call: Call) -> Reply:
        channel = self.world.channel_for_bot(call.id("channel_id"), READ)
        return Reply(200, self._shown(self.world.message_for_bot(channel, call.id("message_id"))))

    async def create_message(self, call: Call) -> Reply:
        more = permissions.ATTACH_FILES if call.uploads else 0
        channel = self._writable(call, more)
        uploads = await self.world.prepare(channel, call.uploads)
        draft = read_draft(
            call.object(),
            uploads,
            self.world.ids.next,
            keys=CREATE_KEYS,
            emoji=self.world.emoji,
        )
        if draft.enforce_nonce and draft.nonce is not None:
            earlier = self.world.sent_with_nonce(channel, draft.nonce)
            if earlier is not None:
                return Reply(200, self.world.for_bot(earlier) | {"nonce": draft.nonce})
        auto_mod.check(channel, self.world.bot, draft, ephemeral=False)
        message = self.world.new_message(channel, self.world.bot)
        message.nonce = draft.nonce
        message.reference = self._replied(channel, draft)
        message.type = REPLY if message.reference else 0
        self.world.create(message, draft)
        self.world.remember_nonce(message)
        shown = self.world.for_bot(message)
        return Reply(200, shown | ({} if draft.nonce is None else {"nonce": draft.nonce}))

    def _replied(self, channel: Channel, draft: Draft) -> Message | None:
        if draft.reference is None:
            return None
        if channel.guild and not channel.bot_permissions() & permissions.READ_MESSAGE_HISTORY:
            raise Refusal(403, 160002, "Cannot reply without permission to read message history")
        other = self.world.messages.get(draft.reference["message_id"])
        if other is None or other.deleted or other.channel is not channel or other.ephemeral_to:
            if draft.reference["strict"]:
                path = ("message_reference",)
                raise invalid(path, "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
            return None
        if other.type in SYSTEM:
            path = ("message_reference",)
            raise invalid(
                path, "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", "Cannot reply to a system message"
            )
        return other

    async def edit_message(self, call: Call) -> Reply:
        more = permissions.ATTACH_FILES if call.uploads else 0
        channel = self.world.channel_for_bot(call.id("channel_id"), permissions.VIEW_CHANNEL | more)
        message = self.world.message_for_bot(channel, call.id("message_id"))
        if message.type in SYSTEM:
            raise Refusal(403, 50021, "Cannot execute action on a system message")
        if message.author is not self.world.bot:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        if channel.archived:
            raise Refusal(400, 50083, "Thread is archived")
        uploads = await self.world.prepare(channel, call.uploads)
        draft = read_draft(
            call.object(), uploads, self.world.ids.next, base=message, emoji=self.world.emoji
        )
        auto_mod.check(channel, self.world.bot, draft, ephemeral=False)
        return Reply(200, self.world.for_bot(self.world.edit(message, draft)))

    async def delete_message(self, call: Call) -> Reply:
        channel = self.world.channel_for_bot(call.id("channel_id"), permissions.VIEW_CHANNEL)
        message = self.world.message_for_bot(channel, call.id("message_id"))
        if message.author is not self.world.bot:
            if channel.guild is None:
                raise Refusal(403, 50003, "Cannot execute action on a DM channel")
            if not channel.bot_permissions() & permissions.MANAGE_MESSAGES:
                raise Refusal(403, 50013, "Missing Permissions")
        if channel.archived:
            raise Refusal(400, 50083, "Thread is archived")
        self.world.delete(message)
        return Reply(204)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise invalid((name,), "NUMBER_TYPE_COERCE", f'Value "{text}" is not int.')
    return int(text)


def _part(messages: list[Message], side: str, pivot: int, limit: int) -> list[Message]:
    """Return the messages on one side of an id, or around an id; oldest first.

    Around an id, an even limit allows one message more, so that both sides have the same number.
    """
    older = [message for message in messages if message.id < pivot]
    newer = [message for message in messages if message.id > pivot]
    if side == "before":
        return older[-limit:]
    if side == "after":
        return newer[:limit]
    half = limit // 2
    middle = [message for message in messages if message.id == pivot]
    return older[-half:] * bool(half) + middle + newer[:half]
