"""The count of the attempts to decode a file: what stays, for how long, and from which moment."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bot.pictures import Attempts
from bot.pictures.attempts import MAX_ATTEMPTS, REFUSED_SECONDS, DecoderEnded, TriedTooOften

NOW = 1_800_000_000.0


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
