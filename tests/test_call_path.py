"""The code that a member waits for stays small (tests/benchmarks/call_path.py)."""

from tests.benchmarks.call_path import one_imagine
from tests.support.easel import Stage


async def test_few_functions_run_between_a_command_and_its_reply(at: Stage) -> None:
    path = await one_imagine(at, until="reply")

    assert 20 < len(path.functions) <= 60
    assert len(path.files) <= 25
    assert len(path.pairs) <= 40
