"""Decoder: pictures decoded in processes of their own, which can be killed.

A hostile file can hold a decoder for minutes, take all memory, or crash it. Each picture has a
time limit, each process a memory limit, and members take turns.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bot.errors import EaselError
from bot.jobs import Picture, PictureKind
from bot.pictures.attempts import MAX_ATTEMPTS, Attempts, DecoderEnded, TriedTooOften
from bot.pictures.header import MAX_PIXELS
from bot.pictures.turns import FairLimit

log = logging.getLogger(__name__)

CHECK_SECONDS = 10.0  # for one picture; the slowest that is decoded takes about two seconds
SHRINK_SECONDS = 30.0
START_SECONDS = 10.0  # for a process that has just been started
KILL_SECONDS = 5.0
REUSE_SECONDS = 45.0  # less than the IDLE_SECONDS after which a process ends
PROGRAM = Path(__file__).with_name("decoder_process.py")
# Variables that Python may need to start. No token or key is among them.
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Undecodable(EaselError):
    """The file cannot be decoded, or not within the limits."""


class NotDecoded(EaselError):
    """The file was not judged: the program is about to end, or no process could be started."""


class Decoder:
    """An async context manager. Processes start on demand and are used again."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        # One member cannot hold both, and one of them is always left for checks of inputs.
        self._processes = FairLimit(2, each=1)
        self._shrinks = FairLimit(1)
        self._idle: list[Process] = []
        self._working: set[Process] = set()
        self.stopped = False

    async def __aenter__(self) -> "Decoder":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await asyncio.gather(*(process.end() for process in [*self._idle, *self._working]))

    def stop(self) -> None:
        """End all work at once: everybody who waits gets NotDecoded."""
        self.stopped = True
        for process in self._working:
            process.kill()

    async def check(self, path: Path, picture: Picture, *, member: int) -> None:
        """Read a file to its end. Raises Undecodable or NotDecoded."""
        request = {"work": "check", "path": str(path)}
        await self._decode(request, picture, CHECK_SECONDS, member)

    async def shrink(
        self,
        path: Path,
        target: Path,
        limit: int,
        picture: Picture,
        *,
        member: int,
        xmp: bytes | None = None,
    ) -> PictureKind:
        """Write a copy of at most `limit` bytes to `target`, and return its kind.

        `xmp` is the packet for the copy, of at most 65,502 bytes. Raises Undecodable or NotDecoded.
        """
        request = {"work": "shrink", "path": str(path), "target": str(target), "limit": limit}
        request["xmp"] = (xmp or b"").decode()
        async with self._shrinks.take(member):
            answer = await self._decode(request, picture, SHRINK_SECONDS, member)
        return PictureKind(answer["kind"])

    async def _decode(
        self, request: dict[str, Any], picture: Picture, seconds: float, member: int
    ) -> dict[str, str]:
        """Send a request in the member's turn, and once more if the process ended during it.

        The end may be another's fault: the system chooses a victim when memory runs out.
        """
        request |= {"seconds": seconds, "pixels": MAX_PIXELS}
        count = f"{picture.sha256}-{request['work']}"
        async with self._attempts.alone(count), self._processes.take(member):
            for _ in range(MAX_ATTEMPTS):
                process = await self._process()
                try:
                    async with self._used(process), self._attempts.count(count):
                        answer = await self._ask(process, request, seconds)
                except DecoderEnded:
                    log.warning("decoder ended while it read %s", count)
                    continue
                except TriedTooOften:
                    break
                except TimeoutError:
                    log.warning("%s not decoded within %s s", count, seconds)
                    raise Undecodable(f"not decoded within {seconds} s") from None
                if "error" in answer:
                    raise Undecodable(answer["error"])
                return answer
        raise Undecodable("the decoder ended while it read the file")

    @asynccontextmanager
    async def _used(self, process: "Process") -> AsyncIterator[None]:
        """Use a process for one answer; end the process if there was none."""
        self._working.add(process)
        try:
            yield
        except BaseException:
            self._working.discard(process)
            await process.end()
            raise
        self._working.discard(process)
        self._idle.append(process)

    async def _ask(
        self, process: "Process", request: dict[str, Any], seconds: float
    ) -> dict[str, str]:
        """Return the process's answer. Raises TimeoutError, DecoderEnded or NotDecoded."""
        if self.stopped:  # while the process started
            raise NotDecoded("stopped")
        try:
            async with asyncio.timeout(seconds):
                return await process.ask(request)
        except DecoderEnded:
            if self.stopped:
                raise NotDecoded("stopped") from None
            raise

    async def _process(self) -> "Process":
        """Return a process that waits for a request. Raises NotDecoded."""
        if self.stopped:
            raise NotDecoded("stopped")
        while self._idle:
            process = self._idle.pop()
            if process.reusable:
                return process
            await process.end()
        try:
            async with asyncio.timeout(START_SECONDS):
                return await Process.start()
        except (OSError, TimeoutError) as error:
            log.error("decoder cannot be started, retrying: %r", error)
            raise NotDecoded(repr(error)) from error


class Process:
    """A running decoder_process.py."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        requests: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
    ) -> None:
        self._process = process
        self._requests = requests
        self._answers = answers
        self._used_at = time.monotonic()

    @classmethod
    async def start(cls) -> "Process":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-B", str(PROGRAM)),  # without Python's environment; writes no compiled files
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in INHERITED if name in os.environ},
            start_new_session=True,  # Ctrl-C goes to the bot alone
        )
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        return cls(process, process.stdin, process.stdout)

    @property
    def reusable(self) -> bool:
        fresh = time.monotonic() - self._used_at < REUSE_SECONDS
        return fresh and self._process.returncode is None

    async def ask(self, request: dict[str, Any]) -> dict[str, str]:
        """Send a request and return the answer. Raises DecoderEnded."""
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            await self._requests.drain()
            line = await self._answers.readline()
            answer: dict[str, str] = json.loads(line)
        except (ConnectionError, ValueError):  # ValueError: half a line, or none
            raise DecoderEnded from None
        self._used_at = time.monotonic()
        return answer

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Kill the process and wait for its end."""
        self.kill()
        self._requests.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_SECONDS):
                await self._process.wait()
