"""A relay on loopback before a server, which loses connections at the named moments."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit, urlunsplit

COMMITS = (b"COMMIT;", b"COMMIT\0")  # the command, and the confirmation


class Loss(Enum):
    """The moment at which the connection of the next commit is lost."""

    BEFORE_COMMIT = auto()  # the server never receives the commit
    AFTER_COMMIT = auto()  # the client never receives the confirmation


@dataclass
class Relay:
    """`url` is the server's address, through the relay."""

    url: str
    loss: Loss | None = None
    open: bool = True  # false: connections are refused
    held: asyncio.Event = field(default_factory=asyncio.Event)  # clear: nothing is forwarded
    _host: str = ""
    _port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Lose every connection, and refuse new ones."""
        self.open = False
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        there, out = await asyncio.open_connection(self._host, self._port)
        both = {writer, out}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, out, both, from_client=True))
                group.create_task(self._forward(there, writer, both))
        except* OSError:
            pass
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _forward(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        both: set[asyncio.StreamWriter],
        *,
        from_client: bool = False,
    ) -> None:
        while data := await source.read(65536):
            await self.held.wait()
            # The moment at which this direction loses a commit.
            lost = Loss.BEFORE_COMMIT if from_client else Loss.AFTER_COMMIT
            if self.loss is lost and COMMITS[not from_client] in data:
                self.loss = None
                break
            target.write(data)
            with suppress(OSError):
                await target.drain()
        for writer in both:
            writer.transport.abort()


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[Relay]:
    """Run a relay before the server of an address."""
    parts = urlsplit(url)
    relay = Relay("", _host=parts.hostname or "", _port=parts.port or 5432)
    relay.held.set()
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = f"{parts.username}@" if parts.username else ""
    relay.url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{port}"))
    try:
        yield relay
    finally:
        relay.held.set()
        relay.cut()
        server.close()
        await server.wait_closed()
