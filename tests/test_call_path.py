"""The code that a reader of one `/imagine` meets does not grow (tests/benchmarks/call_path.py)."""

from pathlib import Path

import pytest

from tests.benchmarks.call_path import CallPath, one_imagine
from tests.support.easel import stage


async def test_the_path_of_one_imagine_does_not_grow(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    paths = await measured(tmp_path_factory.mktemp("first"))
    for _ in range(2):
        if within(paths["running"], functions=218, files=80, changes=160):
            break
        # On a busy machine, a turn of the worker or another event falls into this stretch by
        # chance. The edit that ends it is made by a turn of its own, with the state of that time.
        paths = await measured(tmp_path_factory.mktemp("again"))

    assert len(paths["reply"].functions) > 20  # the profile has seen the path
    assert within(paths["reply"], functions=84, files=38, changes=55), str(paths["reply"])
    assert within(paths["running"], functions=218, files=80, changes=160), str(paths["running"])


async def measured(folder: Path) -> dict[str, CallPath]:
    async with stage(folder) as at:
        return await one_imagine(at)


def within(path: CallPath, *, functions: int, files: int, changes: int) -> bool:
    return len(path.functions) <= functions and len(path.files) <= files and path.changes <= changes
