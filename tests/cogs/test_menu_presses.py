"""Presses on *More* and in its menu, by a client without a gateway."""

from datetime import timedelta

import pytest

from bot.jobs import Job
from bot.sandbox.discord import Channel, ChannelKind, Message
from bot.sandbox.discord.permissions import CREATE_PUBLIC_THREADS
from bot.sandbox.http.faults import Answer
from bot.store import jobs
from cogs import _more, _originals
from cogs.delivery.route import member_of
from cogs.delivery.shown import PressMoreAgain
from cogs.ui.wording import More
from tests.support.menus import labels
from tests.support.serving import Serving, told

HOOKS = r"/api/v10/webhooks/.*"
POSTS = r"/api/v10/channels/\d+/messages"
REFUSED = Answer(403, {"code": 50013, "message": "no"})
AGAIN = "Press More under the result again."


async def opened(by: Serving, job: Job, message: Message) -> Message:
    """Press *More*, and return the menu."""
    made = await by.press(message, f"easel:more:{job.id}")
    found = made.followups[0] if made.message is message else made.message
    assert found is not None
    return found


def holds(by: Serving, message: Message) -> bool:
    return by.tokens.find(by.ada.id, message.id) is not None


async def test_the_token_of_a_press_is_held_where_nothing_else_reaches_the_result(
    by: Serving,
) -> None:
    job, message = await by.result()
    menu = await opened(by, job, message)
    assert (menu.ephemeral_to, holds(by, message)) == (by.ada, False)

    job, message = await by.result(private=True)
    made = await by.press(message, f"easel:more:{job.id}")
    grant = by.tokens.find(by.ada.id, message.id)
    assert grant is not None
    assert (grant.token, grant.application_id) == (made.token, by.fake.application_id)


async def test_a_press_elsewhere_than_in_a_menu_is_answered_privately(by: Serving) -> None:
    job, message = await by.result()
    for verb in ("menu", "recipe", "lineage"):
        made = await by.press(message, f"easel:{verb}:{job.id}")
        assert "a fox" in told(made)
    assert message.text() == "a result"

    menu = await opened(by, job, message)
    made = await by.press(menu, f"easel:recipe:{job.id}")
    assert made.message is menu
    assert "prompt" in menu.text().casefold()


async def test_a_private_result_is_no_menu_of_itself(by: Serving) -> None:
    job, message = await by.result(private=True)
    made = await by.press(message, f"easel:recipe:{job.id}")

    assert made.message is not message
    assert message.text() == "a result"


async def test_a_favourite_is_marked_and_removed(by: Serving) -> None:
    job, message = await by.result()
    menu = await opened(by, job, message)
    await by.press(menu, f"easel:favourite:{job.id}:on")
    assert More.NO_FAVOURITE in labels(menu)
    await by.press(menu, f"easel:favourite:{job.id}:off")
    assert More.FAVOURITE in labels(menu)

    ben = by.fake.add_user("Ben")
    other, hidden = await by.result(private=True)
    made = await by.press(message, f"easel:favourite:{other.id}:off", by=ben)
    assert told(made) == More.FAVOURITE_GONE
    assert hidden.ephemeral_to is by.ada


async def test_originals_follow_and_those_that_are_gone_are_counted(by: Serving) -> None:
    job, message = await by.result(pictures=2)
    made = await by.press(message, f"easel:originals:{job.id}")
    assert made.message is not None
    assert [each.filename for each in made.message.files] == [
        f"easel-{job.id}-{number}.png" for number in (1, 2)
    ]
    assert made.followups == []

    paths = sorted(by.services.pictures.disk.rglob("*.png"))
    paths[0].unlink()
    made = await by.press(message, f"easel:originals:{job.id}")
    texts = [each.text() for each in (made.message, *made.followups) if each is not None]
    assert len(texts) == 2
    assert "1 original is no longer stored." in texts[1]
    paths[1].unlink()
    made = await by.press(message, f"easel:originals:{job.id}")
    assert "no longer stored" in told(made)


@pytest.mark.parametrize(("guest", "most"), [(False, 10), (True, 4)])
async def test_originals_have_as_many_messages_as_discord_allows(
    by: Serving, monkeypatch: pytest.MonkeyPatch, guest: bool, most: int
) -> None:
    assert (_originals.MOST_MESSAGES, _originals.MOST_FOLLOW_UPS) == (10, 5)
    monkeypatch.setattr("cogs.delivery.originals.IN_MESSAGE", 1)
    where = by.fake.add_channel(by.fake.add_guild("Foreign", bot=False), "art")
    job, message = await by.result(pictures=11)
    interaction = by.interaction(guest=guest, where=where if guest else None)
    received = by.received(interaction)
    await received.response.defer(ephemeral=True)
    stored = await by.studio.menus.originals(member_of(received), 0, job.id)
    await _originals.send_originals(received, by.studio, job, stored)

    sent = [each for each in (interaction.message, *interaction.followups) if each is not None]
    assert len([each for each in sent if each.files]) == most
    assert sent[-1].files == []
    assert sent[-1].text().count("easel-") == 11 - most
    assert not message.files


@pytest.mark.parametrize("kind", [ChannelKind.TEXT, ChannelKind.ANNOUNCEMENT, ChannelKind.VOICE])
async def test_text_and_announcement_channels_have_threads(by: Serving, kind: ChannelKind) -> None:
    channel = by.fake.add_channel(by.server, "place", kind=kind)
    job, message = await by.result(where=channel)
    menu = await opened(by, job, message)
    may = kind is not ChannelKind.VOICE

    assert (More.THREAD in labels(menu)) is may
    made = await by.press(menu, f"easel:thread:{job.id}")
    if may:
        assert message.thread is not None
        assert "The thread is open" in menu.text()
        _, first = by.fake.channel_messages(message.thread)  # the result begins the thread
        assert (first.nonce, first.text()) == (f"{job.id}-thread", More.THREAD_START)
        assert labels(first) == ["Again", "Remix", "Edit", "More"]
    else:
        assert message.thread is None
        assert "No thread can be opened" in told(made)


async def test_a_thread_that_is_there_is_linked_without_another_first_message(
    by: Serving,
) -> None:
    job, message = await by.result()
    menu = await opened(by, job, message)
    await by.press(menu, f"easel:thread:{job.id}")
    assert message.thread is not None
    await by.press(menu, f"easel:thread:{job.id}")

    assert "has a thread already" in menu.text()
    assert len(by.fake.channel_messages(message.thread)) == 2  # with the result


async def test_a_first_message_that_is_refused_leaves_the_thread(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", _more.__name__)
    job, message = await by.result()
    menu = await opened(by, job, message)
    by.fake.faults.add("POST", POSTS, REFUSED)
    await by.press(menu, f"easel:thread:{job.id}")

    assert "The thread is open" in menu.text()
    assert caplog.messages[0].startswith("first message of a thread not posted: 403")


async def test_a_result_has_a_thread_in_its_own_channel_alone(by: Serving) -> None:
    job, message = await by.result()
    menu = await opened(by, job, message)
    elsewhere = await by.post("another channel")
    elsewhere.channel = by.fake.add_channel(by.server, "other")
    assert "No thread can be opened" in told(await by.press(elsewhere, f"easel:thread:{job.id}"))
    by.fake.set_channel_permissions(by.channel, by.ada, deny=CREATE_PUBLIC_THREADS)
    assert "may not open threads" in told(await by.press(menu, f"easel:thread:{job.id}"))
    assert message.thread is None


async def test_a_private_deleted_or_unposted_result_has_no_thread(by: Serving) -> None:
    private, hidden = await by.result(private=True)
    menu = await opened(by, private, hidden)
    assert More.THREAD not in labels(menu)
    said = told(await by.press(menu, f"easel:thread:{private.id}"))
    assert "private or deleted" in said

    job, message = await by.result()
    async with by.services.database.transaction() as tx:
        await jobs.hide(tx, job.id, by.now())
    menu = await opened(by, job, message)
    assert More.THREAD not in labels(menu)
    assert "private or deleted" in told(await by.press(menu, f"easel:thread:{job.id}"))

    early, message = await by.result(posted=False)
    menu = await opened(by, early, message)
    assert More.THREAD in labels(menu)  # the public message shows that it is posted
    assert "not posted yet" in told(await by.press(menu, f"easel:thread:{early.id}"))


async def test_a_result_is_deleted_with_its_status_message(by: Serving) -> None:
    job, message = await by.result()
    status = await by.post("the result is elsewhere")
    async with by.services.database.transaction() as tx:
        await jobs.change(tx, job.id, status_message_id=status.id)
    menu = await opened(by, job, message)
    await by.press(menu, f"easel:delete:{job.id}")
    assert not message.deleted
    await by.press(menu, f"easel:delete:{job.id}:yes")

    assert message in [each for each in by.fake.world.messages.values() if each.deleted]
    assert status.deleted
    assert (await by.job(job.id)).hidden_at is not None
    assert "The result is deleted" in menu.text()


async def test_a_result_without_a_message_is_hidden_all_the_same(by: Serving) -> None:
    job, message = await by.result()
    menu = await opened(by, job, message)
    async with by.services.database.transaction() as tx:
        await jobs.change(tx, job.id, result_message_id=None)
    said = told(await by.press(menu, f"easel:spoiler:{job.id}:on"))
    assert "was deleted" in said
    await by.press(menu, f"easel:delete:{job.id}:yes")

    assert not message.deleted
    assert (await by.job(job.id)).hidden_at is not None


async def test_a_deletion_that_is_refused_hides_nothing(by: Serving) -> None:
    job, message = await by.result()
    menu = await opened(by, job, message)
    by.fake.faults.add("DELETE", r".*/messages/\d+", REFUSED)
    said = told(await by.press(menu, f"easel:delete:{job.id}:yes"))

    assert "View Channels" in said
    assert (await by.job(job.id)).hidden_at is None


async def test_a_private_result_is_changed_by_the_token_for_15_minutes(by: Serving) -> None:
    job, message = await by.result(private=True)
    menu = await opened(by, job, message)
    assert holds(by, message)
    by.moved = timedelta(minutes=15)
    assert AGAIN in told(await by.press(menu, f"easel:delete:{job.id}:yes"))
    assert by.sent("DELETE") == []
    by.moved = timedelta(minutes=14)
    await by.press(menu, f"easel:delete:{job.id}:yes")

    assert message.deleted
    (path,) = by.sent("DELETE")
    assert path.endswith("/messages/@original")


async def test_a_private_result_in_direct_messages_is_the_bots_own(by: Serving) -> None:
    """That channel is known by the press alone, so a message that is not there proves nothing."""
    channel = by.fake.dm_channel(by.ada)
    job, message = await by.result(where=channel, private=True)
    message.ephemeral_to, message.flags = None, message.flags & ~(1 << 6)
    menu = await opened(by, job, message)
    by.fake.faults.add("DELETE", r".*", Answer(404, {"code": 10008, "message": "Unknown"}))
    assert AGAIN in told(await by.press(menu, f"easel:delete:{job.id}:yes"))
    await by.press(menu, f"easel:delete:{job.id}:yes")

    assert message.deleted
    assert by.sent("DELETE")[-1] == f"/channels/{channel.id}/messages/{message.id}"


async def test_where_only_the_member_installed_the_bot_the_token_alone_reaches_a_result(
    by: Serving,
) -> None:
    where: Channel = by.fake.add_channel(by.fake.add_guild("Foreign", bot=False), "art")
    job, message = await by.result()
    made = by.interaction(where=where, guest=True)
    assert _more._place_of(by.received(by.interaction()), job) is not None
    with pytest.raises(PressMoreAgain):
        _more._place_of(by.received(made), job)
    assert not message.deleted
