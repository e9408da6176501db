"""The real bot in a separate process, without any settings of the operator."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

# Variables that a program may need to start; tokens, keys and proxies are left out.
INHERITED: Final = (
    *("PATH", "HOME", "USERPROFILE", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
)
SOURCE: Final = Path(__file__).parents[3]  # so that `-m bot` runs this copy of Easel
KILL_SECONDS: Final = 5.0


Start = Callable[[], Awaitable[asyncio.subprocess.Process]]


class BotProcess:
    def __init__(self, process: asyncio.subprocess.Process, log: Path, start: Start) -> None:
        self._process = process
        self._log = log
        self._start = start
        self._restarting = asyncio.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait for the end of the process, and return the exit code (negative for a signal).

        The end of a process that is `replaced` does not count.
        """
        while True:
            process = self._process
            code = await process.wait()
            async with self._restarting:
                if process is self._process:
                    return code

    @asynccontextmanager
    async def replaced(self) -> AsyncIterator[None]:
        """Kill the process, and start another one on the same folder at the end of the block."""
        async with self._restarting:
            await self.kill()
            yield
            self._process = await self._start()

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Kill the process; do nothing if the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        async with asyncio.timeout(KILL_SECONDS):
            await self._process.wait()

    def last_lines(self, number: int) -> list[str]:
        with self._log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, number)]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    own = {"PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return {**inherited, **own, **settings}


@asynccontextmanager
async def run_bot(
    folder: Path, settings: Mapping[str, str], *command: str, name: str = "easel"
) -> AsyncIterator[BotProcess]:
    """Run `python -m bot` in the folder, and kill the bot at the end.

    `command` is `run` unless given; the log has the `name` and the suffix `.log`.
    """
    log = folder / f"{name}.log"
    log.unlink(missing_ok=True)

    async def start() -> asyncio.subprocess.Process:
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "bot", *(command or ("run",))),
                cwd=folder,
                env=environment(settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )

    bot = BotProcess(await start(), log, start)
    try:
        yield bot
    finally:
        await bot.kill()
