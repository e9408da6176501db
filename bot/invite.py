"""What the bot must be allowed to in a server, and the link that adds it with just that."""

from collections.abc import Mapping
from urllib.parse import urlencode

# Bits of Discord's permissions, by the names that its client shows.
NEEDED: Mapping[str, int] = {
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
    "Send Messages in Threads": 1 << 38,
}
ADMINISTRATOR = 1 << 3  # is allowed everything, whatever else is not set


def lacking(granted: int) -> list[str]:
    """The names of what is needed and not granted."""
    if granted & ADMINISTRATOR:
        return []
    return [name for name, bit in NEEDED.items() if not granted & bit]


def invite_link(application_id: int) -> str:
    query = {
        "client_id": str(application_id),
        "scope": "bot applications.commands",
        "permissions": str(sum(NEEDED.values())),
    }
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"
