"""Routes of pins, by their newer and their older paths."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.marks import pin, pins, unpin
from bot.sandbox.discord.messages import SYSTEM, Message
from bot.sandbox.discord.request_body import Refusal, invalid
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.world import World

PINS: Final = "/channels/{channel_id}/messages/pins"
OLD_PINS: Final = "/channels/{channel_id}/pins"
MOST: Final = 250  # in a channel
OLD_MOST: Final = 50  # in an answer


@dataclass
class PinRoutes:
    """Routes that must be added before `/channels/{channel_id}/messages/{message_id}`."""

    world: World

    def routes(self) -> list[Route]:
        found = [Route("GET", PINS, self.get), Route("GET", OLD_PINS, self.get_old)]
        for path in (PINS, OLD_PINS):
            found += [
                Route("PUT", path + "/{message_id}", self.pin),
                Route("DELETE", path + "/{message_id}", self.unpin),
            ]
        return found

    def _message(self, call: Call) -> Message:
        channel = self.world.channel_for_bot(call.id("channel_id"), permissions.PIN_MESSAGES)
        message = self.world.message_for_bot(channel, call.id("message_id"))
        if channel.archived:
            raise Refusal(400, 50083, "Thread is archived")
        if message.type in SYSTEM:
            raise Refusal(403, 50021, "Cannot execute action on a system message")
        return message

    async def pin(self, call: Call) -> Reply:
        message = self._message(call)
        if message.pinned_at is not None:
            return Reply(204)
        if len(pins(self.world, message.channel)) >= MOST:
            raise Refusal(400, 30003, f"Maximum number of pins reached ({MOST})")
        pin(self.world, message, self.world.bot)
        return Reply(204)

    async def unpin(self, call: Call) -> Reply:
        message = self._message(call)
        if message.pinned_at is not None:
            unpin(self.world, message)
        return Reply(204)

    def _pins(self, call: Call) -> list[Message]:
        """Return the pinned messages, last pinned first; none without the right to read them."""
        channel = self.world.channel_for_bot(call.id("channel_id"), permissions.VIEW_CHANNEL)
        if channel.guild and not channel.bot_permissions() & permissions.READ_MESSAGE_HISTORY:
            return []
        return pins(self.world, channel)

    async def get(self, call: Call) -> Reply:
        text = call.query.get("limit", "50")
        limit = int(text) if text.isascii() and text.isdigit() else 0
        if not 1 <= limit <= OLD_MOST:
            raise invalid(("limit",), "NUMBER_TYPE_MAX", "int value should be from 1 to 50.")
        found = self._pins(call)
        if "before" in call.query:
            moment = _time(call.query["before"])
            found = [one for one in found if datetime.fromisoformat(one.pinned_at or "") < moment]
        items = [{"pinned_at": one.pinned_at, "message": self._shown(one)} for one in found[:limit]]
        return Reply(200, {"items": items, "has_more": len(found) > limit})

    async def get_old(self, call: Call) -> Reply:
        return Reply(200, [self._shown(message) for message in self._pins(call)[:OLD_MOST]])

    def _shown(self, message: Message) -> object:
        return self.world.for_bot(message)


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped plus sign
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid(("before",), "DATE_TIME_TYPE_PARSE", f"Could not parse {text}.")
    return moment
