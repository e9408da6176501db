"""The gateway: WebSocket sessions, ordered events, resuming and closing."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from bot.sandbox.discord.guilds import Guild
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.session_limit import SessionLimit
from bot.sandbox.discord.sessions import (
    AGAIN,
    BAD_INTENTS,
    BAD_SEQUENCE,
    BAD_SHARD,
    BAD_TOKEN,
    BAD_VERSION,
    DECODE_ERROR,
    GUILDS_A_SHARD,
    HEARTBEAT,
    HEARTBEAT_ACK,
    HELLO,
    IDENTIFY,
    INTENTS,
    INVALID_SESSION,
    LARGEST_COMMAND,
    MEMBERS,
    MESSAGE_CONTENT,
    NO_INTENTS,
    NOT_AUTHENTICATED,
    PRESENCE,
    PRIVILEGED,
    RESUME,
    TIMED_OUT,
    TOO_FAST,
    TOO_MANY_GUILDS,
    UNKNOWN_ERROR,
    UNKNOWN_OPCODE,
    VOICE,
    Connection,
    Session,
)
from bot.sandbox.discord.streams import open_stream
from bot.sandbox.discord.world import World

log = logging.getLogger(__name__)


class Gateway:
    """All sessions of the bot, which any number of processes may hold.

    `shards` is the recommended number of shards; a client may choose another, as at Discord, where
    the number serves for routing alone. `guilds_a_shard` is the largest number of servers.
    """

    def __init__(
        self, world: World, token: str, heartbeat_seconds: float, limit: SessionLimit
    ) -> None:
        self.world = world
        self.token = token
        self.heartbeat_seconds = heartbeat_seconds
        self.url = ""
        self.violations: list[str] = []
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self.limit = limit
        self.shards = 1
        self.guilds_a_shard = GUILDS_A_SHARD
        self.refusal: int | None = None  # the close code for every IDENTIFY, if any
        self.reset_token: Callable[[], None] = lambda: None

    @property
    def live(self) -> list[Session]:
        return [session for session in self.sessions.values() if session.connection]

    def dispatch(
        self, event: str, data: Json, *, guild: Guild | None, message: Message | None = None
    ) -> None:
        """Send an event to every session that subscribes to the event.

        Sessions without a connection receive the event when they resume.
        """
        # for a server without the bot: only GUILD_DELETE, and events of users' own installs
        outside = guild is not None and not guild.bot_present
        if outside and event not in ("GUILD_DELETE", "INTERACTION_CREATE"):
            return
        for session in self.sessions.values():
            if not session.wants(event, guild):
                continue
            if message is not None and not session.intents & MESSAGE_CONTENT:
                limited = message.to_json(reader=self.world.bot)
                session.dispatch(event, {**data, **limited})
            else:
                session.dispatch(event, data)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0, autoping=True)
        await socket.prepare(request)
        try:
            stream, supported = open_stream(request.query.get("compress")), True
        except LookupError:
            stream, supported = None, False
        connection = Connection(socket, stream)
        self.connections.add(connection)
        writing = asyncio.create_task(connection.write())
        watching = asyncio.create_task(self._watch(connection))
        try:
            self._greet(connection, request, supported=supported)
            await self._listen(connection)
        finally:
            self._hang_up(connection)
            watching.cancel()
            if not connection.closing:  # else the writer is sending the close frame
                writing.cancel()
            await asyncio.gather(writing, watching, return_exceptions=True)
        return socket

    def _greet(self, connection: Connection, request: web.Request, *, supported: bool) -> None:
        if not supported or request.query.get("encoding") == "etf":
            complaint = f"gateway: {request.query_string} is not supported by the stand-in"
            log.error(complaint)
            self.violations.append(complaint)
            connection.close(DECODE_ERROR)
        elif request.query.get("v", "10") != "10":
            connection.close(BAD_VERSION)
        else:
            interval = int(self.heartbeat_seconds * 1000)
            connection.send({"op": HELLO, "s": None, "t": None, "d": _hello(interval)})

    async def _watch(self, connection: Connection) -> None:
        """Close a connection that has stopped sending heartbeats."""
        limit = self.heartbeat_seconds * 1.5
        while True:
            left = connection.heard + limit - time.monotonic()
            if left <= 0:
                connection.close(TIMED_OUT)
                return
            await asyncio.sleep(left)

    async def _listen(self, connection: Connection) -> None:
        async for frame in connection.socket:
            if frame.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                continue
            code = self._receive(connection, frame.data)
            if code is not None:
                connection.close(code)

    def _receive(self, connection: Connection, data: str | bytes) -> int | None:
        """Handle one command; return a close code if the command is not acceptable."""
        if connection.too_fast():
            return TOO_FAST
        try:
            command: Any = json.loads(data)
            opcode, body = command["op"], command.get("d")
        except (ValueError, TypeError, KeyError):
            return DECODE_ERROR
        if len(data) > LARGEST_COMMAND:
            return DECODE_ERROR
        if opcode == HEARTBEAT:
            connection.heard = time.monotonic()
            connection.send({"op": HEARTBEAT_ACK, "s": None, "t": None, "d": None})
            return None
        if opcode in (IDENTIFY, RESUME):
            if connection.session is not None:
                return AGAIN
            if not isinstance(body, dict):
                return DECODE_ERROR
            return (
                self._identify(connection, body)
                if opcode == IDENTIFY
                else self._resume(connection, body)
            )
        if connection.session is None:
            return NOT_AUTHENTICATED
        return self._other(connection.session, opcode, body)

    def _other(self, session: Session, opcode: object, body: object) -> int | None:
        if opcode in (PRESENCE, VOICE):
            return None if isinstance(body, dict) else DECODE_ERROR
        if opcode == MEMBERS and isinstance(body, dict):
            return self._send_members(session, body)
        return UNKNOWN_OPCODE

    def _send_members(self, session: Session, body: Json) -> int | None:
        guild = self.world.guilds.get(int(body.get("guild_id", 0)))
        if guild is None:
            return DECODE_ERROR
        wanted = body.get("user_ids")
        ids = [wanted] if isinstance(wanted, str) else (wanted or [str(i) for i in guild.members])
        members = [guild.members[int(i)] for i in ids if int(i) in guild.members]
        chunk: Json = {
            "guild_id": str(guild.id),
            "members": [member.to_json() for member in members],
            "chunk_index": 0,
            "chunk_count": 1,
        }
        if "nonce" in body:
            chunk["nonce"] = body["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)
        return None

    def _identify(self, connection: Connection, body: Json) -> int | None:
        if body.get("token") not in (self.token, f"Bot {self.token}"):
            return BAD_TOKEN
        if not self.limit.take():
            self.reset_token()
            return BAD_TOKEN
        if self.refusal is not None:
            return self.refusal
        intents = body.get("intents")
        if not isinstance(intents, int) or intents & ~INTENTS or intents < 0:
            return BAD_INTENTS
        if intents & PRIVILEGED & ~self.world.privileged_intents:
            return NO_INTENTS
        if not isinstance(body.get("properties"), dict):
            return DECODE_ERROR
        shard = body.get("shard", [0, 1])
        if not _valid_shard(shard):
            return BAD_SHARD
        session = Session(secrets.token_hex(16), intents, (shard[0], shard[1]))
        if len(self._guilds_of(session)) > self.guilds_a_shard:
            return TOO_MANY_GUILDS
        if not self.limit.take_turn(shard[0]):
            connection.send({"op": INVALID_SESSION, "s": None, "t": None, "d": False})
            return None
        self.sessions[session.id] = session
        self._join(connection, session)
        self._ready(session)
        self.world.changes.notify()
        return None

    def _guilds_of(self, session: Session) -> list[Guild]:
        return [
            guild
            for guild in self.world.guilds.values()
            if guild.bot_present and session.serves(guild)
        ]

    def _ready(self, session: Session) -> None:
        guilds = self._guilds_of(session)
        world = self.world
        ready: Json = {
            "v": 10,
            "user": world.bot.to_json() | {"verified": True, "mfa_enabled": True, "email": None},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "application": {"id": str(world.application_id), "flags": 0},
            "shard": list(session.shard),
            "private_channels": [],
        }
        session.dispatch("READY", ready)
        for guild in guilds:
            if session.wants("GUILD_CREATE", guild):
                session.dispatch("GUILD_CREATE", guild.to_gateway(world.bot))

    def _resume(self, connection: Connection, body: Json) -> int | None:
        if body.get("token") not in (self.token, f"Bot {self.token}"):
            return BAD_TOKEN
        session = self.sessions.get(str(body.get("session_id")))
        if session is None:
            connection.send({"op": INVALID_SESSION, "s": None, "t": None, "d": False})
            return None
        seen = body.get("seq")
        if not isinstance(seen, int) or seen > session.sequence:
            return BAD_SEQUENCE
        if session.connection is not None:
            session.connection.session = None
            session.connection.close(UNKNOWN_ERROR)
        self._join(connection, session)
        for sequence, payload in session.sent:
            if sequence > seen:
                connection.send(payload)
        session.dispatch("RESUMED", {})
        self.world.changes.notify()
        return None

    def _join(self, connection: Connection, session: Session) -> None:
        connection.session = session
        session.connection = connection

    def _hang_up(self, connection: Connection) -> None:
        """End the session if the client closed with 1000 or 1001; else the session may resume."""
        self.connections.discard(connection)
        session = connection.session
        if session is None:
            return
        session.connection = None
        if not connection.closing and connection.socket.close_code in (1000, 1001):
            self.sessions.pop(session.id, None)
        self.world.changes.notify()

    def stop(self) -> None:
        for connection in self.connections:
            connection.close(1001)


def _hello(interval: int) -> Json:
    return {"heartbeat_interval": interval, "_trace": ["[]"]}


def _valid_shard(shard: Any) -> bool:  # noqa: ANN401 - JSON as it came
    if not isinstance(shard, list) or len(shard) != 2:
        return False
    number, count = shard
    # `type`, because true is no number in JSON
    return type(number) is int and type(count) is int and 0 <= number < count
