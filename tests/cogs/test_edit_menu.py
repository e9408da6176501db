"""The message menu "Edit image" and the forms Remix and Edit, by a client without a gateway."""

from pathlib import Path
from typing import Any

import discord
import pytest

from bot.catalog import Choice
from bot.errors import UserError
from bot.jobs import Job
from bot.quotas import OthersPicture
from bot.sandbox.discord import Interaction, Message, Upload, User
from bot.sandbox.http.faults import Answer
from bot.store.database import Database
from cogs.edit import Edit, NoPicture
from tests.support.files import picture
from tests.support.ground import EPHEMERAL
from tests.support.serving import Serving, serving, told

CALLBACK = r"/api/v10/interactions/.*/callback"
DATA = picture()
SNAPSHOT = {
    "type": 0,
    "content": "",
    "embeds": [],
    "attachments": [],
    "components": [],
    "timestamp": "2026-11-21T12:00:00+00:00",
    "edited_timestamp": None,
    "flags": 0,
    "mentions": [],
    "mention_roles": [],
}


async def say(
    by: Serving,
    *names: str,
    who: User | None = None,
    **changes: Any,  # noqa: ANN401
) -> discord.Message:
    """Return a message with pictures of these names, by default with one; Ada's by default."""
    files = [Upload(name, DATA) for name in names or ("cat.png",)]
    return by.heard(await by.fake.say(who or by.ada, by.channel, "look", files), **changes)


def with_picture(by: Serving, message: Message) -> discord.Message:
    file = {"id": "5", "filename": "a.png", "size": 5, "url": "https://x/a.png", "proxy_url": ""}
    return by.heard(message, attachments=[file])


async def open_menu(by: Serving, heard: discord.Message) -> Interaction:
    """Use the menu on a message; a refusal is raised."""
    made = by.interaction()
    cog = Edit(by.studio, by.tree)
    await cog.edit_message(by.received(made), heard)
    return made


def custom_id(opened: Interaction) -> str:
    assert opened.modal is not None
    return str(opened.modal["custom_id"])


async def test_the_pictures_of_an_own_message_are_chosen_by_number(by: Serving) -> None:
    opened = await open_menu(by, await say(by, "cat.png", "dog.png"))
    await by.submit(custom_id(opened), prompt="add snow", pictures=["1"])
    (job,) = await by.recent()

    assert [(each.name, each.author_id) for each in job.inputs] == [("dog.png", None)]
    assert (job.request.prompt, job.route.private) == ("add snow", False)


@pytest.mark.parametrize("chosen", [[], ["7"], ["x"]])
async def test_without_a_choice_the_first_picture_is_meant(by: Serving, chosen: list[str]) -> None:
    opened = await open_menu(by, await say(by, "cat.png", "dog.png"))
    await by.submit(custom_id(opened), prompt="add snow", pictures=chosen)
    (job,) = await by.recent()

    assert [each.name for each in job.inputs] == ["cat.png"]


async def test_a_form_is_submitted_once_and_again_after_a_refusal(by: Serving) -> None:
    opened = await open_menu(by, await say(by))
    refused = await by.submit(custom_id(opened), prompt="")
    assert "prompt" in told(refused).casefold()
    await by.submit(custom_id(opened), prompt="add snow")
    again = await by.submit(custom_id(opened), prompt="add snow")

    assert "This form is closed" in told(again)
    assert len(await by.recent()) == 1


async def test_a_message_without_a_picture_is_refused(by: Serving) -> None:
    with pytest.raises(NoPicture):
        await open_menu(by, by.heard(await by.fake.say(by.ada, by.channel, "look")))


async def test_pictures_of_others_need_the_operators_leave(
    database: Database, tmp_path: Path
) -> None:
    async with serving(database, tmp_path) as by:
        ben = by.fake.add_user("Ben")
        with pytest.raises(OthersPicture):
            await open_menu(by, await say(by, who=ben))
            forwarded = await say(by, message_snapshots=[{"message": SNAPSHOT}])
        forwarded = await say(by, message_snapshots=[{"message": SNAPSHOT}])
        with pytest.raises(OthersPicture):  # nobody knows whose picture that is
            await open_menu(by, forwarded)
    async with serving(database, tmp_path, edit_others=True) as by:
        ben = by.fake.add_user("Ben")
        opened = await open_menu(by, await say(by, who=ben))
        await by.submit(custom_id(opened), prompt="add snow")
        (job,) = await by.recent()
        assert [each.author_id for each in job.inputs] == [ben.id]


async def test_the_picture_of_another_bot_is_of_no_member(
    database: Database, tmp_path: Path
) -> None:
    async with serving(database, tmp_path, edit_others=True) as by:
        other = by.fake.add_user("Other", bot=True)
        opened = await open_menu(by, await say(by, who=other))
        await by.submit(custom_id(opened), prompt="add snow")
        (job,) = await by.recent()
        assert [each.author_id for each in job.inputs] == [None]


async def test_a_private_message_of_the_bot_is_the_members_own(by: Serving) -> None:
    bot = by.fake.bot_user
    with pytest.raises(OthersPicture):
        await open_menu(by, await say(by, who=bot))
    opened = await open_menu(by, await say(by, who=bot, flags=EPHEMERAL))
    await by.submit(custom_id(opened), prompt="add snow")
    (job,) = await by.recent()
    assert job.route.private

    ben = by.fake.add_user("Ben")
    with pytest.raises(OthersPicture):
        await open_menu(by, await say(by, who=ben, flags=EPHEMERAL))


async def test_the_form_of_a_result_edits_the_chosen_picture(by: Serving) -> None:
    job, message = await by.result(pictures=2)
    opened = await by.press(message, f"easel:edit:{job.id}")
    assert custom_id(opened) == f"easel:edit:{job.id}"
    await by.submit(custom_id(opened), message, prompt=" add snow ", picture=["2"])
    (made,) = [each for each in await by.recent() if each.id != job.id]

    assert (made.request.prompt, made.source_job_id) == ("add snow", job.id)
    assert "-2." in made.inputs[0].name
    await by.submit(custom_id(opened), message, prompt="add rain", picture=[])
    first = [each for each in await by.recent() if each.request.prompt == "add rain"]
    assert "-1." in first[0].inputs[0].name


async def test_a_value_that_the_form_does_not_offer_is_refused(by: Serving) -> None:
    job, message = await by.result()
    for name, fields in (
        ("edit", {"picture": ["2"]}),
        ("remix", {"count": ["99"]}),
        ("remix", {"shape": ["none such"]}),
    ):
        made = await by.submit(f"easel:{name}:{job.id}", message, prompt="add snow", **fields)
        assert told(made).startswith("The form has no choice "), fields
    assert len(await by.recent()) == 1


async def remixed(by: Serving, message: Message, job: Job, **fields: object) -> Job:
    before = {each.id for each in await by.recent()}
    await by.submit(f"easel:remix:{job.id}", message, **{"prompt": "a hen", **fields})
    (made,) = [each for each in await by.recent() if each.id not in before]
    return made


async def test_a_remix_changes_what_its_form_says(by: Serving) -> None:
    spec = by.studio.catalog.get("oxen")
    ratios = spec.options["aspect_ratio"]
    assert isinstance(ratios, Choice)
    job, message = await by.result(words={"seed": 7, "aspect_ratio": "16:9"})

    kept = await remixed(by, message, job)
    assert kept.request.prompt == "a hen"
    assert kept.request.options["seed"] == 7
    assert "aspect_ratio" not in kept.request.options  # the form had the default shape
    fresh = await remixed(by, message, job, switches=["new_seed"], count=["2"])
    assert "seed" not in fresh.request.options
    assert fresh.request.count == 2
    shaped = await remixed(by, message, job, shape=["aspect_ratio=1:1"])
    assert shaped.request.options["aspect_ratio"] == "1:1"
    again = await remixed(by, message, shaped, shape=["default"])
    assert "aspect_ratio" not in again.request.options


async def test_a_remix_expands_the_prompt_if_its_form_says_so(by: Serving) -> None:
    spec = by.studio.catalog.get("oxen")
    if "expand_prompt" not in spec.options:
        pytest.skip("the model has no such option")
    job, message = await by.result()
    on = await remixed(by, message, job, switches=["expand"])
    off = await remixed(by, message, job, switches=["new_seed"])

    values = [each.request.options.get("expand_prompt") for each in (on, off)]
    assert len({str(each) for each in values}) == 2


async def test_a_field_for_unwanted_things_counts_only_if_the_form_has_it(by: Serving) -> None:
    spec = by.studio.catalog.get("oxen")
    if "negative_prompt" not in spec.options:
        pytest.skip("the model has no such option")
    job, message = await by.result(words={"negative_prompt": "rain"})
    kept = await remixed(by, message, job)
    emptied = await remixed(by, message, job, negative="")

    assert kept.request.options.get("negative_prompt") == "rain"
    assert "negative_prompt" not in emptied.request.options


async def test_the_menu_on_a_result_opens_its_own_form(by: Serving) -> None:
    job, message = await by.result()
    opened = await open_menu(by, with_picture(by, message))
    assert custom_id(opened) == f"easel:edit:{job.id}"

    hidden, private = await by.result(private=True, by=by.fake.add_user("Ben"))
    private.ephemeral_to, private.flags = None, private.flags & ~EPHEMERAL
    with pytest.raises(UserError, match="private"):
        await open_menu(by, with_picture(by, private))
    assert hidden.route.private


async def test_a_form_that_surely_did_not_open_is_an_error(by: Serving) -> None:
    by.fake.faults.add("POST", CALLBACK, Answer(403, {"code": 50013, "message": "no"}))
    with pytest.raises(discord.Forbidden):
        await open_menu(by, await say(by))
