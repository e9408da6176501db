"""A page of `/history`, as a member reads it, and what its buttons stand for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from discord import ui

from bot.catalog import Catalog
from bot.jobs import Job
from bot.providers.oxen.model import oxen_spec
from bot.studio.history import FIRST, LAST, Page, Place, Wanted
from cogs.ui.history import PAGE, TEXT_ID, history_view, page_id, wanted_of
from tests.support.rows import NOW
from tests.support.views import (
    DONE,
    DONE_AT,
    ID,
    JOB,
    SECONDS,
    Button,
    components_of,
    rows_of,
    selects_of,
    texts_of,
    with_options,
    with_prompt,
)

CATALOG = Catalog([oxen_spec(price=7500)])
TITLE = "Qwen Image 2 Pro at Oxen.ai"
SHOW = "[show](https://discord.com/channels/10/20/50)"
DAY = datetime(2026, 1, 31, tzinfo=UTC)


def page(*jobs: Job, newer: Place | None = None, older: Place | None = None) -> Page:
    return Page(jobs, {}, frozenset(), newer, older)


def shown(of: Page, wanted: Wanted | None = None) -> list[str]:
    return texts_of(history_view(of, wanted or Wanted(), CATALOG, {}))


@pytest.mark.parametrize(
    ("job", "facts"),
    [
        (DONE, f"{TITLE} · 7.5 credits · {SHOW}"),
        (with_options(DONE, count=2), f"{TITLE} · 2 pictures · 7.5 credits · {SHOW}"),
        (with_options(DONE, count=1), f"{TITLE} · 7.5 credits · {SHOW}"),
        (replace(DONE, cost=None), f"{TITLE} · {SHOW}"),
        (replace(DONE, cost=0, result_message_id=None), f"{TITLE} · 0 credits"),
        (replace(DONE, estimated=True), f"{TITLE} · about 7.5 credits · {SHOW}"),
    ],
)
def test_a_job_has_its_facts(job: Job, facts: str) -> None:
    assert shown(page(job)) == [
        "### Your history",
        f"**Done** <t:{DONE_AT}:R>\na fox\n-# {facts}",
    ]


def test_a_favourite_is_marked_before_its_link() -> None:
    other = replace(DONE, id="b" * 16)
    marked = replace(page(DONE, other), favourites=frozenset({ID}))
    _, first, second = texts_of(history_view(marked, Wanted(), CATALOG, {}))

    assert first.endswith(f" · 7.5 credits · ★ favourite · {SHOW}")
    assert second.endswith(f" · 7.5 credits · {SHOW}")


def test_a_prompt_in_the_list_has_240_characters() -> None:
    assert shown(page(with_prompt(DONE, "x" * 240)))[1].split("\n")[1] == "x" * 240
    assert shown(page(with_prompt(DONE, "x" * 241)))[1].split("\n")[1] == "x" * 239 + "…"
    assert shown(page(JOB))[1].startswith(f"**Queued** <t:{SECONDS}:R>\n")


def test_a_picture_stands_beside_its_job() -> None:
    other = replace(with_prompt(DONE, "x" * 1100), id="b" * 16, spoiler=True)
    names = {ID: "a.jpg", other.id: "b.jpg"}
    view = history_view(page(DONE, other, replace(DONE, id="c" * 16)), Wanted(), CATALOG, names)

    sections = [each for each in view.walk_children() if isinstance(each, ui.Section)]
    found = [cast(ui.Thumbnail[Any], each.accessory) for each in sections]
    assert [(each.media.url, each.spoiler) for each in found] == [
        ("attachment://a.jpg", False),
        ("attachment://b.jpg", True),
    ]
    assert found[0].description == "AI-generated: a fox"
    assert (len(found[1].description or ""), (found[1].description or "")[-1]) == (1024, "…")
    assert len(texts_of(view)) == 4


def test_the_jobs_of_a_page_are_offered_in_a_select() -> None:
    view = history_view(page(DONE, replace(DONE, id="b" * 16)), Wanted(), CATALOG, {})

    select = selects_of(view)["easel:history"]
    assert select["placeholder"] == "Show the pictures of a job"
    assert [(each["label"], each["value"]) for each in select["options"]] == [
        ("Done: a fox", ID),
        ("Done: a fox", "b" * 16),
    ]
    assert selects_of(history_view(page(), Wanted(), CATALOG, {})) == {}


@pytest.mark.parametrize(
    ("wanted", "facts"),
    [
        (Wanted(model="oxen"), "model oxen"),
        (Wanted(favourites=True), "favourites"),
        (Wanted(since=DAY), "since 2026-01-31"),
        (Wanted(until=DAY), "until 2026-01-30"),
        (
            Wanted("", "a.b", favourites=True, since=DAY, until=DAY),
            r"model a\.b · favourites · since 2026-01-31 · until 2026-01-30",
        ),
    ],
)
def test_a_page_names_its_filters(wanted: Wanted, facts: str) -> None:
    assert shown(page(DONE), wanted)[:2] == ["### Your history", f"-# {facts}"]


def test_the_filter_by_text_is_a_quotation() -> None:
    assert shown(page(DONE), Wanted("a *fox*", "oxen"))[1:3] == [r"> a \*fox\*", "-# model oxen"]


def test_an_empty_page_says_why() -> None:
    place = Place(NOW, ID)
    nothing = "No job of yours fits. Leave out a filter of /history, or choose another one."

    assert shown(page())[1:] == ["No job of yours has ended yet. Request a picture with /imagine."]
    assert shown(page(), Wanted(favourites=True))[2:] == [nothing]
    for neighbours in (page(newer=place), page(older=place)):
        assert shown(neighbours)[1:] == ["This page has no jobs any more. Turn to another page."]


def test_buttons_lead_to_the_pages_beside_this_one() -> None:
    newer, older = Place(FIRST + timedelta(microseconds=31), ID), Place(FIRST, "b" * 16)

    def buttons(of: Page) -> Sequence[Sequence[Button]]:
        return rows_of(history_view(of, Wanted(), CATALOG, {}))

    assert buttons(page(DONE)) == []
    to_newer = Button("◀ Newer", f"easel:page:newer:1f-{ID}::::")
    to_older = Button("Older ▶", f"easel:page:older:0-{'b' * 16}::::")
    assert buttons(page(DONE, newer=newer, older=older)) == [[to_newer, to_older]]
    assert buttons(page(DONE, newer=newer)) == [
        [to_newer, to_older._replace(custom_id="easel:page:older:0-::::", disabled=True)]
    ]
    assert buttons(page(DONE, older=older)) == [
        [to_newer._replace(custom_id="easel:page:newer:0-::::", disabled=True), to_older]
    ]


def pressed(custom_id: str, *components: object) -> tuple[Wanted, Place]:
    match = PAGE.fullmatch(custom_id)
    assert match is not None
    message = cast(discord.Message, SimpleNamespace(components=[*components]))
    return wanted_of(match, message)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(model="a.b-c_d", favourites=True, since=DAY, until=DAY + timedelta(days=1)),
        Wanted(since=FIRST + timedelta(days=1), until=LAST - timedelta(days=1)),
    ],
)
def test_a_button_holds_all_filters_but_the_text(wanted: Wanted) -> None:
    place = Place(NOW + timedelta(microseconds=1), ID)
    for way in ("newer", "older"):
        custom_id = page_id(way, place, wanted)
        assert pressed(custom_id) == (wanted, place)
        assert len(custom_id) <= 100


def received(component: dict[str, Any]) -> object:
    """Return a component as discord.py reads it from a message."""
    return discord.components._component_factory(cast(Any, component))


@pytest.mark.parametrize(
    "text", ["a fox", "*a* > b\\", "> a", r"a\b", "x" * 100, "*" * 100, "\\" * 100]
)
def test_the_message_holds_the_filter_by_text(text: str) -> None:
    view = history_view(page(DONE), Wanted(text), CATALOG, {})
    components = map(received, components_of(view))

    custom_id = page_id("newer", Place(NOW, ID), Wanted(text))
    assert pressed(custom_id, *components)[0] == Wanted(text)
    other = received({"type": 10, "content": "x", "id": TEXT_ID + 1})
    assert pressed(custom_id, other)[0] == Wanted()
    assert pressed(custom_id)[0] == Wanted()


@pytest.mark.parametrize("day", ["0", "ffffff"])
def test_a_forged_day_is_refused(day: str) -> None:
    for days in (f"{day}:", f":{day}"):
        with pytest.raises(ValueError, match=r"ordinal|out of range"):
            pressed(f"easel:page:newer:0-:{days}::")
