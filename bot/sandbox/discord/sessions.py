"""Sessions and connections of the gateway."""

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from bot.sandbox.discord.guilds import Guild
from bot.sandbox.discord.request_body import Json
from bot.sandbox.discord.streams import Stream

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME = 0, 1, 2, 3, 4, 6
RECONNECT, MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 7, 8, 9, 10, 11
UNKNOWN_ERROR, UNKNOWN_OPCODE, DECODE_ERROR, NOT_AUTHENTICATED = 4000, 4001, 4002, 4003
BAD_TOKEN, AGAIN, BAD_SEQUENCE, TOO_FAST, TIMED_OUT = 4004, 4005, 4007, 4008, 4009
BAD_SHARD, TOO_MANY_GUILDS, BAD_VERSION, BAD_INTENTS, NO_INTENTS = 4010, 4011, 4012, 4013, 4014

GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT = 1 << 0, 1 << 9, 1 << 12, 1 << 15
GUILD_EXPRESSIONS, GUILD_REACTIONS, DIRECT_REACTIONS = 1 << 3, 1 << 10, 1 << 13
PRIVILEGED: Final = 1 << 1 | 1 << 8 | MESSAGE_CONTENT
INTENTS: Final = (1 << 26) - 1
COMMANDS_A_MINUTE: Final = 120
LARGEST_COMMAND: Final = 4096  # bytes of one command
GUILDS_A_SHARD: Final = 2500


@dataclass(eq=False)
class Session:
    """The part that outlives a connection: events that a client may request again."""

    id: str
    intents: int
    shard: tuple[int, int]
    sequence: int = 0
    sent: list[tuple[int, Json]] = field(default_factory=list)
    connection: "Connection | None" = None

    def dispatch(self, event: str, data: Json | None) -> None:
        self.sequence += 1
        payload: Json = {"op": DISPATCH, "s": self.sequence, "t": event, "d": data}
        self.sent.append((self.sequence, payload))
        if self.connection is not None:
            self.connection.send(payload)

    def serves(self, guild: Guild | None) -> bool:
        """Return whether events of a server belong to this shard; all others belong to shard 0."""
        number, count = self.shard
        return ((guild.id >> 22) % count if guild else 0) == number

    def wants(self, event: str, guild: Guild | None) -> bool:
        """Return whether this shard and these intents receive an event."""
        if not self.serves(guild):
            return False
        if event.startswith("MESSAGE_REACTION_"):
            return bool(self.intents & (GUILD_REACTIONS if guild else DIRECT_REACTIONS))
        if event.startswith("MESSAGE_") or (event == "CHANNEL_PINS_UPDATE" and guild is None):
            return bool(self.intents & (GUILD_MESSAGES if guild else DIRECT_MESSAGES))
        if event == "GUILD_EMOJIS_UPDATE":
            return bool(self.intents & GUILD_EXPRESSIONS)
        if event.startswith(("GUILD_", "CHANNEL_", "THREAD_")):
            return bool(self.intents & GUILDS)
        return True


class Connection:
    """A WebSocket with a queue and a single writer: events stay in order, and senders never
    wait."""

    def __init__(self, socket: web.WebSocketResponse, stream: Stream | None) -> None:
        self.socket = socket
        self.session: Session | None = None
        self.closing = False
        self.heard = time.monotonic()
        self._commands: deque[float] = deque()
        self._queue: asyncio.Queue[Json | int | bytes] = asyncio.Queue()
        self._stream = stream

    def send(self, payload: Json) -> None:
        self._queue.put_nowait(payload)

    def send_raw(self, frame: bytes) -> None:
        """Send a frame without encoding or compression."""
        self._queue.put_nowait(frame)

    def close(self, code: int) -> None:
        """Close after everything before has been sent."""
        self.closing = True
        self._queue.put_nowait(code)

    async def write(self) -> None:
        while True:
            item = await self._queue.get()
            if isinstance(item, int):
                # enough for the client's own close frame
                async with asyncio.timeout(2):
                    await self.socket.close(code=item)
                return
            if isinstance(item, bytes):
                await self.socket.send_bytes(item)
                continue
            text = json.dumps(item)
            if self._stream is None:
                await self.socket.send_str(text)
            else:
                await self.socket.send_bytes(self._stream.compress(text.encode()))

    def too_fast(self) -> bool:
        now = time.monotonic()
        self._commands.append(now)
        while self._commands[0] < now - 60:
            self._commands.popleft()
        return len(self._commands) > COMMANDS_A_MINUTE
