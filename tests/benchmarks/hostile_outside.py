"""Attacks by what comes from outside: answers of a service, its event stream, and connections.

Ada's jobs meet the hostile service; Ben draws with the other one.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from bot.sandbox.http.faults import Answer, Rule
from tests.benchmarks.hostile_ground import Ground, at_once
from tests.benchmarks.hostile_meters import Outcome

MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}
EVENTS = {"Content-Type": "text/event-stream"}
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" * 1000
# Bodies that take far more memory or time than they have bytes, each with its status.
ANSWERS: Mapping[str, tuple[int, bytes]] = {
    "lists": (200, b"[" + b"[]," * (4 * MIB) + b"[]]"),
    "depth": (200, b"[" * MIB),
    "error text": (503, b'{"error": "' + b"client error: " * 23_000 + b'"}'),
    "amount": (200, b'{"status": "COMPLETED", "usage": {"total": "1e-60000000"}}'),
}
STREAMS: Mapping[str, bytes] = {
    "empty lines": b"\n" * (8 * MIB),
    "comments": b": keep-alive\n\n" * 500_000,
    "one line": b"data: " + b"x" * (8 * MIB),
}
IDLE = 1300  # connections
REACHED_SECONDS = 60.0
ROUNDS = 4  # pictures meanwhile
HITS = 3


async def answers(at: Ground, *, small: bool) -> list[Outcome]:
    """Let skills.video answer every poll with a body of many values, or with a long text."""
    number = 2 if small else 20
    await at.start()
    quiet = await at.quiet("oxen")
    before = len(at.skills.generations)
    await at_once(at.attack(model="skills") for _ in range(number))
    await at.skills.created(before + number, timeout=REACHED_SECONDS)
    outcomes = []
    for name, (status, body) in ANSWERS.items():
        at.meter.reset()
        rule = at.skills.faults.add("GET", "/api/.*", Answer(status, body, JSON), None)
        outcomes.append(await _outcome(at, f"answers, {name}", quiet, rule, "oxen", small=small))
    return outcomes


async def events(at: Ground, *, small: bool) -> list[Outcome]:
    """Let Oxen.ai's event stream send at full speed, on each new connection again."""
    await at.start()
    quiet = await at.quiet("skills")
    outcomes = []
    for name, body in list(STREAMS.items())[: 1 if small else None]:
        at.meter.reset()
        rule = at.oxen.faults.add("GET", "/api/events", Answer(200, body, EVENTS), None)
        at.oxen.drop_streams()
        row = f"event stream, {name}"
        outcomes.append(await _outcome(at, row, quiet, rule, "skills", small=small))
    return outcomes


async def interim(at: Ground, *, small: bool) -> list[Outcome]:
    """Let skills.video send interim responses without an end."""
    await at.start()
    quiet = await at.quiet("oxen")
    await at.kill()
    async with _endless(INTERIM) as address:
        at.settings = {**at.settings, "SKILLS_API_URL": f"{address}/api/v1"}
        await at.start()
        at.meter.reset()
        await at_once(at.attack(model="skills") for _ in range(2 if small else 5))
        attacked = await at.draw("oxen")
    return [at.outcome("interim responses", quiet, attacked)]


async def connections(at: Ground, *, small: bool) -> list[Outcome]:
    """Open many connections to the health port, and send nothing."""
    port = _free_port()
    at.settings = {**at.settings, "HTTP_PORT": str(port), "HTTP_HOST": "127.0.0.1"}
    await at.start()
    quiet = await at.quiet("oxen")
    async with AsyncExitStack() as opened:
        readers = []
        for _ in range(IDLE // (10 if small else 1)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.callback(writer.close)
            readers.append(reader)
        attacked = await at.draw("oxen")
        still = sum(not reader.at_eof() and reader.exception() is None for reader in readers)
    return [at.outcome("idle connections", quiet, attacked, note=f"{still} of {len(readers)} open")]


async def _outcome(
    at: Ground, name: str, quiet: float, rule: Rule, model: str, *, small: bool
) -> Outcome:
    """Draw with the other service while the rule spoils answers, and remove the rule."""
    await rule.reached(REACHED_SECONDS, hits=HITS)
    attacked = max([await at.draw(model) for _ in range(1 if small else ROUNDS)])
    rule.remove()
    return at.outcome(name, quiet, attacked, note=f"{rule.hits} spoilt answers")


@asynccontextmanager
async def _endless(chunk: bytes) -> AsyncIterator[str]:
    """Serve the chunk to each connection for ever, as fast as the client reads."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            while not writer.is_closing():
                writer.write(chunk)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
