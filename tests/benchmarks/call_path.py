"""How much code one `/imagine` runs through: `python -m tests.benchmarks.call_path`.

The bot runs in this process between the sandbox's stand-ins. `sys.setprofile` counts the Python
calls of bot/ (without the sandbox) and cogs/ from the dispatch of the command until the reply,
until the job runs at the service, and until the result is delivered:

- functions: distinct named functions; a coroutine that is resumed does not count again;
- files: the distinct files of these functions;
- changes of file: distinct pairs of a caller and a callee in different files.

Functions that an idle bot calls too (the worker's turn, housekeeping) are left out.
"""

import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

from tests.support.easel import Stage, stage

ROOT = Path(__file__).parents[2]
STRETCHES = ("reply", "running", "delivered")
RESUMABLE = 0x20 | 0x80 | 0x200  # generators, coroutines and asynchronous generators


@dataclass
class CallPath:
    """The code that ran; `pairs` are callers and callees in different files."""

    functions: set[CodeType] = field(default_factory=set)
    pairs: set[tuple[CodeType, CodeType]] = field(default_factory=set)

    @property
    def files(self) -> set[str]:
        return {code.co_filename for code in self.functions}

    def __str__(self) -> str:
        return (
            f"{len(self.functions)} functions, {len(self.files)} files, "
            f"{len(self.pairs)} changes of file"
        )

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        resumed = bool(code.co_flags & RESUMABLE) and frame.f_lasti > 4
        if event != "call" or resumed or not is_ours(code):
            return
        self.functions.add(code)
        caller = frame.f_back
        while caller is not None and not is_ours(caller.f_code):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != code.co_filename:
            self.pairs.add((caller.f_code, code))

    def without(self, idle: "CallPath") -> "CallPath":
        pairs = {pair for pair in self.pairs if not {*pair} & idle.functions}
        return CallPath(self.functions - idle.functions, pairs)


@cache
def is_ours(code: CodeType) -> bool:
    """Return whether the code is a named function of the bot or of the cogs."""
    path = Path(code.co_filename)
    if code.co_name.startswith("<") or not path.is_relative_to(ROOT):
        return False
    parts = path.relative_to(ROOT).parts
    return parts[0] in {"bot", "cogs"} and "sandbox" not in parts


async def one_imagine(at: Stage, until: str) -> CallPath:
    """Run one `/imagine` until one of STRETCHES, and return the code of its path."""
    path, idle = CallPath(), CallPath()
    async with at.easel():
        await at.imagine("a first fox, after which every module is loaded")
        await at.settled()
        sys.setprofile(idle.profile)
        await asyncio.sleep(2.5)  # one turn of the housekeeping
        sys.setprofile(None)
        at.oxen.manual = until != "delivered"
        sys.setprofile(path.profile)
        try:
            await at.imagine("a fox in the snow")
            if until == "running":
                await at.said("Drawing")
            elif until == "delivered":
                await at.settled(2)
        finally:
            sys.setprofile(None)
        at.oxen.manual = False
        await at.finish()
    return path.without(idle)


async def main() -> None:
    for until in STRETCHES:
        with tempfile.TemporaryDirectory() as folder:
            async with stage(Path(folder)) as at:
                print(f"until {until}: {await one_imagine(at, until)}")


if __name__ == "__main__":
    asyncio.run(main())
