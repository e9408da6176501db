"""The end of a status message: edited, deleted or left, by its token or as the bot's own."""

from dataclasses import replace
from datetime import timedelta

import discord
import pytest
from discord import ui

from bot.delivery import NotDelivered, Shown
from bot.jobs import Job
from bot.sandbox.http.faults import Answer
from cogs.delivery.fallback import FALL_BACK_AFTER, REPLY_AFTER, DestinationName
from cogs.delivery.reply import Replies, reply_of
from cogs.ui.panel import panel
from cogs.ui.wording import Ended
from tests.support.ground import Ground

HOOKS, OWN = r"/api/v10/webhooks/.*", r"/api/v10/channels/\d+/messages/\d+"
EXPIRED = Answer(401, {"code": 50027, "message": "Invalid Webhook Token"})
UNKNOWN = Answer(404, {"code": 10015, "message": "Unknown Webhook"})
GONE = Answer(404, {"code": 10008, "message": "Unknown Message"})
BUSY = Answer(429, "<html>Too many</html>")  # of a proxy: discord.py does not repeat the request
SECOND = timedelta(seconds=1)


def replies(on: Ground) -> Replies:
    return Replies(on.client, on.now)


def ended(_: Job) -> ui.LayoutView:
    return panel("It ended.")


def expired(job: Job) -> Job:
    return replace(job, route=replace(job.route, token_expires_at=job.created_at - SECOND))


async def test_a_status_message_is_edited_by_its_token(on: Ground) -> None:
    job, message = await on.status(private=True)

    assert await replies(on).finish(job, ended)
    assert message.text() == "It ended."
    (path,) = on.sent("PATCH")
    assert path.startswith("/webhooks/")
    assert message.pings == []


async def test_without_a_token_a_public_one_is_edited_as_the_bots_own(on: Ground) -> None:
    job, message = await on.status()

    assert await replies(on).finish(expired(job), ended)
    assert message.text() == "It ended."
    assert on.sent("PATCH") == [f"/channels/{on.channel.id}/messages/{message.id}"]


async def test_without_a_token_a_private_one_stays(on: Ground) -> None:
    job, message = await on.status(private=True)

    assert await replies(on).edit_text(expired(job), ended) is None
    assert not await replies(on).finish(expired(job), ended)
    assert message.text() == "waiting"
    assert on.sent("PATCH") == on.sent("DELETE") == []


@pytest.mark.parametrize("answer", [EXPIRED, UNKNOWN], ids=["expired", "unknown"])
async def test_a_token_that_discord_does_not_know_is_replaced_by_the_bots_own(
    on: Ground, answer: Answer
) -> None:
    on.fake.faults.add("PATCH", HOOKS, answer, times=None)
    public, message = await on.status()
    private, hidden = await on.status(private=True)

    assert await replies(on).finish(public, ended)
    assert message.text() == "It ended."
    with pytest.raises(discord.HTTPException):
        await replies(on).edit(private, ended(private))
    assert hidden.text() == "waiting"


async def test_another_refusal_of_the_token_is_not_answered_by_an_edit_of_the_bots_own(
    on: Ground,
) -> None:
    on.fake.faults.add("PATCH", HOOKS, GONE)
    job, _ = await on.status()

    with pytest.raises(discord.NotFound):
        await replies(on).edit(job, ended(job))
    assert len(on.sent("PATCH")) == 1


async def test_a_job_without_a_status_message_sends_nothing(on: Ground) -> None:
    job, _ = await on.status()
    job = replace(job, route=replace(job.route, status_message_id=None))
    before = len(on.fake.requests)

    assert reply_of(job) is None
    assert await replies(on).edit(job, ended(job)) is None
    assert await replies(on).find(job) is None
    await replies(on).end(job, Shown(5, 7), DestinationName.CHANNEL)
    assert not await replies(on).finish(job, ended)
    assert len(on.fake.requests) == before


async def test_a_result_in_the_channel_replaces_the_status_message(on: Ground) -> None:
    job, message = await on.status()
    other, kept = await on.status()
    assert kept is not message

    await replies(on).end(job, Shown(message.id, on.channel.id), DestinationName.REPLY)
    assert message in on.fake.channel_messages(on.channel)  # it is the result
    await replies(on).end(job, Shown(5, on.channel.id), DestinationName.CHANNEL)
    assert message.deleted
    await replies(on).end(expired(other), Shown(5, on.channel.id), None)
    assert kept.deleted
    assert on.sent("DELETE")[1] == f"/channels/{on.channel.id}/messages/{kept.id}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (DestinationName.FOLLOW_UP, Ended.FOLLOW_UP),
        (DestinationName.PARENT_CHANNEL, Ended.PARENT_CHANNEL),
        (DestinationName.DIRECT_MESSAGE, Ended.DIRECT_MESSAGE),
        (None, Ended.ELSEWHERE),
    ],
)
async def test_a_result_elsewhere_is_named_by_the_status_message(
    on: Ground, name: DestinationName | None, text: str
) -> None:
    job, message = await on.status(private=True)

    await replies(on).end(job, Shown(5, 0), name)
    assert text.format(member=f"<@{on.ada.id}>", job=job.id) in message.text()
    assert not message.deleted


@pytest.mark.parametrize("answer", [EXPIRED, UNKNOWN], ids=["expired", "unknown"])
async def test_a_deletion_falls_back_to_the_bots_own(on: Ground, answer: Answer) -> None:
    on.fake.faults.add("DELETE", HOOKS, answer)
    job, message = await on.status()

    await replies(on).end(job, Shown(5, on.channel.id), DestinationName.CHANNEL)
    assert message.deleted
    assert len(on.sent("DELETE")) == 2


async def test_a_status_message_that_refuses_the_last_edit_is_deleted(
    on: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs.delivery.reply")
    on.fake.faults.add("PATCH", HOOKS, Answer(400, {"code": 50035, "message": "Invalid"}))
    job, message = await on.status()

    assert not await replies(on).finish(job, ended)
    assert message.deleted
    (line,) = caplog.messages
    assert line.startswith("status message not edited: 400")


async def test_one_that_refuses_the_deletion_too_is_left(
    on: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs.delivery.reply")
    for method in ("PATCH", "DELETE"):
        on.fake.faults.add(method, HOOKS, GONE)
    job, message = await on.status()

    assert not await replies(on).finish(job, ended)
    assert not message.deleted
    assert [each.partition(":")[0] for each in caplog.messages] == [
        "status message not edited",
        "status message not deleted",
    ]


@pytest.mark.parametrize("fails", ["PATCH", "DELETE"])
async def test_the_end_is_tried_again_for_two_hours_while_discord_does_not_answer(
    on: Ground, fails: str
) -> None:
    on.fake.faults.add(fails, HOOKS, BUSY, times=None)
    if fails == "DELETE":
        on.fake.faults.add("PATCH", HOOKS, GONE, times=None)
    job, message = await on.status()
    job = replace(job, delivery_started_at=on.now())
    job = replace(job, route=replace(job.route, token_expires_at=on.now() + timedelta(days=1)))

    on.moved = FALL_BACK_AFTER - 20 * SECOND
    with pytest.raises(discord.HTTPException):
        await replies(on).finish(job, ended)
    on.moved = FALL_BACK_AFTER
    assert not await replies(on).finish(job, ended)
    assert message.deleted is (fails == "PATCH")


@pytest.mark.parametrize("private", [False, True])
async def test_an_end_that_fails_says_which_message_has_the_result(
    on: Ground, private: bool
) -> None:
    on.fake.faults.add("PATCH" if private else "DELETE", HOOKS, BUSY)
    job, _ = await on.status(private=private)
    result = Shown(5, on.channel.id)
    name = DestinationName.DIRECT_MESSAGE if private else DestinationName.CHANNEL

    with pytest.raises(NotDelivered, match="status message not ended: 429") as raised:
        await replies(on).end(job, result, name)
    assert raised.value.shown == result


async def test_an_end_that_is_refused_is_given_up(
    on: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs.delivery.reply")
    on.fake.faults.add("DELETE", HOOKS, GONE)
    job, message = await on.status()

    await replies(on).end(job, Shown(5, on.channel.id), DestinationName.CHANNEL)
    assert not message.deleted
    assert caplog.messages[0].startswith("status message not ended: 404")


async def test_an_unknown_webhook_is_waited_for_as_long_as_a_reply(on: Ground) -> None:
    on.fake.faults.add("DELETE", HOOKS, UNKNOWN, times=None)
    on.fake.faults.add("PATCH", HOOKS, UNKNOWN, times=None)
    job, _ = await on.status(private=True)
    job = replace(job, delivery_started_at=on.now())

    on.moved = REPLY_AFTER - 20 * SECOND
    with pytest.raises(discord.NotFound):
        await replies(on).finish(job, ended)
    on.moved = REPLY_AFTER
    assert not await replies(on).finish(job, ended)


async def test_a_reply_is_found_if_it_carries_the_result(on: Ground) -> None:
    job, message = await on.status()
    assert job.secret is not None

    assert await replies(on).find(job) is None
    message.tree[0]["id"] = job.secret
    assert await replies(on).find(job) == Shown(message.id, on.channel.id)
    assert on.sent("GET")[-1].startswith("/webhooks/")
    assert await replies(on).find(expired(job)) == Shown(message.id, on.channel.id)
    assert on.sent("GET")[-1] == f"/channels/{on.channel.id}/messages/{message.id}"


async def test_a_private_reply_is_found_by_its_token_alone(on: Ground) -> None:
    job, message = await on.status(private=True)
    message.tree[0]["id"] = job.secret

    assert await replies(on).find(job) == Shown(message.id, 0)
    assert await replies(on).find(expired(job)) is None
    on.fake.faults.add("GET", HOOKS, BUSY)
    with pytest.raises(discord.HTTPException):
        await replies(on).find(job)


async def test_a_public_reply_is_read_as_the_bots_own_while_webhooks_fail(on: Ground) -> None:
    job, message = await on.status()
    message.tree[0]["id"] = job.secret

    on.fake.faults.add("GET", HOOKS, BUSY)
    assert await replies(on).find(job) == Shown(message.id, on.channel.id)
    on.fake.faults.add("GET", HOOKS, GONE)
    with pytest.raises(discord.NotFound):
        await replies(on).find(job)
