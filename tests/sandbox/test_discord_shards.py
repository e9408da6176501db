"""The stand-in's shards: which session receives an event, and how many may start at once."""

import pytest

from bot.sandbox.discord import FakeDiscord, Upload
from tests.sandbox.test_discord_gateway import USUAL, Line, line
from tests.sandbox.test_discord_raw import ECHO, Api, api, api_of

__all__ = ["api"]  # the fixture

MIB = 1024 * 1024


async def ready_on(bot: Line, number: int, count: int) -> list[str]:
    """Start a session of a shard, and return the ids of the servers in its READY."""
    await bot.identify(shard=[number, count])
    ready = await bot.event("READY")
    bot.session = ready["session_id"]
    assert ready["shard"] == [number, count]
    return [guild["id"] for guild in ready["guilds"]]


async def events_of(bot: Line) -> list[str]:
    """Return the names of all events so far: those before the answer to a heartbeat."""
    await bot.send(1, None)
    while (await bot.next())["op"] != 11:
        pass
    return [payload["t"] for payload in bot.seen if payload["t"]]


async def test_each_server_belongs_to_one_shard(api: Api) -> None:
    guilds = [api.discord.add_guild(f"S{n}", shard=(n % 3, 3)) for n in range(6)]
    seen: list[list[str]] = []
    for number in range(3):
        async with line(api) as bot:
            seen.append(await ready_on(bot, number, 3))

    for number, guild in enumerate(guilds):
        assert [str(guild.id) in shard for shard in seen] == [number % 3 == n for n in range(3)]
    assert sum(map(len, seen)) == 7  # with the server of the fixture


async def test_events_and_interactions_go_to_the_shard_of_their_server(api: Api) -> None:
    discord = api.discord
    await api.register(ECHO)
    guild = discord.add_guild("Second", shard=(1, 2))
    channel = discord.add_channel(guild, "art")
    async with line(api) as first, line(api) as second:
        await ready_on(first, 0, 2)
        await ready_on(second, 1, 2)
        await discord.say(api.ann, channel, "hello")
        used = await discord.command(api.ann, channel, "echo")

        assert (await second.event("INTERACTION_CREATE"))["token"] == used.token
        assert "MESSAGE_CREATE" in [payload["t"] for payload in second.seen]
        assert await events_of(first) in (["READY"], ["READY", "GUILD_CREATE"])


async def test_direct_messages_belong_to_shard_0_alone(api: Api) -> None:
    discord = api.discord
    await api.register(ECHO | {"integration_types": [0, 1], "contexts": [0, 1, 2]})
    direct, private = (
        discord.dm_channel(api.ann),
        discord.private_channel(api.ann, discord.add_user("Bo")),
    )
    async with line(api) as first, line(api) as second:
        await ready_on(first, 0, 2)
        await ready_on(second, 1, 2)
        await discord.say(api.ann, direct, "hello")
        await discord.command(api.ann, direct, "echo")
        await first.event("MESSAGE_CREATE")
        await first.event("INTERACTION_CREATE")
        await discord.command(api.ann, private, "echo", user_install_only=True)
        await first.event("INTERACTION_CREATE")

        assert "INTERACTION_CREATE" not in await events_of(second)
        assert "MESSAGE_CREATE" not in await events_of(second)


async def test_a_server_without_the_bot_still_has_a_shard(api: Api) -> None:
    discord = api.discord
    await api.register(ECHO | {"integration_types": [0, 1], "contexts": [0, 1, 2]})
    channel = discord.add_channel(discord.add_guild("Foreign", bot=False, shard=(1, 2)), "art")
    async with line(api) as first, line(api) as second:
        await ready_on(first, 0, 2)
        await ready_on(second, 1, 2)
        used = await discord.command(api.ann, channel, "echo", user_install_only=True)

        assert (await second.event("INTERACTION_CREATE"))["token"] == used.token
        assert "INTERACTION_CREATE" not in await events_of(first)


async def test_two_sessions_of_one_shard_receive_every_event(api: Api) -> None:
    async with line(api) as old, line(api) as new:
        await ready_on(old, 0, 1)
        await ready_on(new, 0, 1)
        used = await api.used()

        assert (await old.event("INTERACTION_CREATE"))["token"] == used.token
        assert (await new.event("INTERACTION_CREATE"))["token"] == used.token


async def test_sessions_with_different_counts_receive_the_same_server(api: Api) -> None:
    guild = api.discord.add_guild("Shared", shard=(3, 4))  # so shard 1 of 2 as well
    channel = api.discord.add_channel(guild, "art")
    async with line(api) as of_two, line(api) as of_four:
        await ready_on(of_two, 1, 2)
        await ready_on(of_four, 3, 4)
        await api.discord.say(api.ann, channel, "hello")

        assert (await of_two.event("MESSAGE_CREATE"))["channel_id"] == str(channel.id)
        assert (await of_four.event("MESSAGE_CREATE"))["channel_id"] == str(channel.id)


async def test_a_session_resumes_on_its_own_shard(api: Api) -> None:
    channels = {
        n: api.discord.add_channel(api.discord.add_guild(f"S{n}", shard=(n, 2)), "art")
        for n in (0, 1)
    }
    async with line(api) as first, line(api) as second:
        await ready_on(first, 0, 2)
        await ready_on(second, 1, 2)
        await api.discord.drop_gateway()
    for channel in channels.values():
        await api.discord.say(api.ann, channel, "missed")

    for number, lost in enumerate((first, second)):
        async with line(api) as again:
            await again.resume(lost.session, lost.seen[-1]["s"])
            missed = await again.event("MESSAGE_CREATE")
            assert missed["channel_id"] == str(channels[number].id)
            assert (await events_of(again)).count("MESSAGE_CREATE") == 1


@pytest.mark.parametrize(
    "shard",
    [[2, 2], [-1, 2], [0, 0], [0, -1], [0, 1, 2], ["0", "1"], [0.0, 1], [False, True], {}, None, 5],
)
async def test_an_impossible_shard_closes_the_line(api: Api, shard: object) -> None:
    async with line(api) as bot:
        await bot.identify(shard=shard)

        assert await bot.close_code() == 4010


async def test_a_shard_with_too_many_servers_is_refused(api: Api) -> None:
    api.discord.gateway.guilds_a_shard = 2
    for number in range(2):
        api.discord.add_guild(f"S{number}", shard=(1, 2))
    api.discord.remove_bot(api.discord.add_guild("Left", shard=(1, 2)))
    async with line(api) as whole:
        await whole.identify()
        assert await whole.close_code() == 4011
    api.discord.remove_bot(api.guild)

    async with line(api) as half:
        assert len(await ready_on(half, 1, 2)) == 2


async def test_the_gateway_recommends_a_number_of_shards() -> None:
    async with api_of(FakeDiscord(shards=8, max_concurrency=16)) as api:
        _, shown = await api.call("GET", "/gateway/bot")

    assert shown["shards"] == 8
    assert shown["session_start_limit"]["max_concurrency"] == 16


async def test_shards_of_one_key_start_one_session_at_a_time() -> None:
    async with (
        api_of(FakeDiscord(max_concurrency=2, identify_seconds=600)) as api,
        line(api) as first,
        line(api) as second,
        line(api) as third,
    ):
        await ready_on(first, 0, 4)
        await ready_on(second, 1, 4)
        await third.identify(shard=[2, 4])

        assert await third.next() == {"op": 9, "s": None, "t": None, "d": False}
        assert len(api.discord.gateway.live) == 2


async def test_a_refused_start_may_be_repeated_on_the_same_line() -> None:
    async with (
        api_of(FakeDiscord(identify_seconds=600)) as api,
        line(api) as first,
        line(api) as second,
    ):
        await ready_on(first, 0, 2)
        await second.identify(shard=[1, 2])
        assert (await second.next())["op"] == 9
        api.discord.gateway.limit.identify_seconds = 0

        assert await ready_on(second, 1, 2) in ([], [str(api.guild.id)])


async def test_resuming_is_no_start_of_a_session() -> None:
    async with api_of(FakeDiscord(identify_seconds=600)) as api:
        async with line(api) as bot:
            await bot.ready(USUAL)
            await api.discord.drop_gateway()
        async with line(api) as again:
            await again.resume(bot.session, bot.seen[-1]["s"])

            assert await again.event("RESUMED") == {}


async def test_a_response_may_have_files_as_large_as_those_of_its_member(api: Api) -> None:
    api.ann.upload_limit = 50 * MIB
    large = Upload("a.bin", bytes(10 * MIB + 1))
    async with line(api) as bot:
        await bot.ready()
        used = await api.used()
        shown = await bot.event("INTERACTION_CREATE")
        answered, _ = await api.respond(used, 4, {"content": "x"}, large)
    posted, _ = await api.send({"content": "x"}, large)

    assert shown["attachment_size_limit"] == 50 * MIB
    assert (answered, posted) == (200, 413)
