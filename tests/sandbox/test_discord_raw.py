"""The stand-in's REST API by raw requests, without a library. Other tests use `Api`."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from bot.sandbox.discord import Channel, FakeDiscord, Guild, Interaction, Upload, User
from bot.sandbox.http.faults import Answer, Hold, ResetAfter

LIMIT = aiohttp.ClientTimeout(total=10)
ECHO = {"name": "echo", "description": "Say it", "options": []}


@dataclass
class Api:
    """A client with a bot's token. Every answer is (status, body)."""

    discord: FakeDiscord
    http: aiohttp.ClientSession
    guild: Guild
    channel: Channel
    ann: User

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        files: Sequence[Upload] = (),
        token: str | None = None,
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bot {token or self.discord.token}"}
        data: Any = None
        if files:
            data = aiohttp.FormData(quote_fields=False)
            data.add_field("payload_json", json.dumps(body), content_type="application/json")
            for number, file in enumerate(files):
                data.add_field(f"files[{number}]", io.BytesIO(file.data), filename=file.filename)
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body)
        url = self.discord.url + path
        async with self.http.request(method, url, data=data, headers=headers) as answer:
            if answer.status == 204:
                return 204, None
            assert answer.headers["Content-Type"] == "application/json"
            return answer.status, await answer.json()

    async def send(self, body: object, *files: Upload) -> tuple[int, Any]:
        return await self.call("POST", f"/channels/{self.channel.id}/messages", body, files=files)

    async def register(self, *commands: object) -> tuple[int, Any]:
        path = f"/applications/{self.discord.application_id}/commands"
        return await self.call("PUT", path, list(commands))

    async def used(self, **more: object) -> Interaction:
        """Return an /echo that a member has just used, without a response so far."""
        if not self.discord.commands:
            assert (await self.register(ECHO | more))[0] == 200
        return await self.discord.command(self.ann, self.channel, "echo")

    async def respond(
        self, interaction: Interaction, kind: int, data: object = None, *files: Upload
    ) -> tuple[int, Any]:
        path = f"/interactions/{interaction.id}/{interaction.token}/callback?with_response=1"
        body = {"type": kind} if data is None else {"type": kind, "data": data}
        return await self.call("POST", path, body, files=files)

    async def hook(
        self, method: str, interaction: Interaction, rest: str = "", body: object = None
    ) -> tuple[int, Any]:
        path = f"/webhooks/{self.discord.application_id}/{interaction.token}{rest}"
        return await self.call(method, path, body)


def codes(body: object) -> set[str]:
    """Return all error codes in the nested errors of a refusal."""
    found: set[str] = set()
    if isinstance(body, dict):
        for name, value in body.items():
            found |= {item["code"] for item in value} if name == "_errors" else codes(value)
    return found


@asynccontextmanager
async def api_of(discord: FakeDiscord) -> AsyncIterator[Api]:
    guild = discord.add_guild("Test")
    channel = discord.add_channel(guild, "general")
    async with discord, aiohttp.ClientSession(timeout=LIMIT) as http:
        yield Api(discord, http, guild, channel, discord.add_user("Ann"))


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with api_of(FakeDiscord()) as made:
        yield made
        assert made.discord.violations == []


@pytest.mark.parametrize("header", ["", "Bot wrong", "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ", "Bearer x"])
async def test_a_wrong_token_is_refused(api: Api, header: str) -> None:
    headers = {"Authorization": header} if header else {}

    async with api.http.get(f"{api.discord.url}/users/@me", headers=headers) as answer:
        body = await answer.json()

    assert (answer.status, body) == (401, {"message": "401: Unauthorized", "code": 0})


@pytest.mark.parametrize(
    "path",
    [
        "/users/@me",
        "/users/@me/guilds",
        "/gateway",
        "/gateway/bot",
        "/applications/@me",
        "/oauth2/applications/@me",
        "/guilds/{guild}",
        "/guilds/{guild}/channels",
        "/guilds/{guild}/members/{bot}",
        "/users/{bot}",
        "/channels/{channel}",
        "/channels/{channel}/messages",
        "/applications/{bot}/commands",
        "/applications/{bot}/guilds/{guild}/commands",
    ],
)
async def test_what_libraries_look_up_is_answered(api: Api, path: str) -> None:
    names = {"guild": api.guild.id, "bot": api.discord.bot_user.id, "channel": api.channel.id}

    assert (await api.call("GET", path.format(**names)))[0] == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/users/1", 404, 10013),
        ("/guilds/1", 404, 10004),
        ("/channels/1", 404, 10003),
        ("/channels/{channel}/messages/1", 404, 10008),
        ("/guilds/{guild}/members/1", 404, 10007),
        ("/channels/general", 400, 50035),
        ("/applications/1/commands", 403, 20012),
    ],
)
async def test_what_does_not_exist_is_refused_in_the_words_of_discord(
    api: Api, path: str, status: int, code: int
) -> None:
    got = await api.call("GET", path.format(guild=api.guild.id, channel=api.channel.id))

    assert (got[0], got[1]["code"]) == (status, code)


async def test_an_unknown_route_is_a_violation() -> None:
    async with api_of(FakeDiscord()) as api:
        status, _ = await api.call("GET", "/stage-instances/1")

        assert status == 501
        assert "GET /api/v10/stage-instances/1" in api.discord.violations[0]


async def test_what_the_stand_in_has_not_is_a_501_and_a_violation() -> None:
    async with api_of(FakeDiscord()) as api:
        status, _ = await api.send({"content": "x", "poll": {"question": {"text": "?"}}})

        assert status == 501
        assert "poll" in api.discord.violations[0]


async def test_a_listener_hears_every_body_and_its_complaint_is_a_500() -> None:
    heard: list[tuple[str, str, object]] = []

    def listen(method: str, path: str, body: object) -> None:
        heard.append((method, path, body))
        assert "bad" not in str(body), "bad words"

    async with api_of(FakeDiscord(on_request=listen)) as api:
        good, _ = await api.send({"content": "fine"})
        with_file, _ = await api.send({"content": "file"}, Upload("a.txt", b"x"))
        bad, _ = await api.send({"content": "bad"})

        assert (good, with_file, bad) == (200, 200, 500)
        path = "/channels/{channel_id}/messages"
        assert heard[1] == ("POST", path, {"content": "file"})
        assert "bad words" in api.discord.violations[0]
        assert len(api.discord.channel_messages(api.channel)) == 2


async def test_invalid_json_is_refused(api: Api) -> None:
    url = f"{api.discord.url}/channels/{api.channel.id}/messages"
    headers = {"Authorization": f"Bot {api.discord.token}", "Content-Type": "application/json"}

    async with api.http.post(url, data="{", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 50109)


async def test_faults_meet_requests_and_the_log_keeps_what_was_answered(api: Api) -> None:
    path = "/api/v10/channels/.*/messages"
    limited = Answer(429, {"message": "slow", "retry_after": 0.1, "global": False}, {"Via": "x"})
    api.discord.faults.add("POST", path, limited)
    api.discord.faults.add("POST", path, ResetAfter())

    assert (await api.send({"content": "one"}))[0] == 429
    with pytest.raises(aiohttp.ClientError):
        await api.send({"content": "two"})
    assert (await api.send({"content": "three"}))[0] == 200

    assert [m.content for m in api.discord.channel_messages(api.channel)] == ["two", "three"]
    assert [r.status for r in api.discord.requests if r.method == "POST"] == [429, 200, 200]


async def test_closing_lets_go_of_what_is_held() -> None:
    async with api_of(FakeDiscord()) as api:
        rule = api.discord.faults.add("GET", ".*", Hold())
        url = f"{api.discord.url}/gateway"
        request = asyncio.create_task(api.http.get(url))
        await rule.reached()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request


async def test_the_bots_servers_come_page_by_page(api: Api) -> None:
    more = [api.discord.add_guild(f"server {number}") for number in range(4)]
    ids = [str(guild.id) for guild in (api.guild, *more)]

    async def page(query: str) -> list[str]:
        status, body = await api.call("GET", f"/users/@me/guilds?{query}")
        assert status == 200
        return [guild["id"] for guild in body]

    assert await page("") == ids
    assert await page("limit=2") == ids[:2]
    assert await page(f"limit=2&after={ids[1]}") == ids[2:4]
    assert await page(f"limit=2&before={ids[4]}") == ids[2:4]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "after=x", "page=2"])
async def test_a_page_of_servers_that_cannot_be_is_refused(api: Api, query: str) -> None:
    status, body = await api.call("GET", f"/users/@me/guilds?{query}")

    assert (status, body["code"]) == (400, 50035)
