"""A strict stand-in for Discord on loopback, which any Discord library can log in to."""

from bot.sandbox.discord.command_input import MemberError
from bot.sandbox.discord.guilds import Guild
from bot.sandbox.discord.interactions import Interaction
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import Channel, ChannelKind, User
from bot.sandbox.discord.rest import Request
from bot.sandbox.discord.server import FakeDiscord
from bot.sandbox.discord.uploads import Upload

__all__ = [
    "Channel",
    "ChannelKind",
    "FakeDiscord",
    "Guild",
    "Interaction",
    "MemberError",
    "Message",
    "Request",
    "Upload",
    "User",
]
