"""One attempt to deliver a job, by a client at the stand-in, without a worker."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.delivery import NotDelivered, Shown, Undeliverable
from bot.jobs import Attachment, Job, JobStatus, Notify, Picture, PictureKind
from bot.sandbox.discord.messages import SILENT
from bot.sandbox.http.faults import Answer, Hold, ResetAfter
from bot.store.database import Database
from cogs.delivery import discord_delivery, timeouts
from cogs.delivery.discord_delivery import UNKNOWN_SERVER_LIMIT
from cogs.ui.wording import Ended, Refusal
from tests.support.delivering import MINUTE, Delivering, delivering, message, with_route
from tests.support.files import picture

POSTS = r"/api/v10/channels/\d+/messages"
HOOKS = r"/api/v10/webhooks/.*"
FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
PAGE = Answer(429, "<html>Too many</html>")  # of a proxy
NO_POST = Answer(403, {"code": 50013, "message": "Missing Permissions"})
EXPLICIT = Answer(400, {"code": 20009, "message": "Explicit"})


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Delivering]:
    async with delivering(database, tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("notify", "pinged", "silent"),
    [(Notify.PING, True, False), (Notify.SILENT, False, True), (Notify.DIRECT, False, True)],
)
async def test_a_post_pings_as_its_requester_wants(
    by: Delivering, notify: Notify, pinged: bool, silent: bool
) -> None:
    job, status = await by.on.status()
    posted = message(by, await by.deliver(with_route(job, notify=notify), await by.picture()))

    assert posted.nonce == job.id
    assert posted.pings == ([by.on.ada.id] if pinged else [])
    assert bool(posted.flags & SILENT) is silent
    assert (posted.channel, status.deleted) == (by.on.channel, True)
    assert by.delivered() == {"channel": 1}
    links = [(each.nonce, each.pings) for each in by.direct()]
    assert links == ([(f"{job.id}-dm", [])] if notify is Notify.DIRECT else [])


async def test_an_overdue_result_has_nonces_of_its_own(by: Delivering) -> None:
    job, _ = await by.on.status(overdue_at=by.on.now())
    posted = message(by, await by.deliver(with_route(job, notify=Notify.DIRECT)))

    assert posted.nonce == f"{job.id}-late"
    assert [each.nonce for each in by.direct()] == [f"{job.id}-late-dm"]


async def test_who_asked_in_direct_messages_gets_no_link_to_them(by: Delivering) -> None:
    job, _ = await by.on.status(status=JobStatus.FAILED)
    dm = by.on.fake.dm_channel(by.on.ada)
    job = with_route(
        job, notify=Notify.DIRECT, channel_id=dm.id, guild_id=None, status_message_id=None
    )
    posted = message(by, await by.deliver(job))

    assert by.direct() == [posted]
    assert not posted.flags & SILENT
    assert posted.pings == [by.on.ada.id]


async def test_a_result_replies_in_the_channel_of_its_reply_alone(by: Delivering) -> None:
    source = await by.on.post("a fox")
    job, _ = await by.on.status()
    job = with_route(job, reply_to_id=source.id)
    here = message(by, await by.deliver(job))
    assert here.reference is source

    by.on.fake.faults.add("POST", POSTS, NO_POST)
    by.on.fake.faults.add("*", HOOKS, NO_POST, times=None)
    other, _ = await by.on.status()
    there = message(by, await by.deliver(with_route(other, reply_to_id=source.id)))
    assert there.channel is by.on.fake.dm_channel(by.on.ada)
    assert there.reference is None


async def test_a_refused_channel_leads_to_the_reply_and_its_refusal_to_a_follow_up(
    by: Delivering,
) -> None:
    file = await by.picture()
    by.on.fake.faults.add("POST", POSTS, NO_POST, times=None)
    job, status = await by.on.status()
    assert await by.deliver(job, file) == Shown(status.id, by.on.channel.id)
    assert len(status.pictures()) == 1

    job, status = await by.on.status()
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT)
    shown = await by.deliver(job, file)
    assert shown == Shown(message(by, shown).id, 0)
    assert message(by, shown).ephemeral_to is by.on.ada
    assert Ended.FOLLOW_UP.format(member=f"<@{by.on.ada.id}>") in status.text()
    assert by.delivered() == {"reply": 1, "follow_up": 1}

    job, _ = await by.on.status()
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT)
    private = message(by, await by.deliver(with_route(job, notify=Notify.DIRECT), file))
    assert private.ephemeral_to is by.on.ada
    assert by.direct() == []  # no link leads to such a message


async def test_a_locked_thread_leads_to_its_parent_and_then_to_the_member(by: Delivering) -> None:
    job, status = await by.on.status()
    elsewhere = by.on.fake.add_channel(by.on.server, "parent")
    job = with_route(job, parent_id=elsewhere.id, postable=False, status_message_id=None)

    shown = await by.deliver(job)
    assert message(by, shown).channel is elsewhere
    by.on.fake.faults.add("POST", f"/api/v10/channels/{elsewhere.id}/messages", NO_POST)
    again = await by.deliver(replace(job, id="a" * 16))
    assert message(by, again).channel is by.on.fake.dm_channel(by.on.ada)
    assert not status.deleted
    assert by.delivered() == {"parent_channel": 1, "direct_message": 1}


async def test_a_private_result_is_in_no_channel(by: Delivering) -> None:
    job, _ = await by.on.status(private=True)
    parent = by.on.fake.add_channel(by.on.server, "parent")
    by.on.fake.faults.add("*", HOOKS, NO_POST, times=None)
    shown = await by.deliver(with_route(job, parent_id=parent.id))

    assert message(by, shown).channel is by.on.fake.dm_channel(by.on.ada)
    assert by.on.fake.channel_messages(parent) == []
    posts = [path for path in by.on.sent("POST") if path.startswith("/channels/")]
    assert posts == [f"/channels/{by.on.fake.dm_channel(by.on.ada).id}/messages"]


async def test_without_a_destination_the_reasons_are_for_the_member(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    by.on.ada.accepts_dms = False
    by.on.fake.faults.add("*", HOOKS, NO_POST, times=None)
    job, _ = await by.on.status(private=True)
    found = await by.deliver(job)

    assert isinstance(found, Undeliverable)
    told = found.reason.split(". ")
    answer = "Missing Permissions"
    assert told == [
        *Refusal.REPLY.format(answer=answer).split(". "),
        *Refusal.FOLLOW_UP.format(answer=answer).split(". "),
        *Refusal.DIRECT_MESSAGE.format(answer="Cannot send messages to this user").split(". "),
    ]
    assert "undeliverable: every destination refused the result" in caplog.text
    assert by.delivered() == {"undeliverable": 1}


async def test_the_limit_of_a_file_is_that_of_the_route_or_of_a_server_without_boosts(
    by: Delivering,
) -> None:
    """The limit of a route is tested with the copies of inputs."""
    job, _ = await by.on.status(private=True)
    assert job.route.upload_limit is None

    assert UNKNOWN_SERVER_LIMIT == 10 * 1024 * 1024
    inputs = (Attachment("cat.png", ""),)
    for size in (UNKNOWN_SERVER_LIMIT, UNKNOWN_SERVER_LIMIT + 1):
        file = await by.store.store(picture().ljust(size, b"\0"))
        copied = by.delivery.copy_inputs(replace(job, inputs=inputs), [file])
        if size == UNKNOWN_SERVER_LIMIT:
            assert len(await copied) == 1
        else:
            with pytest.raises(NotDelivered, match="too large for another upload"):
                await copied


async def unconfirmed(by: Delivering, job: Job) -> None:
    """Let an edit of the status message have an unknown outcome, after its only request."""
    by.on.fake.faults.add("PATCH", HOOKS, ResetAfter())
    assert not await by.delivery.show(job)


async def test_an_edit_without_an_answer_is_unconfirmed_after_its_time(
    by: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert timeouts.SHOW_TIMEOUT == 5
    job, _ = await by.on.status(private=True)
    by.on.fake.faults.add("PATCH", HOOKS, Hold(), times=None)
    with monkeypatch.context() as patched:
        patched.setattr(timeouts, "SHOW_TIMEOUT", 0.1)
        async with asyncio.timeout(30):  # discord.py itself waits without end
            assert not await by.delivery.show(job)
    by.on.fake.faults.clear()

    with pytest.raises(NotDelivered, match="of the same message may still arrive"):
        await by.deliver(job)


async def test_after_an_unconfirmed_edit_a_result_in_the_same_message_is_shown_again(
    by: Delivering,
) -> None:
    job, status = await by.on.status(private=True)
    await unconfirmed(by, job)
    with pytest.raises(NotDelivered, match="of the same message may still arrive") as raised:
        await by.deliver(job)

    assert (raised.value.retry_after, raised.value.shown) == (20, None)
    assert await by.deliver(job, number=2) == Shown(status.id, 0)


async def test_after_an_unconfirmed_edit_the_text_about_a_result_elsewhere_is_shown_again(
    by: Delivering,
) -> None:
    job, _ = await by.on.status(private=True)
    await unconfirmed(by, job)
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT)
    with pytest.raises(NotDelivered, match="may still arrive") as raised:
        await by.deliver(job, await by.picture())

    assert raised.value.retry_after == 20
    assert raised.value.shown is not None
    assert raised.value.shown.channel_id == 0


async def test_after_an_unconfirmed_edit_a_post_is_final(
    by: Delivering,
) -> None:
    """The status message is deleted, so that nothing can change it."""
    job, status = await by.on.status()
    await unconfirmed(by, job)

    assert isinstance(await by.deliver(job), Shown)
    assert status.deleted


async def test_a_canceled_job_is_shown_by_its_status_message_alone(by: Delivering) -> None:
    job, status = await by.on.status(status=JobStatus.CANCELED)
    assert await by.deliver(job) == Shown(status.id, by.on.channel.id)
    assert "Canceled" in status.text()
    assert by.delivered() == {"reply": 1}

    none = with_route(job, status_message_id=None)
    assert await by.deliver(none) == Undeliverable()
    by.on.fake.faults.add("PATCH", HOOKS, NO_POST)
    refused, last = await by.on.status(status=JobStatus.CANCELED)
    assert await by.deliver(refused) == Undeliverable()
    assert last.deleted
    assert by.direct() == []
    assert by.delivered() == {"reply": 1, "undeliverable": 2}


async def test_an_edit_of_a_status_message_says_whether_discord_has_answered(
    by: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", discord_delivery.__name__)
    job, status = await by.on.status(status=JobStatus.RUNNING)

    assert await by.delivery.show(with_route(job, status_message_id=None))
    assert await by.delivery.show(job)
    assert "fox" in status.text()
    assert caplog.messages == []
    by.on.fake.faults.add("PATCH", HOOKS, NO_POST)
    assert await by.delivery.show(job)
    by.on.fake.faults.add("PATCH", HOOKS, PAGE)
    assert not await by.delivery.show(job)
    by.on.fake.faults.add("PATCH", HOOKS, Answer(200, "<html>"))
    assert not await by.delivery.show(job)
    assert [each.partition(":")[0] for each in caplog.messages] == [
        "status message not edited",
        "status message not edited",
        "edit of a status message unconfirmed",
    ]


async def test_a_client_that_is_not_logged_in_delivers_nothing(by: Delivering) -> None:
    job, _ = await by.on.status()
    await by.on.client.close()

    for attempt in (by.deliver(job), by.delivery.find_reply(job), by.delivery.remove(job)):
        with pytest.raises(NotDelivered, match="not logged in to Discord"):
            await attempt
    assert not await by.delivery.show(job)


async def test_a_client_that_is_closed_during_an_attempt_is_no_fault_of_a_destination(
    by: Delivering,
) -> None:
    held = by.on.fake.faults.add("POST", POSTS, Hold())
    job, _ = await by.on.status()
    attempt = asyncio.create_task(by.deliver(job))
    async with asyncio.timeout(20):
        while not held.hits:
            await asyncio.sleep(0.001)
    asked = len(by.on.fake.requests)
    await by.on.client.close()
    with pytest.raises(NotDelivered):
        await attempt

    assert len(by.on.fake.requests) == asked


async def test_copies_of_inputs_have_addresses_that_only_the_member_sees(by: Delivering) -> None:
    job, _ = await by.on.status(private=True)
    file = await by.picture()
    inputs = (Attachment("cat.png", ""),)
    job = replace(job, inputs=inputs)
    (url,) = await by.delivery.copy_inputs(job, [file])
    assert f"/easel-{job.id}-input-1.png" in url

    expired = with_route(job, token_expires_at=by.on.now())
    with pytest.raises(NotDelivered, match="no private message is possible"):
        await by.delivery.copy_inputs(expired, [file])
    large = with_route(job, upload_limit=file.size - 1)
    with pytest.raises(NotDelivered, match="too large for another upload"):
        await by.delivery.copy_inputs(large, [file])
    assert await by.delivery.copy_inputs(with_route(job, upload_limit=file.size), [file])
    lost = Picture("a" * 64, PictureKind.PNG, 5, 1, 1)
    with pytest.raises(NotDelivered, match="missing"):
        await by.delivery.copy_inputs(job, [lost])
    by.on.fake.faults.add("POST", FOLLOW_UPS, Answer(200, {"components": [], "id": "1"}))
    with pytest.raises(NotDelivered, match="no addresses"):
        await by.delivery.copy_inputs(job, [file])


async def test_a_reply_is_searched_for_by_the_token_while_it_is_valid(by: Delivering) -> None:
    job, status = await by.on.status()
    assert await by.delivery.find_reply(job) == status.id
    assert by.on.sent("GET")[-1].endswith("/messages/@original")

    job = replace(job, created_at=job.created_at - MINUTE)
    expired = with_route(job, token_expires_at=by.on.now(), status_message_id=None)
    assert await by.delivery.find_reply(expired) == status.id
    assert by.on.sent("GET")[-1] == f"/channels/{by.on.channel.id}/messages"
    by.on.fake.faults.add("GET", HOOKS, Answer(200, "<html>"))
    with pytest.raises(NotDelivered):
        await by.delivery.find_reply(job)
