"""The permissions that the bot needs, and the link that adds the bot with them."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

# Bits of Discord's permissions, by the names in Discord's client.
NEEDED: Mapping[str, int] = {
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
    "Send Messages in Threads": 1 << 38,
}
# For a part of the work alone: a server that refuses these is served all the same.
OPTIONAL: Mapping[str, int] = {"Create Public Threads": 1 << 35}
ADMINISTRATOR = 1 << 3  # implies every other permission


def missing(granted: int, needed: Iterable[str] = tuple(NEEDED)) -> list[str]:
    """Return the names of the needed permissions that are not among the granted bits."""
    if granted & ADMINISTRATOR:
        return []
    return [name for name in needed if not granted & NEEDED[name]]


def invite_link(application_id: int) -> str:
    """Return the address at which an administrator adds the bot to a server."""
    query = {
        "client_id": str(application_id),
        "scope": "bot applications.commands",
        "permissions": str(sum((*NEEDED.values(), *OPTIONAL.values()))),
    }
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"
