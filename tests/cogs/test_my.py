"""`/my notify`: a member's choice, which every request in any server obeys."""

from typing import Any

import pytest

from bot.jobs import Job, Notify
from bot.sandbox.discord import Channel
from cogs.delivery.route import resolve_notify
from tests.support.easel import Stage, text_of

CHOICES = {
    "ping": "Ping: a message in the channel, which pings you",
    "silent": "Silent: a message in the channel without a ping",
    "direct": "Direct message: a link, and a message in the channel without a ping",
    "private": "Private: nobody but you sees the result",
}


async def requested(at: Stage, where: Channel, **private: Any) -> Job:  # noqa: ANN401
    """Request a picture, and return the stored job after its delivery."""
    await at.command("imagine", where=where, prompt="a fox", **private)
    return (await at.settled())[0]


@pytest.mark.long
async def test_the_choice_is_one_subcommand_with_four_values(at: Stage) -> None:
    async with at.easel():
        (command,) = [each for each in at.discord.commands if each["name"] == "my"]

    (notify,) = command["options"]
    (how,) = notify["options"]
    assert (notify["type"], notify["name"]) == (1, "notify")
    assert (how["name"], bool(how.get("required"))) == ("how", False)
    assert {each["value"]: each["name"] for each in how["choices"]} == CHOICES


@pytest.mark.long
async def test_the_choice_is_shown_changed_and_survives_a_restart(at: Stage) -> None:
    async with at.easel():
        assert CHOICES["ping"] in text_of(await at.command("my notify"))
        for choice in ("silent", "direct"):
            assert CHOICES[choice] in text_of(await at.command("my notify", how=choice))

    async with at.easel():
        assert CHOICES["direct"] in text_of(await at.command("my notify"))
        assert CHOICES["ping"] in text_of(await at.command("my notify", by=at.ben))


@pytest.mark.parametrize("choice", ["ping", "silent", "direct"])
async def test_a_request_carries_the_choice(at: Stage, choice: str) -> None:
    async with at.easel():
        await at.command("my notify", how=choice)
        elsewhere = at.discord.add_channel(at.discord.add_guild("Another"), "sketches")
        job = await requested(at, elsewhere)

    assert job.route.notify is Notify(choice)
    assert not job.route.private


@pytest.mark.long
async def test_private_is_the_default_of_the_requests_that_do_not_say_otherwise(at: Stage) -> None:
    async with at.easel():
        await at.command("my notify", how="private")
        quiet = await at.imagine("a fox")
        await at.settled(1)
        public = await at.imagine("a hare", private=False)
        others = await at.imagine("an owl", by=at.ben)
        found = {job.request.prompt: job for job in await at.settled(2)}

    assert "a fox" in text_of(quiet)
    assert found["a fox"].route.private
    assert not found["a hare"].route.private
    assert found["a hare"].route.notify is Notify.PING
    for asked in (public, others):
        assert asked.message is not None
        assert asked.message.ephemeral_to is None


@pytest.mark.long
async def test_in_direct_messages_the_choice_hides_nothing(at: Stage) -> None:
    async with at.easel():
        await at.command("my notify", how="private")
        own = at.discord.dm_channel(at.ada)
        open_one = await requested(at, own)
        hidden = await requested(at, own, private=True)

    assert (open_one.route.private, open_one.route.notify) == (False, Notify.PING)
    assert hidden.route.private


@pytest.mark.long
async def test_where_only_the_member_installed_the_bot_the_choice_holds(at: Stage) -> None:
    at.settings = {"user_install": True}
    async with at.easel():
        await at.command("my notify", how="private", user_install_only=True)
        asked = await at.command("imagine", prompt="a fox", user_install_only=True)
        (job,) = await at.settled()

    assert "a fox" in text_of(asked)
    assert job.route.private


@pytest.mark.long
async def test_a_blocked_member_chooses_nothing(at: Stage) -> None:
    async with at.easel(blocked_users=[at.ada.id]):
        assert "blocked" in text_of(await at.command("my notify", how="silent"))
    async with at.easel():
        assert CHOICES["ping"] in text_of(await at.command("my notify"))


@pytest.mark.parametrize(
    ("chosen", "private", "alone", "expected"),
    [
        (Notify.PING, None, False, (False, Notify.PING)),
        (Notify.SILENT, None, False, (False, Notify.SILENT)),
        (Notify.DIRECT, True, False, (True, Notify.DIRECT)),
        (Notify.PRIVATE, None, False, (True, Notify.PRIVATE)),
        (Notify.PRIVATE, False, False, (False, Notify.PING)),
        (Notify.PRIVATE, None, True, (False, Notify.PING)),
        (Notify.PRIVATE, True, True, (True, Notify.PRIVATE)),
    ],
    ids=str,
)
def test_what_follows_from_the_choice(
    chosen: Notify, private: bool | None, alone: bool, expected: tuple[bool, Notify]
) -> None:
    assert resolve_notify(chosen, private=private, alone=alone) == expected
