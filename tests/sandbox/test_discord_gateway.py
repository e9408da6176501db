"""The stand-in's gateway, over a raw WebSocket."""

import asyncio
import contextlib
import importlib
import json
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from bot.sandbox.discord import FakeDiscord
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_raw import Api, api, api_of

__all__ = ["api"]  # the fixture

GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, CONTENT = 1, 1 << 9, 1 << 12, 1 << 15
USUAL = GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES


@dataclass
class Line:
    """A connection to the gateway."""

    socket: aiohttp.ClientWebSocketResponse
    token: str
    inflate: Any = None
    session: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, op: int, data: object) -> None:
        await self.socket.send_str(json.dumps({"op": op, "d": data}))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            frame = await self.socket.receive()
        if frame.type == aiohttp.WSMsgType.BINARY:
            # one context for all frames, and each frame is complete
            payload: dict[str, Any] = json.loads(self.inflate.decompress(frame.data))
        else:
            assert frame.type == aiohttp.WSMsgType.TEXT, frame
            payload = json.loads(frame.data)
        self.seen.append(payload)
        return payload

    async def event(self, name: str) -> Any:  # noqa: ANN401 - JSON as it came
        while True:
            payload = await self.next()
            if payload["t"] == name:
                return payload["d"]

    async def identify(self, intents: int = USUAL, **changes: object) -> None:
        body = {"token": self.token, "intents": intents, "properties": {"os": "x"}}
        await self.send(2, body | changes)

    async def ready(self, intents: int = USUAL) -> dict[str, Any]:
        await self.identify(intents)
        ready: dict[str, Any] = await self.event("READY")
        self.session = ready["session_id"]
        return ready

    async def resume(self, session: str, seq: int) -> None:
        await self.send(6, {"token": self.token, "session_id": session, "seq": seq})

    async def close_code(self) -> int | None:
        """Wait for the end, and return the gateway's close code."""
        async with asyncio.timeout(20):
            while not self.socket.closed:
                frame = await self.socket.receive()
                if frame.type == aiohttp.WSMsgType.CLOSE:
                    return int(frame.data)
        return self.socket.close_code


def inflater(query: str) -> Any:  # noqa: ANN401 - an object of any of three libraries
    """Return the decompression for a query of the gateway; None without one."""
    if "zlib-stream" in query:
        return zlib.decompressobj()
    if "zstd-stream" not in query:
        return None
    for name in ("compression.zstd", "zstandard"):
        with contextlib.suppress(ImportError):
            decompressor = importlib.import_module(name).ZstdDecompressor()
            return decompressor.decompressobj() if name == "zstandard" else decompressor
    return None


@asynccontextmanager
async def line(api: Api, query: str = "v=10&encoding=json") -> AsyncIterator[Line]:
    _, bot = await api.call("GET", "/gateway/bot")
    async with api.http.ws_connect(f"{bot['url']}?{query}") as socket:
        inflate = inflater(query)
        made = Line(socket, api.discord.token, inflate)
        if "compress=z" not in query or inflate:
            hello = await made.next()
            assert (hello["op"], hello["d"]["heartbeat_interval"]) == (10, 41250)
        yield made


ZLIB, ZSTD = "v=10&encoding=json&compress=zlib-stream", "v=10&encoding=json&compress=zstd-stream"
needs_zstd = pytest.mark.skipif(inflater(ZSTD) is None, reason="no library for Zstandard")


@pytest.mark.parametrize(
    "query", ["v=10&encoding=json", ZLIB, pytest.param(ZSTD, marks=needs_zstd)]
)
async def test_logging_in_shows_the_servers(api: Api, query: str) -> None:
    async with line(api, query) as bot:
        ready = await bot.ready()
        guild = await bot.event("GUILD_CREATE")

    assert ready["user"]["id"] == str(api.discord.bot_user.id)
    assert ready["application"] == {"id": str(api.discord.application_id), "flags": 0}
    assert ready["guilds"] == [{"id": str(api.guild.id), "unavailable": True}]
    assert ready["resume_gateway_url"].startswith("ws://127.0.0.1:")
    assert [one["name"] for one in guild["channels"]] == ["general"]
    assert [one["user"]["username"] for one in guild["members"]] == ["Easel", "operator"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"token": "wrong"}, 4004),
        ({"intents": "all"}, 4013),
        ({"intents": 1 << 40}, 4013),
        ({"intents": CONTENT}, 4014),
        ({"shard": [1, 1]}, 4010),
        ({"shard": [0]}, 4010),
        ({"properties": None}, 4002),
    ],
)
async def test_a_wrong_identify_closes_the_line(
    api: Api, changes: dict[str, object], code: int
) -> None:
    async with line(api) as bot:
        await bot.identify(**changes)  # type: ignore[arg-type]  # wrong on purpose

        assert await bot.close_code() == code


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (3, {}, 4003),
        (99, {}, 4003),
        (2, "x", 4002),
        (6, {"token": "wrong"}, 4004),
    ],
)
async def test_a_wrong_command_before_identify_closes_the_line(
    api: Api, op: int, data: object, code: int
) -> None:
    async with line(api) as bot:
        await bot.send(op, data)

        assert await bot.close_code() == code


async def test_what_is_no_json_closes_the_line(api: Api) -> None:
    async with line(api) as bot:
        await bot.socket.send_str("hello")

        assert await bot.close_code() == 4002


async def test_a_second_identify_closes_the_line(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        await bot.identify()

        assert await bot.close_code() == 4005


async def test_too_many_commands_close_the_line(api: Api) -> None:
    async with line(api) as bot:
        for _ in range(121):
            await bot.send(1, None)

        assert await bot.close_code() == 4008


async def test_a_heartbeat_is_acknowledged(api: Api) -> None:
    async with line(api) as bot:
        await bot.send(1, None)

        assert (await bot.next())["op"] == 11


async def test_a_line_without_heartbeats_is_closed() -> None:
    async with api_of(FakeDiscord(heartbeat_seconds=0.02)) as api:
        _, url = await api.call("GET", "/gateway")
        async with api.http.ws_connect(url["url"]) as socket:
            assert await Line(socket, "").close_code() == 4009


@pytest.mark.parametrize("query", ["v=10&compress=zstd-stream", "v=10&encoding=etf&compress=z"])
async def test_what_the_gateway_has_not_is_a_violation(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("compression.zstd", "zstandard"):  # as where neither is installed
        monkeypatch.setitem(sys.modules, name, None)
    async with api_of(FakeDiscord()) as api:
        async with line(api, query) as bot:
            assert await bot.close_code() == 4002
        assert len(api.discord.violations) == 1


async def test_a_resumed_session_hears_what_it_missed(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        await bot.event("GUILD_CREATE")
        last = bot.seen[-1]["s"]
        await api.discord.drop_gateway()
    await api.send({"content": "missed"})

    async with line(api) as again:
        await again.resume(bot.session, last)

        assert (await again.event("MESSAGE_CREATE"))["content"] == "missed"
        await again.event("RESUMED")
        await api.send({"content": "heard"})
        assert (await again.event("MESSAGE_CREATE"))["content"] == "heard"


async def test_an_unknown_session_cannot_be_resumed(api: Api) -> None:
    async with line(api) as bot:
        await bot.resume("nothing", 0)
        assert await bot.next() == {"op": 9, "s": None, "t": None, "d": False}
        await bot.ready()


async def test_a_session_which_its_client_ended_cannot_be_resumed(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        await bot.socket.close(code=1000)
    await api.discord.disconnected()

    async with line(api) as again:
        await again.resume(bot.session, 1)
        assert (await again.next())["op"] == 9


async def test_a_sequence_from_the_future_closes_the_line(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        await api.discord.drop_gateway()

    async with line(api) as again:
        await again.resume(bot.session, 999)
        assert await again.close_code() == 4007


async def test_clients_are_asked_to_reconnect_or_to_begin_anew(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        await bot.event("GUILD_CREATE")

        await api.discord.request_reconnect()
        assert (await bot.next())["op"] == 7
        await api.discord.invalidate_session()
        assert (await bot.next())["op"] == 9
        await bot.ready()


async def test_messages_of_others_come_without_their_content(api: Api) -> None:
    direct = api.discord.dm_channel(api.ann)
    async with line(api) as bot:
        await bot.ready()

        await api.discord.say(api.ann, api.channel, "secret")
        hidden = await bot.event("MESSAGE_CREATE")
        await api.discord.say(api.ann, api.channel, f"hello {api.discord.bot_user.mention}")
        mention = await bot.event("MESSAGE_CREATE")
        await api.discord.say(api.ann, direct, "direct")
        private = await bot.event("MESSAGE_CREATE")

    assert (hidden["content"], hidden["guild_id"]) == ("", str(api.guild.id))
    assert mention["content"].startswith("hello")
    assert (private["content"], "guild_id" in private) == ("direct", False)


async def test_the_intent_opens_the_content_if_the_application_has_it() -> None:
    async with api_of(FakeDiscord(privileged_intents=CONTENT)) as api, line(api) as bot:
        await bot.ready(USUAL | CONTENT)

        await api.discord.say(api.ann, api.channel, "open")

        assert (await bot.event("MESSAGE_CREATE"))["content"] == "open"


async def test_events_which_nobody_asked_for_do_not_come(api: Api) -> None:
    closed = api.discord.add_channel(api.guild, "closed", bot_permissions=may.SEND_MESSAGES)
    async with line(api) as bot, line(api) as quiet:
        await bot.ready()
        await quiet.ready(GUILDS)

        await api.discord.say(api.ann, closed, "unseen")
        await api.discord.say(api.ann, api.channel, "seen")
        api.discord.remove_bot(api.guild)

        shown = await bot.event("MESSAGE_CREATE")
        assert shown["channel_id"] == str(api.channel.id)
        assert await quiet.event("GUILD_DELETE") == {"id": str(api.guild.id)}
        assert "MESSAGE_CREATE" not in [payload["t"] for payload in quiet.seen]


async def test_a_role_is_created_with_members_and_deleted(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        role = api.discord.add_role(api.guild, "guests", api.ann)
        created = await bot.event("GUILD_ROLE_CREATE")
        assert created["role"] == role.to_json()
        assert api.guild.members[api.ann.id].roles == [role]
        api.discord.set_channel_permissions(api.channel, role, deny=may.SEND_MESSAGES)

        api.discord.delete_role(api.guild, role)

        deleted = {"guild_id": str(api.guild.id), "role_id": str(role.id)}
        assert await bot.event("GUILD_ROLE_DELETE") == deleted
        assert api.guild.members[api.ann.id].roles == []
        assert api.channel.overwrites == {}


async def test_the_bot_is_removed_from_a_server_and_invited_again(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        roles = len(api.guild.roles)
        api.discord.remove_bot(api.guild)
        assert await bot.event("GUILD_DELETE") == {"id": str(api.guild.id)}
        assert len(api.guild.roles) == roles - 1

        api.discord.invite_bot(api.guild)

        joined = await bot.event("GUILD_CREATE")
        while "unavailable" in joined:  # of the first connection
            joined = await bot.event("GUILD_CREATE")
        assert joined["id"] == str(api.guild.id)
        assert len(api.guild.roles) == roles


async def test_a_server_is_told_to_its_shard_only(api: Api) -> None:
    async with line(api) as bot:
        number = (api.guild.id >> 22) % 2
        await bot.identify(shard=[1 - number, 2])
        assert (await bot.event("READY"))["guilds"] == []


async def test_changes_of_channels_are_dispatched(api: Api) -> None:
    discord = api.discord
    async with line(api) as bot:
        await bot.ready()
        guild = discord.add_guild("New")
        channel = discord.add_channel(guild, "new")
        await discord.say(api.ann, channel, "x")
        _, sent = await api.call("POST", f"/channels/{channel.id}/messages", {"content": "y"})
        one = f"/channels/{channel.id}/messages/{sent['id']}"
        await api.call("PATCH", one, {"content": "z"})
        await api.call("DELETE", one)
        discord.delete_channel(channel)
        await bot.event("CHANNEL_DELETE")

    events = [payload["t"] for payload in bot.seen if payload["t"]]
    assert events == [
        "READY",
        "GUILD_CREATE",
        "GUILD_CREATE",
        "CHANNEL_CREATE",
        "MESSAGE_CREATE",
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "CHANNEL_DELETE",
    ]


async def test_members_are_sent_when_they_are_asked_for(api: Api) -> None:
    await api.discord.say(api.ann, api.channel, "x")
    async with line(api) as bot:
        await bot.ready()
        await bot.send(8, {"guild_id": str(api.guild.id), "user_ids": [str(api.ann.id)]})

        chunk = await bot.event("GUILD_MEMBERS_CHUNK")

    assert [member["user"]["username"] for member in chunk["members"]] == ["Ann"]


async def test_an_interaction_carries_all_that_clients_read(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        used = await api.used()
        shown = await bot.event("INTERACTION_CREATE")

    assert shown["token"] == used.token
    assert shown["member"]["permissions"] == str(may.EVERYONE)
    assert shown["authorizing_integration_owners"] == {"0": str(api.guild.id)}
    assert (shown["context"], shown["version"], shown["entitlements"]) == (0, 1, [])
    assert (shown["locale"], shown["guild_locale"]) == ("en-US", "en-US")
    assert shown["attachment_size_limit"] == 10 * 1024 * 1024
    assert shown["app_permissions"] == str(may.EVERYONE)
    assert shown["channel"]["id"] == shown["channel_id"] == str(api.channel.id)


async def test_a_day_has_1000_sessions_and_the_next_resets_the_token(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        _, shown = await api.call("GET", "/gateway/bot")
        api.discord.gateway.limit.use_up(seconds=60)
        _, used_up = await api.call("GET", "/gateway/bot")
        async with line(api) as other:
            await other.identify()
            assert await other.close_code() == 4004
        assert await bot.close_code() == 4004

    assert shown["session_start_limit"]["remaining"] == 999
    assert used_up["session_start_limit"]["remaining"] == 0
    assert 59_000 < used_up["session_start_limit"]["reset_after"] <= 60_000
