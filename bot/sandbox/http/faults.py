"""Faults on request, for every stand-in: failures between a client and a server."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = bytes | str | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """Serve this instead of the real answer; the request has no effect.

    With `held`, the answer waits until the rule is released.
    """

    status: int
    body: Body = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    held: bool = False


@dataclass(frozen=True, slots=True)
class AnswerAfter:
    """Let the request take effect, then serve this instead of the real answer."""

    status: int
    body: Body = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (a TCP RST); the request has no effect."""


@dataclass(frozen=True, slots=True)
class ResetAfter:
    """Let the request take effect, then reset the connection (a TCP RST)."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Delay the request, then continue normally."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Let the request take effect, and hold the real answer until `Rule.release`."""


@dataclass(frozen=True, slots=True)
class HoldBefore:
    """Hold the request until `Rule.release`, then continue normally.

    The delayed effect happens even if the client gave up meanwhile, except for a multipart body,
    which ends with the connection.
    """


@dataclass(frozen=True, slots=True)
class HoldLost:
    """Hold the request until `Rule.release`, then reset the connection, without any effect."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Let the request take effect, then send `bytes` bytes of the body and close.

    The answer is shorter than the Content-Length. Streamed answers cannot be truncated.
    """

    bytes: int


Fault = Answer | AnswerAfter | Reset | ResetAfter | Stall | Hold | HoldBefore | HoldLost | Truncate
Chooser = Callable[[str, str], Fault | None]


class Rule:
    """A fault, and the requests that meet this fault.

    `hits` counts those requests; if the request takes effect, the hit is counted after that.
    """

    def __init__(
        self, method: str, path: str, fault: Fault, times: int | None, owner: "Faults"
    ) -> None:
        self.method = method
        self.path = re.compile(path)
        self.fault = fault
        self.left = times
        self.hits = 0
        self._owner = owner
        self._met = asyncio.Event()
        self._open = asyncio.Event()

    def claim(self, method: str, path: str) -> bool:
        """Return whether the rule applies to this request, and use up one of the rule's times."""
        if self.method not in ("*", method) or not self.path.fullmatch(path) or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def meet(self) -> None:
        self.hits += 1
        self._met.set()

    async def reached(self, timeout: float = 30.0, *, hits: int = 1) -> None:
        """Wait until the rule has `hits` hits. Raise TimeoutError."""
        async with asyncio.timeout(timeout):
            while self.hits < hits:
                self._met.clear()
                await self._met.wait()

    def release(self) -> None:
        """Release every held request, and hold nothing from now on."""
        self._open.set()

    async def released(self) -> None:
        await self._open.wait()

    def remove(self) -> None:
        """Remove the rule, and release every request that the rule holds."""
        self._owner.forget(self)
        self.release()


class Faults:
    """The rules of one server; the oldest matching rule decides.

    If no rule matches, the `chooser` is called with method and path, and returns a fault that holds
    nothing, or None.

    Give `faults.middleware` to `aiohttp.web.Application`, and call `clear()` before stopping the
    server, so that nothing stays held.
    """

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.chooser: Chooser | None = None

    def add(self, method: str, path: str, fault: Fault, times: int | None = 1) -> Rule:
        """Add a rule for requests of `method` ("*" for any).

        The regular expression `path` must match the whole path without the query; `times=None` is
        unlimited.
        """
        rule = Rule(method, path, fault, times, self)
        self.rules.append(rule)
        return rule

    def forget(self, rule: Rule) -> None:
        if rule in self.rules:
            self.rules.remove(rule)

    def clear(self) -> None:
        self.chooser = None
        for rule in list(self.rules):
            rule.remove()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        for rule in self.rules:
            if rule.claim(request.method, request.path):
                return await _apply(rule, request, handler)
        chosen = self.chooser(request.method, request.path) if self.chooser else None
        if chosen is not None:
            rule = Rule(request.method, re.escape(request.path), chosen, 0, self)
            return await _apply(rule, request, handler)
        return await handler(request)


async def _apply(rule: Rule, request: web.Request, handler: Handler) -> web.StreamResponse:
    fault = rule.fault
    match fault:
        case Answer():
            await request.read()  # else a client that is still sending would see a reset
            rule.meet()
            if fault.held:
                await rule.released()
            return _answer(fault)
        case Reset():
            rule.meet()
            return _reset(request)
        case Stall(seconds):
            rule.meet()
            await asyncio.sleep(seconds)
            return await handler(request)
        case HoldBefore():
            if not request.content_type.startswith("multipart/"):
                # stored, so that the handler can read the body after a disconnect
                await request.read()
            rule.meet()
            await rule.released()
            return await handler(request)
        case HoldLost():
            rule.meet()
            await rule.released()
            return _reset(request)
        case AnswerAfter() | ResetAfter() | Hold() | Truncate():
            real = await _effect(request, handler)
            rule.meet()
            return await _afterwards(rule, fault, request, real)


async def _afterwards(
    rule: Rule,
    fault: AnswerAfter | ResetAfter | Hold | Truncate,
    request: web.Request,
    real: web.StreamResponse,
) -> web.StreamResponse:
    match fault:
        case AnswerAfter():
            return _answer(fault)
        case ResetAfter():
            return _reset(request)
        case Hold():
            await rule.released()
            return real
        case Truncate(length):
            return await _truncate(request, real, length)


async def _effect(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        return refusal


def _answer(fault: Answer | AnswerAfter) -> web.Response:
    headers = dict(fault.headers)
    if isinstance(fault.body, bytes):
        return web.Response(status=fault.status, body=fault.body, headers=headers)
    if isinstance(fault.body, str):
        headers.setdefault("Content-Type", "text/plain")
        return web.Response(status=fault.status, body=fault.body.encode(), headers=headers)
    # without a charset: some clients treat "application/json; charset=utf-8" as plain text
    headers.setdefault("Content-Type", "application/json")
    return web.Response(status=fault.status, body=json.dumps(fault.body).encode(), headers=headers)


def _reset(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None:
        peer = transport.get_extra_info("socket")
        # a linger time of 0 makes the kernel send RST instead of FIN
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def _truncate(
    request: web.Request, real: web.StreamResponse, length: int
) -> web.StreamResponse:
    if not isinstance(real, web.Response) or not isinstance(real.body, bytes):
        raise TypeError("only an answer which is held in memory can be truncated")
    cut = web.StreamResponse(status=real.status, headers=real.headers)
    cut.content_length = len(real.body)
    await cut.prepare(request)
    await cut.write(real.body[:length])
    if request.transport is not None:
        request.transport.close()
    return cut
