"""The pages of the menu keep Discord's limits for any prompt and for the longest lineage."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import discord
import pytest
from discord import ui

from bot.jobs import Job, JobStatus, Picture, PictureKind
from bot.providers.oxen.model import oxen_spec
from bot.studio.menu import Lineage, Menu
from cogs.delivery.originals import Numbered, plan
from cogs.delivery.uploads import UPLOAD_BYTES, Upload, Uploads
from cogs.ui import more
from cogs.ui.panel import PersistentItem
from tests.support.rows import NOW, new_job

NEW = new_job(2**63 - 1)
ROUTE = replace(NEW.route, guild_id=2**63 - 1, channel_id=2**63 - 1)
JOB = Job(
    NEW.id,
    JobStatus.SUCCEEDED,
    NEW.user_id,
    ROUTE,
    NEW.request,
    NEW.provider,
    NEW.price,
    NEW.created_at,
    result_message_id=2**63 - 1,
    result_channel_id=2**63 - 1,
    delivered_at=NOW,
    expanded_prompt="a red fox",
)
PROMPTS = [
    *("x", "一只雪中的狐狸", "**bold** `code` [a](https://x.y) > @everyone # h", "fox " * 375),
    *("*" * 2000, "狐" * 2000, "\u200b", "```\n# x\n```"),
]
MB = 1024 * 1024


def picture(size: int, number: int = 1) -> Picture:
    return Picture(f"{number:064x}", PictureKind.PNG, size, 9, 9)


def pages(job: Job) -> Iterator[ui.LayoutView]:
    spec = oxen_spec(price=1)
    uploads = Uploads(tuple(Upload(f"{number}.png", Path(), 1) for number in range(10)))
    yield more.menu_view(Menu(job, favourite=True, may_change=True), spec, posted=True, thread=True)
    hidden = Menu(replace(job, hidden_at=NOW), favourite=False, may_change=True)
    yield more.menu_view(hidden, spec, posted=True, thread=False)
    yield more.originals_view(job, uploads)
    left_out = [Numbered(number, picture(99 * MB)) for number in range(1, 11)]
    yield more.left_out_view(job, left_out, gone=3)
    kin = replace(job, id="b" * 16)
    for number in (1, 20):
        yield more.lineage_view(Lineage(job, (kin,) * number, (kin,) * (number // 2), cut=True))
    yield more.delete_view(job)
    yield more.deleted_view(job)
    yield more.thread_view(job, 2**63 - 1, new=True)


@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
def test_every_page_keeps_the_limits(prompt: str) -> None:
    job = replace(JOB, request=replace(JOB.request, prompt=prompt))
    for page in pages(job):
        items = list(page.walk_children())
        texts = [each.content for each in items if isinstance(each, ui.TextDisplay)]
        names = [each.custom_id for each in items if isinstance(each, PersistentItem)]
        media = [m for each in items if isinstance(each, ui.MediaGallery) for m in each.items]
        assert len(items) <= 40
        assert sum(map(len, texts)) <= 4000
        assert all(texts)
        assert len(set(names)) == len(names)
        assert all(len(name) <= 100 for name in names)
        assert all(each.description for each in media)
        assert not any("@everyone" in text.replace("\\@everyone", "") for text in texts)
    assert 1 <= len(more.thread_name(job)) <= 100


def test_the_rows_of_the_menu_fit_on_a_phone() -> None:
    menu = Menu(replace(JOB, spoiler=True), favourite=True, may_change=True)
    view = more.menu_view(menu, oxen_spec(price=1), posted=True, thread=True)
    rows = [
        [
            each.item.label
            for each in row.children
            if isinstance(each, PersistentItem) and isinstance(each.item, ui.Button)
        ]
        for row in view.children
        if isinstance(row, ui.ActionRow)
    ]

    assert rows == [
        ["Recipe", "Originals", "Lineage"],
        ["Remove favourite", "Remove spoiler"],
        ["Continue in a thread"],
        ["Remix expanded prompt", "Delete"],
    ]


def test_a_lineage_that_is_too_long_shows_the_nearest_and_says_so() -> None:
    chain = tuple(
        replace(JOB, id=f"{number:016}", result_message_id=number) for number in range(1, 21)
    )
    (text,) = [
        each.content
        for each in more.lineage_view(Lineage(JOB, chain, chain[:10], cut=False)).walk_children()
        if isinstance(each, ui.TextDisplay)
    ]
    above, _, below = text.partition("this picture")
    assert "further pictures before" in above
    assert "/1)" in above.splitlines()[-2]
    assert "/20)" not in above
    assert below.count("[show]") == 10


def test_a_spoiler_stays_one_where_the_result_is_shown_again() -> None:
    job = replace(JOB, spoiler=True)
    uploads = Uploads((Upload("a.png", Path(), 1),))
    (item,) = [
        item
        for each in more.originals_view(job, uploads).walk_children()
        if isinstance(each, ui.MediaGallery)
        for item in each.items
    ]
    assert isinstance(item, discord.MediaGalleryItem)
    assert item.spoiler


def test_originals_are_divided_by_the_size_of_a_request() -> None:
    """24 MiB of 25: the rest is for the text."""
    assert UPLOAD_BYTES == 24 * MB
    made = plan([picture(size * MB) for size in (10, 10, 10, 4, 11)], 10 * MB, most=10)

    assert [[each.number for each in message] for message in made.messages] == [[1, 2], [3, 4]]
    assert [each.number for each in made.left_out] == [5]


def test_originals_beyond_the_most_messages_are_named() -> None:
    made = plan([picture(20 * MB) for _ in range(5)], 50 * MB, most=3)

    assert [len(each) for each in made.messages] == [1, 1, 1]
    assert [each.number for each in made.left_out] == [4, 5]


def test_a_message_has_ten_files_at_most() -> None:
    made = plan([picture(1, number) for number in range(11)], MB, most=10)

    assert [len(each) for each in made.messages] == [10, 1]


def test_no_pictures_need_no_message() -> None:
    assert plan([], MB, most=10).messages == ()
