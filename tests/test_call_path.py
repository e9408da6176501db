"""The code that a reader of one `/imagine` meets stays small (tests/benchmarks/call_path.py)."""

import pytest

from tests.benchmarks.call_path import CallPath, one_imagine
from tests.support.easel import Stage


@pytest.mark.xfail(strict=False, reason="108 functions, 41 files, 77 changes of file so far")
async def test_few_functions_run_between_a_command_and_the_running_job(at: Stage) -> None:
    paths = await one_imagine(at)

    assert within_goals(paths["running"])


async def test_few_functions_run_between_a_command_and_its_reply(at: Stage) -> None:
    paths = await one_imagine(at)

    assert within_goals(paths["reply"])
    assert len(paths["reply"].functions) > 20  # the profile has seen the path


def within_goals(path: CallPath) -> bool:
    return len(path.functions) <= 60 and len(path.files) <= 25 and path.changes <= 40
