"""Changes of a result from its menu: hidden pictures, and forms with the prompt that was drawn."""

import discord
import pytest

from bot.jobs import Job
from bot.sandbox.discord import Message
from bot.sandbox.discord.permissions import MANAGE_MESSAGES
from bot.sandbox.http.faults import Answer
from bot.store import jobs
from cogs.ui.wording import More
from tests.support.menus import labels, spoilers
from tests.support.serving import Serving, told


async def drawn(by: Serving) -> tuple[Job, Message]:
    """Return a result whose message has a picture."""
    job, _ = await by.result()
    view = discord.ui.LayoutView()
    item = discord.MediaGalleryItem("attachment://fox.png", description="a fox")
    view.add_item(discord.ui.MediaGallery(item))
    channel = by.client.get_partial_messageable(by.channel.id)
    sent = await channel.send(view=view, file=discord.File(__file__, "fox.png"))
    async with by.services.database.transaction() as tx:
        await jobs.change(tx, job.id, result_message_id=sent.id)
    return await by.job(job.id), by.fake.world.messages[sent.id]


async def menu_of(by: Serving, job: Job, message: Message) -> Message:
    made = await by.press(message, f"easel:more:{job.id}")
    assert made.message is not None
    return made.message


async def test_pictures_are_hidden_and_shown_again_from_the_menu(by: Serving) -> None:
    job, message = await drawn(by)
    menu = await menu_of(by, job, message)
    await by.press(menu, f"easel:spoiler:{job.id}:on")
    assert spoilers(message) == [True]
    assert (await by.job(job.id)).spoiler
    assert More.NO_SPOILER in labels(menu)
    await by.press(menu, f"easel:spoiler:{job.id}:off")
    assert spoilers(message) == [False]
    assert not (await by.job(job.id)).spoiler
    assert More.SPOILER in labels(menu)


async def test_a_refused_change_is_not_stored(by: Serving) -> None:
    job, message = await drawn(by)
    menu = await menu_of(by, job, message)
    refused = Answer(403, {"code": 50013, "message": "no"})
    by.fake.faults.add("PATCH", r".*/channels/\d+/messages/\d+", refused)
    said = told(await by.press(menu, f"easel:spoiler:{job.id}:on"))

    assert "View Channels, Read Message History" in said
    assert not (await by.job(job.id)).spoiler
    assert More.SPOILER in labels(menu)


@pytest.mark.parametrize("verb", ["spoiler:{}:on", "delete:{}", "delete:{}:yes"])
async def test_only_the_requester_and_moderators_change_a_result(by: Serving, verb: str) -> None:
    job, message = await drawn(by)
    ben = by.fake.add_user("Ben")
    custom_id = "easel:" + verb.format(job.id)
    assert "Only the member who requested this picture" in told(
        await by.press(message, custom_id, by=ben)
    )
    assert spoilers(message) == [False]
    assert by.sent("DELETE") == by.sent("PATCH") == []
    by.fake.set_permissions(by.server, ben, MANAGE_MESSAGES)
    made = await by.press(message, custom_id, by=ben)
    assert "Only the member" not in told(made)


async def test_the_prompt_that_was_drawn_is_offered_without_another_expansion(
    by: Serving,
) -> None:
    job, message = await by.result(expanded_prompt="a red fox in deep snow")
    made = await by.press(message, f"easel:expanded:{job.id}")
    assert made.modal is not None
    text = str(made.modal)
    assert "a red fox in deep snow" in text
    assert made.modal["custom_id"] == f"easel:remix:{job.id}"

    plain, other = await by.result()
    said = told(await by.press(other, f"easel:expanded:{plain.id}"))
    assert "has not rewritten this prompt" in said


async def test_a_removed_prompt_is_not_repeated(by: Serving) -> None:
    job, message = await by.result(words={"prompt": ""}, expanded_prompt="a red fox")
    for verb in ("again", "remix", "recipe", "expanded"):
        made = await by.press(message, f"easel:{verb}:{job.id}")
        assert made.modal is None
        assert "no longer stored" in told(made), verb
    assert len(await by.recent()) == 1


async def test_a_lineage_has_a_button_back_to_the_parent(by: Serving) -> None:
    above, first = await by.result(words={"prompt": "an owl"})
    job, message = await by.result(source_job_id=above.id)
    menu = await menu_of(by, job, message)
    await by.press(menu, f"easel:lineage:{job.id}")
    assert More.PARENT in labels(menu)
    (back,) = [each["custom_id"] for each in menu.buttons() if each["label"] == More.PARENT]
    await by.press(menu, back)

    assert "an owl" in menu.text()
    assert first.text() == "a result"
