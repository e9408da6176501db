"""The files of a message: their shares of an upload, their names, and those that are missing."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.delivery import NotDelivered, Receipt
from bot.errors import Reason
from bot.jobs import JobStatus, Picture, PictureKind
from bot.services import Services
from bot.store.database import Database
from cogs.delivery import originals
from cogs.delivery.messages import Messages
from cogs.delivery.originals import Numbered, lend, plan
from cogs.delivery.timeouts import send_timeout
from cogs.delivery.uploads import UPLOAD_BYTES, Upload, Uploads, file_name, prepare, share_of
from tests.support.bucket import Bucket
from tests.support.discord_objects import job_of
from tests.support.files import picture, png_header
from tests.support.rows import NOW
from tests.support.services import services_on

MIB = 1024 * 1024
LOST = Picture("a" * 64, PictureKind.PNG, 5, 1, 1)


@pytest.fixture
async def services(database: Database, tmp_path: Path) -> AsyncIterator[Services]:
    opened = services_on(database, tmp_path, lambda: NOW)
    async with opened.decoder:
        yield opened


@pytest.fixture
async def lent() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def test_pictures_share_what_discord_accepts_in_all() -> None:
    assert UPLOAD_BYTES == 24 * MIB
    assert share_of(10 * MIB, 0) == share_of(10 * MIB, 1) == 10 * MIB
    assert share_of(10 * MIB, 2) == 10 * MIB
    assert share_of(10 * MIB, 3) == 8 * MIB
    assert share_of(100 * MIB, 1) == 24 * MIB
    assert share_of(5, 2) == 5


def test_an_upload_has_a_minute_and_more_by_its_size() -> None:
    assert send_timeout(0) == 60
    assert send_timeout(128 * 1024) == 61
    assert send_timeout(MIB) == 68


def test_files_are_named_by_the_job_and_their_number() -> None:
    job = job_of(id="j" * 16)

    assert file_name(job, 2, LOST) == f"easel-{job.id}-2.png"
    assert file_name(job, 1, LOST, name="input") == f"easel-{job.id}-input-1.png"


def test_the_sizes_of_uploads(tmp_path: Path) -> None:
    uploads = Uploads((Upload("a", tmp_path, 5), Upload("b", tmp_path, 7)))

    assert (uploads.names, uploads.largest, uploads.total) == (["a", "b"], 7, 12)
    assert (Uploads().names, Uploads().largest, Uploads().total) == ([], 0, 0)


def test_files_are_closed_after_a_send(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    uploads = Uploads((Upload("b.png", path, 5),))
    for _ in range(2):  # one value serves several sends
        with uploads.opened() as files:
            assert [(each.filename, each.fp.read()) for each in files] == [("b.png", b"12345")]
        assert files[0].fp.closed


async def test_only_a_picture_over_its_share_is_shrunk(
    services: Services, lent: AsyncExitStack
) -> None:
    data = picture(size=(200, 150))
    stored = await services.pictures.store(data)
    job = job_of()
    whole = await prepare(job, [stored], stored.size, services.reduced, lent)
    assert (whole.shrunk, whole.left_out, whole.gone) == (False, 0, 0)
    assert [(each.name, each.size) for each in whole.pictures] == [
        (f"easel-{job.id}-1.png", len(data))
    ]

    small = await prepare(job, [stored], stored.size - 1, services.reduced, lent)
    assert (small.shrunk, small.left_out, small.gone) == (True, 0, 0)
    (upload,) = small.pictures
    assert upload.size < len(data)
    assert upload.name == f"easel-{job.id}-1.{upload.path.suffix[1:]}"
    assert upload.path.suffix != ".png"


async def test_missing_and_unreadable_pictures_leave_the_numbers_of_the_others(
    services: Services,
    lent: AsyncExitStack,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "cogs.delivery.uploads")
    stored = await services.pictures.store(picture())
    damaged = png_header(64, 64).ljust(stored.size + 1, b"\0")
    large = await services.pictures.store(damaged)
    job = job_of()
    found = await prepare(
        job, [LOST, large, stored], stored.size, services.reduced, lent, name="small"
    )

    assert (found.names, found.shrunk) == ([f"easel-{job.id}-small-3.png"], True)
    assert (found.left_out, found.gone) == (1, 1)
    assert [(each.levelname, each.getMessage().partition(":")[0]) for each in caplog.records] == [
        ("INFO", "picture removed by retention"),
        ("ERROR", "picture too large to post"),
    ]


def numbered(*sizes: int) -> list[Picture]:
    return [
        Picture(f"{number:064x}", PictureKind.PNG, size, 1, 1) for number, size in enumerate(sizes)
    ]


def numbers(messages: tuple[tuple[Numbered, ...], ...]) -> list[list[int]]:
    return [[each.number for each in message] for message in messages]


def test_originals_are_divided_at_24_mib_and_at_ten_files() -> None:
    assert originals.IN_MESSAGE == 10
    exact = plan(numbered(12 * MIB, 12 * MIB, 1), 50 * MIB, most=9)
    assert numbers(exact.messages) == [[1, 2], [3]]
    over = plan(numbered(12 * MIB, 12 * MIB + 1), 50 * MIB, most=9)
    assert numbers(over.messages) == [[1], [2]]
    many = plan(numbered(*[1] * 21), 50 * MIB, most=9)
    assert [len(each) for each in many.messages] == [10, 10, 1]
    assert plan([], 5, most=9).messages == ()


def test_an_original_over_the_limit_and_those_after_the_last_message_are_left_out() -> None:
    found = plan(numbered(5, 6, 5), 5, most=9)
    assert numbers(found.messages) == [[1, 3]]
    assert [each.number for each in found.left_out] == [2]
    assert plan(numbered(24 * MIB), 99 * MIB, most=9).left_out == ()
    assert len(plan(numbered(24 * MIB + 1), 99 * MIB, most=9).left_out) == 1

    cut = plan(numbered(*[1] * 21), 5, most=2)
    assert [len(each) for each in cut.messages] == [10, 10]
    assert [each.number for each in cut.left_out] == [21]


async def test_originals_that_are_gone_are_counted(
    services: Services, lent: AsyncExitStack
) -> None:
    stored = await services.pictures.store(picture())
    job = job_of()
    found = await lend(job, [Numbered(3, LOST), Numbered(7, stored)], services.reduced, lent)

    assert (found.names, found.gone) == ([f"easel-{job.id}-7.png"], 1)
    assert found.pictures[0].path.read_bytes() == picture_of(services, stored)


def picture_of(services: Services, stored: Picture) -> bytes:
    path = next(services.pictures.disk.rglob(f"{stored.sha256}.png"))
    return path.read_bytes()


def words(view: Any) -> str:  # noqa: ANN401  # untyped in discord.py
    return str(view.to_components())


@pytest.fixture
def messages(services: Services) -> Messages:
    return Messages(services.catalog, services.reduced, services.health)


async def test_a_failure_has_no_files_and_an_overdue_success_has(
    services: Services, messages: Messages, lent: AsyncExitStack
) -> None:
    stored = await services.pictures.store(picture())
    failed = job_of(status=JobStatus.FAILED, reason=Reason.REJECTED)
    overdue = replace(failed, overdue_at=NOW)

    told = await messages.settled(failed, [stored], Receipt(), lent, missing=0)
    assert (told.uploads.names, told.hidden) == ([], False)
    late = await messages.settled(overdue, [stored], Receipt(), lent, missing=0)
    assert len(late.uploads.names) == 1


async def test_a_replaced_prompt_is_in_no_view(messages: Messages, lent: AsyncExitStack) -> None:
    shown = await messages.settled(job_of(), [], Receipt(), lent, missing=0, instead="(hidden)")

    assert shown.hidden
    for view in (shown.view, shown.private.view):
        text = words(view)
        assert "fox" not in text
        assert "hidden" in text


async def test_what_is_left_is_for_the_requester_alone(
    messages: Messages, lent: AsyncExitStack
) -> None:
    receipt = Receipt(left=12_000)
    public = await messages.settled(job_of(cost=1000), [], receipt, lent, missing=0)
    assert "12 credits" not in words(public.view)
    assert "12 credits" in words(public.private.view)

    job = job_of(cost=1000)
    private = replace(job, route=replace(job.route, private=True))
    alone = await messages.settled(private, [], receipt, lent, missing=0)
    assert "12 credits" in words(alone.view)
    canceled = replace(job, status=JobStatus.CANCELED)
    assert "12 credits" not in words(messages.canceled(canceled, receipt))


async def test_pictures_that_cannot_be_read_now_are_delivered_later(
    database: Database, tmp_path: Path, lent: AsyncExitStack, bucket: Bucket
) -> None:
    services = services_on(database, tmp_path, lambda: NOW, store=bucket.store(tmp_path))
    messages = Messages(services.catalog, services.reduced, services.health)
    with (
        bucket.server.failing(status="403 Forbidden", code="AccessDenied"),
        pytest.raises(NotDelivered, match="pictures not read: refuses the request"),
    ):
        await messages.settled(job_of(), [LOST], Receipt(), lent, missing=0)


async def test_copies_of_inputs_are_whole_or_none(
    services: Services, messages: Messages, lent: AsyncExitStack
) -> None:
    stored = await services.pictures.store(picture())
    job = job_of()

    two = await messages.input_copies(job, [stored, stored], stored.size, lent)
    assert two.uploads.names == [f"easel-{job.id}-input-{number}.png" for number in (1, 2)]
    with pytest.raises(NotDelivered, match="too large"):
        await messages.input_copies(job, [stored], stored.size - 1, lent)
    with pytest.raises(NotDelivered, match="missing"):
        await messages.input_copies(job, [stored, LOST], MIB, lent)
