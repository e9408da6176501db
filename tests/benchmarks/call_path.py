"""Measure the code that a reader of one `/imagine` meets: `python -m tests.benchmarks.call_path`.

The bot runs in this process between the sandbox's stand-ins, warm and idle. `sys.setprofile`
records the Python calls of bot/ (without the sandbox) and of cogs/, from the dispatch of the
command until the reply, until the job runs at the service, and until the result is delivered:

- functions: distinct public functions and methods. Private ones (`_name`, `__name__`), nested
  ones, lambdas and comprehensions belong to the function around them and do not count, nor does
  a coroutine that began earlier and is resumed (the worker's loop);
- files: the distinct files of these functions;
- changes of file: the functions in the order of their first call, counted whenever the next one
  is in another file. A reader who follows the request for the first time turns to that file.

The path until the reply is that of the command's own task, so the figure is the same on a busy
machine. The longer paths include the turns that the worker makes meanwhile, because a turn claims
the job: their figures differ by a few functions from run to run.

The goals were 60 functions, 25 files and 40 changes until the reply. A member's choice of the
notification and values in other spellings have made that 64, 28 and 41; a server's rights, the
periods of quotas and the floor of a service's balance have made that 72, 34 and 47. Until the job
runs, version 0.1.0 has 102, 41 and 75.
"""

import asyncio
import inspect
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType

from tests.support.easel import Stage, stage

ROOT = Path(__file__).parents[2]
RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
FIRST_INSTRUCTIONS = 4  # offset of the last instruction of a coroutine's call
COMMAND = "CommandTree-invoker"  # discord.py's name for the task of a command


class CallPath:
    """The public functions that ran, in the order of their first call."""

    def __init__(self, functions: Iterable[CodeType]) -> None:
        self.functions = list(dict.fromkeys(functions))

    @property
    def files(self) -> set[str]:
        return {code.co_filename for code in self.functions}

    @property
    def changes(self) -> int:
        pairs = pairwise(code.co_filename for code in self.functions)
        return sum(one != next_one for one, next_one in pairs)

    def __str__(self) -> str:
        return (
            f"{len(self.functions)} functions, {len(self.files)} files, "
            f"{self.changes} changes of file"
        )


class Recording:
    """The calls of public functions by every task, in the order of the first call."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, CodeType], None] = {}

    def path(self, task: str | None = None) -> CallPath:
        """Return the path so far: of all tasks, or of those with this name."""
        return CallPath(code for name, code in self._calls if task in {None, name})

    @contextmanager
    def running(self) -> Iterator[None]:
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        resumed = bool(code.co_flags & RESUMABLE) and frame.f_lasti > FIRST_INSTRUCTIONS
        if event == "call" and not resumed and counts(code):
            task = asyncio.current_task()
            self._calls.setdefault((task.get_name() if task else "", code))


@cache
def counts(code: CodeType) -> bool:
    """Return whether the code is a public function of the bot or of the cogs."""
    path = Path(code.co_filename)
    if code.co_name.startswith("_") or "<" in code.co_qualname or not path.is_relative_to(ROOT):
        return False
    parts = path.relative_to(ROOT).parts
    return parts[0] in {"bot", "cogs"} and "sandbox" not in parts


async def one_imagine(at: Stage) -> dict[str, CallPath]:
    """Run one `/imagine`, and return the paths up to `reply`, `running` and `delivered`."""
    paths: dict[str, CallPath] = {}
    recording = Recording()
    async with warm(at):
        with recording.running():
            await at.imagine("a fox in the snow")
            paths["reply"] = recording.path(COMMAND)
            await at.said("Drawing")
            paths["running"] = recording.path()
            at.oxen.manual = False
            await at.finish()
            await at.settled(2)
            paths["delivered"] = recording.path()
    return paths


@asynccontextmanager
async def warm(at: Stage) -> AsyncIterator[None]:
    """A running bot after a first job, so that every module is loaded and every cache filled."""
    async with at.easel():
        await at.imagine("a first fox")
        await at.settled()
        at.oxen.manual = True  # the stretch `running` ends before the picture is ready
        yield


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder)) as at:
            for until, path in (await one_imagine(at)).items():
                print(f"until {until}: {path}")


if __name__ == "__main__":
    asyncio.run(main())
