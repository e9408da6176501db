"""Foreign clients, unmodified, against the stand-in. Each is skipped where not installed."""

import asyncio
import importlib.util
import os
import shutil
import sys

import pytest

from bot.sandbox.discord import FakeDiscord
from tests.foreign.conversation import client, converse

pytestmark = pytest.mark.long

MODULES = "EASEL_NODE_MODULES"  # names a folder with discord.js


async def test_discord_js_holds_the_conversation() -> None:
    node, modules = shutil.which("node"), os.environ.get(MODULES)
    if node is None or modules is None:
        pytest.skip(f"needs node, and {MODULES} with discord.js")
    async with (
        FakeDiscord() as discord,
        asyncio.timeout(50),
        client(discord, [node, "discord_js.cjs"], {"NODE_PATH": modules}),
    ):
        await converse(discord)


@pytest.mark.skipif(importlib.util.find_spec("hikari") is None, reason="hikari is not installed")
async def test_hikari_holds_the_conversation() -> None:
    async with (
        FakeDiscord() as discord,
        asyncio.timeout(50),
        client(discord, [sys.executable, "hikari_client.py"], {}),
    ):
        await converse(discord)
