"""The REST side: routing, token checks, request bodies, JSON responses."""

import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from bot.sandbox.discord.models import MIB
from bot.sandbox.discord.rate_limits import VIA, RateLimits
from bot.sandbox.discord.request_body import Json, Problems, Refusal, Unsupported, invalid
from bot.sandbox.discord.uploads import Upload

log = logging.getLogger(__name__)

PREFIX: Final = "/api/v10"
LARGEST_REQUEST: Final = 25 * MIB
FILE_FIELD: Final = re.compile(r"files\[(\d{1,2})\]")
NO_BODY: Final = "The request body contains invalid JSON."

OnRequest = Callable[[str, str, object], None]


@dataclass
class Call:
    """A request for a handler: `body` is the JSON (or payload_json), `uploads` the files by the n
    of `files[n]`."""

    path: dict[str, str]
    query: dict[str, str]
    body: Any
    uploads: dict[int, Upload]

    def id(self, name: str) -> int:
        text = self.path[name]
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise invalid((name,), "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
        return int(text)

    def object(self) -> Json:
        """Return the body, which must be a JSON object."""
        if not isinstance(self.body, dict):
            raise Refusal(400, 50109, NO_BODY)
        return self.body


@dataclass(frozen=True)
class Reply:
    """A response; `body` None means no content."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """A route with a handler. `open` routes need no bot token: the path contains a token, or they
    are public."""

    method: str
    path: str
    handler: Handler
    open: bool = False


@dataclass
class Request:
    """An entry of the request log. `path` is the path as sent; `seconds` the duration."""

    method: str
    path: str
    status: int
    at: float
    seconds: float = 0.0
    body: object = None
    files: list[str] = field(default_factory=list)


NOTE: ContextVar[Request] = ContextVar("note")


class Rest:
    """The handler of all routes. An error inside the stand-in is a 500 and a violation."""

    def __init__(
        self,
        routes: list[Route],
        token: str,
        clock: Callable[[], float],
        on_request: OnRequest | None,
        limits: RateLimits,
    ) -> None:
        self.routes = routes
        self.token = token
        self.clock = clock
        self.on_request = on_request
        self.limits = limits
        self.requests: list[Request] = []
        self.violations: list[str] = []

    def add_to(self, app: web.Application) -> None:
        for route in self.routes:
            app.router.add_route(route.method, PREFIX + route.path, self._serve(route))
        app.router.add_route("*", "/api/{rest:.*}", self._unknown)

    @web.middleware
    async def record(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Record every request with the final response. This is the outermost middleware."""
        began = time.perf_counter()
        note = Request(request.method, request.path, 0, self.clock())
        NOTE.set(note)
        self.requests.append(note)
        try:
            response = await handler(request)
            note.status = response.status
            if not response.prepared:  # the stand-in's own time, unless a fault sends another
                response.headers.setdefault("Date", formatdate(self.clock(), usegmt=True))
            return response
        finally:
            note.seconds = time.perf_counter() - began

    def _serve(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            try:
                reply = await self._answer(route, request)
            except Refusal as refusal:
                log.debug("%s %s: %s", request.method, request.path, refusal)
                reply = Reply(refusal.status, refusal.body())
            except Unsupported as missing:
                self._violation(f"{route.method} {route.path}: no {missing} in the stand-in")
                reply = Reply(501, {"message": f"No {missing} here", "code": 0})
            except (
                ConnectionError
            ):  # the client disconnected before the request was read completely
                reply = Reply(500, {"message": "500: Internal Server Error", "code": 0})
            except Exception as error:
                log.exception("The stand-in broke on %s %s", request.method, request.path)
                self._violation(f"{route.method} {route.path}: {error!r}")
                reply = Reply(500, {"message": "500: Internal Server Error", "code": 0})
            return to_response(reply)

        return serve

    async def _answer(self, route: Route, request: web.Request) -> Reply:
        if not route.open and request.headers.get("Authorization") != f"Bot {self.token}":
            await request.read()
            raise Refusal(401, 0, "401: Unauthorized")
        sender = request.headers.get("Authorization", "")
        if exhausted := self.limits.take_global(route.path, sender):
            await request.read()
            return Reply(429, exhausted.body, exhausted.headers)
        allowance = self.limits.take(route.method, route.path, request.match_info)
        if allowance is None:
            return await self._call(route, request)
        if allowance.exceeded:
            await request.read()
            return Reply(429, allowance.body, allowance.headers)
        try:
            reply = await self._call(route, request)
        except Refusal as refusal:  # a refused request counts too
            reply = Reply(refusal.status, refusal.body())
        return replace(reply, headers=allowance.headers)

    async def _call(self, route: Route, request: web.Request) -> Reply:
        body, uploads = await read_body(request)
        note = NOTE.get()
        note.body = body
        note.files = [upload.filename for upload in uploads.values()]
        if body is not None and self.on_request is not None:
            self.on_request(route.method, route.path, body)
        call = Call(dict(request.match_info), dict(request.query), body, uploads)
        return await route.handler(call)

    async def _unknown(self, request: web.Request) -> web.Response:
        await request.read()
        self._violation(f"{request.method} {request.path}: no such route in the stand-in")
        return to_response(Reply(501, {"message": "No such route here", "code": 0}))

    def _violation(self, text: str) -> None:
        log.error(text)
        self.violations.append(text)


def to_response(reply: Reply) -> web.Response:
    headers = {"Via": VIA, **reply.headers}
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    # without a charset: with one, some clients treat the response as text
    headers["Content-Type"] = "application/json"
    return web.Response(status=reply.status, body=json.dumps(reply.body).encode(), headers=headers)


async def read_body(request: web.Request) -> tuple[Any, dict[int, Upload]]:
    """Return the JSON and the files of a request, plain or multipart. Raise `Refusal`."""
    if request.content_type.startswith("multipart/"):
        return await _multipart(request)
    data = await request.read()
    if len(data) > LARGEST_REQUEST:
        raise Refusal(413, 40005, "Request entity too large")
    if not data:
        return None, {}
    if request.content_type == "application/x-www-form-urlencoded":
        return _urlencoded(data), {}
    if request.content_type != "application/json":
        message = 'Expected "Content-Type" header to be one of {"application/json"}.'
        raise Refusal(400, 50035, message)
    return _parse(data), {}


def _urlencoded(data: bytes) -> Any:  # noqa: ANN401 - JSON as it came
    """Return the body of a form without files: `payload_json` as in multipart, or plain fields."""
    fields = dict(parse_qsl(data.decode(errors="replace"), keep_blank_values=True))
    return _parse(fields["payload_json"].encode()) if "payload_json" in fields else fields


def _parse(data: bytes) -> Any:  # noqa: ANN401 - JSON as it came
    try:
        return json.loads(data)
    except ValueError:
        raise Refusal(400, 50109, NO_BODY) from None


async def _multipart(request: web.Request) -> tuple[Any, dict[int, Upload]]:
    body: Any = None
    uploads: dict[int, Upload] = {}
    problems = Problems()
    total = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise Refusal(400, 50035, "Nested multipart bodies are not accepted")
        name = part.name or ""
        data = await _part(part, LARGEST_REQUEST - total)
        total += len(data)
        number = FILE_FIELD.fullmatch(name)
        if name == "payload_json":
            body = _parse(data)
        elif number and int(number[1]) not in uploads and part.filename:
            uploads[int(number[1])] = Upload(part.filename, data)
        else:
            problems.add((name or "part",), "UNKNOWN_KEY", "Only payload_json and files[n].")
    problems.settle()
    if len(uploads) > 10:
        raise invalid(("attachments",), "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    return {} if body is None else body, uploads


async def _part(part: BodyPartReader, left: int) -> bytes:
    """Read one part, to the end even beyond the limit, so that the client sees the response."""
    data = bytearray()
    size = 0
    while chunk := await part.read_chunk(64 * 1024):
        size += len(chunk)
        if size <= left:
            data += chunk
    if size > left:
        await part.release()
        raise Refusal(413, 40005, "Request entity too large")
    return bytes(data)
