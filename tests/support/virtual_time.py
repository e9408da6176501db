"""Virtual time: a test of waits alone, exact and at once, however busy the machine is."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class _Clock(selectors.DefaultSelector):
    """A selector that moves the time on, instead of waiting, when the loop has nothing to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0  # as on a machine that has been up for a while

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the event loop would wait for ever")
        self.now += timeout
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on a loop whose time passes only while all its tasks wait for timers.

    For tests without sockets, threads and processes: the loop does not wait for those. The
    library looptime would do the same to every loop of the whole run.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
