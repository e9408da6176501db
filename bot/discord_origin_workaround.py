"""Workaround: discord.py has no setting for the addresses of the API and the gateway.

Read from discord.py 2.7.1 (pyproject.toml pins the minor version; a test fails when a part is
gone). `Route.BASE` is the address of every REST request. The gateway's address comes from
`GET /gateway/bot` once; for a session that Discord has invalidated, discord.py connects to
`DiscordWebSocket.DEFAULT_GATEWAY` instead.
"""

from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL


def use_api(url: str) -> None:
    """Send every REST request of this process to the API at `url`."""
    Route.BASE = url


def use_gateway(url: str) -> None:
    """Open new sessions of this process at the gateway at `url`."""
    DiscordWebSocket.DEFAULT_GATEWAY = URL(url)
