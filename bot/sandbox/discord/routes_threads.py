"""Routes of threads: from a message, without one, and as posts of forum and media channels."""

from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord import auto_mod, permissions
from bot.sandbox.discord.message_body import read_draft
from bot.sandbox.discord.messages import (
    HAS_THREAD,
    SYSTEM,
    THREAD_NOTICE,
    THREAD_STARTER,
)
from bot.sandbox.discord.models import FORUMS, REQUIRE_TAG, Channel, ChannelKind, Tag
from bot.sandbox.discord.request_body import Form, Json, Problems, Refusal, as_snowflake
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.world import World

THREADS: Final = "/channels/{channel_id}/threads"
FROM_MESSAGE: Final = "/channels/{channel_id}/messages/{message_id}/threads"
MEMBERS: Final = "/channels/{channel_id}/thread-members"
MEMBER: Final = MEMBERS + "/@me"
OTHER: Final = MEMBERS + "/{user_id}"
ACTIVE: Final = "/guilds/{guild_id}/threads/active"
KEYS: Final = frozenset({"name", "auto_archive_duration", "rate_limit_per_user"})
MINUTES: Final = (60, 1440, 4320, 10080)
MOST_ACTIVE: Final = 1000  # in a server
# the kinds of threads that a channel may have
KINDS: Final = {
    ChannelKind.TEXT: (ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD),
    ChannelKind.ANNOUNCEMENT: (ChannelKind.ANNOUNCEMENT_THREAD,),
}
GUILD_MEMBERS: Final = 1 << 1  # the intent
WRONG_KIND: Final = (400, 50024, "Cannot execute action on this channel type")


@dataclass
class ThreadRoutes:
    world: World

    def routes(self) -> list[Route]:
        return [
            Route("POST", FROM_MESSAGE, self.start_from_message),
            Route("POST", THREADS, self.start),
            Route("PUT", MEMBER, self.join),
            Route("DELETE", MEMBER, self.leave),
            Route("PUT", OTHER, self.add),
            Route("GET", MEMBERS, self.get_members),
            Route("GET", ACTIVE, self.get_active),
        ]

    async def start_from_message(self, call: Call) -> Reply:
        channel = self._parent(call, permissions.CREATE_PUBLIC_THREADS)
        if channel.kind not in KINDS:
            raise Refusal(*WRONG_KIND)
        message = self.world.message_for_bot(channel, call.id("message_id"))
        if message.type in SYSTEM:
            raise Refusal(403, 50021, "Cannot execute action on a system message")
        problems = Problems()
        form = Form(call.object(), problems)
        form.only(KEYS)
        thread = self._read(form, channel, KINDS[channel.kind][0])
        problems.settle()
        if message.thread is not None:
            raise Refusal(400, 160004, "A thread has already been created for this message")
        thread.id = message.id
        self._add(thread)
        message.thread, message.flags = thread, message.flags | HAS_THREAD
        self.world.dispatch_message("MESSAGE_UPDATE", message)
        starter = self.world.new_message(thread, message.author)
        starter.type, starter.reference = THREAD_STARTER, message
        self.world.publish(starter)
        return Reply(201, thread.to_json())

    async def start(self, call: Call) -> Reply:
        channel = self._parent(call, 0)
        if channel.kind in FORUMS:
            return await self._post(call, channel)
        if channel.kind not in KINDS:
            raise Refusal(*WRONG_KIND)
        problems = Problems()
        form = Form(call.object(), problems)
        form.only(KEYS | {"type", "invitable"})
        # the default is private, as in the first version of the API with threads
        kind = form.choice("type", KINDS[channel.kind]) or ChannelKind.PRIVATE_THREAD
        thread = self._read(form, channel, ChannelKind(kind))
        thread.invitable = form.flag("invitable") is not False
        problems.settle()
        private = kind == ChannelKind.PRIVATE_THREAD
        if private and channel.kind is ChannelKind.ANNOUNCEMENT:
            raise Refusal(*WRONG_KIND)
        needed = (
            permissions.CREATE_PRIVATE_THREADS if private else permissions.CREATE_PUBLIC_THREADS
        )
        self.world.channel_for_bot(channel.id, needed)
        self._add(thread)
        if not private:
            notice = self.world.new_message(channel, self.world.bot)
            notice.type, notice.thread, notice.content = THREAD_NOTICE, thread, thread.name
            self.world.publish(notice)
        return Reply(201, thread.to_json())

    async def _post(self, call: Call, forum: Channel) -> Reply:
        """Create a post of a forum: a thread whose first message has the thread's id."""
        needed = permissions.SEND_MESSAGES | (permissions.ATTACH_FILES if call.uploads else 0)
        self.world.channel_for_bot(forum.id, needed)
        problems = Problems()
        form = Form(call.object(), problems)
        form.only(KEYS | {"applied_tags", "message", "type"})
        form.choice("type", (ChannelKind.PUBLIC_THREAD,))  # discord.py sends the only kind
        thread = self._read(form, forum, ChannelKind.PUBLIC_THREAD)
        given = form.items("applied_tags", 5)
        body = form.form("message", required=True)
        problems.settle()
        thread.tags = tags_of(given, forum)
        uploads = await self.world.prepare(forum, call.uploads)
        draft = read_draft(
            body.data if body else {},
            uploads,
            self.world.ids.next,
            path=("message",),
            emoji=self.world.emoji,
        )
        auto_mod.check(forum, self.world.bot, draft, ephemeral=False)
        if forum.flags & REQUIRE_TAG and not thread.tags:
            message = "A tag is required to create a forum post in this channel"
            raise Refusal(400, 40067, message)
        self._add(thread)
        first = self.world.new_message(thread, self.world.bot)
        first.id = thread.id
        self.world.create(first, draft)
        return Reply(201, {**thread.to_json(), "message": first.to_json()})

    def _parent(self, call: Call, needed: int) -> Channel:
        channel = self.world.channel_for_bot(
            call.id("channel_id"), permissions.VIEW_CHANNEL | needed
        )
        if channel.guild is None or channel.is_thread:
            raise Refusal(*WRONG_KIND)
        return channel

    def _read(self, form: Form, parent: Channel, kind: ChannelKind) -> Channel:
        """Return the thread of a body, not yet in the channel."""
        world = self.world
        name = form.text("name", 100, low=1, required=True) or ""
        minutes = form.choice("auto_archive_duration", MINUTES)
        slowmode = form.whole("rate_limit_per_user", 0, 21600)
        return Channel(
            world.ids.next(),
            name,
            kind,
            world.now(),
            parent.guild,
            parent,
            nsfw=parent.nsfw,
            bot_id=world.bot.id,
            starter=world.bot,
            archive_minutes=minutes or 1440,
            slowmode=slowmode or 0,
        )

    def _add(self, thread: Channel) -> None:
        others = thread.guild.channels.values() if thread.guild else ()
        if sum(one.is_thread and not one.archived for one in others) >= MOST_ACTIVE:
            raise Refusal(400, 160006, "Maximum number of active threads reached")
        self.world.add_channel(thread)

    def _thread(self, call: Call) -> Channel:
        thread = self.world.channel_for_bot(call.id("channel_id"), permissions.VIEW_CHANNEL)
        if not thread.is_thread:
            raise Refusal(*WRONG_KIND)
        if thread.archived:
            raise Refusal(400, 50083, "Thread is archived")
        return thread

    async def join(self, call: Call) -> Reply:
        self._thread(call).bot_in_thread = True
        return Reply(204)

    async def leave(self, call: Call) -> Reply:
        self._thread(call).bot_in_thread = False
        return Reply(204)

    async def add(self, call: Call) -> Reply:
        """Add a member of the server to a thread, which needs the right to write there."""
        thread = self._thread(call)
        self.world.channel_for_bot(thread.id, permissions.SEND_MESSAGES_IN_THREADS)
        guild = self.world.guild_for_bot(thread.guild.id if thread.guild else 0)
        member = guild.members.get(call.id("user_id"))
        if member is None:
            raise Refusal(404, 10007, "Unknown Member")
        if not thread.permissions_of(member.user) & permissions.VIEW_CHANNEL:
            raise Refusal(403, 50001, "Missing Access")
        self.world.join_thread(thread, member.user)
        self.world.changes.notify()
        return Reply(204)

    async def get_members(self, call: Call) -> Reply:
        """List the members of a thread, which needs the privileged intent for members."""
        if not self.world.privileged_intents & GUILD_MEMBERS:
            raise Refusal(403, 50001, "Missing Access")
        return Reply(200, self._thread(call).members_json())

    async def get_active(self, call: Call) -> Reply:
        guild = self.world.guild_for_bot(call.id("guild_id"))
        threads = [
            one
            for one in guild.channels.values()
            if one.is_thread and not one.archived and self.world.bot_listens(one)
        ]
        shown: list[Json] = [thread.to_json() for thread in threads]
        members = [each["member"] for each in shown if "member" in each]
        return Reply(200, {"threads": shown, "members": members})


def tags_of(given: list[object], forum: Channel) -> list[Tag]:
    """Return the chosen tags of a forum's post; moderated ones are for moderators alone."""
    offered = {tag.id: tag for tag in forum.tags}
    chosen: list[Tag] = []
    for item in given:
        tag = offered.get(as_snowflake(item) or 0)
        if tag is None:
            raise Refusal(404, 10087, "Unknown tag")
        chosen.append(tag)
    moderator = forum.bot_permissions() & permissions.MANAGE_THREADS
    if any(tag.moderated for tag in chosen) and not moderator:
        raise Refusal(403, 50013, "Missing Permissions")
    return chosen
