"""The menu behind the button *More* and its pages, as a member reads them."""

from dataclasses import replace

import discord
import pytest

from bot.jobs import Job, Picture, PictureKind
from bot.providers.oxen.model import oxen_spec
from bot.studio.menu import Lineage, Menu
from cogs.delivery.originals import Numbered
from cogs.ui.more import (
    back_row,
    delete_view,
    deleted_view,
    left_out_view,
    lineage_view,
    menu_view,
    originals_view,
    thread_name,
    thread_view,
)
from cogs.ui.panel import panel
from tests.support.rows import NOW
from tests.support.views import (
    DONE,
    ID,
    SECONDS,
    Button,
    media_of,
    rows_of,
    texts_of,
    uploads,
    with_prompt,
)

SPEC = oxen_spec(price=7500)
DANGER = discord.ButtonStyle.danger
BACK = Button("Menu", f"easel:menu:{ID}")
SMALL = f"-# job {ID}"
SHOW = "[show](https://discord.com/channels/10/20/50)"


def made(letter: str, **changes: object) -> Job:
    return replace(DONE, id=letter * 16, **changes)  # type: ignore[arg-type]


def labels(
    job: Job, *, may_change: bool = True, posted: bool = True, thread: bool = False
) -> list[str]:
    menu = Menu(job, favourite=False, may_change=may_change)
    view = menu_view(menu, SPEC, posted=posted, thread=thread)
    return [each.label for row in rows_of(view) for each in row]


def test_the_menu_has_its_job_and_buttons() -> None:
    menu = Menu(replace(DONE, expanded_prompt="a red fox"), favourite=False, may_change=True)
    view = menu_view(menu, SPEC, posted=True, thread=True)

    assert texts_of(view) == [
        "### More\n> a fox",
        f"-# Qwen Image 2 Pro at Oxen.ai · job {ID}",
    ]
    assert [each for row in rows_of(view) for each in row] == [
        Button("Recipe", f"easel:recipe:{ID}"),
        Button("Originals", f"easel:originals:{ID}"),
        Button("Lineage", f"easel:lineage:{ID}"),
        Button("Favourite", f"easel:favourite:{ID}:on"),
        Button("Spoiler", f"easel:spoiler:{ID}:on"),
        Button("Continue in a thread", f"easel:thread:{ID}"),
        Button("Remix expanded prompt", f"easel:expanded:{ID}"),
        Button("Delete", f"easel:delete:{ID}", DANGER),
    ]


def test_a_switch_that_is_on_switches_off() -> None:
    menu = Menu(replace(DONE, spoiler=True), favourite=True, may_change=True)
    buttons = [
        each for row in rows_of(menu_view(menu, SPEC, posted=True, thread=False)) for each in row
    ]

    assert buttons[3:] == [
        Button("Remove favourite", f"easel:favourite:{ID}:off"),
        Button("Remove spoiler", f"easel:spoiler:{ID}:off"),
        Button("Delete", f"easel:delete:{ID}", DANGER),
    ]


def test_a_deleted_result_says_so() -> None:
    hidden = replace(DONE, hidden_at=NOW)
    view = menu_view(
        Menu(hidden, favourite=False, may_change=True), SPEC, posted=True, thread=False
    )

    assert texts_of(view)[1] == (
        "This result was deleted. Only you still see the job, with `/show`."
    )
    assert labels(hidden) == ["Recipe", "Originals", "Lineage", "Favourite"]


@pytest.mark.parametrize(
    ("job", "may_change", "posted", "more"),
    [
        (DONE, True, True, ["Spoiler", "Delete"]),
        (DONE, False, True, []),
        (DONE, True, False, []),
        (replace(DONE, delivered_at=None), True, True, ["Spoiler", "Delete"]),
        (
            replace(DONE, delivered_at=None, result_message_id=None),
            True,
            True,
            ["Spoiler", "Delete"],
        ),
        (replace(DONE, result_message_id=None), True, True, ["Delete"]),
    ],
)
def test_only_what_can_be_changed_is_offered(
    job: Job, may_change: bool, posted: bool, more: list[str]
) -> None:
    shown = labels(job, may_change=may_change, posted=posted)

    assert shown == ["Recipe", "Originals", "Lineage", "Favourite", *more]


def test_a_row_is_as_wide_as_a_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipe, Originals and Lineage have 32 px each and 7 px a letter: 250 in all."""
    menu = Menu(DONE, favourite=False, may_change=True)

    def first_row() -> int:
        return len(rows_of(menu_view(menu, SPEC, posted=True, thread=False))[0])

    assert first_row() == 3
    monkeypatch.setattr("cogs.ui.more.ROW_WIDTH", 250)
    assert first_row() == 3
    monkeypatch.setattr("cogs.ui.more.ROW_WIDTH", 249)
    assert first_row() == 2
    monkeypatch.setattr("cogs.ui.more.ROW_WIDTH", 1)
    assert first_row() == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "The original picture, not reduced."),
        (2, "2 original pictures, not reduced."),
    ],
)
def test_originals_are_counted(number: int, text: str) -> None:
    view = originals_view(DONE, uploads(number))

    assert texts_of(view) == [text, SMALL]
    assert [each[:2] for each in media_of(view)] == [
        (f"attachment://{each}.png", "AI-generated: a fox") for each in range(1, number + 1)
    ]


def test_originals_that_no_message_has_are_named_with_their_size() -> None:
    def picture(size: int) -> Picture:
        return Picture("a" * 64, PictureKind.PNG, size, 9, 9)

    left_out = [Numbered(1, picture(1_240_000)), Numbered(3, picture(99_960_000))]

    assert texts_of(left_out_view(DONE, left_out, gone=0)) == [
        f"Too large to be sent here: easel-{ID}-1.png (1.2 MB), easel-{ID}-3.png (100.0 MB).",
        SMALL,
    ]
    assert texts_of(left_out_view(DONE, [], gone=1)) == ["1 original is no longer stored.", SMALL]
    both = texts_of(left_out_view(DONE, left_out[:1], gone=2))
    assert both[0] == "2 originals are no longer stored."
    assert len(both) == 3


def test_the_question_before_a_deletion_has_a_way_back() -> None:
    view = delete_view(DONE)

    assert texts_of(view)[0].startswith("### Delete this result?\n> a fox\nThe message is deleted")
    assert rows_of(view) == [
        [
            Button("Delete for everybody", f"easel:delete:{ID}:yes", DANGER),
            Button("Keep", f"easel:menu:{ID}"),
        ]
    ]
    assert texts_of(deleted_view(DONE)) == [
        f"The result is deleted. The requester still has the pictures by `/show`, job `{ID}`."
    ]


def test_a_thread_is_linked() -> None:
    new, old = thread_view(DONE, 7, new=True), thread_view(DONE, 7, new=False)

    assert texts_of(new)[0].startswith("The thread is open: <#7>. ")
    assert texts_of(old) == ["This result has a thread already: <#7>."]
    view = panel("A page.")
    view.add_item(back_row(DONE))
    assert rows_of(new) == rows_of(old) == rows_of(view) == [[BACK]]


def test_the_name_of_a_thread_is_the_beginning_of_the_prompt() -> None:
    assert thread_name(DONE) == "a fox"
    assert thread_name(with_prompt(DONE, "x" * 100)) == "x" * 100
    assert thread_name(with_prompt(DONE, "x" * 101)) == "x" * 99 + "…"
    assert thread_name(with_prompt(DONE, "")) == f"Picture {ID}"


def line(job: Job, *, this: bool = False) -> str:
    """Return the line about a job in its own lineage, or in that of another one."""
    shown = Lineage(job, (), (), cut=False) if this else Lineage(DONE, (job,), (), cut=False)
    return texts_of(lineage_view(shown))[0].split("\n")[2]


def test_a_job_of_a_description_has_no_ancestors() -> None:
    view = lineage_view(Lineage(DONE, (), (), cut=False))

    assert texts_of(view) == [
        "### Lineage\n"
        "This picture was made from a description, and not from another picture.\n"
        f"- **a fox** · by <@1> <t:{SECONDS}:R> · this picture"
    ]
    assert rows_of(view) == [[BACK]]


def test_a_lineage_leads_from_the_first_picture_to_those_made_from_this_one() -> None:
    first = with_prompt(made("b", user_id=2), "first")
    child = with_prompt(made("c", result_message_id=None), "child")
    view = lineage_view(Lineage(DONE, (made("d"), None, first), (child,), cut=False))

    assert texts_of(view) == [
        "### Lineage\n"
        "**Made from**\n"
        f"- first · by <@2> <t:{SECONDS}:R> · {SHOW}\n"
        "- a private or deleted picture\n"
        f"- a fox · by <@1> <t:{SECONDS}:R> · {SHOW}\n"
        f"- **a fox** · by <@1> <t:{SECONDS}:R> · this picture\n"
        "**Made from this picture**\n"
        f"- child · by <@1> <t:{SECONDS}:R>"
    ]
    assert rows_of(view) == [[Button("Back", f"easel:menu:{'d' * 16}"), BACK]]


def test_a_lineage_that_is_cut_says_so() -> None:
    cut = Lineage(DONE, (None,), (), cut=True)

    assert texts_of(lineage_view(cut))[0].split("\n")[1:4] == [
        "**Made from**",
        "- … and further pictures before",
        "- a private or deleted picture",
    ]
    assert rows_of(lineage_view(cut)) == [[BACK]]


def test_the_nearest_ancestors_fit_into_the_message_to_the_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lineage = Lineage(DONE, (made("b"), None, None), (made("c"),), cut=False)
    (whole,) = texts_of(lineage_view(lineage))
    room = len(whole) + 1 + len("- … and further pictures before\n")

    monkeypatch.setattr("cogs.ui.more.LONGEST_LIST", room)
    assert texts_of(lineage_view(lineage)) == [whole]
    monkeypatch.setattr("cogs.ui.more.LONGEST_LIST", room - 1)
    (shorter,) = texts_of(lineage_view(lineage))
    assert shorter.count("private or deleted") == 1
    assert shorter.split("\n")[2] == "- … and further pictures before"
    assert len(shorter) < room


def test_a_hidden_job_has_no_link_and_one_without_a_prompt_its_id() -> None:
    assert line(replace(DONE, hidden_at=NOW)) == f"- a fox · by <@1> <t:{SECONDS}:R>"
    invisible = with_prompt(DONE, "\u200b")
    assert line(invisible) == f"- {ID} · by <@1> <t:{SECONDS}:R> · {SHOW}"
    assert line(invisible, this=True) == f"- **{ID}** · by <@1> <t:{SECONDS}:R> · this picture"
    assert line(with_prompt(DONE, "x" * 50)).startswith(f"- {'x' * 50} · ")
    assert line(with_prompt(DONE, "x" * 51)).startswith(f"- {'x' * 49}… · ")
