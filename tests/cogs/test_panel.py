"""The building blocks of views."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.jobs import Job
from cogs.ui.panel import (
    PersistentItem,
    ago,
    button,
    gallery,
    hide_prompt,
    notice,
    panel,
    prompt_of,
    quoted,
    small,
)
from tests.support.rows import NOW
from tests.support.views import JOB, SECONDS, components_of, is_amber, text_of, with_prompt

BY_OPERATOR = "Prompt removed: the operator of this bot stores prompts for a limited time"


async def test_a_view_ends_at_once_so_that_nothing_of_it_is_stored() -> None:
    view = panel("Hello.")

    assert view.is_finished()
    assert view.timeout is None
    assert components_of(view)[0]["accent_color"] == 0x5B6EE1


async def test_an_item_that_discord_py_finds_again_does_nothing_itself() -> None:
    pressed: Any = None
    match = re.fullmatch("easel:.*", "easel:again:x")
    assert match is not None
    made = button("Again", "again:x")

    found = await PersistentItem.from_custom_id(pressed, made, match)
    await found.callback(pressed)
    assert found.item is made
    assert found.custom_id == "easel:again:x"


def test_a_refusal_has_another_colour() -> None:
    view = notice("No.")

    assert text_of(view) == "No."
    assert is_amber(view)
    assert components_of(view)[0]["accent_color"] == 0xE0A83C


def test_a_gallery_has_an_item_for_each_file_and_is_left_out_without_any() -> None:
    (made,) = gallery("x" * 1025, ["a.png", "b.png"])

    assert [each.media.url for each in made.items] == ["attachment://a.png", "attachment://b.png"]
    assert {each.description for each in made.items} == {"x" * 1023 + "…"}
    assert not any(each.spoiler for each in made.items)
    (whole,) = gallery("x" * 1024, ["a.png"], spoiler=True)
    assert whole.items[0].description == "x" * 1024
    assert whole.items[0].spoiler
    assert gallery("x", []) == []


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (JOB, "a fox"),
        (with_prompt(JOB, ""), BY_OPERATOR),
        (replace(with_prompt(JOB, ""), user_id=-5), "Prompt deleted by the member"),
        (replace(JOB, user_id=-5), "a fox"),
    ],
)
def test_a_removed_prompt_says_who_has_removed_it(job: Job, text: str) -> None:
    assert prompt_of(job) == text


def test_a_quotation_is_one_line_of_a_limited_length() -> None:
    assert quoted(with_prompt(JOB, "a\n*fox*")) == r"> a \*fox\*"
    assert quoted(with_prompt(JOB, "x" * 350)) == f"> {'x' * 350}"
    assert quoted(with_prompt(JOB, "x" * 351)) == f"> {'x' * 349}…"
    assert quoted(with_prompt(JOB, "x" * 351), 351) == f"> {'x' * 351}"
    assert quoted(with_prompt(JOB, "")) == f"-# {BY_OPERATOR}"


def test_a_hidden_prompt_is_replaced_and_nothing_else() -> None:
    hidden = hide_prompt(JOB, "hidden")

    assert hidden == with_prompt(JOB, "hidden")
    assert JOB.request.prompt == "a fox"


def test_small_print_is_one_line_and_a_time_has_whole_seconds() -> None:
    assert small("a", "b") == "-# a · b"
    assert ago(NOW + timedelta(seconds=1.9)) == f"<t:{SECONDS + 1}:R>"
