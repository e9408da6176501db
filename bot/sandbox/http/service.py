"""The common base of both image APIs' stand-ins: an API server, a request log, and a CDN."""

import asyncio
import hashlib
import hmac
import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.sandbox.http.faults import Faults, Handler
from bot.sandbox.http.outage import unreachable

LARGEST_REQUEST: Final = 64 * 1024 * 1024  # in bytes, enough for data URIs
STOP_SECONDS: Final = 2.0
SECRET: Final = b"the sandbox signs with this"


@dataclass(eq=False)
class Request:
    """An entry of the request log: the request, and the final answer.

    `error` is the body of an error answer.
    """

    site: Literal["api", "cdn"]
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # without Authorization
    authorized: bool  # sent with the right key
    body: object  # JSON if possible, else text
    at: float
    status: int | None = None  # until the answer
    error: bytes = b""


@dataclass(frozen=True, slots=True)
class Route:
    """A route with a handler. An `open` route needs no key."""

    method: str
    path: str
    handler: Handler
    open: bool = False


class Refusal(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def answer(body: object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, dumps=compact)


def compact(body: object) -> str:
    """Return JSON without spaces: clients in Oxen's own document search for
    `"generation_id":"…"`."""
    return json.dumps(body, separators=(",", ":"))


async def json_object(request: web.Request) -> dict[str, object] | None:
    """Return the body if it is a JSON object, else None."""
    try:
        body: object = json.loads(await request.read())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


@dataclass(kw_only=True, eq=False)
class Service(ABC):
    """A stand-in for `async with`.

    `requests` is the log, `violations` lists everything that no client of the API may do: a test
    should find none.
    """

    key: str
    clock: Callable[[], float] = time.time
    url_seconds: float = 3600.0  # lifetime of a signed picture address
    faults: Faults = field(default_factory=Faults, init=False)
    requests: list[Request] = field(default_factory=list, init=False)
    violations: list[str] = field(default_factory=list, init=False)
    origin: str = field(default="", init=False)
    cdn_origin: str = field(default="", init=False)
    _runners: list[web.AppRunner] = field(default_factory=list, init=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    @abstractmethod
    def routes(self) -> Iterable[Route]: ...

    @abstractmethod
    def refusal(self, status: Literal[401, 404, 405, 500]) -> Refusal:
        """Return the API's own error for a missing key, an unknown route or method, or an internal
        error."""

    @abstractmethod
    async def open_picture(self, path: str) -> tuple[bytes, str] | None:
        """Return the bytes and the content type for a signed path, or None."""

    @abstractmethod
    async def close(self) -> None:
        """End tasks and streams; called while the servers still run."""

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the client that fetches inputs, without credentials."""
        if self._session is None:
            raise RuntimeError("the stand-in is not running")
        return self._session

    async def __aenter__(self) -> Self:
        api = web.Application(
            middlewares=[self._recorder("api"), self.faults.middleware, self._guard],
            client_max_size=LARGEST_REQUEST,
        )
        for route in self.routes():
            api.router.add_route(route.method, route.path, self._checked(route))
        cdn = web.Application(middlewares=[self._recorder("cdn"), self.faults.middleware])
        cdn.router.add_get("/{path:.+}", self._serve_picture)
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self.origin = await self._start(api)
        self.cdn_origin = await self._start(cdn)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.faults.clear()
        await self.close()
        async with asyncio.timeout(STOP_SECONDS * 3):
            await self.session.close()
            for runner in self._runners:
                await runner.cleanup()

    @property
    def cdn_host(self) -> str:
        """The host and the port of the pictures, for PRIVATE_HOSTS."""
        return self.cdn_origin.removeprefix("http://")

    def signed(self, origin: str, path: str) -> str:
        """Return an address of a picture that needs no key, and expires."""
        expires = str(int(self.clock() + self.url_seconds))
        return f"{origin}{path}?expires={expires}&signature={_signature(path, expires)}"

    def is_signed(self, request: web.Request) -> bool:
        expires = request.query.get("expires", "")
        given = request.query.get("signature", "").encode()
        right = hmac.compare_digest(given, _signature(request.path, expires).encode())
        return right and self.clock() < int(expires)

    def has_key(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.key}"

    def unreachable(self) -> AbstractAsyncContextManager[None]:
        """Close the API's port until the block ends (`async with`). The CDN stays up."""
        return unreachable(self._runners[0])

    async def _start(self, app: web.Application) -> str:
        runner = web.AppRunner(app, shutdown_timeout=STOP_SECONDS, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    def _recorder(self, site: Literal["api", "cdn"]) -> Middleware:
        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            raw = await request.read()
            headers = {k: v for k, v in request.headers.items() if k != "Authorization"}
            note = Request(
                site,
                request.method,
                request.path,
                dict(request.query),
                headers,
                self.has_key(request),
                self._decoded(request, raw),
                self.clock(),
            )
            self.requests.append(note)
            response = await handler(request)
            note.status = response.status
            if response.status >= 400 and isinstance(response, web.Response):
                note.error = response.body if isinstance(response.body, bytes) else b""
            return response

        return record

    def _decoded(self, request: web.Request, raw: bytes) -> object:
        where = f"{request.method} {request.path}"

        def without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
            self._no_doubles(where, (name for name, _ in pairs))
            return dict(pairs)

        self._no_doubles(where, (name for name, _ in request.query.items()))
        try:
            return json.loads(raw, object_pairs_hook=without_doubles) if raw else None
        except ValueError:
            return raw.decode(errors="replace")

    def _no_doubles(self, where: str, names: Iterable[str]) -> None:
        for name, times in Counter(list(names)).items():
            if times > 1:
                self.violations.append(f"{where}: {name} given {times} times")

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            missing = request.match_info.http_exception
            if isinstance(missing, web.HTTPNotFound | web.HTTPMethodNotAllowed):
                self.violations.append(f"{request.method} {request.path}: the API has no such call")
                raise self.refusal(404 if isinstance(missing, web.HTTPNotFound) else 405)
            return await handler(request)
        except Refusal as refusal:
            return answer(refusal.body, refusal.status)
        except web.HTTPException:
            raise
        except ConnectionError:  # the client disconnected, or the server is stopping
            return answer(self.refusal(500).body, 500)
        except Exception as error:
            # A client that has gone, such as a bot that ends, breaks whatever reads or writes.
            if request.transport is not None and not request.transport.is_closing():
                self.violations.append(f"{request.method} {request.path}: broke with {error!r}")
            return answer(self.refusal(500).body, 500)

    def _checked(self, route: Route) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if not route.open and not self.has_key(request):
                raise self.refusal(401)
            return await route.handler(request)

        return checked

    async def _serve_picture(self, request: web.Request) -> web.Response:
        carried = [str(request.rel_url), *request.headers.values()]
        if "Authorization" in request.headers or any(self.key in text for text in carried):
            self.violations.append(f"the key was sent to the CDN: {request.path}")
            return web.Response(status=400, text="Only one auth mechanism allowed")
        if not self.is_signed(request):
            return web.Response(status=403, text="Request has expired or was not signed")
        found = await self.open_picture(request.path)
        if found is None:
            return web.Response(status=404, text="No such key")
        data, content_type = found
        return web.Response(body=data, content_type=content_type)


def _signature(path: str, expires: str) -> str:
    return hmac.new(SECRET, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()[:32]
