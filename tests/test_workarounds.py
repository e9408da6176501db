"""Private parts of libraries that workarounds rely on: a release without them must be noticed."""

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiosqlite
import discord
import pytest
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Route
from packaging.requirements import Requirement
from yarl import URL

from bot.store.aiosqlite_driver import Connection
from cogs.delivery.member_roles_workaround import role_ids_of

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("package", ["discord.py", "aiosqlite"])
def test_the_minor_version_is_pinned(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(each) for each in project["dependencies"]]
    (pinned,) = [each for each in requirements if each.name == package]
    major, minor, *_ = (int(part) for part in version(package).split("."))

    assert version(package) in pinned.specifier
    assert f"{major}.{minor + 1}" not in pinned.specifier


def test_discord_py_waits_for_the_end_of_a_global_limit_by_an_event() -> None:
    client = discord.Client(intents=discord.Intents.none())

    assert hasattr(client.http, "_global_over")
    assert "_global_over.wait()" in inspect.getsource(HTTPClient.request)


def test_discord_py_takes_its_addresses_from_class_attributes() -> None:
    assert isinstance(Route.BASE, str)
    assert "self.BASE" in inspect.getsource(Route.__init__)
    assert isinstance(DiscordWebSocket.DEFAULT_GATEWAY, URL)
    assert "DEFAULT_GATEWAY" in inspect.getsource(DiscordWebSocket.from_client)


async def test_aiosqlite_has_the_parts_of_the_faster_driver(tmp_path: Path) -> None:
    connection = Connection(str(tmp_path / "any.db"), timeout=1.0)
    assert connection._thread.daemon
    async with connection:
        assert connection._conn is not None
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1 UNION SELECT 2")
            assert [row[0] for row in await cursor.fetchall()] == [1, 2]
    assert hasattr(aiosqlite.Cursor, "_execute")


async def test_discord_py_keeps_the_ids_of_a_member_s_roles() -> None:
    """discord.py has the ids also before the gateway sends the server; `roles` is empty then."""
    async with discord.Client(intents=discord.Intents.none()) as client:
        guild = client._connection._get_or_create_unavailable_guild(5)
        user = {"id": "1", "username": "ada", "discriminator": "0", "avatar": None}
        data: Any = {"user": user, "roles": ["7"], "flags": 0, "joined_at": None}
        member = discord.Member(data=data, guild=guild, state=client._connection)

        assert member.roles == []
        assert role_ids_of(member) == {5, 7}
