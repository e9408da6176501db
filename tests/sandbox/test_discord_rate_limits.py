"""The stand-in's limits of new messages in a channel, and of all requests."""

import asyncio
import time

import discord as library
import pytest

from bot.sandbox.discord import FakeDiscord
from bot.sandbox.discord.rate_limits import GLOBAL, MESSAGES, WINDOW_SECONDS, RateLimits
from tests.sandbox.test_discord_raw import Api, api

__all__ = ["api"]  # the fixture

PATH = "/channels/{channel_id}/messages"
OF_WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"


async def test_a_channel_accepts_five_messages_and_refuses_the_sixth(api: Api) -> None:
    other = api.discord.add_channel(api.guild, "other")

    sent = [(await api.send({"content": str(n)}))[0] for n in range(MESSAGES + 1)]
    elsewhere, _ = await api.call("POST", f"/channels/{other.id}/messages", {"content": "x"})
    read, _ = await api.call("GET", f"/channels/{api.channel.id}/messages")

    assert sent == [200] * MESSAGES + [429]
    assert (elsewhere, read) == (200, 200)
    assert len(api.discord.channel_messages(api.channel)) == MESSAGES


async def test_each_answer_tells_the_state_of_the_window(api: Api) -> None:
    url = f"{api.discord.url}/channels/{api.channel.id}/messages"
    headers = {"Authorization": f"Bot {api.discord.token}"}
    left = []
    for body in [{"content": ""}, *[{"content": "x"}] * MESSAGES]:  # a refused request counts
        async with api.http.post(url, json=body, headers=headers) as answer:
            left.append((answer.status, answer.headers["X-RateLimit-Remaining"]))
            refusal = await answer.json()

    assert left == [(400, "4"), (200, "3"), (200, "2"), (200, "1"), (200, "0"), (429, "0")]
    assert 0 < refusal["retry_after"] <= WINDOW_SECONDS
    assert refusal["retry_after"] == float(answer.headers["Retry-After"])
    assert refusal["global"] is False
    assert answer.headers["Via"]


def test_a_window_begins_with_the_first_request_after_the_last_one() -> None:
    now = 100.0
    limits = RateLimits(enabled=True, clock=lambda: now)

    def take(channel: str) -> int:
        allowance = limits.take("POST", PATH, {"channel_id": channel})
        assert allowance is not None
        return allowance.remaining

    first = [take("1") for _ in range(MESSAGES + 2)]
    now += WINDOW_SECONDS - 0.1
    assert (first, take("1"), take("2")) == ([4, 3, 2, 1, 0, -1, -1], -1, 4)
    now += 0.1
    assert (take("1"), take("2")) == (4, 3)


async def test_a_bot_sends_fifty_requests_in_a_second_over_all_routes(api: Api) -> None:
    headers = {"Authorization": f"Bot {api.discord.token}"}

    async def get(path: str) -> tuple[int, dict[str, str], dict[str, object]]:
        async with api.http.get(api.discord.url + path, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.json()

    paths = ["/users/@me", f"/channels/{api.channel.id}"] * (GLOBAL // 2)
    served = await asyncio.gather(*(get(path) for path in paths))
    status, shown, body = await get("/users/@me")

    assert {each[0] for each in served} == {200}
    assert (status, body["global"], shown["X-RateLimit-Global"]) == (429, True, "true")
    assert shown["X-RateLimit-Scope"] == "global"
    assert 0 < float(shown["Retry-After"]) <= 1
    assert shown["Via"]
    assert "X-RateLimit-Remaining" not in shown


def test_the_last_second_counts_whenever_it_began() -> None:
    now = 100.0
    limits = RateLimits(enabled=True, clock=lambda: now)

    def served(requests: int, path: str = PATH, sender: str = "Bot x") -> int:
        return sum(limits.take_global(path, sender) is None for _ in range(requests))

    assert served(GLOBAL - 10) == GLOBAL - 10
    now += 0.9
    assert served(20) == 10
    now += 0.1
    refused = limits.take_global(PATH, "Bot x") if served(GLOBAL) == GLOBAL - 10 else None
    assert refused is not None
    assert refused.retry_after == pytest.approx(0.9)
    assert served(2, sender="Bot y") == 2
    for path in ("/interactions/{id}/{token}/callback", OF_WEBHOOK, f"{OF_WEBHOOK}/messages/1"):
        assert served(100, path) == 100


def test_nothing_is_limited_without_limits() -> None:
    limits = RateLimits(enabled=False)

    assert all(limits.take_global(PATH, "Bot x") is None for _ in range(200))


@pytest.mark.long
async def test_discord_py_waits_for_the_next_window() -> None:
    async with FakeDiscord() as discord:
        channel = discord.add_channel(discord.add_guild("Test"), "general")
        old, library.http.Route.BASE = library.http.Route.BASE, discord.url
        try:
            async with library.Client(intents=library.Intents.none()) as client:
                await client.login(discord.token)
                began = time.monotonic()
                for number in range(MESSAGES + 1):
                    await client.get_partial_messageable(channel.id).send(str(number))
        finally:
            library.http.Route.BASE = old

    assert time.monotonic() - began > WINDOW_SECONDS * 0.8
    assert 429 not in [each.status for each in discord.requests]
