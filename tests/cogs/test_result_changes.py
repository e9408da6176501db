"""Changes of a result's message: hidden pictures, a removal, a thread, and each refusal."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import discord
import pytest

from bot.errors import UserError
from bot.sandbox.discord.components import walk
from bot.sandbox.http.faults import Answer
from cogs.delivery import shown
from cogs.delivery.galleries import edit_by_addresses, edit_by_names, has_pictures
from cogs.delivery.removal import remove_messages
from cogs.delivery.shown import (
    AccessLost,
    ChangeRefused,
    MessageGone,
    NothingToHide,
    Place,
    PressMoreAgain,
    Unanswered,
    explained,
    open_thread,
    remove,
    remove_status,
    set_spoiler,
)
from tests.support.discord_objects import http_error
from tests.support.ground import Ground

PAGE = "text/html"
ONE = r"/api/v10/channels/\d+/messages/\d+"
THREADS = r"/api/v10/channels/\d+/messages/\d+/threads"
GONE = Answer(404, {"code": 10008, "message": "Unknown Message"})


HERE = Place(7, 8)
BY_TOKEN = Place(0, 8, 9, "token")
UNCERTAIN = Place(7, 8, certain=False)


@pytest.mark.parametrize(
    ("place", "error", "told"),
    [
        (HERE, http_error(404, 10008), MessageGone),
        (UNCERTAIN, http_error(404, 10008), PressMoreAgain),
        (BY_TOKEN, http_error(401, 50027), PressMoreAgain),
        (BY_TOKEN, http_error(404, 10015), PressMoreAgain),
        (HERE, http_error(404, 10015), ChangeRefused),
        (HERE, http_error(404, 10003), AccessLost),
        (HERE, http_error(404, 10004), AccessLost),
        (HERE, http_error(403, 50001), AccessLost),
        (HERE, http_error(403, 50013), AccessLost),
        (BY_TOKEN, http_error(403, 50013), AccessLost),
        (HERE, http_error(403, 50013, kind=PAGE), Unanswered),
        (HERE, http_error(400, 20016), Unanswered),
        (HERE, http_error(500), Unanswered),
        (HERE, discord.RateLimited(40), Unanswered),
        (HERE, TimeoutError(), Unanswered),
        (HERE, http_error(400, 30003, "No more."), ChangeRefused),
    ],
    ids=repr,
)
def test_each_refusal_is_one_sentence(
    place: Place,
    error: Exception,
    told: type[UserError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", shown.__name__)
    with pytest.raises(told) as raised, explained(place, "View Channels", "Embed Links"):
        raise error

    if told is AccessLost:
        assert "View Channels, Embed Links" in str(raised.value)
    if told is ChangeRefused:
        assert f"“{error.text}”" in str(raised.value)  # type: ignore[attr-defined]
    (line,) = caplog.messages
    assert line.startswith("change of a result failed: ")


def test_other_errors_are_none_of_discord() -> None:
    with pytest.raises(KeyError), explained(HERE):
        raise KeyError


def gallery(*media: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": 12, "id": 3, "items": [{"media": each, **more} for each in media]}


def test_an_edit_names_the_files_and_keeps_all_else() -> None:
    first = {"url": "https://cdn/a/1/fox.png?ex=1", "attachment_id": "11", "width": 9}
    second = {"url": "https://cdn/a/1/hen.png?ex=1", "attachment_id": "12", "width": 9}
    text = {"type": 10, "id": 2, "content": "hi", "spoiler": None}
    inner = gallery(first, second, description="a fox", spoiler=False)
    tree = [{"type": 17, "id": 1, "accent_color": None, "components": [text, inner]}]

    edit = edit_by_names(tree, spoiler=True)
    assert edit == {
        "components": [
            {
                "type": 17,
                "id": 1,
                "components": [
                    {"type": 10, "id": 2, "content": "hi"},
                    {
                        "type": 12,
                        "id": 3,
                        "items": [
                            {
                                "media": {"url": "attachment://fox.png"},
                                "spoiler": True,
                                "description": "a fox",
                            },
                            {
                                "media": {"url": "attachment://hen.png"},
                                "spoiler": True,
                                "description": "a fox",
                            },
                        ],
                    },
                ],
            }
        ],
        "flags": 1 << 15,
        "allowed_mentions": {"parse": []},
        "attachments": [{"id": "11", "filename": "fox.png"}, {"id": "12", "filename": "hen.png"}],
    }


def test_an_edit_without_the_ids_of_all_files_names_the_addresses() -> None:
    known = {"url": "https://cdn/a/1/fox.png?ex=1", "attachment_id": "11"}
    unknown = {"url": "https://cdn/a/1/hen.png?ex=1"}
    tree = [gallery(known, unknown, description="")]

    edit = edit_by_names(tree, spoiler=False)
    assert edit == edit_by_addresses(tree, spoiler=False)
    assert "attachments" not in edit
    assert edit["components"][0]["items"] == [
        {"media": {"url": known["url"]}, "spoiler": False},
        {"media": {"url": unknown["url"]}, "spoiler": False},
    ]


def test_pictures_are_those_of_galleries_at_any_depth() -> None:
    media = {"url": "https://cdn/a.png"}

    assert has_pictures([{"type": 17, "components": [gallery(media)]}])
    assert not has_pictures([{"type": 17, "components": [gallery()]}])
    assert not has_pictures([{"type": 10, "content": "hi"}])
    assert not has_pictures([])


async def test_a_message_without_pictures_has_nothing_to_hide(on: Ground) -> None:
    message = await on.post("a fox")
    with pytest.raises(NothingToHide):
        await set_spoiler(on.client, Place(on.channel.id, message.id), spoiler=True)
    on.fake.faults.add("GET", ONE, Answer(200, "[]", {"Content-Type": "application/json"}))
    with pytest.raises(NothingToHide):
        await set_spoiler(on.client, Place(on.channel.id, message.id), spoiler=True)

    assert on.sent("PATCH") == []


async def drawn(on: Ground) -> Any:  # noqa: ANN401  # of the stand-in
    """Post a message with a picture."""
    file = discord.File(__file__, "fox.png")
    view = discord.ui.LayoutView()
    item = discord.MediaGalleryItem("attachment://fox.png", description="a fox")
    view.add_item(discord.ui.MediaGallery(item))
    channel = on.client.get_partial_messageable(on.channel.id)
    sent = await channel.send(view=view, file=file)
    return on.fake.world.messages[sent.id]


def spoilers(components: Sequence[Any]) -> list[bool]:
    return [item["spoiler"] for each in walk(list(components)) for item in each.get("items", ())]


async def test_pictures_are_hidden_and_shown_again(on: Ground) -> None:
    message = await drawn(on)
    place = Place(on.channel.id, message.id)

    await set_spoiler(on.client, place, spoiler=True)
    assert spoilers(message.components) == [True]
    await set_spoiler(on.client, place, spoiler=False)
    assert spoilers(message.components) == [False]
    assert len(message.pictures()) == 1
    assert len(on.sent("PATCH")) == 2


async def test_an_edit_that_is_refused_by_names_is_made_by_addresses(
    on: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", shown.__name__)
    message = await drawn(on)
    place = Place(on.channel.id, message.id)
    invalid = Answer(400, {"code": 50035, "message": "Invalid Form Body"})
    on.fake.faults.add("PATCH", ONE, invalid)

    await set_spoiler(on.client, place, spoiler=True)
    assert spoilers(message.components) == [True]
    assert "using addresses" in caplog.text

    on.fake.faults.add("PATCH", ONE, Answer(403, {"code": 50013, "message": "no"}))
    with pytest.raises(AccessLost, match="View Channels, Read Message History"):
        await set_spoiler(on.client, place, spoiler=False)
    assert len(on.sent("PATCH")) == 3  # another refusal is not answered by another edit


async def test_a_result_is_deleted_and_one_that_is_gone_is_a_success(on: Ground) -> None:
    message = await on.post("a fox")
    place = Place(on.channel.id, message.id)

    await remove(on.client, place)
    assert message.deleted
    await remove(on.client, place)
    with pytest.raises(PressMoreAgain):
        await remove(on.client, replace(place, certain=False))
    on.fake.faults.add("DELETE", ONE, Answer(403, {"code": 50013, "message": "no"}))
    with pytest.raises(AccessLost, match="View Channels"):
        await remove(on.client, place)


async def test_a_result_is_deleted_by_the_token_of_a_press(on: Ground) -> None:
    job, message = await on.status(private=True)
    place = Place(0, message.id, job.route.application_id, job.route.interaction_token)

    await remove(on.client, place)
    assert message.deleted
    assert on.sent("DELETE")[0].endswith("/messages/@original")


async def test_a_thread_is_opened_once(on: Ground) -> None:
    message = await on.post("a fox")
    place = Place(on.channel.id, message.id)

    assert await open_thread(on.client, place, "a fox", instead="job") == (message.id, True)
    assert await open_thread(on.client, place, "a fox", instead="job") == (message.id, False)
    assert message.thread is not None
    assert message.thread.name == "a fox"


@pytest.mark.parametrize("code", [200000, 240000, 50013])
async def test_a_thread_whose_name_is_refused_has_another(on: Ground, code: int) -> None:
    message = await on.post("a fox")
    place = Place(on.channel.id, message.id)
    on.fake.faults.add("POST", THREADS, Answer(400, {"code": code, "message": "no"}))

    if code == 50013:
        with pytest.raises(AccessLost, match="View Channels, Create Public Threads"):
            await open_thread(on.client, place, "a fox", instead="job")
        assert message.thread is None
    else:
        assert await open_thread(on.client, place, "a fox", instead="job") == (message.id, True)
        assert message.thread is not None
        assert message.thread.name == "job"


async def test_a_status_message_that_is_left_is_deleted_with_the_result(on: Ground) -> None:
    job, message = await on.status(result_message_id=5)
    private, hidden = await on.status(private=True, result_message_id=5)
    shown_there, kept = await on.status()
    shown_there = replace(shown_there, result_message_id=kept.id)
    none = replace(job, route=replace(job.route, status_message_id=None))

    for each in (private, shown_there, none):
        await remove_status(on.client, each)
    assert on.sent("DELETE") == []
    await remove_status(on.client, job)
    assert message.deleted
    assert not hidden.deleted
    assert not kept.deleted


@pytest.mark.parametrize(
    ("fault", "lines"), [(GONE, 0), (Answer(403, {"code": 50013}), 1), (Answer(503), 1)], ids=repr
)
async def test_a_status_message_that_cannot_be_deleted_is_no_error(
    on: Ground, fault: Answer, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", shown.__name__)
    job, message = await on.status(result_message_id=5)
    on.fake.faults.add("DELETE", ONE, fault)

    await remove_status(on.client, job)
    assert not message.deleted
    assert len(caplog.messages) == lines
    assert all("status message of a deleted result" in each for each in caplog.messages)


async def test_an_erasure_deletes_the_messages_that_the_bot_reaches(on: Ground) -> None:
    result = await on.post("a fox")
    job, status = await on.status(result_message_id=result.id)
    private, hidden = await on.status(private=True, result_message_id=5)

    await remove_messages(on.client, job)
    assert result.deleted
    assert status.deleted
    before = len(on.sent("DELETE"))
    await remove_messages(on.client, private)  # nothing that only the requester sees
    await remove_messages(on.client, replace(job, result_message_id=None, route=private.route))
    assert len(on.sent("DELETE")) == before
    assert not hidden.deleted


async def test_a_message_that_is_result_and_status_is_deleted_once(on: Ground) -> None:
    job, message = await on.status()

    await remove_messages(on.client, replace(job, result_message_id=message.id))
    assert message.deleted
    assert len(on.sent("DELETE")) == 1


async def test_an_erasure_goes_on_after_a_refusal_and_stops_while_discord_does_not_answer(
    on: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cogs.delivery.removal")
    result = await on.post("a fox")
    job, status = await on.status(result_message_id=result.id)
    refused = Answer(403, {"code": 50013, "message": "no"})
    for fault in (Answer(503, {"code": 0, "message": "no"}), GONE, refused, refused):
        on.fake.faults.add("DELETE", ONE, fault)

    with pytest.raises(discord.DiscordServerError):
        await remove_messages(on.client, job)
    assert len(on.sent("DELETE")) == 1
    await remove_messages(on.client, job)  # gone, refused
    assert len(on.sent("DELETE")) == 3
    assert not status.deleted
    (line,) = caplog.messages
    assert line.startswith(f"message {status.id} not deleted: ")


def test_the_access_by_a_token_is_not_written_out() -> None:
    assert "token" not in repr(BY_TOKEN)
