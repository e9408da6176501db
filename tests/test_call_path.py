"""The code that a reader of one `/imagine` meets does not grow (tests/benchmarks/call_path.py)."""

from tests.benchmarks.call_path import CallPath, one_imagine
from tests.support.easel import Stage


async def test_the_path_of_one_imagine_does_not_grow(at: Stage) -> None:
    paths = await one_imagine(at)

    assert len(paths["reply"].functions) > 20  # the profile has seen the path
    reply = without_worker(paths["reply"])
    # Beside the path, a busy machine lets a turn of the worker or another event run by chance.
    assert within(reply, functions=70, files=30, changes=50), str(reply)
    assert within(paths["running"], functions=150, files=54, changes=115), str(paths["running"])


def without_worker(path: CallPath) -> CallPath:
    """Leave out the turns of the worker, which by chance fall between the command and the reply."""
    return CallPath({code: None for code in path.functions if "/worker/" not in code.co_filename})


def within(path: CallPath, *, functions: int, files: int, changes: int) -> bool:
    return len(path.functions) <= functions and len(path.files) <= files and path.changes <= changes
