"""Access by role: channels, roles, models, pictures at once, private results and edits."""

import asyncio

import pytest

from bot.jobs import Notify
from bot.sandbox.discord import ChannelKind, Interaction, Message, Upload
from bot.store import preferences
from tests.support.acting import menu, press, submit
from tests.support.easel import Stage, text_of
from tests.support.files import picture
from tests.support.replying import edited, note, result, say
from tests.support.rights import allow, choose

CAT = Upload("cat.png", picture())
NO_EDIT = "Your roles may not edit pictures in this server."
NO_PRIVATE = "Your roles may not make private pictures in this server. Set private to False"


def refused(asked: Interaction) -> str:
    """Return the text of a refusal; empty for a job, whose message has a button to stop it."""
    assert asked.message is not None
    return "" if asked.message.buttons() else text_of(asked)


async def notify(at: Stage, chosen: Notify) -> None:
    async with at.database() as database, database.transaction() as tx:
        await preferences.choose_notify(tx, at.ada.id, chosen, at.clock())


async def test_only_the_channels_of_the_server_and_their_threads_serve(at: Stage) -> None:
    bots = at.discord.add_channel(at.server, "bots")
    thread = at.discord.add_channel(at.server, "talk", kind=ChannelKind.PUBLIC_THREAD, parent=bots)
    other = at.discord.add_channel(
        at.server, "talk", kind=ChannelKind.PUBLIC_THREAD, parent=at.channel
    )
    await choose(at, channels={bots.id})
    async with at.easel():
        for where in (at.channel, other):
            text = refused(await at.command("imagine", where=where, prompt="a fox"))
            assert text.endswith(f"Go to one of these: <#{bots.id}>.")
        for where in (bots, thread):
            assert refused(await at.command("imagine", where=where, prompt="a fox")) == ""
        await choose(at, channels={other.id})
        assert refused(await at.command("imagine", where=other, prompt="a fox")) == ""


async def test_only_members_with_an_allowed_role_are_served(at: Stage) -> None:
    role = at.discord.add_role(at.server, "artist", at.ada)
    await choose(at, roles={role.id})
    async with at.easel():
        text = refused(await at.imagine("a fox", by=at.ben))
        assert f"one of these roles make pictures: <@&{role.id}>" in text
        assert refused(await at.imagine("a fox")) == ""
        at.discord.take_role(at.server, at.ada, role)
        assert "Ask a manager of this server" in refused(await at.imagine("a fox"))
        await choose(at, roles={at.server.id})  # @everyone
        assert refused(await at.imagine("a fox", by=at.ben)) == ""


async def test_models_and_pictures_at_once_are_those_of_the_best_role(at: Stage) -> None:
    artist = at.discord.add_role(at.server, "artist", at.ada)
    await allow(at, models={"skills"}, pictures=1)
    await allow(at, artist, models={"oxen"}, pictures=3)
    async with at.easel():
        text = refused(await at.imagine("a fox", by=at.ben, model="oxen"))
        assert text.endswith("may not use oxen in this server. Choose one of these: skills.")
        text = refused(await at.imagine("a fox", by=at.ben, model="skills", count=2))
        assert "limit of pictures at once is 1" in text
        assert refused(await at.imagine("a fox", model="oxen", count=3)) == ""
        assert "set count to 3 or less" in refused(
            await at.imagine("a fox", model="oxen", count=4)
        ).replace("Set", "set")
        assert "may not use skills" in refused(await at.imagine("a fox", model="skills"))


@pytest.mark.long
async def test_rights_of_a_member_come_before_those_of_the_roles(at: Stage) -> None:
    await allow(at, pictures=4, edit=True)
    await allow(at, at.ada, pictures=0)
    await allow(at, at.ben, edit=False)
    async with at.easel():
        text = refused(await at.imagine("a fox"))
        assert "Your roles may not make pictures" in text
        assert NO_EDIT in refused(await at.edit(CAT, by=at.ben))


async def drawn(at: Stage, **options: object) -> Message:
    """Return a public result of Ben's, who has every right."""
    await at.imagine("a fox", by=at.ben, **options)
    found = await at.result("a fox")
    async with asyncio.timeout(20):
        while not all(job.delivered_at for job in await at.jobs(at.ben)):
            await asyncio.sleep(0.02)
    return found


@pytest.mark.long
async def test_again_and_remix_have_the_rights_of_who_presses(at: Stage) -> None:
    artist = at.discord.add_role(at.server, "artist", at.ben)
    await allow(at, pictures=1, models={"skills"})
    await allow(at, artist, pictures=4, models={"oxen"})
    async with at.easel():
        shown = await drawn(at, model="oxen", count=2)
        assert "may not use oxen" in refused(await press(at, shown, "Again"))
        await allow(at, pictures=1)
        assert "limit of pictures at once is 1" in refused(await press(at, shown, "Again"))
        opened = await press(at, shown, "Remix")
        assert "limit of pictures at once is 1" in refused(
            await submit(at, opened, {"The picture to draw": "a hare"})
        )
        assert await at.jobs() == []
        await press(at, shown, "Again", by=at.ben)
        assert len(await at.jobs(at.ben)) == 2


@pytest.mark.long
async def test_every_way_of_editing_has_the_rights_of_who_edits(at: Stage) -> None:
    artist = at.discord.add_role(at.server, "artist", at.ben)
    await allow(at, edit=False)
    await allow(at, artist, edit=True)
    async with at.easel():
        shown = await drawn(at)
        assert NO_EDIT in refused(await at.edit(CAT))
        opened = await press(at, shown, "Edit")
        prompt = "The change to make"
        assert NO_EDIT in refused(await submit(at, opened, {prompt: "add snow"}))
        opened = await menu(at, "Edit image", shown)
        assert NO_EDIT in refused(await submit(at, opened, {prompt: "add snow"}))
        posted = await at.discord.say(at.ada, at.channel, "mine", [CAT])
        opened = await menu(at, "Edit image", posted)
        assert NO_EDIT in refused(await submit(at, opened, {prompt: "add snow"}))
        await say(at, shown, "add snow")
        said = await note(at, "This picture was not edited. See /help.")
        assert "roles" not in said.text()
        assert await at.jobs() == []
        await say(at, shown, "add snow", by=at.ben)
        await edited(at, "add snow", by=at.ben)


@pytest.mark.long
async def test_a_reply_in_a_thread_of_an_allowed_channel_edits(at: Stage) -> None:
    thread = at.discord.add_channel(
        at.server, "talk", kind=ChannelKind.PUBLIC_THREAD, parent=at.channel
    )
    await choose(at, channels={at.channel.id})
    async with at.easel():
        await at.command("imagine", where=thread, prompt="a fox")
        shown = await at.result("a fox")
        await at.settled()
        await say(at, shown, "add snow")
        job, _ = await edited(at, "add snow")

    assert job.route.channel_id == thread.id


@pytest.mark.long
async def test_a_reply_outside_of_the_allowed_channels_gets_a_neutral_note(at: Stage) -> None:
    async with at.easel():
        shown = await result(at)
        await choose(at, channels={1})
        await say(at, shown, "add snow")
        await note(at, "This picture was not edited. See /help.")
        assert len(await at.jobs()) == 1


@pytest.mark.long
async def test_a_form_that_was_opened_before_a_change_follows_the_change(at: Stage) -> None:
    async with at.easel():
        shown = await drawn(at)
        remix = await press(at, shown, "Remix")
        await allow(at, pictures=0)
        assert "may not make pictures" in refused(
            await submit(at, remix, {"The picture to draw": "a hare"})
        )
        edit = await press(at, shown, "Edit")
        await allow(at, edit=True)
        asked = await submit(at, edit, {"The change to make": "add snow"})
        assert refused(asked) == ""


@pytest.mark.long
async def test_a_private_result_needs_the_right(at: Stage) -> None:
    await allow(at, private=False)
    async with at.easel():
        assert NO_PRIVATE in refused(await at.imagine("a fox", private=True))
        assert NO_PRIVATE in refused(await at.edit(CAT, private=True))
        await at.imagine("a fox", private=False)
        await at.result("a fox")


@pytest.mark.long
async def test_the_choice_of_private_results_locks_nobody_out_and_publishes_nothing(
    at: Stage,
) -> None:
    await notify(at, Notify.PRIVATE)
    await allow(at, private=False)
    async with at.easel():
        text = refused(await at.imagine("a fox"))
        assert NO_PRIVATE in text  # a result is not made public against the member's choice
        assert "/my notify" in text
        await at.imagine("a fox", private=False)
        shown = await at.result("a fox")
        await at.settled()
        assert NO_PRIVATE in refused(await press(at, shown, "Again"))
        await at.command("my notify", how="silent")
        await at.imagine("a hare")
        await at.result("a hare")


@pytest.mark.long
async def test_again_of_a_private_result_needs_the_right_too(at: Stage) -> None:
    async with at.easel():
        asked = await at.imagine("a fox", private=True)
        await at.settled()
        assert asked.message is not None
        await allow(at, private=False)
        assert NO_PRIVATE in refused(await press(at, asked.message, "Again"))


@pytest.mark.long
async def test_rights_of_a_server_do_not_reach_direct_messages_or_other_servers(
    at: Stage,
) -> None:
    there = at.discord.add_channel(at.discord.add_guild("Other"), "art")
    await allow(at, pictures=0)
    async with at.easel():
        for where in (there, at.discord.dm_channel(at.ada)):
            assert refused(await at.command("imagine", where=where, prompt="a fox")) == ""
        assert "may not make pictures" in refused(await at.imagine("a fox"))


@pytest.mark.long
async def test_easel_chooses_a_model_that_the_roles_allow(at: Stage) -> None:
    await allow(at, models={"skills"})
    async with at.easel():
        assert refused(await at.imagine("a fox")) == ""
        text = refused(await at.imagine("a fox", model="oxen"))
        (job,) = await at.settled()

    assert job.request.model == "skills"
    assert text == "Your roles may not use oxen in this server. Choose one of these: skills."
