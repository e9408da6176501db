"""Routes of reactions. The emoji is in the path: itself, or `name:id` for a custom one."""

from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.marks import react, unreact
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.reactions import MOST, Face, face_of
from bot.sandbox.discord.request_body import Form, Problems, Refusal
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.world import World

ALL: Final = "/channels/{channel_id}/messages/{message_id}/reactions"
ONE: Final = ALL + "/{emoji}"
READ: Final = permissions.VIEW_CHANNEL | permissions.READ_MESSAGE_HISTORY
UNKNOWN_EMOJI: Final = (400, 10014, "Unknown Emoji")


@dataclass
class ReactionRoutes:
    world: World

    def routes(self) -> list[Route]:
        return [
            Route("PUT", ONE + "/@me", self.add),
            Route("DELETE", ONE + "/@me", self.remove_own),
            Route("DELETE", ONE + "/{user_id}", self.remove_other),
            Route("GET", ONE, self.get_users),
            Route("DELETE", ONE, self.remove_emoji),
            Route("DELETE", ALL, self.remove_all),
        ]

    def _message(self, call: Call, needed: int, *, change: bool = True) -> Message:
        channel = self.world.channel_for_bot(call.id("channel_id"), needed)
        if change and channel.archived:
            raise Refusal(400, 50083, "Thread is archived")
        return self.world.message_for_bot(channel, call.id("message_id"))

    def _moderated(self, call: Call) -> Message:
        message = self._message(call, permissions.VIEW_CHANNEL)
        if message.channel.guild is None:
            raise Refusal(403, 50003, "Cannot execute action on a DM channel")
        self.world.channel_for_bot(message.channel.id, permissions.MANAGE_MESSAGES)
        return message

    def _face(self, call: Call) -> Face:
        face = face_of(call.path["emoji"])
        if face is None:
            raise Refusal(*UNKNOWN_EMOJI)
        return face

    async def add(self, call: Call) -> Reply:
        message, face = self._message(call, READ), self._face(call)
        channel, known = message.channel, message.reactions.users(face)
        if face.id is not None and not known:
            face = self._custom(channel, face)
        if not known and channel.guild is not None:
            self.world.channel_for_bot(channel.id, permissions.ADD_REACTIONS)
        if not known and len(message.reactions.found) >= MOST:
            raise Refusal(400, 30010, f"Maximum number of reactions reached ({MOST})")
        react(self.world, message, face, self.world.bot)
        return Reply(204)

    def _custom(self, channel: Channel, face: Face) -> Face:
        """Return a custom emoji of one of the bot's servers, which must be usable here."""
        for guild in self.world.guilds.values():
            emoji = guild.emoji.get(face.id or 0)
            if emoji is None or not guild.bot_present:
                continue
            if channel.guild is not None and guild is not channel.guild:
                self.world.channel_for_bot(channel.id, permissions.USE_EXTERNAL_EMOJIS)
            return Face(emoji.name, emoji.id, emoji.animated)
        raise Refusal(*UNKNOWN_EMOJI)

    async def remove_own(self, call: Call) -> Reply:
        message, face = self._message(call, READ), self._face(call)
        return self._remove(message, face, self.world.bot)

    async def remove_other(self, call: Call) -> Reply:
        user = self.world.users.get(call.id("user_id"))
        own = user is self.world.bot
        message = self._message(call, READ) if own else self._moderated(call)
        face = self._face(call)
        if user is None:
            raise Refusal(404, 10013, "Unknown User")
        return self._remove(message, face, user)

    def _remove(self, message: Message, face: Face, user: User) -> Reply:
        if not message.reactions.users(face):
            raise Refusal(*UNKNOWN_EMOJI)
        unreact(self.world, message, face, user)
        return Reply(204)

    async def get_users(self, call: Call) -> Reply:
        message, face = self._message(call, READ, change=False), self._face(call)
        problems = Problems()
        form = Form({**call.query}, problems)
        form.only({"limit", "after", "type"})
        limit, after = form.snowflake("limit"), form.snowflake("after") or 0
        if limit is not None and not 1 <= limit <= 100:
            form.wrong("limit", "NUMBER_TYPE_MAX", "int value should be from 1 to 100.")
        if form.data.get("type") not in (None, "0", "1"):
            form.wrong("type", "BASE_TYPE_CHOICES", "Value must be one of {0, 1}.")
        problems.settle()
        if not message.reactions.users(face):
            raise Refusal(*UNKNOWN_EMOJI)
        normal = form.data.get("type") != "1"  # 1: super reactions, which no user has here
        users = sorted(message.reactions.users(face) if normal else [], key=lambda user: user.id)
        later = [user.to_json() for user in users if user.id > after]
        return Reply(200, later[: limit or 25])

    async def remove_emoji(self, call: Call) -> Reply:
        message, face = self._moderated(call), self._face(call)
        if message.reactions.found.pop(face.key, None) is None:
            raise Refusal(*UNKNOWN_EMOJI)
        data = {"message_id": str(message.id), "emoji": face.to_json()}
        self.world.dispatch_about(message, "MESSAGE_REACTION_REMOVE_EMOJI", data)
        return Reply(204)

    async def remove_all(self, call: Call) -> Reply:
        message = self._moderated(call)
        message.reactions.found.clear()
        data = {"message_id": str(message.id)}
        self.world.dispatch_about(message, "MESSAGE_REACTION_REMOVE_ALL", data)
        return Reply(204)
