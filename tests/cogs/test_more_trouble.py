"""The menu behind *More*, pressed by the wrong member, twice, too late, and without permissions."""

import asyncio

import pytest

from bot.observability.logs import redact
from bot.sandbox.discord.permissions import (
    EVERYONE,
    MANAGE_MESSAGES,
    USE_APPLICATION_COMMANDS,
    VIEW_CHANNEL,
)
from bot.sandbox.http.faults import Answer, Hold, Reset
from cogs._menu_tokens import REMEMBERED, MenuTokens
from cogs.delivery import timeouts
from tests.support.acting import press
from tests.support.easel import Clock, Stage, text_of
from tests.support.menus import drawn, forge, labels, menu, spoilers, told, until

pytestmark = pytest.mark.long

UNAVAILABLE = "This result is private, was deleted, or is unknown here. "
VERBS = [
    *("more", "menu", "recipe", "originals", "lineage", "thread", "expanded", "delete"),
    *("favourite:{}:on", "favourite:{}:off", "spoiler:{}:on", "spoiler:{}:off", "delete:{}:yes"),
]
MESSAGES = r"/api/v10/channels/\d+/messages/\d+"
POSTS = r"/api/v10/channels/\d+/messages"
NO_FILE = Answer(
    400,
    {
        "code": 50035,
        "message": "Invalid Form Body",
        "errors": {
            "components": {
                "_errors": [
                    {
                        "code": "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
                        "message": "The referenced attachment was not found",
                    }
                ]
            }
        },
    },
)


def custom_id(verb: str, job_id: str) -> str:
    return "easel:" + (verb.format(job_id) if "{}" in verb else f"{verb}:{job_id}")


async def test_a_forged_press_reveals_nothing_of_a_private_job(at: Stage) -> None:
    async with at.easel():
        await drawn(at, "a hare")
        await at.imagine("a secret", private=True)
        await at.settled(2)
        secret = next(each for each in await at.jobs() if each.route.private)
        public = at.discord.channel_messages(at.channel)[0]
        for verb in VERBS:
            for job_id in (secret.id, "a" * 16):  # a private job, and none
                pressed = await forge(at, at.ben, public, custom_id(verb, job_id))
                said = await told(pressed)
                gone = "The picture is no longer among your favourites."
                expected = gone if verb.endswith("off") and "fav" in verb else UNAVAILABLE
                assert said.startswith(expected), verb
                assert "secret" not in said

    assert [each.hidden_at for each in await at.jobs()] == [None, None]
    assert not public.deleted


async def test_a_press_by_someone_else_changes_nothing(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        (job,) = await at.jobs()
        opened = await menu(at, result, by=at.ben)
        for verb in ("spoiler:{}:on", "delete", "delete:{}:yes"):
            said = await told(await forge(at, at.ben, opened, custom_id(verb, job.id)))
            assert "Only the member who requested this picture" in said

    assert not result.deleted
    assert spoilers(result) == [False]


async def test_presses_twice_at_once_do_the_same(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        (job,) = await at.jobs()
        opened = await menu(at, result)
        for verb in ("favourite:{}:on", "spoiler:{}:on"):
            name = custom_id(verb, job.id)
            pressed = [await at.discord.click(at.ada, opened, name) for _ in range(2)]
            await asyncio.gather(*(each.answered() for each in pressed))
        await until(lambda: {"Remove favourite", "Remove spoiler"} <= set(labels(opened)))
        assert spoilers(result) == [True]
        first, second = await menu(at, result), await menu(at, result)
        for each in (first, second):
            await press(at, each, "Delete")
        surely = custom_id("delete:{}:yes", job.id)
        await asyncio.gather(*(at.discord.click(at.ada, each, surely) for each in (first, second)))
        for each in (first, second):
            await until(lambda each=each: "The result is deleted" in each.text())  # type: ignore[misc]

    assert result.deleted


async def test_the_menu_of_a_job_that_was_deleted(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        of_ben, opened, other = (
            await menu(at, result, by=at.ben),
            await menu(at, result),
            await menu(at, result),
        )
        await press(at, opened, "Delete")
        await press(at, opened, "Delete for everybody")
        await until(lambda: "The result is deleted" in opened.text())
        for label in ("Recipe", "Originals", "Favourite", "Lineage", "Continue in a thread"):
            assert UNAVAILABLE in await told(await press(at, of_ben, label, by=at.ben))
        assert "was deleted" in await told(await press(at, other, "Spoiler"))
        await press(at, other, "Recipe")
        await press(at, other, "Menu")

    assert labels(other) == ["Recipe", "Originals", "Lineage", "Favourite"]
    assert "Only you still see the job" in other.text()


async def test_a_message_deleted_by_hand_is_a_sentence_and_can_still_be_hidden(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        opened = await menu(at, result)
        at.discord.world.delete(result)
        said = await told(await press(at, opened, "Spoiler"))
        assert "The message of this result was deleted." in said
        await press(at, opened, "Delete")
        await press(at, opened, "Delete for everybody")
        await until(lambda: "The result is deleted" in opened.text())

    assert (await at.jobs())[0].hidden_at is not None


async def test_without_access_to_the_channel_one_sentence_names_the_permissions(at: Stage) -> None:
    at.discord.set_permissions(at.server, at.ben, MANAGE_MESSAGES)
    async with at.easel():
        result = await drawn(at)
        opened = await menu(at, result, by=at.ben)
        at.discord.set_bot_permissions(at.channel, EVERYONE & ~VIEW_CHANNEL)
        hide = await told(await press(at, opened, "Spoiler", by=at.ben))
        await press(at, opened, "Delete", by=at.ben)
        delete = await told(await press(at, opened, "Delete for everybody", by=at.ben))
        assert (await at.jobs())[0].hidden_at is None
        at.discord.set_bot_permissions(at.channel, None)
        await press(at, opened, "Delete for everybody", by=at.ben)
        await until(lambda: "The result is deleted" in opened.text())

    needed = "Ask a moderator to give the bot these permissions: View Channels"
    assert f"{needed}, Read Message History." in hide
    assert f"{needed}." in delete
    assert result.deleted


@pytest.mark.parametrize("fault", [Answer(503), Reset(), Answer(502, "<html>", {})], ids=str)
async def test_an_outage_of_discord_is_one_sentence(
    at: Stage, fault: Answer | Reset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "QUERY_TIMEOUT", 0.5)  # discord.py repeats after a 502
    async with at.easel():
        result = await drawn(at)
        opened = await menu(at, result)
        for method in ("GET", "DELETE"):
            at.discord.faults.add(method, MESSAGES, fault, times=None)
        hide = await told(await press(at, opened, "Spoiler"))
        await press(at, opened, "Delete")
        delete = await told(await press(at, opened, "Delete for everybody"))

    assert "Discord does not answer at the moment. Try again in a minute." in hide
    assert "Discord does not answer at the moment. Try again in a minute." in delete
    assert (await at.jobs())[0].hidden_at is None


async def test_a_gallery_is_edited_by_addresses_if_names_are_refused(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        rule = at.discord.faults.add("PATCH", MESSAGES, NO_FILE)
        opened = await menu(at, result)
        await press(at, opened, "Spoiler")
        await until(lambda: "Remove spoiler" in labels(opened))
        assert rule.hits == 1
        assert spoilers(result) == [True]
        await press(at, opened, "Remove spoiler")
        await until(lambda: "Spoiler" in labels(opened))

    assert spoilers(result) == [False]
    assert not any(file.gone for file in result.files)


async def test_another_refusal_of_the_edit_is_a_sentence(at: Stage) -> None:
    refused = Answer(400, {"code": 200000, "message": "Blocked by AutoMod"})
    async with at.easel():
        result = await drawn(at)
        at.discord.faults.add("PATCH", MESSAGES, refused)
        said = await told(await press(at, await menu(at, result), "Spoiler"))

    assert "Discord refused the change with “Blocked by AutoMod”." in said
    assert not (await at.jobs())[0].spoiler


async def test_the_log_has_no_prompt_that_discord_quotes(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, lines = "a fox of remarkable beauty", list[str]()
    # In the task of the press, as the log's own formatter.
    monkeypatch.setattr(
        caplog.handler, "emit", lambda each: lines.append(redact(each.getMessage(), ()))
    )
    refused = Answer(400, {"code": 50006, "message": f"Refused: {prompt}"})
    async with at.easel():
        result = await drawn(at, prompt)
        at.discord.faults.add("PATCH", MESSAGES, refused)
        with caplog.at_level("INFO"):
            await told(await press(at, await menu(at, result), "Spoiler"))

    (line,) = [each for each in lines if "change of a result failed" in each]
    assert "Refused" in line
    assert prompt not in line


async def test_a_result_without_a_row_is_a_sentence(at: Stage) -> None:
    """A restored backup may lack the job."""
    async with at.easel():
        result = await drawn(at)
        pressed = await forge(at, at.ada, result, f"easel:more:{'b' * 16}")

    assert UNAVAILABLE in await told(pressed)


async def test_more_needs_the_permission_for_commands(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        at.discord.set_channel_permissions(at.channel, at.ben, deny=USE_APPLICATION_COMMANDS)
        said = text_of(await press(at, result, "More", by=at.ben))

    assert "You may not use /imagine in this channel." in said


async def test_a_job_that_runs_has_no_menu(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        await at.said("Drawing")
        (job,) = await at.jobs()
        assert asked.message is not None
        pressed = await forge(at, at.ada, asked.message, f"easel:more:{job.id}")
        assert "This job has not ended yet." in await told(pressed)
        await at.finish()
        await at.settled()


async def test_a_result_that_is_not_posted_yet_is_not_deleted(at: Stage) -> None:
    rule = at.discord.faults.add("POST", POSTS, Answer(503), times=None)
    async with at.easel():
        await at.imagine("a fox")
        await rule.reached()
        (job,) = await at.jobs()
        await at.command("show", job=job.id)
        shown = await at.discord.wait_for_message(lambda it: bool(it.pictures()))
        opened = await menu(at, shown)
        assert "Delete" not in labels(opened)
        said = await told(await forge(at, at.ada, opened, f"easel:delete:{job.id}:yes"))
        assert "This result is not posted yet." in said
        rule.remove()
        at.clock.move(minutes=1)
        await at.settled()

    assert (await at.jobs())[0].hidden_at is None


async def test_a_result_is_changed_after_its_delivery_is_stored(at: Stage) -> None:
    """The result is seen before: the status message is deleted in between."""
    held = at.discord.faults.add("DELETE", r"/api/v10/.*/messages/.*", Hold(), times=None)
    async with at.easel():
        await at.imagine("a fox")
        await held.reached()
        result = await at.discord.wait_for_message(lambda it: bool(it.pictures()))
        opened = await menu(at, result)
        for label in ("Spoiler", "Continue in a thread", "Delete"):
            assert "This result is not posted yet." in await told(await press(at, opened, label))
        held.remove()
        await at.settled()
        await press(at, opened, "Delete")
        await press(at, opened, "Delete for everybody")
        await until(lambda: result.deleted)


async def test_the_copy_of_a_result_changes_the_result(at: Stage) -> None:
    """A copy that /show sends to the requester alone, in another channel."""
    elsewhere = at.discord.add_channel(at.server, "talk")
    async with at.easel():
        result = await drawn(at)
        (job,) = await at.jobs()
        await at.command("show", where=elsewhere, job=job.id)
        copy = await at.discord.wait_for_message(
            lambda it: it.ephemeral_to is at.ada and bool(it.pictures())
        )
        opened = await menu(at, copy)
        assert "Continue in a thread" not in labels(opened)
        await press(at, opened, "Spoiler")
        await until(lambda: "Remove spoiler" in labels(opened))
        assert (spoilers(result), spoilers(copy)) == ([True], [False])
        await press(at, opened, "Delete")
        await press(at, opened, "Delete for everybody")
        await until(lambda: "The result is deleted" in opened.text())

    assert result.deleted
    assert not copy.deleted


def test_tokens_expire_and_are_bounded() -> None:
    clock = Clock()
    tokens = MenuTokens(clock)
    for number in range(REMEMBERED + 1):
        tokens.add(number, 7, 1, f"token-{number}")
    assert tokens.find(0, 7) is None
    assert tokens.find(1, 8) is None
    found = tokens.find(1, 7)
    assert found is not None
    assert found.token == "token-1"  # not a secret
    assert "token-1" not in repr(found)
    clock.move(minutes=15)
    assert tokens.find(1, 7) is None
    tokens.add(1, 7, 1, "another")
    assert tokens.find(2, 7) is None
