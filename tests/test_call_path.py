"""The code that a reader of one `/imagine` meets does not grow (tests/benchmarks/call_path.py)."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.worker import housekeeping
from tests.benchmarks.call_path import CallPath, one_imagine
from tests.support.easel import stage


async def test_the_path_of_one_imagine_does_not_grow(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "INTERVAL", timedelta(hours=1))  # no turn of it in between
    paths = await measured(tmp_path_factory.mktemp("first"))
    for _ in range(2):
        if within(paths["running"], functions=218, files=80, changes=160):
            break
        # On a busy machine, another event falls into this stretch by chance. The edit that ends
        # it is made by a turn of the worker of its own, with the state of that time.
        paths = await measured(tmp_path_factory.mktemp("again"))

    assert len(paths["reply"].functions) > 20  # the profile has seen the path
    assert within(paths["reply"], functions=84, files=38, changes=55), str(paths["reply"])
    assert within(paths["running"], functions=218, files=80, changes=160), str(paths["running"])


async def measured(folder: Path) -> dict[str, CallPath]:
    async with stage(folder) as at:
        return await one_imagine(at)


def within(path: CallPath, *, functions: int, files: int, changes: int) -> bool:
    return len(path.functions) <= functions and len(path.files) <= files and path.changes <= changes
