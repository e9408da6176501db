"""The decoder's processes without the bot: started, used again, repeated, bounded, and ended."""

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from bot.jobs import Picture
from bot.pictures import Attempts, Decoder, NotDecoded, decoder
from bot.pictures.attempts import MAX_ATTEMPTS, REFUSED_SECONDS, DecoderEnded, TriedTooOften
from bot.pictures.decoder import REUSE_SECONDS, Undecodable
from bot.pictures.store import judge
from tests.support.decoders import changed, decoders, slow
from tests.support.files import picture

NOW = 1_800_000_000.0


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Decoder]:
    async with Decoder(Attempts(tmp_path / "attempts")) as opened:
        yield opened
        assert opened.stopped or not opened._working
    assert opened.stopped
    assert decoders() == []


def file(folder: Path, data: bytes, name: str = "picture") -> tuple[Path, Picture]:
    (path := folder / name).write_bytes(data)
    return path, judge(data)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the decoder; asyncio has its own for a process that ends by itself."""
    return [each.getMessage() for each in caplog.records if each.name == decoder.__name__]


async def test_a_process_is_used_for_one_picture_after_another(
    made: Decoder, tmp_path: Path
) -> None:
    path, good = file(tmp_path, picture(size=(300, 200)))
    await made.check(path, good, member=1)
    (pid,) = decoders()
    assert os.getsid(pid) == pid  # Ctrl-C goes to the bot alone
    cut, bad = file(tmp_path, picture("JPEG")[:-90], "cut")
    with pytest.raises(Undecodable, match="truncated"):
        await made.check(cut, bad, member=2)
    assert await made.shrink(path, tmp_path / "copy", 10_000, good, member=1) == "jpg"
    with Image.open(io.BytesIO((tmp_path / "copy").read_bytes())) as copy:
        assert "xmp" not in copy.info
    await made.shrink(path, tmp_path / "copy", 10_000, good, member=1, xmp=b"<x/>")
    with Image.open(io.BytesIO((tmp_path / "copy").read_bytes())) as copy:
        assert copy.info["xmp"] == b"<x/>"

    assert decoders() == [pid]
    assert list((tmp_path / "attempts").iterdir()) == []


async def test_a_process_that_has_ended_is_not_used_again(
    made: Decoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, good = file(tmp_path, picture())
    await made.check(path, good, member=1)
    (pid,) = decoders()
    (idle,) = made._idle
    os.kill(pid, signal.SIGKILL)
    await idle._process.wait()
    await made.check(path, good, member=1)

    assert decoders() != [pid]
    assert lines(caplog) == []  # nobody waited for an answer


@pytest.mark.parametrize("cause", ["executable", "time"])
async def test_a_process_that_does_not_start_judges_nothing(
    made: Decoder,
    tmp_path: Path,
    cause: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, good = file(tmp_path, picture())
    with monkeypatch.context() as patched:
        if cause == "time":
            patched.setattr(decoder, "START_SECONDS", 0)
        else:
            patched.setattr(sys, "executable", "/nowhere")
        with pytest.raises(NotDecoded):
            await made.check(path, good, member=1)
    (line,) = lines(caplog)
    assert line.startswith("decoder cannot be started, retrying: ")
    assert not (tmp_path / "attempts").exists()
    await made.check(path, good, member=1)


async def test_an_end_is_made_up_for_once(
    made: Decoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, good = file(tmp_path, picture())
    begin = "def main() -> None:\n"
    once = f'    if not (flag := Path("{tmp_path}/flag")).exists():\n        return flag.touch()\n'
    monkeypatch.setattr(decoder, "PROGRAM", changed(tmp_path, begin, begin + once))
    await made.check(path, good, member=1)
    line = f"decoder ended while it read {good.sha256}-check"
    assert lines(caplog) == [line]
    assert list((tmp_path / "attempts").iterdir()) == []


async def test_a_picture_that_ends_each_decoder_is_refused(
    made: Decoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begin = "def main() -> None:\n"
    monkeypatch.setattr(decoder, "PROGRAM", changed(tmp_path, begin, f"{begin}    return\n"))
    path, good = file(tmp_path, picture())
    for _ in range(2):  # the second time without an attempt
        with pytest.raises(Undecodable, match="the decoder ended while it read the file"):
            await made.check(path, good, member=1)
    assert len(lines(caplog)) == 2
    (count,) = (tmp_path / "attempts").iterdir()
    assert count.read_bytes() == b"xx"


async def test_a_picture_that_takes_too_long_is_not_tried_again(
    made: Decoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, good = file(tmp_path, picture())
    with monkeypatch.context() as patched:
        patched.setattr(decoder, "CHECK_SECONDS", 0.05)
        patched.setattr(decoder, "PROGRAM", slow(tmp_path, 60))
        with pytest.raises(Undecodable, match=r"not decoded within 0\.05 s"):
            await made.check(path, good, member=1)
    assert decoders() == []
    assert lines(caplog) == [f"{good.sha256}-check not decoded within 0.05 s"]
    with pytest.raises(Undecodable, match="ended while"):
        await made.check(path, good, member=1)


async def test_a_stop_ends_what_is_read_and_refuses_what_follows(
    made: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decoder, "PROGRAM", slow(tmp_path, 60))
    path, good = file(tmp_path, picture())
    reading = asyncio.create_task(made.check(path, good, member=1))
    async with asyncio.timeout(10):
        while not made._working:
            await asyncio.sleep(0.005)
        made.stop()
        with pytest.raises(NotDecoded):
            await reading
    assert not made._working
    monkeypatch.setattr(sys, "executable", "/nowhere")  # which is not even tried
    with pytest.raises(NotDecoded):
        await made.check(path, good, member=1)
    assert decoders() == []
    assert lines(caplog) == []
    # The picture is not blamed for the stop.
    async with Attempts(tmp_path / "attempts").count(f"{good.sha256}-check"):
        pass


async def test_a_stop_while_a_process_starts_sends_no_request(
    made: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good = file(tmp_path, picture())
    start = decoder.Process.start

    async def start_and_stop() -> decoder.Process:
        process = await start()
        made.stop()
        return process

    monkeypatch.setattr(decoder.Process, "start", start_and_stop)
    with pytest.raises(NotDecoded):
        await made.check(path, good, member=1)
    assert decoders() == []
    assert not list((tmp_path / "attempts").iterdir())


async def test_one_process_is_left_for_checks_and_none_waits_for_its_member(
    made: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, go = tmp_path / "first", tmp_path / "go"
    waits = (
        f'    if not Path("{first}").exists():\n'
        f'        Path("{first}").touch()\n'
        f'        while not Path("{go}").exists():\n'
        "            select.select([], [], [], 0.01)\n"
    )
    begin = "def main() -> None:\n"
    monkeypatch.setattr(decoder, "PROGRAM", changed(tmp_path, begin, begin + waits))
    path, good = file(tmp_path, picture(size=(100, 80)))
    other, second = file(tmp_path, picture(size=(100, 80)), "other")
    shrinking = asyncio.create_task(made.shrink(path, tmp_path / "copy", 10**6, good, member=1))
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(first.exists):
            await asyncio.sleep(0.005)
    waiting = [
        asyncio.create_task(made.shrink(other, tmp_path / "2", 10**6, second, member=2)),
        asyncio.create_task(made.check(other, second, member=1)),
    ]
    await made.check(other, second, member=3)
    assert len(decoders()) == 2
    assert not any(each.done() for each in [shrinking, *waiting])
    go.touch()
    assert await shrinking == "jpg"
    await asyncio.gather(*waiting)


async def test_two_pictures_are_read_at_once(made: Decoder, tmp_path: Path) -> None:
    path, good = file(tmp_path, picture())
    async with made._processes.take(1), made._processes.take(2):
        waiting = asyncio.create_task(made.check(path, good, member=3))
        await asyncio.wait({waiting}, timeout=0.03)
        assert decoders() == []
    await waiting


@pytest.mark.parametrize(("seconds", "reusable"), [(REUSE_SECONDS, False), (44.9, True)])
async def test_a_process_is_idle_for_45_seconds_at_most(
    made: Decoder,
    tmp_path: Path,
    seconds: float,
    reusable: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, good = file(tmp_path, picture())
    await made.check(path, good, member=1)
    (idle,) = made._idle
    monkeypatch.setattr(idle, "_used_at", 1000.0)
    clock = SimpleNamespace(monotonic=lambda: 1000.0 + seconds)
    monkeypatch.setattr(decoder, "time", clock)
    assert idle.reusable is reusable


async def counted(folder: Path, error: BaseException | None) -> bytes:
    """Return what is left of one attempt with this end."""
    with suppress(*([type(error)] if error is not None else [])):
        async with Attempts(folder).count("abc"):
            assert (folder / "abc").read_bytes() == b"x"
            if error is not None:
                raise error
    return (folder / "abc").read_bytes() if (folder / "abc").exists() else b""


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (None, b""),
        (DecoderEnded(), b"x"),
        (TimeoutError(), b"xx"),
        (OSError(), b""),
        (asyncio.CancelledError(), b""),
    ],
)
async def test_an_attempt_counts_if_the_decoder_may_be_to_blame(
    tmp_path: Path, error: BaseException | None, left: bytes
) -> None:
    assert await counted(tmp_path / "new" / "attempts", error) == left


@pytest.mark.parametrize("error", [None, OSError()])
async def test_a_count_may_be_gone_at_the_end(tmp_path: Path, error: OSError | None) -> None:
    with suppress(OSError):
        async with Attempts(tmp_path).count("abc"):
            (tmp_path / "abc").unlink()
            if error is not None:
                raise error
        assert error is None
    async with Attempts(tmp_path).count("abc"):
        pass


@pytest.mark.parametrize(("seconds", "forgotten"), [(0, False), (1, True)])
async def test_a_count_is_left_for_a_day(
    tmp_path: Path, seconds: float, forgotten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, full, swept = Attempts(tmp_path), tmp_path / "full", tmp_path / "swept"
    for path in (full, swept):
        path.write_bytes(b"x" * MAX_ATTEMPTS)
        os.utime(path, (NOW, NOW))
    monkeypatch.setattr(time, "time", lambda: NOW + REFUSED_SECONDS + seconds)
    if forgotten:
        async with tries.count("full"):
            assert full.read_bytes() == b"x"
    else:
        with pytest.raises(TriedTooOften):
            async with tries.count("full"):
                pytest.fail("begun too often")
    tries.sweep()
    assert swept.exists() is not forgotten


async def test_an_attempt_is_on_the_disk_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []

    def sync(handle: int) -> None:
        found = os.fstat(handle)
        synced.append((found.st_ino, found.st_size))

    monkeypatch.setattr(os, "fsync", sync)
    async with Attempts(tmp_path).count("abc"):
        assert synced == [((tmp_path / "abc").stat().st_ino, 1)]
