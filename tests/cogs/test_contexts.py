"""The contexts of a command: servers, threads, direct messages, and user installs."""

import pytest

from bot.jobs import Job, JobStatus
from bot.ledger import Account
from bot.sandbox.discord import Channel, ChannelKind, MemberError, Message
from bot.sandbox.http.faults import Answer
from bot.store import ledger
from tests.support.easel import Stage, text_of


async def accounts(at: Stage, job: Job) -> set[Account]:
    async with at.database() as database, database.reading() as view:
        return {entry.account for entry in await ledger.entries_of(view, job.id)}


async def result_in(at: Stage, channel: Channel) -> Message:
    return await at.discord.wait_for_message(lambda it: bool(it.pictures()), 30, channel)


async def test_in_direct_messages_the_account_has_no_server(at: Stage) -> None:
    channel = at.discord.dm_channel(at.ada)
    async with at.easel():
        await at.command("imagine", where=channel, prompt="a fox")
        result = await result_in(at, channel)
        (job,) = await at.settled()

    assert result.pings == [at.ada.id]
    assert await accounts(at, job) == {Account(at.ada.id, 0)}


async def test_in_a_server_the_account_is_the_servers(at: Stage) -> None:
    async with at.easel():
        await at.imagine()
        (job,) = await at.settled()

    assert await accounts(at, job) == {Account(at.ada.id, at.server.id)}


@pytest.mark.parametrize("kind", [ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD])
async def test_a_result_of_a_thread_is_posted_to_the_thread(at: Stage, kind: ChannelKind) -> None:
    thread = at.discord.add_channel(at.server, "foxes", kind=kind, parent=at.channel)
    async with at.easel():
        await at.command("imagine", where=thread, prompt="a fox")
        await result_in(at, thread)
        await at.settled()

    assert at.discord.channel_messages(at.channel) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "in_parent"),
    [(ChannelKind.PUBLIC_THREAD, 1), (ChannelKind.PRIVATE_THREAD, 0)],
)
async def test_a_result_of_a_deleted_thread_goes_to_the_parent_channel_or_the_member(
    at: Stage, kind: ChannelKind, in_parent: int
) -> None:
    """A result of a private thread is not shown in its parent channel."""
    thread = at.discord.add_channel(at.server, "foxes", kind=kind, parent=at.channel)
    at.oxen.manual = True
    async with at.easel():
        await at.command("imagine", where=thread, prompt="a fox")
        await at.oxen.created()
        at.discord.delete_channel(thread)
        await at.finish()
        (job,) = await at.settled()

    direct = at.discord.channel_messages(at.discord.dm_channel(at.ada))
    assert job.status is JobStatus.SUCCEEDED
    assert len(at.discord.channel_messages(at.channel)) == in_parent
    assert len(direct) == 1 - in_parent


async def test_a_user_install_is_not_offered_unless_it_is_allowed(at: Stage) -> None:
    async with at.easel():
        with pytest.raises(MemberError, match="not for this kind of install"):
            await at.command("imagine", user_install_only=True, prompt="a fox")
        private = at.discord.private_channel(at.ada, at.ben)
        with pytest.raises(MemberError):
            await at.command("imagine", where=private, prompt="a fox", user_install_only=True)


@pytest.mark.long
@pytest.mark.parametrize(
    ("allowed", "installs", "contexts"), [(False, [0], [0, 1]), (True, [0, 1], [0, 1, 2])]
)
async def test_commands_are_registered_for_the_allowed_installs(
    at: Stage, allowed: bool, installs: list[int], contexts: list[int]
) -> None:
    async with at.easel(user_install=allowed):
        registered = at.discord.commands

    for each in registered:
        of_managers = each["default_member_permissions"] is not None
        expected = ([0], [0]) if of_managers else (installs, contexts)
        assert (each["integration_types"], each["contexts"]) == expected, each["name"]


async def foreign(at: Stage) -> Channel:
    return at.discord.add_channel(at.discord.add_guild("Elsewhere", bot=False), "chat")


@pytest.mark.long
@pytest.mark.parametrize("context", ["server", "conversation"])
async def test_the_reply_of_a_user_install_becomes_the_result(at: Stage, context: str) -> None:
    channel = (
        await foreign(at) if context == "server" else at.discord.private_channel(at.ada, at.ben)
    )
    async with at.easel(user_install=True):
        at.oxen.manual = True
        asked = await at.command("imagine", where=channel, user_install_only=True, prompt="a fox")
        assert asked.message is not None
        assert "The bot cannot post here" in asked.message.text()
        assert "Missing permissions" not in asked.message.text()  # the bot is no member there
        await at.oxen.created()
        await at.finish()
        (job,) = await at.settled()

    assert len(asked.message.pictures()) == 1
    assert job.result_message_id == asked.message.id
    assert await accounts(at, job) == {Account(at.ada.id, 0)}


@pytest.mark.long
async def test_after_15_minutes_a_user_install_gets_a_direct_message(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(user_install=True, job_timeout=3600):
        await at.command("imagine", where=await foreign(at), user_install_only=True, prompt="a fox")
        await at.oxen.created()
        at.clock.move(minutes=16)
        await at.finish()
        await at.settled()

    (result,) = at.discord.channel_messages(at.discord.dm_channel(at.ada))
    assert len(result.pictures()) == 1


@pytest.mark.long
async def test_user_installs_do_not_allow_other_servers(at: Stage) -> None:
    allowed = frozenset({at.server.id + 1})
    async with at.easel(user_install=True, servers=allowed):
        refused = await at.imagine("a fox")
        assert "is not enabled here" in text_of(refused)
        await at.command("imagine", where=await foreign(at), user_install_only=True, prompt="a fox")
        await at.settled()


@pytest.mark.long
async def test_a_link_leads_to_the_server_of_the_request(at: Stage) -> None:
    channel = await foreign(at)
    async with at.easel(user_install=True):
        await at.command("imagine", where=channel, user_install_only=True, prompt="a fox")
        await at.settled()
        listed = await at.command("jobs")

    assert channel.guild is not None
    assert f"/channels/{channel.guild.id}/{channel.id}/" in text_of(listed)


@pytest.mark.long
async def test_an_expired_token_rules_out_only_the_reply_and_follow_ups(at: Stage) -> None:
    """Discord's clock may be ahead of the bot's."""
    expired = Answer(401, {"code": 50027, "message": "Invalid"})
    for method in ("PATCH", "POST"):
        at.discord.faults.add(method, r"/api/v10/webhooks/.*", expired, times=None)
    async with at.easel():
        await at.imagine("a fox", private=True)
        await at.settled()

    assert len(at.discord.channel_messages(at.discord.dm_channel(at.ada))) == 1
