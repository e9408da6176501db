"""Pages of /history, /show and the recipe menu, by a client without a gateway."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.errors import NotNow
from bot.sandbox.discord import Interaction, Message, Upload, User
from bot.sandbox.http.faults import Answer, HoldLost
from bot.store.database import Database
from bot.studio.history import PageInPreparation
from bot.studio.recipes import NoRecipe
from bot.studio.results import PromptRemoved, ResultUnavailable
from cogs import history
from cogs._access import OPEN_COMMANDS, is_served
from cogs.history import HistoryCommands
from cogs.recipe import RecipeMenu
from cogs.ui.wording import Lists
from tests.support.files import picture
from tests.support.pseudonyms import KEY
from tests.support.serving import Serving, private_reply, serving, told

ORIGINAL = r"/api/v10/webhooks/.*/messages/@original"
INVALID = Answer(400, {"code": 50035, "message": "Invalid Form Body"})
LOST = "This page cannot be turned any more."


async def page(by: Serving, **options: object) -> Interaction:
    made, cog = by.interaction(), HistoryCommands(by.studio)
    command: Any = cog.history
    await command.callback(cog, by.received(made), **options)
    return made


def turns(message: Message) -> list[str]:
    return [
        each["custom_id"]
        for each in message.buttons()
        if ":page:" in each["custom_id"] and not each["disabled"]
    ]


async def test_a_page_without_pictures_is_a_first_reply(by: Serving) -> None:
    made = await page(by)
    assert made.response is not None
    assert made.response["type"] == 4
    assert Lists.NO_HISTORY in private_reply(made).text()

    await by.result()
    made = await page(by)
    assert made.response is not None
    assert made.response["type"] == 5
    (file,) = private_reply(made).files
    assert file.filename.startswith("easel-")
    assert "-small-1." in file.filename


async def test_a_page_is_turned_in_its_own_message(by: Serving) -> None:
    for number in range(6):
        await by.result(words={"prompt": f"fox number {number}"})
    made = await page(by)
    first = private_reply(made)
    (older,) = turns(first)
    assert "fox number 5" in first.text()
    assert "fox number 0" not in first.text()
    turned = await by.press(first, older)
    assert turned.message is first
    assert "fox number 0" in first.text()
    (newer,) = turns(first)
    assert ":newer:" in newer
    await by.press(first, newer)
    assert "fox number 5" in first.text()


async def test_the_filters_of_a_page_go_on_when_it_is_turned(by: Serving) -> None:
    for number in range(6):
        await by.result(words={"prompt": f"fox {number}"})
        await by.result(words={"prompt": f"hen {number}"})
    first = private_reply(await page(by, text="fox"))
    (older,) = turns(first)
    await by.press(first, older)

    assert "fox 0" in first.text()
    assert "hen" not in first.text()


async def test_a_page_in_a_message_of_others_or_of_no_day_is_forged(by: Serving) -> None:
    for _ in range(6):
        await by.result()
    first = private_reply(await page(by))
    (older,) = turns(first)
    public = await by.post("a page")
    assert LOST in told(await by.press(public, older))
    head, at, _, until, rest = older.rsplit(":", 4)
    forged = ":".join((head, at, "0", until, rest))  # there is no day 0
    assert LOST in told(await by.press(first, forged))
    assert "a page" in public.text()


async def test_a_page_whose_edit_is_refused_follows_as_a_message(by: Serving) -> None:
    await by.result()
    by.fake.faults.add("PATCH", ORIGINAL, INVALID)
    made = await page(by)
    sent = [each for each in (made.message, *made.followups) if each is not None and each.files]
    assert len(sent) == 1

    by.fake.faults.add("PATCH", ORIGINAL, Answer(403, {"code": 50013, "message": "no"}))
    with pytest.raises(discord.Forbidden):
        await page(by)


async def test_a_picture_that_cannot_be_reduced_is_left_out(
    by: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (history.THUMBNAIL_BYTES, history.THUMBNAIL_SECONDS) == (48 * 1024, 20.0)
    await by.result(words={"prompt": "a fox"})
    for path in by.services.pictures.disk.rglob("*.png"):
        path.unlink()
    await by.result(words={"prompt": "a hen"})
    message = private_reply(await page(by))
    assert len(message.files) == 1
    assert "a fox" in message.text()
    assert "a hen" in message.text()

    monkeypatch.setattr(history, "THUMBNAIL_SECONDS", 0.0)
    assert private_reply(await page(by)).files == []


async def test_one_page_of_a_member_is_prepared_at_once(by: Serving) -> None:
    await by.result()
    with by.studio.histories.preparing(by.ada.id), pytest.raises(PageInPreparation):
        await page(by)


async def show(
    by: Serving,
    job_id: str,
    who: User | None = None,
    **changes: Any,  # noqa: ANN401  # of Discord's data
) -> Interaction:
    made = by.interaction(by=who)
    cog = HistoryCommands(by.studio)
    command: Any = cog.show
    await command.callback(cog, by.received(made, **changes), job_id)
    return made


async def test_a_job_is_shown_with_its_pictures_to_who_asked(by: Serving) -> None:
    job, _ = await by.result(pictures=2)
    own = private_reply(await show(by, job.id))
    assert [each.filename for each in own.files] == [
        f"easel-{job.id}-1.png",
        f"easel-{job.id}-2.png",
    ]
    ben = by.fake.add_user("Ben")
    others = private_reply(await show(by, job.id, ben))
    assert f"<@{by.ada.id}>" in others.text()
    assert f"<@{by.ada.id}>" not in own.text()


async def test_a_job_that_may_not_be_seen_is_refused_before_a_deferral(by: Serving) -> None:
    job, _ = await by.result(private=True)
    sent = len(by.sent("POST"))
    with pytest.raises(ResultUnavailable):
        await show(by, job.id, by.fake.add_user("Ben"))

    assert len(by.sent("POST")) == sent


async def test_a_job_whose_pictures_cannot_be_shrunk_now_is_refused(by: Serving) -> None:
    job, _ = await by.result()
    by.services.decoder.stop()
    with pytest.raises(NotNow):
        await show(by, job.id, attachment_size_limit=1024)

    assert len(private_reply(await show(by, job.id)).files) == 1


async def test_an_upload_of_pictures_is_waited_for_a_minute(
    by: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert history.UPLOAD_SECONDS == 60
    monkeypatch.setattr(history, "UPLOAD_SECONDS", 0.1)
    job, _ = await by.result()
    held = by.fake.faults.add("POST", r"/api/v10/webhooks/.*", HoldLost())
    with pytest.raises(TimeoutError):
        await show(by, job.id)
    held.remove()


async def test_completions_are_the_members_own_jobs_and_days(by: Serving) -> None:
    job, _ = await by.result()
    await by.result(by=by.fake.add_user("Ben"))
    cog: Any = HistoryCommands(by.studio)
    asked = by.received(by.interaction())

    assert [each.value for each in await cog.complete_any(asked, "")] == [job.id]
    today = by.now().date()
    days = [each.value for each in await cog.complete_since(asked, "")]
    assert days == [each.value for each in await cog.complete_until(asked, "")]
    assert days[:2] == [f"{today}", f"{today - timedelta(days=1)}"]


async def recipe(by: Serving, message: discord.Message) -> Interaction:
    made = by.interaction()
    await RecipeMenu(by.studio, by.tree).recipe(by.received(made), message)
    return made


async def test_a_result_has_its_recipe_as_a_first_reply(by: Serving) -> None:
    job, message = await by.result()
    made = await recipe(by, by.heard(message))

    assert made.response is not None
    assert made.response["type"] == 4
    assert job.id in private_reply(made).text()


async def test_a_message_without_a_recipe_is_refused(by: Serving) -> None:
    said = await by.fake.say(by.ada, by.channel, "look")
    with pytest.raises(NoRecipe):
        await recipe(by, by.heard(said))
    other = await by.fake.say(by.ada, by.channel, "look", [Upload("a.png", picture())])
    with pytest.raises(NoRecipe):
        await recipe(by, by.heard(other))


async def test_a_removed_prompt_has_no_recipe(by: Serving) -> None:
    _, message = await by.result(words={"prompt": ""})
    with pytest.raises(PromptRemoved):
        await recipe(by, by.heard(message))


@pytest.mark.parametrize("name", [*sorted(OPEN_COMMANDS), "imagine"])
async def test_blocked_members_use_open_commands_alone(
    database: Database, tmp_path: Path, name: str
) -> None:
    async with serving(database, tmp_path) as before:
        ada = before.ada
    async with serving(database, tmp_path, blocked_users=frozenset({ada.id})) as by:
        by.ada = by.fake.world.users[ada.id] = ada
        made = by.interaction()
        interaction: Any = by.received(made)

        async def callback(_: discord.Interaction[Any]) -> None: ...

        parent, _, last = name.rpartition(" ")
        group = discord.app_commands.Group(name=parent, description="x") if parent else None
        command: Any = discord.app_commands.Command(
            name=last, description="x", callback=callback, parent=group
        )
        interaction._cs_command = command
        assert await is_served(interaction) is (name != "imagine")
        if name == "imagine":
            assert "blocked" in told(made)
        completing = by.interaction(4, options=[{"name": "model", "type": 3, "focused": True}])
        other: Any = by.received(completing)
        other._cs_command = command
        await is_served(other)
        assert (completing.choices == []) is (name == "imagine")


async def test_an_erasure_is_asked_for_begun_and_kept(by: Serving) -> None:
    by.services.database.use_pseudonyms(KEY)
    await by.result()
    message = await by.post("the question")
    await by.press(message, "easel:erase:keep")
    kept = message.text()
    await by.press(message, "easel:erase:results")
    assert message.text() != kept
    await by.press(message, "easel:erase:progress")
    assert message.buttons() != []
    begun = await by.studio.erasures.progress(by.ada.id)
    assert begun is not None
    assert begun.with_results

    ben = by.fake.add_user("Ben")
    await by.result(by=ben)
    await by.press(message, "easel:erase:data", by=ben)
    begun = await by.studio.erasures.progress(ben.id)
    assert begun is not None
    assert not begun.with_results
