"""Searches for a job's reply and result: whose message counts, since when, and in how many."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.delivery import ReplyUnknown
from bot.jobs import Job
from bot.sandbox.discord.permissions import READ_MESSAGE_HISTORY, VIEW_CHANNEL
from bot.sandbox.http.faults import Answer
from cogs.delivery import lookup
from cogs.delivery.fallback import WEBHOOK_APPEARS
from cogs.delivery.lookup import carries, find_reply, find_result, search_reply, strings_of
from cogs.ui.panel import small
from cogs.ui.result import mark
from tests.support.discord_objects import job_of, message_of
from tests.support.ground import Ground

ORIGINAL = r"/api/v10/webhooks/\d+/[^/]+/messages/@original"
LISTS = r"/api/v10/channels/\d+/messages"
UNKNOWN = Answer(404, {"code": 10015, "message": "Unknown Webhook"})
SECOND = timedelta(seconds=1)


def text(content: str, number: int = 1) -> dict[str, Any]:
    return {"type": 10, "id": number, "content": content}


def gallery(name: str) -> dict[str, Any]:
    media = {"url": f"https://cdn/{name}", "proxy_url": "x", "width": 1, "height": 1}
    return {"type": 12, "id": 9, "items": [{"media": media}]}


async def test_a_result_is_recognised_by_its_secret_at_any_depth(client: discord.Client) -> None:
    job = job_of(secret=2**20)
    late = replace(job, overdue_at=job.created_at)
    forged = [text(small(mark(job))), gallery(f"easel-{job.id}-1.png")]

    def has(job: Job, *parts: dict[str, Any]) -> bool:
        box = {"type": 17, "id": 50, "components": list(parts)}
        return carries(message_of(client, {"components": [box]}), job)

    assert has(job, text("a"), text("b", 2**20))
    assert not has(job, text("a", 2**20 + 1), *forged)
    assert has(late, text("a", 2**20 + 1))
    assert not has(late, text("a", 2**20))


async def test_an_older_result_is_recognised_by_its_small_print_or_its_files(
    client: discord.Client,
) -> None:
    job = job_of(secret=None)

    def has(*parts: dict[str, Any]) -> bool:
        return carries(message_of(client, {"components": list(parts)}), job)

    assert has(text("a fox"), text(small("Qwen", mark(job))))
    assert not has(text(f"Qwen {mark(job)}"))  # a prompt may say so
    assert not has(text(small("Qwen", mark(job), "more")))
    assert has(text("a fox"), gallery(f"easel-{job.id}-12.png"))
    assert not has(gallery(f"easel-{job.id}-input-1.png"))
    assert not has(gallery(f"easel-{'a' * 16}-1.png"))
    assert not has()


def test_the_strings_of_a_component_are_those_that_a_search_reads() -> None:
    tree = [
        {"content": "a", "label": "no", "items": [{"media": {"url": "b"}}]},
        {"components": [{"custom_id": "c"}, "text", 5]},
    ]

    assert [*strings_of(tree)] == ["a", "b", "c"]


async def test_only_the_bots_own_messages_after_the_status_message_count(on: Ground) -> None:
    assert lookup.SEARCHED == 200
    early = await on.post("before", ids=2**20)
    job, status = await on.status(secret=2**20)
    channel = on.client.get_partial_messageable(on.channel.id)
    forged = await on.fake.say(on.ada, on.channel, "mine")
    forged.tree, forged.flags = [text("mine", 2**20)], 1 << 15

    assert await find_result(on.client, channel, job) is None
    status.tree[0]["id"] = 2**20  # the status message itself is no new message
    assert await find_result(on.client, channel, job) is None
    later = await on.post("a fox", ids=2**20)
    assert await find_result(on.client, channel, job) == later.id
    assert early.id < status.id


async def test_an_overdue_result_is_searched_for_since_a_minute_before_its_end(
    on: Ground,
) -> None:
    job, _ = await on.status(secret=2**20)
    found = await on.post("late", ids=2**20 + 1)
    channel = on.client.get_partial_messageable(on.channel.id)

    near = replace(job, overdue_at=on.now() + 40 * SECOND)
    assert await find_result(on.client, channel, near) == found.id
    assert await find_result(on.client, channel, replace(job, overdue_at=None)) is None
    far = replace(job, overdue_at=on.now() + 61 * SECOND)
    assert await find_result(on.client, channel, far) is None


async def test_a_search_without_a_status_message_begins_with_the_request(on: Ground) -> None:
    job, _ = await on.status(secret=2**20)
    before = await on.post("a fox", ids=2**20)
    said = await on.fake.say(on.ada, on.channel, "add snow")
    channel = on.client.get_partial_messageable(on.channel.id)
    without = replace(job.route, status_message_id=None)
    command = replace(job, route=without, created_at=on.now() - 20 * SECOND)
    reply = replace(
        command,
        origin_id=said.id,
        route=replace(without, reply_to_id=before.id, token_expires_at=command.created_at),
    )

    assert reply.of_message
    assert await find_result(on.client, channel, command) == before.id
    assert await find_result(on.client, channel, reply) is None
    later = await on.post("a hen", ids=2**20)
    assert await find_result(on.client, channel, reply) == later.id


def token(job: Job) -> str:
    assert job.route.interaction_token is not None
    return job.route.interaction_token


async def test_a_reply_is_the_one_with_the_jobs_own_button(on: Ground) -> None:
    job, status = await on.status(private=True)

    assert await find_reply(on.client, job, token(job), on.now()) == status.id
    other = replace(job, id="a" * 16)
    assert await find_reply(on.client, other, token(job), on.now()) is None


async def test_an_unknown_webhook_is_no_answer_in_the_first_half_minute(on: Ground) -> None:
    job, _ = await on.status(private=True)
    on.fake.faults.add("GET", ORIGINAL, UNKNOWN, times=None)

    with pytest.raises(discord.NotFound):
        await find_reply(on.client, job, token(job), job.created_at + WEBHOOK_APPEARS - SECOND)
    found = await find_reply(on.client, job, token(job), job.created_at + WEBHOOK_APPEARS)
    assert found is None


@pytest.mark.parametrize(
    ("answer", "surely"),
    [
        (Answer(404, {"code": 10008, "message": "Unknown Message"}), True),
        (Answer(404, "<html>", {"Content-Type": "text/html"}), False),
        (Answer(403, {"code": 50013, "message": "no"}), False),
        (Answer(503, {"code": 0, "message": "no"}), False),
    ],
    ids=repr,
)
async def test_only_discord_itself_says_that_there_is_no_reply(
    on: Ground, answer: Answer, surely: bool
) -> None:
    job, _ = await on.status(private=True)
    on.fake.faults.add("GET", ORIGINAL, answer)

    if surely:
        assert await find_reply(on.client, job, token(job), on.now()) is None
    else:
        with pytest.raises(discord.HTTPException):
            await find_reply(on.client, job, token(job), on.now())


async def test_with_a_token_that_has_expired_the_reply_is_found_by_its_button(
    on: Ground,
) -> None:
    expired = Answer(401, {"code": 50027, "message": "Invalid Webhook Token"})
    on.fake.faults.add("GET", ORIGINAL, expired, times=None)
    job, status = await on.status()
    job = replace(job, created_at=job.created_at - 20 * SECOND)
    public = replace(job, route=replace(job.route, status_message_id=None))
    private = replace(public, route=replace(public.route, private=True))

    assert await find_reply(on.client, public, token(job), on.now()) == status.id
    with pytest.raises(ReplyUnknown):
        await find_reply(on.client, private, token(job), on.now())
    assert sum(path.endswith("/messages") for path in on.sent("GET")) == 1


async def test_the_button_of_a_member_is_not_the_reply(on: Ground) -> None:
    job, status = await on.status()
    unconfirmed = replace(job, route=replace(job.route, status_message_id=status.id - 1))
    status.author = on.ada

    with pytest.raises(ReplyUnknown):
        await search_reply(on.client, unconfirmed)
    status.author = on.fake.bot_user
    assert await search_reply(on.client, unconfirmed) == status.id


async def test_a_channel_without_the_reply_proves_something_for_a_message_alone(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply to an interaction may have been deleted; a message's status message was not sent."""
    job, status = await on.status()
    status.deleted = True
    said = await on.fake.say(on.ada, on.channel, "add snow")
    first = await on.fake.say(on.ada, on.channel, "hello")
    route = replace(job.route, reply_to_id=5, token_expires_at=job.created_at)
    route = replace(route, status_message_id=None)
    reply = replace(job, origin_id=said.id, route=route)

    with pytest.raises(ReplyUnknown):
        await search_reply(on.client, job)
    assert await search_reply(on.client, reply) is None
    monkeypatch.setattr(lookup, "SEARCHED", 2)
    assert await search_reply(on.client, reply) is None
    await on.fake.say(on.ada, on.channel, "hello again")  # the search ends there
    with pytest.raises(ReplyUnknown):
        await search_reply(on.client, reply)
    assert first.id > said.id


async def test_a_channel_that_cannot_be_read_leaves_the_reply_unknown(
    on: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", lookup.__name__)
    job, _ = await on.status()
    on.fake.faults.add("GET", LISTS, Answer(503, {"code": 0, "message": "no"}))
    with pytest.raises(discord.DiscordServerError):
        await search_reply(on.client, job)
    assert caplog.messages == []

    on.fake.set_bot_permissions(on.channel, READ_MESSAGE_HISTORY & ~VIEW_CHANNEL)
    with pytest.raises(ReplyUnknown):
        await search_reply(on.client, job)
    (line,) = caplog.messages
    assert line.startswith("channel cannot be searched for the reply: 403")
