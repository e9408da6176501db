"""Input pictures at the limits of each check, and the members whose turn it is."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.backoff import utc_now
from bot.errors import ProviderError, Reason
from bot.jobs import Attachment
from bot.pictures import Downloader, InputPictures, InputRefused, NotDecoded, download, retention
from bot.pictures.inputs import (
    MAX_BYTES,
    PLACES,
    InputDamaged,
    InputElsewhere,
    InputEmpty,
    InputGone,
    InputIsGif,
    InputNoSpace,
    InputNotAPicture,
    InputOfForeignKind,
    InputOfTooManyPasses,
    InputOfTooManyPixels,
    InputRemoved,
    InputTooLarge,
    InputUnreadable,
)
from bot.services import Services
from bot.store.database import Database
from tests.support.decoders import decoders
from tests.support.files import jpeg_of_scans, picture, png_header
from tests.support.loopback import ADDRESSES, LOOPBACK
from tests.support.origin import Origin
from tests.support.services import file_of, services_at_loopback, services_on

CAT = Attachment("cat.png", "http://127.0.0.1:9/cat.png")  # where nobody answers
HEIC = b"\0\0\0\x18ftypheic" + bytes(60)


@pytest.fixture
async def services(database: Database, tmp_path: Path) -> AsyncIterator[Services]:
    async with services_at_loopback(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def pictures(services: Services) -> InputPictures:
    return services.inputs


class Served(Origin):
    """A server of one answer, which counts the requests."""

    def __init__(self, body: bytes = b"", status: int = 200) -> None:
        self.ranges: list[str | None] = []

        async def serve(request: web.Request) -> web.Response:
            self.ranges.append(request.headers.get("Range"))
            return web.Response(body=body, status=status)

        super().__init__(serve)

    @property
    def attachment(self) -> Attachment:
        return Attachment("cat.png", self.url())


async def refusal(pictures: InputPictures, *attachments: Attachment) -> InputRefused | None:
    """Return the refusal of a check."""
    try:
        await pictures.check(attachments)
    except InputRefused as refused:
        return refused
    return None


async def test_a_description_is_refused_beyond_the_limits_alone(pictures: InputPictures) -> None:
    for right in (
        replace(CAT, size=MAX_BYTES),
        replace(CAT, size=1),
        replace(CAT, width=8000, height=5000),
        replace(CAT, width=10**9),
        replace(CAT, height=10**9),
        replace(CAT, width=0, height=10**9),
    ):
        assert await refusal(pictures, right) is None
    for wrong, kind in (
        (replace(CAT, size=MAX_BYTES + 1), InputTooLarge),
        (replace(CAT, size=0), InputEmpty),
        (replace(CAT, width=8000, height=5001), InputOfTooManyPixels),
        (replace(CAT, url="https://example.com/cat.png"), InputElsewhere),
    ):
        assert type(await refusal(pictures, CAT, wrong)) is kind


async def test_the_limits_are_named(pictures: InputPictures) -> None:
    large = await refusal(pictures, replace(CAT, size=MAX_BYTES + 1))
    wide = await refusal(pictures, replace(CAT, width=8001, height=5000))
    larger = await refusal(pictures, replace(CAT, size=6 * MAX_BYTES + 5000))

    assert "has 60 MiB" in str(larger)
    assert str(large) == (
        "`cat.png` has 11 MiB, and a picture may have up to 10 MiB. Attach a smaller copy."
    )
    assert str(wide) == (
        "`cat.png` has 8001x5000 pixels, and a picture may have up to 40 million. "
        "Attach a smaller copy."
    )


def test_each_refusal_names_the_file_and_a_remedy() -> None:
    more: dict[type, tuple[Any, ...]] = {
        InputTooLarge: (10**9,),
        InputOfTooManyPixels: (9, 9),
        InputOfForeignKind: ("HEIC",),
    }
    kinds = InputRefused.__subclasses__()
    assert len(kinds) == 13
    for kind in kinds:
        said = str(kind(CAT, *more.get(kind, ())))
        assert re.fullmatch(r"`cat\.png` (is|has|cannot be) [^{}]+\. (Attach|Save|Try) .+\.", said)


def test_a_name_without_letters_is_called_picture() -> None:
    assert str(InputIsGif(replace(CAT, name="`*~`"))).startswith("`picture` is a GIF.")
    assert str(InputIsGif(replace(CAT, name="a_b-c.d e!"))).startswith("`a_b-c.d e` is a GIF.")


async def test_a_stored_picture_is_not_checked_again(
    pictures: InputPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MIN_FREE", 10**18)
    stored = replace(CAT, size=0, url="", sha256="0" * 64)

    assert await refusal(pictures, stored) is None
    assert type(await refusal(pictures, stored, CAT)) is InputNoSpace


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (picture(), None),
        (picture("JPEG"), None),
        (picture("WEBP"), None),
        (b"GIF89a", InputIsGif),
        (b"", InputEmpty),
        (HEIC, InputOfForeignKind),
        (b"\0" * 100, InputNotAPicture),
    ],
    ids=["png", "jpeg", "webp", "gif", "empty", "heic", "other"],
)
async def test_the_first_64_bytes_are_checked(
    pictures: InputPictures, data: bytes, kind: type[InputRefused] | None
) -> None:
    async with Served(data) as cdn:
        assert type(await refusal(pictures, cdn.attachment)) is (kind or type(None))
        assert cdn.ranges == ["bytes=0-63"]


@pytest.mark.parametrize("status", [204, 206, 302, 403, 404, 500, 503])
async def test_the_first_bytes_count_only_if_they_arrive(
    pictures: InputPictures, status: int
) -> None:
    async with Served(b"no picture" if status != 204 else b"", status) as cdn:
        refused = await refusal(pictures, cdn.attachment)

    assert (type(refused) is InputNotAPicture) is (status == 206)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (png_header(8000, 5001), InputOfTooManyPixels),
        (jpeg_of_scans(101), InputOfTooManyPasses),
        (picture()[:20], InputDamaged),
        (HEIC, InputOfForeignKind),
        (b"GIF89a" + bytes(10), InputIsGif),
        (picture().ljust(MAX_BYTES + 1, b"\0"), InputUnreadable),
    ],
    ids=["pixels", "scans", "damaged", "heic", "gif", "large"],
)
async def test_what_needs_no_decoding_is_refused_undecoded(
    pictures: InputPictures, data: bytes, kind: type[InputRefused]
) -> None:
    async with Served(data) as cdn, pictures.place(1) as intake:
        with pytest.raises(kind):
            await intake.download(cdn.attachment)
        with pytest.raises(InputElsewhere):
            await intake.download(replace(cdn.attachment, url="https://example.com/a.png"))
    assert decoders() == []


async def test_a_picture_of_the_largest_size_is_taken(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    data = picture().ljust(MAX_BYTES, b"\0")
    async with Served(data) as cdn, services.inputs.place(1) as intake:
        kept = await intake.download(cdn.attachment)
        assert file_of(services, kept).stat().st_size == MAX_BYTES
        assert services.downloader.in_flight.used == 0
    assert caplog.text == ""


@pytest.mark.parametrize("status", [404, 403, 410])
async def test_an_attachment_that_is_gone_is_called_so(
    pictures: InputPictures, status: int
) -> None:
    async with Served(picture(), status) as cdn, pictures.place(1) as intake:
        with pytest.raises(InputGone):
            await intake.download(cdn.attachment)
        assert len(cdn.ranges) == 1


async def test_a_damaged_picture_leaves_nothing_but_a_line(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = bytearray(picture())
    data[-14] ^= 1
    async with Served(bytes(data)) as cdn, services.inputs.place(1) as intake:
        with pytest.raises(InputDamaged):
            await intake.download(cdn.attachment)
        assert not [each for each in services.pictures.disk.rglob("*") if each.is_file()]
    assert caplog.text.count("input refused: ") == 1


@pytest.mark.parametrize("full", ["KEEP_GB", "disk"])
async def test_without_space_a_picture_is_not_stored(
    database: Database,
    tmp_path: Path,
    full: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep = 100 if full == "KEEP_GB" else 10**9
    monkeypatch.setattr(retention, "MIN_FREE", 0 if full == "KEEP_GB" else 10**18)
    async with Served(picture()) as cdn, Downloader(private_hosts=LOOPBACK, media=ADDRESSES) as it:
        services = services_on(database, tmp_path, utc_now, downloader=it, keep_bytes=keep)
        async with services.inputs.place(1) as intake:
            with pytest.raises(InputNoSpace):
                await intake.download(cdn.attachment)
        assert await services.pictures.files() == []
        async with services.retention.room(keep) as fits:  # nothing is reserved any more
            assert fits
    assert caplog.messages == ["no space for an input picture: KEEP_GB or the disk is used up"]


async def test_a_stored_picture_is_protected_while_it_is_used_again(services: Services) -> None:
    made = await services.pictures.store(picture())
    async with services.inputs.place(1) as intake:
        with pytest.raises(InputRemoved):
            await intake.reuse(CAT, None)
        assert await intake.reuse(CAT, made) == made
        await services.retention.remove_unused([made.sha256])
        assert file_of(services, made).exists()
    assert not file_of(services, made).exists()  # no job has it
    async with services.inputs.place(1) as intake:
        with pytest.raises(InputRemoved):
            await intake.reuse(CAT, made)


async def test_nothing_is_taken_when_the_program_ends(services: Services) -> None:
    services.decoder.stop()
    with pytest.raises(NotDecoded):
        async with services.inputs.place(1):
            pytest.fail("the place was given")
    services.decoder.stopped = False
    async with services.inputs.place(1):
        pass


async def test_each_of_four_members_has_one_place(pictures: InputPictures) -> None:
    inside: list[int] = []

    async def take(member: int, ends: asyncio.Event) -> None:
        async with pictures.place(member):
            inside.append(member)
            await ends.wait()

    ends = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.callback(ends.set)
        members = [1, 1, *range(2, PLACES + 2)]
        tasks = [asyncio.create_task(take(each, ends)) for each in members]
        await asyncio.wait(tasks, timeout=0.02)
        assert inside == list(range(1, PLACES + 1))
    await asyncio.gather(*tasks)
    assert sorted(inside) == sorted(members)


@pytest.mark.parametrize("status", [503, 429])
async def test_a_failure_that_may_pass_is_no_refusal(
    pictures: InputPictures, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    async with Served(picture(), status) as cdn, pictures.place(1) as intake:
        with pytest.raises(ProviderError) as failed:
            await intake.download(cdn.attachment)
    assert failed.value.reason is Reason.UNAVAILABLE
