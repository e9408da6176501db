"""Hostile input pictures: they cost their member a refusal, and others nothing."""

import asyncio
import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import pytest
from PIL import Image

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.pictures import attempts, decoder
from bot.pictures.attempts import Attempts, TriedTooOften
from bot.pictures.header import MAX_PASSES, has_too_many_passes
from bot.sandbox.discord import Upload
from tests.benchmarks.hostile_meters import resident
from tests.hostile.bounds import bounded
from tests.support.decoders import changed, decoders, slow, started, stopped
from tests.support.easel import KEY, Stage
from tests.support.files import frames, jpeg_of_scans, jpeg_with_metadata, picture

CAT = Upload("cat.png", picture())


@pytest.fixture
def slow_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give a test the time to stop a decoder before the first answer."""
    monkeypatch.setattr(decoder, "PROGRAM", slow(tmp_path, 1.0))


def encoded(kind: str, width: int, height: int, **options: object) -> bytes:
    """Return a picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "#806040").save(out, kind, **options)
    return out.getvalue()


@cache
def large_webp() -> bytes:
    """Return a WebP of 40 megapixels and few bytes."""
    return encoded("WEBP", 8000, 5000, lossless=True)


@cache
def large_jpeg() -> bytes:
    """Return a JPEG of 40 megapixels whose decoder needs 240 MB."""
    return encoded("JPEG", 8000, 5000, progressive=True, subsampling=0)


async def failed(at: Stage) -> Job:
    (job,) = await at.settled()
    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert await at.balance() == 0
    assert not at.oxen.generations
    return job


@pytest.mark.parametrize(
    ("data", "too_many"),
    [
        (jpeg_of_scans(MAX_PASSES), False),
        (jpeg_of_scans(MAX_PASSES + 1), True),
        (jpeg_of_scans(18_000), True),
        (jpeg_with_metadata(9_000_000), False),
        (frames("PNG", MAX_PASSES), False),
        (frames("PNG", MAX_PASSES + 1), True),
        (frames("WEBP", MAX_PASSES), False),
        (frames("WEBP", MAX_PASSES + 1), True),
        (b"GIF89a" + b"\xff\xda" * 200, False),
    ],
    ids=range(9),
)
def test_scans_and_frames_are_counted(data: bytes, too_many: bool) -> None:
    assert has_too_many_passes(data) is too_many


def test_scans_of_a_picture_inside_the_metadata_do_not_count() -> None:
    inner = jpeg_of_scans(300)
    assert len(inner) < 65_000
    segment = b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner
    plain = picture("JPEG")

    assert not has_too_many_passes(plain[:2] + segment + plain[2:])


def test_a_jpeg_of_endless_segments_has_too_many() -> None:
    assert has_too_many_passes(picture("JPEG")[:2] + b"\xff\xfe\0\2" * 20_000 + b"\xff\xda" * 101)


async def test_a_jpeg_of_18000_scans_is_refused_undecoded(at: Stage) -> None:
    async with at.easel():
        await at.edit(Upload("bomb.jpg", jpeg_of_scans(18_000)))
        said = await at.said("`bomb.jpg` is encoded in more than 100 scans or frames")
        await failed(at)
        assert decoders() == []

    assert "Save the picture as PNG" in said.text()


@pytest.mark.long
async def test_a_webp_of_40_megapixels_delays_nobody(at: Stage) -> None:
    data = large_webp()
    assert len(data) < 2048
    async with at.easel() as app:
        await at.edit(Upload("wide.webp", data))
        await started()
        async with bounded(seconds=20):
            await at.edit(CAT, by=at.ben, prompt="make it red")
            await at.result("make it red")
        (job,) = await at.settled()
        assert app.services.downloader.in_flight.used == 0

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
@pytest.mark.parametrize(
    "make",
    [
        large_webp,
        large_jpeg,
        partial(encoded, "WEBP", 2048, 2048),
        partial(encoded, "JPEG", 4000, 2500, progressive=True, subsampling=0),
        partial(encoded, "JPEG", 5600, 3700, progressive=True),
    ],
    ids=["large WebP", "large JPEG", "WebP", "JPEG, all colours", "JPEG, half the colours"],
)
async def test_a_check_needs_less_than_100_mb(at: Stage, make: Callable[[], bytes]) -> None:
    async with at.easel():
        await at.edit(Upload("wide.bin", make()))
        await at.result("make it blue")
        (pid,) = decoders()
        peak = resident(pid, "VmHWM")

    assert 15 < peak < 100


@pytest.mark.long
@pytest.mark.parametrize("make", [large_webp, large_jpeg], ids=["WebP", "JPEG"])
async def test_a_large_picture_that_ends_early_is_refused(
    at: Stage, make: Callable[[], bytes]
) -> None:
    async with at.easel():
        await at.edit(Upload("wide.bin", make()[:-3]))
        await at.said("`wide.bin` is damaged and cannot be read to the end. Save the picture")
        await failed(at)


@pytest.mark.parametrize("size", [(2048, 2048), (2049, 2048)], ids=["decoded", "not decoded"])
async def test_a_webp_is_decoded_as_long_as_memory_allows(at: Stage, size: tuple[int, int]) -> None:
    data = bytearray(encoded("WEBP", *size, lossless=True))
    data[-8:] = bytes(8)  # the file is complete, but what it holds cannot be decoded
    async with at.easel():
        await at.edit(Upload("wide.webp", bytes(data)))
        (job,) = await at.settled()

    # The service refuses the picture that was not decoded.
    assert job.status is JobStatus.FAILED
    assert ("is damaged" in str(job.remark)) is (size == (2048, 2048))


async def test_a_picture_that_takes_too_long_is_refused_for_a_day(
    at: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with at.easel():
        with monkeypatch.context() as patched:
            patched.setattr(decoder, "CHECK_SECONDS", 0.5)
            patched.setattr(decoder, "PROGRAM", slow(tmp_path, 60))
            await at.edit(CAT)
            await at.said("`cat.png` is damaged and cannot be read to the end. Save the picture")
            await failed(at)
        await at.edit(Upload("dog.png", picture()), prompt="another")
        await at.result("another")
        await at.edit(CAT, prompt="again")
        first, *_ = await at.settled(3)

    assert (first.status, first.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert first.request.prompt == "again"


async def test_a_decoder_that_is_killed_costs_nobody_anything(at: Stage, slow_start: None) -> None:
    async with at.easel():
        await at.edit(CAT)
        pid = await stopped()
        await at.edit(Upload("dog.png", picture()), by=at.ben, prompt="make it red")
        await at.result("make it red")  # while the first is not read
        os.kill(pid, signal.SIGKILL)
        await at.result("make it blue")
        (job,) = await at.settled()
        assert not list((at.folder / "pictures" / "attempts").iterdir())

    assert job.status is JobStatus.SUCCEEDED


async def test_a_picture_that_ends_the_decoder_twice_is_refused(
    at: Stage, slow_start: None
) -> None:
    async with at.easel():
        await at.edit(CAT)
        first = await stopped()
        os.kill(first, signal.SIGKILL)
        os.kill(await stopped(besides=[first]), signal.SIGKILL)
        await at.said("`cat.png` is damaged")
        await failed(at)
        await at.edit(Upload("dog.png", picture()), prompt="another")
        await at.result("another")


async def test_a_decoder_knows_no_secret_and_ends_with_the_bot(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OXEN_API_KEY", KEY)
    async with at.easel():
        await at.edit(CAT)
        await at.result("make it blue")
        (pid,) = decoders()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        limits = Path(f"/proc/{pid}/limits").read_text()
        os.kill(pid, signal.SIGTERM)  # as systemd does with all processes of a service
        await at.edit(Upload("dog.png", picture()), prompt="another")
        await at.result("another")
        assert decoders() == [pid]

    assert KEY.encode() not in environment
    assert b"OXEN" not in environment
    assert str(800 * 1024 * 1024) in limits
    assert re.search(r"Max core file size +0 +0 ", limits)  # a dump would hold the picture
    assert decoders() == []


async def test_a_file_that_needs_too_much_memory_is_refused(
    at: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = changed(tmp_path, "MEMORY = 800 *", "MEMORY = 100 *")
    monkeypatch.setattr(decoder, "PROGRAM", program)
    async with at.easel():
        await at.edit(Upload("wide.webp", large_webp()))
        await at.said("`wide.webp` is damaged")
        await failed(at)


async def test_a_decoder_that_cannot_be_started_is_tried_again(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at.easel():
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", "/nowhere")
            await at.edit(CAT)
            await at.said("Queued")
            await asyncio.sleep(0.3)
        await at.result("make it blue")


async def test_an_idle_decoder_ends_and_is_replaced(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at.easel():
        await at.edit(CAT)
        await at.result("make it blue")
        (old,) = decoders()
        monkeypatch.setattr(decoder, "REUSE_SECONDS", 0)
        await at.edit(Upload("dog.png", picture()), prompt="another")
        await at.result("another")

        assert old not in decoders()


@pytest.mark.long
async def test_stopping_ends_a_decode_at_once_and_the_next_start_repeats_it(
    at: Stage, slow_start: None
) -> None:
    async with at.easel() as app:
        await at.edit(CAT)
        await stopped()
        for number in range(10):  # these wait for their turn
            await at.edit(CAT, prompt=f"wait {number}")
        began = time.monotonic()
        app.stop()
    assert time.monotonic() - began < 8  # the ten that wait would take a second each
    assert {job.status for job in await at.jobs()} == {JobStatus.QUEUED}
    assert decoders() == []

    async with at.easel():
        jobs = await at.settled(11)

    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}


@pytest.mark.parametrize("swept", [False, True])
async def test_an_attempt_is_counted_until_it_ends(tmp_path: Path, swept: bool) -> None:
    counts = Attempts(tmp_path / "attempts")

    async with counts.count("abc"):
        pass
    for _ in range(attempts.MAX_ATTEMPTS):
        await asyncio.to_thread(attempts._begin, tmp_path / "attempts" / "abc")
    with pytest.raises(TriedTooOften):
        async with counts.count("abc"):
            pytest.fail("begun too often")

    then = time.time() - timedelta(hours=25).total_seconds()
    os.utime(tmp_path / "attempts" / "abc", (then, then))
    if swept:
        counts.sweep()
        assert not (tmp_path / "attempts" / "abc").exists()
    async with counts.count("abc"):
        pass


async def test_attempts_at_one_file_follow_each_other(tmp_path: Path) -> None:
    """A kill of the program meanwhile counts once, so that the next start checks the file again."""
    counts = Attempts(tmp_path / "attempts")
    at_once = most = 0

    async def attempt() -> None:
        nonlocal at_once, most
        async with counts.alone("abc"), counts.count("abc"):
            at_once += 1
            most = max(most, (tmp_path / "attempts" / "abc").stat().st_size)
            await asyncio.sleep(0)
            assert at_once == 1
            at_once -= 1

    await asyncio.gather(*(attempt() for _ in range(5)))

    assert most == 1


async def test_one_file_of_two_members_leaves_a_decoder_for_others(
    at: Stage, slow_start: None
) -> None:
    async with at.easel():
        cleo = at.discord.add_user("Cleo")
        await at.edit(CAT)
        await at.edit(CAT, by=cleo)
        await stopped()
        await at.edit(Upload("dog.png", picture()), by=at.ben, prompt="make it red")
        await at.result("make it red")
        assert len(decoders()) == 2
