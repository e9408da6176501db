"""The precedence of commands: while members wait for a reply, other work begins a little later.

All work of a process shares one event loop. A command needs a dozen turns of the loop until its
reply, and each turn is as long as the steps of all other tasks in it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 0.1  # seconds that one step of other work waits, so that a flood of commands ends none


class Precedence:
    def __init__(self) -> None:
        self._commands = 0
        self._none = asyncio.Event()
        self._none.set()
        self._steps = asyncio.Lock()  # first come, first served

    @contextmanager
    def command(self) -> Iterator[None]:
        """Let other work wait during the block, in which a member waits for a reply."""
        self._commands += 1
        self._none.clear()
        try:
            yield
        finally:
            self._commands -= 1
            if not self._commands:
                self._none.set()

    async def give_way(self) -> None:
        """Wait for a moment without commands: one step of other work at a time, LONGEST at most."""
        if not self._commands and not self._steps.locked():
            return
        async with self._steps:
            try:
                async with asyncio.timeout(LONGEST):
                    while self._commands:  # another may have begun meanwhile
                        await self._none.wait()
            except TimeoutError:
                return
            await asyncio.sleep(0)  # the step of this one ends before the next one begins
