"""The messages of `/mydata`, as a member reads them."""

from pathlib import Path

import discord
import pytest
from discord import ui

from bot.store.erasure_requests import Erasure
from bot.studio.erasure import Stored
from bot.studio.export import Part
from cogs.ui.data_export import begun_view, part_view, progress_view
from cogs.ui.erasure import kept_view, question_view
from cogs.ui.erasure import progress_view as erasure_progress
from tests.support.rows import NOW
from tests.support.views import Button, rows_of, text_of, texts_of

TITLE = "### Your data"
README = "-# `README.txt` in the file explains the contents."
CLOSED = (
    "Your direct messages are closed to this bot, so the files follow here, where only you see "
    "them."
)


def part(number: int, total: int, left_out: int = 0) -> Part:
    return Part(Path(), f"easel-data-{number}.zip", 1, number, total, left_out)


def test_the_first_reply_says_where_the_files_will_be() -> None:
    tables = "tables of your requests and credits, and your pictures."

    assert texts_of(begun_view(here=False)) == [
        TITLE,
        f"Your data is being collected. The files follow by direct message: {tables}",
    ]
    assert texts_of(begun_view(here=True)) == [
        TITLE,
        "Your data is being collected. The files follow here, where only you see them: " + tables,
    ]


@pytest.mark.parametrize(
    ("sent", "here", "lines"),
    [
        (part(1, 3), False, ["Part 1 of about 3 is sent."]),
        (part(2, 3, 5), True, ["Part 2 of about 3 is sent."]),
        (part(1, 1), False, ["Your data is sent: 1 file by direct message."]),
        (part(2, 2), False, ["Your data is sent: 2 files by direct message."]),
        (part(1, 1), True, ["Your data is sent: 1 file, here below."]),
        (
            part(3, 3, 1),
            True,
            [
                "Your data is sent: 3 files, here below.",
                "1 picture is left out. The table `left-out` in the last file says why.",
            ],
        ),
        (
            part(3, 3, 2),
            False,
            [
                "Your data is sent: 3 files by direct message.",
                "2 pictures are left out. The table `left-out` in the last file says why.",
            ],
        ),
    ],
)
def test_the_reply_follows_the_files(sent: Part, here: bool, lines: list[str]) -> None:
    assert texts_of(progress_view(sent, here=here, closed=False)) == [TITLE, *lines]
    assert texts_of(progress_view(sent, here=here, closed=True)) == [TITLE, CLOSED, *lines]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (part(1, 1), "This file holds everything that this bot has stored about you."),
        (part(1, 2), "Part 1 of about 2. The others follow."),
        (part(2, 3), "Part 2 of about 3. The others follow."),
        (part(2, 2), "Part 2 of 2, the last. Unpack all of them into one folder."),
    ],
)
def test_a_file_says_which_part_it_is(sent: Part, text: str) -> None:
    view = part_view(sent)

    assert texts_of(view) == [TITLE, text, README]
    (file,) = [each for each in view.walk_children() if isinstance(each, ui.File)]
    assert file.media.url == f"attachment://easel-data-{sent.number}.zip"


@pytest.mark.parametrize(
    ("stored", "jobs", "active"),
    [
        (Stored(0, 0), "0 jobs with", []),
        (Stored(1, 1), "1 job with", ["1 of them is under way: it ends first."]),
        (Stored(3, 2), "3 jobs with", ["2 of them are under way: they end first."]),
    ],
)
def test_the_question_before_a_deletion_says_what_is_deleted(
    stored: Stored, jobs: str, active: list[str]
) -> None:
    view = question_view(stored)
    question, *between, posted = texts_of(view)

    assert question.startswith(f"### Delete all your data?\n{jobs} prompts")
    assert between == active
    assert posted.startswith("Results that were posted are messages in Discord.")
    danger = discord.ButtonStyle.danger
    assert rows_of(view) == [
        [
            Button("Delete my data", "easel:erase:data", danger),
            Button("Delete my data and results", "easel:erase:results", danger),
        ],
        [Button("Keep everything", "easel:erase:keep")],
    ]


@pytest.mark.parametrize(
    ("total", "erased", "text"),
    [(1, 0, "\n0 of 1 job. Jobs"), (2, 1, "\n1 of 2 jobs. Jobs"), (0, 0, "\n0 of 0 jobs. Jobs")],
)
def test_a_deletion_says_how_far_it_has_come(total: int, erased: int, text: str) -> None:
    view = erasure_progress(Erasure(1, NOW, with_results=True, total=total, erased=erased))

    assert text_of(view).startswith(f"### Your data is being deleted{text}")
    assert rows_of(view) == [[Button("Refresh", "easel:erase:progress")]]


def test_a_deletion_that_has_ended_or_was_not_wanted_has_no_buttons() -> None:
    for view, text in (
        (
            erasure_progress(None),
            "### Your data is deleted\n"
            "Nothing is under way. What you request from now on is stored.",
        ),
        (kept_view(), "Nothing was deleted."),
    ):
        assert texts_of(view) == [text]
        assert rows_of(view) == []
