"""The decoder's processes without the bot: started, used again, repeated, bounded, and ended."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from bot.jobs import Picture
from bot.pictures import Attempts, Decoder, NotDecoded, decoder
from bot.pictures.decoder import REUSE_SECONDS, Undecodable
from bot.pictures.store import judge
from tests.support.decoders import changed, decoders, slow
from tests.support.files import picture


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Decoder]:
    async with Decoder(Attempts(tmp_path / "attempts")) as opened:
        yield opened
        assert opened.stopped or not working(opened)
    assert opened.stopped
    assert decoders() == []


def file(folder: Path, data: bytes, name: str = "picture") -> tuple[Path, Picture]:
    (path := folder / name).write_bytes(data)
    return path, judge(data)


def working(of: Decoder) -> set[decoder.Process]:
    """Return the processes that a decoder would kill at its stop."""
    return of._working


def idle(of: Decoder) -> decoder.Process:
    """Return the one process that waits for a request."""
    (process,) = of._idle
    return process


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of the decoder, without those of asyncio.

    A signal to a process that has just ended by itself reaps the process (`Popen.send_signal`
    polls first). asyncio, which waits for it in a thread, then logs an unknown child process.
    """
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
    process = idle(made)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while process.reusable:
            await asyncio.sleep(0.005)
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
    async with asyncio.timeout(20):
        while not working(made):
            await asyncio.sleep(0.005)
        made.stop()
        with pytest.raises(NotDecoded):
            await reading
    assert not working(made)
    monkeypatch.setattr(sys, "executable", "/nowhere")  # which is not even tried
    with pytest.raises(NotDecoded):
        await made.check(path, good, member=1)
    assert decoders() == []
    assert lines(caplog) == []
    # The picture is not blamed for the stop.
    async with Attempts(tmp_path / "attempts").count(f"{good.sha256}-check"):
        pass


async def test_a_stop_while_a_process_starts_sends_no_request(
    made: Decoder, tmp_path: Path
) -> None:
    path, good = file(tmp_path, picture())
    reading = asyncio.create_task(made.check(path, good, member=1))
    async with asyncio.timeout(20):
        while not decoders():
            await asyncio.sleep(0)  # asyncio has yet to connect the pipes of the process
        assert not working(made)
        made.stop()
        with pytest.raises(NotDecoded):
            await reading
    assert decoders() == []
    assert not list((tmp_path / "attempts").iterdir())


def waiting_until(there: Path, folder: Path, *, first: Path | None = None) -> Path:
    """Return a decoder that waits for a file before it reads requests; `first` lets one wait."""
    begin, indent = "def main() -> None:\n", "    "
    new = begin
    if first is not None:
        new += f'    if not Path("{first}").exists():\n        Path("{first}").touch()\n'
        indent = "        "
    new += f'{indent}while not Path("{there}").exists():\n'
    new += f"{indent}    select.select([], [], [], 0.01)\n"
    return changed(folder, begin, new)


async def test_one_process_is_left_for_checks_and_none_waits_for_its_member(
    made: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, go = tmp_path / "first", tmp_path / "go"
    monkeypatch.setattr(decoder, "PROGRAM", waiting_until(go, tmp_path, first=first))
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


async def test_two_pictures_are_read_at_once(
    made: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    monkeypatch.setattr(decoder, "PROGRAM", waiting_until(go, tmp_path))
    files = [file(tmp_path, picture(), str(member)) for member in (1, 2, 3)]
    reading = [
        asyncio.create_task(made.check(path, good, member=member))
        for member, (path, good) in enumerate(files)
    ]
    async with asyncio.timeout(20):
        while len(working(made)) < 2:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.03)
    assert len(decoders()) == 2
    assert not any(each.done() for each in reading)
    go.touch()
    await asyncio.gather(*reading)


@pytest.mark.parametrize(
    ("seconds", "reused"), [(REUSE_SECONDS, False), (REUSE_SECONDS - 0.1, True)]
)
async def test_a_process_is_idle_for_45_seconds_at_most(
    made: Decoder, tmp_path: Path, seconds: float, reused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good = file(tmp_path, picture())
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(decoder, "time", clock)
    await made.check(path, good, member=1)
    before = decoders()
    clock.monotonic = lambda: 1000.0 + seconds
    await made.check(path, good, member=1)

    assert (decoders() == before) is reused
