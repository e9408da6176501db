"""The buttons under a result, pressed by the requester and by others."""

import asyncio
from typing import Any

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Interaction, Spelling, Upload, User
from bot.sandbox.discord.permissions import USE_APPLICATION_COMMANDS, VIEW_CHANNEL
from bot.sandbox.http.faults import HoldBefore
from bot.store.jobs import change
from tests.support.acting import press
from tests.support.easel import Stage, text_of
from tests.support.files import picture

CAT = Upload("cat.png", picture())


async def submit(
    at: Stage, opened: Interaction, values: dict[str, Any], by: User | None = None
) -> Interaction:
    assert opened.modal is not None, opened.response
    sent = await at.discord.submit_modal(by or at.ada, opened, values)
    return await sent.answered()


def fields(opened: Interaction) -> dict[str, dict[str, Any]]:
    """The fields of a form, by custom_id."""
    assert opened.modal is not None, opened.response
    return {
        each["component"]["custom_id"]: each["component"] for each in opened.modal["components"]
    }


async def test_the_row_has_four_buttons(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")

    assert [each["label"] for each in result.buttons()] == ["Again", "Remix", "Edit", "More"]


async def test_again_requests_the_same_with_a_new_seed(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", seed=7, aspect_ratio="16:9", model="oxen")
        result = await at.result("a fox")
        await press(at, result, "Again", by=at.ben)
        async with asyncio.timeout(20):
            while not await at.jobs(at.ben):
                await asyncio.sleep(0.02)
        again = await at.discord.wait_for_message(
            lambda message: bool(message.pictures()) and f"<@{at.ben.id}>" in message.text()
        )

    first, second = at.created()
    assert first.pop("seed") == 7
    assert "seed" not in second
    assert first == second
    (made,) = await at.jobs(at.ben)
    (source,) = await at.jobs()
    assert made.source_job_id == source.id
    assert await at.balance(at.ben) == -(made.cost or 0) < 0
    assert await at.balance() == -(source.cost or 0)
    link = f"https://discord.com/channels/{at.server.id}/{at.channel.id}/{result.id}"
    assert f"made from [a picture]({link}) by <@{at.ada.id}>" in again.text()


async def test_remix_carries_over_everything_but_the_changes(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", aspect_ratio="16:9", negative_prompt="rain", seed=7, model="oxen")
        result = await at.result("a fox")
        opened = await press(at, result, "Remix")
        shown = fields(opened)
        assert shown["prompt"]["value"] == "a fox"
        assert shown["negative"]["value"] == "rain"
        chosen = [each["value"] for each in shown["shape"]["options"] if each.get("default")]
        assert chosen == ["aspect_ratio=16:9"]
        assert [each["label"] for each in shown["switches"]["options"]] == [
            "New seed",
            "Expand the prompt: the model rewrites it before drawing",
        ]
        await submit(at, opened, {"prompt": "a red fox", "switches": []})
        await at.result("a red fox")

    first, second = at.created()
    assert second == first | {"prompt": "a red fox", "enable_prompt_expansion": False}
    assert first["seed"] == 7


@pytest.mark.long
async def test_remix_changes_every_field(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", aspect_ratio="16:9", seed=7, count=1, model="oxen")
        result = await at.result("a fox")
        opened = await press(at, result, "Remix")
        values = {
            "prompt": "a hare",
            "negative": "snow",
            "shape": ["aspect_ratio=1:1"],
            "count": ["2"],
            "switches": ["new_seed", "expand"],
        }
        await submit(at, opened, values)
        await at.result("a hare")

    body = at.created()[1]
    assert (body["prompt"], body["negative_prompt"]) == ("a hare", "snow")
    assert (body["aspect_ratio"], body["num_generations"]) == ("1:1", 2)
    assert "seed" not in body


@pytest.mark.long
async def test_edit_takes_the_chosen_stored_picture_and_references(at: Stage) -> None:
    async with at.easel():
        await at.imagine("two foxes", count=2)
        result = await at.result("two foxes")
        opened = await press(at, result, "Edit")
        assert [each["value"] for each in fields(opened)["picture"]["options"]] == ["1", "2"]
        await submit(at, opened, {"picture": ["2"], "prompt": "add a hat", "references": [CAT]})
        edited = await at.result("add a hat")

    (generation,) = at.skills.generations.values()  # Oxen takes one picture only
    urls = generation.body["image_urls"]
    assert isinstance(urls, list)
    first, second = (str(url).partition("?")[0] for url in urls)
    assert first.endswith("-2.png")
    assert second.endswith("cat.png")
    made, source = await at.jobs()
    assert made.source_job_id == source.id
    assert made.inputs[0].sha256
    assert made.inputs[1].sha256 is None
    assert "made from" in edited.text()


@pytest.mark.long
async def test_a_result_of_a_year_ago_is_edited_from_the_store(at: Stage) -> None:
    async with at.easel(keep_days=500):
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
    at.clock.move(days=365)
    async with at.easel(keep_days=500):
        opened = await press(at, result, "Edit", by=at.ben)
        await submit(at, opened, {"prompt": "add a hat"}, by=at.ben)
        await at.result("add a hat")

    (job,) = await at.jobs(at.ben)
    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
async def test_a_form_that_was_open_during_a_restart_is_read(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        opened = await press(at, result, "Remix")
    async with at.easel():
        await submit(at, opened, {"prompt": "a hare"})
        await at.result("a hare")


@pytest.mark.long
async def test_removed_pictures_are_named(at: Stage) -> None:
    async with at.easel() as app:
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
        store = app.services.pictures
        await store.remove(await store.files())
        pressed = await press(at, result, "Edit")
        assert text_of(pressed).startswith("The pictures of this job are no longer stored.")
        await press(at, result, "Again")
        await at.settled(2)


@pytest.mark.long
@pytest.mark.parametrize("label", ["Again", "Remix", "Edit"])
async def test_a_hidden_result_is_shown_to_nobody_else(at: Stage, label: str) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        (job,) = await at.settled()
        async with at.database() as database, database.transaction() as tx:
            await change(tx, job.id, hidden_at=at.clock())
        pressed = await press(at, result, label, by=at.ben)
        assert text_of(pressed).startswith("This result is private, was deleted, or is unknown")
        assert not await at.jobs(at.ben)
        allowed = await press(at, result, label)
        assert allowed.modal is not None or "a fox" in (allowed.message or result).text()
        if label == "Again":
            await at.settled(2)


@pytest.mark.long
async def test_what_is_made_from_a_private_result_is_private(at: Stage) -> None:
    async with at.easel():
        asked = await at.imagine("a secret", private=True)
        await at.settled()
        assert asked.message is not None
        pressed = await press(at, asked.message, "Again")
        assert pressed.message is not None
        assert pressed.message.ephemeral_to is at.ada
        jobs = await at.settled(2)

    assert all(job.route.private for job in jobs)


@pytest.mark.long
async def test_references_of_others_are_not_used_again(at: Stage) -> None:
    async with at.easel():
        await at.edit(CAT, prompt="make it blue")
        result = await at.result("make it blue")
        await at.settled()
        refused = await press(at, result, "Again", by=at.ben)
        assert text_of(refused).startswith("Pictures of other members are not edited here")
        await press(at, result, "Again")
        first, _ = await at.settled(2)
    assert first.status is JobStatus.SUCCEEDED
    async with at.easel(edit_others=True):
        await press(at, result, "Again", by=at.ben)
        await at.discord.wait_for_message(
            lambda message: bool(message.pictures()) and f"<@{at.ben.id}>" in message.text()
        )


@pytest.mark.long
async def test_a_model_that_is_gone_is_named(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", model="skills")
        result = await at.result("a fox")
        await at.settled()
    async with at.easel(skills_api_key=None):
        refused = await press(at, result, "Again")
        assert text_of(refused).startswith("The model skills is no longer on offer.")
        opened = await press(at, result, "Remix")
        await submit(at, opened, {"prompt": "a hare"})
        await at.result("a hare")


@pytest.mark.long
async def test_two_presses_at_once_are_two_requests(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
        await asyncio.gather(press(at, result, "Again"), press(at, result, "Again"))
        jobs = await at.settled(3)

    assert len({job.id for job in jobs}) == 3


@pytest.mark.long
async def test_a_member_without_the_permission_is_refused(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        at.server.roles[0].permissions &= ~USE_APPLICATION_COMMANDS  # of everyone
        refused = await press(at, result, "Again", by=at.ben)

    assert text_of(refused).startswith("You may not use /imagine in this channel.")


@pytest.mark.long
async def test_the_menu_edits_own_pictures_and_results_of_easel(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
        mine = await at.discord.say(at.ada, at.channel, "mine", [CAT])
        for target, by in ((result, at.ben), (mine, at.ada)):
            opened = await at.discord.menu(by, at.channel, "Edit image", target)
            await opened.answered()
            assert opened.modal is not None
        refused = await at.discord.menu(at.ben, at.channel, "Edit image", mine)
        await refused.answered()
        assert text_of(refused).startswith("Pictures of other members are not edited here")
        await at.settled()


@pytest.mark.long
async def test_the_servers_settings_for_a_command_hold_for_its_buttons(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        everybody = at.server.roles[0]
        at.discord.set_command_permissions(at.server, "imagine", {everybody: False})
        refused = await press(at, result, "Again", by=at.ben)
        assert text_of(refused).startswith("You may not use /imagine in this channel.")
        opened = await press(at, result, "Edit", by=at.ben)  # a setting of another command
        assert opened.modal is not None


@pytest.mark.long
async def test_a_bot_that_may_not_post_any_more_answers_in_the_reply(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
        at.discord.set_bot_permissions(at.channel, VIEW_CHANNEL)
        pressed = await press(at, result, "Again")
        _, again = sorted(await at.settled(2), key=lambda job: job.created_at)

    assert pressed.message is not None
    assert again.result_message_id == pressed.message.id
    assert pressed.message.pictures()


@pytest.mark.long
async def test_a_job_that_is_unknown_is_refused(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        await at.settled()
    for file in at.folder.glob("easel.db*"):
        file.unlink()
    async with at.easel():
        for label in ("Again", "Remix", "Edit"):
            refused = await press(at, result, label)
            assert text_of(refused).startswith("This result is private, was deleted, or is unknown")


@pytest.mark.long
@pytest.mark.parametrize("spelling", Spelling)
async def test_a_choice_is_understood_in_any_spelling(at: Stage, spelling: Spelling) -> None:
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        result = await at.result("a fox")
        opened = await press(at, result, "Remix")
        at.discord.spelling = spelling
        values = {"prompt": "a hare", "shape": ["aspect_ratio=1:1"], "switches": ["new_seed"]}
        await submit(at, opened, values)
        await at.result("a hare")

    assert at.created()[1]["aspect_ratio"] == "1:1"
    assert at.created()[1]["enable_prompt_expansion"] is False


@pytest.mark.long
async def test_an_edit_by_the_menu_at_skills_gets_a_copy_of_the_stored_picture(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", model="skills")
        result = await at.result("a fox")
        await at.settled()
        opened = await at.discord.menu(at.ben, at.channel, "Edit image", result)
        await opened.answered()
        await submit(at, opened, {"prompt": "add a hat"}, by=at.ben)
        await at.result("add a hat")

    second = [*at.skills.generations.values()][1]
    urls = second.body["image_urls"]
    assert isinstance(urls, list)
    assert "-input-1.png" in str(urls[0])  # the form of a menu brings no message with addresses


@pytest.mark.long
async def test_settings_that_discord_does_not_tell_in_time_refuse_the_press(at: Stage) -> None:
    at.discord.faults.add("GET", r"/api/v10/applications/.*/permissions", HoldBefore(), times=None)
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        refused = await press(at, result, "Again", by=at.ben)
        assert "Try again in a minute" in text_of(refused)
        at.discord.faults.clear()

    assert not await at.jobs(at.ben)
