"""Workaround: a cancelled request must not block the whole bot during a global rate limit.

Read from discord.py 2.7.1 (pyproject.toml pins the minor version; a test fails when the private
part is gone). In a global rate limit, discord.py holds back all requests until the one that Discord
answered with 429 has waited. If that request is cancelled, the event `_global_over` is never set,
and every later request waits for ever. Set early, the event only lets Discord answer each of them.
"""

import discord


def release_global_limit(client: discord.Client) -> None:
    """Let the requests go on that wait for the end of a global rate limit."""
    client.http._global_over.set()
