import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from discord import ui

from bot.catalog import Catalog
from bot.jobs import Job, JobStatus, Notify, Picture, PictureKind
from bot.providers.oxen.model import oxen_spec
from bot.sandbox.http.faults import Answer, Hold, HoldBefore
from bot.studio.history import Page, Place, Wanted
from bot.studio.menu import Lineage, Menu
from cogs.buttons import HANDLERS
from cogs.delivery.originals import Numbered
from cogs.delivery.uploads import Upload, Uploads
from cogs.ui import lists, more, panel, preferences, result, status
from cogs.ui.history import history_view
from cogs.ui.panel import PersistentItem
from cogs.ui.wording import Ended
from tests.support.easel import Stage, text_of
from tests.support.rows import NOW, one

PICTURE = Picture("a" * 64, PictureKind.PNG, 99_000_000, 9, 9)


async def cancel_button(at: Stage) -> str:
    message = await at.discord.wait_for_message(lambda message: bool(message.buttons()))
    return str(message.buttons()[0]["custom_id"])


async def test_a_running_job_is_stopped_at_oxen_and_costs_nothing(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        status = await at.said("Drawing")
        pressed = await at.discord.click(at.ada, status, await cancel_button(at))
        await pressed.answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert [each.status for each in at.oxen.generations.values()] == ["cancelled"]
    assert await at.balance() == 0
    assert asked.message is not None
    assert "Canceled" in asked.message.text()
    assert asked.message.buttons() == []


async def test_a_queued_job_is_canceled_at_once(at: Stage) -> None:
    at.oxen.faults.add("POST", "/api/ai/queue", Answer(429), times=None)
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        pressed = await at.discord.click(at.ada, asked.message, await cancel_button(at))
        await pressed.answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert "Canceled" in asked.message.text()
    assert await at.balance() == 0


async def test_a_button_whose_answer_is_slow_does_not_undo_what_is_shown(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        status = await at.said("Drawing")
        held = at.discord.faults.add("POST", r"/api/v10/interactions/.*/callback", HoldBefore())
        await at.discord.click(at.ada, status, await cancel_button(at))
        await held.reached()
        (job,) = await at.settled()
        held.release()
        await at.command("jobs")  # answered after it

    assert job.status is JobStatus.CANCELED
    assert asked.message is not None
    assert "Canceled" in asked.message.text()
    assert asked.message.buttons() == []


async def test_the_status_says_that_it_is_being_canceled(at: Stage) -> None:
    at.oxen.manual = True
    held = at.oxen.faults.add("DELETE", ".*", Hold())
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        async with asyncio.timeout(5):
            while "Canceling" not in status.text():
                await asyncio.sleep(0.02)
        assert status.buttons() == []
        held.release()
        await at.settled()

    assert "Canceled" in status.text()


async def test_a_cancel_after_the_last_edit_of_the_status_is_shown_by_the_press(at: Stage) -> None:
    """The token of the command is of no use any more; that of the press is."""
    at.oxen.manual = True
    held = at.oxen.faults.add("DELETE", ".*", Hold())
    async with at.easel(job_timeout=3600):
        asked = await at.imagine("a fox", private=True)
        status = asked.message
        assert status is not None
        await at.oxen.created()
        at.clock.move(minutes=14, seconds=5)
        await at.said("longer than this message can be edited")
        at.clock.move(minutes=2)
        await at.discord.click(at.ada, status, await cancel_button(at))
        await held.reached()
        async with asyncio.timeout(5):
            while "Canceling" not in status.text():
                await asyncio.sleep(0.02)
        held.release()


async def test_only_its_member_can_cancel_a_job(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        pressed = await at.discord.click(at.ben, status, await cancel_button(at))

        assert text_of(await pressed.answered()) == (
            "Only the member who requested this job, and the moderators of its channel, can cancel "
            "this job."
        )
        assert [each.status for each in at.oxen.generations.values()] == ["queued"]


async def test_a_job_that_has_ended_cannot_be_canceled(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        button = await cancel_button(at)
        rule = at.discord.faults.add("DELETE", r".*", Answer(500), times=None)
        await at.finish()
        await at.result("a fox")
        pressed = await at.discord.click(at.ada, status, button)

        assert "has already ended as succeeded" in text_of(await pressed.answered())
        rule.remove()


async def test_buttons_work_after_a_restart(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        button = await cancel_button(at)

    async with at.easel():
        pressed = await at.discord.click(at.ada, status, button)
        await pressed.answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED


def views(job: Job) -> Iterator[ui.LayoutView]:
    """Yield every view that the bot sends, of jobs in all states."""
    spec = oxen_spec(price=1)
    catalog = Catalog([spec])
    uploads = Uploads((Upload("a.png", Path(), 0),), shrunk=True, left_out=1, gone=1)
    for each in (replace(job, status=one_of) for one_of in JobStatus):
        yield status.status_view(each, spec, lacking=["Send Messages"], down=True)
        yield status.copies_view(each, spec, uploads)
        yield status.cancel_view(each)
        yield status.canceled_view(each)
        yield status.canceled_view(replace(each, canceled_by=2))
        yield status.undelivered_view(each)
        yield status.elsewhere_view(each, Ended.ELSEWHERE)
        yield result.result_view(each, spec, uploads, missing=1)
        yield result.failed_view(each, spec)
        yield result.job_view(each, spec, uploads, own=True)
        yield result.job_view(each, spec, uploads, own=False)
        for on in (True, False):
            shown = replace(each, spoiler=on, expanded_prompt="a red fox", result_message_id=1)
            menu = Menu(shown, favourite=on, may_change=True)
            yield more.menu_view(menu, spec, posted=True, thread=True)
            yield more.thread_view(each, 1, new=on)
        yield more.lineage_view(Lineage(each, (shown, None), (each,), cut=True))
        yield more.originals_view(each, uploads)
        yield more.left_out_view(each, [Numbered(1, PICTURE)], gone=1)
        yield more.delete_view(each)
        yield more.deleted_view(each)
        yield lists.jobs_view([each], catalog)
        yield from history_pages(each, catalog)
    yield lists.models_view(catalog)
    yield lists.help_view([("imagine", "Make a picture")], ["Edit image"])
    yield panel.notice("No.")
    yield preferences.notify_view(Notify.PING)


def history_pages(job: Job, catalog: Catalog) -> Iterator[ui.LayoutView]:
    """Yield pages with and without pictures, and the longest filters."""
    longest = Wanted("*" * 100, "m" * 32, favourites=True, since=NOW, until=NOW)
    place = Place(NOW, job.id)
    jobs = tuple(replace(job, id=f"{number}aaaaaaaaaaaaaaa") for number in range(2, 7))
    names = {each.id: f"easel-{each.id}-small-1.jpg" for each in jobs}
    for wanted in (Wanted(), longest):
        yield history_view(Page((), {}, frozenset(), None, None), wanted, catalog, {})
        page = Page(jobs, {}, frozenset({jobs[0].id}), place, place)
        yield history_view(page, wanted, catalog, names)
        yield history_view(page, wanted, catalog, {})


async def test_every_item_of_every_view_is_persistent_and_has_a_handler(at: Stage) -> None:
    """An ordinary button in a view would make discord.py forget all items of the class."""
    async with at.database() as database:
        job = await one(database)
    handled = set()
    for view in views(job):
        assert view.timeout is None
        for item in view.walk_children():
            if isinstance(item, ui.Button | ui.Select):
                pytest.fail(f"an ordinary item: {item!r}")
            if isinstance(item, PersistentItem):
                handled |= {template for template in HANDLERS if template.fullmatch(item.custom_id)}

    assert handled == set(HANDLERS)


def test_the_views_that_are_checked_are_all() -> None:
    """A view is a function of cogs/ui that returns one."""
    made = {
        name
        for module in (lists, more, panel, preferences, result, status)
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
        and getattr(value, "__annotations__", {}).get("return") is ui.LayoutView
        and not name.startswith("_")
    }
    called = {name for name in made if name in views.__code__.co_names}

    assert made - called == {"usage_view"}  # has no items
