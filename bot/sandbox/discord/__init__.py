"""A strict stand-in for Discord on loopback, to which any Discord library can log in.

`FakeDiscord` in `server` joins REST (`rest` and `routes_*`), the gateway and the CDN. The other
modules read request bodies, store messages and act for members. Tests and the demonstration
import the names below; `page` also imports the models of messages and channels.
"""

from bot.sandbox.discord.command_input import MemberError
from bot.sandbox.discord.guilds import Emoji, Guild, Role
from bot.sandbox.discord.interactions import Interaction
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import Channel, ChannelKind, User
from bot.sandbox.discord.rest import Request
from bot.sandbox.discord.server import FakeDiscord
from bot.sandbox.discord.spelling import Spelling
from bot.sandbox.discord.uploads import Upload

__all__ = [
    "Channel",
    "ChannelKind",
    "Emoji",
    "FakeDiscord",
    "Guild",
    "Interaction",
    "MemberError",
    "Message",
    "Request",
    "Role",
    "Spelling",
    "Upload",
    "User",
]
