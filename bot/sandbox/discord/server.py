"""A strict stand-in for Discord: REST, gateway and CDN from one server on loopback."""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.sandbox.discord.actions import Actions
from bot.sandbox.discord.changes import WAIT_SECONDS
from bot.sandbox.discord.channels import Channels
from bot.sandbox.discord.gateway import Gateway
from bot.sandbox.discord.marking import Marking
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import MIB, Channel, User
from bot.sandbox.discord.rate_limits import RateLimits
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.rest import PREFIX, OnRequest, Request, Rest
from bot.sandbox.discord.routes_app import AppRoutes
from bot.sandbox.discord.routes_channels import ChannelRoutes
from bot.sandbox.discord.routes_interactions import InteractionRoutes
from bot.sandbox.discord.routes_permissions import PermissionRoutes
from bot.sandbox.discord.routes_pins import PinRoutes
from bot.sandbox.discord.routes_reactions import ReactionRoutes
from bot.sandbox.discord.routes_sounds import sound_routes
from bot.sandbox.discord.routes_thread_edits import ThreadEditRoutes
from bot.sandbox.discord.routes_threads import ThreadRoutes
from bot.sandbox.discord.session_limit import SessionLimit
from bot.sandbox.discord.sessions import BAD_TOKEN, INVALID_SESSION, RECONNECT, Session
from bot.sandbox.discord.world import World
from bot.sandbox.http.faults import Faults
from bot.sandbox.http.outage import unreachable

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.Sandbx.not-a-secret-it-opens-nothing"
LARGEST_READ = 64 * MIB  # above Discord's limit, so that Discord's refusal comes before aiohttp's
STOP_SECONDS = 2.0  # for open requests


class FakeDiscord(Channels, Actions, Marking):
    """A Discord for `async with FakeDiscord() as discord`; a client logs in with `token` at `url`.

    `on_request(method, path, body)` is called with the body of every known route, and with the path
    as in Discord's OpenAPI description; if the callback raises, the response is a 500. Such errors,
    and requests for features that the stand-in lacks, are recorded in `violations`: a test should
    find none.

    The bot's id is read from the token if possible, so that a client may know the id before login.
    `clock` is used for long lifetimes (tokens, CDN addresses); the 3 seconds for a first response
    are real time. `privileged_intents` are those that the application may request. With
    `limit_messages`, a channel accepts 5 new messages of the bot in 5 seconds, and the bot sends 50
    requests in a second. `shards` is the number that `GET /gateway/bot` recommends. With
    `identify_seconds`, each of `max_concurrency` groups of shards starts one session in that time:
    5 seconds at Discord, so that a test which restarts its client would wait.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        response_seconds: float = 3.0,
        token_seconds: float = 900.0,
        clock: Callable[[], float] = time.time,
        on_request: OnRequest | None = None,
        bot_name: str = "Easel",
        heartbeat_seconds: float = 41.25,
        privileged_intents: int = 0,
        limit_messages: bool = True,
        shards: int = 1,
        max_concurrency: int = 1,
        identify_seconds: float = 0.0,
    ) -> None:
        self.token = token
        self.response_seconds = response_seconds
        self.world = World(clock, token=token, bot_name=bot_name, privileged=privileged_intents)
        limit = SessionLimit(clock, max_concurrency, identify_seconds)
        self.gateway = Gateway(self.world, token, heartbeat_seconds, limit)
        self.gateway.shards = shards
        self.gateway.reset_token = self.reset_token
        self.world.dispatch = self.gateway.dispatch
        self.faults = Faults()
        routes = [
            *PermissionRoutes(self.world).routes(),
            *AppRoutes(self.world, self.gateway).routes(),
            *PinRoutes(self.world).routes(),
            *ChannelRoutes(self.world).routes(),
            *ThreadRoutes(self.world).routes(),
            *ThreadEditRoutes(self.world).routes(),
            *ReactionRoutes(self.world).routes(),
            *sound_routes(),
            *InteractionRoutes(self.world, token_seconds).routes(),
        ]
        self.rest = Rest(routes, token, clock, on_request, RateLimits(enabled=limit_messages))
        self.rest.violations = self.gateway.violations
        self.url = ""
        self._runner: web.AppRunner | None = None

    @property
    def limits(self) -> RateLimits:
        """The limits of new messages in each channel, and of all requests."""
        return self.rest.limits

    @property
    def bot_user(self) -> User:
        return self.world.bot

    @property
    def application_id(self) -> int:
        return self.world.application_id

    @property
    def commands(self) -> list[Json]:
        """Return the registered commands, global ones and those of servers, with ids."""
        return self.world.commands

    @property
    def requests(self) -> list[Request]:
        return self.rest.requests

    @property
    def violations(self) -> list[str]:
        return self.rest.violations

    async def __aenter__(self) -> Self:
        app = web.Application(
            middlewares=[
                self.rest.record,
                self.faults.middleware,
            ],
            client_max_size=LARGEST_READ,
        )
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/gateway/", self.gateway.handle)
        app.router.add_get("/attachments/{rest:.*}", self.world.cdn.serve)
        app.router.add_get("/external/{rest:.*}", self.world.cdn.serve_foreign)
        app.router.add_get("/ephemeral-attachments/{rest:.*}", self.world.cdn.serve)
        self.rest.add_to(app)
        self._runner = web.AppRunner(app, shutdown_timeout=STOP_SECONDS, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        origin = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.url = f"http://{origin}{PREFIX}"
        self.gateway.url = f"ws://{origin}/gateway"
        self.world.cdn.origin = f"http://{origin}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.faults.clear()
        self.gateway.stop()
        if self._runner is not None:
            async with asyncio.timeout(STOP_SECONDS * 3):
                await self._runner.cleanup()

    async def connected(self, timeout: float = WAIT_SECONDS, *, sessions: int = 1) -> None:
        """Wait until so many gateway sessions are identified and connected."""
        await self.world.changes.until(
            lambda: True if len(self.gateway.live) >= sessions else None,
            timeout,
            f"no {sessions} sessions were identified",
        )

    async def disconnected(self, timeout: float = WAIT_SECONDS) -> None:
        """Wait until no client is connected."""
        await self.world.changes.until(
            lambda: None if self.gateway.live else True, timeout, "a client is still connected"
        )

    async def commands_registered(self, timeout: float = WAIT_SECONDS) -> None:
        await self.world.changes.until(
            lambda: self.world.commands_arrived or None, timeout, "no commands were registered"
        )

    def channel_messages(self, channel: Channel, user: User | None = None) -> list[Message]:
        """Return the messages of a channel in order, with the ephemeral ones that `user` sees."""
        return [
            message
            for message in self.world.messages.values()
            if message.channel is channel
            and not message.deleted
            and (message.ephemeral_to is None or message.ephemeral_to is user)
        ]

    async def wait_for_message(
        self,
        predicate: Callable[[Message], bool],
        timeout: float = WAIT_SECONDS,
        channel: Channel | None = None,
    ) -> Message:
        """Return the first present or future message that satisfies `predicate`.

        Ephemeral messages count, deleted ones do not.
        """

        def probe() -> Message | None:
            for message in self.world.messages.values():
                here = channel is None or message.channel is channel
                if here and not message.deleted and predicate(message):
                    return message
            return None

        return await self.world.changes.until(probe, timeout, "no such message came")

    async def drop_gateway(self, *, code: int = 4000, resumable: bool = True) -> None:
        """Close every connection; a session that is not resumable is forgotten."""
        for session in self.gateway.live:
            if not resumable:
                self.gateway.sessions.pop(session.id)
            if session.connection is not None:
                session.connection.close(code)
        await self.disconnected()

    def unreachable(self) -> AbstractAsyncContextManager[None]:
        """Refuse every connection to REST, gateway and CDN until the block ends (`async with`)."""
        if self._runner is None:
            raise RuntimeError("the stand-in is not running")
        return unreachable(self._runner)

    async def dispatch_malformed(self, event: str, data: Json | None) -> None:
        """Send every client an event whose data contradicts Discord's documentation."""
        for session in self.gateway.live:
            session.dispatch(event, data)

    async def send_garbage(self, frame: bytes) -> None:
        """Send every client a frame that is not a payload."""
        for session in self.gateway.live:
            if session.connection is not None:
                session.connection.send_raw(frame)

    async def revoke_token(self) -> None:
        """Reset the token, as the operator would; the old token is refused from now on."""
        self.reset_token()
        await self.disconnected()

    def reset_token(self) -> None:
        """Reset the token and end every session, as Discord does after 1,000 IDENTIFYs in a day."""
        self.gateway.token = self.rest.token = secrets.token_urlsafe(40)
        for session in self.gateway.live:
            self.gateway.sessions.pop(session.id)
            if session.connection is not None:
                session.connection.close(BAD_TOKEN)

    async def request_reconnect(self) -> None:
        """Request a reconnect and resume from every client."""
        for session in self.gateway.live:
            if session.connection is not None:
                session.connection.send({"op": RECONNECT, "s": None, "t": None, "d": None})

    async def invalidate_session(self) -> None:
        """Invalidate every session, without a chance to resume."""
        for session in self.gateway.live:
            self.invalidate(session)

    def invalidate(self, session: Session) -> None:
        """Invalidate one session, without a chance to resume."""
        connection = session.connection
        del self.gateway.sessions[session.id]
        if connection is not None:
            connection.session = None
            connection.send({"op": INVALID_SESSION, "s": None, "t": None, "d": False})
