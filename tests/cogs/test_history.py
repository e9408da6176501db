"""/history: pages with small pictures, filters, and buttons that work at any time."""

from collections.abc import Sequence
from datetime import date
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from PIL import Image
from sqlalchemy import insert, update

from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store.tables import favourites, jobs
from tests.support.easel import Stage, text_of

EDIT = r"/api/v10/webhooks/\d+/[^/]+/messages/@original"


def walk(component: object) -> Sequence[dict[str, Any]]:
    """Return a component with everything inside."""
    if isinstance(component, list):
        return [found for each in component for found in walk(each)]
    if not isinstance(component, dict):
        return []
    inner = [component[name] for name in ("components", "accessory") if name in component]
    return [component, *walk(inner)] if inner else [component]


def thumbnails(message: Message) -> list[dict[str, Any]]:
    return [each for each in walk(message.components) if each.get("type") == 11]


def prompts(message: Message) -> list[str]:
    """Return the numbers in the prompts of a page, in their order."""
    return [line.split()[2] for line in message.text().split("\n") if line.startswith("a fox ")]


def button(message: Message, label: str) -> str:
    (found,) = [str(each["custom_id"]) for each in message.buttons() if label in each["label"]]
    return found


async def drawn(at: Stage, count: int, **options: Any) -> None:  # noqa: ANN401
    """Let Ada have jobs with the prompts "a fox 1" and so on, in this order."""
    for number in range(1, count + 1):
        await at.imagine(f"a fox {number} of Ada", **options)
        await at.settled(number)
        at.clock.move(seconds=5)


async def turned(at: Stage, message: Message, label: str, text: str) -> Message:
    """Press a button, and wait for the page that has a text."""
    pressed = await at.discord.click(at.ada, message, button(message, label))
    await pressed.answered()
    return await at.discord.wait_for_message(lambda it: it is message and text in it.text())


async def test_pages_have_small_pictures_and_go_on_after_a_restart(at: Stage) -> None:
    async with at.easel():
        await drawn(at, 7)
        page = await at.history()
        assert page.ephemeral_to is at.ada
        first = prompts(page), thumbnails(page)
        address = first[1][0]["media"]["url"]
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            small = await response.read()
    async with at.easel():
        await turned(at, page, "Older", "a fox 2")
        second = prompts(page), thumbnails(page)
        await turned(at, page, "Newer", "a fox 7")
        third = prompts(page)

    assert first[0] == third == ["7", "6", "5", "4", "3"]
    assert second[0] == ["2", "1"]
    assert (len(first[1]), len(second[1])) == (5, 2)
    assert all("AI-generated" in each["description"] for each in first[1])
    assert len(small) <= 48 * 1024
    with Image.open(BytesIO(small)) as picture:
        assert picture.format in {"JPEG", "PNG", "WEBP"}


@pytest.mark.long
async def test_filters_are_kept_over_pages(at: Stage) -> None:
    """The text has 100 characters, all of which are escaped."""
    text = "50%_" + "*" * 96
    async with at.easel():
        for number in range(1, 8):
            await at.imagine(f"{text} {number}" if number != 4 else "another", model="oxen")
            await at.settled(number)
            at.clock.move(seconds=5)
        days: dict[str, Any] = {"since": "2020-01-01", "until": "8999-12-30"}
        page = await at.history(text=text.upper(), model="OXEN", **days)
        assert page.text().count("Done") == 5
        await turned(at, page, "Older", f"{'*'[:0]} 1")
        older = page.text()

    assert "another" not in older
    assert older.count("Done") == 1
    assert "model oxen" in older
    assert "since 2020-01-01" in older
    assert "until 8999-12-30" in older
    assert all(len(str(each["custom_id"])) <= 100 for each in page.buttons())


@pytest.mark.long
async def test_favourites_and_days_are_filters(at: Stage) -> None:
    async with at.easel() as app:
        await drawn(at, 2)
        newest, oldest = await at.jobs()
        async with app.services.database.transaction() as tx:
            row = {"user_id": at.ada.id, "job_id": oldest.id, "created_at": at.clock()}
            await tx.execute(insert(favourites), [row])
        liked = await at.history(favourites=True)
        today = f"{at.clock():%Y-%m-%d}"
        later = (await at.history(since=f"{today} (today)", until=today)).text()
        none = (await at.history(until="2020-1-31")).text()
        offered = await at.discord.complete(
            at.ada, at.channel, "history", {"since": "week"}, "since"
        )
        days = await at.discord.complete(at.ada, at.channel, "history", {"until": ""}, "until")

    assert prompts(liked) == ["1"]
    assert "★ favourite" in liked.text()
    assert newest.request.prompt in later.replace("\\", "")
    assert "No job of yours fits" in none
    assert [choice["name"].partition(" ")[2] for choice in offered] == ["(a week ago)"]
    ago = {date.fromisoformat(today) - date.fromisoformat(each["value"]): each for each in days}
    assert {age.days: each["name"].partition(" ")[2] for age, each in ago.items()} == {
        0: "(today)",
        1: "(yesterday)",
        7: "(a week ago)",
        30: "(30 days ago)",
        90: "(90 days ago)",
        365: "(a year ago)",
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"since": "yesterday"}, "“yesterday” is no date. Write the day like 2026-01-31."),
        ({"until": "2026-02-30"}, "“2026-02-30” is no date. Write the day like 2026-01-31."),
        ({"since": "9999-12-31"}, "“9999-12-31” is no date. Write the day like 2026-01-31."),
        ({"since": "٢٠٢٦-01-01"}, "“٢٠٢٦-01-01” is no date. Write the day like 2026-01-31."),
        (
            {"since": "2026-02-01", "until": "2026-01-31"},
            "The day in since is after the one in until. Exchange the two.",
        ),
        ({"model": "a b:c"}, "There is no model “a b\\:c”. Choose one of: oxen, skills."),
    ],
)
async def test_a_wrong_filter_is_refused(at: Stage, options: dict[str, Any], refusal: str) -> None:
    async with at.easel():
        told = text_of(await at.command("history", **options))

    assert told.replace("\\", "") == refusal.replace("\\", "")


@pytest.mark.long
async def test_an_empty_history_says_what_to_do(at: Stage) -> None:
    async with at.easel():
        empty = await at.history()
        filtered = await at.history(model="gone-model")

    assert "No job of yours has ended yet. Request a picture with /imagine." in empty.text()
    assert "No job of yours fits" in filtered.text()
    assert empty.buttons() == []


@pytest.mark.long
async def test_a_page_of_anothers_is_of_no_use(at: Stage) -> None:
    """Nobody sees the message of another; a forged press lists the own jobs at most."""
    async with at.easel():
        await drawn(at, 6)
        page = await at.history()
        page.ephemeral_to = at.ben
        pressed = await at.discord.click(at.ben, page, button(page, "Older"))
        await pressed.answered()
        await at.discord.wait_for_message(lambda it: it is page and "No job of yours" in it.text())

    assert "a fox" not in page.text()


@pytest.mark.long
async def test_a_button_outside_of_a_private_message_turns_nothing(at: Stage) -> None:
    async with at.easel():
        await drawn(at, 6)
        page = await at.history()
        result = await at.result("a fox 6")
        shown = result.text()
        again = next(each for each in result.buttons() if each["label"] == "Again")
        item = result.interactive(str(again["custom_id"]))
        assert item is not None
        item["custom_id"] = button(page, "Older")
        pressed = await at.discord.click(at.ada, result, button(page, "Older"))
        told = text_of(await pressed.answered())

    assert told == "This page cannot be turned any more. Use /history."
    assert result.text() == shown


FORGED = {
    "easel:page:older:0-:0:::": "cannot be turned",
    "easel:page:older:0-:1:00000::": "cannot be turned",
    "easel:page:older:fffffffffffffff-:::::": "no longer works",
    "easel:page:sideways:0-:::": "no longer works",
    "easel:page:older:0-':::": "no longer works",
    "easel:page:older:0-::::a b": "no longer works",
}


@pytest.mark.long
async def test_a_forged_button_is_refused(at: Stage) -> None:
    async with at.easel():
        await drawn(at, 6)
        page = await at.history()
        item = page.interactive(button(page, "Older"))
        assert item is not None
        for forged, refusal in FORGED.items():
            item["custom_id"] = forged
            pressed = await at.discord.click(at.ada, page, forged)
            assert refusal in text_of(await pressed.answered()), forged


@pytest.mark.long
async def test_a_second_press_waits_for_the_first(at: Stage) -> None:
    async with at.easel():
        await drawn(at, 6)
        page = await at.history()
        held = at.discord.faults.add("PATCH", EDIT, HoldBefore())
        first = await at.discord.click(at.ada, page, button(page, "Older"))
        await held.reached()
        second = await at.discord.click(at.ada, page, button(page, "Older"))
        refused = text_of(await second.answered())
        commanded = text_of(await at.command("history"))
        held.release()
        await first.answered()
        await at.discord.wait_for_message(lambda it: it is page and prompts(it) == ["1"])
        await turned(at, page, "Newer", "a fox 6")

    assert refused == commanded
    assert refused.startswith("Another page of your history is being prepared.")


@pytest.mark.long
async def test_a_page_whose_jobs_have_vanished_leads_back(at: Stage) -> None:
    at.audited = False
    async with at.easel() as app:
        await drawn(at, 6)
        page = await at.history()
        oldest = (await at.jobs())[-1]
        async with app.services.database.transaction() as tx:
            await tx.execute(update(jobs).where(jobs.c.id == oldest.id).values(user_id=1))
        await turned(at, page, "Older", "This page has no jobs any more.")
        assert [each["disabled"] for each in page.buttons()] == [False, True]
        await turned(at, page, "Newer", "a fox 6")

    assert prompts(page) == ["6", "5", "4", "3", "2"]


@pytest.mark.long
async def test_a_page_follows_in_another_message_if_discord_takes_no_new_pictures(
    at: Stage,
) -> None:
    refusal = {"code": 50035, "message": "Invalid Form Body"}
    async with at.easel():
        await drawn(at, 6)
        page = await at.history()
        at.discord.faults.add("PATCH", EDIT, Answer(400, refusal))
        pressed = await at.discord.click(at.ada, page, button(page, "Older"))
        await pressed.answered()
        follow_up = await at.discord.wait_for_message(
            lambda it: it is not page and it.ephemeral_to is at.ada and prompts(it) == ["1"]
        )

    assert len(thumbnails(follow_up)) == 1


@pytest.mark.long
async def test_jobs_without_stored_pictures_are_listed_as_text(at: Stage) -> None:
    async with at.easel(keep_days=1) as app:
        await drawn(at, 1)
        at.oxen.fail_next("no")
        await at.imagine("a fox 2 of Ada")
        await at.settled(2)
        at.clock.move(days=3)
        await app.services.retention.sweep()
        page = await at.history()
        (_, job) = await at.jobs()
        await at.discord.select(at.ada, page, "easel:history", [job.id])
        shown = await at.said("no longer stored")

    assert prompts(page) == ["2", "1"]
    assert thumbnails(page) == []
    assert "Failed" in page.text()
    assert "The pictures are no longer stored." in shown.text()


@pytest.mark.long
async def test_any_prompt_looks_right(at: Stage) -> None:
    prompts = ["x", "狐", "狐" * 1500, "**" * 750, "# a > b ||c|| `d` [e](https://f.example)"]
    async with at.easel():
        for number, prompt in enumerate(prompts, start=1):
            await at.imagine(prompt)
            await at.settled(number)
        page = await at.history()

    text = page.text()
    assert len(text) < 4000
    for mark in ("**" * 3, "](https://f", "||c", "`d`", "\n# a"):
        assert mark not in text.replace("\\*", "")
    assert len(thumbnails(page)) == 5
