"""An HTTP proxy on loopback that resolves every name to loopback."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """`targets` are the hosts that were asked for; with `password`, requests need it."""

    port: int = 0
    password: str | None = None
    targets: list[str] = field(default_factory=list)
    refused: int = 0

    @property
    def url(self) -> str:
        user = f"easel:{self.password}@" if self.password else ""
        return f"http://{user}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            await self._forward(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _forward(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first, *lines = head.rstrip().split("\r\n")
        method, target, version = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        expected = base64.b64encode(f"easel:{self.password}".encode()).decode()
        if self.password and headers.get("Proxy-Authorization") != f"Basic {expected}":
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        self.targets.append(url.hostname or "")
        there, out = await asyncio.open_connection("127.0.0.1", url.port or 80)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = (url.path or "/") + (f"?{url.query}" if url.query else "")
                kept = [
                    f"{name}: {value}"
                    for name, value in headers.items()
                    if name != "Proxy-Authorization"
                    and (name != "Connection" or "Upgrade" in headers)
                ]
                if "Upgrade" not in headers:  # each request has a head of its own to rewrite
                    kept.append("Connection: close")
                out.write("\r\n".join([f"{method} {path} {version}", *kept, "", ""]).encode())
            await _pump(reader, writer, there, out)
        finally:
            out.close()


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there: asyncio.StreamReader,
    out: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()

    both = {asyncio.create_task(copy(reader, out)), asyncio.create_task(copy(there, writer))}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in both:
        task.cancel()
    await asyncio.wait(both)


@asynccontextmanager
async def proxy(password: str | None = None) -> AsyncIterator[Proxy]:
    made = Proxy(password=password)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
