"""Routes that change and delete threads."""

from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.models import Channel
from bot.sandbox.discord.request_body import Form, Problems, Refusal, Unsupported
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.routes_threads import MINUTES, tags_of
from bot.sandbox.discord.world import World

ONE: Final = "/channels/{channel_id}"
KEYS: Final = frozenset(
    {"name", "archived", "locked", "auto_archive_duration", "rate_limit_per_user", "invitable"}
    | {"applied_tags"}
)
MODERATED: Final = frozenset({"locked", "rate_limit_per_user"})  # not for a thread's starter


@dataclass
class ThreadEditRoutes:
    world: World

    def routes(self) -> list[Route]:
        return [Route("PATCH", ONE, self.edit), Route("DELETE", ONE, self.delete)]

    def _thread(self, call: Call) -> Channel:
        channel = self.world.channel_for_bot(call.id("channel_id"), permissions.VIEW_CHANNEL)
        if not channel.is_thread:
            raise Unsupported("changing a channel that is no thread")
        return channel

    async def edit(self, call: Call) -> Reply:
        thread = self._thread(call)
        problems = Problems()
        form = Form(call.object(), problems)
        form.only(KEYS)
        name = form.text("name", 100, low=1)
        minutes = form.choice("auto_archive_duration", MINUTES)
        slowmode = form.whole("rate_limit_per_user", 0, 21600)
        archived, locked = form.flag("archived"), form.flag("locked")
        invitable = form.flag("invitable")
        given = form.items("applied_tags", 5)
        problems.settle()
        self._check(thread, {key for key in KEYS if form.has(key)}, archived)
        if form.has("applied_tags") and thread.parent is not None:
            thread.tags = tags_of(given, thread.parent)
        thread.name = name or thread.name
        thread.archive_minutes = minutes or thread.archive_minutes
        thread.slowmode = thread.slowmode if slowmode is None else slowmode
        thread.archived = thread.archived if archived is None else archived
        thread.locked = thread.locked if locked is None else locked
        thread.invitable = thread.invitable if invitable is None else invitable
        self.world.dispatch("THREAD_UPDATE", thread.to_json(), guild=thread.guild)
        self.world.changes.notify()
        return Reply(200, thread.to_json())

    def _check(self, thread: Channel, given: set[str], archived: bool | None) -> None:
        moderator = bool(thread.bot_permissions() & permissions.MANAGE_THREADS)
        own = thread.starter is self.world.bot and not given & MODERATED
        # anybody who may write there takes an unlocked thread out of the archive
        opening = given == {"archived"} and archived is False
        if thread.locked and not moderator:
            raise Refusal(403, 160005, "Thread is locked")
        if not moderator and opening and not own:
            self.world.channel_for_bot(thread.id, permissions.SEND_MESSAGES_IN_THREADS)
        elif not moderator and not own:
            raise Refusal(403, 50013, "Missing Permissions")
        if thread.archived and archived is not False:
            raise Refusal(400, 50083, "Thread is archived")

    async def delete(self, call: Call) -> Reply:
        thread = self._thread(call)
        self.world.channel_for_bot(thread.id, permissions.MANAGE_THREADS)
        shown = thread.to_json()
        self.world.remove_channel(thread)
        return Reply(200, shown)
